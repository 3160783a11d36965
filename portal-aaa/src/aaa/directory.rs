//! What a login needs to know of a credential, and why it is refused: the contract between the AAA and
//! whoever holds the credentials.
//!
//! The real directory is `crate::credential::Authority`; [`super::engine`] asks it once the inner identity
//! is known and once more when EAP has succeeded.

use std::sync::Arc;

use provisioning::{identity::Mac, secret::Password};

use super::{method::Methods, policy::SessionPolicy};

/// Whose credential it is, the same for all credentials of one subscriber: joins sessions and usage. Not an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subscriber(pub [u8; 6]);

/// Who wants to log on, where, and how.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Station as the access point reports it (Calling-Station-Id).
    pub mac: Option<Mac>,
    /// The RADIUS client's name.
    pub client: &'a str,
    /// What follows the colon in Called-Station-Id (RFC 3580 §3.20).
    pub ssid: Option<&'a str>,
}

/// A credential that may be used now, from this station. The password has not been checked yet.
#[derive(Debug, Clone)]
pub struct Login {
    /// Name as issued, lower case for a token; what accounting and log lines show.
    pub username: String,
    /// What the peer must prove to know.
    pub password: Password,
    /// Seconds since 1970; none for the device's lifetime. The session ends here at the latest.
    pub expires_at: Option<u64>,
    /// Good for one login; [`Directory::consume`] uses it up.
    pub one_time: bool,
    /// Whose it is.
    pub subscriber: Subscriber,
    /// What it may be used with.
    pub methods: Methods,
    /// What the access point is told.
    pub policy: Arc<SessionPolicy>,
}

/// Why a login is refused. The operator reads the code in the log; the access point learns nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reject {
    /// Nobody of this name.
    UnknownUser,
    /// Neither our realm nor one that is proxied.
    UnknownRealm,
    /// The name is no token of ours: forged, damaged, or sealed with a key that is gone.
    BadToken,
    /// Its time is over.
    Expired,
    /// Taken back by the operator.
    Revoked,
    /// Bound to another station.
    WrongMac,
    /// Bound to a station, and the access point did not say which one this is.
    MacMissing,
    /// Not for this network name.
    WrongSsid,
    /// Not at this access point.
    WrongNas,
    /// Not by this method.
    MethodNotAllowed,
    /// The subscriber has as many sessions as he may.
    TooManySessions,
    /// One-time credential, used before.
    AlreadyUsed,
    /// The question cannot be answered now (fail closed).
    DatabaseUnavailable,
    /// The peer does not know the password.
    WrongPassword,
    /// The EAP conversation broke off or broke its rules.
    EapFailed,
    /// An Access-Request with neither EAP nor a password.
    NoCredentials,
}

impl Reject {
    /// Stable code, as in log and documentation.
    pub fn code(self) -> &'static str {
        match self {
            Self::UnknownUser => "unknown-user",
            Self::UnknownRealm => "unknown-realm",
            Self::BadToken => "bad-token",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::WrongMac => "wrong-mac",
            Self::MacMissing => "mac-missing",
            Self::WrongSsid => "wrong-ssid",
            Self::WrongNas => "wrong-nas",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::TooManySessions => "too-many-sessions",
            Self::AlreadyUsed => "already-used",
            Self::DatabaseUnavailable => "database-unavailable",
            Self::WrongPassword => "wrong-password",
            Self::EapFailed => "eap-failed",
            Self::NoCredentials => "no-credentials",
        }
    }
}

/// Who may log on.
pub trait Directory: Send + Sync {
    /// Finds the account and checks all but its password: genuine, in time, not revoked, right station, right place.
    /// `now` is seconds since 1970. Also asked when a TLS session is resumed, so that nothing is believed for longer
    /// than at a full login.
    fn check(&self, now: u64, username: &str, asked: &Asked<'_>) -> Result<Login, Reject>;

    /// The password was proved: uses up a one-time credential for `session` (Acct-Multi-Session-Id where the
    /// access point sends one, else this EAP conversation); the same session again is no new use.
    /// Nothing to do for other credentials.
    fn consume(&self, now: u64, login: &Login, session: &str) -> Result<(), Reject>;

    /// Chargeable-User-Identity (RFC 4372): opaque, stable for the subscriber, nothing that others could link to an
    /// identifier.
    fn chargeable_identity(&self, subscriber: Subscriber) -> String;

    /// Is a session of this name, admitted before, still allowed? `Err` says why it must end: expired, revoked, gone.
    fn standing(&self, now: u64, username: &str) -> Result<(), Reject>;

    /// Is this the name of an account made by hand, whatever realm it seems to have?
    fn is_account(&self, username: &str) -> bool;
}

/// Keeps count of who is on (`crate::accounting::live`).
pub trait Sessions: Send + Sync {
    /// A login has proved itself: may there be one more session? If so it counts from now on.
    fn admit(&self, now: super::Now, login: &Login, session: &Admitted<'_>) -> Result<(), Reject>;

    /// The session of this Class, just admitted, does not begin after all.
    fn withdraw(&self, class: &[u8; 16]);
}

/// Counts nobody, so that everybody may.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unlimited;

impl Sessions for Unlimited {
    fn admit(&self, _: super::Now, _: &Login, _: &Admitted<'_>) -> Result<(), Reject> {
        Ok(())
    }

    fn withdraw(&self, _: &[u8; 16]) {}
}

/// A session that is about to begin.
#[derive(Debug, Clone, Copy)]
pub struct Admitted<'a> {
    /// The RADIUS client's name.
    pub client: &'a str,
    /// Where its packets come from.
    pub address: std::net::IpAddr,
    /// The Class attribute that goes with the Accept; comes back in accounting (RFC 2865 §5.25).
    pub class: [u8; 16],
    /// Station.
    pub mac: Option<Mac>,
    /// The request: Acct-Session-Id, NAS-Identifier and the like are in it.
    pub packet: &'a radius::Packet<'a>,
}
