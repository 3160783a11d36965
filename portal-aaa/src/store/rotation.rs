//! The life of a credential between its issue and its end: a newer one for the same device supersedes it, and kills it
//! once that has worked. Two phases, so that a device always has one that works.

use provisioning::identity::Mac;

use super::Handle;

/// How far a credential has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Counts what this card was given for this subscriber; a higher one is newer. 0 for one that was made by hand: it
    /// supersedes nothing and is not superseded.
    pub serial: u64,
    /// A newer one was given; this one is good until that has worked. Seconds since 1970, as all times here.
    pub superseded_at: Option<u64>,
    /// Why it was taken back.
    pub revoked_why: Option<Why>,
    /// The device has it in its supplicant, as it says.
    pub installed_at: Option<u64>,
    /// First login that succeeded, as our AAA saw or the device says.
    pub worked_at: Option<u64>,
    /// Last time that the device could not use it.
    pub failed_at: Option<u64>,
    /// Why, as a stable code of [`provisioning::report::Failure`].
    pub failure: Option<String>,
    /// Version of the policy that the device obeys, as it says.
    pub runs_policy: Option<u64>,
}

/// Why a credential was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// An operator wanted it: its sessions end.
    Operator,
    /// A newer one of the same device has worked: no login any more, but the session that the device still has by it
    /// goes on, because nobody is in it who may not be.
    Superseded,
}

/// One that was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Later ones have higher numbers.
    pub seq: u64,
    /// Whole username.
    pub username: String,
    /// Why.
    pub why: Why,
}

/// What a device says of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Whole username.
    pub username: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Version of the policy that the device obeys.
    pub runs_policy: Option<u64>,
}

/// What became of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the supplicant.
    Installed,
    /// A login succeeded.
    Worked,
    /// It could not be used; a stable code.
    Failed(&'static str),
}

/// Which credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// This one.
    Username(String),
    /// All of a subscriber, or of an equipment without SIM.
    Subscriber(Handle),
    /// All that were given to a WLAN card, by its permanent address.
    Device(Mac),
    /// All of the subscribers in a group.
    Group(String),
}

impl Why {
    /// As it stands in the database and in lists.
    pub fn word(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Superseded => "superseded",
        }
    }

    /// Reads it.
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Operator, Self::Superseded].into_iter().find(|why| why.word() == word)
    }
}
