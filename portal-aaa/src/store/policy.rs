//! Where policies are kept (patent: "WLAN policies 99"): for all devices, for a group of subscribers, for one WLAN card.
//!
//! A document says only what differs from the next wider scope; what it may say is [`crate::policy`]'s business. That
//! module reads the shelf, `portal-aaa policy` fills it.

use std::fmt;

use provisioning::identity::Mac;

use super::{Change, StoreError};

/// Whom a policy is for; the narrower one counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// All devices.
    Default,
    /// Devices of the subscribers in this group.
    Group(String),
    /// The device with this WLAN card, by its permanent address.
    Device(Mac),
}

/// One policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRecord {
    /// Whom it is for.
    pub scope: Scope,
    /// JSON object of what differs.
    pub document: String,
    /// Count of all changes when this one was made.
    pub version: u64,
    /// Seconds since 1970.
    pub changed_at: u64,
}

/// All policies, as of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyList {
    /// Count of all changes, those of group membership included.
    pub version: u64,
    /// In the order of their scopes.
    pub records: Vec<PolicyRecord>,
}

/// The shelf of policies.
pub trait PolicyShelf: Send + Sync {
    /// Writes all entries, or none; `None` in place of a document takes the policy away. Gives what changed, in the
    /// entries' order. [`super::Store::generation`] moves where something did.
    fn put_policies(&self, entries: &[(Scope, Option<String>)], now: u64) -> Result<Vec<Change>, StoreError>;
    /// All of them.
    fn policies(&self) -> Result<PolicyList, StoreError>;
    /// Count of all changes, without the policies themselves.
    fn policy_version(&self) -> Result<u64, StoreError>;
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Group(name) => write!(f, "group {name}"),
            Self::Device(mac) => write!(f, "device {mac}"),
        }
    }
}
