//! What the portal decides, free of HTTP and sockets: the way of a request from octets to an issue request, and
//! what each failure means for the device (a reason) and for the operator (a detail).

use std::{net::IpAddr, time::Duration};

use provisioning::{
    document::Document,
    format::{Format, FormatError},
    identity::{Imei, Mac},
    message::{Credential, CredentialRequest, Flaw, Reason, Refusal},
    report::DeviceMessage,
};

use crate::{
    credential::{IssueError, IssueRequest, ReportError},
    gateway::{Denial, Proof},
    store::StoreError,
};

/// Why a request is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejection {
    /// What the device is told.
    pub reason: Reason,
    /// When it may try again, where that can help.
    pub retry_after: Option<Duration>,
    /// Stable code for the operator.
    pub detail: &'static str,
    /// What was wrong with the message, where it was not read: for SOAP's own faults.
    pub unread: Option<FormatError>,
    /// The field of the message that it is about, where it was not read; the device is told.
    pub field: Option<&'static str>,
}

/// What goes back to the device.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After`, whole seconds.
    pub retry_after_secs: Option<u64>,
    /// The message; none only if not even a refusal could be written.
    pub body: Option<Document>,
    /// What the message is in.
    pub format: Format,
}

/// The database is away, the disk is full: somebody has to look.
const FAILURE_RETRY: Duration = Duration::from_secs(30);

impl Answer {
    /// The credential goes another way (RFC 9110 §15.3.3).
    pub fn under_way(format: Format) -> Self {
        Self { status: 202, retry_after_secs: None, body: None, format }
    }
}

impl Rejection {
    /// The body is no message; `detail` says how.
    pub fn unreadable(detail: &'static str) -> Self {
        Self { reason: Reason::BadRequest, retry_after: None, detail, unread: None, field: None }
    }

    /// A value of the message that cannot be.
    pub fn impossible(detail: &'static str, field: &'static str) -> Self {
        Self { field: Some(field), ..Self::unreadable(detail) }
    }

    /// The device asks too often.
    pub fn too_often(wait: Duration) -> Self {
        let (reason, retry_after) = (Reason::RateLimited, Some(wait));
        Self { reason, retry_after, detail: "request-rate", unread: None, field: None }
    }

    /// The portal itself failed; `detail` says where.
    pub fn failed(detail: &'static str) -> Self {
        Self {
            reason: Reason::TemporarilyUnavailable,
            retry_after: Some(FAILURE_RETRY),
            detail,
            unread: None,
            field: None,
        }
    }
}

impl From<FormatError> for Rejection {
    fn from(error: FormatError) -> Self {
        Self { unread: Some(error), field: error.field(), ..Self::unreadable(error.code()) }
    }
}

impl From<Denial> for Rejection {
    fn from(denial: Denial) -> Self {
        let (reason, retry_after) = (denial.reason(), denial.retry_after());
        Self { reason, retry_after, detail: denial.detail(), unread: None, field: None }
    }
}

impl From<&IssueError> for Rejection {
    fn from(error: &IssueError) -> Self {
        Self::failed(match error {
            IssueError::Store(StoreError::NotEntitled { why }) => {
                return Self { reason: Reason::NotEntitled, retry_after: None, ..Self::failed(why) };
            }
            IssueError::NoIdentifier => "no-identifier",
            IssueError::Clock { .. } => "clock",
            IssueError::Random(_) => "random",
            IssueError::Keys => "keys",
            IssueError::Store(_) => "store",
        })
    }
}

impl From<&ReportError> for Rejection {
    fn from(error: &ReportError) -> Self {
        match error {
            ReportError::Unproved => Self {
                reason: Reason::IdentityMismatch,
                retry_after: None,
                detail: "report-unproved",
                field: None,
                unread: None,
            },
            ReportError::Store(_) => Self::failed("store"),
        }
    }
}

/// Reads a body.
pub fn read(format: Format, body: &[u8]) -> Result<DeviceMessage, Rejection> {
    let message = format.decode_message(body)?;
    if let DeviceMessage::Request(request) = &message {
        sane(request)?;
    }
    Ok(message)
}

/// What no schema says, whatever way the request came.
pub fn sane(request: &CredentialRequest) -> Result<(), Rejection> {
    // A card that does not know its address; a credential bound to it would be everybody's.
    if request.mac == Mac([0; 6]) {
        return Err(Rejection::impossible("mac-zero", "mac"));
    }
    if request.imei.as_ref().is_some_and(|imei| !checks(imei)) {
        return Err(Rejection::impossible("imei-check-digit", "imei"));
    }
    Ok(())
}

/// The check digit of a 15-digit IMEI (3GPP TS 23.003 §B, Luhn). Equipment may send 0 in its place (§6.2.1); 14 and 16
/// digits have none.
fn checks(imei: &Imei) -> bool {
    let digits = imei.expose().as_bytes();
    let [body @ .., check] = digits else { return false };
    if digits.len() != 15 || *check == b'0' {
        return true;
    }
    let sum: u32 = body
        .iter()
        .enumerate()
        .map(|(at, digit)| {
            let digit = u32::from(digit.wrapping_sub(b'0'));
            let digit = if at % 2 == 1 { digit * 2 } else { digit };
            digit / 10 + digit % 10
        })
        .sum();
    (sum + u32::from(check.wrapping_sub(b'0'))).is_multiple_of(10)
}

