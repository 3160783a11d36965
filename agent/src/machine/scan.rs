//! When the radio looks for policy networks, and on which channels: where they were heard before, first and often; all
//! channels less often. The pauses grow to a minute, so that an idle device is woken no more often than that;
//! whatever makes a network likelier (a wake-up of the device, the user's word, Wi-Fi just left) begins them anew.

use std::time::Duration;

use super::{
    Action, HeardStatus, Machine, Note, State,
    signal::{self, Verdict},
};
use crate::wlan::{self, Bss};

/// First pause between scans; doubles up to [`SCAN_MAX`] while nothing of ours is good enough.
const SCAN_FIRST: Duration = Duration::from_secs(2);
/// Before that, known channels are listened to so many times a second apart: Wi-Fi that was lost for a moment is met again
/// in the next one.
const EAGER: u8 = 5;
const SCAN_EAGER: Duration = Duration::from_secs(1);
/// All channels follow the known ones after this time; it doubles up to [`FULL_MAX`]. While they are searched, for some
/// seconds, nothing else is.
const FULL_FIRST: Duration = Duration::from_secs(6);
/// Longest pause.
const SCAN_MAX: Duration = Duration::from_secs(60);
/// The same between scans of all channels where some are known: each costs the battery some seconds of radio, where a
/// known channel takes a tenth of one.
const FULL_MAX: Duration = Duration::from_secs(120);
/// While a network is being watched for the dwell time.
const SCAN_DWELL: Duration = Duration::from_secs(1);
/// A scan whose end was never told.
const SCAN_LIMIT: Duration = Duration::from_secs(15);
/// Channels that are remembered, the one heard last first.
const CHANNELS: usize = 8;

/// Facts about looking.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    next: Duration,
    /// Scans a second apart since the last beginning.
    eager: u8,
    pause: Option<Duration>,
    /// All channels are due again then.
    full_at: Duration,
    full_pause: Option<Duration>,
    since: Option<Duration>,
    /// MHz.
    channels: Vec<u32>,
    /// What the last scan heard, for people.
    last: Option<HeardStatus>,
}

impl Scanner {
    /// Look at once: something changed that makes a network likelier.
    pub(super) fn now(&mut self) {
        self.next = Duration::ZERO;
        self.eager = 0;
        self.pause = None;
        self.full_at = Duration::ZERO;
        self.full_pause = None;
    }

    /// Wi-Fi has just been left: look soon.
    pub(super) fn soon(&mut self, now: Duration) {
        self.now();
        self.next = now + SCAN_EAGER;
    }

    pub(super) fn last(&self) -> Option<&HeardStatus> {
        self.last.as_ref()
    }

    pub(super) fn failed(&mut self, now: Duration) {
        self.since = None;
        self.next = now + SCAN_FIRST;
    }

    pub(super) fn deadline(&self) -> Duration {
        self.since.map_or(self.next, |since| since + SCAN_LIMIT)
    }

    fn heard(&mut self, frequency_mhz: u32) {
        self.channels.retain(|known| *known != frequency_mhz);
        self.channels.insert(0, frequency_mhz);
        self.channels.truncate(CHANNELS);
    }

    fn ended(&mut self, now: Duration, watching: Option<Duration>) {
        self.since = None;
        self.next = match watching {
            Some(allowed_at) => {
                self.pause = None;
                // No use in looking every second while a penalty runs.
                (now + SCAN_DWELL).max(allowed_at)
            }
            None if self.eager < EAGER && !self.channels.is_empty() => {
                self.eager += 1;
                now + SCAN_EAGER
            }
            None => now + grow(&mut self.pause, SCAN_FIRST, SCAN_MAX),
        };
    }

    /// The channels of the scan that is due: none for all of them.
    fn begin(&mut self, now: Duration) -> Option<Vec<u32>> {
        if self.since.is_some_and(|since| now < since + SCAN_LIMIT) || now < self.next {
            return None;
        }
        self.since = Some(now);
        if self.channels.is_empty() || now >= self.full_at {
            // The first look goes to the known channels, and the others follow.
            let first = self.full_pause.is_none() && !self.channels.is_empty();
            self.full_at = now + grow(&mut self.full_pause, FULL_FIRST, FULL_MAX);
            if !first {
                return Some(Vec::new());
            }
        }
        Some(self.channels.clone())
    }
}

