//! A session of an access point or packet gateway, as the database keeps it, and what is asked of them for billing.

use std::{net::IpAddr, str::FromStr};

use provisioning::identity::Mac;

use super::ClientKind;
use crate::aaa::directory::Subscriber;

/// How a session came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBy {
    /// Its own Stop.
    Stop,
    /// Accounting-On: the client started anew; the Stop was lost.
    NasOn,
    /// Accounting-Off: the client went down.
    NasOff,
    /// The same station, or the same session number, began another one; the Stop was lost.
    NewerSession,
    /// Nothing was heard of it for too long.
    Silence,
}

impl ClosedBy {
    const ALL: [Self; 5] = [Self::Stop, Self::NasOn, Self::NasOff, Self::NewerSession, Self::Silence];

    /// Stable word, as in exports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::NasOn => "nas-on",
            Self::NasOff => "nas-off",
            Self::NewerSession => "newer-session",
            Self::Silence => "silence",
        }
    }
}

/// Not one of the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownWord;

impl FromStr for ClosedBy {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|one| one.word() == word).ok_or(UnknownWord)
    }
}

/// One session, folded from its reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Who reports it.
    pub kind: ClientKind,
    /// The client's name.
    pub client: String,
    /// Acct-Session-Id.
    pub session_id: String,
    /// Acct-Multi-Session-Id.
    pub multi_session_id: Option<String>,
    /// Class of the login that it came from.
    pub class: Option<[u8; 16]>,
    /// Name of the login; of the last report where it is not ours.
    pub username: Option<String>,
    /// Whose it is.
    pub subscriber: Option<Subscriber>,
    /// As [`crate::accounting::standing::Standings::stamp`].
    pub stamp: u64,
    /// Station.
    pub mac: Option<Mac>,
    /// Calling-Station-Id as the client writes it.
    pub calling_station: Option<String>,
    /// Called-Station-Id.
    pub called_station: Option<String>,
    /// Network name.
    pub ssid: Option<String>,
    /// WISPr-Location-Name, or NAS-Identifier.
    pub place: Option<String>,
    /// NAS-Identifier.
    pub nas_identifier: Option<String>,
    /// NAS-IP-Address or NAS-IPv6-Address.
    pub nas_address: Option<IpAddr>,
    /// Where the client's packets come from.
    pub address: Option<IpAddr>,
    /// From the station.
    pub input_octets: u64,
    /// To the station.
    pub output_octets: u64,
    /// Longest duration reported.
    pub session_secs: u32,
    /// Start; estimated where it was lost.
    pub started_at: u64,
    /// Last event.
    pub updated_at: u64,
    /// Last arrival, by our clock.
    pub heard_at: u64,
    /// End.
    pub ended_at: Option<u64>,
    /// Its Start came.
    pub started: bool,
    /// It sends Interim-Updates.
    pub interims: bool,
    /// Acct-Terminate-Cause.
    pub terminate_cause: Option<u32>,
    /// How it ended.
    pub closed_by: Option<ClosedBy>,
    /// Something was lost, late, or contradicted itself, and was mended.
    pub corrected: bool,
}

impl SessionRecord {
    /// Last that is known of it.
    pub fn last(&self) -> u64 {
        self.ended_at.unwrap_or(self.updated_at)
    }
}

/// A session for billing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Of an access point.
    pub session: SessionRecord,
    /// What the same subscriber's packet gateway sessions of the same interval count, from him and to him.
    pub cellular: Option<(u64, u64)>,
}

/// By what usage is summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Whose it is.
    Subscriber,
    /// Where it was: place, else client.
    Place,
    /// RADIUS client.
    Nas,
    /// Network name.
    Ssid,
    /// Day (UTC).
    Day,
}

/// A sum of sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    /// Of what; none where it is not known.
    pub of: Option<String>,
    /// How many.
    pub sessions: u64,
    /// Seconds.
    pub secs: u64,
    /// From stations.
    pub input_octets: u64,
    /// To stations.
    pub output_octets: u64,
    /// As [`Usage::cellular`]; only by subscriber.
    pub cellular: Option<(u64, u64)>,
}

/// After how much silence a session is over, seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// For one of an access point that sends Interim-Updates.
    pub reporting_secs: u64,
    /// For any other.
    pub other_secs: u64,
}
