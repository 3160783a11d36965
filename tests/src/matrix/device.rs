//! The device of one combination: the agent's own state machine on a virtual clock, with the agent's own ways to the
//! portal, and logins at the real AAA. Modem, card and links answer as they would; nobody waits for them.
//!
//! The virtual clock stands still while portal or AAA are asked, and leaps where nothing happens. What those two say of
//! time is moved to the device's clock, and what it says to theirs.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use agent::{
    machine::{Action, Input, Machine, Note, Now, Settings, SmsUse, State},
    modem::{self, Bearer, Ipv4Config, Presence, Registration, Snapshot},
    provision::{self, Event, Portal, Ways, http::Limits, https, sms},
    supplicant,
    wlan::{
        self, Bss, Interface,
        links::{self, Lease, Link},
        probe,
    },
};
use anyhow::{Context as _, Result, bail, ensure};
use provisioning::{
    format::Format,
    identity::Mac,
    message::{Credential, Trigger},
};
use tokio::{runtime::Runtime, sync::mpsc, time::timeout};

use super::{
    axes::{Combination, Discovery, Identifier, Transport},
    site::{IMEI, IMSI, OPERATOR, PARTNER, STRANGER, Site, portal_ca},
};
use crate::clock;

/// The card.
pub(super) const CARD: Mac = Mac([0x02, 0, 0x5e, 0, 1, 0]);
/// For an answer of the portal, by whichever way.
const PATIENCE: Duration = Duration::from_secs(60);
/// Answers of the portal that wait.
const QUEUE: usize = 16;

/// One login at the AAA, as the machine asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    /// At this network.
    pub(super) ssid: String,
    /// With this credential.
    pub(super) username: String,
    /// None had come that was newer.
    pub(super) newest: bool,
    /// The AAA's word.
    pub(super) accepted: bool,
    /// What was heard, dBm.
    pub(super) signal_dbm: i32,
}

/// What asks the AAA.
pub(super) type Asking<'a> = Box<dyn FnMut(&Credential) -> Result<bool> + 'a>;

/// It.
pub(super) struct Device<'a> {
    machine: Machine,
    ways: Ways,
    answers: mpsc::Receiver<Event>,
    runtime: Runtime,
    login: Asking<'a>,
    identifier: Identifier,
    dns: Vec<Ipv4Addr>,
    /// Since the device's start.
    now: Duration,
    /// Unix time at the device's start.
    began: u64,
    queue: BTreeMap<(Duration, u64), Input>,
    sequence: u64,
    registered: bool,
    bearer: bool,
    associated: bool,
    leased: bool,
    installed: Option<Credential>,
    /// What the card hears of every network, dBm.
    signal_dbm: Option<i32>,
    /// Where the default route points to.
    pub(super) carrier: Option<Link>,
    /// Why the portal was asked, in order.
    pub(super) asked: Vec<Trigger>,
    /// How often by a message.
    pub(super) by_sms: usize,
    /// Credentials that came, in order.
    pub(super) came: Vec<String>,
    /// Logins, in order.
    pub(super) logins: Vec<Login>,
    /// What failed, in order.
    pub(super) failed: Vec<String>,
}

impl<'a> Device<'a> {
    /// Switched on, out of every network's reach.
    pub(super) fn new(wanted: &Combination, site: &Site, login: Asking<'a>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (sender, answers) = mpsc::channel(QUEUE);
        let ways = {
            let _inside = runtime.enter();
            ways(wanted, site, sender)?
        };
        let began = clock::unix_ms() / 1000;
        let sms = if wanted.transport == Transport::Sms { SmsUse::Always } else { SmsUse::Never };
        let settings = Settings { sms, subscriber_key: [7; 32], ..Settings::default() };
        let mut device = Self {
            machine: Machine::new(settings, Now { since_boot: Duration::ZERO, unix: began }, None),
            ways,
            answers,
            runtime,
            login,
            identifier: wanted.identifier,
            dns: site.dns.clone(),
            now: Duration::ZERO,
            began,
            queue: BTreeMap::new(),
            sequence: 0,
            registered: true,
            bearer: false,
            associated: false,
            leased: false,
            installed: None,
            signal_dbm: None,
            carrier: None,
            asked: Vec::new(),
            by_sms: 0,
            came: Vec::new(),
            logins: Vec::new(),
            failed: Vec::new(),
        };
        device.later(10, Input::Wlan(wlan::Event::Interface(interface())));
        device.later(20, Input::Supplicant(supplicant::Event::Up));
        device.modem_changed();
        Ok(device)
    }

