//! The live table *address → session*, fed by the packet gateways' accounting. Pure: no clock, no database.
//!
//! Accounting comes late, twice and out of order, so each record is weighed by when it happened (`at`) and not by
//! when it came. What the rules below have in common: where two records contradict each other, the address
//! belongs to nobody until they no longer do.
//!
//! - Stop ends the session it names and no other, and is remembered, so that an older Start or Interim-Update that
//!   comes after it does not bring the session back.
//! - A session that comes to an address takes it from sessions of the same gateway last heard of before that: their
//!   Stop was lost. If such a session shows life later, the address is contested: it belongs to neither. So it is
//!   when two gateways tell of one address.
//! - Accounting-On and -Off end all sessions of the gateway that were last heard of until then.
//! - A session that nothing is heard of for `idle_secs` is over.
//!
//! [`super::prover`] is the only caller.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

use super::{
    Prefix,
    index::{Index, Session},
};
use crate::store::{GatewaySession, Handle};

pub use super::index::SessionKey;

/// How much is kept, and how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most sessions; beyond it the one not heard of for the longest time goes.
    pub sessions: usize,
    /// Most ended sessions remembered.
    pub ended: usize,
    /// A session not heard of for so long is over, and a record so old is not believed.
    pub idle_secs: u64,
}

impl Default for Limits {
    /// A day covers gateways that send no Interim-Update for short sessions; a full table takes about 150 MB.
    fn default() -> Self {
        Self { sessions: 262_144, ended: 65_536, idle_secs: 24 * 3600 }
    }
}

/// What an accounting record means for the table.
#[derive(Debug, Clone)]
pub enum Event {
    /// Start or Interim-Update: the session lives.
    Alive(Alive),
    /// It has ended.
    Stop(Arc<SessionKey>),
    /// Accounting-On or -Off: all of the gateway's have ended.
    Restart(String),
}

/// What Start and Interim-Update say.
#[derive(Debug, Clone)]
pub struct Alive {
    /// Which session.
    pub key: Arc<SessionKey>,
    /// Its addresses: of IPv6 the network of its own and the one delegated to it. An Interim-Update need not repeat
    /// them, but what it says of a family replaces all of that family.
    pub prefixes: Vec<Prefix>,
    /// Whose it is; an Interim-Update need not repeat it.
    pub subscriber: Option<Handle>,
    /// Which equipment, where the gateway tells.
    pub equipment: Option<Handle>,
}

/// What the database must learn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Add or renew.
    Put(GatewaySession),
    /// Remove.
    End(Arc<SessionKey>),
    /// Remove all of a gateway's.
    Clear(String),
}

/// What a record came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It holds.
    Taken,
    /// It changed nothing; the stable code says why.
    Ignored(&'static str),
}

/// Whose an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner<'a> {
    /// This session's.
    Session {
        /// Handle of its IMSI.
        subscriber: Handle,
        /// Handle of its IMEISV, where the gateway told.
        equipment: Option<Handle>,
        /// Who told.
        gateway: &'a str,
    },
    /// Several claim it and disagree.
    Contested,
    /// No live session's.
    Nobody,
}

#[derive(Debug, Clone, Copy)]
struct Ended {
    at: u64,
    /// Another session took its address; it was not stopped.
    superseded: bool,
    forget_at: u64,
}

/// The table.
#[derive(Debug)]
pub struct Table {
    limits: Limits,
    live: Index,
    ended: HashMap<Arc<SessionKey>, Ended>,
    ended_by_age: BTreeSet<(u64, Arc<SessionKey>)>,
    /// Last Accounting-On or -Off of each gateway: nothing older holds.
    restarted: HashMap<String, u64>,
    /// Last arrival of anything from each gateway.
    heard: HashMap<String, u64>,
}

/// Ends of idle sessions in one go: each is a write to the database.
const IDLE_AT_ONCE: usize = 16;
/// A device gets an address or a network of this length at least; less would take in its neighbours.
const SHORTEST_IPV6: u8 = 48;

