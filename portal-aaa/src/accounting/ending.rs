//! Sessions that an access point must end before their time: the contract between the table of live sessions
//! (`super::live`) and whoever sends Disconnect-Requests (`crate::server::disconnect`, RFC 5176).

use std::net::IpAddr;

use provisioning::identity::Mac;

use crate::aaa::{Now, directory::Reject};

/// One session that is to end, and all that may name it to the access point (RFC 5176 §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Names it towards [`Endings::done`].
    pub key: u64,
    /// Why.
    pub why: Reject,
    /// The RADIUS client's name.
    pub client: String,
    /// Where its packets come from.
    pub address: IpAddr,
    /// User-Name of the Access-Accept.
    pub username: String,
    /// Station.
    pub mac: Option<Mac>,
    /// Calling-Station-Id in the access point's own notation.
    pub calling_station: Option<String>,
    /// Acct-Session-Id, once it is known.
    pub session_id: Option<String>,
    /// Acct-Multi-Session-Id, once it is known.
    pub multi_session_id: Option<String>,
    /// NAS-Identifier.
    pub nas_identifier: Option<String>,
    /// NAS-IP-Address or NAS-IPv6-Address.
    pub nas_address: Option<IpAddr>,
}

/// What became of a Disconnect-Request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Disconnect-ACK, or a NAK that says that there is no such session (Error-Cause 503).
    Gone,
    /// Disconnect-NAK with this Error-Cause.
    Refused(u32),
    /// Nobody answered, or the access point takes no such requests.
    Unanswered,
}

/// Knows which sessions must end.
pub trait Endings: Send + Sync {
    /// Those that are over and have not been handed out yet. Cheap when nothing has changed: called many times a
    /// second.
    fn due(&self, now: Now) -> Vec<Ending>;
    /// What became of one.
    fn done(&self, now: Now, key: u64, outcome: Outcome);
}
