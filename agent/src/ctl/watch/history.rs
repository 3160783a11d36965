//! The last minutes, a sample a second. Pure: the time is passed in.

use std::{collections::VecDeque, time::Instant};

/// Samples that are kept; no terminal is wider.
const MOST: usize = 400;

/// What is read each second.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counters {
    /// Octets received and sent by the bearer's interface since it is there.
    pub(super) cellular: Option<(u64, u64)>,
    /// By the WLAN card.
    pub(super) wifi: Option<(u64, u64)>,
    /// dBm.
    pub(super) wifi_dbm: Option<i32>,
    /// Percent.
    pub(super) cellular_percent: Option<u32>,
}

/// Octets a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) received: u64,
    pub(super) sent: u64,
}

impl Rate {
    pub(super) fn both(self) -> u64 {
        self.received.saturating_add(self.sent)
    }
}

/// One second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) cellular: Rate,
    pub(super) wifi: Rate,
    pub(super) wifi_dbm: Option<i32>,
    pub(super) cellular_percent: Option<u32>,
}

/// All of them, oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    samples: VecDeque<Sample>,
    before: Option<(Instant, Counters)>,
}

impl History {
    /// One more look at the counters.
    pub(super) fn take(&mut self, now: Instant, counters: &Counters) {
        let Some((then, before)) = self.before.replace((now, *counters)) else { return };
        let millis =
            u64::try_from(now.saturating_duration_since(then).as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = |old: Option<(u64, u64)>, new: Option<(u64, u64)>| match (old, new) {
            // An interface that came back counts from nothing.
            (Some(old), Some(new)) => Rate {
                received: new.0.saturating_sub(old.0).saturating_mul(1000) / millis,
                sent: new.1.saturating_sub(old.1).saturating_mul(1000) / millis,
            },
            _ => Rate::default(),
        };
        if self.samples.len() == MOST {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample {
            cellular: rate(before.cellular, counters.cellular),
            wifi: rate(before.wifi, counters.wifi),
            wifi_dbm: counters.wifi_dbm,
            cellular_percent: counters.cellular_percent,
        });
    }

    /// The last `count` ones; none where it had not begun yet.
    pub(super) fn last(&self, count: usize) -> Vec<Option<Sample>> {
        let missing = count.saturating_sub(self.samples.len());
        let skipped = self.samples.len().saturating_sub(count);
        std::iter::repeat_n(None, missing)
            .chain(self.samples.iter().skip(skipped).copied().map(Some))
            .collect()
    }

    /// The newest one.
    pub(super) fn now(&self) -> Sample {
        self.samples.back().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an Instant can be had in no other way")]
    fn rates_are_of_the_time_between() {
        let (mut history, begin) = (History::default(), Instant::now());
        let at = |wifi| Counters { wifi, ..Counters::default() };
        history.take(begin, &at(Some((1000, 0))));
        assert_eq!(history.now(), Sample::default());
        history.take(begin + Duration::from_secs(2), &at(Some((5000, 100))));
        assert_eq!(history.now().wifi, Rate { received: 2000, sent: 50 });
        // It was away, or counts anew.
        history.take(begin + Duration::from_secs(3), &at(None));
        history.take(begin + Duration::from_secs(4), &at(Some((7, 7))));
        history.take(begin + Duration::from_secs(5), &at(Some((3, 3))));
        assert_eq!(history.now().wifi, Rate::default());
        assert_eq!(history.last(6).iter().filter(|sample| sample.is_none()).count(), 2);
        for second in 0..1000 {
            history.take(begin + Duration::from_secs(second), &at(None));
        }
        assert_eq!((history.samples.len(), history.last(3).len()), (MOST, 3));
    }
}