impl Table {
    /// An empty table: nobody was heard yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            live: Index::default(),
            ended: HashMap::new(),
            ended_by_age: BTreeSet::new(),
            restarted: HashMap::new(),
            heard: HashMap::new(),
        }
    }

    /// Takes back what was written. It is no sign of life: the gateways must speak again before it proves anything.
    /// A session of two addresses comes as two rows.
    pub fn load(&mut self, rows: impl IntoIterator<Item = GatewaySession>, now: u64) {
        for row in rows {
            let Some(prefix) = Prefix::around(row.address, row.prefix).filter(may_be_a_devices) else {
                continue;
            };
            let key = Arc::new(SessionKey { gateway: row.gateway, session_id: row.session_id });
            let seen = row.seen_at.min(now);
            let mut prefixes = self.live.remove(&key).map_or_else(Vec::new, |session| session.prefixes);
            prefixes.push(prefix);
            let (subscriber, equipment) = (row.subscriber, row.equipment);
            self.live
                .insert(key, Session { subscriber, equipment, prefixes, since: seen, seen, heard: seen });
            self.shrink(&mut Vec::new());
        }
    }

    /// Takes in what happened `at` and became known `now`. The writes bring the database to the same state, also
    /// when the record is a repetition.
    pub fn apply(&mut self, event: Event, at: u64, now: u64) -> (Applied, Vec<Write>) {
        let mut writes = Vec::new();
        self.forget(now, &mut writes);
        let applied = match event {
            Event::Alive(alive) => self.alive(&alive, at, now, &mut writes),
            Event::Stop(key) => {
                self.hear(&key.gateway, now);
                self.live.remove(&key);
                self.remember_end(&key, at, false, now);
                writes.push(Write::End(key));
                Applied::Taken
            }
            Event::Restart(gateway) => self.restart(gateway, at, now, &mut writes),
        };
        self.shrink(&mut writes);
        (applied, writes)
    }

    /// Whose the address is.
    pub fn owner(&self, address: IpAddr, now: u64) -> Owner<'_> {
        let mut owner = Owner::Nobody;
        let fresh = |session: &Session| now.saturating_sub(session.heard) <= self.limits.idle_secs;
        for (key, session) in self.live.holding(address).filter(|(_, session)| fresh(session)) {
            let (subscriber, equipment) = (session.subscriber, session.equipment);
            let claimant = Owner::Session { subscriber, equipment, gateway: &key.gateway };
            owner = match owner {
                Owner::Nobody => claimant,
                // Two sessions of one device on one gateway do not contradict each other.
                same if same == claimant => same,
                _ => return Owner::Contested,
            };
        }
        owner
    }

    /// When anything came from this gateway; none since the start.
    pub fn heard_from(&self, gateway: &str) -> Option<u64> {
        self.heard.get(gateway).copied()
    }

    /// When anything came from any gateway.
    pub fn last_heard(&self) -> Option<u64> {
        self.heard.values().max().copied()
    }

    /// Live sessions.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// No live sessions.
    pub fn is_empty(&self) -> bool {
        self.live.len() == 0
    }

    fn alive(&mut self, alive: &Alive, raw_at: u64, now: u64, writes: &mut Vec<Write>) -> Applied {
        let key = &alive.key;
        self.hear(&key.gateway, now);
        // A gateway whose clock is ahead must not look newer than all that follows.
        let at = raw_at.min(now);
        if at.saturating_add(self.limits.idle_secs) < now {
            return Applied::Ignored("stale");
        }
        if self.restarted.get(&key.gateway).is_some_and(|restart| at < *restart) {
            return Applied::Ignored("before-restart");
        }
        let ended = self.ended.get(key).copied();
        if ended.is_some_and(|ended| raw_at <= ended.at) {
            return Applied::Ignored("after-stop");
        }
        let known = self.live.remove(key);
        // The same identifier, used again for somebody else without a Stop between.
        let reused = known.as_ref().is_some_and(|k| alive.subscriber.is_some_and(|s| s != k.subscriber));
        let (mut session, before) = match known {
            Some(known) if at < known.seen => {
                let heard = if reused { known.heard } else { now };
                self.live.insert(Arc::clone(key), Session { heard, ..known });
                return Applied::Ignored("out-of-order");
            }
            Some(known) if !reused => {
                let before = known.prefixes.clone();
                (Session { seen: at, heard: now, ..known }, before)
            }
            _ => {
                let Some(subscriber) = alive.subscriber else {
                    writes.push(Write::End(Arc::clone(key)));
                    return Applied::Ignored("no-imsi");
                };
                let prefixes = Vec::new();
                (
                    Session { subscriber, equipment: None, prefixes, since: at, seen: at, heard: now },
                    Vec::new(),
                )
            }
        };
        session.equipment = alive.equipment.or(session.equipment);
        let told: Vec<Prefix> = alive.prefixes.iter().copied().filter(may_be_a_devices).collect();
        replace_by_family(&mut session.prefixes, &told);
        session.prefixes.retain(|prefix| before.contains(prefix) || !self.is_newer(key, *prefix, at));
        // Rows of addresses that are gone; the others are written again.
        if reused || session.prefixes.is_empty() || before.iter().any(|p| !session.prefixes.contains(p)) {
            writes.push(Write::End(Arc::clone(key)));
        }
        if session.prefixes.is_empty() {
            return Applied::Ignored(if told.is_empty() { "no-address" } else { "address-reused" });
        }
        if !ended.is_some_and(|ended| ended.superseded) {
            for prefix in session.prefixes.iter().filter(|prefix| !before.contains(prefix)) {
                self.supersede(key, *prefix, at, now, writes);
            }
        }
        writes.extend(session.rows(key).map(Write::Put));
        self.live.insert(Arc::clone(key), session);
        Applied::Taken
    }

    /// Whether a session of the same gateway began on this address after `at`.
    fn is_newer(&self, key: &SessionKey, prefix: Prefix, at: u64) -> bool {
        self.live.claimants(prefix).any(|(other, session)| other.gateway == key.gateway && session.since > at)
    }

    /// Ends those of the same gateway that were last heard of on this address before `at`.
    fn supersede(&mut self, key: &SessionKey, prefix: Prefix, at: u64, now: u64, writes: &mut Vec<Write>) {
        let older: Vec<_> = self
            .live
            .claimants(prefix)
            .filter(|(other, session)| other.gateway == key.gateway && session.seen < at)
            .map(|(other, session)| (Arc::clone(other), session.seen))
            .collect();
        for (other, seen) in older {
            self.live.remove(&other);
            self.remember_end(&other, seen, true, now);
            writes.push(Write::End(other));
        }
    }

    fn restart(&mut self, gateway: String, at: u64, now: u64, writes: &mut Vec<Write>) -> Applied {
        self.hear(&gateway, now);
        let at = at.min(now);
        let restarted = self.restarted.entry(gateway.clone()).or_default();
        *restarted = at.max(*restarted);
        let over: Vec<_> =
            self.live.of(&gateway).filter(|(_, s)| s.seen <= at).map(|(key, _)| Arc::clone(key)).collect();
        for key in over {
            self.live.remove(&key);
        }
        writes.push(Write::Clear(gateway.clone()));
        // What began after the restart but was told before it.
        writes.extend(self.live.of(&gateway).flat_map(|(key, session)| session.rows(key)).map(Write::Put));
        Applied::Taken
    }

    fn hear(&mut self, gateway: &str, now: u64) {
        let heard = self.heard.entry(gateway.to_owned()).or_default();
        *heard = now.max(*heard);
    }

    fn remember_end(&mut self, key: &Arc<SessionKey>, at: u64, superseded: bool, now: u64) {
        let before = self.ended.get(key).copied();
        if let Some(before) = before {
            self.ended_by_age.remove(&(before.forget_at, Arc::clone(key)));
        }
        let at = before.map_or(at, |before| before.at.max(at));
        // Until then a record of before the end may come; later it is too old to be believed anyway.
        let forget_at = at.max(now).saturating_add(self.limits.idle_secs);
        self.ended.insert(Arc::clone(key), Ended { at, superseded, forget_at });
        self.ended_by_age.insert((forget_at, Arc::clone(key)));
    }

    /// Drops what is too old.
    fn forget(&mut self, now: u64, writes: &mut Vec<Write>) {
        for _ in 0..IDLE_AT_ONCE {
            match self.live.stalest() {
                Some((heard, key)) if now.saturating_sub(heard) > self.limits.idle_secs => {
                    self.live.remove(&key);
                    writes.push(Write::End(key));
                }
                _ => break,
            }
        }
        while self.ended_by_age.first().is_some_and(|(forget_at, _)| *forget_at < now) {
            self.forget_oldest_end();
        }
    }

    /// Drops what is too much.
    fn shrink(&mut self, writes: &mut Vec<Write>) {
        while self.live.len() > self.limits.sessions {
            let Some((_, key)) = self.live.stalest() else { break };
            self.live.remove(&key);
            writes.push(Write::End(key));
        }
        while self.ended.len() > self.limits.ended {
            self.forget_oldest_end();
        }
    }

    fn forget_oldest_end(&mut self) {
        if let Some((_, key)) = self.ended_by_age.pop_first() {
            self.ended.remove(&key);
        }
    }
}

fn replace_by_family(prefixes: &mut Vec<Prefix>, new: &[Prefix]) {
    let told = |ipv4: bool| new.iter().any(|prefix| prefix.network().is_ipv4() == ipv4);
    prefixes.retain(|old| !told(old.network().is_ipv4()));
    for prefix in new {
        if !prefixes.contains(prefix) {
            prefixes.push(*prefix);
        }
    }
}

/// RFC 2865 §5.8 gives 255.255.255.255 and .254 another meaning; the rest are no device's either.
fn may_be_a_devices(prefix: &Prefix) -> bool {
    let network = prefix.network();
    if network.is_unspecified() || network.is_multicast() {
        return false;
    }
    match network {
        IpAddr::V4(v4) => {
            prefix.bits() == 32 && v4.octets() != [255; 4] && v4.octets() != [255, 255, 255, 254]
        }
        IpAddr::V6(_) => prefix.bits() >= SHORTEST_IPV6,
    }
}

#[cfg(test)]
mod tests;
