//! MS-MPPE-Send-Key and -Recv-Key: session keys on their way to the access point (RFC 2548 §2.4.2, §2.4.3).

use md5::{Digest, Md5};
use zeroize::Zeroizing;

/// Longest key whose length octet, key and padding fit one vendor attribute.
const MAX_KEY: usize = 239;

/// Why a wrapped key was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MppeError {
    /// Not a salt and blocks of 16 octets, or a salt without its high bit.
    #[error("wrapped key of {got} octets is malformed")]
    Malformed {
        /// Octets of the value.
        got: usize,
    },
    /// The length octet does not fit: wrong secret or authenticator.
    #[error("wrapped key does not open with this secret")]
    Secret,
    /// The key is too long to be sent.
    #[error("key of {got} octets, expected at most 239")]
    TooLong {
        /// Octets of the key.
        got: usize,
    },
}

/// Salt of one wrapped key: high bit set, unique within the packet (RFC 2548 §2.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 2]);

impl Salt {
    /// Two salts out of random octets that are never the same.
    pub fn pair(random: [u8; 2]) -> (Self, Self) {
        let [high, low] = random;
        (Self([high | 0x80, low & 0xfe]), Self([high | 0x80, low | 0x01]))
    }
}

/// The vendor attribute's value for `key`.
pub fn wrap_key(
    key: &[u8],
    salt: Salt,
    secret: &[u8],
    request_authenticator: &[u8; 16],
) -> Result<Vec<u8>, MppeError> {
    let mut value = Vec::with_capacity(wrapped_len(key.len()));
    wrap_key_into(key, salt, secret, request_authenticator, &mut value)?;
    Ok(value)
}

/// Octets of the value for a key of this size: salt, length octet and key in whole blocks.
pub(crate) fn wrapped_len(key: usize) -> usize {
    2 + (1 + key).next_multiple_of(16)
}

/// Appends the value for `key` to `out`; nothing of the key in clear stands in any buffer of ours.
pub(crate) fn wrap_key_into(
    key: &[u8],
    salt: Salt,
    secret: &[u8],
    request_authenticator: &[u8; 16],
    out: &mut Vec<u8>,
) -> Result<(), MppeError> {
    let length = u8::try_from(key.len()).ok().filter(|length| usize::from(*length) <= MAX_KEY);
    let length = length.ok_or(MppeError::TooLong { got: key.len() })?;
    out.extend(salt.0);
    let mut plain = std::iter::once(length).chain(key.iter().copied());
    let mut mask = first_mask(secret, request_authenticator, salt.0);
    for _ in 0..(1 + key.len()).div_ceil(16) {
        mask.iter_mut().for_each(|octet| *octet ^= plain.next().unwrap_or(0));
        out.extend(mask);
        mask = next_mask(secret, &mask);
    }
    Ok(())
}

/// The key in a vendor attribute's value.
pub fn unwrap_key(
    value: &[u8],
    secret: &[u8],
    request_authenticator: &[u8; 16],
) -> Result<Zeroizing<Vec<u8>>, MppeError> {
    let malformed = MppeError::Malformed { got: value.len() };
    let (&salt, cipher) = value.split_first_chunk::<2>().ok_or(malformed)?;
    let (blocks, []) = cipher.as_chunks::<16>() else { return Err(malformed) };
    if blocks.is_empty() || salt[0] & 0x80 == 0 {
        return Err(malformed);
    }
    let mut plain = Zeroizing::new(Vec::with_capacity(cipher.len()));
    let mut mask = first_mask(secret, request_authenticator, salt);
    for block in blocks {
        plain.extend(mask.iter().zip(block).map(|(mask, octet)| mask ^ octet));
        mask = next_mask(secret, block);
    }
    let (length, rest) = plain.split_first().ok_or(malformed)?;
    let (key, padding) = rest.split_at_checked(usize::from(*length)).ok_or(MppeError::Secret)?;
    if padding.len() > 15 || padding.iter().any(|octet| *octet != 0) {
        return Err(MppeError::Secret);
    }
    Ok(Zeroizing::new(key.to_vec()))
}

/// b(1) = MD5(S + R + A).
fn first_mask(secret: &[u8], request_authenticator: &[u8; 16], salt: [u8; 2]) -> [u8; 16] {
    Md5::new().chain_update(secret).chain_update(request_authenticator).chain_update(salt).finalize().into()
}

/// b(i) = MD5(S + c(i-1)).
fn next_mask(secret: &[u8], cipher: &[u8; 16]) -> [u8; 16] {
    Md5::new().chain_update(secret).chain_update(cipher).finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn salts_differ_and_have_the_high_bit() {
        for random in [[0, 0], [0x7f, 0xff], [0xff, 1]] {
            let (send, receive) = Salt::pair(random);
            assert_ne!(send, receive);
            assert!(send.0[0] & receive.0[0] & 0x80 != 0);
        }
    }

    #[test]
    fn a_32_octet_key_fills_three_blocks() {
        let (salt, _) = Salt::pair([1, 2]);
        let value = wrap_key(&[7; 32], salt, b"secret", &[3; 16]).unwrap();
        assert_eq!(value.len(), 2 + 48);
        assert_eq!(&unwrap_key(&value, b"secret", &[3; 16]).unwrap()[..], [7; 32]);
        assert_eq!(unwrap_key(&value[..49], b"secret", &[3; 16]), Err(MppeError::Malformed { got: 49 }));
        assert_eq!(wrap_key(&[7; 240], salt, b"s", &[0; 16]), Err(MppeError::TooLong { got: 240 }));
    }

    proptest! {
        #[test]
        fn round_trip(key in proptest::collection::vec(any::<u8>(), 0..=239), random: [u8; 2], secret: [u8; 9], authenticator: [u8; 16]) {
            let (salt, _) = Salt::pair(random);
            let value = wrap_key(&key, salt, &secret, &authenticator).unwrap();
            prop_assert!(value.len() + 6 <= 253);
            prop_assert_eq!(&unwrap_key(&value, &secret, &authenticator).unwrap()[..], &key[..]);
        }

        #[test]
        fn another_authenticator_gives_no_key(key: [u8; 32], a: [u8; 16], b: [u8; 16]) {
            prop_assume!(a != b);
            let (salt, _) = Salt::pair([0; 2]);
            let value = wrap_key(&key, salt, b"secret", &a).unwrap();
            prop_assert_ne!(unwrap_key(&value, b"secret", &b).map(|k| k.to_vec()).ok(), Some(key.to_vec()));
        }

        #[test]
        fn arbitrary_values_never_panic(value in proptest::collection::vec(any::<u8>(), 0..260)) {
            let _ = unwrap_key(&value, b"secret", &[0; 16]);
        }
    }
}
