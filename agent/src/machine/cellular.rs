//! Cellular: when the bearer is wanted, and how it comes up and goes away.
//!
//! Orthogonal to the state: `Armed` can have cellular or not, `Returning` waits for it.

use std::{net::IpAddr, time::Duration};

use super::{Action, Failure, Machine, Note, State};
use crate::{
    modem::{self, Bearer, Ipv4Config, Presence, Registration, Snapshot},
    wlan::links::{self, Link},
};

/// First wait after a failed connect; doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_secs(2);
/// Longest wait between connects.
const RETRY_MAX: Duration = Duration::from_secs(300);
/// A connect that nobody answered (ModemManager died) is asked again after this; Simple.Connect itself may take 180 s.
const CONNECT_LIMIT: Duration = Duration::from_secs(200);
/// ModemManager's absence is no proof that the bearer is gone: its link stays up this long without news.
const BEARER_GRACE: Duration = Duration::from_secs(15);

/// Facts about cellular.
#[derive(Debug, Default)]
pub(super) struct Cellular {
    pub(super) modem: Option<Snapshot>,
    link: LinkState,
    /// Set while a connect or disconnect is under way.
    asked: Option<(Ask, Duration)>,
    failures: u32,
    retry_at: Duration,
    /// Name servers of the bearer that is set up.
    dns: Vec<IpAddr>,
    /// Since when ModemManager shows no modem although a bearer is set up.
    unknown_since: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Connect,
    Disconnect,
}

/// How far the bearer's interface is.
#[derive(Debug, Default)]
enum LinkState {
    #[default]
    Down,
    Configuring(Bearer),
    Ready(Bearer),
}

impl Cellular {
    /// Addresses and routes are set: packets can go this way.
    pub(super) fn ready(&self) -> bool {
        matches!(self.link, LinkState::Ready(_))
    }

    /// The bearer that is set up.
    pub(super) fn bearer(&self) -> Option<&Bearer> {
        match &self.link {
            LinkState::Ready(bearer) => Some(bearer),
            _ => None,
        }
    }

    /// Name servers of the bearer, where they were told when it was set up.
    pub(super) fn dns(&self) -> &[IpAddr] {
        &self.dns
    }

    /// Nothing goes by cellular, and nothing is under way.
    pub(super) fn is_down(&self) -> bool {
        matches!(self.link, LinkState::Down) && self.asked.is_none() && self.connected_bearer().is_none()
    }

    pub(super) fn presence(&self) -> Presence {
        self.modem.as_ref().map_or(Presence::NoModem, |modem| modem.presence)
    }

    /// Words for `offloadctl status`.
    pub(super) fn bearer_word(&self) -> &'static str {
        match (&self.link, self.asked) {
            (LinkState::Ready(_), _) => "ready",
            (LinkState::Configuring(_), _) => "configuring",
            (LinkState::Down, Some((Ask::Connect, _))) => "connecting",
            (LinkState::Down, _) => "down",
        }
    }

    /// When the next look is due.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let asked = self.asked.map(|(_, at)| at + CONNECT_LIMIT);
        let retry = (self.asked.is_none() && self.retry_at > Duration::ZERO).then_some(self.retry_at);
        let grace = self.unknown_since.map(|since| since + BEARER_GRACE);
        [asked, retry, grace].into_iter().flatten().min()
    }

    fn connected_bearer(&self) -> Option<&Bearer> {
        self.modem.as_ref().and_then(|modem| modem.bearer.as_ref())
    }
}

impl Machine {
    pub(super) fn learn_modem(&mut self, snapshot: Snapshot) {
        let connected = snapshot.bearer.is_some();
        let cellular = &mut self.cellular;
        match cellular.asked {
            Some((Ask::Connect, _)) if connected => {
                cellular.asked = None;
                cellular.failures = 0;
            }
            Some((Ask::Disconnect, _)) if !connected => cellular.asked = None,
            // A modem that left takes the call with it: its answer will never come.
            Some(_) if snapshot.presence != Presence::Ready => cellular.asked = None,
            _ => {}
        }
        if snapshot.presence == Presence::Ready || matches!(cellular.link, LinkState::Down) {
            cellular.unknown_since = None;
        } else {
            cellular.unknown_since.get_or_insert(self.now.since_boot);
        }
        if let Some(unix) = snapshot.network_time {
            self.clock.network_told(self.system, unix);
            self.now.unix = self.clock.unix(self.system);
        }
        self.learn_sim(&snapshot);
        self.cellular.modem = Some(snapshot);
    }

    pub(super) fn learn_connect_failure(&mut self, failure: &modem::ConnectFailure) {
        self.cellular.asked = None;
        let wait =
            RETRY_FIRST.saturating_mul(2u32.saturating_pow(self.cellular.failures.min(10))).min(RETRY_MAX);
        self.cellular.failures = self.cellular.failures.saturating_add(1);
        self.cellular.retry_at = self.now.since_boot + wait;
        self.fail(Failure::CellularConnect, format!("{}: {}", failure.error, failure.text));
    }

