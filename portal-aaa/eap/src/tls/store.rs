//! TLS sessions that may be resumed: only those whose phase 2 has succeeded (RFC 9427 §4, §6.1; RFC 5281 §7.5).
//!
//! rustls hands a session over when the handshake ends, or on TLS 1.3 with the ticket right behind the client's
//! Finished: before anybody has logged in. What it hands over therefore waits with the conversation ([`super::turn`])
//! and comes in here, under the identity and method that were proved, when the conversation has succeeded. A ticket whose
//! session never came in is worthless. A session stays good for its lifetime from the full login on, however often
//! it is resumed; each time the caller is asked whether the identity may still log in.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use foldhash::fast::RandomState;
use sha1::{Digest as _, Sha1};
use zeroize::Zeroizing;

use super::turn::Context;
use crate::LoginMethod;

/// rustls names a session, and a ticket, with this many random octets.
pub(super) type Key = [u8; 32];

/// Sessions of one identity. A device that logs in anew each time would else push all others out.
const PER_IDENTITY: usize = 16;

/// Sessions that may be resumed, shared by all conversations of a server.
pub struct SessionStore {
    capacity: usize,
    lifetime: Duration,
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    by_key: HashMap<Key, Entry, RandomState>,
    /// What goes first when the store is full, or is over.
    by_expiry: BTreeSet<(Duration, Key)>,
    /// Identities in lower case: forgetting one more than meant harms nobody.
    by_identity: HashMap<Arc<str>, Vec<(Duration, Key)>, RandomState>,
}

struct Entry {
    /// What rustls wants to see again, keys included.
    value: Zeroizing<Vec<u8>>,
    login: Login,
    folded: Arc<str>,
}

/// Whose session it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    /// Inner identity, proved in the full login.
    pub(crate) identity: Arc<str>,
    pub(crate) method: LoginMethod,
    /// When another full login is due.
    pub(crate) expires: Duration,
    /// Of the password that was proved: once it is another one, the session is good no more.
    pub(crate) mark: Mark,
}

/// Tells one password from another without being one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark([u8; 20]);

impl Mark {
    pub(crate) fn of(password: &[u8]) -> Self {
        Self(Sha1::new().chain_update(b"session of a password\0").chain_update(password).finalize().into())
    }
}

/// A session as rustls hands it over.
pub(crate) struct Kept {
    pub(super) key: Key,
    pub(super) value: Zeroizing<Vec<u8>>,
}

/// A session that was found, and by what: to be dropped if its look-up is refused.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) login: Login,
    key: Key,
}

impl SessionStore {
    /// Sessions in a store of the default size: some 18 MB when it is full.
    pub const DEFAULT_ENTRIES: usize = 32_768;
    /// Time from a full login to the next one that is due.
    pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(8 * 3600);

    /// An empty store of at most so many sessions, each good for so long.
    pub fn new(entries: usize, lifetime: Duration) -> Self {
        Self { capacity: entries, lifetime, sessions: Mutex::default() }
    }

    /// Drops all sessions of an identity (RFC 9427 §4: a login that would be refused must not be resumed), whatever
    /// the case of its letters. Says how many there were.
    pub fn forget(&self, identity: &str) -> usize {
        let folded = fold(identity);
        let mut sessions = self.lock();
        let keys = sessions.of(&folded).to_vec();
        keys.iter().filter(|(_, key)| sessions.remove(key).is_some()).count()
    }

