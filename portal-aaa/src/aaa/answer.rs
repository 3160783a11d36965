//! Access-Accept and Access-Reject: what the access point is told at the end of a login.
//!
//! Called by [`super::engine`] for EAP and for plain logins. The Accept carries keys, the session's limits and place
//! ([`SessionPolicy`]) and what joins its accounting to it; the Reject says nothing, and the log says why.

use radius::{AttributeType as A, BuildError, Builder, Code, Vendor, wispr};

use super::{
    Now,
    directory::{Login, Reject},
    engine::{Answer, Request},
    log,
    policy::SessionPolicy,
};

/// RFC 2865 §5.29: log on again at the end instead of leaving.
const RADIUS_REQUEST: u32 = 1;
/// RFC 4372 §2.2: the access point asks for the identity with one NUL.
const CUI_ASKED: &[u8] = &[0];

/// What an Accept says beside the login's own.
pub(super) struct Success<'a> {
    pub(super) login: &'a Login,
    /// Comes back in accounting.
    pub(super) class: [u8; 16],
    /// Name of the method, for the log.
    pub(super) method: &'static str,
    pub(super) resumed: bool,
    /// Chargeable-User-Identity, where the access point asked for it.
    pub(super) chargeable: Option<String>,
}

/// Does the access point ask for a Chargeable-User-Identity (RFC 4372 §2.1)? Some ask again with the one they know.
pub(super) fn asks_for_identity(request: &Request<'_>) -> bool {
    request
        .packet
        .get(A::CHARGEABLE_USER_IDENTITY)
        .is_some_and(|value| value == CUI_ASKED || !value.is_empty())
}

/// An Access-Accept; `keys` adds what the method has to say.
pub(super) fn accept(
    now: Now,
    request: &Request<'_>,
    success: &Success<'_>,
    keys: impl FnOnce(Builder) -> Builder,
) -> Result<Answer, BuildError> {
    let Success { login, class, method, resumed, chargeable } = success;
    let mut accept = keys(Builder::reply(Code::ACCESS_ACCEPT, request.packet));
    // RFC 2865 §5.1: what accounting shall call the user, where the access point does not know (the outer identity is
    // anonymous).
    if request.packet.get(A::USER_NAME) != Some(login.username.as_bytes()) {
        accept = accept.text(A::USER_NAME, &login.username);
    }
    let accept = accept.attribute(A::CLASS, class);
    let remaining = login.expires_at.map(|end| end.saturating_sub(now.unix));
    let (accept, session_secs) = limits(accept, &login.policy, remaining);
    let mut accept = place(accept, &login.policy);
    if let Some(identity) = chargeable {
        accept = accept.text(A::CHARGEABLE_USER_IDENTITY, identity);
    }
    let octets = accept.finish(request.secret)?;
    log::accepted(request, login, method, *resumed, session_secs);
    Ok(Answer { octets, settled: true })
}

/// Timeouts and rates. Also gives the session's longest time, seconds.
fn limits(mut accept: Builder, policy: &SessionPolicy, remaining: Option<u64>) -> (Builder, Option<u32>) {
    // Never past the credential's end.
    let remaining = remaining.map(|secs| u32::try_from(secs).unwrap_or(u32::MAX));
    let secs = match (policy.session_timeout_secs, remaining) {
        (Some(timeout), Some(remaining)) => Some(timeout.min(remaining)),
        (timeout, remaining) => timeout.or(remaining),
    };
    if let Some(secs) = secs {
        accept = accept.integer(A::SESSION_TIMEOUT, secs);
        // RFC 3580 §3.19: without Termination-Action the session is over then. Where the credential goes on, the
        // station logs on again without leaving.
        if remaining.is_none_or(|remaining| secs < remaining) {
            accept = accept.integer(A::TERMINATION_ACTION, RADIUS_REQUEST);
        }
    }
    for (kind, secs) in [
        (A::IDLE_TIMEOUT, policy.idle_timeout_secs),
        (A::ACCT_INTERIM_INTERVAL, policy.interim_interval_secs),
    ] {
        if let Some(secs) = secs {
            accept = accept.integer(kind, secs);
        }
    }
    for (kind, bits) in
        [(wispr::BANDWIDTH_MAX_UP, policy.max_up_bits), (wispr::BANDWIDTH_MAX_DOWN, policy.max_down_bits)]
    {
        if let Some(bits) = bits {
            accept = accept.vendor_integer(Vendor::WISPR, kind, bits);
        }
    }
    if let Some(at) = policy.terminate_at.and_then(instant) {
        accept = accept.vendor(Vendor::WISPR, wispr::SESSION_TERMINATE_TIME, at.as_bytes());
    }
    (accept, secs)
}

/// Where in the access point's network the station is put.
fn place(mut accept: Builder, policy: &SessionPolicy) -> Builder {
    if let Some(vlan) = policy.vlan {
        // No tag: one tunnel only (RFC 2868 §3.1).
        accept = accept.vlan(0, &vlan.to_string());
    }
    if let Some(filter) = &policy.filter_id {
        accept = accept.text(A::FILTER_ID, filter);
    }
    accept
}

/// WISPr 1.0: ISO 8601 with the zone, `2026-11-28T12:00:00+00:00`.
fn instant(at: u64) -> Option<String> {
    let at = jiff::Timestamp::from_second(i64::try_from(at).ok()?).ok()?;
    Some(at.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string())
}

/// The access point learns that it is no, the operator's log learns why. `say` adds what the method owes its peer.
pub(super) fn reject(
    request: &Request<'_>,
    claimed: Option<&str>,
    why: Reject,
    detail: &str,
    say: impl FnOnce(Builder) -> Builder,
) -> Result<Answer, BuildError> {
    // Before the tunnel stands there is only the outer identity.
    let claimed = claimed.or_else(|| request.packet.text(A::USER_NAME));
    log::refused(request, claimed, why, detail);
    let octets = say(Builder::reply(Code::ACCESS_REJECT, request.packet)).finish(request.secret)?;
    Ok(Answer { octets, settled: false })
}
