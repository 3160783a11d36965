//! Retransmissions are recognised and get the same answer again (RFC 5080 §2.2.1, §2.2.2).
//!
//! A request is the same when it comes from the same address and port with the same identifier and the same
//! Request Authenticator. Answers that end a conversation are kept apart from those that go on, so that a flood of
//! new conversations cannot push out the Accept of a station that has logged on.

use std::{
    collections::{HashMap, VecDeque, hash_map},
    net::SocketAddr,
    time::Duration,
};

use foldhash::fast::RandomState;

/// What makes a request distinguishable, besides its authenticator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source {
    /// Where it came from.
    pub address: SocketAddr,
    /// Which connection it came by, where it came by one (RFC 6614); 0 for a datagram. Each has identifiers of its own.
    pub connection: u64,
    /// Its identifier.
    pub identifier: u8,
}

/// Bounds of the memory used.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long an answer is kept. RFC 5080 §2.2.2 asks for as long as a client would retransmit: 5 to 30 seconds.
    pub lifetime: Duration,
    /// Most requests in progress and answers of conversations that go on.
    pub open: usize,
    /// Most answers that ended a conversation.
    pub settled: usize,
}

/// What the cache knows of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// Nothing: it is now in progress and has to be worked on.
    New,
    /// The first copy is still being worked on: drop this one.
    InProgress,
    /// Send this again.
    Answered(&'a [u8]),
}

/// Requests of the last seconds.
#[derive(Debug)]
pub struct Duplicates {
    limits: Limits,
    entries: Entries,
    open: VecDeque<Slot>,
    settled: VecDeque<Slot>,
    serial: u64,
}

type Entries = HashMap<Source, Entry, RandomState>;

#[derive(Debug)]
struct Entry {
    authenticator: [u8; 16],
    answer: Option<Vec<u8>>,
    /// Which queue slot is this entry's; older slots of the same source are stale.
    serial: u64,
}

#[derive(Debug)]
struct Slot {
    source: Source,
    serial: u64,
    until: Duration,
}

impl Duplicates {
    /// An empty cache.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: Entries::default(),
            open: VecDeque::new(),
            settled: VecDeque::new(),
            serial: 0,
        }
    }

    /// Looks a request up. A new one, also one that reuses an identifier with another authenticator, is noted as in
    /// progress until [`Duplicates::answer`] or [`Duplicates::forget`].
    pub fn check(&mut self, now: Duration, source: Source, authenticator: &[u8; 16]) -> Seen<'_> {
        self.expire(now);
        // One look-up: what the borrow checker asks for it is that room is made before, for one that may not come.
        trim(&mut self.open, self.limits.open.saturating_sub(1), &mut self.entries);
        let slot = self.slot(now, source);
        let new = Entry { authenticator: *authenticator, answer: None, serial: slot.serial };
        match self.entries.entry(source) {
            hash_map::Entry::Occupied(known) if known.get().authenticator == *authenticator => {
                return match known.into_mut().answer.as_deref() {
                    Some(answer) => Seen::Answered(answer),
                    None => Seen::InProgress,
                };
            }
            hash_map::Entry::Occupied(mut reused) => {
                reused.insert(new);
            }
            hash_map::Entry::Vacant(place) => {
                place.insert(new);
            }
        }
        self.open.push_back(slot);
        Seen::New
    }

    /// Keeps the answer to a request. `settled` tells that it ended the conversation. Nothing is kept when the
    /// source has reused the identifier meanwhile.
    pub fn answer(
        &mut self,
        now: Duration,
        source: Source,
        authenticator: &[u8; 16],
        answer: Vec<u8>,
        settled: bool,
    ) {
        let slot = self.slot(now, source);
        let Some(entry) = self.entries.get_mut(&source).filter(|entry| entry.authenticator == *authenticator)
        else {
            return;
        };
        entry.answer = Some(answer);
        entry.serial = slot.serial;
        let (queue, limit) = match settled {
            true => (&mut self.settled, self.limits.settled),
            false => (&mut self.open, self.limits.open),
        };
        queue.push_back(slot);
        trim(queue, limit.max(1), &mut self.entries);
    }

    /// The request was not answered, and a retransmission shall be worked on anew.
    pub fn forget(&mut self, source: Source, authenticator: &[u8; 16]) {
        if self.entries.get(&source).is_some_and(|entry| entry.authenticator == *authenticator) {
            self.entries.remove(&source);
        }
    }

    /// Drops what is too old. `check` does it too; a timer frees the memory when no request comes.
    pub fn expire(&mut self, now: Duration) {
        for queue in [&mut self.open, &mut self.settled] {
            while let Some(slot) = queue.pop_front_if(|slot| slot.until <= now) {
                remove(&mut self.entries, &slot);
            }
        }
    }

    /// Requests known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn slot(&mut self, now: Duration, source: Source) -> Slot {
        self.serial = self.serial.wrapping_add(1);
        Slot { source, serial: self.serial, until: now.saturating_add(self.limits.lifetime) }
    }
}

