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

/// A signal that changes faster than this over the dwell time belongs to somebody who passes by, dB a second.
/// Walking away from an access point costs 1 to 2 dB a second.
const MAX_SLOPE_DB_S: u128 = 4;
/// Networks whose penalties are remembered; a policy has no more.
const MAX_PENALTIES: usize = 32;

/// The judge of one device's networks.
#[derive(Debug, Clone, Default)]
pub(super) struct Judge {
    /// A network that is above `enter`.
    candidate: Option<Candidate>,
    /// Networks whose joins failed or were lost.
    penalties: Vec<Penalty>,
    /// No join of any network before this.
    not_before: Duration,
}

/// A network that is being watched.
#[derive(Debug, Clone)]
struct Candidate {
    ssid: String,
    since: Duration,
    /// Lowest and highest signal since then, dBm: one who drives past comes and goes, with the same at both ends.
    lowest_dbm: i32,
    highest_dbm: i32,
}

/// A network that failed us, and only that one: the next in the policy may be well.
#[derive(Debug, Clone)]
struct Penalty {
    ssid: String,
    /// Joins lost or failed in a row.
    failures: u32,
    until: Duration,
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
        let free = best(policy, results, |ssid| now >= self.allowed_at(ssid));
        let Some((ssid, signal_dbm)) = free.or_else(|| best(policy, results, |_| true)) else {
            self.candidate = None;
            return Verdict::Nothing;
        };
        let known = self.candidate.take().filter(|candidate| candidate.ssid == ssid);
        let first = known.is_none();
        let begins =
            Candidate { ssid: ssid.clone(), since: now, lowest_dbm: signal_dbm, highest_dbm: signal_dbm };
        let mut candidate = known.unwrap_or_else(|| begins.clone());
        candidate.lowest_dbm = candidate.lowest_dbm.min(signal_dbm);
        candidate.highest_dbm = candidate.highest_dbm.max(signal_dbm);
        let watched = now.saturating_sub(candidate.since);
        let dwelt = watched >= Duration::from_secs(policy.dwell_secs.into());
        let change = u128::from(candidate.highest_dbm.abs_diff(candidate.lowest_dbm));
        let passing_by =
            dwelt && change * 1000 > watched.as_millis() * MAX_SLOPE_DB_S && policy.dwell_secs > 0;
        // The watch begins anew, so that one who stops at the access point is let in one dwell time later.
        self.candidate = Some(if passing_by { begins } else { candidate });
        if dwelt && !passing_by && now >= self.allowed_at(&ssid) {
            Verdict::Join { ssid, signal_dbm, first }
        } else {
            Verdict::Dwell { ssid, signal_dbm, first }
        }
    }

    /// A join failed, or Wi-Fi was lost: the wait before the next one of this network doubles each time.
    pub(super) fn punish(&mut self, now: Duration, policy: &Policy, ssid: &str) {
        let index = self.penalties.iter().position(|penalty| penalty.ssid == ssid);
        let mut penalty = match index {
            Some(index) => self.penalties.swap_remove(index),
            None => Penalty { ssid: ssid.to_owned(), failures: 0, until: now },
        };
        let wait =
            Duration::from_secs(policy.penalty_secs.into()) * 2u32.pow(penalty.failures.min(MAX_DOUBLINGS));
        penalty.failures = penalty.failures.saturating_add(1);
        penalty.until = now + wait;
        self.penalties.truncate(MAX_PENALTIES - 1);
        self.penalties.push(penalty);
        self.candidate = None;
    }

    /// Wi-Fi was left in good order: one plain penalty, so that the same edge is not joined at once.
    pub(super) fn left(&mut self, now: Duration, policy: &Policy) {
        self.not_before = now + Duration::from_secs(policy.penalty_secs.into());
        self.candidate = None;
    }

    /// A join worked.
    pub(super) fn succeeded(&mut self, ssid: &str) {
        self.penalties.retain(|penalty| penalty.ssid != ssid);
        self.candidate = None;
    }

    /// Wi-Fi was left, for whatever reason: no network has dwelt any more.
    pub(super) fn look_anew(&mut self) {
        self.candidate = None;
    }

    /// A person asked: forget penalties.
    pub(super) fn forgive(&mut self) {
        *self = Self::default();
    }

    /// The network that has been sensed and is being watched, and when it may be joined at the earliest.
    pub(super) fn candidate(&self) -> Option<Duration> {
        self.candidate.as_ref().map(|candidate| self.allowed_at(&candidate.ssid))
    }

    /// No join of this network before.
    pub(super) fn allowed_at(&self, ssid: &str) -> Duration {
        let penalty = self.penalties.iter().find(|penalty| penalty.ssid == ssid);
        penalty.map_or(self.not_before, |penalty| penalty.until.max(self.not_before))
    }
}

/// The policy's best network above `enter`: by priority, then by signal.
fn best(policy: &Policy, results: &[Bss], allowed: impl Fn(&str) -> bool) -> Option<(String, i32)> {
    results
        .iter()
        .filter(|bss| bss.signal_dbm >= policy.enter_dbm && bss.seen_ms_ago <= MAX_AGE_MS)
        .filter_map(|bss| {
            let network = policy.joinable().find(|n| n.ssid.as_bytes() == bss.ssid.as_slice())?;
            allowed(&network.ssid).then_some((network.priority, bss.signal_dbm, &network.ssid))
        })
        .max_by_key(|(priority, signal, _)| (*priority, *signal))
        .map(|(_, signal, ssid)| (ssid.clone(), signal))
}

/// The policy's strongest network, whether it is good enough or not, dBm.
pub(super) fn strongest(policy: &Policy, results: &[Bss]) -> Option<i32> {
    let ours = |bss: &&Bss| {
        bss.seen_ms_ago <= MAX_AGE_MS
            && policy.joinable().any(|network| network.ssid.as_bytes() == bss.ssid.as_slice())
    };
    results.iter().filter(ours).map(|bss| bss.signal_dbm).max()
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
            judge.punish(secs(0), &policy, "corp");
            assert!(judge.allowed_at("corp") >= last);
            last = judge.allowed_at("corp");
        }
        assert_eq!(last, secs(u64::from(policy.penalty_secs) * 64));
        assert_eq!(judge.allowed_at("guest"), Duration::ZERO, "the other network has done nothing");
        judge.forgive();
        assert_eq!(judge.allowed_at("corp"), Duration::ZERO);
    }

    #[test]
    fn the_next_network_steps_in_for_one_that_failed() {
        let mut judge = Judge::default();
        let policy = policy();
        let results = [bss("corp", -50), bss("guest", -60)];
        judge.punish(secs(0), &policy, "corp");
        judge.scan(secs(0), &policy, &results);
        assert!(
            matches!(judge.scan(secs(2), &policy, &results), Verdict::Join { ssid, .. } if ssid == "guest")
        );
    }

    #[test]
    fn who_drives_by_does_not_join() {
        let mut judge = Judge::default();
        let policy = policy();
        // 10 dB a second up to the access point and 10 dB a second away from it.
        for (second, dbm) in [-64, -54, -44, -40, -50, -60].into_iter().enumerate() {
            let verdict = judge.scan(secs(second as u64), &policy, &[bss("corp", dbm)]);
            assert!(matches!(verdict, Verdict::Dwell { .. }), "second {second}: {verdict:?}");
        }
        // One who stops joins.
        judge.scan(secs(10), &policy, &[bss("corp", -41)]);
        let joins = (11..16)
            .any(|s| matches!(judge.scan(secs(s), &policy, &[bss("corp", -40)]), Verdict::Join { .. }));
        assert!(joins);
    }
}
