//! `Offloaded`: Wi-Fi carries the traffic, and everything that says it should not any more.

use std::time::Duration;

use provisioning::message::{self, AfterMove};

use super::{Action, Failure, Machine, Note, ReturnReason, State, trend::Trend};
use crate::wlan::{
    self,
    links::{self, Link},
    probe,
};

/// Probes that must fail in a row before Wi-Fi counts as without Internet: one lost packet is none.
const PROBE_FAILURES: u32 = 2;
/// Pause before the second probe, and between two that hints ask for.
const PROBE_AGAIN: Duration = Duration::from_secs(1);
/// A probe whose answer never came. The prober's own limit is 5 s.
const PROBE_LIMIT: Duration = Duration::from_secs(8);
/// With a hint that Wi-Fi does not deliver, a probe unanswered for this long is enough: two signs that agree.
const SUSPECT_WAIT: Duration = Duration::from_millis(1500);
/// With a hint, cellular is brought up while the probe is still on its way, when it is not answered in this time.
const SUSPECT_WARM: Duration = Duration::from_millis(500);
/// A move is young for this long: while cellular stands, one failed probe is enough to go back.
const YOUNG: Duration = Duration::from_secs(5);
/// Pause between probes meanwhile.
const YOUNG_PAUSE: Duration = Duration::from_secs(2);
/// Longest wait for such a probe; with it the route is back within a second.
const YOUNG_WAIT: Duration = Duration::from_millis(900);
/// While the connection of a probe stands the kernel asks, and tells when nobody answers (`wlan/standing.rs`). What it
/// cannot tell, such as a captive portal that comes back, is asked for this often.
const STANDING_EVERY: Duration = Duration::from_secs(900);
/// Wi-Fi that has carried the traffic for this long has made good its earlier losses of Internet.
const SETTLED: Duration = Duration::from_secs(300);
/// After a move the old link stays this long at least: answers to what left by it are still on their way to it, and
/// only TCP connections can be counted. Longer than a round trip by LTE.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// Facts while Wi-Fi carries the traffic.
#[derive(Debug, Default)]
pub(super) struct Offload {
    moved_at: Duration,
    pub(super) linger_until: Duration,
    /// The wait for cellular's connections ends here at the latest.
    pub(super) drain_until: Duration,
    after_move: Option<AfterMove>,
    pub(super) next_probe: Duration,
    /// A probe is on its way since.
    probing: Option<Duration>,
    last_probe: Duration,
    probe_failures: u32,
    /// Something besides the probe says that Wi-Fi does not deliver.
    suspected: bool,
    trend: Trend,
    pub(super) why: Option<ReturnReason>,
    /// Wi-Fi has been left although cellular is not there yet.
    pub(super) left: bool,
    /// Cellular carries the traffic again and Wi-Fi's connections may end until then.
    pub(super) leave_at: Option<Duration>,
}

impl Offload {
    pub(super) fn cellular_may_go(&self, now: Duration) -> bool {
        let warm = self.suspected && self.probing.is_some_and(|since| now >= since + SUSPECT_WARM);
        now >= self.drain_until && self.after_move == Some(AfterMove::Down) && !warm
    }

    /// How long the probe that is on its way may stay unanswered.
    fn patience(&self, now: Duration, cellular: bool) -> Duration {
        if cellular && now < self.moved_at + YOUNG {
            YOUNG_WAIT
        } else if self.suspected {
            SUSPECT_WAIT
        } else {
            PROBE_LIMIT
        }
    }
}

