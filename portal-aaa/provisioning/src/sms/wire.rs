//! Octets in and out: numbers of variable length, text, digits. Neither side trusts the other's lengths.

use zeroize::Zeroizing;

use super::{MAX_MESSAGE, SmsError};

/// Writes one message; cleared when it goes, because replies hold a password.
pub(super) struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    /// Room for all of it, so that growing leaves no copies behind.
    pub(super) fn new() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(2 * MAX_MESSAGE)))
    }

    pub(super) fn octets(&mut self, octets: &[u8]) {
        // Whatever is longer is refused at the end; what is kept of it does not matter.
        if self.0.len() + octets.len() <= 2 * MAX_MESSAGE {
            self.0.extend_from_slice(octets);
        } else {
            self.0.resize(2 * MAX_MESSAGE, 0);
        }
    }

    pub(super) fn octet(&mut self, octet: u8) {
        self.octets(&[octet]);
    }

    /// Seven bits an octet, least first; the high bit says that more follow.
    pub(super) fn number(&mut self, mut number: u64) {
        loop {
            let low = (number & 0x7f) as u8;
            number >>= 7;
            if number == 0 {
                return self.octet(low);
            }
            self.octet(low | 0x80);
        }
    }

    /// Small numbers of both signs in few octets: 0, -1, 1, -2 …
    pub(super) fn signed(&mut self, number: i32) {
        let number = i64::from(number);
        self.number(((number << 1) ^ (number >> 63)).cast_unsigned() & 0xffff_ffff);
    }

    /// Length and octets.
    pub(super) fn block(&mut self, octets: &[u8]) {
        self.number(octets.len() as u64);
        self.octets(octets);
    }

    /// Text that may end with the realm, which then is left out: twice the length, and one where it is.
    pub(super) fn text(&mut self, text: &str, realm: &str) {
        let (text, within) = match text.strip_suffix(realm) {
            Some(front) if !realm.is_empty() => (front, 1),
            _ => (text, 0),
        };
        self.number(text.len() as u64 * 2 + within);
        self.octets(text.as_bytes());
    }

    /// Count of digits, then two an octet, the first in the high half; an odd one is filled up with `f`.
    pub(super) fn digits(&mut self, digits: &str) {
        self.octet(u8::try_from(digits.len()).unwrap_or(u8::MAX));
        for pair in digits.as_bytes().chunks(2) {
            let half = |at: usize| pair.get(at).map_or(0xf, |digit| digit.wrapping_sub(b'0') & 0xf);
            self.octet(half(0) << 4 | half(1));
        }
    }

    pub(super) fn done(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

/// Reads one message.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    pub(super) fn octets(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], SmsError> {
        let (octets, rest) = self.0.split_at_checked(length).ok_or(SmsError::Short(what))?;
        self.0 = rest;
        Ok(octets)
    }

    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], SmsError> {
        self.octets(N, what)?.try_into().map_err(|_| SmsError::Short(what))
    }

    pub(super) fn octet(&mut self, what: &'static str) -> Result<u8, SmsError> {
        self.array::<1>(what).map(|[octet]| octet)
    }

    pub(super) fn number(&mut self, what: &'static str) -> Result<u64, SmsError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let octet = self.octet(what)?;
            let bits = u64::from(octet & 0x7f);
            if bits << shift >> shift != bits {
                return Err(SmsError::Value(what));
            }
            number |= bits << shift;
            if octet & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(SmsError::Value(what))
    }

    pub(super) fn small(&mut self, what: &'static str) -> Result<u32, SmsError> {
        u32::try_from(self.number(what)?).map_err(|_| SmsError::Value(what))
    }

    pub(super) fn signed(&mut self, what: &'static str) -> Result<i32, SmsError> {
        let number = self.small(what)?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    pub(super) fn block(&mut self, what: &'static str) -> Result<&'a [u8], SmsError> {
        let length = usize::try_from(self.number(what)?).map_err(|_| SmsError::Short(what))?;
        self.octets(length, what)
    }

    pub(super) fn text(&mut self, realm: &str, what: &'static str) -> Result<String, SmsError> {
        let number = self.number(what)?;
        let length = usize::try_from(number / 2).map_err(|_| SmsError::Short(what))?;
        let front = std::str::from_utf8(self.octets(length, what)?).map_err(|_| SmsError::Value(what))?;
        Ok(if number & 1 == 1 { [front, realm].concat() } else { front.to_owned() })
    }

    pub(super) fn digits(&mut self, what: &'static str) -> Result<Zeroizing<String>, SmsError> {
        let count = usize::from(self.octet(what)?);
        let octets = self.octets(count.div_ceil(2), what)?;
        let mut digits = Zeroizing::new(String::with_capacity(count + 1));
        for half in octets.iter().flat_map(|octet| [octet >> 4, octet & 0xf]).take(count) {
            digits.push(char::from_digit(half.into(), 10).ok_or(SmsError::Value(what))?);
        }
        let filled = count % 2 == 0 || octets.last().is_some_and(|last| last & 0xf == 0xf);
        if filled { Ok(digits) } else { Err(SmsError::Value(what)) }
    }

    /// All has been read.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What has not been read.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(number: u64, signed: i32, text in "\\PC{0,40}", digits in "[0-9]{0,16}", block in proptest::collection::vec(any::<u8>(), 0..200)) {
            let realm = "operator.example";
            let mut writer = Writer::new();
            writer.number(number);
            writer.signed(signed);
            writer.text(&text, realm);
            writer.text(&format!("{text}{realm}"), realm);
            writer.digits(&digits);
            writer.block(&block);
            let octets = writer.done();
            let mut reader = Reader::new(&octets);
            prop_assert_eq!(reader.number("n"), Ok(number));
            prop_assert_eq!(reader.signed("s"), Ok(signed));
            prop_assert_eq!(reader.text(realm, "t"), Ok(text.clone()));
            prop_assert_eq!(reader.text(realm, "t"), Ok(format!("{text}{realm}")));
            prop_assert_eq!(reader.digits("d").map(|d| d.to_string()), Ok(digits));
            prop_assert_eq!(reader.block("b"), Ok(block.as_slice()));
            prop_assert!(reader.rest().is_empty());
        }

        #[test]
        fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..64), which in proptest::collection::vec(0u8..6, 0..20)) {
            let mut reader = Reader::new(&octets);
            for one in which {
                let _ = match one {
                    0 => reader.number("x").map(drop),
                    1 => reader.signed("x").map(drop),
                    2 => reader.text("r", "x").map(drop),
                    3 => reader.digits("x").map(drop),
                    4 => reader.block("x").map(drop),
                    _ => reader.octet("x").map(drop),
                };
            }
        }
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        let read = |octets: &[u8]| Reader::new(octets).number("x");
        assert_eq!(read(&[0xff; 9]), Err(SmsError::Short("x")));
        assert_eq!(read(&[0xff; 10]), Err(SmsError::Value("x")));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]), Ok(u64::MAX));
        assert_eq!(Reader::new(&[3, 0x12, 0x30]).digits("x"), Err(SmsError::Value("x")), "no filler");
    }
}
