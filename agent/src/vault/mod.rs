//! What the device keeps over a restart, sealed on disk.

use provisioning::message::{Credential, Trigger};

/// Everything that is kept. The machine makes it; the vault seals and writes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
    /// The credential in use.
    pub current: Option<Credential>,
    /// Keyed hash of the IMSI it was given for; the IMSI itself is never written.
    pub subscriber: Option<[u8; 32]>,
    /// A new one is wanted before the next join, and why.
    pub renewal_due: Option<Trigger>,
}
