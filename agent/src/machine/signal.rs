//! When a network is good enough: threshold, dwell time, penalty after failure. Pure arithmetic on `now`.
//!
//! Without these three a device at the edge of an access point flaps (`enter` and `leave` are 5 dB or more apart,
//! a network must hold `enter` for the dwell time, and a failed or lost join costs a wait that doubles).

use std::time::Duration;

use provisioning::message::Policy;

use crate::wlan::Bss;

/// Doublings of the penalty after which it stays (64 times the policy's).
const MAX_DOUBLINGS: u32 = 6;
/// An entry that the kernel last heard longer ago than this says nothing of now, milliseconds.
const MAX_AGE_MS: u32 = 5_000;

/// The judge of one device's networks.
#[derive(Debug, Clone, Default)]
pub(super) struct Judge {
    /// A network that is above `enter`, and since when.
    candidate: Option<(String, Duration)>,
    /// Joins lost or failed in a row.
    failures: u32,
    /// No join before this.
    not_before: Duration,
}

/// What a scan means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing of ours is good enough.
    Nothing,
    /// Good enough, but not for long enough; look again.
    Dwell {
        /// Network name.
        ssid: String,
        /// dBm.
        signal_dbm: i32,
        /// Whether this is the first time it was sensed.
        first: bool,
    },
    /// Join this one.
    Join {
        /// Network name.
        ssid: String,
        /// dBm.
        signal_dbm: i32,
        /// Whether this is the first time it was sensed.
        first: bool,
    },
}

impl Judge {
    /// Takes the results of a scan.
    pub(super) fn scan(&mut self, now: Duration, policy: &Policy, results: &[Bss]) -> Verdict {
        let Some((ssid, signal_dbm)) = best(policy, results) else {
            self.candidate = None;
            return Verdict::Nothing;
        };
        let (since, first) = match &self.candidate {
            Some((name, since)) if *name == ssid => (*since, false),
            _ => (now, true),
        };
        self.candidate = Some((ssid.clone(), since));
        let dwelt = now.saturating_sub(since) >= Duration::from_secs(policy.dwell_secs.into());
        if dwelt && now >= self.not_before {
            Verdict::Join { ssid, signal_dbm, first }
        } else {
            Verdict::Dwell { ssid, signal_dbm, first }
        }
    }

    /// A join failed, or Wi-Fi was lost: the wait before the next doubles each time.
    pub(super) fn punish(&mut self, now: Duration, policy: &Policy) {
        let wait =
            Duration::from_secs(policy.penalty_secs.into()) * 2u32.pow(self.failures.min(MAX_DOUBLINGS));
        self.failures = self.failures.saturating_add(1);
        self.not_before = now + wait;
        self.candidate = None;
    }

    /// Wi-Fi was left in good order: one plain penalty, so that the same edge is not joined at once.
    pub(super) fn left(&mut self, now: Duration, policy: &Policy) {
        self.failures = 0;
        self.not_before = now + Duration::from_secs(policy.penalty_secs.into());
        self.candidate = None;
    }

    /// A join worked.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.candidate = None;
    }

    /// A person asked: forget penalties.
    pub(super) fn forgive(&mut self) {
        *self = Self::default();
    }

    /// Whether a network has been sensed and is being watched.
    pub(super) fn has_candidate(&self) -> bool {
        self.candidate.is_some()
    }

    /// No join before this.
    pub(super) fn not_before(&self) -> Duration {
        self.not_before
    }
}

/// The policy's best network above `enter`: by priority, then by signal.
fn best(policy: &Policy, results: &[Bss]) -> Option<(String, i32)> {
    results
        .iter()
        .filter(|bss| bss.signal_dbm >= policy.enter_dbm && bss.seen_ms_ago <= MAX_AGE_MS)
        .filter_map(|bss| {
            let network = policy.networks.iter().find(|n| n.ssid.as_bytes() == bss.ssid.as_slice())?;
            Some((network.priority, bss.signal_dbm, &network.ssid))
        })
        .max_by_key(|(priority, signal, _)| (*priority, *signal))
        .map(|(_, signal, ssid)| (ssid.clone(), signal))
}

#[cfg(test)]
mod tests {
    use provisioning::identity::Mac;

    use super::*;
    use crate::machine::tests::policy;

    fn bss(ssid: &str, signal_dbm: i32) -> Bss {
        Bss { bssid: Mac([2; 6]), ssid: ssid.into(), signal_dbm, frequency_mhz: 2412, seen_ms_ago: 10 }
    }

    fn secs(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn joins_only_after_the_dwell_time() {
        let mut judge = Judge::default();
        let policy = policy();
        let results = [bss("corp", -60)];
        assert!(matches!(judge.scan(secs(0), &policy, &results), Verdict::Dwell { first: true, .. }));
        assert!(matches!(judge.scan(secs(1), &policy, &results), Verdict::Dwell { first: false, .. }));
        assert!(matches!(judge.scan(secs(2), &policy, &results), Verdict::Join { .. }));
    }

    #[test]
    fn a_dip_starts_the_dwell_anew() {
        let mut judge = Judge::default();
        let policy = policy();
        judge.scan(secs(0), &policy, &[bss("corp", -60)]);
        assert_eq!(judge.scan(secs(1), &policy, &[bss("corp", -69)]), Verdict::Nothing);
        assert!(matches!(
            judge.scan(secs(2), &policy, &[bss("corp", -60)]),
            Verdict::Dwell { first: true, .. }
        ));
    }

    #[test]
    fn foreign_and_stale_networks_are_nothing() {
        let mut judge = Judge::default();
        let policy = policy();
        assert_eq!(judge.scan(secs(0), &policy, &[bss("cafe", -40)]), Verdict::Nothing);
        let stale = Bss { seen_ms_ago: 6_000, ..bss("corp", -40) };
        assert_eq!(judge.scan(secs(0), &policy, &[stale]), Verdict::Nothing);
    }

    #[test]
    fn priority_beats_signal() {
        let mut judge = Judge::default();
        let policy = policy();
        let verdict = judge.scan(secs(0), &policy, &[bss("guest", -40), bss("corp", -60)]);
        assert!(matches!(verdict, Verdict::Dwell { ssid, .. } if ssid == "corp"));
    }

    #[test]
    fn penalties_double_and_are_bounded() {
        let mut judge = Judge::default();
        let policy = policy();
        let mut last = Duration::ZERO;
        for _ in 0..20 {
            judge.punish(secs(0), &policy);
            assert!(judge.not_before() >= last);
            last = judge.not_before();
        }
        assert_eq!(last, secs(u64::from(policy.penalty_secs) * 64));
        judge.forgive();
        assert_eq!(judge.not_before(), Duration::ZERO);
    }
}
