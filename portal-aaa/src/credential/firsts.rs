//! First logins: which credentials have worked, so that what their devices had before can die.
//!
//! A login only notes its name here, and does so without the database; [`super::Authority::settle`], called by a thread
//! of `serve` ten times a second, tells the database. Nothing is lost when the database is away or this process dies: the
//! next login with the same credential notes it again.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::token::{self, TokenId};

/// Names that wait; 80 octets each.
const MAX_WAITING: usize = 65_536;
/// Names that need not be noted again; 16 octets each.
const MAX_SEEN: usize = 262_144;
/// Names told in one transaction.
const AT_ONCE: usize = 500;

/// What has been noted.
#[derive(Debug, Default)]
pub(super) struct Firsts {
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    seen: HashSet<TokenId>,
    waiting: Vec<String>,
}

impl Firsts {
    /// A login with this issued credential succeeded.
    pub(super) fn note(&self, username: &str) {
        let Some(id) = token::id(username) else { return };
        let mut noted = self.noted();
        if noted.waiting.len() >= MAX_WAITING || noted.seen.contains(&id) {
            return;
        }
        if noted.seen.len() >= MAX_SEEN {
            noted.seen.clear();
        }
        noted.seen.insert(id);
        noted.waiting.push(username.to_owned());
    }

    /// Some of those that wait.
    pub(super) fn take(&self) -> Vec<String> {
        let mut noted = self.noted();
        let from = noted.waiting.len().saturating_sub(AT_ONCE);
        noted.waiting.split_off(from)
    }

    /// They could not be told: they wait again.
    pub(super) fn give_back(&self, usernames: Vec<String>) {
        self.noted().waiting.extend(usernames);
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
