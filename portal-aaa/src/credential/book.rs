//! What a login needs to know beside the keys, in memory: credentials taken back, and accounts made by hand. A login
//! must not wait for the database, nor need it.
//!
//! A thread of `serve` calls [`Book::poll`] many times a second; a login reads what is there.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::{
    Keys,
    accounts::Accounts,
    token::{self, TokenId},
};
use crate::store::{Store, StoreError};

/// All of it, as of one reading.
pub(super) struct Page {
    /// Database's number of this reading.
    pub(super) generation: u64,
    /// Tokens revoked.
    pub(super) revoked: HashSet<TokenId>,
    /// Accounts made by hand.
    pub(super) accounts: Accounts,
}

/// The last reading that there was.
pub(super) struct Book {
    page: RwLock<Arc<Page>>,
    /// One reading at a time.
    reading: Mutex<()>,
    asked_at: AtomicU64,
    /// Somebody polls: a login need never ask.
    polled: AtomicBool,
    failing: AtomicBool,
}

impl Book {
    pub(super) fn load(store: &dyn Store, keys: &Keys, now: u64) -> Result<Self, StoreError> {
        let generation = store.generation()?;
        Ok(Self {
            page: RwLock::new(Arc::new(read(store, keys, generation, now)?)),
            reading: Mutex::new(()),
            asked_at: AtomicU64::new(now),
            polled: AtomicBool::new(false),
            failing: AtomicBool::new(false),
        })
    }

    /// The last reading. Where nobody polls, it is asked for a newer one here, at most once a second.
    pub(super) fn page(&self, store: &dyn Store, keys: &Keys, now: u64) -> Arc<Page> {
        if !self.polled.load(Ordering::Relaxed) && self.asked_at.swap(now, Ordering::Relaxed) != now {
            self.refresh(store, keys, now);
        }
        self.last()
    }

    /// The last reading, whatever its age.
    pub(super) fn last(&self) -> Arc<Page> {
        Arc::clone(&self.page.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads again if anything has changed; without an answer the last reading holds.
    pub(super) fn poll(&self, store: &dyn Store, keys: &Keys, now: u64) {
        self.polled.store(true, Ordering::Relaxed);
        self.refresh(store, keys, now);
    }

    fn refresh(&self, store: &dyn Store, keys: &Keys, now: u64) {
        let _one = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let held = self.last().generation;
        // The number first: what changes in between is then read twice instead of never.
        let answer = store.generation().and_then(|newer| {
            if newer == held { Ok(None) } else { Ok(Some(read(store, keys, newer, now)?)) }
        });
        match answer {
            Ok(news) => {
                if let Some(page) = news {
                    *self.page.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(page);
                }
                if self.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!(event = "revocations-back", "the database answers again");
                }
            }
            Err(error) => {
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(event = "revocations-stale", %error, "logins go on with the last revocation list");
                }
            }
        }
    }
}

fn read(store: &dyn Store, keys: &Keys, generation: u64, now: u64) -> Result<Page, StoreError> {
    let revoked = store.revocations(now)?.iter().filter_map(|name| token::id(name)).collect();
    Ok(Page { generation, revoked, accounts: Accounts::open(keys, store.accounts()?) })
}
