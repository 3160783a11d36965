//! What the portal's answer means: HTTP status, header and body to one [`Event`]. No socket; `https` calls it.

use std::time::Duration;

use provisioning::{
    message::{Reason, Refusal},
    xml::{XmlError, decode_credential, decode_refusal},
};

use super::Event;

/// Longest wait that we let a portal ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Reads an answer. `retry_after` is the header of that name (RFC 9110 §10.2.3).
pub(super) fn answer(status: u16, retry_after: Option<&str>, body: &[u8]) -> Event {
    if status == 200 {
        return match decode_credential(body) {
            Ok(credential) => Event::Granted(Box::new(credential)),
            Err(error) => Event::Unreachable { step: "message", text: error.to_string() },
        };
    }
    let header = retry_after.and_then(seconds);
    match decode_refusal(body) {
        Ok(Refusal { reason, retry_after }) => refused(reason, header.max(retry_after)),
        // A newer portal's code: the status alone says whether trying again can help.
        Err(XmlError::Value { element: "reason" }) if status >= 400 => {
            tracing::warn!(status, reason = %unknown_reason(body), "the portal refused with a code unknown here");
            refused(by_status(status), header)
        }
        // Whatever else is no word of our portal: a proxy, a walled garden, another server.
        Err(_) => {
            Event::Unreachable { step: "http", text: format!("status {status} without a refusal of ours") }
        }
    }
}

/// Our own limits on what a portal may ask of us.
fn refused(reason: Reason, retry_after: Option<Duration>) -> Event {
    Event::Refused { reason, retry_after: retry_after.map(|wait| wait.min(MAX_RETRY_AFTER)) }
}

fn by_status(status: u16) -> Reason {
    match status {
        429 => Reason::RateLimited,
        500.. => Reason::TemporarilyUnavailable,
        _ => Reason::BadRequest,
    }
}

/// The header's number of seconds. Its other form, a date, would need a clock that is right.
fn seconds(header: &str) -> Option<Duration> {
    header.trim().parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()))
}

/// The code as it stands in the body, cut down to what a code can hold, for the log.
fn unknown_reason(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let inner = text.split_once("reason>").map_or("", |(_, rest)| rest);
    inner.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').take(40).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use provisioning::xml::{NAMESPACE, encode_refusal};

    use super::*;

    fn refusal(reason: Reason, retry_after: Option<u64>) -> String {
        let refusal = Refusal { reason, retry_after: retry_after.map(Duration::from_secs) };
        encode_refusal(&refusal).expect("fits").as_str().to_owned()
    }

    fn unknown(code: &str) -> String {
        format!("<refusal xmlns='{NAMESPACE}'><reason>{code}</reason></refusal>")
    }

    #[test]
    fn every_reason_comes_through() {
        for reason in [
            Reason::BadRequest,
            Reason::IdentityMismatch,
            Reason::NoSession,
            Reason::GatewayFeedSilent,
            Reason::NotEntitled,
            Reason::RateLimited,
            Reason::TemporarilyUnavailable,
        ] {
            let event = answer(reason.http_status(), None, refusal(reason, None).as_bytes());
            assert_eq!(event, Event::Refused { reason, retry_after: None });
        }
    }

    #[test]
    fn the_longer_wait_counts_and_none_is_endless() {
        let wait = |header, body| match answer(503, header, refusal(Reason::NoSession, body).as_bytes()) {
            Event::Refused { retry_after, .. } => retry_after.map(|wait| wait.as_secs()),
            other => panic!("{other:?}"),
        };
        assert_eq!(wait(None, Some(5)), Some(5));
        assert_eq!(wait(Some(" 7 "), Some(5)), Some(7));
        assert_eq!(wait(Some("7"), Some(9)), Some(9));
        assert_eq!(wait(Some("Fri, 31 Dec 1999 23:59:59 GMT"), None), None);
        assert_eq!(wait(Some("4294967295"), None), Some(24 * 3600));
    }

    #[test]
    fn an_unknown_code_goes_by_its_status() {
        for (status, reason) in [
            (503, Reason::TemporarilyUnavailable),
            (500, Reason::TemporarilyUnavailable),
            (429, Reason::RateLimited),
            (403, Reason::BadRequest),
        ] {
            let event = answer(status, Some("3"), unknown("quota-gone").as_bytes());
            assert_eq!(event, Event::Refused { reason, retry_after: Some(Duration::from_secs(3)) });
        }
        assert_eq!(unknown_reason(unknown("quota-gone").as_bytes()), "quota-gone");
        assert_eq!(unknown_reason(unknown(&"a".repeat(99)).as_bytes()).len(), 40);
    }

    #[test]
    fn what_is_not_our_portal_is_told_apart() {
        let step = |status, body: &str| match answer(status, None, body.as_bytes()) {
            Event::Unreachable { step, .. } => step,
            other => panic!("{other:?}"),
        };
        assert_eq!(step(302, ""), "http");
        assert_eq!(step(404, "<html>"), "http");
        assert_eq!(step(502, "Bad Gateway"), "http");
        assert_eq!(step(302, &unknown("x")), "http");
        assert_eq!(step(200, "<html>"), "message");
        assert_eq!(step(200, &refusal(Reason::NoSession, None)), "message");
    }

    proptest! {
        #[test]
        fn arbitrary_answers_do_not_panic(
            status: u16,
            header in proptest::option::of(".{0,40}"),
            body in proptest::collection::vec(any::<u8>(), 0..600),
        ) {
            let event = answer(status, header.as_deref(), &body);
            prop_assert!(!matches!(event, Event::Granted(_)));
        }
    }
}
