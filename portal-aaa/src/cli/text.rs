//! How times are written and read on the command line.

use anyhow::{Result, bail};

/// RFC 3339, UTC.
pub(super) fn time(at: u64) -> Result<String> {
    Ok(jiff::Timestamp::from_second(i64::try_from(at)?)?.to_string())
}

/// RFC 3339, a date (its first second, UTC), or seconds since 1970.
pub(super) fn parse_time(text: &str) -> Result<u64> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(seconds);
    }
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    match whole.parse::<jiff::Timestamp>().map(|time| u64::try_from(time.as_second())) {
        Ok(Ok(seconds)) => Ok(seconds),
        _ => bail!("a time is written 2026-11-28, 2026-11-28T12:00:00Z, or as seconds since 1970"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_each_notation() {
        for (text, seconds) in [
            ("0", 0),
            ("1800000000", 1_800_000_000),
            ("2027-01-15T08:00:00Z", 1_800_000_000),
            ("2027-01-15T09:00:00+01:00", 1_800_000_000),
            ("2027-01-15", 1_799_971_200),
        ] {
            assert_eq!(parse_time(text).unwrap(), seconds, "{text}");
        }
        for text in ["", "yesterday", "2027-13-01", "1960-01-01", "-5"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
        assert_eq!(time(1_800_000_000).unwrap(), "2027-01-15T08:00:00Z");
    }
}
