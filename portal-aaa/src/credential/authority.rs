//! What issuing and checking share: keys, database, terms, and the list of what was taken back.

use std::{path::Path, sync::Arc};

use provisioning::message::{EapSettings, Policy};
use serde::{Deserialize, Serialize};

use super::{KeyFileError, Keys, Lifetime, OtherKeys, Rules, book::Book, firsts::Firsts, keyfile};
use crate::{
    policy::{
        Shelf,
        document::{CredentialPart, Whole},
    },
    store::{Entitlement, Store, StoreError},
};

/// What every credential of this operator has in common, unless a policy says otherwise; made from the configuration.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MacBinding {
    /// For the card that asked, by its own address.
    Permanent,
    /// For the card that asked, by a locally administered address (IEEE 802 §8.4) made for this credential: the binding
    /// stays, and nobody in radio range learns the card's own address.
    Issued,
    /// For any.
    Unbound,
}

/// Why the key file was not read again.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It cannot be used.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// It is another's.
    #[error(transparent)]
    Other(#[from] OtherKeys),
}

/// Makes credentials and knows them again.
pub struct Authority {
    pub(super) keys: Arc<Keys>,
    pub(super) store: Arc<dyn Store>,
    pub(super) terms: Terms,
    pub(super) rules: Rules,
    pub(super) book: Book,
    pub(super) shelf: Shelf,
    pub(super) firsts: Firsts,
    entitlement: Entitlement,
}

impl Authority {
    /// Reads revocations and accounts once, so that a login is never checked without them. Nothing is restricted and
    /// access points are told nothing; see [`Self::with_rules`].
    pub fn new(keys: Arc<Keys>, store: Arc<dyn Store>, terms: Terms, now: u64) -> Result<Self, StoreError> {
        let book = Book::load(&*store, &keys, now)?;
        let credential = CredentialPart {
            lifetime: terms.lifetime,
            mac: terms.mac,
            outer: terms.eap.outer,
            inner: terms.eap.inner,
        };
        let base = Whole { policy: terms.policy.clone(), credential };
        let signing = keys.policy_signer().map(|signer| (signer, keys.policy_keys()));
        let shelf = Shelf::load(&*store, base, signing)?;
        let (rules, firsts) = (Rules::default(), Firsts::default());
        Ok(Self { keys, store, terms, rules, book, shelf, firsts, entitlement: Entitlement::Any })
    }

    /// The same under these rules.
    pub fn with_rules(self, rules: Rules) -> Self {
        Self { rules, ..self }
    }

    /// The same, giving by the portal to these subscribers only. What is issued by hand goes to all who are not barred.
    pub fn with_entitlement(self, entitlement: Entitlement) -> Self {
        Self { entitlement, ..self }
    }

    /// Whom the portal gives credentials to.
    pub fn entitlement(&self) -> Entitlement {
        self.entitlement
    }

    /// Takes in what was revoked and which accounts were changed since the last call. Cheap enough for many calls a
    /// second; once it has been called, a login never asks the database for it.
    pub fn refresh(&self, now: u64) {
        self.book.poll(&*self.store, &self.keys, now);
    }

    /// Tells the database which credentials have worked since the last call, so that older ones of the same devices die.
    /// Where the database is away, all waits for the next call.
    pub fn settle(&self, now: u64) -> Result<(), StoreError> {
        loop {
            let usernames = self.firsts.take();
            if usernames.is_empty() {
                return Ok(());
            }
            match self.store.confirm_credentials(&usernames, now) {
                Ok(0) => {}
                Ok(died) => tracing::info!(event = "credentials-superseded", died, "newer ones have worked"),
                Err(error) => {
                    self.firsts.give_back(usernames);
                    return Err(error);
                }
            }
        }
    }

    /// Reads the key file again: a new epoch, another key for policies. Where that cannot be, the old keys hold.
    pub fn reload_keys(&self, path: &Path) -> Result<bool, ReloadError> {
        let changed = self.keys.take_over(&keyfile::load(path)?)?;
        if changed {
            self.shelf.resign(self.keys.policy_signer().map(|signer| (signer, self.keys.policy_keys())));
        }
        Ok(changed)
    }

    /// What devices get, layer by layer.
    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// What every credential has in common.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }
}
