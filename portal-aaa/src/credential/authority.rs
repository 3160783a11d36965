//! What issuing and checking share: keys, database, terms, and the list of what was taken back.

use std::sync::Arc;

use provisioning::message::{EapSettings, Policy};

use super::{Keys, Lifetime, revoked::Revoked};
use crate::store::{Store, StoreError};

/// What every credential of this operator has in common; made from the configuration.
#[derive(Debug, Clone)]
pub struct Terms {
    /// What stands after the `@`, lower case.
    pub realm: String,
    /// How long a credential lives unless the request says otherwise.
    pub lifetime: Lifetime,
    /// Whether it is good for one WLAN card only.
    pub mac: MacBinding,
    /// How to log on, and whom to trust.
    pub eap: EapSettings,
    /// When and where to offload.
    pub policy: Policy,
}

/// Whether a credential is good for one WLAN card only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MacBinding {
    /// For the card that asked, by its own address.
    Permanent,
    /// For any.
    Unbound,
}

/// Makes credentials and knows them again.
pub struct Authority {
    pub(super) keys: Arc<Keys>,
    pub(super) store: Arc<dyn Store>,
    pub(super) terms: Terms,
    pub(super) revoked: Revoked,
}

impl Authority {
    /// Reads the revocation list once, so that a login is never checked without one.
    pub fn new(keys: Arc<Keys>, store: Arc<dyn Store>, terms: Terms, now: u64) -> Result<Self, StoreError> {
        let revoked = Revoked::load(&*store, now)?;
        Ok(Self { keys, store, terms, revoked })
    }

    /// What every credential has in common.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }
}
