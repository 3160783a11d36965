//! What the table of live sessions asks of whoever holds the credentials, beyond what a login asks: the contract
//! between [`super::live`] and `crate::credential::Authority`.

use crate::aaa::directory::{Login, Reject, Subscriber};

/// Whose a username is, as far as can be told without a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whose {
    /// Joins his sessions and his usage.
    pub subscriber: Subscriber,
    /// Seconds since 1970; sessions end here at the latest.
    pub expires_at: Option<u64>,
    /// As [`Standings::stamp`].
    pub stamp: u64,
}

/// Knows whether sessions may go on. Reads memory only.
pub trait Standings: Send + Sync {
    /// Another number whenever a session that was in good standing may have lost it (but for the passing of time).
    fn generation(&self) -> u64;

    /// Another number when an account's password or restrictions are changed; 0 for what is no account made by hand.
    fn stamp(&self, login: &Login) -> u64;

    /// Calls `over` for those of the sessions (any number, username, stamp at its begin) that must end for another
    /// reason than time.
    fn verdicts(
        &self,
        sessions: &mut dyn Iterator<Item = (u32, &str, u64)>,
        over: &mut dyn FnMut(u32, Reject),
    );

    /// How many sessions the owner of this name may have at once; 0 for any number.
    fn max_sessions(&self, username: &str) -> u32;

    /// Whose it is; none when the name is nobody's here.
    fn whose(&self, username: &str) -> Option<Whose>;
}