impl Machine {
    /// The default route points to Wi-Fi.
    pub(super) fn begin_offload(&mut self) {
        let Some(policy) = self.credential.policy().cloned() else {
            self.quit_join();
            return;
        };
        let now = self.now.since_boot;
        self.enter(State::Offloaded);
        self.note(Note::MovedToWifi);
        if let Some(ssid) = self.join.ssid() {
            self.judge.succeeded(ssid);
        }
        self.last_failure = None;
        let cellular = self.cellular.ready();
        self.offload = Offload {
            moved_at: now,
            linger_until: now + LINGER,
            drain_until: if cellular { now + Duration::from_secs(policy.drain_secs.into()) } else { now },
            after_move: Some(policy.cellular_after_move),
            // What was true before the move is asked again after it: rules of others may look at the route.
            next_probe: now,
            ..Offload::default()
        };
        if cellular {
            self.act(Action::Links(links::Command::WatchDrain(Link::Cellular)));
        }
        if policy.cellular_after_move == AfterMove::Backup {
            self.act(Action::Links(links::Command::CellularBackup(true)));
        }
        let hysteresis_db =
            u32::try_from(policy.enter_dbm.saturating_sub(policy.leave_dbm) / 2).unwrap_or(0).clamp(1, 10);
        self.act(Action::Wlan(wlan::Command::Watch { leave_dbm: policy.leave_dbm, hysteresis_db }));
    }

    pub(super) fn decide_offloaded(&mut self) {
        let now = self.now.since_boot;
        if self.internet_losses > 0 && now >= self.offload.moved_at + SETTLED {
            self.internet_losses = 0;
        }
        if self.credential_is_ending() {
            self.offload.why.get_or_insert(ReturnReason::Expiring);
        }
        if self.session_is_ending() {
            self.offload.why.get_or_insert(ReturnReason::SessionEnding);
        }
        if self.credential.policy().is_some_and(|policy| policy.offload == message::Offload::Never) {
            self.offload.why.get_or_insert(ReturnReason::Policy);
        }
        let patience = self.offload.patience(now, self.cellular.ready());
        if self.offload.probing.is_some_and(|since| now >= since + patience) {
            self.offload.probing = None;
            self.probe_failed();
        }
        if let Some(why) = self.offload.why {
            let signal_dbm = self.signal_dbm;
            // Else it would count as a connection that is to end first.
            self.act(Action::Probe(probe::Command::Release));
            self.enter(State::Returning);
            self.note(Note::Returning { why, signal_dbm });
        } else if self.offload.probing.is_none() && now >= self.offload.next_probe {
            let young = now < self.offload.moved_at + YOUNG;
            self.probe_wifi(if young { YOUNG_PAUSE } else { self.settings.probe_every });
        }
    }

    fn probe_wifi(&mut self, pause: Duration) {
        let now = self.now.since_boot;
        self.offload.probing = Some(now);
        self.offload.last_probe = now;
        self.offload.next_probe = now + pause;
        self.probe();
    }

    pub(super) fn learn_offload_probe(&mut self, event: &probe::Event) {
        let Some(_) = self.offload.probing.take() else { return };
        if *event == probe::Event::Online {
            self.offload.probe_failures = 0;
            self.offload.suspected = false;
            if self.state == State::Returning && self.offload.why == Some(ReturnReason::NoInternet) {
                self.stay();
            }
        } else if !(matches!(event, probe::Event::Captive { .. }) && self.session_was_ended()) {
            self.probe_failed();
        }
    }

    /// The connection that a probe has left standing, or not any more.
    pub(super) fn learn_standing(&mut self, event: &probe::Event) {
        let now = self.now.since_boot;
        if self.state != State::Offloaded || self.offload.probing.is_some() {
            return;
        }
        match event {
            probe::Event::Standing if now >= self.offload.moved_at + YOUNG => {
                self.offload.next_probe = self.offload.last_probe + STANDING_EVERY;
            }
            // Never sooner than without it: there are servers that give up at once.
            probe::Event::Ended => {
                let due = (self.offload.last_probe + self.settings.probe_every).max(now);
                self.offload.next_probe = self.offload.next_probe.min(due);
            }
            probe::Event::Silent => self.learn_suspect(Link::Wlan),
            _ => {}
        }
    }

    fn probe_failed(&mut self) {
        let now = self.now.since_boot;
        let young = self.cellular.ready() && now < self.offload.moved_at + YOUNG;
        self.offload.probe_failures = self.offload.probe_failures.saturating_add(1);
        self.offload.next_probe = now + PROBE_AGAIN;
        if young || self.offload.suspected || self.offload.probe_failures >= PROBE_FAILURES {
            self.wifi_lost(ReturnReason::NoInternet);
        }
    }

