//! An account made by hand, as the database keeps it.

use provisioning::identity::Mac;

use super::Sealed;

/// One static account. Empty lists restrict nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// Exactly as it is to be typed; any UTF-8 without control characters.
    pub name: String,
    /// Password, sealed.
    pub password: Sealed,
    /// The one station it is good for.
    pub mac: Option<Mac>,
    /// Methods it may be used with, as [`crate::aaa::method::Methods`] writes them.
    pub methods: String,
    /// Network names it is good for.
    pub ssids: Vec<String>,
    /// Access points and controllers it is good at, by name.
    pub nas: Vec<String>,
    /// VLAN of its sessions instead of the configured one.
    pub vlan: Option<u16>,
    /// Concurrent sessions instead of the configured number; 0 for any number.
    pub max_sessions: Option<u32>,
    /// Kept, but refused.
    pub disabled: bool,
    /// Seconds since 1970.
    pub created_at: u64,
    /// Seconds since 1970.
    pub changed_at: u64,
}

impl AccountRecord {
    /// Whether the two differ in nothing but their times.
    pub fn same_as(&self, other: &Self) -> bool {
        let (created_at, changed_at) = (self.created_at, self.changed_at);
        *self == Self { created_at, changed_at, ..other.clone() }
    }
}
