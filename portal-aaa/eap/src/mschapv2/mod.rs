//! MS-CHAP-V2 arithmetic (RFC 2759 §8) and the keys that follow from it (RFC 3079 §3).
//!
//! MD4, SHA-1 and DES are the protocol's; it is safe only inside the TLS tunnel, where alone it is used. Called by
//! EAP-MSCHAPv2 in PEAP and by MS-CHAP-V2 in TTLS, on both sides.

mod keys;
mod message;

use des::{
    Des,
    cipher::{Array, BlockCipherEncrypt, KeyInit},
};
use md4::{Digest, Md4};
use sha1::Sha1;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

pub(crate) use keys::session_keys;
pub(crate) use message::{Message, Response, failure_text, read_failure};

/// Octets of a challenge, the authenticator's and the peer's.
pub(crate) const CHALLENGE: usize = 16;
/// Octets of the peer's proof.
pub(crate) const NT_RESPONSE: usize = 24;
/// RFC 2759 §4: 0 to 256 characters of Unicode.
const MAX_PASSWORD_UNITS: usize = 256;

/// `S=` and 40 digits (RFC 2759 §5).
pub(crate) const AUTHENTICATOR_RESPONSE: usize = 42;

const MAGIC_SERVER: &[u8] = b"Magic server to client signing constant";
const MAGIC_PAD: &[u8] = b"Pad to make it do more than one iteration";

/// MD4 of the password in UTF-16: as good as the password.
pub(crate) struct PasswordHash(Zeroizing<[u8; 16]>);

impl PasswordHash {
    /// RFC 2759 §8.3 NtPasswordHash. `None` where no such password can be typed: not UTF-8, or too long.
    pub(crate) fn of(password: &[u8]) -> Option<Self> {
        let mut units = Zeroizing::new(Vec::with_capacity(2 * password.len()));
        for unit in std::str::from_utf8(password).ok()?.encode_utf16() {
            units.extend_from_slice(&unit.to_le_bytes());
        }
        if units.len() > 2 * MAX_PASSWORD_UNITS {
            return None;
        }
        Some(Self(Zeroizing::new(Md4::digest(&*units).into())))
    }

    /// RFC 2759 §8.4 HashNtPasswordHash.
    fn hash(&self) -> Zeroizing<[u8; 16]> {
        Zeroizing::new(Md4::digest(*self.0).into())
    }
}

/// What both sides know of one exchange.
#[derive(Clone, Copy)]
pub(crate) struct Exchange<'a> {
    pub(crate) authenticator_challenge: &'a [u8; CHALLENGE],
    pub(crate) peer_challenge: &'a [u8; CHALLENGE],
    /// As the peer wrote it in its response.
    pub(crate) user: &'a [u8],
}

impl Exchange<'_> {
    /// RFC 2759 §8.1 GenerateNTResponse: the peer's proof.
    pub(crate) fn nt_response(&self, password: &PasswordHash) -> [u8; NT_RESPONSE] {
        challenge_response(&self.challenge_hash(), &password.0)
    }

    /// Is it the proof of somebody who knows the password? Constant time.
    pub(crate) fn proves(&self, password: &PasswordHash, nt_response: &[u8; NT_RESPONSE]) -> bool {
        self.nt_response(password).ct_eq(nt_response).into()
    }

    /// RFC 2759 §8.7 GenerateAuthenticatorResponse: the server's proof, `S=` and hexadecimal digits.
    pub(crate) fn authenticator_response(
        &self,
        password: &PasswordHash,
        nt_response: &[u8; NT_RESPONSE],
    ) -> [u8; AUTHENTICATOR_RESPONSE] {
        let digest =
            Sha1::new().chain_update(*password.hash()).chain_update(nt_response).chain_update(MAGIC_SERVER);
        let digest = Sha1::new()
            .chain_update(digest.finalize())
            .chain_update(self.challenge_hash())
            .chain_update(MAGIC_PAD)
            .finalize();
        let mut text = [0; AUTHENTICATOR_RESPONSE];
        let digits = digest.iter().flat_map(|octet| [octet >> 4, octet & 0xF]).map(hex_digit);
        for (place, octet) in text.iter_mut().zip([b'S', b'='].into_iter().chain(digits)) {
            *place = octet;
        }
        text
    }

    /// RFC 2759 §8.2 ChallengeHash. The user name goes in without a domain (§4: "DOMAIN\user").
    fn challenge_hash(&self) -> [u8; 8] {
        let user = self.user.splitn(2, |&octet| octet == b'\\').last().unwrap_or_default();
        let digest = Sha1::new()
            .chain_update(self.peer_challenge)
            .chain_update(self.authenticator_challenge)
            .chain_update(user)
            .finalize();
        let mut hash = [0; 8];
        for (place, octet) in hash.iter_mut().zip(digest) {
            *place = octet;
        }
        hash
    }
}

/// Upper case, as RFC 2759 §5 wants it.
pub(crate) fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 }
}

/// RFC 2759 §8.5 ChallengeResponse: the challenge under three DES keys cut from the hash.
fn challenge_response(challenge: &[u8; 8], hash: &[u8; 16]) -> [u8; NT_RESPONSE] {
    let mut padded = Zeroizing::new([0; 21]);
    for (place, octet) in padded.iter_mut().zip(hash) {
        *place = *octet;
    }
    let mut response = [0; NT_RESPONSE];
    let (keys, _) = padded.as_chunks::<7>();
    let (blocks, _) = response.as_chunks_mut::<8>();
    for (key, place) in keys.iter().zip(blocks) {
        let mut key = des_key(key);
        let mut block = Array::from(*challenge);
        Des::new(&Array::from(key)).encrypt_block(&mut block);
        key.zeroize();
        *place = block.into();
    }
    response
}

/// Seven octets spread over eight, the lowest bit of each left to the parity that DES does not look at.
fn des_key(key: &[u8; 7]) -> [u8; 8] {
    let bits = key.iter().fold(0_u64, |bits, octet| bits << 8 | u64::from(*octet));
    let mut place = 56;
    [0_u8; 8].map(|_| {
        place -= 7;
        ((bits >> place & 0x7F) as u8) << 1
    })
}

#[cfg(test)]
mod tests;