    /// A hint that Wi-Fi does not deliver is worth a probe at once, but no more than one a second.
    pub(super) fn learn_suspect(&mut self, link: Link) {
        if self.state == State::Offloaded && link == Link::Wlan {
            self.offload.suspected = true;
            let soonest = self.offload.last_probe + PROBE_AGAIN;
            self.offload.next_probe = self.offload.next_probe.min(soonest.max(self.now.since_boot));
        }
    }

    /// The device woke up: what it knew of Wi-Fi is old.
    pub(super) fn probe_now(&mut self) {
        if self.state == State::Offloaded {
            self.offload.next_probe = self.now.since_boot;
        }
    }

    /// On the way back without cellular, Wi-Fi is asked whether its Internet has come back.
    pub(super) fn probe_while_returning(&mut self) {
        let now = self.now.since_boot;
        if self.offload.probing.is_some_and(|since| now >= since + PROBE_LIMIT) {
            self.offload.probing = None;
        }
        if self.offload.probing.is_none() && now >= self.offload.next_probe {
            self.probe_wifi(PROBE_AGAIN);
        }
    }

    pub(super) fn learn_signal(&mut self, dbm: i32) {
        let Some(policy) = self.credential.policy() else { return };
        let (enter_dbm, leave_dbm) = (policy.enter_dbm, policy.leave_dbm);
        match self.state {
            State::Offloaded => {
                self.offload.trend.push(self.now.since_boot, dbm);
                if dbm < leave_dbm || self.offload.trend.falls_below(leave_dbm) {
                    self.wifi_lost(ReturnReason::SignalLow);
                }
            }
            State::LoggingIn | State::Verifying if dbm < leave_dbm => self.wifi_lost(ReturnReason::SignalLow),
            State::Returning if dbm >= enter_dbm && self.offload.why == Some(ReturnReason::SignalLow) => {
                self.stay();
            }
            _ => {}
        }
    }

    /// Something says that Wi-Fi is over, or should be.
    pub(super) fn wifi_lost(&mut self, why: ReturnReason) {
        if !why.link_is_alive() {
            self.link_died();
        }
        match self.state {
            State::Joining | State::LoggingIn | State::Verifying => match why {
                ReturnReason::User | ReturnReason::Revoked | ReturnReason::SimChanged => self.quit_join(),
                ReturnReason::SignalLow => {
                    if let Some(policy) = self.credential.policy() {
                        self.judge.left(self.now.since_boot, policy);
                    }
                    self.quit_join();
                }
                ReturnReason::LeaseLost => self.abort_join(Failure::NoDhcp, why.code()),
                _ => self.abort_join(Failure::Association, why.code()),
            },
            State::Offloaded | State::Returning => {
                let worse =
                    self.offload.why.is_none_or(|known| known.link_is_alive() && !why.link_is_alive());
                if worse {
                    self.offload.why = Some(why);
                }
            }
            _ => {}
        }
    }

    pub(super) fn offload_deadline(&self) -> Option<Duration> {
        let now = self.now.since_boot;
        match self.state {
            State::Offloaded => {
                let probe = match self.offload.probing {
                    None => self.offload.next_probe,
                    Some(since) if self.offload.suspected && now < since + SUSPECT_WARM => {
                        since + SUSPECT_WARM
                    }
                    Some(since) => since + self.offload.patience(now, self.cellular.ready()),
                };
                [self.offload.drain_until, probe].into_iter().filter(|at| *at > now).min()
            }
            State::Returning => {
                let probe = match self.offload.probing {
                    None => self.offload.next_probe,
                    Some(since) => since + PROBE_LIMIT,
                };
                let probe = (self.offload.why == Some(ReturnReason::NoInternet)).then_some(probe);
                let dead = self.entered + super::back::DEAD_LIMIT;
                [self.offload.leave_at, Some(dead), probe].into_iter().flatten().filter(|at| *at > now).min()
            }
            _ => None,
        }
    }
}
