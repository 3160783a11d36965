//! What may stand in an element: the schema's simple types, the same check in both directions.
//!
//! Nothing is trimmed and nothing is guessed: a value with white space around it is not that value.

use std::str::FromStr;

use jiff::Timestamp;

use super::XmlError;
use crate::identity::Mac;

/// XML 1.0 §2.2 `Char`.
pub(super) fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// One line of 1 to `max` octets: no control characters, so that it can neither break a log line nor smuggle a
/// second setting into a supplicant's configuration.
pub(super) fn line<'a>(element: &'static str, text: &'a str, max: usize) -> Result<&'a str, XmlError> {
    let fits = (1..=max).contains(&text.len());
    if fits && text.chars().all(|c| is_xml_char(c) && !c.is_control()) {
        Ok(text)
    } else {
        Err(XmlError::Value { element })
    }
}

/// Any number of lines, not empty.
pub(super) fn lines<'a>(element: &'static str, text: &'a str) -> Result<&'a str, XmlError> {
    if !text.is_empty() && text.chars().all(is_xml_char) {
        Ok(text)
    } else {
        Err(XmlError::Value { element })
    }
}

/// Printable ASCII of 1 to `max` octets.
pub(super) fn ascii<'a>(element: &'static str, text: &'a str, max: usize) -> Result<&'a str, XmlError> {
    let text = line(element, text, max)?;
    if text.is_ascii() { Ok(text) } else { Err(XmlError::Value { element }) }
}

/// Decimal number without sign (but `-`), point or spare white space.
pub(super) fn number<T: FromStr>(element: &'static str, text: &str) -> Result<T, XmlError> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(XmlError::Value { element });
    }
    text.parse().map_err(|_| XmlError::Value { element })
}

/// `true` or `false`.
pub(super) fn boolean(element: &'static str, text: &str) -> Result<bool, XmlError> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(XmlError::Value { element }),
    }
}

/// The address of one station: `aa:bb:cc:dd:ee:ff`, not a group address (IEEE 802, bit 0x01 of the first octet).
pub(crate) fn mac(element: &'static str, text: &str) -> Result<Mac, XmlError> {
    let mac: Mac = text.parse().map_err(|_| XmlError::Value { element })?;
    if text.eq_ignore_ascii_case(&station(element, mac)?) {
        Ok(mac)
    } else {
        Err(XmlError::Value { element })
    }
}

/// How [`mac`] reads it.
pub(crate) fn station(element: &'static str, mac: Mac) -> Result<String, XmlError> {
    let [first, ..] = mac.0;
    if first & 0x01 == 0 { Ok(mac.to_string()) } else { Err(XmlError::Value { element }) }
}

/// Seconds since 1970 out of RFC 3339 text.
pub(crate) fn time(element: &'static str, text: &str) -> Result<u64, XmlError> {
    let time: Timestamp = text.parse().map_err(|_| XmlError::Value { element })?;
    u64::try_from(time.as_second()).map_err(|_| XmlError::Value { element })
}

/// RFC 3339 in UTC, to the end of the year 9999.
pub(crate) fn rfc3339(element: &'static str, seconds: u64) -> Result<String, XmlError> {
    let time = i64::try_from(seconds).ok().and_then(|s| Timestamp::from_second(s).ok());
    time.map(|t| t.to_string()).ok_or(XmlError::Value { element })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BAD: XmlError = XmlError::Value { element: "e" };

    #[test]
    fn lines_hold_no_control_characters() {
        assert_eq!(line("e", " a'\"<&\u{e9} ", 99), Ok(" a'\"<&\u{e9} "));
        for bad in ["", "a\nb", "a\tb", "\u{7f}", "\u{85}", "\u{ffff}", "aaaaa"] {
            assert_eq!(line("e", bad, 4), Err(BAD), "{bad:?}");
        }
        assert_eq!(ascii("e", "\u{e9}", 4), Err(BAD));
        assert_eq!(lines("e", "a\r\n\tb"), Ok("a\r\n\tb"));
        assert_eq!(lines("e", "\u{0}"), Err(BAD));
        assert_eq!(lines("e", ""), Err(BAD));
    }

    #[test]
    fn numbers_are_plain() {
        assert_eq!(number::<u32>("e", "4294967295"), Ok(u32::MAX));
        assert_eq!(number::<i32>("e", "-67"), Ok(-67));
        for bad in ["", "-", "+1", " 1", "1 ", "1.0", "0x1", "4294967296", "--1", "\u{661}"] {
            assert_eq!(number::<u32>("e", bad), Err(BAD), "{bad:?}");
        }
        assert_eq!(number::<u32>("e", "-1"), Err(BAD));
    }

    #[test]
    fn addresses_are_written_with_colons_and_name_one_station() {
        assert_eq!(mac("e", "02:AB:cd:00:00:01"), Ok(Mac([2, 0xab, 0xcd, 0, 0, 1])));
        for bad in
            ["02-ab-cd-00-00-01", "02abcd000001", "03:ab:cd:00:00:01", "ff:ff:ff:ff:ff:ff", "02:ab:cd:00:00"]
        {
            assert_eq!(mac("e", bad), Err(BAD), "{bad}");
        }
    }

    #[test]
    fn times_are_rfc3339() {
        assert_eq!(rfc3339("e", 0).as_deref(), Ok("1970-01-01T00:00:00Z"));
        assert_eq!(time("e", "2026-11-23T21:00:00+01:00"), time("e", "2026-11-23T20:00:00Z"));
        assert_eq!(rfc3339("e", 253_402_300_800), Err(BAD));
        assert_eq!(rfc3339("e", u64::MAX), Err(BAD));
        for bad in
            ["", "2026-11-23", "2026-11-23T20:00:00", "1969-12-31T23:59:59Z", "2026-13-01T00:00:00Z", "1"]
        {
            assert_eq!(time("e", bad), Err(BAD), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn times_round_trip(seconds in 0..=253_402_207_200u64) {
            prop_assert_eq!(rfc3339("e", seconds).and_then(|text| time("e", &text)), Ok(seconds));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            let _ = (number::<i32>("e", &text), boolean("e", &text), mac("e", &text), time("e", &text));
        }
    }
}
