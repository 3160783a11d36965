//! `Returning`: the way back to cellular. The bearer first, then the route, then Wi-Fi is left.

use std::time::Duration;

use provisioning::message::AfterMove;

use super::{
    Action, Machine, Note, ReturnReason, State,
    offload::{LINGER, Offload},
    verify::Verify,
};
use crate::{
    modem::Presence,
    wlan::links::{self, Link},
};

/// Wi-Fi is dead, or not ours any more, and cellular does not come: look for Wi-Fi again after this.
pub(super) const DEAD_LIMIT: Duration = Duration::from_secs(20);

impl Machine {
    /// The reason to go back is over before the route moved.
    pub(super) fn stay(&mut self) {
        if self.carrier == Some(Link::Wlan) && self.moving.is_none() && !self.offload.left {
            self.offload.why = None;
            self.offload.drain_until = self.now.since_boot;
            // The connection that stood was released.
            self.offload.next_probe = self.now.since_boot;
            self.enter(State::Offloaded);
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

    pub(super) fn decide_returning(&mut self) {
        let why = self.offload.why.unwrap_or(ReturnReason::User);
        if self.cellular.ready() && self.carrier != Some(Link::Cellular) {
            self.prefer(Link::Cellular);
        }
        // Without a right to it, Wi-Fi is not kept for a cellular that does not come.
        let forbidden = matches!(why, ReturnReason::Revoked | ReturnReason::SimChanged);
        let useless = !why.link_is_alive() || (forbidden && self.age() >= DEAD_LIMIT);
        if useless && !self.offload.left && self.carrier != Some(Link::Cellular) && !self.cellular.ready() {
            // Nothing to wait for on Wi-Fi; the supplicant is free to find it again.
            self.offload.left = true;
            self.leave_wifi_keeping_target();
        }
        if self.carrier == Some(Link::Cellular) {
            self.finish_return(why);
        } else if self.offload.left
            && (self.cellular.presence() != Presence::Ready || self.age() >= DEAD_LIMIT)
        {
            self.settle(why);
        } else if self.offload.left || self.cellular.ready() {
            // The move is under way.
        } else if why == ReturnReason::NoInternet {
            self.probe_while_returning();
        }
    }

    /// The route is back on cellular: let Wi-Fi's connections end, then leave it.
    fn finish_return(&mut self, why: ReturnReason) {
        let now = self.now.since_boot;
        let Some(at) = self.offload.leave_at else {
            self.note(Note::MovedToCellular);
            if self.credential.policy().is_some_and(|p| p.cellular_after_move == AfterMove::Backup) {
                self.act(Action::Links(links::Command::CellularBackup(false)));
            }
            self.credential.returned();
            if why == ReturnReason::NoInternet && self.wait_for_internet() {
                return;
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
            if !std::mem::replace(&mut self.offload.left, true) {
                self.leave_wifi_keeping_target();
            }
            if self.hotspot.is_leaving() {
                return;
            }
            self.note(Note::WifiLeft);
            self.settle(why);
        }
    }

    /// Only the Internet behind it is missing: stay associated and wait for it, unless the policy wants a new password
    /// first. Wi-Fi's own connections cannot be drained by a dead link.
    fn wait_for_internet(&mut self) -> bool {
        let now = self.now.since_boot;
        if self.lease.is_none() || self.offload.left || !self.credential.usable(now, self.now.unix) {
            // A one-time credential is used up by now: this association is all that it gives.
            return false;
        }
        self.internet_losses = self.internet_losses.saturating_add(1);
        self.offload = Offload::default();
        self.verify = Verify::anew(self.internet_losses, now);
        self.enter(State::Verifying);
        true
    }

    /// Ends the return: the penalty is plain after an orderly one and doubles when Wi-Fi broke.
    fn settle(&mut self, why: ReturnReason) {
        let now = self.now.since_boot;
        if let Some(policy) = self.credential.policy() {
            let plain = matches!(
                why,
                ReturnReason::SignalLow
                    | ReturnReason::User
                    | ReturnReason::Expiring
                    | ReturnReason::SessionEnding
                    | ReturnReason::SessionEnded
            );
            match self.join.ssid() {
                Some(ssid) if !plain => self.judge.punish(now, policy, ssid),
                _ => self.judge.left(now, policy),
            }
        }
        self.join.forget();
        self.offload = Offload::default();
        self.decide_waiting();
    }

    /// The name of the network is still wanted for its penalty.
    fn leave_wifi_keeping_target(&mut self) {
        let ssid = self.join.ssid().map(str::to_owned);
        self.leave_wifi();
        if let Some(ssid) = ssid {
            self.join.aim(ssid);
        }
    }
}
