//! Requests that have been served, for as long as their time would let them be served again. Pure, bounded, and closed:
//! when it is full nothing is served that could be a repetition.
//!
//! Only proved senders' requests come here, each of them within its subscriber's rate, so nobody else can fill it.

use std::collections::{BTreeSet, HashSet};

use provisioning::sms::Encapsulated;

/// At 40 octets each, some ten megabytes.
const MAX_KNOWN: usize = 131_072;

/// What is wrong with a request's time or novelty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// Its time is too far from ours, or from before our start.
    Time,
    /// It has been served.
    Again,
    /// Too much to remember.
    Full,
}

/// The memory.
#[derive(Debug)]
pub struct Replays {
    started_at: u64,
    window_secs: u64,
    known: HashSet<Encapsulated>,
    by_end: BTreeSet<(u64, Encapsulated)>,
}

impl Replays {
    /// Begins to remember at `now`, seconds since 1970; what was made before that may have been served by the program
    /// that ran then. A request's time may be `window_secs` from ours.
    pub fn new(now: u64, window_secs: u64) -> Self {
        Self { started_at: now, window_secs, known: HashSet::new(), by_end: BTreeSet::new() }
    }

    /// Whether a request made at `made_at` is a new one; then it is remembered.
    pub fn fresh(&mut self, now: u64, made_at: u64, key: Encapsulated) -> Result<(), Stale> {
        while let Some(oldest) = self.by_end.first().copied().filter(|(end, _)| *end < now) {
            self.by_end.remove(&oldest);
            self.known.remove(&oldest.1);
        }
        if now.abs_diff(made_at) > self.window_secs || made_at < self.started_at {
            return Err(Stale::Time);
        }
        if self.known.contains(&key) {
            return Err(Stale::Again);
        }
        if self.known.len() >= MAX_KNOWN {
            return Err(Stale::Full);
        }
        self.known.insert(key);
        // Until its own time puts it out of the window.
        self.by_end.insert((made_at.saturating_add(self.window_secs), key));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use provisioning::sms::{DeviceExchange, PortalKey};

    use super::*;

    fn key() -> Encapsulated {
        DeviceExchange::new(&PortalKey::derive(1, &[1; 32]).public()).unwrap().encapsulated()
    }

    #[test]
    fn once_and_within_its_time_only() {
        let mut replays = Replays::new(1000, 600);
        let (first, second) = (key(), key());
        assert_eq!(replays.fresh(1000, 999, first), Err(Stale::Time), "before the start");
        assert_eq!(replays.fresh(1000, 1601, first), Err(Stale::Time), "from the future");
        assert_eq!(replays.fresh(1000, 1600, first), Ok(()));
        assert_eq!(replays.fresh(1001, 1600, first), Err(Stale::Again));
        assert_eq!(replays.fresh(1001, 1001, second), Ok(()));
        assert_eq!(replays.fresh(2200, 1600, first), Err(Stale::Again), "to the very end");
        assert_eq!(replays.fresh(2201, 1600, first), Err(Stale::Time));
        assert_eq!((replays.known.len(), replays.by_end.len()), (0, 0), "what is over is forgotten");
    }

    proptest! {
        /// Whatever the times, one key is never served twice.
        #[test]
        fn never_twice(asks in vec((0usize..4, 0u64..2000, 0u64..100), 1..200)) {
            let keys: Vec<_> = (0..4).map(|_| key()).collect();
            let made: Vec<u64> = asks.iter().map(|(_, made, _)| *made).collect();
            let mut replays = Replays::new(0, 300);
            let mut now = 0;
            let mut served = [0; 4];
            for (which, _, wait) in &asks {
                now += wait;
                // A key has one time: it stands in the sealed request beside it.
                served[*which] += usize::from(replays.fresh(now, made[*which % made.len()], keys[*which]).is_ok());
            }
            prop_assert!(served.iter().all(|count| *count <= 1));
            prop_assert_eq!(replays.known.len(), replays.by_end.len());
        }
    }
}
