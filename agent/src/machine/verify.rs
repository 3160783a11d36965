//! `Verifying`: an address is there, and the Internet behind it is to be proved before the route moves. Also the way
//! back to Wi-Fi whose Internet was lost: the association is kept and probed while cellular carries the traffic, so that
//! Wi-Fi is taken again within seconds of the repair.

use std::time::Duration;

use super::{Action, Failure, Machine, Note, State};
use crate::wlan::{links::Link, probe};

/// Pause between probes of one series.
const PROBE_PAUSE: Duration = Duration::from_secs(1);
/// A probe whose answer never came. The prober's own limit is 5 s.
const PROBE_LIMIT: Duration = Duration::from_secs(8);
/// Pause between probes of a Wi-Fi that has lost its Internet.
const AGAIN_PAUSE: Duration = Duration::from_secs(2);
/// Wi-Fi without Internet is kept this long; then it is left, with a penalty.
const AGAIN_LIMIT: Duration = Duration::from_secs(600);
/// The Internet must be back for the dwell time, this long at most the first time; doubles with each further loss.
const AGAIN_GOOD: Duration = Duration::from_secs(3);
/// Doublings after which it stays (64 times as long).
const MAX_DOUBLINGS: u32 = 6;

/// Facts about the proof.
#[derive(Debug, Default)]
pub(super) struct Verify {
    /// A probe is on its way since.
    probing: Option<Duration>,
    next_probe: Duration,
    /// The Internet was there and is lost; how often in a row.
    losses: Option<u32>,
    /// Probes have been answered since.
    good_since: Option<Duration>,
}

impl Verify {
    /// This Wi-Fi has carried the traffic before.
    pub(super) fn again(&self) -> bool {
        self.losses.is_some()
    }

    /// The next proof is that of a Wi-Fi that has lost its Internet for the `losses`th time.
    pub(super) fn anew(losses: u32, now: Duration) -> Self {
        Self { probing: None, next_probe: now + AGAIN_PAUSE, losses: Some(losses), good_since: None }
    }
}

impl Machine {
    pub(super) fn decide_verifying(&mut self) {
        let now = self.now.since_boot;
        if self.carrier == Some(Link::Wlan) {
            self.begin_offload();
            return;
        }
        if self.verify.again() && self.credential_is_ending() {
            self.quit_join();
            return;
        }
        if self.age() >= self.verify_limit() {
            self.abort_join(Failure::NoInternet, "no answer to the probe");
            return;
        }
        let lost = self.verify.probing.is_some_and(|since| now >= since + PROBE_LIMIT);
        if lost || (self.verify.probing.is_none() && self.moving.is_none() && now >= self.verify.next_probe) {
            self.verify.probing = Some(now);
            self.probe();
        }
    }

    fn verify_limit(&self) -> Duration {
        if self.verify.again() { AGAIN_LIMIT } else { self.settings.verify_limit }
    }

    pub(super) fn verify_deadline(&self) -> Option<Duration> {
        let limit = self.entered + self.verify_limit();
        Some(match (self.verify.probing, self.moving) {
            (Some(since), _) => limit.min(since + PROBE_LIMIT),
            (None, Some(_)) => limit,
            (None, None) => limit.min(self.verify.next_probe),
        })
    }

    /// One probe over the WLAN.
    pub(super) fn probe(&mut self) {
        let (Some(wlan), Some(lease), Some(policy)) = (&self.wlan, &self.lease, self.credential.policy())
        else {
            return;
        };
        let command = probe::Command::Probe {
            interface: wlan.name.clone(),
            dns: lease.dns.clone(),
            url: policy.probe_url.clone(),
            stay: self.state == State::Offloaded,
        };
        self.act(Action::Probe(command));
    }

    pub(super) fn learn_probe(&mut self, event: probe::Event) {
        if matches!(event, probe::Event::Standing | probe::Event::Ended | probe::Event::Silent) {
            self.learn_standing(&event);
            return;
        }
        if self.state != State::Verifying {
            self.learn_offload_probe(&event);
            return;
        }
        let now = self.now.since_boot;
        self.verify.probing = None;
        if let Some(losses) = self.verify.losses {
            self.learn_probe_again(losses, &event);
            return;
        }
        match event {
            probe::Event::Online => {
                self.note(Note::ProbeOnline);
                self.prefer(Link::Wlan);
            }
            probe::Event::Captive { status } => {
                self.abort_join(Failure::Captive, &format!("the probe was answered with status {status}"));
            }
            probe::Event::Offline(text) => {
                if self.age() + PROBE_PAUSE >= self.settings.verify_limit {
                    self.abort_join(Failure::NoInternet, &text);
                } else {
                    self.verify.next_probe = now + PROBE_PAUSE;
                }
            }
            probe::Event::Standing | probe::Event::Ended | probe::Event::Silent => {}
        }
    }

    fn learn_probe_again(&mut self, losses: u32, event: &probe::Event) {
        let now = self.now.since_boot;
        if *event != probe::Event::Online {
            self.verify.good_since = None;
            self.verify.next_probe = now + AGAIN_PAUSE;
            return;
        }
        let dwell = self.credential.policy().map_or(0, |policy| policy.dwell_secs);
        let first = Duration::from_secs(dwell.into()).min(AGAIN_GOOD).max(PROBE_PAUSE);
        let needed = first * 2u32.pow(losses.saturating_sub(1).min(MAX_DOUBLINGS));
        let good_since = *self.verify.good_since.get_or_insert(now);
        if now.saturating_sub(good_since) >= needed {
            self.note(Note::ProbeOnline);
            self.prefer(Link::Wlan);
        }
        self.verify.next_probe = now + PROBE_PAUSE;
    }
}
