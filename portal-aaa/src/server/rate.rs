//! How many requests one client may send: a token bucket each. Pure: told the time.
//!
//! By name, so that a reload of the client table (a client was added elsewhere) does not fill the buckets.

use std::{collections::HashMap, time::Duration};

use foldhash::fast::RandomState;

/// A second's worth of requests may come at once.
const DEPTH: Duration = Duration::from_secs(1);

/// Buckets of the clients that have a limit.
#[derive(Debug, Default)]
pub(super) struct Rates {
    /// When the bucket will be full again; later than a second from now: empty.
    full_at: HashMap<String, Duration, RandomState>,
}

impl Rates {
    /// Counts a request of a client that may send `per_second`; says whether it is within that.
    pub(super) fn take(&mut self, now: Duration, client: &str, per_second: u32) -> bool {
        let one = DEPTH / per_second.max(1);
        let before = self.full_at.get(client).copied().unwrap_or_default().max(now);
        let after = before.saturating_add(one);
        if after > now.saturating_add(DEPTH) {
            return false;
        }
        match self.full_at.get_mut(client) {
            Some(full_at) => *full_at = after,
            None => drop(self.full_at.insert(client.to_owned(), after)),
        }
        true
    }

    /// A full bucket is as good as none: what is kept is bounded by who has asked within the last second.
    pub(super) fn expire(&mut self, now: Duration) {
        self.full_at.retain(|_, full_at| *full_at > now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_second_of_requests_at_once_then_as_time_goes() {
        let mut rates = Rates::default();
        let now = SECOND * 100;
        assert_eq!((0..20).filter(|_| rates.take(now, "ap-1", 5)).count(), 5);
        assert!(rates.take(now, "ap-2", 1), "another's bucket");
        assert!(!rates.take(now + SECOND / 6, "ap-1", 5));
        assert!(rates.take(now + SECOND / 5, "ap-1", 5));
        rates.expire(now + SECOND);
        assert_eq!(rates.full_at.len(), 1, "ap-1 has two tenths to go");
        rates.expire(now + SECOND * 2);
        assert!(rates.full_at.is_empty());
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate(waits in vec(0u64..500, 1..300), rate in 1u32..50) {
            let mut rates = Rates::default();
            let mut now = Duration::ZERO;
            let mut granted = 0u64;
            for wait in waits {
                now += Duration::from_millis(wait);
                rates.expire(now);
                granted += u64::from(rates.take(now, "ap", rate));
            }
            prop_assert!(granted <= u64::from(rate) * (now.as_secs() + 2));
        }
    }
}
