//! The subscriber directory, where an operator would look into the HLR: who may have credentials, and which MSISDN is
//! whose. Not to be confused with [`crate::aaa::directory`], which answers logins.
//!
//! The portal asks it when a credential is written, the proof by header when only an MSISDN is told; `portal-aaa
//! subscriber` fills it, one by one or from CSV.

use super::{Change, Handle, Sealed, StoreError};

/// Whether a subscriber may have credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriberState {
    /// May.
    Allow,
    /// May not, ever.
    Deny,
    /// May not for now.
    Suspended,
}

/// Who gets credentials from the portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Entitlement {
    /// Everyone who is proved, but those listed as denied or suspended.
    #[default]
    Any,
    /// Only those listed as allowed.
    Listed,
}

/// One subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriberRecord {
    /// Handle of the IMSI.
    pub imsi: Handle,
    /// IMSI, sealed.
    pub imsi_sealed: Sealed,
    /// MSISDN as handle and sealed, where known.
    pub msisdn: Option<(Handle, Sealed)>,
    /// Whether he may have credentials.
    pub state: SubscriberState,
    /// Free text of the operator; empty for none.
    pub group: String,
    /// Seconds since 1970.
    pub created_at: u64,
    /// Seconds since 1970.
    pub changed_at: u64,
}

/// What is to be said of a subscriber; what is none stays as it is, and for a new one is unknown, allowed, no group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriberEntry {
    /// Handle of the IMSI.
    pub imsi: Handle,
    /// IMSI, sealed.
    pub imsi_sealed: Sealed,
    /// MSISDN as handle and sealed.
    pub msisdn: Option<(Handle, Sealed)>,
    /// Whether he may have credentials.
    pub state: Option<SubscriberState>,
    /// Free text of the operator.
    pub group: Option<String>,
}

/// What came of many entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Listing {
    /// New subscribers.
    pub created: u64,
    /// Changed ones.
    pub updated: u64,
    /// Those that were so already.
    pub unchanged: u64,
    /// Credentials revoked, because their subscriber is denied or suspended now.
    pub revoked: u64,
}

/// The subscriber directory.
pub trait Subscribers: Send + Sync {
    /// Takes in all entries, or none. Who is then denied or suspended loses every credential in the same transaction.
    /// [`StoreError::Taken`] where an MSISDN is somebody else's who is not among the entries.
    fn put_subscribers(&self, entries: &[SubscriberEntry], now: u64) -> Result<Listing, StoreError>;
    /// Forgets one; with `revoke` what he has is revoked. Gives what changed and how many credentials were revoked.
    fn remove_subscriber(&self, imsi: Handle, revoke: bool, now: u64) -> Result<(Change, u64), StoreError>;
    /// Finds one by IMSI.
    fn subscriber(&self, imsi: Handle) -> Result<Option<SubscriberRecord>, StoreError>;
    /// Finds one by MSISDN.
    fn subscriber_of(&self, msisdn: Handle) -> Result<Option<SubscriberRecord>, StoreError>;
    /// Calls `each` for all of them, in no order that tells anything.
    fn subscribers(&self, each: &mut dyn FnMut(SubscriberRecord)) -> Result<(), StoreError>;
}

impl SubscriberState {
    /// As it stands in database, lists and commands.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Suspended => "suspended",
        }
    }

    /// Reads it.
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Allow, Self::Deny, Self::Suspended].into_iter().find(|state| state.word() == word)
    }
}
