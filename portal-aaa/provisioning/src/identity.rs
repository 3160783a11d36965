//! IMSI, IMEI and MAC: parsed once, never printed by accident.

use std::{fmt, str::FromStr};

use zeroize::Zeroize;

/// Why an identifier was refused; says nothing of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// 6 to 15 decimal digits (3GPP TS 23.003 §2.2).
    #[error("an IMSI is 6 to 15 decimal digits")]
    Imsi,
    /// 14 to 16 decimal digits (3GPP TS 23.003 §6.2).
    #[error("an IMEI is 14 to 16 decimal digits")]
    Imei,
    /// Six octets in hexadecimal, with `:`, `-`, `.` or nothing between.
    #[error("a MAC address is six octets in hexadecimal")]
    Mac,
}

/// International Mobile Subscriber Identity. `Debug` and `Display` mask it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Imsi(String);

/// International Mobile Equipment Identity: 14 digits (without check digit), 15 (IMEI) or 16 (IMEISV).
#[derive(Clone)]
pub struct Imei(String);

/// IEEE 802 MAC address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

fn digits(text: &str, min: usize, max: usize) -> bool {
    (min..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn mask(text: &str, head: usize, tail: usize) -> String {
    let chars = text.chars().count();
    text.chars().enumerate().map(|(i, c)| if i < head || i + tail >= chars { c } else { '•' }).collect()
}

impl Imsi {
    /// The digits. For wire and keyed hash only.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// MCC, MNC and the last two digits; what logs and people see.
    pub fn masked(&self) -> String {
        mask(&self.0, 5, 2)
    }
}

impl FromStr for Imsi {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        if digits(text, 6, 15) { Ok(Self(text.to_owned())) } else { Err(IdentityError::Imsi) }
    }
}

impl Imei {
    /// The digits as they came. For wire and keyed hash only.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Type allocation code and serial number: the 14 digits that IMEI and IMEISV share.
    pub fn equipment(&self) -> &str {
        self.0.get(..14).unwrap_or(&self.0)
    }

    /// What logs and people see.
    pub fn masked(&self) -> String {
        mask(&self.0, 4, 2)
    }
}

/// IMEI and IMEISV of one device are equal: only the first 14 digits count (3GPP TS 23.003 §6.2).
impl PartialEq for Imei {
    fn eq(&self, other: &Self) -> bool {
        self.equipment() == other.equipment()
    }
}

impl Eq for Imei {}

impl FromStr for Imei {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        if digits(text, 14, 16) { Ok(Self(text.to_owned())) } else { Err(IdentityError::Imei) }
    }
}

impl Mac {
    /// Bit 0x02 of the first octet: given by somebody other than the maker.
    pub fn is_locally_administered(self) -> bool {
        self.0[0] & 0x02 != 0
    }
}

/// Any notation that access points send: `aa:bb:…`, `AA-BB-…`, `aabb.ccdd.eeff`, `aabbccddeeff`.
impl FromStr for Mac {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        if text.len() > 17 {
            return Err(IdentityError::Mac);
        }
        let hex: Vec<u8> = text.bytes().filter(|b| !matches!(b, b':' | b'-' | b'.')).collect();
        let separators = text.len() - hex.len();
        if hex.len() != 12 || !matches!(separators, 0 | 2 | 5) {
            return Err(IdentityError::Mac);
        }
        let mut octets = [0u8; 6];
        for (octet, pair) in octets.iter_mut().zip(hex.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| IdentityError::Mac)?;
            if !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(IdentityError::Mac);
            }
            *octet = u8::from_str_radix(pair, 16).map_err(|_| IdentityError::Mac)?;
        }
        Ok(Self(octets))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! masked {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.masked())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.masked())
            }
        }
        impl Drop for $name {
            fn drop(&mut self) {
                self.0.zeroize();
            }
        }
    )*};
}
masked!(Imsi, Imei);
