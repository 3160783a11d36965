//! What the portal's answer means: HTTP status, header and body to one [`Event`]. No socket; `https` calls it.

use std::time::Duration;

use provisioning::{
    format::Format,
    message::{Reason, Refusal},
    xml::soap::Fault,
};

use super::Event;

/// Longest wait that we let a portal ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Reads an answer in this format. `retry_after` is the header of that name (RFC 9110 §10.2.3).
pub(super) fn answer(format: Format, status: u16, retry_after: Option<&str>, body: &[u8]) -> Event {
    if status == 200 {
        return match format.decode_credential(body) {
            Ok(credential) => Event::Granted(Box::new(credential)),
            Err(error) => Event::Unreachable { step: "message", text: error.to_string() },
        };
    }
    let header = retry_after.and_then(seconds);
    match format.decode_refusal(body) {
        Ok(Refusal { reason, retry_after, flaw }) => {
            if let Some(flaw) = flaw {
                tracing::warn!(
                    flaw = flaw.code(),
                    field = flaw.field(),
                    "the portal finds fault with the request"
                );
            }
            refused(reason, header.max(retry_after))
        }
        // A newer portal's code: status and fault alone say whether trying again can help.
        Err(error) if status >= 400 && error.is_unknown_reason() => {
            tracing::warn!(status, reason = %unknown_reason(body), "the portal refused with a code unknown here");
            // In SOAP 1.1 every fault has the same status.
            let reason =
                if error.fault() == Some(Fault::Sender) { Reason::BadRequest } else { by_status(status) };
            refused(reason, header)
        }
        Err(error) if error.fault().is_some() => {
            Event::Unreachable { step: "http", text: format!("status {status}: {error}") }
        }
        // RFC 9110 §15.5.7, §15.5.16.
        Err(_) if matches!(status, 406 | 415) => Event::Unreachable {
            step: "http",
            text: format!("status {status}: the portal does not speak [portal] format of agent.toml"),
        },
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
    let xml = text.split_once("reason>").map(|(_, rest)| rest);
    let json =
        || text.split_once("\"reason\"").and_then(|(_, rest)| rest.split_once('"')).map(|(_, rest)| rest);
    let inner = xml.or_else(json).unwrap_or_default();
    inner.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').take(40).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use provisioning::xml::{NAMESPACE, encode_refusal, soap};

    use super::*;

    fn refusal(reason: Reason, retry_after: Option<u64>) -> String {
        let refusal = Refusal::new(reason, retry_after.map(Duration::from_secs));
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
            let event = answer(Format::Xml, reason.http_status(), None, refusal(reason, None).as_bytes());
            assert_eq!(event, Event::Refused { reason, retry_after: None });
        }
    }

    #[test]
    fn the_longer_wait_counts_and_none_is_endless() {
        let wait = |header, body| match answer(
            Format::Xml,
            503,
            header,
            refusal(Reason::NoSession, body).as_bytes(),
        ) {
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
            let event = answer(Format::Xml, status, Some("3"), unknown("quota-gone").as_bytes());
            assert_eq!(event, Event::Refused { reason, retry_after: Some(Duration::from_secs(3)) });
        }
        assert_eq!(unknown_reason(unknown("quota-gone").as_bytes()), "quota-gone");
        assert_eq!(unknown_reason(unknown(&"a".repeat(99)).as_bytes()).len(), 40);
    }

    #[test]
    fn every_format_says_the_same() {
        let refusal = Refusal::new(Reason::NoSession, Some(Duration::from_secs(5)));
        for format in Format::ALL {
            let written = format.encode_refusal(&refusal).expect("fits");
            let status = format.refusal_status(refusal.reason);
            let expected = Event::Refused { reason: refusal.reason, retry_after: refusal.retry_after };
            assert_eq!(answer(format, status, None, written.as_bytes()), expected);
            let newer = written.as_str().replace("no-session", "moon-phase");
            let Event::Refused { reason, .. } = answer(format, status, None, newer.as_bytes()) else {
                panic!("{format:?}")
            };
            assert_eq!(reason, Reason::TemporarilyUnavailable);
            assert_eq!(unknown_reason(newer.as_bytes()), "moon-phase");
            // The sender's fault, with the same status in SOAP 1.1.
            let refusal = Refusal::new(Reason::NotEntitled, None);
            let newer = format.encode_refusal(&refusal).expect("fits").as_str().replace("not-entitled", "x");
            let event = answer(format, format.refusal_status(Reason::NotEntitled), None, newer.as_bytes());
            assert_eq!(event, Event::Refused { reason: Reason::BadRequest, retry_after: None });
        }
    }

    #[test]
    fn a_format_that_the_portal_does_not_speak_is_named() {
        let text = |format, status, body: &str| match answer(format, status, None, body.as_bytes()) {
            Event::Unreachable { step: "http", text } => text,
            other => panic!("{other:?}"),
        };
        for format in Format::ALL {
            for status in [406, 415] {
                assert!(text(format, status, "Content-Type is none of").contains("[portal] format"));
            }
        }
        let fault = soap::encode_fault(soap::Version::V11, Fault::VersionMismatch, "x").expect("fits");
        assert!(text(Format::Soap11, 500, fault.as_str()).contains("SOAP fault"));
    }

    #[test]
    fn what_is_not_our_portal_is_told_apart() {
        let step = |status, body: &str| match answer(Format::Xml, status, None, body.as_bytes()) {
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
            format in proptest::sample::select(Format::ALL.to_vec()),
            status: u16,
            header in proptest::option::of(".{0,40}"),
            body in proptest::collection::vec(any::<u8>(), 0..600),
        ) {
            let event = answer(format, status, header.as_deref(), &body);
            prop_assert!(!matches!(event, Event::Granted(_)));
        }
    }
}
