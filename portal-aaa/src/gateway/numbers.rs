//! Whose number this is, as the packet gateways tell with each session (Calling-Station-Id, 3GPP TS 29.061 §16.4.3).
//! Pure, told the time, in memory only and bounded: the oldest are forgotten.
//!
//! A number outlives its session, since who asks by SMS has none. What a gateway told last counts; somebody who got a
//! number that was another's before claims another IMSI than the one known here, and is refused until he has had a
//! session of his own.

use std::collections::{BTreeSet, HashMap};

use crate::{credential::Msisdn, store::Handle};

/// Numbers that are remembered: as many as sessions, some 40 MB when full.
const MAX_NUMBERS: usize = 262_144;
/// A week without a session, and the directory has to say it.
const LIFE_SECS: u64 = 7 * 86_400;

#[derive(Debug)]
struct Known {
    subscriber: Handle,
    number: Msisdn,
    told_at: u64,
}

/// Numbers by their handle, and handles by subscriber.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    by_number: HashMap<Handle, Known>,
    of_subscriber: HashMap<Handle, Handle>,
    by_age: BTreeSet<(u64, Handle)>,
}

impl Numbers {
    /// A gateway says at `at`, seconds since 1970, that this subscriber has this number.
    pub(super) fn told(&mut self, at: u64, subscriber: Handle, handle: Handle, number: &Msisdn) {
        if self.by_number.get(&handle).is_some_and(|known| known.told_at > at) {
            return;
        }
        let before = self.of_subscriber.get(&subscriber).copied();
        if let Some(before) = before
            && self.by_number.get(&before).is_some_and(|known| known.told_at > at)
        {
            return;
        }
        before.into_iter().chain([handle]).for_each(|old| self.forget(old));
        self.by_number.insert(handle, Known { subscriber, number: number.clone(), told_at: at });
        self.of_subscriber.insert(subscriber, handle);
        self.by_age.insert((at, handle));
        while self.by_age.len() > MAX_NUMBERS {
            let Some((_, oldest)) = self.by_age.first().copied() else { break };
            self.forget(oldest);
        }
    }

    /// Whose number.
    pub(super) fn holder(&self, now: u64, handle: Handle) -> Option<Handle> {
        self.alive(now, handle).map(|known| known.subscriber)
    }

    /// Which number.
    pub(super) fn number(&self, now: u64, subscriber: Handle) -> Option<Msisdn> {
        let handle = self.of_subscriber.get(&subscriber)?;
        self.alive(now, *handle).map(|known| known.number.clone())
    }

    fn alive(&self, now: u64, handle: Handle) -> Option<&Known> {
        self.by_number.get(&handle).filter(|known| now <= known.told_at.saturating_add(LIFE_SECS))
    }

    fn forget(&mut self, handle: Handle) {
        if let Some(known) = self.by_number.remove(&handle) {
            self.by_age.remove(&(known.told_at, handle));
            self.of_subscriber.remove(&known.subscriber);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn handle(n: u8) -> Handle {
        Handle([n; 32])
    }

    fn number(n: u8) -> Msisdn {
        format!("155500010{n:02}").parse().unwrap()
    }

    #[test]
    fn what_was_told_last_counts_and_not_for_ever() {
        let mut numbers = Numbers::default();
        numbers.told(100, handle(1), handle(11), &number(11));
        assert_eq!(
            (numbers.holder(100, handle(11)), numbers.number(100, handle(1))),
            (Some(handle(1)), Some(number(11)))
        );
        numbers.told(99, handle(2), handle(11), &number(11));
        assert_eq!(numbers.holder(100, handle(11)), Some(handle(1)), "an old record that came late");
        numbers.told(200, handle(2), handle(11), &number(11));
        assert_eq!(
            (numbers.holder(200, handle(11)), numbers.number(200, handle(1))),
            (Some(handle(2)), None)
        );
        assert_eq!(numbers.holder(200 + LIFE_SECS, handle(11)), Some(handle(2)));
        assert_eq!(numbers.holder(201 + LIFE_SECS, handle(11)), None);
    }

    proptest! {
        /// Each number is one subscriber's, and each subscriber has one number, whatever is told in whatever order.
        #[test]
        fn never_two(told in vec((0u64..50, 0u8..6, 10u8..16), 0..200)) {
            let mut numbers = Numbers::default();
            for (at, subscriber, n) in told {
                numbers.told(at, handle(subscriber), handle(n), &number(n));
                prop_assert_eq!(numbers.by_number.len(), numbers.of_subscriber.len());
                prop_assert_eq!(numbers.by_number.len(), numbers.by_age.len());
                for (subscriber, handle) in &numbers.of_subscriber {
                    prop_assert_eq!(numbers.holder(50, *handle), Some(*subscriber));
                }
            }
        }
    }
}
