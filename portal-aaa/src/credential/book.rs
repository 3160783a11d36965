//! What a login needs to know beside the keys, in memory: credentials taken back, and accounts made by hand. A login
//! must not wait for the database, nor need it.
//!
//! A thread of `serve` calls [`Book::poll`] many times a second; a login reads what is there.

use std::{
    collections::HashMap,
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
use crate::store::{
    Store, StoreError,
    rotation::{Revocation, Why},
};

/// All of it, as of one reading.
pub(super) struct Page {
    /// Database's number of this reading.
    pub(super) generation: u64,
    /// Accounts made by hand.
    pub(super) accounts: Accounts,
}

/// What was taken back. Grows by what is new; read anew at times, so that what has expired goes.
struct Taken {
    by: HashMap<TokenId, Why>,
    /// The last one that was read.
    seq: u64,
    /// When all of it was read, seconds since 1970.
    whole_at: u64,
}

/// All is read anew after so long, seconds.
const WHOLE_EVERY: u64 = 3600;

/// The last reading that there was.
pub(super) struct Book {
    page: RwLock<Arc<Page>>,
    taken: RwLock<Taken>,
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
        let taken = Taken::read(store, now)?;
        Ok(Self {
            page: RwLock::new(Arc::new(read(store, keys, generation)?)),
            taken: RwLock::new(taken),
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

    /// Whether this credential was taken back, and why.
    pub(super) fn taken(&self, id: &TokenId) -> Option<Why> {
        self.taken.read().unwrap_or_else(PoisonError::into_inner).by.get(id).copied()
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
            // Before the new generation is told: whoever looks for it must find them.
            self.take_in(store, now)?;
            if newer == held { Ok(None) } else { Ok(Some(read(store, keys, newer)?)) }
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

impl Book {
    fn take_in(&self, store: &dyn Store, now: u64) -> Result<(), StoreError> {
        let (seq, whole_at) = {
            let taken = self.taken.read().unwrap_or_else(PoisonError::into_inner);
            (taken.seq, taken.whole_at)
        };
        if now.abs_diff(whole_at) >= WHOLE_EVERY {
            let whole = Taken::read(store, now)?;
            *self.taken.write().unwrap_or_else(PoisonError::into_inner) = whole;
            return Ok(());
        }
        let news = store.revocations(seq, now)?;
        if !news.is_empty() {
            self.taken.write().unwrap_or_else(PoisonError::into_inner).add(&news);
        }
        Ok(())
    }
}

impl Taken {
    fn read(store: &dyn Store, now: u64) -> Result<Self, StoreError> {
        let mut taken = Self { by: HashMap::new(), seq: 0, whole_at: now };
        taken.add(&store.revocations(0, now)?);
        Ok(taken)
    }

    fn add(&mut self, news: &[Revocation]) {
        for Revocation { seq, username, why } in news {
            self.seq = self.seq.max(*seq);
            if let Some(id) = token::id(username) {
                self.by.insert(id, *why);
            }
        }
    }
}

fn read(store: &dyn Store, keys: &Keys, generation: u64) -> Result<Page, StoreError> {
    Ok(Page { generation, accounts: Accounts::open(keys, store.accounts()?) })
}
