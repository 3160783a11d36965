//! `Offloaded` and `Returning`: Wi-Fi carries the traffic, and the way back to cellular.

use std::time::Duration;

use provisioning::message::{AfterMove, Trigger};

use super::{Action, Machine, Note, ReturnReason, State};
use crate::{
    modem::Presence,
    wlan::{
        self,
        links::{self, Link},
        probe,
    },
};

/// Probes that must fail in a row before Wi-Fi counts as without Internet: one lost packet is none.
const PROBE_FAILURES: u32 = 2;
/// Pause before the second probe.
const PROBE_AGAIN: Duration = Duration::from_secs(1);
/// After a move the old link stays this long at least: answers to what left by it are still on their way to it, and
/// only TCP connections can be counted. Longer than a round trip by LTE.
const LINGER: Duration = Duration::from_secs(2);
/// Wi-Fi is dead and cellular does not come: look for Wi-Fi again after this.
const DEAD_LIMIT: Duration = Duration::from_secs(20);

/// Facts while Wi-Fi carries the traffic.
#[derive(Debug, Default)]
pub(super) struct Offload {
    linger_until: Duration,
    /// The wait for cellular's connections ends here at the latest.
    drain_until: Duration,
    after_move: Option<AfterMove>,
    next_probe: Duration,
    probing: bool,
    probe_failures: u32,
    why: Option<ReturnReason>,
    /// Wi-Fi has been left although cellular is not there yet.
    left: bool,
    /// Cellular carries the traffic again and Wi-Fi's connections may end until then.
    leave_at: Option<Duration>,
}

impl Offload {
    pub(super) fn cellular_may_go(&self, now: Duration) -> bool {
        now >= self.drain_until && self.after_move == Some(AfterMove::Down)
    }
}

impl Machine {
    /// The default route points to Wi-Fi.
    pub(super) fn begin_offload(&mut self) {
        let Some(policy) = self.credential.policy().cloned() else { return };
        let now = self.now.since_boot;
        self.enter(State::Offloaded);
        self.note(Note::MovedToWifi);
        self.judge.succeeded();
        self.last_failure = None;
        let cellular = self.cellular.ready();
        self.offload = Offload {
            linger_until: now + LINGER,
            drain_until: now + if cellular { Duration::from_secs(policy.drain_secs.into()) } else { LINGER },
            after_move: Some(policy.cellular_after_move),
            next_probe: now + self.settings.probe_every,
            ..Offload::default()
        };
        if cellular {
            self.act(Action::Links(links::Command::WatchDrain(Link::Cellular)));
        }
        let hysteresis_db =
            u32::try_from((policy.enter_dbm - policy.leave_dbm) / 2).unwrap_or(0).clamp(1, 10);
        self.act(Action::Wlan(wlan::Command::Watch { leave_dbm: policy.leave_dbm, hysteresis_db }));
        if self.credential.current().is_some_and(|credential| credential.one_time) {
            self.credential.want(Trigger::Used);
        }
    }

    pub(super) fn decide_offloaded(&mut self) {
        let now = self.now.since_boot;
        if self.credential_is_ending() {
            self.offload.why.get_or_insert(ReturnReason::Expiring);
        }
        if let Some(why) = self.offload.why {
            let signal_dbm = self.signal_dbm;
            self.enter(State::Returning);
            self.note(Note::Returning { why, signal_dbm });
            return;
        }
        if !self.offload.probing && now >= self.offload.next_probe {
            self.offload.probing = true;
            self.offload.next_probe = now + self.settings.probe_every;
            self.probe();
        }
    }

    pub(super) fn learn_offload_probe(&mut self, event: &probe::Event) {
        self.offload.probing = false;
        if *event == probe::Event::Online {
            self.offload.probe_failures = 0;
            if self.state == State::Returning && self.offload.why == Some(ReturnReason::NoInternet) {
                self.stay();
            }
            return;
        }
        self.offload.probe_failures = self.offload.probe_failures.saturating_add(1);
        self.offload.next_probe = self.now.since_boot + PROBE_AGAIN;
        if self.offload.probe_failures >= PROBE_FAILURES {
            self.wifi_lost(ReturnReason::NoInternet);
        }
    }

    pub(super) fn learn_signal(&mut self, dbm: i32) {
        let Some(policy) = self.credential.policy() else { return };
        if self.state == State::Offloaded && dbm < policy.leave_dbm {
            self.wifi_lost(ReturnReason::SignalLow);
        } else if self.state == State::Returning
            && dbm >= policy.enter_dbm
            && self.offload.why == Some(ReturnReason::SignalLow)
        {
            self.stay();
        }
    }

