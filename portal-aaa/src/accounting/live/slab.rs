//! Live sessions, found by Class, by number, by station and by subscriber. Keeps the views of them equal; knows no
//! rules.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher as _, BuildHasherDefault, Hasher},
    sync::Arc,
};

use foldhash::{fast, quality::RandomState};
use provisioning::identity::Mac;

use super::entry::{Entry, NONE, Name};
use crate::aaa::directory::Subscriber;

/// The sessions.
#[derive(Debug, Default)]
pub(super) struct Slab {
    places: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// From what names a session, hashed under a random key, to its place. Two of the same hash are told apart by the
    /// session; of those only the later is found, which is one in 2^64.
    index: HashMap<u64, u32, BuildHasherDefault<AsItIs>>,
    hasher: RandomState,
    /// First session of each subscriber; the others follow by `next`.
    subscribers: HashMap<Subscriber, u32, fast::RandomState>,
    clients: HashSet<Arc<str>, fast::RandomState>,
    serial: u32,
}

/// Hash of what is a hash under a random key already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        // Not called for u64; right for anything else as well.
        self.0 = octets.iter().fold(self.0, |hash, octet| (hash.rotate_left(8)) ^ u64::from(*octet));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// What a session is found by.
#[derive(Debug, Clone, Copy, Hash)]
pub(super) enum By<'a> {
    /// Class of its login.
    Class([u8; 16]),
    /// Client and Acct-Session-Id.
    Number(&'a str, &'a str),
    /// Client and station.
    Station(&'a str, Mac),
}

impl Slab {
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Places, taken or not.
    pub(super) fn places(&self) -> u32 {
        u32::try_from(self.places.len()).unwrap_or(NONE)
    }

    pub(super) fn get(&self, place: u32) -> Option<&Entry> {
        self.places.get(usize::try_from(place).ok()?)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut Entry> {
        self.places.get_mut(usize::try_from(place).ok()?)?.as_mut()
    }

    /// One text for all sessions of a client.
    pub(super) fn client(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.clients.get(name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = name.into();
        self.clients.insert(Arc::clone(&new));
        new
    }

    pub(super) fn insert(&mut self, mut entry: Entry) -> u32 {
        self.serial = self.serial.wrapping_add(1);
        entry.serial = self.serial;
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                // By an eighth and not by doubling: most of the memory is here.
                if self.places.len() == self.places.capacity() {
                    self.places.reserve_exact(self.places.len() / 8 + 64);
                }
                self.places.push(None);
                self.places() - 1
            }
        };
        entry.next = self.subscribers.insert(entry.subscriber, place).unwrap_or(NONE);
        for key in self.keys(&entry) {
            self.index.insert(key, place);
        }
        if let Some(slot) = usize::try_from(place).ok().and_then(|place| self.places.get_mut(place)) {
            *slot = Some(entry);
        }
        place
    }

    pub(super) fn remove(&mut self, place: u32) -> Option<Entry> {
        let entry = self.places.get_mut(usize::try_from(place).ok()?)?.take()?;
        for key in self.keys(&entry) {
            if self.index.get(&key) == Some(&place) {
                self.index.remove(&key);
            }
        }
        self.unlink(&entry, place);
        self.free.push(place);
        Some(entry)
    }

    /// Finds the session, if it is still what the index says.
    pub(super) fn find(&self, by: By<'_>) -> Option<u32> {
        let place = *self.index.get(&self.hasher.hash_one(by))?;
        let entry = self.get(place)?;
        let fits = match by {
            By::Class(class) => entry.class == class,
            By::Number(client, number) => {
                *entry.client == *client && entry.names.get(Name::SessionId) == Some(number)
            }
            By::Station(client, mac) => *entry.client == *client && entry.mac == Some(mac),
        };
        fits.then_some(place)
    }

    /// Changes the session's texts, and with them what it is found by. `by_number`: it is reported without its Class.
    pub(super) fn rename(&mut self, place: u32, changes: &[(Name, Option<&str>)], by_number: bool) {
        let Some(entry) = self.get_mut(place) else { return };
        let before = entry.names.get(Name::SessionId).map(str::to_owned);
        if let Some(names) = entry.names.with(changes) {
            entry.names = names;
        }
        let Some(entry) = self.get(place) else { return };
        let number = entry.names.get(Name::SessionId);
        let (old, new) = (
            before.as_deref().map(|old| self.hasher.hash_one(By::Number(&entry.client, old))),
            number.map(|number| self.hasher.hash_one(By::Number(&entry.client, number))),
        );
        let indexed = old.is_some_and(|old| self.index.get(&old) == Some(&place));
        if let Some(old) = old.filter(|_| indexed && old != new) {
            self.index.remove(&old);
        }
        if let Some(new) = new.filter(|_| by_number || indexed) {
            self.index.insert(new, place);
        }
    }

    /// Places of a subscriber's sessions.
    pub(super) fn of(&self, subscriber: Subscriber) -> Vec<u32> {
        let mut places = Vec::new();
        let mut next = self.subscribers.get(&subscriber).copied().unwrap_or(NONE);
        while let Some(entry) = self.get(next) {
            places.push(next);
            next = entry.next;
        }
        places
    }

    fn unlink(&mut self, entry: &Entry, place: u32) {
        let first = self.subscribers.get(&entry.subscriber).copied();
        if first == Some(place) {
            match entry.next {
                NONE => self.subscribers.remove(&entry.subscriber),
                next => self.subscribers.insert(entry.subscriber, next),
            };
            return;
        }
        let mut at = first.unwrap_or(NONE);
        while let Some(other) = self.get_mut(at) {
            if other.next == place {
                other.next = entry.next;
                return;
            }
            at = other.next;
        }
    }

    /// All that may find it: Class and station from its begin, its number once that was needed.
    fn keys(&self, entry: &Entry) -> impl Iterator<Item = u64> + use<> {
        let class = (entry.class != [0; 16]).then(|| self.hasher.hash_one(By::Class(entry.class)));
        let station = entry.mac.map(|mac| self.hasher.hash_one(By::Station(&entry.client, mac)));
        let number = entry.names.get(Name::SessionId);
        let number = number.map(|number| self.hasher.hash_one(By::Number(&entry.client, number)));
        // Who is found by his Class needs no number, unless he was once reported by it alone.
        let number = number.filter(|key| class.is_none() || self.index.contains_key(key));
        [class, station, number].into_iter().flatten()
    }
}
