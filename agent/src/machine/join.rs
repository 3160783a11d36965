//! `Armed`, `Joining`, `Verifying`: from looking for a network to a proved link. Cellular carries the traffic.

use std::time::Duration;

use super::{Action, Failure, Machine, Note, ReturnReason, State, signal::Verdict};
use crate::{
    supplicant,
    wlan::{
        self, Bss,
        links::{self, Lease, Link},
        probe,
    },
};

/// First pause between scans; doubles up to [`SCAN_MAX`] while nothing of ours is heard.
const SCAN_FIRST: Duration = Duration::from_secs(2);
/// Longest pause. A scan costs the battery some tenths of a second of radio.
const SCAN_MAX: Duration = Duration::from_secs(60);
/// While a network is being watched for the dwell time.
const SCAN_DWELL: Duration = Duration::from_secs(1);
/// A scan whose end was never told.
const SCAN_LIMIT: Duration = Duration::from_secs(15);
/// DHCP has a shorter limit of its own; this one holds when its task died.
const ADDRESS_LIMIT: Duration = Duration::from_secs(30);
/// Pause between probes of one series.
const PROBE_PAUSE: Duration = Duration::from_secs(1);

/// Facts about looking and joining.
#[derive(Debug, Default)]
pub(super) struct Join {
    target: Option<String>,
    next_scan: Duration,
    pause: Option<Duration>,
    scanning_since: Option<Duration>,
    connected_at: Option<Duration>,
    probing: bool,
    next_probe: Duration,
}

impl Join {
    /// Look at once: something changed that makes a network likelier.
    pub(super) fn scan_now(&mut self) {
        self.next_scan = Duration::ZERO;
        self.pause = None;
    }

    pub(super) fn scan_failed(&mut self, now: Duration) {
        self.scanning_since = None;
        self.next_scan = now + SCAN_FIRST;
    }

    /// Network being joined or in use.
    pub(super) fn ssid(&self) -> Option<&str> {
        self.target.as_deref()
    }

    fn scan_ended(&mut self, now: Duration, watching: bool) {
        self.scanning_since = None;
        let pause = if watching {
            self.pause = None;
            SCAN_DWELL
        } else {
            let pause = self.pause.unwrap_or(SCAN_FIRST);
            self.pause = Some((pause * 2).min(SCAN_MAX));
            pause
        };
        self.next_scan = now + pause;
    }
}

impl Machine {
    pub(super) fn learn_scan(&mut self, results: &[Bss]) {
        let now = self.now.since_boot;
        if self.state != State::Armed || self.held || self.join.target.is_some() {
            self.join.scanning_since = None;
            return;
        }
        let Some(policy) = self.credential.policy() else { return };
        let verdict = self.judge.scan(now, policy, results);
        if let Verdict::Dwell { ssid, signal_dbm, first: true }
        | Verdict::Join { ssid, signal_dbm, first: true } = &verdict
        {
            self.note(Note::NetworkSensed { ssid: ssid.clone(), signal_dbm: *signal_dbm });
        }
        if let Verdict::Join { ssid, .. } = verdict {
            self.join.target = Some(ssid);
        }
        let watching = self.judge.has_candidate();
        self.join.scan_ended(now, watching);
        if watching {
            // No use in looking every second while a penalty runs.
            self.join.next_scan = self.join.next_scan.max(self.judge.not_before());
        }
    }

    pub(super) fn decide_armed(&mut self) {
        if !self.credential.usable(self.now.unix) {
            self.join.target = None;
            self.decide_waiting();
            return;
        }
        if !self.credential.installed() || self.wlan.is_none() || self.held {
            self.join.target = None;
            return;
        }
        if let Some(ssid) = self.join.target.clone() {
            self.join.connected_at = None;
            self.join.probing = false;
            self.lease = None;
            self.signal_dbm = None;
            self.enter(State::Joining);
            self.note(Note::Joining { ssid: ssid.clone() });
            self.act(Action::Supplicant(supplicant::Command::Join { ssid: ssid.into_bytes() }));
            return;
        }
        self.scan_if_due();
    }

    fn scan_if_due(&mut self) {
        let now = self.now.since_boot;
        if self.join.scanning_since.is_some_and(|since| now < since + SCAN_LIMIT) || now < self.join.next_scan
        {
            return;
        }
        let Some(policy) = self.credential.policy() else { return };
        let ssids = policy.networks.iter().map(|network| network.ssid.clone().into_bytes()).collect();
        self.join.scanning_since = Some(now);
        self.act(Action::Wlan(wlan::Command::Scan { ssids, frequencies: Vec::new() }));
    }

