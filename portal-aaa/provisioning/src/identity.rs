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
        // Each login comes here several times: one pass, no memory. Digits shift in from the right.
        let (mut value, mut digits) = (0u64, 0);
        for octet in text.bytes() {
            let digit = match octet {
                b'0'..=b'9' => octet - b'0',
                b'a'..=b'f' => octet - b'a' + 10,
                b'A'..=b'F' => octet - b'A' + 10,
                b':' | b'-' | b'.' => continue,
                _ => return Err(IdentityError::Mac),
            };
            value = value << 4 | u64::from(digit);
            digits += 1;
        }
        if digits != 12 || !matches!(text.len() - digits, 0 | 2 | 5) {
            return Err(IdentityError::Mac);
        }
        let [0, 0, octets @ ..] = value.to_be_bytes() else { return Err(IdentityError::Mac) };
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_printed_is_masked() {
        let imsi: Imsi = "001010123456789".parse().expect("an IMSI");
        let imei: Imei = "490154203237518".parse().expect("an IMEI");
        for printed in [imsi.to_string(), format!("{imsi:?}"), format!("{:#?}", Some(&imsi))] {
            assert!(printed.contains("00101••••••••89") && !printed.contains("0123456"), "{printed}");
        }
        for printed in [imei.to_string(), format!("{imei:?}"), format!("{:#?}", Some(&imei))] {
            assert!(printed.contains("4901•••••••••18") && !printed.contains("542032375"), "{printed}");
        }
    }

    #[test]
    fn an_error_does_not_repeat_what_was_refused() {
        let error = "0010101234567890123".parse::<Imsi>().expect_err("too long");
        assert!(!format!("{error} {error:?}").contains("0010101"));
    }

    #[test]
    fn lengths_and_digits_are_checked() {
        for good in ["001010", "001010123456789"] {
            assert!(good.parse::<Imsi>().is_ok(), "{good}");
        }
        for bad in ["", "00101", "0010101234567890", "00101012345678a", " 001010123456789", "٠٠١٠١٠١٢"]
        {
            assert_eq!(bad.parse::<Imsi>(), Err(IdentityError::Imsi), "{bad}");
        }
        for good in ["49015420323751", "490154203237518", "4901542032375101"] {
            assert!(good.parse::<Imei>().is_ok(), "{good}");
        }
        for bad in ["", "4901542032375", "49015420323751012", "49-015420-323751"] {
            assert_eq!(bad.parse::<Imei>(), Err(IdentityError::Imei), "{bad}");
        }
    }

    /// The 15th digit of an IMEI is a check digit, the 15th and 16th of an IMEISV are the software version.
    #[test]
    fn an_imei_equals_the_imeisv_of_the_same_equipment() {
        let parse = |text: &str| text.parse::<Imei>().expect("an IMEI");
        assert_eq!(parse("490154203237518"), parse("4901542032375177"));
        assert_eq!(parse("490154203237518"), parse("49015420323751"));
        assert_ne!(parse("490154203237518"), parse("490154203237528"));
    }

    #[test]
    fn an_address_is_read_in_any_notation() {
        let mac = Mac([0x02, 0xab, 0xcd, 0, 0x10, 0xff]);
        for text in
            ["02:ab:cd:00:10:ff", "02-AB-CD-00-10-FF", "02ab.cd00.10ff", "02aBcD0010Ff", "02:AB:cd:00:10:Ff"]
        {
            assert_eq!(text.parse(), Ok(mac), "{text}");
        }
        for text in [
            "",
            "02:ab:cd:00:10",
            "02:ab:cd:00:10:ff:00",
            "02:ab:cd:00:10:fg",
            "+2abcd0010ff",
            "02ab:cd0010ff",
        ] {
            assert_eq!(text.parse::<Mac>(), Err(IdentityError::Mac), "{text}");
        }
        assert_eq!(mac.to_string(), "02:ab:cd:00:10:ff");
        assert!(mac.is_locally_administered());
        assert!(!Mac([0x00, 0x10, 0xa4, 0x23, 0x19, 0xc0]).is_locally_administered());
    }

    proptest! {
        #[test]
        fn addresses_round_trip(octets in any::<[u8; 6]>()) {
            prop_assert_eq!(Mac(octets).to_string().parse(), Ok(Mac(octets)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,24}") {
            let _ = (text.parse::<Imsi>(), text.parse::<Imei>(), text.parse::<Mac>());
        }

        #[test]
        fn masks_hide_all_but_the_ends(digits in "[0-9]{6,15}") {
            let masked = digits.parse::<Imsi>().expect("an IMSI").masked();
            let hidden = masked.chars().filter(|c| *c == '•').count();
            prop_assert_eq!(hidden, digits.len().saturating_sub(7));
        }
    }
}
