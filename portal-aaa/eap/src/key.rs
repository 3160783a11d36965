//! Keys that a finished method exports (RFC 3748 §7.10).

use std::fmt;

use zeroize::Zeroizing;

/// Octets of a key or password that are cleared when they go.
pub(crate) type Secret = Zeroizing<Vec<u8>>;

/// Is it the same password? The time that it takes tells how long the claimed one is, and nothing of the known one.
pub(crate) fn same_password(claimed: &[u8], known: &[u8]) -> bool {
    use subtle::ConstantTimeEq;
    let padded = known.iter().chain(std::iter::repeat(&0));
    let difference = claimed.iter().zip(padded).fold(0, |difference, (a, b)| difference | a ^ b);
    (difference.ct_eq(&0) & claimed.len().ct_eq(&known.len())).into()
}

/// Master Session Key. Not printable, and cleared when it goes.
#[derive(Clone)]
pub struct Msk(Zeroizing<[u8; Self::LEN]>);

impl Msk {
    /// Octets in it.
    pub const LEN: usize = 64;

    /// The first octets of what a method derived; `None` if it has too few.
    pub(crate) fn cut(octets: &[u8]) -> Option<Self> {
        octets.first_chunk().map(|octets| Self(Zeroizing::new(*octets)))
    }

    /// All of it. Name the reason where you call it.
    pub fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// First half: MS-MPPE-Recv-Key (RFC 2548 §2.4.3), the pairwise master key of WPA.
    pub fn recv_key(&self) -> &[u8] {
        self.0.split_at(Self::LEN / 2).0
    }

    /// Second half: MS-MPPE-Send-Key (RFC 2548 §2.4.2).
    pub fn send_key(&self) -> &[u8] {
        self.0.split_at(Self::LEN / 2).1
    }
}

/// Constant time.
impl PartialEq for Msk {
    fn eq(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        self.0.ct_eq(&*other.0).into()
    }
}

impl Eq for Msk {}

impl fmt::Debug for Msk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Msk(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_the_mppe_keys() {
        let octets: Vec<u8> = (0..128).collect();
        let msk = Msk::cut(&octets).unwrap();
        assert_eq!((msk.recv_key(), msk.send_key()), (&octets[..32], &octets[32..64]));
        assert_eq!(msk.expose(), &octets[..64]);
        assert!(Msk::cut(&octets[..63]).is_none());
    }

    #[test]
    fn passwords_are_the_same_as_a_whole() {
        assert!(same_password(b"secret", b"secret") && same_password(b"", b""));
        for other in [&b"secre"[..], b"secrets", b"secreT", b"", b"secret\0"] {
            assert!(!same_password(other, b"secret") && !same_password(b"secret", other));
        }
    }

    #[test]
    fn debug_never_shows_it() {
        assert_eq!(format!("{:?}", Msk::cut(&[0xAB; 64])), "Some(Msk(…))");
    }
}