fn grow(pause: &mut Option<Duration>, first: Duration, most: Duration) -> Duration {
    let current = pause.unwrap_or(first);
    *pause = Some((current * 2).min(most));
    current
}

impl Machine {
    pub(super) fn learn_scan(&mut self, results: &[Bss]) {
        let now = self.now.since_boot;
        if self.state != State::Armed || !self.may_join() || self.join.ssid().is_some() {
            self.scanner.since = None;
            return;
        }
        let Some(policy) = self.credential.policy() else { return };
        for bss in results {
            if policy.joinable().any(|network| network.ssid.as_bytes() == bss.ssid.as_slice()) {
                self.scanner.heard(bss.frequency_mhz);
            }
        }
        self.scanner.last =
            Some(HeardStatus { signal_dbm: signal::strongest(policy, results), enter_dbm: policy.enter_dbm });
        let verdict = self.judge.scan(now, policy, results);
        if let Verdict::Dwell { ssid, signal_dbm, first: true }
        | Verdict::Join { ssid, signal_dbm, first: true } = &verdict
        {
            self.note(Note::NetworkSensed { ssid: ssid.clone(), signal_dbm: *signal_dbm });
        }
        if let Verdict::Join { ssid, .. } = verdict {
            self.join.aim(ssid);
        }
        self.scanner.ended(now, self.judge.candidate());
    }

    pub(super) fn scan_if_due(&mut self) {
        let Some(policy) = self.credential.policy() else { return };
        let ssids = policy.joinable().map(|network| network.ssid.clone().into_bytes()).collect();
        if let Some(frequencies) = self.scanner.begin(self.now.since_boot) {
            self.act(Action::Wlan(wlan::Command::Scan { ssids, frequencies }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn known_channels_come_first_and_often_and_all_of_them_seldom() {
        let mut scanner = Scanner::default();
        scanner.heard(2412);
        scanner.heard(5180);
        scanner.heard(2412);
        scanner.now();
        let (mut known, mut all) = (0, 0);
        for second in 0..600 {
            if let Some(channels) = scanner.begin(secs(second)) {
                match channels.as_slice() {
                    [] => all += 1,
                    channels => {
                        assert_eq!(channels, [2412, 5180]);
                        known += 1;
                    }
                }
                assert!(known > 0, "the known channels were not first");
                scanner.ended(secs(second), None);
            }
        }
        assert!((4..10).contains(&all) && (9..17).contains(&known), "{all} of all, {known} of the known");
    }

    #[test]
    fn wifi_that_was_lost_for_a_moment_is_looked_for_each_second() {
        let mut scanner = Scanner::default();
        scanner.heard(2412);
        scanner.soon(secs(100));
        for second in 101..=105 {
            assert_eq!(scanner.begin(secs(second)), Some(vec![2412]), "{second}");
            scanner.ended(secs(second), None);
        }
    }

    #[test]
    fn nobody_is_woken_more_than_once_a_minute_while_nothing_changes() {
        for channels in [&[][..], &[2412, 5180]] {
            let mut scanner = Scanner::default();
            channels.iter().for_each(|mhz| scanner.heard(*mhz));
            scanner.now();
            let mut scans = Vec::new();
            for second in 0..3600 {
                if scanner.begin(secs(second)).is_some() {
                    scanner.ended(secs(second), None);
                    scans.push(second);
                }
            }
            let settled = scans.iter().rev().take(50).rev().copied().collect::<Vec<_>>();
            assert!(settled.windows(2).all(|two| two[1] - two[0] >= 60), "{channels:?}: {scans:?}");
            let seldom = scans.windows(2).find(|two| two[1] - two[0] >= 60).unwrap()[0];
            assert!(seldom < 70, "{channels:?}: {scans:?}");
        }
    }

    #[test]
    fn without_known_channels_all_are_searched_with_growing_pauses() {
        let mut scanner = Scanner::default();
        let scans = (0..600)
            .filter(|second| {
                let due = scanner.begin(secs(*second));
                if due.is_some() {
                    scanner.ended(secs(*second), None);
                }
                due.is_some_and(|channels| channels.is_empty())
            })
            .count();
        assert!((10..18).contains(&scans), "{scans} scans in ten minutes");
    }

    #[test]
    fn a_scan_that_never_ends_is_asked_again() {
        let mut scanner = Scanner::default();
        assert!(scanner.begin(secs(0)).is_some());
        assert!(scanner.begin(secs(10)).is_none());
        assert!(scanner.begin(secs(16)).is_some());
    }
}
