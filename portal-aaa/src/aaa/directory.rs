//! What a login needs to know of a credential, and why it is refused: the contract between the AAA and
//! whoever holds the credentials.
//!
//! The real directory is `crate::credential::Authority`; [`super::engine`] asks it once the inner identity
//! is known and once more when EAP has succeeded.

use provisioning::{identity::Mac, secret::Password};

/// A credential that may be used now, from this station. The password has not been checked yet.
#[derive(Debug, Clone)]
pub struct Login {
    /// Whole NAI as issued, lower case; what accounting and log lines show.
    pub username: String,
    /// What the peer must prove to know.
    pub password: Password,
    /// Seconds since 1970; none for the device's lifetime. The session ends here at the latest.
    pub expires_at: Option<u64>,
    /// Good for one login; [`Directory::consume`] uses it up.
    pub one_time: bool,
}

/// Why a login is refused. The operator reads the code in the log; the access point learns nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reject {
    /// Nobody of this name, or not of our realm.
    UnknownUser,
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
    /// One-time credential, used before.
    AlreadyUsed,
    /// The question cannot be answered now (fail closed).
    DatabaseUnavailable,
    /// The peer does not know the password.
    WrongPassword,
    /// The EAP conversation broke off or broke its rules.
    EapFailed,
    /// An Access-Request without EAP.
    NotEap,
}

impl Reject {
    /// Stable code, as in log and documentation.
    pub fn code(self) -> &'static str {
        match self {
            Self::UnknownUser => "unknown-user",
            Self::BadToken => "bad-token",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::WrongMac => "wrong-mac",
            Self::MacMissing => "mac-missing",
            Self::AlreadyUsed => "already-used",
            Self::DatabaseUnavailable => "database-unavailable",
            Self::WrongPassword => "wrong-password",
            Self::EapFailed => "eap-failed",
            Self::NotEap => "not-eap",
        }
    }
}

/// Who may log on.
pub trait Directory: Send + Sync {
    /// Finds the credential and checks all but its password: genuine, in time, not revoked, right station.
    /// `mac` is what the access point reports (Calling-Station-Id), `now` seconds since 1970.
    fn check(&self, now: u64, username: &str, mac: Option<Mac>) -> Result<Login, Reject>;

    /// EAP has succeeded: uses up a one-time credential for `session` (Acct-Multi-Session-Id where the
    /// access point sends one, else this EAP conversation); the same session again is no new use.
    /// Nothing to do for other credentials.
    fn consume(&self, now: u64, login: &Login, session: &str) -> Result<(), Reject>;
}
