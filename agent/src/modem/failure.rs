//! Errors of D-Bus calls as [`ConnectFailure`]: the name, and the text with identifiers removed. Pure.

use zbus::{DBusError, Error};

use super::ConnectFailure;

/// Our own error names, where there is no ModemManager to give one.
pub(super) const NO_MODEM: &str = "net.wifioffload.Error.NoModem";
/// The bus or ModemManager went away during the call.
pub(super) const GONE: &str = "net.wifioffload.Error.Gone";
/// The PIN: none to send, or refused.
pub(super) const REFUSED: &str = "net.wifioffload.Error.Pin";
/// No answer in time.
pub(super) const TIMEOUT: &str = "net.wifioffload.Error.Timeout";

/// Longest text that is kept, characters.
const MAX_TEXT: usize = 200;
/// Shortest run of digits that could be part of an identifier; an MCC and MNC go with it.
const IDENTIFIER: usize = 5;

/// From an error of zbus.
pub(crate) fn failure(error: &Error) -> ConnectFailure {
    match error {
        Error::MethodError(name, text, _) => of(name.as_str(), text.as_deref().unwrap_or_default()),
        Error::FDO(error) => of(error.name().as_str(), error.description().unwrap_or_default()),
        other => of(GONE, &other.to_string()),
    }
}

/// From a name and a text that may hold anything.
pub(crate) fn of(error: &str, text: &str) -> ConnectFailure {
    ConnectFailure { error: error.to_owned(), text: strip(text) }
}

/// Replaces long runs of digits (IMSI, IMEI, ICCID, telephone number) and anything that could disturb a log.
fn strip(text: &str) -> String {
    let mut stripped = String::new();
    let mut digits = String::new();
    for character in text.chars().chain(['\n']) {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        stripped.push_str(if digits.len() >= IDENTIFIER { "…" } else { &digits });
        digits.clear();
        if !character.is_control() {
            stripped.push(character);
        }
    }
    stripped.chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn identifiers_go_and_the_rest_stays() {
        assert_eq!(strip("SIM 001010123456789 refused (code 33)"), "SIM … refused (code 33)");
        assert_eq!(strip("490154203237518"), "…");
        assert_eq!(strip("tel:+15559876543\nnext\u{1b}[31m"), "tel:+…next[31m");
        assert_eq!(strip(""), "");
    }

    #[test]
    fn names_survive() {
        let error = Error::FDO(Box::new(zbus::fdo::Error::NoReply("it died".to_owned())));
        let expected = of("org.freedesktop.DBus.Error.NoReply", "it died");
        assert_eq!(failure(&error), expected);
        assert_eq!(failure(&Error::InvalidReply).error, GONE);
    }

    proptest! {
        #[test]
        fn no_text_keeps_an_identifier(before: String, digits in "[0-9]{5,20}", after: String) {
            let stripped = strip(&format!("{before}{digits}{after}"));
            prop_assert!(!stripped.contains(&digits));
            prop_assert!(stripped.chars().count() <= MAX_TEXT);
            prop_assert!(!stripped.chars().any(char::is_control));
        }
    }
}
