//! Live sessions, found by key, by address and by age. Keeps the three views of them equal; knows no rules.
//!
//! [`super::table`] decides what goes in and out.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

use super::Prefix;
use crate::store::{GatewaySession, Handle};

/// Gateway's name and Acct-Session-Id.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey {
    /// Name in the client table.
    pub gateway: String,
    /// Acct-Session-Id.
    pub session_id: String,
}

/// A live session.
#[derive(Debug)]
pub(super) struct Session {
    /// Handle of its IMSI.
    pub(super) subscriber: Handle,
    /// Handle of its IMEISV, where told.
    pub(super) equipment: Option<Handle>,
    /// Its addresses.
    pub(super) prefixes: Vec<Prefix>,
    /// First event, by the gateway's clock.
    pub(super) since: u64,
    /// Last event, by the gateway's clock.
    pub(super) seen: u64,
    /// Last arrival, by ours.
    pub(super) heard: u64,
}

/// The sessions.
#[derive(Debug, Default)]
pub(super) struct Index {
    sessions: HashMap<Arc<SessionKey>, Session>,
    claims: HashMap<Prefix, Vec<Arc<SessionKey>>>,
    /// How many claims there are of each family and length: the lengths that a look-up must try.
    lengths: BTreeMap<(bool, u8), usize>,
    by_age: BTreeSet<(u64, Arc<SessionKey>)>,
}

impl Index {
    /// Adds a session that is not there.
    pub(super) fn insert(&mut self, key: Arc<SessionKey>, session: Session) {
        for prefix in &session.prefixes {
            self.claims.entry(*prefix).or_default().push(Arc::clone(&key));
            *self.lengths.entry(length(prefix)).or_default() += 1;
        }
        self.by_age.insert((session.heard, Arc::clone(&key)));
        self.sessions.insert(key, session);
    }

    /// Takes it out.
    pub(super) fn remove(&mut self, key: &Arc<SessionKey>) -> Option<Session> {
        let session = self.sessions.remove(key)?;
        self.by_age.remove(&(session.heard, Arc::clone(key)));
        for prefix in &session.prefixes {
            if let Some(keys) = self.claims.get_mut(prefix) {
                keys.retain(|other| other != key);
                if keys.is_empty() {
                    self.claims.remove(prefix);
                }
            }
            if let Some(count) = self.lengths.get_mut(&length(prefix)) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.lengths.remove(&length(prefix));
                }
            }
        }
        Some(session)
    }

    /// Sessions whose address it is, or whose network it lies in.
    pub(super) fn holding(&self, address: IpAddr) -> impl Iterator<Item = (&Arc<SessionKey>, &Session)> {
        let is_ipv4 = address.to_canonical().is_ipv4();
        let lengths = self.lengths.keys().filter(move |(ipv4, _)| *ipv4 == is_ipv4);
        let prefixes = lengths.filter_map(move |(_, bits)| Prefix::around(address, *bits));
        prefixes.flat_map(|prefix| self.claimants(prefix))
    }

    /// Sessions of exactly this address or network.
    pub(super) fn claimants(&self, prefix: Prefix) -> impl Iterator<Item = (&Arc<SessionKey>, &Session)> {
        let keys = self.claims.get(&prefix).into_iter().flatten();
        keys.filter_map(|key| self.sessions.get(key).map(|session| (key, session)))
    }

    /// Sessions of one gateway.
    pub(super) fn of(&self, gateway: &str) -> impl Iterator<Item = (&Arc<SessionKey>, &Session)> {
        self.sessions.iter().filter(move |(key, _)| key.gateway == gateway)
    }

    /// The one not heard of for the longest time, and since when.
    pub(super) fn stalest(&self) -> Option<(u64, Arc<SessionKey>)> {
        self.by_age.first().cloned()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }
}

impl Session {
    /// As the database has it, a row an address.
    pub(super) fn rows(&self, key: &SessionKey) -> impl Iterator<Item = GatewaySession> {
        self.prefixes.iter().map(|prefix| GatewaySession {
            gateway: key.gateway.clone(),
            session_id: key.session_id.clone(),
            address: prefix.network(),
            prefix: prefix.bits(),
            subscriber: self.subscriber,
            equipment: self.equipment,
            seen_at: self.seen,
        })
    }
}

fn length(prefix: &Prefix) -> (bool, u8) {
    (prefix.network().is_ipv4(), prefix.bits())
}
