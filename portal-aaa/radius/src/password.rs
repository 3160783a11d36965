//! Hiding of User-Password (RFC 2865 §5.2).

use md5::{Digest, Md5};
use zeroize::Zeroizing;

/// Longest password that the attribute carries.
const MAX_PASSWORD: usize = 128;

/// The attribute's value for `password`; none when it is longer than 128 octets.
pub fn hide_password(password: &[u8], secret: &[u8], request_authenticator: &[u8; 16]) -> Option<Vec<u8>> {
    if password.len() > MAX_PASSWORD {
        return None;
    }
    let mut previous = *request_authenticator;
    let mut hidden = Vec::with_capacity(MAX_PASSWORD);
    // An empty password still fills one block.
    for block in 0..password.len().div_ceil(16).max(1) {
        let plain = password.iter().skip(block * 16).chain(std::iter::repeat(&0));
        let mut cipher = mask(secret, &previous);
        cipher.iter_mut().zip(plain).for_each(|(octet, plain)| *octet ^= plain);
        hidden.extend(cipher);
        previous = cipher;
    }
    Some(hidden)
}

/// The password in the attribute's value, padding removed; none when the size is not 16 to 128 in steps of 16.
pub fn reveal_password(
    hidden: &[u8],
    secret: &[u8],
    request_authenticator: &[u8; 16],
) -> Option<Zeroizing<Vec<u8>>> {
    let (blocks, []) = hidden.as_chunks::<16>() else { return None };
    if blocks.is_empty() || hidden.len() > MAX_PASSWORD {
        return None;
    }
    let mut previous = request_authenticator;
    let mut password = Zeroizing::new(Vec::with_capacity(MAX_PASSWORD));
    for block in blocks {
        let plain = mask(secret, previous);
        password.extend(plain.iter().zip(block).map(|(mask, octet)| mask ^ octet));
        previous = block;
    }
    let end = password.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    password.truncate(end);
    Some(password)
}

fn mask(secret: &[u8], previous: &[u8; 16]) -> [u8; 16] {
    Md5::new().chain_update(secret).chain_update(previous).finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 2865 §7.1: nemo logs on with "arctangent", secret "xyzzy5461".
    #[test]
    fn rfc_2865_section_7_1() {
        let authenticator = *b"\x0f\x40\x3f\x94\x73\x97\x80\x57\xbd\x83\xd5\xcb\x98\xf4\x22\x7a";
        let expected = *b"\x0d\xbe\x70\x8d\x93\xd4\x13\xce\x31\x96\xe4\x3f\x78\x2a\x0a\xee";
        let hidden = hide_password(b"arctangent", b"xyzzy5461", &authenticator).unwrap();
        assert_eq!(hidden, expected);
        let shown = reveal_password(&hidden, b"xyzzy5461", &authenticator).unwrap();
        assert_eq!(&shown[..], b"arctangent");
    }

    #[test]
    fn sizes() {
        assert!(hide_password(&[b'x'; 129], b"s", &[0; 16]).is_none());
        assert_eq!(hide_password(b"", b"s", &[0; 16]).unwrap().len(), 16);
        for bad in [0, 15, 17, 144] {
            assert!(reveal_password(&vec![0; bad], b"s", &[0; 16]).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(password in "[^\0]{0,32}", secret in proptest::collection::vec(any::<u8>(), 1..40), authenticator: [u8; 16]) {
            let hidden = hide_password(password.as_bytes(), &secret, &authenticator).unwrap();
            let shown = reveal_password(&hidden, &secret, &authenticator).unwrap();
            prop_assert_eq!(&shown[..], password.as_bytes());
        }
    }
}
