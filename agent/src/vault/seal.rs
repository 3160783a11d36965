//! Seals octets under the device's key: AES-256-SIV (RFC 5297), so that even a repeated nonce tells no more than
//! that two files are equal. Pure; `file` brings the key and the nonce.

use aes_siv::{
    Aes256SivAead, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Octets of a nonce.
pub(super) const NONCE: usize = 16;
/// Fewest octets of a key that is worth the name.
pub(super) const MIN_KEY: usize = 32;

/// First octets of a sealed file: what it is, and which format. Authenticated with it.
const MAGIC: &[u8; 8] = b"WO-VLT\x00\x01";
/// Octets of `AES-256-SIV`'s key (RFC 5297 §2.2: two keys).
const SIV_KEY: usize = 64;

/// Why a sealed file gives nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Other first octets, or too short.
    #[error("not a vault file of this version")]
    Foreign,
    /// Changed, cut off, or sealed under another key.
    #[error("damaged, or sealed under another key")]
    NotAuthentic,
    /// The cipher refused; cannot be with keys of these lengths.
    #[error("the cipher failed")]
    Cipher,
}

/// The device's key, and what is made of it.
pub(super) struct Key {
    seal: Zeroizing<[u8; SIV_KEY]>,
    subscriber: Zeroizing<[u8; 32]>,
}

impl Key {
    /// Derives one key for each use (RFC 5869) from the octets of the key file.
    pub(super) fn derive(octets: &[u8]) -> Result<Self, SealError> {
        let derive = Hkdf::<Sha256>::new(None, octets);
        let mut key = Self { seal: Zeroizing::new([0; SIV_KEY]), subscriber: Zeroizing::new([0; 32]) };
        let sealed = derive.expand(b"wifi-offload vault 1 seal", key.seal.as_mut_slice());
        let handle = derive.expand(b"wifi-offload vault 1 subscriber", key.subscriber.as_mut_slice());
        sealed.and(handle).map_err(|_| SealError::Cipher)?;
        Ok(key)
    }

    /// Key of the handle that stands for the IMSI.
    pub(super) fn subscriber(&self) -> [u8; 32] {
        *self.subscriber
    }

    /// `magic ‖ nonce ‖ ciphertext`.
    pub(super) fn seal(&self, nonce: [u8; NONCE], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let payload = Payload { msg: plain, aad: MAGIC };
        let sealed = self.cipher()?.encrypt(&Nonce::from(nonce), payload).map_err(|_| SealError::Cipher)?;
        Ok([MAGIC.as_slice(), &nonce, &sealed].concat())
    }

    /// The other way.
    pub(super) fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let rest = sealed.strip_prefix(MAGIC).ok_or(SealError::Foreign)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>().ok_or(SealError::Foreign)?;
        let payload = Payload { msg: sealed, aad: MAGIC };
        let plain =
            self.cipher()?.decrypt(&Nonce::from(*nonce), payload).map_err(|_| SealError::NotAuthentic)?;
        Ok(Zeroizing::new(plain))
    }

    fn cipher(&self) -> Result<Aes256SivAead, SealError> {
        Aes256SivAead::new_from_slice(self.seal.as_slice()).map_err(|_| SealError::Cipher)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(octet: u8) -> Key {
        Key::derive(&[octet; 64]).expect("derives")
    }

    #[test]
    fn another_key_opens_nothing() {
        let sealed = key(1).seal([7; NONCE], b"secret").expect("seals");
        assert_eq!(key(2).open(&sealed).err(), Some(SealError::NotAuthentic));
        assert_ne!(key(1).subscriber(), key(2).subscriber());
    }

    #[test]
    fn another_format_is_foreign() {
        let mut sealed = key(1).seal([7; NONCE], b"secret").expect("seals");
        sealed[7] = 2;
        assert_eq!(key(1).open(&sealed).err(), Some(SealError::Foreign));
        assert_eq!(key(1).open(b"").err(), Some(SealError::Foreign));
        assert_eq!(key(1).open(MAGIC).err(), Some(SealError::Foreign));
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out_and_is_not_readable(
            plain in proptest::collection::vec(any::<u8>(), 16..300),
            nonce: [u8; NONCE],
        ) {
            let sealed = key(1).seal(nonce, &plain).expect("seals");
            prop_assert!(!sealed.windows(plain.len()).any(|window| window == plain));
            let opened = key(1).open(&sealed).expect("opens");
            prop_assert_eq!(opened.as_slice(), plain.as_slice());
        }

        #[test]
        fn any_changed_bit_is_seen(plain: [u8; 40], at in 0usize..(8 + NONCE + 16 + 40), bit in 0u8..8) {
            let mut sealed = key(1).seal([7; NONCE], &plain).expect("seals");
            sealed[at] ^= 1 << bit;
            prop_assert!(key(1).open(&sealed).is_err());
        }

        #[test]
        fn truncations_and_noise_are_refused(plain: [u8; 40], cut in 0usize..64, noise: Vec<u8>) {
            let sealed = key(1).seal([7; NONCE], &plain).expect("seals");
            prop_assert!(key(1).open(&sealed[..cut.min(sealed.len() - 1)]).is_err());
            prop_assert!(key(1).open(&noise).is_err());
        }
    }
}
