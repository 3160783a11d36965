//! MS-CHAP-V2 arithmetic (RFC 2759 §8). Called by the facade beside it and by the methods of both sides.

use des::{
    Des,
    cipher::{Array, BlockCipherEncrypt, KeyInit},
};
use md4::{Digest, Md4};
use sha1::Sha1;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::{AUTHENTICATOR_RESPONSE, CHALLENGE, KEY, NT_RESPONSE, keys};

/// RFC 2759 §4: 0 to 256 characters of Unicode.
const MAX_PASSWORD_UNITS: usize = 256;

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
    pub(super) fn hash(&self) -> Zeroizing<[u8; 16]> {
        Zeroizing::new(Md4::digest(*self.0).into())
    }

    #[cfg(test)]
    pub(super) fn octets(&self) -> &[u8] {
        &*self.0
    }
}

/// What both sides know of one exchange.
#[derive(Clone, Copy)]
pub(crate) struct Exchange<'a> {
    pub(crate) authenticator_challenge: &'a [u8; CHALLENGE],
    pub(crate) peer_challenge: &'a [u8; CHALLENGE],
}

/// A proof that is right, and what follows from it.
pub(crate) struct Proof {
    pub(crate) nt_response: [u8; NT_RESPONSE],
    challenge: [u8; 8],
    hash_hash: Zeroizing<[u8; 16]>,
}

/// RFC 2759 §4: the name goes into the proof without its domain ("DOMAIN\user").
pub(crate) fn without_domain(user: &[u8]) -> &[u8] {
    user.splitn(2, |&octet| octet == b'\\').last().unwrap_or_default()
}

impl Exchange<'_> {
    /// RFC 2759 §8.1 GenerateNTResponse: the peer's proof, made with exactly this name.
    pub(crate) fn prove(&self, password: &PasswordHash, user: &[u8]) -> Proof {
        let challenge = self.challenge_hash(user);
        let nt_response = challenge_response(&challenge, password);
        Proof { nt_response, challenge, hash_hash: password.hash() }
    }

    /// Is it the proof of somebody who knows the password? It may have been made with the name that came with it or
    /// with the identity, which differ in case with some peers, and of either without its domain or with it.
    pub(crate) fn verify(
        &self,
        password: &PasswordHash,
        name: &[u8],
        identity: &[u8],
        nt_response: &[u8; NT_RESPONSE],
    ) -> Option<Proof> {
        let names = [without_domain(name), name, without_domain(identity), identity];
        let different = names
            .iter()
            .enumerate()
            .filter(|(place, name)| !names.iter().take(*place).any(|other| other == *name));
        let mut challenges = different.map(|(_, name)| self.challenge_hash(name));
        let challenge = challenges
            .find(|challenge| bool::from(challenge_response(challenge, password).ct_eq(nt_response)))?;
        Some(Proof { nt_response: *nt_response, challenge, hash_hash: password.hash() })
    }

    /// RFC 2759 §8.2 ChallengeHash.
    pub(super) fn challenge_hash(&self, user: &[u8]) -> [u8; 8] {
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

impl Proof {
    /// RFC 2759 §8.7 GenerateAuthenticatorResponse: the server's proof, `S=` and hexadecimal digits.
    pub(crate) fn authenticator_response(&self) -> [u8; AUTHENTICATOR_RESPONSE] {
        let digest = Sha1::new()
            .chain_update(*self.hash_hash)
            .chain_update(self.nt_response)
            .chain_update(MAGIC_SERVER)
            .finalize();
        let digest =
            Sha1::new().chain_update(digest).chain_update(self.challenge).chain_update(MAGIC_PAD).finalize();
        let mut text = [0; AUTHENTICATOR_RESPONSE];
        let digits = digest.iter().flat_map(|octet| [octet >> 4, octet & 0xF]).map(hex_digit);
        for (place, octet) in text.iter_mut().zip([b'S', b'='].into_iter().chain(digits)) {
            *place = octet;
        }
        text
    }

    /// The two start keys of RFC 3079 §3.4, the one that the peer sends with first.
    pub(crate) fn session_keys(&self) -> [Zeroizing<[u8; KEY]>; 2] {
        keys::session_keys(&self.hash_hash, &self.nt_response)
    }

    /// Both in one piece, in this order: what crypto-binding in PEAP takes as the key of the inner method.
    pub(crate) fn session_key(&self) -> Zeroizing<[u8; 2 * KEY]> {
        let [first, second] = self.session_keys();
        let mut key = Zeroizing::new([0; 2 * KEY]);
        for (place, octet) in key.iter_mut().zip(first.iter().chain(&*second)) {
            *place = *octet;
        }
        key
    }
}

/// Upper case, as RFC 2759 §5 wants it.
pub(super) fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 }
}

/// RFC 2759 §8.5 ChallengeResponse: the challenge under three DES keys cut from the hash.
pub(super) fn challenge_response(challenge: &[u8; 8], password: &PasswordHash) -> [u8; NT_RESPONSE] {
    let mut padded = Zeroizing::new([0; 21]);
    for (place, octet) in padded.iter_mut().zip(&*password.0) {
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
mod tests {
    use super::*;
    use crate::tests::Vectors;

    #[test]
    fn des_keys_leave_the_parity_bit_out() {
        assert_eq!(des_key(&[0xFF; 7]), [0xFE; 8]);
        assert_eq!(des_key(&[0x80, 0, 0, 0, 0, 0, 1]), [0x80, 0, 0, 0, 0, 0, 0, 2]);
    }

    #[test]
    fn rfc_2759_9_3() {
        let vectors = Vectors::read(include_str!("../../vectors/rfc2759.txt"));
        for (raw, key) in [("RawKey1", "Key1"), ("RawKey2", "Key2")] {
            let odd = |octet: u8| octet | u8::from(octet.count_ones().is_multiple_of(2));
            assert_eq!(des_key(&vectors.array(raw)).map(odd), vectors.array(key));
        }
    }

    #[test]
    fn passwords_that_cannot_be_typed_have_no_hash() {
        assert!(PasswordHash::of(&[0xFF]).is_none());
        assert!(PasswordHash::of(&[b'a'; 257]).is_none());
        assert!(PasswordHash::of(&[b'a'; 256]).is_some());
        assert!(PasswordHash::of("pässwörd €".as_bytes()).is_some());
    }

    #[test]
    fn a_name_counts_with_and_without_its_domain() {
        let exchange = Exchange { authenticator_challenge: &[1; 16], peer_challenge: &[2; 16] };
        let hash = PasswordHash::of(b"secret").unwrap();
        let made_with = |name: &[u8]| exchange.prove(&hash, name).nt_response;
        let verify = |name: &[u8], identity: &[u8], made: &[u8]| {
            let proof = exchange.verify(&hash, name, identity, &made_with(made))?;
            // The server's proof is over the same name, or the peer would not believe it.
            assert_eq!(proof.authenticator_response(), exchange.prove(&hash, made).authenticator_response());
            Some(())
        };
        for made in [&b"user"[..], b"LAB\\user"] {
            assert!(verify(b"LAB\\user", b"LAB\\user", made).is_some());
            assert!(verify(b"user", b"LAB\\user", made).is_some());
        }
        assert!(verify(b"USER", b"user", b"user").is_some() && verify(b"USER", b"user", b"USER").is_some());
        assert!(verify(b"user", b"user", b"users").is_none());
        assert_eq!(without_domain(b"A\\b\\c"), b"b\\c");
    }
}
