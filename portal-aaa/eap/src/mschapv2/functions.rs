//! RFC 2759 §8.1–8.7 and RFC 3079 §3.4, with the vectors of both.

use des::{
    Des,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use md4::Md4;
use sha1::{Digest, Sha1};
use zeroize::Zeroize;

/// MD4 of the password in UTF-16LE (RFC 2759 §8.3): as good as the password, so it does not print.
#[derive(Clone)]
pub struct NtHash([u8; 16]);

impl NtHash {
    /// Of a password; any UTF-8.
    pub fn of(password: &str) -> Self {
        let mut utf16: Vec<u8> = password.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let hash = Self(Md4::digest(&utf16).into());
        utf16.zeroize();
        hash
    }

    fn hash_hash(&self) -> [u8; 16] {
        Md4::digest(self.0).into()
    }
}

impl Drop for NtHash {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// RFC 2759 §8.2.
pub fn challenge_hash(peer: &[u8; 16], authenticator: &[u8; 16], name: &str) -> [u8; 8] {
    let digest: [u8; 20] =
        Sha1::new().chain_update(peer).chain_update(authenticator).chain_update(name).finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    [a, b, c, d, e, f, g, h]
}

/// RFC 2759 §8.1: GenerateNTResponse.
pub fn nt_response(authenticator: &[u8; 16], peer: &[u8; 16], name: &str, password: &NtHash) -> [u8; 24] {
    challenge_response(&challenge_hash(peer, authenticator, name), &password.0)
}

/// RFC 2759 §8.7: GenerateAuthenticatorResponse, the 20 octets that `S=` shows in hexadecimal.
pub fn authenticator_response(
    password: &NtHash,
    response: &[u8; 24],
    peer: &[u8; 16],
    authenticator: &[u8; 16],
    name: &str,
) -> [u8; 20] {
    const MAGIC1: &[u8] = b"Magic server to client signing constant";
    const MAGIC2: &[u8] = b"Pad to make it do more than one iteration";
    let digest =
        Sha1::new().chain_update(password.hash_hash()).chain_update(response).chain_update(MAGIC1).finalize();
    let challenge = challenge_hash(peer, authenticator, name);
    Sha1::new().chain_update(digest).chain_update(challenge).chain_update(MAGIC2).finalize().into()
}

/// RFC 3079 §3.4: the two 16-octet keys, first the one that the peer sends with, then the one it receives with.
pub fn session_keys(password: &NtHash, response: &[u8; 24]) -> [u8; 32] {
    const MAGIC1: &[u8] = b"This is the MPPE Master Key";
    const PEER_SENDS: &[u8] = b"On the client side, this is the send key; on the server side, it is the receive key.";
    const PEER_RECEIVES: &[u8] =
        b"On the client side, this is the receive key; on the server side, it is the send key.";
    let master =
        Sha1::new().chain_update(password.hash_hash()).chain_update(response).chain_update(MAGIC1).finalize();
    let master = master.get(..16).unwrap_or_default();
    let key = |magic: &[u8]| {
        Sha1::new()
            .chain_update(master)
            .chain_update([0; 40])
            .chain_update(magic)
            .chain_update([0xf2; 40])
            .finalize()
    };
    let (sends, receives) = (key(PEER_SENDS), key(PEER_RECEIVES));
    let mut keys = [0; 32];
    let octets = sends.iter().take(16).chain(receives.iter().take(16));
    keys.iter_mut().zip(octets).for_each(|(key, octet)| *key = *octet);
    keys
}

/// RFC 2759 §8.5: three DES encryptions under the 16-octet hash padded to 21.
fn challenge_response(challenge: &[u8; 8], hash: &[u8; 16]) -> [u8; 24] {
    let mut padded = [0u8; 21];
    padded.iter_mut().zip(hash).for_each(|(to, from)| *to = *from);
    let mut response = [0u8; 24];
    for (seven, out) in padded.as_chunks::<7>().0.iter().zip(response.as_chunks_mut::<8>().0) {
        let mut block = (*challenge).into();
        Des::new(&spread(seven).into()).encrypt_block(&mut block);
        *out = block.into();
    }
    padded.zeroize();
    response
}

/// 56 bits into the eight octets that DES wants; the lowest bit of each is parity and ignored.
fn spread(key: &[u8; 7]) -> [u8; 8] {
    let bits = key.iter().fold(0u64, |bits, octet| (bits << 8) | u64::from(*octet));
    let mut spread = [0u8; 8];
    for (index, octet) in spread.iter_mut().enumerate() {
        #[expect(clippy::cast_possible_truncation, reason = "seven bits are left after the mask")]
        let seven = ((bits >> (49 - 7 * index)) & 0x7f) as u8;
        *octet = seven << 1;
    }
    spread
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 2759 §9.2.
    const AUTHENTICATOR: [u8; 16] =
        [0x5b, 0x5d, 0x7c, 0x7d, 0x7b, 0x3f, 0x2f, 0x3e, 0x3c, 0x2c, 0x60, 0x21, 0x32, 0x26, 0x26, 0x28];
    const PEER: [u8; 16] =
        [0x21, 0x40, 0x23, 0x24, 0x25, 0x5e, 0x26, 0x2a, 0x28, 0x29, 0x5f, 0x2b, 0x3a, 0x33, 0x7c, 0x7e];

    fn hex(octets: &[u8]) -> String {
        octets.iter().map(|octet| format!("{octet:02X}")).collect()
    }

    #[test]
    fn rfc_2759_section_9_2() {
        let hash = NtHash::of("clientPass");
        assert_eq!(hex(&hash.0), "44EBBA8D5312B8D611474411F56989AE");
        assert_eq!(hex(&hash.hash_hash()), "41C00C584BD2D91C4017A2A12FA59F3F");
        assert_eq!(hex(&challenge_hash(&PEER, &AUTHENTICATOR, "User")), "D02E4386BCE91226");
        let response = nt_response(&AUTHENTICATOR, &PEER, "User", &hash);
        assert_eq!(hex(&response), "82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF");
        let proof = authenticator_response(&hash, &response, &PEER, &AUTHENTICATOR, "User");
        assert_eq!(hex(&proof), "407A5589115FD0D6209F510FE9C04566932CDA56");
    }

    /// RFC 3079 §3.5.3: SendStartKey128 of the server is what the peer receives with.
    #[test]
    fn rfc_3079_section_3_5() {
        let hash = NtHash::of("clientPass");
        let response = nt_response(&AUTHENTICATOR, &PEER, "User", &hash);
        let keys = session_keys(&hash, &response);
        assert_eq!(hex(&keys[16..]), "8B7CDC149B993A1BA118CB153F56DCCB");
    }
}
