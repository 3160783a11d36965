//! The captive portal API (RFC 8908 §5): what the network says of itself. Pure.

use std::time::Duration;

use serde::Deserialize;

/// Media type (RFC 8908 §6.1).
pub(super) const MEDIA_TYPE: &str = "application/captive+json";
/// Longest document, octets.
const MAX: usize = 16 * 1024;

/// RFC 8908 §5. Unknown members are passed over, as it says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct State {
    /// Whether the network holds this device.
    pub(super) captive: bool,
    /// Where a person would go.
    pub(super) user_portal_url: Option<String>,
    /// Until the network holds it again.
    seconds_remaining: Option<u64>,
}

impl State {
    /// None where it is no such document: then there is nothing to go by.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        if body.len() > MAX { None } else { serde_json::from_slice(body).ok() }
    }

    /// How long the session lasts, where it is told.
    pub(super) fn remaining(&self) -> Option<Duration> {
        // A year is for ever.
        self.seconds_remaining.filter(|secs| (1..31_536_000).contains(secs)).map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_of_the_rfc_is_read() {
        // RFC 8908 §6: the examples before and after the login.
        let before = br#"{ "captive": true, "user-portal-url": "https://example.org/portal.html" }"#;
        let after = br#"{ "captive": false, "user-portal-url": "https://example.org/portal.html",
            "venue-info-url": "https://flight.example.com/entertainment", "seconds-remaining": 326, "can-extend-session": true }"#;
        let before = State::read(before).unwrap();
        assert!(before.captive && before.remaining().is_none());
        assert_eq!(before.user_portal_url.as_deref(), Some("https://example.org/portal.html"));
        let after = State::read(after).unwrap();
        assert_eq!((after.captive, after.remaining()), (false, Some(Duration::from_secs(326))));
    }

    #[test]
    fn anything_else_says_nothing() {
        for body in ["", "{}", "[]", r#"{"captive":"yes"}"#, r#"{"captive":true"#, "<html>"] {
            assert_eq!(State::read(body.as_bytes()), None, "{body}");
        }
        assert_eq!(State::read(format!("{{\"captive\":true}}{}", " ".repeat(MAX)).as_bytes()), None);
        let far = format!(r#"{{"captive":false,"seconds-remaining":{}}}"#, u64::MAX);
        assert_eq!(State::read(far.as_bytes()).unwrap().remaining(), None);
    }
}