    /// State of the machine.
    pub(super) fn state(&self) -> State {
        self.machine.state()
    }

    /// A credential waits in the supplicant.
    pub(super) fn installed(&self) -> Option<&Credential> {
        self.installed.as_ref()
    }

    /// The bearer is up.
    pub(super) fn on_cellular(&self) -> bool {
        self.bearer
    }

    /// Runs until something is so, at most for so many virtual seconds; whether it came to be.
    pub(super) fn until(&mut self, secs: u64, so: impl Fn(&Self) -> bool) -> Result<bool> {
        let end = self.now + Duration::from_secs(secs);
        while !so(self) {
            let event = self.queue.keys().next().map(|(at, _)| *at);
            let deadline = self.machine.deadline().map(|at| at.max(self.now + Duration::from_millis(1)));
            let Some(at) = [event, deadline].into_iter().flatten().min().filter(|at| *at <= end) else {
                self.now = end;
                return Ok(so(self));
            };
            self.now = at;
            let input = match event {
                Some(event) if event <= at => self.queue.pop_first().map(|(_, input)| input),
                _ => None,
            };
            self.give(input.unwrap_or(Input::Timeout))?;
        }
        Ok(true)
    }

    /// Runs for so many virtual seconds.
    pub(super) fn run(&mut self, secs: u64) -> Result<()> {
        self.until(secs, |_| false).map(drop)
    }

    /// The radio changes.
    pub(super) fn signal(&mut self, dbm: Option<i32>) {
        self.signal_dbm = dbm;
        if !self.associated {
            return;
        }
        match dbm {
            Some(dbm) => self.later(100, Input::Wlan(wlan::Event::Signal { dbm })),
            None => {
                (self.associated, self.leased) = (false, false);
                self.later(100, Input::Wlan(wlan::Event::BeaconLoss));
                let gone = supplicant::Event::Disconnected { reason: 4, locally: true };
                self.later(200, Input::Supplicant(gone));
            }
        }
    }

    /// Cellular coverage ends, or begins.
    pub(super) fn coverage(&mut self, registered: bool) {
        self.registered = registered;
        self.bearer &= registered;
        self.modem_changed();
    }

    fn later(&mut self, ms: u64, input: Input) {
        self.sequence += 1;
        self.queue.insert((self.now + Duration::from_millis(ms), self.sequence), input);
    }

    fn modem_changed(&mut self) {
        let imsi = (self.identifier != Identifier::Imei).then(|| IMSI.parse().ok()).flatten();
        let imei = (self.identifier != Identifier::Imsi).then(|| IMEI.parse().ok()).flatten();
        let bearer = || Bearer {
            interface: "lo".to_owned(),
            ipv4: Some(Ipv4Config::Static {
                address: Ipv4Addr::LOCALHOST,
                prefix: 8,
                gateway: None,
                dns: self.dns.clone(),
            }),
            ipv6: None,
            mtu: None,
            managed: false,
        };
        let snapshot = Snapshot {
            presence: Presence::Ready,
            imsi,
            imei,
            registration: if self.registered { Registration::Home } else { Registration::Searching },
            messaging: self.registered,
            operator_code: self.registered.then(|| "00101".to_owned()),
            home_operator: Some("00101".to_owned()),
            signal_percent: Some(70),
            bearer: self.bearer.then(bearer),
            network_time: None,
            lock: None,
        };
        self.later(50, Input::Modem(modem::Event::Snapshot(snapshot)));
    }

    fn give(&mut self, input: Input) -> Result<()> {
        let now = Now { since_boot: self.now, unix: self.unix() };
        for action in self.machine.handle(now, input) {
            self.act(action)?;
        }
        Ok(())
    }

    /// The device's clock.
    fn unix(&self) -> u64 {
        self.began + self.now.as_secs()
    }

    /// Seconds that the device's clock is ahead of everybody else's.
    fn ahead(&self) -> u64 {
        self.unix().saturating_sub(clock::unix_ms() / 1000)
    }

