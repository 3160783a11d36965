//! The short list of credentials taken back, in memory: a login must not wait for the database, nor need it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::store::{Store, StoreError};

/// Usernames revoked, as of the last time the database could be asked.
pub(super) struct Revoked(Mutex<State>);

struct State {
    names: Arc<HashSet<String>>,
    generation: u64,
    asked_at: u64,
    failing: bool,
}

impl Revoked {
    pub(super) fn load(store: &dyn Store, now: u64) -> Result<Self, StoreError> {
        // The number first: what is revoked in between is then read twice instead of never.
        let generation = store.generation()?;
        let names = Arc::new(store.revocations(now)?.into_iter().collect());
        Ok(Self(Mutex::new(State { names, generation, asked_at: now, failing: false })))
    }

    /// Whether `username` (lower case) is on the list. Asks the database whether there is a newer list, at
    /// most once a second; without an answer the last one holds.
    pub(super) fn contains(&self, store: &dyn Store, now: u64, username: &str) -> bool {
        self.refresh(store, now);
        let names = Arc::clone(&self.state().names);
        names.contains(username)
    }

    fn refresh(&self, store: &dyn Store, now: u64) {
        let generation = {
            let mut state = self.state();
            if state.asked_at == now {
                return;
            }
            // Taken before the question, so that other logins go on with the last list meanwhile.
            state.asked_at = now;
            state.generation
        };
        let answer = store.generation().and_then(|newer| {
            if newer == generation { Ok(None) } else { Ok(Some((newer, store.revocations(now)?))) }
        });
        let mut state = self.state();
        match answer {
            Ok(news) => {
                if let Some((newer, names)) = news {
                    state.generation = newer;
                    state.names = Arc::new(names.into_iter().collect());
                }
                if std::mem::take(&mut state.failing) {
                    tracing::info!(event = "revocations-back", "the database answers again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut state.failing, true) {
                    tracing::warn!(event = "revocations-stale", %error, "logins go on with the last revocation list");
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
