//! MSISDN: parsed once, never printed by accident.

use std::{fmt, str::FromStr};

use zeroize::Zeroize;

/// A subscriber's telephone number, international (ITU-T E.164 §6). `Debug` and `Display` mask it.
#[derive(Clone, PartialEq, Eq)]
pub struct Msisdn(String);

/// Not an MSISDN; says nothing of what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an MSISDN is 5 to 15 decimal digits in international form, with or without a +")]
pub struct MsisdnError;

impl Msisdn {
    /// The digits, without `+`. For keyed hash and sealing only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Msisdn {
    type Err = MsisdnError;

    fn from_str(text: &str) -> Result<Self, MsisdnError> {
        let digits = text.strip_prefix('+').unwrap_or(text);
        let fits = (5..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        // No country code begins with 0: it is a national number.
        if fits && !digits.starts_with('0') { Ok(Self(digits.to_owned())) } else { Err(MsisdnError) }
    }
}

impl fmt::Display for Msisdn {
    /// Country code, about, and the last two digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.0.len().saturating_sub(2);
        f.write_str("+")?;
        self.0
            .chars()
            .enumerate()
            .try_for_each(|(at, c)| write!(f, "{}", if at < 2 || at >= last { c } else { '•' }))
    }
}

impl fmt::Debug for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Drop for Msisdn {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_international_and_masked() {
        let number: Msisdn = "+491701234567".parse().unwrap();
        assert_eq!(Ok(&number), "491701234567".parse().as_ref());
        assert_eq!(format!("{number} {number:?}"), "+49••••••••67 +49••••••••67");
        for bad in
            ["", "+", "1234", "01701234567", "++491701234567", "49 170 1234567", "1234567890123456", "49170x"]
        {
            assert_eq!(bad.parse::<Msisdn>(), Err(MsisdnError), "{bad}");
        }
    }
}
