//! Session keys of MS-CHAP-V2 (RFC 3079 §3).

use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use super::{KEY, NT_RESPONSE};

const MAGIC_MASTER: &[u8] = b"This is the MPPE Master Key";
const MAGIC_PEER_SENDS: &[u8] =
    b"On the client side, this is the send key; on the server side, it is the receive key.";
const MAGIC_SERVER_SENDS: &[u8] =
    b"On the client side, this is the receive key; on the server side, it is the send key.";
const PAD_1: [u8; 40] = [0; 40];
const PAD_2: [u8; 40] = [0xF2; 40];

/// The two 128-bit start keys, the one that the peer sends with first. `hash_hash`: of RFC 2759 §8.4.
pub(super) fn session_keys(
    hash_hash: &[u8; 16],
    nt_response: &[u8; NT_RESPONSE],
) -> [Zeroizing<[u8; KEY]>; 2] {
    let master = master_key(hash_hash, nt_response);
    [MAGIC_PEER_SENDS, MAGIC_SERVER_SENDS].map(|magic| start_key(&master, magic))
}

/// RFC 3079 §3.4 GetMasterKey.
pub(super) fn master_key(hash_hash: &[u8; 16], nt_response: &[u8; NT_RESPONSE]) -> Zeroizing<[u8; KEY]> {
    cut(Sha1::new().chain_update(hash_hash).chain_update(nt_response).chain_update(MAGIC_MASTER))
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
