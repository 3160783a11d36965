//! The subscriber database behind one trait; `sqlite` is the embedded implementation.
//!
//! Nothing here holds an identifier in clear: subscribers and equipment are keyed hashes (to find) and sealed
//! octets (to show to who may see them); both are made by [`crate::credential`]'s keys before they come here.
//! Calls block; async callers go through `spawn_blocking`. A call that returned `Ok` is on disk.

mod account;
pub mod policy;
pub mod rotation;
mod session;
pub mod sqlite;
mod subscriber;

use std::{net::IpAddr, ops::ControlFlow};

use provisioning::identity::Mac;

pub use account::AccountRecord;
pub use session::{By, ClosedBy, SessionRecord, Silence, Total, UnknownWord, Usage};
pub use subscriber::{Entitlement, Listing, SubscriberEntry, SubscriberRecord, SubscriberState, Subscribers};

use crate::aaa::directory::Subscriber;

/// Keyed hash of an identifier (HMAC-SHA-256), for look-up only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle(pub [u8; 32]);

/// Octets sealed with the server's data key (AES-SIV).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

/// What went wrong in the database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or refused the statement.
    #[error("database: {0}")]
    Database(String),
    /// The row to add is there already.
    #[error("this {what} exists already")]
    Exists {
        /// What it is.
        what: &'static str,
    },
    /// The subscriber may not have a credential.
    #[error("the subscriber may not have a credential ({why})")]
    NotEntitled {
        /// Stable code for the operator.
        why: &'static str,
    },
    /// An MSISDN is another subscriber's already.
    #[error("the MSISDN belongs to another subscriber")]
    Taken {
        /// Of which of the entries, from 0.
        position: usize,
    },
    /// A row does not fit what this version writes.
    #[error("database holds an unreadable {what}")]
    Corrupt {
        /// Table and column.
        what: &'static str,
    },
}

/// What a mutating call did; calls can be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A row is new.
    Created,
    /// A row was changed.
    Updated,
    /// It was so already.
    Identity,
    /// There is no such thing.
    Missing,
}

/// A RADIUS client: an access point, controller or proxy (`Nas`), or a packet gateway's accounting (`Gateway`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Unique within its kind.
    pub name: String,
    /// Which kind.
    pub kind: ClientKind,
    /// First address of the network.
    pub network: IpAddr,
    /// Bits.
    pub prefix: u8,
    /// Shared secret, sealed.
    pub secret: Sealed,
    /// Whether requests without Message-Authenticator are refused.
    pub message_authenticator: MessageAuthenticator,
    /// UDP port, at the address it sends from, of Disconnect- and CoA-Requests (RFC 5176); none: not sent.
    pub coa_port: Option<u16>,
    /// Most requests a second; none: no limit.
    pub max_rate: Option<u32>,
}

/// Who is on the other side of a shared secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientKind {
    /// Access point, controller, WISPr gateway.
    Nas,
    /// Packet gateway that sends its accounting.
    Gateway,
}

/// BlastRADIUS policy of one client (CVE-2024-3596).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageAuthenticator {
    /// Drop what has none.
    Require,
    /// Serve it and say so in the log.
    Audit,
    /// Serve it.
    Off,
}

/// One issued credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialRecord {
    /// Whole NAI, lower case.
    pub username: String,
    /// Password, sealed.
    pub password: Sealed,
    /// Who it is for.
    pub subscriber: Handle,
    /// IMSI, sealed; none when the device sent only its IMEI.
    pub imsi: Option<Sealed>,
    /// IMEI, sealed.
    pub imei: Option<Sealed>,
    /// WLAN card; none when the credential is unbound.
    pub mac: Option<Mac>,
    /// Address that the request came from.
    pub source: Option<IpAddr>,
    /// Seconds since 1970.
    pub issued_at: u64,
    /// Seconds since 1970; none for the device's lifetime.
    pub expires_at: Option<u64>,
    /// Good for one login.
    pub one_time: bool,
    /// Seconds since 1970.
    pub revoked_at: Option<u64>,
    /// Policy that went with it.
    pub policy_version: u64,
    /// The WLAN card that asked, by its permanent address.
    pub device: Option<Mac>,
    /// How far it has come; when it is inserted `runs_policy` counts, and whether `serial` is 0.
    pub progress: rotation::Progress,
}