    fn act(&mut self, action: Action) -> Result<()> {
        match action {
            Action::Modem(modem::Command::Connect { .. }) if self.registered => {
                self.bearer = true;
                self.modem_changed();
            }
            Action::Modem(modem::Command::Connect { .. }) => {
                let (error, text) = ("NetworkTimeout".to_owned(), String::new());
                let failure = modem::ConnectFailure { error, text };
                self.later(500, Input::Modem(modem::Event::ConnectFailed(failure)));
            }
            Action::Modem(modem::Command::Disconnect) => {
                self.bearer = false;
                self.modem_changed();
            }
            Action::Modem(modem::Command::Unlock) => bail!("a PIN was sent to a SIM without a lock"),
            Action::Links(command) => self.links(command),
            Action::Portal(command) => self.portal(command)?,
            Action::Supplicant(command) => self.supplicant(command)?,
            Action::Wlan(wlan::Command::Scan { .. }) => {
                let heard = self.heard();
                self.later(300, Input::Wlan(wlan::Event::Scan(heard)));
            }
            Action::Wlan(wlan::Command::SetMac(mac)) => {
                let event = wlan::Event::Interface(Interface { current_mac: mac, ..interface() });
                self.later(20, Input::Wlan(event));
            }
            Action::Probe(probe::Command::Probe { .. }) => {
                let online = self.associated && self.leased;
                let event =
                    if online { probe::Event::Online } else { probe::Event::Offline("no answer".into()) };
                self.later(40, Input::Probe(event));
                if online {
                    self.later(41, Input::Probe(probe::Event::Standing));
                }
            }
            Action::Wispr(_) => bail!("a login page was asked for where no network is open"),
            Action::Note(Note::Failed { failure, text }) => self.failed.push(format!("{failure:?}: {text}")),
            Action::Note(_) | Action::Save(_) | Action::SetClock(_) => {}
            Action::Wlan(wlan::Command::Watch { .. } | wlan::Command::Unwatch) => {}
            Action::Probe(probe::Command::Release) => {}
        }
        Ok(())
    }

    fn heard(&self) -> Vec<Bss> {
        let bss = |(number, (ssid, better)): (u8, (&str, i32)), dbm: i32| Bss {
            bssid: Mac([2, 0, 0, 0, 0, number]),
            ssid: ssid.as_bytes().to_vec(),
            signal_dbm: dbm + better,
            frequency_mhz: 2412,
            seen_ms_ago: 20,
        };
        // The stranger is the strongest.
        let air = || (0..).zip([(STRANGER, 10), (PARTNER, 0), (OPERATOR, 0)]);
        self.signal_dbm.map(|dbm| air().map(|network| bss(network, dbm)).collect()).unwrap_or_default()
    }

    /// Asks for real, and waits for the answer; it comes a moment later on the device's clock.
    fn portal(&mut self, mut command: provision::Command) -> Result<()> {
        let ahead = self.ahead();
        let report = match &mut command {
            provision::Command::Fetch { request, .. } => {
                self.asked.push(request.trigger);
                false
            }
            provision::Command::FetchBySms { request, made_at, .. } => {
                self.asked.push(request.trigger);
                self.by_sms += 1;
                *made_at = made_at.saturating_sub(ahead);
                false
            }
            provision::Command::Report { .. } => true,
        };
        self.ways.send(command);
        let mut ms = 150;
        loop {
            let answer = self.runtime.block_on(async { timeout(PATIENCE, self.answers.recv()).await });
            let event =
                answer.context("the portal does not answer")?.context("the way to the portal has ended")?;
            let last = matches!(
                event,
                Event::Granted(_)
                    | Event::Refused { .. }
                    | Event::Unreachable { .. }
                    | Event::Reported { .. }
            );
            let event = match event {
                Event::Granted(mut credential) => {
                    credential.issued_at += ahead;
                    credential.expires_at = credential.expires_at.map(|at| at + ahead);
                    self.came.push(credential.username.clone());
                    Event::Granted(credential)
                }
                Event::Time(unix) => Event::Time(unix + ahead),
                other => other,
            };
            ensure!(
                matches!(event, Event::Reported { .. }) == (last && report),
                "an answer to something else"
            );
            self.later(ms, Input::Portal(event));
            if last {
                return Ok(());
            }
            ms += 150;
        }
    }