    /// Sessions in it, those that are over but not yet dropped included.
    pub fn len(&self) -> usize {
        self.lock().by_key.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When a session of a login of now is over.
    pub(crate) fn expiry(&self, now: Duration) -> Duration {
        now.saturating_add(self.lifetime)
    }

    /// From now on the session is good.
    pub(crate) fn keep(&self, now: Duration, kept: Kept, login: Login) {
        let mut sessions = self.lock();
        while let Some((expires, key)) = sessions.by_expiry.first().copied()
            && (expires <= now || sessions.by_key.len() >= self.capacity)
        {
            sessions.remove(&key);
        }
        if self.capacity == 0 || login.expires <= now {
            return;
        }
        let folded = fold(&login.identity);
        let known = sessions.of(&folded);
        if known.len() >= PER_IDENTITY
            && let Some((_, first)) = known.iter().min().copied()
        {
            sessions.remove(&first);
        }
        sessions.insert(kept, login, folded);
    }

    /// This one session is good no more.
    pub(crate) fn drop_session(&self, found: &Found) {
        self.lock().remove(&found.key);
    }

    /// A session that may be resumed in this context; taken out, if it is good only once.
    pub(super) fn find(&self, key: &[u8], context: &Context, take: bool) -> Option<(Vec<u8>, Found)> {
        let key = Key::try_from(key).ok()?;
        let mut sessions = self.lock();
        let entry = sessions.by_key.get(&key)?;
        if entry.login.expires <= context.now {
            sessions.remove(&key);
            return None;
        }
        // RFC 9427 §4: a session of another method is as good as none.
        if entry.login.method.outer() != context.outer {
            return None;
        }
        let found = Found { login: entry.login.clone(), key };
        let value = entry.value.to_vec();
        if take {
            sessions.remove(&key);
        }
        Some((value, found))
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for SessionStore {
    fn default() -> Self {
        Self::new(Self::DEFAULT_ENTRIES, Self::DEFAULT_LIFETIME)
    }
}

impl fmt::Debug for SessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionStore")
            .field("capacity", &self.capacity)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

impl Sessions {
    /// Of one identity: when they are over, and their keys.
    fn of(&self, folded: &str) -> &[(Duration, Key)] {
        self.by_identity.get(folded).map_or(&[], Vec::as_slice)
    }

    fn insert(&mut self, kept: Kept, login: Login, folded: Arc<str>) {
        let Kept { key, value } = kept;
        self.remove(&key);
        self.by_expiry.insert((login.expires, key));
        self.by_identity.entry(Arc::clone(&folded)).or_default().push((login.expires, key));
        self.by_key.insert(key, Entry { value, login, folded });
    }

    fn remove(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.by_key.remove(key)?;
        self.by_expiry.remove(&(entry.login.expires, *key));
        if let Some(of) = self.by_identity.get_mut(&entry.folded) {
            of.retain(|(_, other)| other != key);
            if of.is_empty() {
                self.by_identity.remove(&entry.folded);
            }
        }
        Some(entry)
    }
}

fn fold(identity: &str) -> Arc<str> {
    identity.to_lowercase().into()
}

#[cfg(test)]
mod tests {
    use super::{
        super::turn::{OfTheTurn, Turn},
        *,
    };
    use crate::packet::Type;
    use proptest::prelude::*;
    use rustls::server::StoresServerSessions;

    const HOUR: Duration = Duration::from_secs(3600);

    fn kept(number: u8) -> Kept {
        Kept { key: [number; 32], value: Zeroizing::new(vec![number]) }
    }

    fn login(identity: &str, expires: Duration) -> Login {
        Login { identity: identity.into(), method: LoginMethod::PeapMschapv2, expires, mark: Mark::of(b"") }
    }

    fn find(store: &Arc<SessionStore>, number: u8, outer: Type, now: Duration) -> Option<u8> {
        let context = Context { store: Arc::clone(store), outer, now };
        let (value, turn) = Turn::run(context, || OfTheTurn.get(&[number; 32]));
        assert_eq!(value.is_some(), turn.found.is_some());
        value.map(|value| value[0])
    }

    #[test]
    fn nothing_comes_in_by_itself() {
        let store = Arc::new(SessionStore::default());
        assert!(!OfTheTurn.can_cache() && !OfTheTurn.put(vec![1; 32], vec![1]));
        let context = Context { store: Arc::clone(&store), outer: Type::PEAP, now: HOUR };
        let (put, turn) = Turn::run(context, || OfTheTurn.can_cache() && OfTheTurn.put(vec![1; 32], vec![1]));
        assert!(put && store.is_empty());
        assert_eq!(find(&store, 1, Type::PEAP, HOUR), None);
        store.keep(HOUR, turn.kept.unwrap(), login("me", store.expiry(HOUR)));
        assert_eq!(find(&store, 1, Type::PEAP, HOUR), Some(1));
    }

    #[test]
    fn a_session_has_a_time_a_method_and_a_person() {
        let store = Arc::new(SessionStore::new(9, HOUR));
        store.keep(HOUR, kept(1), login("Me@realm", 2 * HOUR));
        store.keep(HOUR, kept(2), login("me@realm", 2 * HOUR));
        store.keep(HOUR, kept(3), login("me@realms", 2 * HOUR));
        assert_eq!(find(&store, 1, Type::TTLS, HOUR), None);
        assert_eq!(find(&store, 1, Type::PEAP, HOUR), Some(1));
        assert_eq!(find(&store, 1, Type::PEAP, 2 * HOUR), None, "over");
        assert_eq!((store.forget("nobody"), store.forget("ME@realm"), store.len()), (0, 1, 1));
        assert_eq!(find(&store, 3, Type::PEAP, HOUR), Some(3));
    }

    #[test]
    fn a_ticket_is_good_once() {
        let store = Arc::new(SessionStore::default());
        store.keep(HOUR, kept(1), login("me", 2 * HOUR));
        let context = || Context { store: Arc::clone(&store), outer: Type::PEAP, now: HOUR };
        assert!(Turn::run(context(), || OfTheTurn.take(&[1; 32])).0.is_some());
        assert!(Turn::run(context(), || OfTheTurn.take(&[1; 32])).0.is_none());
        assert!(store.is_empty());
    }

    #[test]
    fn a_full_store_loses_what_would_go_first() {
        let store = Arc::new(SessionStore::new(2, HOUR));
        store.keep(HOUR, kept(1), login("a", 4 * HOUR));
        store.keep(HOUR, kept(2), login("b", 3 * HOUR));
        store.keep(HOUR, kept(3), login("c", 5 * HOUR));
        let left = |now| [1, 2, 3].map(|number| find(&store, number, Type::PEAP, now).is_some());
        assert_eq!((left(HOUR), store.len()), ([true, false, true], 2));
        store.keep(4 * HOUR, kept(2), login("b", 5 * HOUR));
        assert_eq!(left(4 * HOUR), [false, true, true]);
        let nothing = Arc::new(SessionStore::new(0, HOUR));
        nothing.keep(HOUR, kept(1), login("a", 4 * HOUR));
        assert!(nothing.is_empty());
    }

    #[test]
    fn nobody_fills_the_store() {
        let store = Arc::new(SessionStore::default());
        store.keep(HOUR, kept(255), login("other", 2 * HOUR));
        for number in 0..100 {
            store.keep(HOUR, kept(number), login("me", 2 * HOUR + Duration::from_secs(number.into())));
        }
        assert_eq!(store.len(), PER_IDENTITY + 1);
        assert_eq!(find(&store, 99, Type::PEAP, HOUR), Some(99));
        assert_eq!(find(&store, 255, Type::PEAP, HOUR), Some(255));
        assert_eq!(store.forget("me"), PER_IDENTITY);
        assert_eq!(store.len(), 1);
    }

    #[derive(Debug, Clone)]
    enum Act {
        Keep(u8, u8, u64),
        Take(u8, u64),
        Get(u8, u64),
        Forget(u8),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            3 => (0..40_u8, 0..3_u8, 0..50_u64).prop_map(|(key, who, secs)| Act::Keep(key, who, secs)),
            1 => (0..40_u8, 0..50_u64).prop_map(|(key, secs)| Act::Take(key, secs)),
            1 => (0..40_u8, 0..50_u64).prop_map(|(key, secs)| Act::Get(key, secs)),
            1 => (0..3_u8).prop_map(Act::Forget),
        ]
    }

    proptest! {
        #[test]
        fn the_three_indices_tell_the_same(acts in proptest::collection::vec(act(), 0..200), capacity in 0..30_usize) {
            let store = Arc::new(SessionStore::new(capacity, Duration::from_secs(10)));
            let context = |secs| {
                let now = Duration::from_secs(secs);
                Context { store: Arc::clone(&store), outer: Type::PEAP, now }
            };
            for act in acts {
                match act {
                    Act::Keep(key, who, secs) => {
                        let now = Duration::from_secs(secs);
                        store.keep(now, kept(key), login(&who.to_string(), store.expiry(now)));
                    }
                    Act::Take(key, secs) => {
                        let _ = Turn::run(context(secs), || OfTheTurn.take(&[key; 32]));
                    }
                    Act::Get(key, secs) => {
                        let _ = Turn::run(context(secs), || OfTheTurn.get(&[key; 32]));
                    }
                    Act::Forget(who) => {
                        let _ = store.forget(&who.to_string());
                    }
                }
                let sessions = store.lock();
                prop_assert!(sessions.by_key.len() <= capacity);
                for (key, entry) in &sessions.by_key {
                    prop_assert!(sessions.by_expiry.contains(&(entry.login.expires, *key)));
                    prop_assert!(sessions.of(&entry.folded).contains(&(entry.login.expires, *key)));
                }
                prop_assert_eq!(sessions.by_key.len(), sessions.by_expiry.len());
                prop_assert_eq!(sessions.by_key.len(), sessions.by_identity.values().map(Vec::len).sum::<usize>());
                prop_assert!(sessions.by_identity.values().all(|of| !of.is_empty()));
            }
        }
    }
}
