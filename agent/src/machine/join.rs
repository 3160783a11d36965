//! `Armed` and `Joining`: from looking for a network to an address on it. Cellular carries the traffic, unless the
//! policy wants it broken first.

use std::time::Duration;

use provisioning::{
    identity::Mac,
    message::{MacMode, Sequence, Trigger},
    report,
    wispr::Wispr,
};

use super::{Action, Failure, Machine, Note, ReturnReason, State};
use crate::{
    supplicant::{self, Owner},
    wlan::{
        self,
        links::{self, Lease, Link},
    },
};

/// DHCP has a shorter limit of its own; this one holds when its task died.
const ADDRESS_LIMIT: Duration = Duration::from_secs(30);
/// The card answers a change of its address at once.
const MAC_LIMIT: Duration = Duration::from_secs(5);
/// Break before make: the login begins after this also when the modem has not said that the bearer is down.
const BREAK_LIMIT: Duration = Duration::from_secs(5);

/// Facts about one join.
#[derive(Debug, Default)]
pub(super) struct Join {
    target: Option<String>,
    /// It is open: how one logs on there.
    hotspot: Option<Wispr>,
    progress: Progress,
    /// An address that the owner of the interface got, perhaps before we heard that the login worked.
    offered: Option<Lease>,
}

/// How far `Joining` is, and since when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Progress {
    /// Cellular goes first, where the policy says so.
    #[default]
    Breaking,
    /// The card is to use another address.
    Masking(Duration),
    /// The supplicant associates and authenticates.
    Authenticating(Duration),
    /// An address is awaited.
    Connected(Duration),
}

impl Join {
    /// The network that is to be joined.
    pub(super) fn aim(&mut self, ssid: String) {
        self.target = Some(ssid);
    }

