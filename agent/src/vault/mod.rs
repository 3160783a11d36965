//! What the device keeps over a restart, sealed on disk: the credential (patent FIG. 2, step 64) is of use when
//! cellular cannot be reached.
//!
//! `codec` turns [`Stored`] into octets, `seal` seals them (both pure); [`file`] is the shell that keeps them in
//! the state directory, `replace` how a file is written so that a crash leaves the old or the new one. The daemon
//! calls [`Vault`].

mod codec;
pub mod file;
mod replace;
#[cfg(test)]
pub(crate) mod sample;
mod seal;

use provisioning::{
    message::{Credential, Trigger},
    signed::PolicyKey,
};

pub use self::file::{Vault, VaultError};
pub(crate) use self::replace::replace;

/// Everything that is kept. The machine makes it; the vault seals and writes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
    /// The credential that has worked last; after its end or its refusal it is kept for its policy only.
    pub current: Option<Credential>,
    /// `current` is not to be used for another login: it was good for one, or the AAA refused it.
    pub spent: bool,
    /// A newer one that has not worked yet: it is tried at the next join, and `current` dies when it has worked.
    pub next: Option<Credential>,
    /// One-time credentials fetched ahead, oldest first; at most [`provisioning::message::MAX_RESERVE`] are read and written.
    pub reserve: Vec<Credential>,
    /// Keyed hash of the IMSI it was given for; the IMSI itself is never written.
    pub subscriber: Option<[u8; 32]>,
    /// Version of the signed policy that is obeyed: no older one is.
    pub policy_version: Option<u64>,
    /// Keys that may sign the next one.
    pub policy_keys: Vec<PolicyKey>,
    /// A new one is wanted before the next join, and why.
    pub renewal_due: Option<Trigger>,
}
