//! The Disconnect-Request for a session: which attributes name it (RFC 5176 §3).

use ::radius::{AttributeType as A, BuildError, Builder};

use crate::accounting::ending::Ending;

/// Which attributes go into the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// All that is known; the access point must find all of them right, so that no other session ends.
    Full,
    /// The station and its session alone, for one that does not know the others (Error-Cause 401) or means something
    /// else by them.
    Reduced,
}

/// The packet. `unix` is the time: without Event-Timestamp a recorded request could be played again (RFC 5176 §6.3).
pub(super) fn build(
    ending: &Ending,
    naming: Naming,
    identifier: u8,
    unix: u64,
    secret: &[u8],
) -> Result<Vec<u8>, BuildError> {
    let full = naming == Naming::Full;
    let texts = [
        (A::USER_NAME, Some(ending.username.as_str()).filter(|_| full)),
        // In the access point's own notation: some compare it as text.
        (A::CALLING_STATION_ID, ending.calling_station.as_deref()),
        (A::ACCT_SESSION_ID, ending.session_id.as_deref()),
        (A::ACCT_MULTI_SESSION_ID, ending.multi_session_id.as_deref().filter(|_| full)),
        (A::NAS_IDENTIFIER, ending.nas_identifier.as_deref().filter(|_| full)),
    ];
    let mut request = Builder::disconnect_request(identifier);
    for (kind, value) in texts {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            request = request.text(kind, value);
        }
    }
    if let Some(address) = ending.nas_address.filter(|_| full) {
        request = request.address(A::NAS_IP_ADDRESS, A::NAS_IPV6_ADDRESS, address);
    }
    request.integer(A::EVENT_TIMESTAMP, u32::try_from(unix).unwrap_or(u32::MAX)).finish(secret)
}

/// Whether the reduced request names one session at all.
pub(super) fn can_be_reduced(ending: &Ending) -> bool {
    ending.calling_station.is_some() || ending.session_id.is_some()
}