    fn supplicant(&mut self, command: supplicant::Command) -> Result<()> {
        let event = match command {
            supplicant::Command::Install { credential } => {
                self.installed = Some(*credential);
                supplicant::Event::Installed
            }
            supplicant::Command::Join { ssid } => self.join(&ssid)?,
            supplicant::Command::Leave if self.associated => {
                (self.associated, self.leased) = (false, false);
                supplicant::Event::Disconnected { reason: 3, locally: true }
            }
            supplicant::Command::Leave => return Ok(()),
            supplicant::Command::Remove => {
                self.installed = None;
                return Ok(());
            }
        };
        self.later(300, Input::Supplicant(event));
        Ok(())
    }

    fn join(&mut self, ssid: &[u8]) -> Result<supplicant::Event> {
        let credential = self.installed.clone().context("a join without a credential")?;
        let Some(signal_dbm) = self.signal_dbm else {
            let text = "not heard".to_owned();
            return Ok(supplicant::Event::JoinFailed { failure: supplicant::JoinFailure::NotFound, text });
        };
        let accepted = (self.login)(&credential)?;
        self.logins.push(Login {
            ssid: String::from_utf8_lossy(ssid).into_owned(),
            newest: self.came.last() == Some(&credential.username),
            username: credential.username.clone(),
            accepted,
            signal_dbm,
        });
        self.associated = accepted;
        Ok(if accepted {
            supplicant::Event::Connected {
                bssid: Mac([2, 0, 0, 0, 0, 1]),
                pairwise_cipher: "CCMP".into(),
                tls_version: None,
                key_mgmt: "WPA2/IEEE 802.1X/EAP".into(),
            }
        } else {
            let (failure, text) = (supplicant::JoinFailure::Rejected, "Access-Reject".to_owned());
            supplicant::Event::JoinFailed { failure, text }
        })
    }

    fn links(&mut self, command: links::Command) {
        let event = match command {
            links::Command::ConfigureCellular(_) => {
                let dns = self.dns.iter().copied().map(IpAddr::V4).collect();
                links::Event::CellularReady { dns }
            }
            links::Command::AcquireWlan { .. } if self.associated => {
                self.leased = true;
                let address = Ipv4Addr::new(10, 9, 0, 100);
                let lease = Lease {
                    address,
                    prefix: 24,
                    router: None,
                    dns: Vec::new(),
                    mtu: None,
                    captive_api: None,
                };
                links::Event::WlanReady(lease)
            }
            links::Command::AcquireWlan { .. } => links::Event::NoLease("no answer".into()),
            links::Command::AdoptWlan { lease, .. } => links::Event::WlanReady(lease),
            links::Command::Prefer(link) => {
                self.carrier = Some(link);
                links::Event::Moved(link)
            }
            links::Command::WatchDrain(link) => links::Event::Drained(link),
            links::Command::ReleaseCellular => return self.release(Link::Cellular),
            links::Command::ReleaseWlan => return self.release(Link::Wlan),
            links::Command::CellularBackup(_) => return,
        };
        self.later(30, Input::Links(event));
    }

    fn release(&mut self, link: Link) {
        self.leased &= link != Link::Wlan;
        self.carrier.take_if(|carrier| *carrier == link);
    }
}

fn interface() -> Interface {
    Interface { name: "wlan1".into(), index: 3, permanent_mac: CARD, current_mac: CARD }
}

/// As the daemon makes them of agent.toml.
fn ways(wanted: &Combination, site: &Site, events: mpsc::Sender<Event>) -> Result<Ways> {
    let format = match wanted.transport {
        Transport::Xml | Transport::Sms => Format::Xml,
        Transport::Soap11 => Format::Soap11,
        Transport::Soap12 => Format::Soap12,
        Transport::Json => Format::Json,
    };
    ensure!(
        site.url.is_none() == (wanted.discovery == Discovery::Dns),
        "the URL is told, and is to be found"
    );
    let limits = Limits { connect: Duration::from_secs(10), total: Duration::from_secs(20) };
    let settings = https::Settings { url: site.url.clone(), ca: portal_ca(&site.server), format, limits };
    let exchanges = site.sms.as_ref().map(|(_, key)| sms::Exchanges::new(*key));
    let sms: Option<Box<dyn Portal>> = match (&site.sms, &exchanges) {
        (Some((centre, _)), Some(exchanges)) => {
            let (modem, inbox) = centre.modem()?;
            Some(Box::new(sms::spawn(exchanges.clone(), Box::new(modem), inbox, events.clone())))
        }
        _ => None,
    };
    Ok(Ways { https: Box::new(https::spawn_with(settings, exchanges, events)?), sms })
}
