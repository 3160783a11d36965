//! A network as `address/bits`, without host bits; a single address is a network of 32 or 128 bits.
//!
//! Keys of the session table, and the networks that `[proof] prefixes` lists.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use serde::Deserialize;

/// A network. IPv4-mapped IPv6 addresses (RFC 4291 §2.5.5.2) are IPv4 here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Prefix {
    network: IpAddr,
    bits: u8,
}

/// Not an `address/bits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a network is written as address/bits with no bits set behind the prefix, such as 10.64.0.0/16")]
pub struct PrefixError;

impl Prefix {
    /// The network of `bits` that holds `address`; none if there are not so many bits.
    pub fn around(address: IpAddr, bits: u8) -> Option<Self> {
        let network = match address.to_canonical() {
            IpAddr::V4(v4) if bits <= 32 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
            }
            IpAddr::V6(v6) if bits <= 128 => {
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
            }
            _ => return None,
        };
        Some(Self { network, bits })
    }

    /// The address alone.
    pub fn host(address: IpAddr) -> Self {
        let network = address.to_canonical();
        Self { network, bits: if network.is_ipv4() { 32 } else { 128 } }
    }

    /// Whether the address lies within.
    pub fn contains(&self, address: IpAddr) -> bool {
        let same_family = address.to_canonical().is_ipv4() == self.network.is_ipv4();
        same_family && Self::around(address, self.bits) == Some(*self)
    }

    /// First address.
    pub fn network(&self) -> IpAddr {
        self.network
    }

    /// Length.
    pub fn bits(&self) -> u8 {
        self.bits
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    /// A network with bits set behind the prefix is more often a slip than meant, so it is refused.
    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) if bits.bytes().all(|b| b.is_ascii_digit()) => {
                (address, Some(bits.parse().map_err(|_| PrefixError)?))
            }
            Some(_) => return Err(PrefixError),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| PrefixError)?;
        let Some(bits) = bits else { return Ok(Self::host(address)) };
        Self::around(address, bits).filter(|p| p.network == address).ok_or(PrefixError)
    }
}

impl TryFrom<String> for Prefix {
    type Error = PrefixError;

    fn try_from(text: String) -> Result<Self, PrefixError> {
        text.parse()
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_contain_their_addresses_and_no_others() {
        assert!(prefix("10.64.0.0/16").contains(ip("10.64.255.1")));
        assert!(!prefix("10.64.0.0/16").contains(ip("10.65.0.1")));
        assert!(prefix("0.0.0.0/0").contains(ip("203.0.113.9")));
        assert!(!prefix("0.0.0.0/0").contains(ip("2001:db8::1")));
        assert!(prefix("2001:db8:0:1::/64").contains(ip("2001:db8:0:1:ffff::1")));
        assert!(!prefix("2001:db8:0:1::/64").contains(ip("2001:db8:0:2::1")));
        assert!(!prefix("::/0").contains(ip("10.0.0.1")));
        assert_eq!(prefix("10.0.0.1"), Prefix::host(ip("10.0.0.1")));
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        assert!(prefix("10.64.0.0/16").contains(ip("::ffff:10.64.0.2")));
        assert_eq!(Prefix::host(ip("::ffff:10.64.0.2")), Prefix::host(ip("10.64.0.2")));
        assert!(!prefix("::/0").contains(ip("::ffff:10.64.0.2")));
    }

    #[test]
    fn slips_are_refused() {
        for bad in [
            "",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0/8",
            "x/8",
            "::/129",
            "::1/64",
        ] {
            assert_eq!(bad.parse::<Prefix>(), Err(PrefixError), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_address_is_in_the_networks_around_it(address in any::<IpAddr>(), bits in 0u8..=128) {
            if let Some(around) = Prefix::around(address, bits) {
                prop_assert!(around.contains(address));
                prop_assert_eq!(around.to_string().parse(), Ok(around));
            }
        }
    }
}
