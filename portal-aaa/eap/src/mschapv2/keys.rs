//! Session keys of MS-CHAP-V2 (RFC 3079 §3).

use md4::Digest;
use sha1::Sha1;
use zeroize::Zeroizing;

use super::{NT_RESPONSE, PasswordHash};
use crate::key::Secret;

const MAGIC_MASTER: &[u8] = b"This is the MPPE Master Key";
const MAGIC_PEER_SENDS: &[u8] =
    b"On the client side, this is the send key; on the server side, it is the receive key.";
const MAGIC_SERVER_SENDS: &[u8] =
    b"On the client side, this is the receive key; on the server side, it is the send key.";
const PAD_1: [u8; 40] = [0; 40];
const PAD_2: [u8; 40] = [0xF2; 40];
/// Octets of a key.
const KEY: usize = 16;

/// The two 128-bit start keys, the one that the peer sends with first: this order is what crypto-binding in PEAP
/// takes as the key of the inner method.
pub(crate) fn session_keys(password: &PasswordHash, nt_response: &[u8; NT_RESPONSE]) -> Secret {
    let master = master_key(password, nt_response);
    let mut keys = Zeroizing::new(Vec::with_capacity(2 * KEY));
    for magic in [MAGIC_PEER_SENDS, MAGIC_SERVER_SENDS] {
        keys.extend_from_slice(&*start_key(&master, magic));
    }
    keys
}

/// RFC 3079 §3.4 GetMasterKey.
fn master_key(password: &PasswordHash, nt_response: &[u8; NT_RESPONSE]) -> Zeroizing<[u8; KEY]> {
    cut(Sha1::new().chain_update(*password.hash()).chain_update(nt_response).chain_update(MAGIC_MASTER))
}

/// RFC 3079 §3.4 GetAsymmetricStartKey.
fn start_key(master: &[u8; KEY], magic: &[u8]) -> Zeroizing<[u8; KEY]> {
    cut(Sha1::new().chain_update(master).chain_update(PAD_1).chain_update(magic).chain_update(PAD_2))
}

fn cut(digest: Sha1) -> Zeroizing<[u8; KEY]> {
    let mut key = Zeroizing::new([0; KEY]);
    for (place, octet) in key.iter_mut().zip(digest.finalize()) {
        *place = octet;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Vectors;

    #[test]
    fn rfc_3079_3_5() {
        let vectors = Vectors::read(include_str!("../../vectors/rfc3079.txt"));
        let password = PasswordHash::of(&vectors.get("Password")).unwrap();
        let nt_response = vectors.get("NT-Response").try_into().unwrap();
        let master = master_key(&password, &nt_response);
        assert_eq!(master.to_vec(), vectors.get("MasterKey"));
        assert_eq!(start_key(&master, MAGIC_SERVER_SENDS).to_vec(), vectors.get("SendStartKey128"));
        let keys = session_keys(&password, &nt_response);
        assert_eq!(keys[16..], vectors.get("SendStartKey128"));
        assert_eq!(keys[..16], *start_key(&master, MAGIC_PEER_SENDS));
    }
}
