//! What the operator reads about a login. Passwords never come here; names that the directory does not know are
//! masked, because a phone that tries EAP-SIM puts its IMSI into the identity.

use super::{
    directory::{Login, Reject},
    engine::{Request, station},
};

/// Digits in a row that may be an IMSI, IMEI or telephone number.
const NUMBER: usize = 9;
/// Longest name shown.
const MAX_SHOWN: usize = 128;

/// A station is on.
pub(super) fn accepted(
    request: &Request<'_>,
    login: &Login,
    method: &'static str,
    resumed: bool,
    session_secs: Option<u32>,
) {
    tracing::info!(
        event = "login-accepted",
        username = login.username,
        mac = station(request.packet).map(tracing::field::display),
        nas = request.client,
        method,
        resumed,
        session_secs,
        one_time = login.one_time,
    );
}

/// A station is refused. `claimed` is the identity it gave, inner where it came that far; `detail` tells more than
/// the stable code.
pub(super) fn refused(request: &Request<'_>, claimed: Option<&str>, why: Reject, detail: &str) {
    let username = claimed.map(masked);
    tracing::warn!(
        event = "login-refused",
        reason = why.code(),
        username = username.as_deref(),
        mac = station(request.packet).map(tracing::field::display),
        nas = request.client,
        detail,
    );
}

/// Cut, without control characters, and without long numbers.
fn masked(name: &str) -> String {
    let shown: String =
        name.chars().take(MAX_SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let mut out = String::with_capacity(shown.len());
    let mut rest = shown.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let (number, after) = from.split_at(from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len()));
        out.push_str(before);
        out.push_str(if number.len() < NUMBER { number } else { "•••" });
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_masked_and_tokens_are_not() {
        assert_eq!(masked("1001010123456789@wlan.mnc001.mcc001"), "•••@wlan.mnc001.mcc001");
        assert_eq!(masked("mfrggzdf2345@operator.example"), "mfrggzdf2345@operator.example");
        assert_eq!(masked("a\n\u{1b}[31m"), "a\u{fffd}\u{fffd}[31m");
        assert_eq!(masked(&"x".repeat(500)).len(), MAX_SHOWN);
        assert_eq!(masked("123456789"), "•••");
    }
}
