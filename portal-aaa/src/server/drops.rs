//! Packets that were dropped without a word on the wire, counted so that the operator hears of them.
//!
//! A flood must not become a flood of log lines: [`Drops::report`] writes one line for all of a period.

use std::{
    net::IpAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// No client of this address.
    UnknownClient,
    /// No RADIUS packet, or not one for this port.
    Malformed,
    /// Wrong authenticator: another secret, or forged.
    Forged,
    /// No Message-Authenticator where one is needed.
    Unproved,
    /// A repetition of what is being worked on.
    InProgress,
    /// An EAP packet that does not belong here.
    OutOfOrder,
    /// More than this client may send.
    RateLimited,
    /// It has been here before: proxies send it round in a circle.
    Looped,
    /// More than can be worked on.
    Overload,
    /// The database could not take it.
    NotDurable,
    /// An answer could not be built or sent.
    NoAnswer,
}

const ALL: [Why; 11] = [
    Why::UnknownClient,
    Why::Malformed,
    Why::Forged,
    Why::Unproved,
    Why::InProgress,
    Why::OutOfOrder,
    Why::RateLimited,
    Why::Looped,
    Why::Overload,
    Why::NotDurable,
    Why::NoAnswer,
];

impl Why {
    /// Stable code for log and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::UnknownClient => "unknown-client",
            Self::Malformed => "malformed",
            Self::Forged => "wrong-secret-or-forged",
            Self::Unproved => "no-message-authenticator",
            Self::InProgress => "in-progress",
            Self::OutOfOrder => "eap-out-of-order",
            Self::RateLimited => "rate-limited",
            Self::Looped => "proxy-loop",
            Self::Overload => "overload",
            Self::NotDurable => "not-durable",
            Self::NoAnswer => "no-answer",
        }
    }
}

/// One counter a reason.
#[derive(Debug, Default)]
pub struct Drops {
    counters: [Counter; ALL.len()],
}

#[derive(Debug, Default)]
struct Counter {
    total: AtomicU64,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    reported: u64,
    from: Option<IpAddr>,
}

impl Drops {
    /// Counts one.
    pub fn count(&self, why: Why, from: IpAddr) {
        if let Some(counter) = self.counters.get(why as usize) {
            counter.total.fetch_add(1, Ordering::Relaxed);
            counter.last.lock().unwrap_or_else(PoisonError::into_inner).from = Some(from.to_canonical());
        }
    }

    /// How many since the start.
    pub fn total(&self, why: Why) -> u64 {
        self.counters.get(why as usize).map_or(0, |counter| counter.total.load(Ordering::Relaxed))
    }

    /// A log line for every reason that counted since the last report.
    pub fn report(&self) {
        for (why, counter) in ALL.iter().zip(&self.counters) {
            let total = counter.total.load(Ordering::Relaxed);
            let mut last = counter.last.lock().unwrap_or_else(PoisonError::into_inner);
            let count = total.saturating_sub(last.reported);
            last.reported = total;
            if let Some(from) = last.from.filter(|_| count > 0) {
                tracing::warn!(event = "radius-dropped", reason = why.code(), count, last_from = %from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_counter() {
        let drops = Drops::default();
        for (n, why) in ALL.into_iter().enumerate() {
            (0..=n).for_each(|_| drops.count(why, IpAddr::from([192, 0, 2, 1])));
        }
        for (n, why) in (1..).zip(ALL) {
            assert_eq!(drops.total(why), n, "{}", why.code());
        }
    }
}
