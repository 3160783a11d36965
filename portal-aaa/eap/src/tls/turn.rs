//! The store as rustls sees it: that of the conversation whose message it works on, and nothing between two messages.
//!
//! rustls 0.23 has one store for all conversations of a configuration, and does not tell it whose session it is about.
//! It calls it on the thread that calls `process_new_packets`; so the conversation is written down around that call, in
//! a thread-local.

use std::{cell::RefCell, sync::Arc, time::Duration};

use rustls::server::StoresServerSessions;
use zeroize::Zeroizing;

use super::store::{Found, Kept, Key, SessionStore};
use crate::packet::Type;

/// What rustls may know while it works on a message of one conversation.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) store: Arc<SessionStore>,
    pub(crate) outer: Type,
    pub(crate) now: Duration,
}

/// What it has done with the store meanwhile.
#[derive(Default)]
pub(crate) struct Turn {
    /// The session that it wants to be kept: the last one, as there is never more than one.
    pub(crate) kept: Option<Kept>,
    /// The session that it goes on with, if it does.
    pub(crate) found: Option<Found>,
}

thread_local! {
    static TURN: RefCell<Option<(Context, Turn)>> = const { RefCell::new(None) };
}

impl Turn {
    /// Runs rustls in this context.
    pub(crate) fn run<T>(context: Context, work: impl FnOnce() -> T) -> (T, Self) {
        TURN.with(|turn| turn.replace(Some((context, Self::default()))));
        let result = work();
        let turn = TURN.with(RefCell::take).map(|(_, turn)| turn).unwrap_or_default();
        (result, turn)
    }

    fn with<T>(work: impl FnOnce(&Context, &mut Self) -> Option<T>) -> Option<T> {
        TURN.with(|turn| turn.borrow_mut().as_mut().and_then(|(context, turn)| work(context, turn)))
    }
}

/// The store that rustls sees: that of the conversation whose turn it is, or none.
#[derive(Debug)]
pub(crate) struct OfTheTurn;

impl StoresServerSessions for OfTheTurn {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let value = Zeroizing::new(value);
        let put = Turn::with(|_, turn| {
            turn.kept = Some(Kept { key: Key::try_from(key).ok()?, value });
            Some(())
        });
        put.is_some()
    }

    /// TLS 1.2: by session id, any number of times.
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        find(key, false)
    }

    /// TLS 1.3: by ticket, once (RFC 8446 §8.1).
    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        find(key, true)
    }

    fn can_cache(&self) -> bool {
        Turn::with(|_, _| Some(())).is_some()
    }
}

fn find(key: &[u8], take: bool) -> Option<Vec<u8>> {
    Turn::with(|context, turn| {
        let (value, found) = context.store.find(key, context, take)?;
        turn.found = Some(found);
        Some(value)
    })
}