    pub(super) fn learn_cellular_ready(&mut self, dns: Vec<IpAddr>) {
        self.cellular.dns = dns;
        let link = std::mem::take(&mut self.cellular.link);
        self.cellular.link = match link {
            LinkState::Configuring(bearer) | LinkState::Ready(bearer) => LinkState::Ready(bearer),
            LinkState::Down => LinkState::Down,
        };
        if let Some(bearer) = self.cellular.bearer() {
            let interface = bearer.interface.clone();
            let address = match bearer.ipv4 {
                Some(Ipv4Config::Static { address, .. }) => Some(address),
                _ => None,
            };
            let modem = self.cellular.modem.as_ref();
            let operator = modem.and_then(|m| m.operator_code.clone());
            let imsi = modem.and_then(|m| m.imsi.clone());
            self.note(Note::CellularUp { interface, address, operator, imsi });
            self.credential.attached(self.now.unix);
        }
    }

    pub(super) fn learn_cellular_link_failure(&mut self, text: &str) {
        self.fail(Failure::CellularLink, text);
        if let LinkState::Configuring(_) = self.cellular.link {
            self.cellular.link = LinkState::Down;
            self.cellular.retry_at = self.now.since_boot + RETRY_FIRST;
        }
    }

    /// Brings the bearer to where the state wants it.
    pub(super) fn tend_cellular(&mut self) {
        self.follow_bearer();
        let wanted = self.cellular_wanted();
        let now = self.now.since_boot;
        if self.cellular.asked.is_some_and(|(_, at)| now >= at + CONNECT_LIMIT) {
            self.cellular.asked = None;
        }
        if self.cellular.asked.is_some() {
            return;
        }
        let connected = self.cellular.connected_bearer().is_some();
        if wanted && !connected && self.may_connect() && now >= self.cellular.retry_at {
            self.cellular.asked = Some((Ask::Connect, now));
            self.act(Action::Modem(modem::Command::Connect {
                apn: self.settings.apn.clone(),
                allow_roaming: self.settings.allow_roaming,
            }));
        } else if !wanted && connected {
            self.cellular.asked = Some((Ask::Disconnect, now));
            self.release_cellular();
            self.act(Action::Modem(modem::Command::Disconnect));
            self.note(Note::CellularDown);
        }
    }

    /// Keeps the interface's set-up in step with what the modem says of the bearer.
    fn follow_bearer(&mut self) {
        if matches!(self.cellular.asked, Some((Ask::Disconnect, _))) {
            return;
        }
        let now = self.now.since_boot;
        let told = self.cellular.connected_bearer().cloned();
        let set_up = match &self.cellular.link {
            LinkState::Down => None,
            LinkState::Configuring(bearer) | LinkState::Ready(bearer) => Some(bearer),
        };
        match told {
            Some(bearer) if set_up == Some(&bearer) => {}
            Some(bearer) if now >= self.cellular.retry_at || set_up.is_some() => {
                if set_up.is_some() {
                    self.release_cellular();
                }
                if bearer.ipv4.is_none() && bearer.ipv6.is_none() {
                    // A bearer over PPP: its link would have to be made by a daemon that is not here.
                    self.cellular.retry_at = now + RETRY_MAX;
                    let text = format!("{} carries PPP, which is not supported", bearer.interface);
                    self.fail(Failure::CellularLink, text);
                    return;
                }
                self.cellular.link = LinkState::Configuring(bearer.clone());
                self.act(Action::Links(links::Command::ConfigureCellular(bearer)));
            }
            Some(_) => {}
            None if set_up.is_none() => {}
            None => {
                let unknown = self.cellular.unknown_since;
                if unknown.is_none_or(|since| now >= since + BEARER_GRACE) {
                    self.cellular.unknown_since = None;
                    self.release_cellular();
                }
            }
        }
    }

    fn release_cellular(&mut self) {
        self.cellular.link = LinkState::Down;
        self.cellular.dns = Vec::new();
        self.act(Action::Links(links::Command::ReleaseCellular));
        if self.carrier == Some(Link::Cellular) {
            self.carrier = None;
        }
        if self.moving == Some(Link::Cellular) {
            self.moving = None;
        }
        self.credential.link_lost();
    }

    /// Cellular goes only when Wi-Fi carries the traffic, has been proved, and the policy says so; or before the
    /// login, where the policy wants the claims' literal order.
    pub(super) fn cellular_wanted(&self) -> bool {
        let may_go = self.state == State::Offloaded && self.offload.cellular_may_go(self.now.since_boot);
        !(may_go || self.breaks_first())
    }

    fn may_connect(&self) -> bool {
        self.cellular.modem.as_ref().is_some_and(|modem| {
            modem.presence == Presence::Ready
                && (self.settings.allow_roaming || modem.registration != Registration::Roaming)
        })
    }
}
