//! What nearly every command needs: configuration, keys and database of one installation, opened together.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, Result};

use crate::{
    config::Settings,
    credential::{self, Authority, Keys},
    store::sqlite::SqliteStore,
};

pub(super) struct Installation {
    pub(super) settings: Settings,
    pub(super) keys: Arc<Keys>,
    pub(super) store: Arc<SqliteStore>,
}

impl Installation {
    pub(super) fn open(config: &Path) -> Result<Self> {
        let settings = Settings::load(config).context("the configuration cannot be used")?;
        let keys = Arc::new(credential::load(&settings.keys()).context("the keys cannot be used")?);
        let store = Arc::new(open_store(&settings)?);
        Ok(Self { settings, keys, store })
    }

    pub(super) fn authority(&self, now: u64) -> Result<Authority> {
        let ca = &self.settings.tls.ca;
        let terms = self.settings.terms().with_context(|| format!("CA certificate {}", ca.display()))?;
        let authority = Authority::new(Arc::clone(&self.keys), self.store.clone(), terms, now)?;
        let authority = authority.with_entitlement(self.settings.portal.entitlement);
        Ok(authority.with_rules(self.settings.session.rules(&self.settings.access)))
    }
}

pub(super) fn open_store(settings: &Settings) -> Result<SqliteStore> {
    let path = settings.database();
    SqliteStore::open(&path).with_context(|| format!("the database {} cannot be used", path.display()))
}