    pub(super) fn learn_drained(&mut self, link: Link) {
        match (link, self.state) {
            (Link::Cellular, State::Offloaded) => {
                self.offload.drain_until = self.offload.drain_until.min(self.offload.linger_until);
            }
            (Link::Wlan, State::Returning) => {
                if let Some(at) = &mut self.offload.leave_at {
                    *at = (*at).min(self.offload.linger_until);
                }
            }
            _ => {}
        }
    }

    /// Something says that Wi-Fi is over, or should be.
    pub(super) fn wifi_lost(&mut self, why: ReturnReason) {
        match self.state {
            State::Joining | State::Verifying => {
                let failure = match why {
                    ReturnReason::User => {
                        self.leave_wifi();
                        self.enter(State::Armed);
                        return;
                    }
                    ReturnReason::LeaseLost => super::Failure::NoDhcp,
                    _ => super::Failure::Association,
                };
                self.abort_join(failure, why.code());
            }
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

    /// The reason to go back is over before the route moved.
    fn stay(&mut self) {
        if self.carrier == Some(Link::Wlan) && self.moving.is_none() && !self.offload.left {
            self.offload.why = None;
            self.offload.drain_until = self.now.since_boot;
            self.enter(State::Offloaded);
        }
    }

    pub(super) fn decide_returning(&mut self) {
        let why = self.offload.why.unwrap_or(ReturnReason::User);
        let now = self.now.since_boot;
        if self.cellular.ready() && self.carrier != Some(Link::Cellular) {
            self.prefer(Link::Cellular);
        }
        if !why.link_is_alive()
            && !self.offload.left
            && self.carrier != Some(Link::Cellular)
            && !self.cellular.ready()
        {
            // Nothing to wait for on Wi-Fi; the supplicant is free to find it again.
            self.offload.left = true;
            self.leave_wifi();
        }
        if self.carrier == Some(Link::Cellular) {
            self.finish_return(why);
        } else if self.offload.left
            && (self.cellular.presence() != Presence::Ready || self.age() >= DEAD_LIMIT)
        {
            self.settle(why);
        } else if self.offload.left || self.cellular.ready() {
            // The move is under way.
        } else if why == ReturnReason::NoInternet && !self.offload.probing && now >= self.offload.next_probe {
            self.offload.probing = true;
            self.offload.next_probe = now + PROBE_AGAIN;
            self.probe();
        }
    }

    /// The route is back on cellular: let Wi-Fi's connections end, then leave it.
    fn finish_return(&mut self, why: ReturnReason) {
        let now = self.now.since_boot;
        let Some(at) = self.offload.leave_at else {
            self.note(Note::MovedToCellular);
            if self.credential.policy().is_some_and(|policy| policy.renew_after_return) {
                self.credential.want(Trigger::ReturnedToCellular);
            }
            let wait = if why.link_is_alive() { self.settings.return_drain } else { Duration::ZERO };
            self.offload.leave_at = Some(now + wait);
            self.offload.linger_until = now + LINGER;
            if !wait.is_zero() {
                self.act(Action::Links(links::Command::WatchDrain(Link::Wlan)));
            }
            return;
        };
        if now >= at || !why.link_is_alive() {
            if !self.offload.left {
                self.leave_wifi();
            }
            self.note(Note::WifiLeft);
            self.settle(why);
        }
    }

    /// Ends the return: the penalty is plain after an orderly one and doubles when Wi-Fi broke.
    fn settle(&mut self, why: ReturnReason) {
        if let Some(policy) = self.credential.policy().cloned() {
            let now = self.now.since_boot;
            match why {
                ReturnReason::SignalLow | ReturnReason::User | ReturnReason::Expiring => {
                    self.judge.left(now, &policy);
                }
                _ => self.judge.punish(now, &policy),
            }
        }
        self.offload = Offload::default();
        self.decide_waiting();
    }

    pub(super) fn offload_deadline(&self) -> Option<Duration> {
        match self.state {
            State::Offloaded => {
                let probe = (!self.offload.probing).then_some(self.offload.next_probe);
                [Some(self.offload.drain_until), probe]
                    .into_iter()
                    .flatten()
                    .filter(|at| *at > self.now.since_boot)
                    .min()
            }
            State::Returning => {
                let dead = self.offload.left.then_some(self.entered + DEAD_LIMIT);
                let probe = (!self.offload.probing && self.offload.why == Some(ReturnReason::NoInternet))
                    .then_some(self.offload.next_probe);
                [self.offload.leave_at, dead, probe].into_iter().flatten().min()
            }
            _ => None,
        }
    }
}