    pub(super) fn learn_connected(&mut self) {
        if self.state != State::Joining || self.join.connected_at.is_some() {
            return;
        }
        self.join.connected_at = Some(self.now.since_boot);
        if let Some(wlan) = &self.wlan {
            let interface = wlan.name.clone();
            self.act(Action::Links(links::Command::AcquireWlan { interface }));
        }
    }

    pub(super) fn learn_join_failure(&mut self, failure: Failure, text: &str) {
        if matches!(self.state, State::Joining | State::Verifying) {
            self.abort_join(failure, text);
        }
    }

    pub(super) fn learn_lease(&mut self, lease: Lease) {
        if self.state == State::Joining {
            self.note(Note::WlanAddress { address: lease.address });
            self.join.next_probe = self.now.since_boot;
            self.lease = Some(lease);
            self.enter(State::Verifying);
        } else {
            self.lease = Some(lease);
        }
    }

    pub(super) fn learn_no_lease(&mut self, text: &str) {
        self.lease = None;
        match self.state {
            State::Joining | State::Verifying => self.abort_join(Failure::NoDhcp, text),
            _ => self.wifi_lost(ReturnReason::LeaseLost),
        }
    }

    pub(super) fn learn_wlan_link_failure(&mut self, text: &str) {
        match self.state {
            State::Joining | State::Verifying => self.abort_join(Failure::Route, text),
            _ => self.fail(Failure::Route, text),
        }
    }

    pub(super) fn decide_joining(&mut self) {
        let (since, limit, failure, text) = match self.join.connected_at {
            None => (self.entered, self.settings.join_limit, Failure::AaaSilent, "the join took too long"),
            Some(at) => (at, ADDRESS_LIMIT, Failure::NoDhcp, "no address in time"),
        };
        if self.now.since_boot >= since + limit {
            self.abort_join(failure, text);
        }
    }

    pub(super) fn decide_verifying(&mut self) {
        if self.carrier == Some(Link::Wlan) {
            self.begin_offload();
        } else if self.age() >= self.settings.verify_limit {
            self.abort_join(Failure::NoInternet, "no answer to the probe");
        } else if self.moving.is_none() && !self.join.probing && self.now.since_boot >= self.join.next_probe {
            self.join.probing = true;
            self.probe();
        }
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
        };
        self.act(Action::Probe(command));
    }

    pub(super) fn learn_probe(&mut self, event: probe::Event) {
        if self.state != State::Verifying {
            self.learn_offload_probe(&event);
            return;
        }
        self.join.probing = false;
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
                    self.join.next_probe = self.now.since_boot + PROBE_PAUSE;
                }
            }
        }
    }

    /// Back to `Armed`, with a penalty; cellular has carried the traffic all the time.
    pub(super) fn abort_join(&mut self, failure: Failure, text: &str) {
        self.fail(failure, text);
        if self.moving == Some(Link::Wlan) {
            // The move was asked already and may be done before this is read: take it back explicitly.
            self.moving = None;
            if self.cellular.ready() {
                self.prefer(Link::Cellular);
            }
        }
        if let Some(policy) = self.credential.policy().cloned() {
            self.judge.punish(self.now.since_boot, &policy);
        }
        self.leave_wifi();
        self.enter(State::Armed);
    }

    /// Disconnects, gives the address back, forgets the target.
    pub(super) fn leave_wifi(&mut self) {
        self.act(Action::Supplicant(supplicant::Command::Leave));
        self.act(Action::Links(links::Command::ReleaseWlan));
        self.act(Action::Wlan(wlan::Command::Unwatch));
        if self.carrier == Some(Link::Wlan) {
            self.carrier = None;
        }
        self.lease = None;
        self.signal_dbm = None;
        self.join.target = None;
        self.join.scan_now();
        self.join.next_scan = self.now.since_boot + SCAN_FIRST;
    }

    pub(super) fn join_deadline(&self) -> Option<Duration> {
        match self.state {
            State::Armed if self.credential.installed() && self.wlan.is_some() && !self.held => {
                Some(self.join.scanning_since.map_or(self.join.next_scan, |since| since + SCAN_LIMIT))
            }
            State::Joining => Some(match self.join.connected_at {
                None => self.entered + self.settings.join_limit,
                Some(at) => at + ADDRESS_LIMIT,
            }),
            State::Verifying => {
                let limit = self.entered + self.settings.verify_limit;
                let waiting = self.join.probing || self.moving.is_some();
                Some(if waiting { limit } else { limit.min(self.join.next_probe) })
            }
            _ => None,
        }
    }
}