/// One live session of the packet gateway: whose address this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewaySession {
    /// Gateway's name in the client table.
    pub gateway: String,
    /// Acct-Session-Id.
    pub session_id: String,
    /// Framed-IP-Address, or the Framed-IPv6-Prefix's network with `prefix` 64 or less.
    pub address: IpAddr,
    /// 32 for an IPv4 address.
    pub prefix: u8,
    /// Handle of 3GPP-IMSI.
    pub subscriber: Handle,
    /// Handle of the first 14 digits of 3GPP-IMEISV, where sent.
    pub equipment: Option<Handle>,
    /// Last Start or Interim, seconds since 1970.
    pub seen_at: u64,
}

/// One accounting request, as received, for billing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountingRecord {
    /// Who sent it.
    pub kind: ClientKind,
    /// Client's name.
    pub client: String,
    /// Key that makes a retransmission recognisable: client, session, status, event time or delay-corrected time, counters.
    pub dedup: [u8; 32],
    /// 1 Start, 2 Stop, 3 Interim-Update, 7 On, 8 Off (RFC 2866 §5.1).
    pub status: u32,
    /// Acct-Session-Id.
    pub session_id: String,
    /// Acct-Multi-Session-Id.
    pub multi_session_id: Option<String>,
    /// User-Name.
    pub username: Option<String>,
    /// Calling-Station-Id.
    pub mac: Option<Mac>,
    /// Called-Station-Id.
    pub called_station: Option<String>,
    /// Octets with gigawords.
    pub input_octets: u64,
    /// Octets with gigawords.
    pub output_octets: u64,
    /// Acct-Session-Time.
    pub session_secs: u32,
    /// Acct-Terminate-Cause.
    pub terminate_cause: Option<u32>,
    /// When it happened, seconds since 1970: Event-Timestamp, else arrival less Acct-Delay-Time.
    pub event_at: u64,
    /// When it came.
    pub received_at: u64,
    /// The Class that [`crate::aaa`] gave at login.
    pub class: Option<[u8; 16]>,
    /// Calling-Station-Id as the client writes it.
    pub calling_station: Option<String>,
    /// Network name, from Called-Station-Id.
    pub ssid: Option<String>,
    /// WISPr-Location-Name.
    pub place: Option<String>,
    /// NAS-Identifier.
    pub nas_identifier: Option<String>,
    /// NAS-IP-Address or NAS-IPv6-Address.
    pub nas_address: Option<IpAddr>,
    /// Whose it is; not in the packet, see [`crate::accounting::feed::GatewayFeed::complete`].
    pub subscriber: Option<Subscriber>,
    /// As [`crate::accounting::standing::Standings::stamp`]; not in the packet.
    pub stamp: u64,
    /// Where the client's packets come from, as far as the login told; not in the packet.
    pub address: Option<IpAddr>,
}

/// One step of [`Store::prune_credentials`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// So many were forgotten.
    pub gone: usize,
    /// The last username that was looked at; none at the end of the table.
    pub last: Option<String>,
}

/// The subscriber database.
pub trait Store: Subscribers + policy::PolicyShelf {
    /// Adds or changes a client.
    fn put_client(&self, client: &Client) -> Result<Change, StoreError>;
    /// Removes one.
    fn remove_client(&self, kind: ClientKind, name: &str) -> Result<Change, StoreError>;
    /// All clients.
    fn clients(&self) -> Result<Vec<Client>, StoreError>;
    /// A number that grows whenever clients, accounts, policies or revocations changed, in this process or another; accounting,
    /// sessions and new credentials leave it alone, so that who caches those three reloads only when he must. Asking
    /// costs microseconds while nothing is written.
    fn generation(&self) -> Result<u64, StoreError>;