/// Stale slots count too: the queue, not only the map, stays within bounds.
fn trim(queue: &mut VecDeque<Slot>, limit: usize, entries: &mut Entries) {
    while queue.len() > limit {
        if let Some(slot) = queue.pop_front() {
            remove(entries, &slot);
        }
    }
}

fn remove(entries: &mut Entries, slot: &Slot) {
    if let hash_map::Entry::Occupied(entry) = entries.entry(slot.source)
        && entry.get().serial == slot.serial
    {
        entry.remove();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { lifetime: Duration::from_secs(10), open: 4, settled: 4 };

    fn source(port: u16, identifier: u8) -> Source {
        Source { address: SocketAddr::from(([127, 0, 0, 1], port)), connection: 0, identifier }
    }

    #[test]
    fn the_same_request_gets_the_same_answer() {
        let mut cache = Duplicates::new(LIMITS);
        let now = Duration::from_secs(100);
        assert_eq!(cache.check(now, source(1, 1), &[1; 16]), Seen::New);
        assert_eq!(cache.check(now, source(1, 1), &[1; 16]), Seen::InProgress);
        assert_eq!(cache.check(now, source(2, 1), &[1; 16]), Seen::New, "another port is another request");
        cache.answer(now, source(1, 1), &[1; 16], b"answer".to_vec(), false);
        assert_eq!(cache.check(now, source(1, 1), &[1; 16]), Seen::Answered(b"answer"));
        assert_eq!(cache.check(now + LIMITS.lifetime, source(1, 1), &[1; 16]), Seen::New, "too old");
    }

    #[test]
    fn a_reused_identifier_is_a_new_request() {
        let mut cache = Duplicates::new(LIMITS);
        let now = Duration::ZERO;
        assert_eq!(cache.check(now, source(1, 1), &[1; 16]), Seen::New);
        assert_eq!(cache.check(now, source(1, 1), &[2; 16]), Seen::New);
        cache.answer(now, source(1, 1), &[1; 16], b"late".to_vec(), true);
        assert_eq!(
            cache.check(now, source(1, 1), &[2; 16]),
            Seen::InProgress,
            "the late answer is not its own"
        );
    }

    #[test]
    fn forgotten_requests_are_worked_on_again() {
        let mut cache = Duplicates::new(LIMITS);
        assert_eq!(cache.check(Duration::ZERO, source(1, 1), &[1; 16]), Seen::New);
        cache.forget(source(1, 1), &[1; 16]);
        assert!(cache.is_empty());
        assert_eq!(cache.check(Duration::ZERO, source(1, 1), &[1; 16]), Seen::New);
    }

    #[test]
    fn a_flood_does_not_push_out_a_settled_answer() {
        let mut cache = Duplicates::new(LIMITS);
        let now = Duration::ZERO;
        assert_eq!(cache.check(now, source(1, 1), &[1; 16]), Seen::New);
        cache.answer(now, source(1, 1), &[1; 16], b"accept".to_vec(), true);
        for port in 1000..2000 {
            assert_eq!(cache.check(now, source(port, 1), &[1; 16]), Seen::New);
        }
        assert!(cache.len() <= LIMITS.open + LIMITS.settled);
        assert_eq!(cache.check(now, source(1, 1), &[1; 16]), Seen::Answered(b"accept"));
    }

    proptest! {
        #[test]
        fn bounded_whatever_happens(steps in proptest::collection::vec((0u8..4, 0u16..20, 0u8..3, any::<bool>(), 0u64..4), 0..300)) {
            let mut cache = Duplicates::new(LIMITS);
            let mut now = Duration::ZERO;
            for (what, port, authenticator, settled, wait) in steps {
                now += Duration::from_secs(wait);
                let (source, authenticator) = (source(port, 0), [authenticator; 16]);
                match what {
                    0 | 1 => { cache.check(now, source, &authenticator); }
                    2 => cache.answer(now, source, &authenticator, vec![1], settled),
                    _ => cache.forget(source, &authenticator),
                }
                prop_assert!(cache.len() <= LIMITS.open + LIMITS.settled);
                prop_assert!(cache.open.len() <= LIMITS.open && cache.settled.len() <= LIMITS.settled);
            }
            cache.expire(now + LIMITS.lifetime);
            prop_assert!(cache.is_empty());
        }
    }
}
