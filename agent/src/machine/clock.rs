//! What time it is, when the device's own clock may be wrong: many field devices wake up in 1970.
//!
//! In this order: the portal (it made the credential, and its end is reckoned by its clock), the cellular network where
//! it differs from the system by more than a day, the system, and never before this program was built. Once portal or
//! network have told, time goes on with the clock that never leaps, so a leap of the system's neither ends a credential
//! nor revives one. No check of a certificate is ever weakened for a wrong clock.

use std::time::Duration;

use super::Now;

/// A network's or the system's time may be this wrong (time zones, late updates) before the other is preferred.
const DAY: u64 = 86_400;
/// The system's clock is not set to about the same time again before this.
const SET_PAUSE: Duration = Duration::from_secs(3600);

/// No true time lies before this: when the program was built, or the release it was built from, seconds since 1970.
/// `SOURCE_DATE_EPOCH` is what package builders set (reproducible-builds.org), so that the same source gives the same
/// program; a build without it has the constant, which is moved on with each release (1 November 2026).
pub(crate) const FLOOR: u64 = match option_env!("SOURCE_DATE_EPOCH") {
    Some(text) => number(text.as_bytes(), 1_793_491_200),
    None => 1_793_491_200,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Network,
    Portal,
}

/// The machine's sense of time.
#[derive(Debug)]
pub(super) struct Clock {
    started: Duration,
    /// Who told, when in `since_boot`, and what, seconds since 1970.
    told: Option<(Source, Duration, u64)>,
    /// Network or portal said that the system's clock is about right, or said what is right.
    confirmed: bool,
    /// The last setting of the system's clock: when, and to what.
    set: Option<(Duration, u64)>,
}

impl Clock {
    pub(super) fn new(now: Now) -> Self {
        Self { started: now.since_boot, told: None, confirmed: false, set: None }
    }

    /// Seconds since 1970, to be relied on.
    pub(super) fn unix(&self, system: Now) -> u64 {
        let since = |at: Duration| system.since_boot.saturating_sub(at).as_secs();
        match self.told {
            Some((_, at, unix)) => unix.saturating_add(since(at)),
            None => system.unix.max(FLOOR.saturating_add(since(self.started))),
        }
    }

    /// The portal has just issued a credential.
    pub(super) fn portal_told(&mut self, at: Duration, unix: u64) {
        if unix >= FLOOR {
            self.told = Some((Source::Portal, at, unix));
            self.confirmed = true;
        }
    }

    /// The cellular network told its time.
    pub(super) fn network_told(&mut self, system: Now, unix: u64) {
        let portal = matches!(self.told, Some((Source::Portal, ..)));
        self.confirmed |= unix >= FLOOR;
        if unix >= FLOOR && !portal && unix.abs_diff(system.unix) > DAY {
            self.told = Some((Source::Network, system.since_boot, unix));
        }
    }

    /// Whether somebody else than this device has said what time it is. Where not, a certificate whose dates do not fit
    /// may be right.
    pub(super) fn confirmed(&self) -> bool {
        self.confirmed
    }

    /// What the system's clock is to be set to, when it is too far off.
    pub(super) fn correction(&mut self, system: Now) -> Option<u64> {
        let unix = self.unix(system);
        let off = system.unix < FLOOR || unix.abs_diff(system.unix) > DAY;
        let tried = self.set.is_some_and(|(at, to)| {
            let since = system.since_boot.saturating_sub(at);
            since < SET_PAUSE && unix.abs_diff(to.saturating_add(since.as_secs())) <= DAY
        });
        if !off || tried {
            return None;
        }
        self.set = Some((system.since_boot, unix));
        Some(unix)
    }
}

const fn number(mut octets: &[u8], otherwise: u64) -> u64 {
    let mut number: u64 = 0;
    while let [digit, rest @ ..] = octets {
        if !digit.is_ascii_digit() || number > u64::MAX / 100 {
            return otherwise;
        }
        number = number * 10 + (*digit - b'0') as u64;
        octets = rest;
    }
    if number == 0 { otherwise } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64, unix: u64) -> Now {
        Now { since_boot: Duration::from_secs(secs), unix }
    }

    #[test]
    fn a_clock_of_1970_counts_from_the_build() {
        let mut clock = Clock::new(at(5, 5));
        assert_eq!(clock.unix(at(15, 15)), FLOOR + 10);
        assert_eq!(clock.correction(at(15, 15)), Some(FLOOR + 10));
        assert_eq!(clock.correction(at(16, 16)), None, "asked again although nothing new is known");
        clock.network_told(at(20, 20), FLOOR + 90 * DAY);
        assert_eq!(clock.correction(at(20, 20)), Some(FLOOR + 90 * DAY), "the network knows better");
    }

    #[test]
    fn the_network_mends_a_clock_of_2040_and_leaves_a_good_one() {
        let (good, bad) = (FLOOR + 40 * DAY, FLOOR + 5000 * DAY);
        let mut clock = Clock::new(at(0, bad));
        assert_eq!(clock.correction(at(0, bad)), None, "nobody has said otherwise");
        clock.network_told(at(1, bad), good);
        assert_eq!((clock.unix(at(1, bad)), clock.correction(at(1, bad))), (good, Some(good)));
        let mut clock = Clock::new(at(0, good));
        clock.network_told(at(1, good), good + 3600);
        assert_eq!((clock.unix(at(2, good + 2)), clock.correction(at(2, good + 2))), (good + 2, None));
        assert!(clock.confirmed() && !Clock::new(at(0, good)).confirmed());
    }

    #[test]
    fn what_the_portal_told_outlives_any_leap() {
        let start = FLOOR + 40 * DAY;
        let mut clock = Clock::new(at(0, start));
        clock.portal_told(Duration::from_secs(10), start + 10);
        for leap in [0, start - DAY, start + 900 * DAY] {
            assert_eq!(clock.unix(at(70, leap)), start + 70);
        }
        clock.network_told(at(70, start + 70), start + 400 * DAY);
        assert_eq!(clock.unix(at(70, start + 70)), start + 70, "the portal's word is worth more");
    }

    #[test]
    fn nonsense_is_not_believed() {
        let mut clock = Clock::new(at(0, FLOOR + 9));
        clock.network_told(at(1, FLOOR + 10), 300);
        clock.portal_told(Duration::from_secs(1), 300);
        assert_eq!(clock.unix(at(1, FLOOR + 10)), FLOOR + 10);
        assert_eq!((number(b"12x", 7), number(b"", 7), number(b"1793491200", 7)), (7, 7, 1_793_491_200));
    }
}