    /// Network being joined or in use.
    pub(super) fn ssid(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// The network has a gateway that wants a login.
    pub(super) fn is_hotspot(&self) -> bool {
        self.hotspot.is_some()
    }

    /// Nothing is being joined any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Machine {
    pub(super) fn decide_armed(&mut self) {
        let (now, unix) = (self.now.since_boot, self.now.unix);
        if self.hotspot.is_leaving() {
            return;
        }
        if self.join.target.is_some() && self.credential.stale_for_move(now) {
            self.credential.want(Trigger::BeforeMove);
        }
        if !self.credential.usable(now, unix) {
            self.join.target = None;
            self.decide_waiting();
            return;
        }
        if !self.credential.installed(unix) || self.wlan.is_none() || !self.may_join() {
            self.join.target = None;
            return;
        }
        let Some(ssid) = self.join.target.clone() else {
            self.scan_if_due();
            return;
        };
        let hotspot = self.credential.policy().and_then(|policy| {
            policy
                .networks
                .iter()
                .find(|network| network.ssid == ssid)
                .and_then(|network| network.wispr.clone())
        });
        self.join = Join { target: Some(ssid.clone()), hotspot, ..Join::default() };
        self.verify = super::verify::Verify::default();
        self.lease = None;
        self.signal_dbm = None;
        self.enter(State::Joining);
        self.note(Note::Joining { ssid });
    }

    /// The policy wants cellular to be gone before the login.
    pub(super) fn breaks_first(&self) -> bool {
        let break_first =
            self.credential.policy().is_some_and(|policy| policy.sequence == Sequence::BreakBeforeMake);
        break_first && self.state.is_arriving() && !self.verify.again()
    }

    pub(super) fn decide_joining(&mut self) {
        let now = self.now.since_boot;
        match self.join.progress {
            Progress::Breaking
                if self.breaks_first() && !self.cellular.is_down() && self.age() < BREAK_LIMIT => {}
            Progress::Breaking => self.mask(),
            Progress::Masking(_) if self.mask_wanted().is_none() => self.authenticate(),
            Progress::Masking(since) if now >= since + MAC_LIMIT => {
                self.abort_join(Failure::Mac, "the card does not say that it uses the address");
            }
            Progress::Masking(_) => {}
            Progress::Authenticating(since) if now >= since + self.settings.join_limit => {
                self.abort_join(Failure::AaaSilent, "the join took too long");
            }
            Progress::Authenticating(_) => {}
            Progress::Connected(since) if now >= since + ADDRESS_LIMIT => {
                self.abort_join(Failure::NoDhcp, "no address in time");
            }
            Progress::Connected(_) => {}
        }
    }

    /// The address that the card must get before it may be heard on the air.
    fn mask_wanted(&self) -> Option<Mac> {
        let card = self.wlan.as_ref()?;
        // NetworkManager sets the address itself, from the profile that it is given.
        if self.credential.owner() == Some(Owner::NetworkManager) {
            return None;
        }
        let wanted = match self.credential.chosen(self.now.unix)?.mac_mode {
            MacMode::Permanent => card.permanent_mac,
            MacMode::Issued(mac) => mac,
            MacMode::Unbound => return None,
        };
        (wanted != card.current_mac).then_some(wanted)
    }

    fn mask(&mut self) {
        match self.mask_wanted() {
            Some(mac) => {
                self.join.progress = Progress::Masking(self.now.since_boot);
                self.act(Action::Wlan(wlan::Command::SetMac(mac)));
            }
            None => self.authenticate(),
        }
    }

    fn authenticate(&mut self) {
        let Some(ssid) = self.join.target.clone() else { return };
        self.join.progress = Progress::Authenticating(self.now.since_boot);
        self.act(Action::Supplicant(supplicant::Command::Join { ssid: ssid.into_bytes() }));
    }

    pub(super) fn learn_mac_refused(&mut self, text: &str) {
        self.report_failure(report::Failure::MacRefused);
        if self.state == State::Joining && matches!(self.join.progress, Progress::Masking(_)) {
            self.abort_join(Failure::Mac, text);
        } else {
            self.fail(Failure::Mac, text);
        }
    }

    pub(super) fn learn_connected(&mut self) {
        if self.state != State::Joining || !matches!(self.join.progress, Progress::Authenticating(_)) {
            return;
        }
        self.join.progress = Progress::Connected(self.now.since_boot);
        match self.join.offered.take() {
            Some(lease) => self.adopt(lease),
            None if self.credential.owner() == Some(Owner::NetworkManager) => {}
            None => {
                if let Some(wlan) = &self.wlan {
                    let interface = wlan.name.clone();
                    self.act(Action::Links(links::Command::AcquireWlan { interface }));
                }
            }
        }
    }

    /// The owner of the interface has got an address: it is used, and nobody asks for another.
    pub(super) fn learn_addressed(&mut self, lease: Lease) {
        match self.state {
            State::Joining if !matches!(self.join.progress, Progress::Connected(_)) => {
                self.join.offered = Some(lease);
            }
            State::Joining | State::LoggingIn | State::Verifying | State::Offloaded | State::Returning => {
                self.adopt(lease)
            }
            _ => {}
        }
    }

    fn adopt(&mut self, lease: Lease) {
        if let Some(wlan) = &self.wlan {
            let interface = wlan.name.clone();
            self.act(Action::Links(links::Command::AdoptWlan { interface, lease }));
        }
    }

    pub(super) fn learn_join_failure(&mut self, failure: Failure, text: &str) {
        if self.state.is_arriving() {
            self.abort_join(failure, text);
        }
    }

    pub(super) fn learn_lease(&mut self, lease: Lease) {
        let address = lease.address;
        self.lease = Some(lease);
        if self.state == State::Joining {
            self.note(Note::WlanAddress { address });
            match self.join.hotspot.clone() {
                Some(rules) => self.begin_login(rules),
                None => self.enter(State::Verifying),
            }
        }
    }

    pub(super) fn learn_no_lease(&mut self, text: &str) {
        self.lease = None;
        match self.state {
            State::Joining | State::LoggingIn | State::Verifying => self.abort_join(Failure::NoDhcp, text),
            _ => self.wifi_lost(ReturnReason::LeaseLost),
        }
    }

    pub(super) fn learn_wlan_link_failure(&mut self, text: &str) {
        match self.state {
            State::Joining | State::LoggingIn | State::Verifying => self.abort_join(Failure::Route, text),
            _ => self.fail(Failure::Route, text),
        }
    }

    /// Back to `Armed`, with a penalty for this network; cellular has carried the traffic all the time.
    pub(super) fn abort_join(&mut self, failure: Failure, text: &str) {
        self.fail(failure, text);
        if let (Some(policy), Some(ssid)) = (self.credential.policy(), self.join.ssid()) {
            self.judge.punish(self.now.since_boot, policy, ssid);
        }
        self.quit_join();
    }

    /// Back to `Armed` in good order.
    pub(super) fn quit_join(&mut self) {
        if self.moving == Some(Link::Wlan) {
            // The move was asked already and may be done before this is read: take it back explicitly.
            self.moving = None;
            if self.cellular.ready() {
                self.prefer(Link::Cellular);
            }
        }
        self.leave_wifi();
        self.enter(State::Armed);
    }

    /// Disconnects and gives the address back.
    pub(super) fn disassociate(&mut self) {
        self.act(Action::Supplicant(supplicant::Command::Leave));
        self.act(Action::Links(links::Command::ReleaseWlan));
        self.act(Action::Wlan(wlan::Command::Unwatch));
    }

    /// Leaves Wi-Fi, after a word to the gateway where there is one, and forgets the target.
    pub(super) fn leave_wifi(&mut self) {
        self.begin_leaving();
        if self.carrier == Some(Link::Wlan) {
            self.carrier = None;
        }
        self.lease = None;
        self.signal_dbm = None;
        self.join.forget();
        self.verify = super::verify::Verify::default();
        self.judge.look_anew();
        self.scanner.soon(self.now.since_boot);
    }

    pub(super) fn join_deadline(&self) -> Option<Duration> {
        match self.state {
            State::Armed
                if self.credential.installed(self.now.unix) && self.wlan.is_some() && self.may_join() =>
            {
                Some(self.scanner.deadline())
            }
            State::Joining => Some(match self.join.progress {
                Progress::Breaking => self.entered + BREAK_LIMIT,
                Progress::Masking(since) => since + MAC_LIMIT,
                Progress::Authenticating(since) => since + self.settings.join_limit,
                Progress::Connected(since) => since + ADDRESS_LIMIT,
            }),
            State::LoggingIn => Some(self.logging_in_deadline()),
            State::Verifying => self.verify_deadline(),
            _ => None,
        }
    }
}