    /// Adds a credential for anybody who is not barred; see [`Self::insert_entitled`].
    fn insert_credential(&self, record: &CredentialRecord) -> Result<(), StoreError> {
        self.insert_entitled(record, Entitlement::Any)
    }
    /// Adds a credential; [`StoreError::Exists`] if there is one of this username, [`StoreError::NotEntitled`] if its
    /// subscriber may have none at this moment.
    fn insert_entitled(&self, record: &CredentialRecord, entitlement: Entitlement) -> Result<(), StoreError>;
    /// Adds each as [`Self::insert_entitled`] does, all in one transaction (group commit). An error of the whole means
    /// that none is there; else each has an answer of its own, in the order of the records, and what is answered with
    /// `Ok` is on disk.
    fn insert_each(
        &self,
        records: &[CredentialRecord],
        entitlement: Entitlement,
    ) -> Result<Vec<Result<(), StoreError>>, StoreError>;
    /// Adds many in one transaction, for nobody who is barred. Gives the positions of those left out because there is one of this username.
    fn insert_credentials(&self, records: &[CredentialRecord]) -> Result<Vec<usize>, StoreError>;
    /// Finds a credential by whole username.
    fn credential(&self, username: &str) -> Result<Option<CredentialRecord>, StoreError>;
    /// Revokes it.
    fn revoke_credential(&self, username: &str, now: u64) -> Result<Change, StoreError>;
    /// Revokes all of these. Gives how many were not revoked by an operator before.
    fn revoke_credentials(&self, which: &rotation::Which, now: u64) -> Result<u64, StoreError>;
    /// The newest of these, at most `most`.
    fn credentials(&self, which: &rotation::Which, most: u32) -> Result<Vec<CredentialRecord>, StoreError>;
    /// What was taken back with a higher number than `after`, and has at `now` not expired, for the list that every AAA
    /// node holds; in order.
    fn revocations(&self, after: u64, now: u64) -> Result<Vec<rotation::Revocation>, StoreError>;
    /// Forgets revocations of what has expired at `now`, at most `most`. Gives how many.
    fn prune_revocations(&self, now: u64, most: u32) -> Result<usize, StoreError>;
    /// Forgets credentials that expired before `before`, and who used them up. Looks at the `most` usernames that follow
    /// `after` and no others, so that a step is short whatever the table holds.
    fn prune_credentials(&self, after: &str, before: u64, most: u32) -> Result<Pruned, StoreError>;
    /// Logins with these succeeded: older ones of their devices die, see [`rotation`]. Gives how many did. Names that are
    /// unknown, or have worked before, change nothing.
    fn confirm_credentials(&self, usernames: &[String], now: u64) -> Result<u64, StoreError>;
    /// Keeps what a device says. Saying it again changes nothing.
    fn tell(&self, told: &rotation::Told, now: u64) -> Result<Change, StoreError>;
    /// Uses up a one-time credential for `session` (Acct-Multi-Session-Id or the EAP conversation).
    /// True for the first use and for the same session again.
    fn use_once(&self, username: &str, session: &str, now: u64) -> Result<bool, StoreError>;

    /// Adds or changes an account. What differs only in its times is no change.
    fn put_account(&self, account: &AccountRecord) -> Result<Change, StoreError>;
    /// Removes it.
    fn remove_account(&self, name: &str) -> Result<Change, StoreError>;
    /// Finds one by its exact name.
    fn account(&self, name: &str) -> Result<Option<AccountRecord>, StoreError>;
    /// All accounts, by name.
    fn accounts(&self) -> Result<Vec<AccountRecord>, StoreError>;

    /// Adds or renews a gateway session.
    fn put_gateway_session(&self, session: &GatewaySession) -> Result<(), StoreError>;
    /// Ends it.
    fn end_gateway_session(&self, gateway: &str, session_id: &str) -> Result<Change, StoreError>;
    /// Accounting-On or -Off: the gateway lost or ended all of them.
    fn clear_gateway(&self, gateway: &str) -> Result<(), StoreError>;
    /// All live ones, to fill the memory table at start.
    fn gateway_sessions(&self) -> Result<Vec<GatewaySession>, StoreError>;

    /// Appends records; those already there (same `dedup`) are left alone, the others are taken into the sessions
    /// ([`crate::accounting::fold`]). On disk when it returns.
    fn append_accounting(&self, records: &[AccountingRecord]) -> Result<(), StoreError>;
    /// Calls `each` for every open session of an access point, to fill the memory table at start.
    fn open_sessions(&self, each: &mut dyn FnMut(SessionRecord)) -> Result<(), StoreError>;
    /// Ends at most `most` sessions that have been silent for too long, with what was last known. Gives how many.
    fn close_silent_sessions(&self, now: u64, silence: Silence, most: u32) -> Result<usize, StoreError>;
    /// Forgets sessions that ended, and reports that came, before `before`: about `most` of each. Gives how many.
    fn prune_accounting(&self, before: u64, most: u32) -> Result<usize, StoreError>;
    /// Calls `each`, until it breaks, for the sessions of access points with `from <= t < to`, where `t` is the end or,
    /// of an open session, its last report; in that order, from one snapshot.
    fn usage(
        &self,
        from: u64,
        to: u64,
        each: &mut dyn FnMut(Usage) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;
    /// Sums of the same sessions.
    fn totals(&self, from: u64, to: u64, by: By) -> Result<Vec<Total>, StoreError>;
}
