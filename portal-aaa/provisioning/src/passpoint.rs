//! Networks known by what they advertise, not by name: IEEE 802.11u, called Passpoint by the Wi-Fi Alliance.
//!
//! The fields are those that an access point tells before a login: roaming consortium OIs in its beacon and by ANQP
//! (IEEE 802.11-2020 §9.4.2.96, §9.4.5.7), NAI realms (§9.4.5.10), domain names (§9.4.5.15).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Most entries of a policy.
pub const MAX_PASSPOINTS: usize = 8;
/// Most roaming consortiums of an entry.
pub const MAX_CONSORTIUMS: usize = 8;
/// Most domains of an entry.
pub const MAX_DOMAINS: usize = 4;

/// One operator's or federation's networks. Something to know them by is there: a consortium, a domain or a realm.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Passpoint {
    /// Higher is preferred; the same scale as a network's.
    pub priority: i32,
    /// Organization identifiers whose members' credentials are taken; at most [`MAX_CONSORTIUMS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roaming_consortiums: Vec<Oi>,
    /// Domain names of the operator whose own networks these are: an access point that tells one of them is home, others
    /// are roaming partners'. At most [`MAX_DOMAINS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<String>,
    /// NAI realm that the access point takes logins of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
}

impl Passpoint {
    /// There is something to know a network by.
    pub fn is_recognisable(&self) -> bool {
        !self.roaming_consortiums.is_empty() || !self.domains.is_empty() || self.realm.is_some()
    }
}

/// Organization identifier: three octets (OUI) or five (OUI-36), written as hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Oi {
    octets: [u8; 5],
    length: u8,
}

/// Not an organization identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an organization identifier is 3 or 5 octets in hexadecimal, such as 506f9a")]
pub struct OiError;

impl Oi {
    /// Its octets, in the order in which they stand on the air.
    pub fn octets(&self) -> &[u8] {
        self.octets.get(..usize::from(self.length)).unwrap_or(&self.octets)
    }
}

impl TryFrom<&[u8]> for Oi {
    type Error = OiError;

    fn try_from(octets: &[u8]) -> Result<Self, OiError> {
        match *octets {
            [a, b, c] => Ok(Self { octets: [a, b, c, 0, 0], length: 3 }),
            [a, b, c, d, e] => Ok(Self { octets: [a, b, c, d, e], length: 5 }),
            _ => Err(OiError),
        }
    }
}

impl FromStr for Oi {
    type Err = OiError;

    fn from_str(text: &str) -> Result<Self, OiError> {
        if !matches!(text.len(), 6 | 10) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(OiError);
        }
        let mut octets = [0; 5];
        for (octet, pair) in octets.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| OiError)?;
            *octet = u8::from_str_radix(pair, 16).map_err(|_| OiError)?;
        }
        Ok(Self { octets, length: if text.len() == 6 { 3 } else { 5 } })
    }
}

impl fmt::Display for Oi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.octets().iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Oi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Oi {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Oi {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_or_five_octets() {
        for (text, octets) in
            [("506f9a", &[0x50, 0x6f, 0x9a][..]), ("004096AABB", &[0x00, 0x40, 0x96, 0xaa, 0xbb][..])]
        {
            let oi: Oi = text.parse().expect("an OI");
            assert_eq!((oi.octets(), oi.to_string()), (octets, text.to_ascii_lowercase()));
            assert_eq!(Oi::try_from(octets), Ok(oi));
        }
        for bad in ["", "506f9", "506f9a00", "50:6f:9a", "506f9g", "+06f9a", "506f9aé", "506f9a000000"] {
            assert_eq!(bad.parse::<Oi>(), Err(OiError), "{bad}");
        }
        assert_eq!(Oi::try_from(&[1u8, 2, 3, 4][..]), Err(OiError));
        assert_ne!("506f9a".parse::<Oi>(), "506f9a0000".parse::<Oi>());
    }
}