/// What may be issued: to proved identifiers only. A claim that nobody vouches for goes no further.
pub fn admit(request: &CredentialRequest, proof: Proof) -> Result<IssueRequest, Rejection> {
    if proof.imsi.is_none() && proof.imei.is_none() {
        return Err(Rejection::from(Denial::ImeiUnknown));
    }
    let source: IpAddr = proof.source;
    Ok(IssueRequest {
        imsi: proof.imsi,
        imei: proof.imei,
        subscriber: proof.subscriber,
        mac: request.mac,
        lifetime: None,
        source: Some(source),
        runs_policy: request.policy_version,
    })
}

/// The credential as message. If it cannot be written it must not be served: the device would not read it either.
pub fn grant(format: Format, credential: &Credential) -> Result<Answer, Rejection> {
    let body = format.encode_credential(credential).map_err(|_| Rejection::failed("encode"))?;
    Ok(Answer { status: 200, retry_after_secs: None, body: Some(body), format })
}

/// That a report was taken in, as message.
pub fn accept(format: Format) -> Result<Answer, Rejection> {
    let body = format.encode_accepted().map_err(|_| Rejection::failed("encode"))?;
    Ok(Answer { status: 200, retry_after_secs: None, body: Some(body), format })
}

/// The refusal as message.
pub fn refuse(format: Format, rejection: &Rejection) -> Answer {
    let retry_after_secs = rejection
        .retry_after
        .map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
        .map(|s| s.max(1));
    let retry_after = retry_after_secs.map(Duration::from_secs);
    // Of its own message the sender may know all; why nobody vouches for him, he may not.
    let flaw = (rejection.reason == Reason::BadRequest)
        .then(|| Flaw::new(rejection.detail, rejection.field))
        .flatten();
    let refusal = Refusal { reason: rejection.reason, retry_after, flaw };
    let written = match rejection.unread {
        Some(error) => format.encode_unread(&refusal, error),
        None => format.encode_refusal(&refusal).map(|body| (format.refusal_status(refusal.reason), body)),
    };
    match written {
        Ok((status, body)) => Answer { status, retry_after_secs, body: Some(body), format },
        Err(_) => Answer { status: 500, retry_after_secs, body: None, format },
    }
}

#[cfg(test)]
mod tests {
    use provisioning::message::Trigger;

    use super::*;

    fn request() -> CredentialRequest {
        CredentialRequest {
            imsi: Some("001010123456789".parse().unwrap()),
            imei: Some("490154203237518".parse().unwrap()),
            mac: Mac([2, 0, 0, 0, 0, 1]),
            trigger: Trigger::Attach,
            agent: "test/1".to_owned(),
            policy_version: None,
        }
    }

    #[test]
    fn only_what_is_proved_is_issued_to() {
        let request = request();
        let source = IpAddr::from([10, 64, 0, 2]);
        let admitted =
            admit(&request, Proof { source, imsi: request.imsi.clone(), imei: None, subscriber: None })
                .unwrap();
        assert_eq!((admitted.imsi, admitted.imei), (request.imsi.clone(), None));
        assert_eq!((admitted.mac, admitted.source), (request.mac, Some(source)));
        let nothing =
            admit(&request, Proof { source, imsi: None, imei: None, subscriber: None }).unwrap_err();
        assert_eq!(nothing.reason, Reason::IdentityMismatch);
    }

    #[test]
    fn a_card_without_address_gets_nothing() {
        let zero = CredentialRequest { mac: Mac([0; 6]), ..request() };
        for format in Format::ALL {
            let body = format.encode_request(&zero).unwrap();
            assert_eq!(read(format, body.as_bytes()), Err(Rejection::impossible("mac-zero", "mac")));
            let body = format.encode_request(&request()).unwrap();
            assert_eq!(read(format, body.as_bytes()), Ok(DeviceMessage::Request(request())));
        }
        let wrong = read(Format::Xml, b"<a/>").unwrap_err();
        assert_eq!((wrong.reason, wrong.detail), (Reason::BadRequest, "wrong-root"));
        assert_eq!(wrong.field, Some("credential-request"));
    }

    #[test]
    fn header_and_body_of_a_refusal_say_the_same() {
        for (rejection, status, soap12, retry) in [
            (Rejection::from(Denial::FeedSilent), 503, 500, Some(30)),
            (Rejection::from(Denial::NoSession), 503, 500, Some(5)),
            (Rejection::from(Denial::OtherImsi), 403, 400, None),
            (Rejection::too_often(Duration::from_millis(1200)), 429, 500, Some(2)),
            (Rejection::too_often(Duration::ZERO), 429, 500, Some(1)),
            (Rejection::unreadable("x"), 400, 400, None),
            (Rejection::failed("store"), 503, 500, Some(30)),
        ] {
            for format in Format::ALL {
                let answer = refuse(format, &rejection);
                let status = match format {
                    Format::Xml | Format::Json => status,
                    Format::Soap11 => 500,
                    Format::Soap12 => soap12,
                };
                assert_eq!((answer.status, answer.retry_after_secs), (status, retry), "{format:?}");
                let read = format.decode_refusal(answer.body.unwrap().as_bytes()).unwrap();
                let retry_after = retry.map(Duration::from_secs);
                let flaw = if rejection.reason == Reason::BadRequest { Flaw::new("x", None) } else { None };
                assert_eq!(read, Refusal { reason: rejection.reason, retry_after, flaw });
            }
        }
    }

    #[test]
    fn the_device_does_not_learn_the_detail() {
        for format in Format::ALL {
            let body = refuse(format, &Rejection::from(Denial::OtherImei)).body.unwrap();
            assert!(!body.as_str().contains("imei"), "{format:?}");
        }
    }
}
