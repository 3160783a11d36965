//! Simulated worlds: modem, links, portal, supplicant, card and probe as they would answer, each after its time,
//! on one virtual clock.

use std::{collections::BinaryHeap, net::Ipv4Addr, time::Duration};

use provisioning::{
    identity::Mac,
    message::{MacMode, Policy, Trigger},
    report::Outcome,
    signed::SignedPolicy,
};

use super::{credential, policy};
use crate::{
    machine::{Action, Input, Machine, Note, Now, Settings, SmsUse, State, UserWord},
    modem::{self, Bearer, Ipv4Config, Presence, Registration, Snapshot},
    provision, supplicant,
    vault::Stored,
    wispr,
    wlan::{
        self, Bss, Interface,
        links::{self, Lease, Link},
        probe,
    },
};

/// Seconds since 1970 at the start of every test.
pub(super) const EPOCH: u64 = 1_800_000_000;

/// A standing connection is asked after so much silence.
const ASK_AFTER: Duration = Duration::from_secs(25);

/// The card's own address.
pub(super) const PERMANENT: Mac = Mac([2, 0, 0, 0, 1, 0]);

/// What DHCP gives.
pub(super) fn lease() -> Lease {
    Lease {
        address: Ipv4Addr::new(10, 9, 0, 100),
        prefix: 24,
        router: Some(Ipv4Addr::new(10, 9, 0, 1)),
        dns: vec![],
        mtu: None,
        captive_api: None,
    }
}

/// What the outside is like; tests turn these knobs.
#[derive(Debug, Clone)]
pub(super) struct Outside {
    pub(super) modem: Presence,
    pub(super) registered: bool,
    pub(super) imsi: &'static str,
    pub(super) signal_dbm: Option<i32>,
    pub(super) internet: bool,
    pub(super) aaa: Option<supplicant::JoinFailure>,
    pub(super) dhcp: bool,
    pub(super) portal: Option<provision::Event>,
    pub(super) life: Option<u64>,
    pub(super) supplicant: bool,
    /// What credentials carry.
    pub(super) policy: Policy,
    pub(super) signed: Option<SignedPolicy>,
    pub(super) one_time: bool,
    pub(super) mac_mode: MacMode,
    /// The AAA refuses these user names, and each one-time one that was used.
    pub(super) refused: Vec<String>,
    pub(super) lock: Option<modem::Lock>,
    pub(super) network_time: Option<u64>,
    pub(super) roaming: bool,
    pub(super) owner: Option<supplicant::Owner>,
    pub(super) mac_fixed: bool,
    /// The Internet answers by Wi-Fi until the default route points there.
    pub(super) trap: bool,
    /// Connections that keep cellular from draining.
    pub(super) busy: bool,
    /// The kernel takes no route to this link.
    pub(super) no_route: Option<Link>,
    /// The probe's server lets a connection stand.
    pub(super) stands: bool,
    /// The network gives no data session.
    pub(super) no_data: bool,
    /// Nothing comes back of what is asked by SMS.
    pub(super) no_sms: bool,
    /// The portal sends credentials by SMS whichever way they are asked for.
    pub(super) delivery: bool,
    /// The device's setting.
    pub(super) sms: SmsUse,
    /// What a gateway answers to a login; a good session where nothing is set.
    pub(super) gateway: Option<wispr::Event>,
    /// The gateway's answer to a log-off is lost.
    pub(super) mute: bool,
    /// The gateway holds the device: every probe is answered by its page.
    pub(super) captive: bool,
}

impl Default for Outside {
    fn default() -> Self {
        Self {
            modem: Presence::Ready,
            registered: true,
            imsi: "001010123456789",
            signal_dbm: None,
            internet: true,
            aaa: None,
            dhcp: true,
            portal: None,
            life: None,
            supplicant: true,
            policy: policy(),
            signed: None,
            one_time: false,
            mac_mode: MacMode::Permanent,
            refused: Vec::new(),
            lock: None,
            network_time: None,
            roaming: false,
            owner: None,
            mac_fixed: false,
            trap: false,
            busy: false,
            no_route: None,
            stands: true,
            no_data: false,
            no_sms: false,
            delivery: false,
            sms: SmsUse::Never,
            gateway: None,
            mute: false,
            captive: false,
        }
    }
}

/// Machine, worlds and clock together.
pub(super) struct World {
    pub(super) machine: Machine,
    pub(super) outside: Outside,
    pub(super) now: Duration,
    pub(super) story: Vec<(Duration, Note)>,
    pub(super) bearer: bool,
    pub(super) configured: bool,
    pub(super) associated: bool,
    pub(super) leased: bool,
    pub(super) route: Option<Link>,
    pub(super) saved: Option<Stored>,
    pub(super) fetches: u64,
    /// When the portal was asked by SMS.
    pub(super) by_sms: Vec<Duration>,
    sms: SmsUse,
    pub(super) joins: Vec<Duration>,
    pub(super) clock_sets: Vec<u64>,
    /// User names of the logins, in order.
    pub(super) logins: Vec<String>,
    /// User name that stands in the supplicant.
    pub(super) installed: Option<String>,
    pub(super) requests: Vec<(Duration, Trigger)>,
    pub(super) scans: Vec<Vec<u32>>,
    /// What the portal was told.
    pub(super) reports: Vec<(Outcome, Option<u64>)>,
    /// Versions that requests told.
    pub(super) told_versions: Vec<Option<u64>>,
    pub(super) probes: Vec<Duration>,
    /// What gateways were asked, and whether the association stood then.
    pub(super) gateway: Vec<(&'static str, bool)>,
    /// Passwords that gateways were told.
    pub(super) told: Vec<String>,
    /// The kernel asks by a standing connection, since.
    pub(super) standing: Option<Duration>,
    pub(super) saves: u64,
    pub(super) unlocks: u64,
    pub(super) macs: Vec<Mac>,
    pub(super) mac: Mac,
    pub(super) backup: Option<bool>,
    /// AcquireWlan and AdoptWlan, in order.
    pub(super) addresses: Vec<&'static str>,
    /// The probe bound to this association has been answered.
    proved: bool,
    gap_since: Option<Duration>,
    /// Longest time that cellular stood ready and nothing had the default route.
    pub(super) longest_gap: Duration,
    /// Every action since the last look, for tests of their order.
    pub(super) actions: Vec<Action>,
    queue: BinaryHeap<Later>,
    sequence: u64,
    unix_offset: u64,
    wall: Option<u64>,
}

struct Later {
    at: Duration,
    sequence: u64,
    input: Input,
}

impl PartialEq for Later {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Later {}
impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Later {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

impl World {
    pub(super) fn new(outside: Outside) -> Self {
        Self::restored(outside, None)
    }

    pub(super) fn restored(outside: Outside, stored: Option<Stored>) -> Self {
        Self::made(outside, stored, Settings::default())
    }

    pub(super) fn seeded(outside: Outside, jitter_seed: u64) -> Self {
        Self::with(outside, |settings| settings.jitter_seed = jitter_seed)
    }

    pub(super) fn with(outside: Outside, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        change(&mut settings);
        Self::made(outside, None, settings)
    }

    fn made(outside: Outside, stored: Option<Stored>, settings: Settings) -> Self {
        let settings = Settings { subscriber_key: [7; 32], sms: outside.sms, ..settings };
        let now = Now { since_boot: Duration::ZERO, unix: EPOCH };
        let mut world = Self {
            machine: Machine::new(settings, now, stored),
            sms: outside.sms,
            outside,
            now: Duration::ZERO,
            story: Vec::new(),
            bearer: false,
            configured: false,
            associated: false,
            leased: false,
            route: None,
            saved: None,
            fetches: 0,
            by_sms: Vec::new(),
            joins: Vec::new(),
            clock_sets: Vec::new(),
            logins: Vec::new(),
            installed: None,
            requests: Vec::new(),
            scans: Vec::new(),
            reports: Vec::new(),
            told_versions: Vec::new(),
            probes: Vec::new(),
            gateway: Vec::new(),
            told: Vec::new(),
            standing: None,
            saves: 0,
            unlocks: 0,
            macs: Vec::new(),
            mac: PERMANENT,
            backup: None,
            addresses: Vec::new(),
            proved: false,
            gap_since: None,
            longest_gap: Duration::ZERO,
            actions: Vec::new(),
            queue: BinaryHeap::new(),
            sequence: 0,
            unix_offset: 0,
            wall: None,
        };
        let interface = world.interface();
        world.later(10, Input::Wlan(wlan::Event::Interface(interface)));
        if let Some(owner) = world.outside.owner {
            world.later(15, Input::Supplicant(supplicant::Event::Owner(owner)));
        }
        world.modem_changed();
        if world.outside.supplicant {
            world.later(20, Input::Supplicant(supplicant::Event::Up));
        }
        world
    }

    fn interface(&self) -> Interface {
        Interface { name: "wlan1".into(), index: 3, permanent_mac: PERMANENT, current_mac: self.mac }
    }

    /// Something is told at once.
    pub(super) fn tell(&mut self, input: Input) {
        self.later(0, input);
        self.run_ms(1);
    }

    /// Runs for so many virtual seconds.
    pub(super) fn run(&mut self, secs: u64) {
        self.run_ms(secs * 1000);
    }

    pub(super) fn run_ms(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        loop {
            let event = self.queue.peek().map(|later| later.at);
            let deadline = self.machine.deadline().map(|at| at.max(self.now + Duration::from_millis(1)));
            let kernel = self.standing.map(|since| since + ASK_AFTER);
            let next = [event, deadline, kernel].into_iter().flatten().min().filter(|at| *at <= end);
            let Some(at) = next else { break };
            self.now = at;
            if kernel == Some(at) {
                self.ask_on();
                continue;
            }
            let input = match event {
                Some(event) if event <= at => self.queue.pop().unwrap().input,
                _ => Input::Timeout,
            };
            self.give(input);
        }
        self.now = end;
    }

    /// The kernel asks by the standing connection.
    fn ask_on(&mut self) {
        if self.outside.internet && self.associated && self.leased {
            self.standing = Some(self.now);
        } else {
            self.standing = None;
            self.later(16_000, Input::Probe(probe::Event::Silent));
        }
    }

    pub(super) fn give(&mut self, input: Input) {
        let unix = self.wall.unwrap_or(EPOCH + self.unix_offset) + self.now.as_secs();
        let now = Now { since_boot: self.now, unix };
        self.proved |= matches!(input, Input::Probe(probe::Event::Online));
        for action in self.machine.handle(now, input) {
            self.actions.push(action.clone());
            self.act(action);
        }
        let gap = self.configured && self.route.is_none() && self.outside.no_route.is_none();
        if !gap {
            self.gap_since = None;
        }
        if let Some(since) = gap.then(|| *self.gap_since.get_or_insert(self.now)) {
            self.longest_gap = self.longest_gap.max(self.now - since);
        }
    }

    /// The agent is killed and started again; the kernel's links and the supplicant are cleaned up at its start.
    pub(super) fn killed(&mut self) {
        self.queue.clear();
        self.standing = None;
        let settings = Settings { subscriber_key: [7; 32], sms: self.sms, ..Settings::default() };
        let unix = self.wall.unwrap_or(EPOCH + self.unix_offset) + self.now.as_secs();
        self.machine = Machine::new(settings, Now { since_boot: self.now, unix }, self.saved.clone());
        (self.configured, self.associated, self.leased, self.route) = (false, false, false, None);
        self.installed = None;
        let interface = self.interface();
        self.later(10, Input::Wlan(wlan::Event::Interface(interface)));
        self.modem_changed();
        if self.outside.supplicant {
            self.later(20, Input::Supplicant(supplicant::Event::Up));
        }
    }

    pub(super) fn say(&mut self, word: UserWord) {
        self.give(Input::User(word));
    }

    /// The clock of the wall jumps; the virtual one does not.
    pub(super) fn wall_jumps(&mut self, secs: u64) {
        self.unix_offset += secs;
        self.give(Input::Timeout);
    }

    /// The device's clock was so wrong when it started; the network's is right.
    pub(super) fn wall_is(&mut self, unix: u64) {
        self.wall = Some(unix);
    }

    pub(super) fn state(&self) -> State {
        self.machine.state()
    }

    pub(super) fn told(&self, wanted: impl Fn(&Note) -> bool) -> usize {
        self.story.iter().filter(|(_, note)| wanted(note)).count()
    }

    /// The radio changes; an associated card says so.
    pub(super) fn signal(&mut self, dbm: Option<i32>) {
        self.outside.signal_dbm = dbm;
        match dbm {
            Some(dbm) if self.associated => self.later(100, Input::Wlan(wlan::Event::Signal { dbm })),
            None if self.associated => {
                self.associated = false;
                self.leased = false;
                self.later(1100, Input::Wlan(wlan::Event::BeaconLoss));
                self.later(
                    1200,
                    Input::Supplicant(supplicant::Event::Disconnected { reason: 4, locally: true }),
                );
            }
            _ => {}
        }
    }

    /// The modem changed; it reports itself whole.
    pub(super) fn modem_changed(&mut self) {
        if self.outside.modem != Presence::Ready || !self.outside.registered {
            self.bearer = false;
        }
        let snapshot = self.snapshot();
        self.later(30, Input::Modem(modem::Event::Snapshot(snapshot)));
    }

    pub(super) fn supplicant_dies(&mut self) {
        self.outside.supplicant = false;
        self.installed = None;
        self.associated = false;
        self.leased = false;
        self.later(5, Input::Supplicant(supplicant::Event::Down));
    }

    pub(super) fn supplicant_returns(&mut self) {
        self.outside.supplicant = true;
        self.later(5, Input::Supplicant(supplicant::Event::Up));
    }

    fn snapshot(&self) -> Snapshot {
        let ready = self.outside.modem == Presence::Ready;
        let registered = self.outside.registered;
        Snapshot {
            presence: self.outside.modem,
            imsi: ready.then(|| self.outside.imsi.parse().unwrap()),
            imei: ready.then(|| "490154203237518".parse().unwrap()),
            registration: match (registered, self.outside.roaming) {
                (false, _) => Registration::Searching,
                (true, false) => Registration::Home,
                (true, true) => Registration::Roaming,
            },
            messaging: ready && registered,
            operator_code: registered.then(|| "00101".into()),
            home_operator: ready.then(|| "00101".into()),
            signal_percent: Some(70),
            bearer: (ready && self.bearer).then(|| Bearer {
                interface: "wwan0".into(),
                ipv4: Some(Ipv4Config::Static {
                    address: Ipv4Addr::new(10, 64, 0, 2),
                    prefix: 30,
                    gateway: Some(Ipv4Addr::new(10, 64, 0, 1)),
                    dns: vec![Ipv4Addr::new(10, 64, 0, 1)],
                }),
                ipv6: None,
                mtu: Some(1500),
                managed: false,
            }),
            network_time: self.outside.network_time,
            lock: self.outside.lock,
        }
    }

    fn later(&mut self, ms: u64, input: Input) {
        self.sequence += 1;
        let at = self.now + Duration::from_millis(ms);
        self.queue.push(Later { at, sequence: self.sequence, input });
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Modem(modem::Command::Connect { .. }) => {
                if self.outside.no_data && self.outside.modem == Presence::Ready {
                    let failure =
                        modem::ConnectFailure { error: "NotSubscribed".into(), text: String::new() };
                    self.later(500, Input::Modem(modem::Event::ConnectFailed(failure)));
                } else if self.outside.modem == Presence::Ready && self.outside.registered {
                    self.bearer = true;
                    let snapshot = self.snapshot();
                    self.later(800, Input::Modem(modem::Event::Snapshot(snapshot)));
                } else {
                    let failure =
                        modem::ConnectFailure { error: "NetworkTimeout".into(), text: String::new() };
                    self.later(60_000, Input::Modem(modem::Event::ConnectFailed(failure)));
                }
            }
            Action::Modem(modem::Command::Unlock) => self.unlocks += 1,
            Action::Modem(modem::Command::Disconnect) => {
                self.bearer = false;
                let snapshot = self.snapshot();
                self.later(200, Input::Modem(modem::Event::Snapshot(snapshot)));
            }
            Action::Links(command) => self.links(command),
            Action::Portal(
                command @ (provision::Command::Fetch { .. } | provision::Command::FetchBySms { .. }),
            ) => {
                let by_sms = matches!(command, provision::Command::FetchBySms { .. });
                assert!(by_sms || self.configured, "the portal is asked by a link that is not there");
                let (provision::Command::Fetch { request, .. }
                | provision::Command::FetchBySms { request, .. }) = command
                else {
                    return;
                };
                self.fetches += 1;
                self.requests.push((self.now, request.trigger));
                self.told_versions.push(request.policy_version);
                if by_sms {
                    self.by_sms.push(self.now);
                } else if self.outside.delivery {
                    self.later(150, Input::Portal(provision::Event::UnderWay));
                }
                let by_sms = by_sms || self.outside.delivery;
                if by_sms && self.outside.no_sms {
                    return;
                }
                let event = self.outside.portal.clone().unwrap_or_else(|| {
                    let issued = EPOCH + self.unix_offset + self.now.as_secs();
                    let mut credential = credential(self.fetches, issued, self.outside.life);
                    credential.policy = self.outside.policy.clone();
                    credential.one_time = self.outside.one_time;
                    credential.mac_mode = self.outside.mac_mode;
                    credential.signed_policy = self.outside.signed.clone();
                    provision::Event::Granted(Box::new(credential))
                });
                self.later(if by_sms { 8000 } else { 150 }, Input::Portal(event));
            }
            Action::Portal(provision::Command::Report { report, .. }) => {
                self.reports.push((report.outcome, report.policy_version));
                self.later(50, Input::Portal(provision::Event::Reported { taken: true }));
            }
            Action::Supplicant(command) => self.supplicant(command),
            Action::Wlan(wlan::Command::SetMac(mac)) => {
                self.macs.push(mac);
                let event = if self.outside.mac_fixed {
                    wlan::Event::MacRefused("operation not supported".into())
                } else {
                    self.mac = mac;
                    wlan::Event::Interface(self.interface())
                };
                self.later(20, Input::Wlan(event));
            }
            Action::Wlan(wlan::Command::Scan { frequencies, .. }) => {
                self.scans.push(frequencies);
                let heard = self.outside.signal_dbm.map(|signal_dbm| Bss {
                    bssid: Mac([2, 0, 0, 0, 0, 0]),
                    ssid: b"corp".to_vec(),
                    signal_dbm,
                    frequency_mhz: 2412,
                    seen_ms_ago: 20,
                });
                self.later(300, Input::Wlan(wlan::Event::Scan(heard.into_iter().collect())));
            }
            Action::Wlan(_) => {}
            Action::Probe(probe::Command::Release) => self.standing = None,
            Action::Probe(probe::Command::Probe { stay, .. }) => {
                self.standing = None;
                self.probes.push(self.now);
                let trapped = self.outside.trap && self.route == Some(Link::Wlan);
                let online = self.outside.internet && !trapped && self.associated && self.leased;
                let online = online && !self.outside.captive;
                let event = if online {
                    probe::Event::Online
                } else if self.outside.captive && self.associated {
                    probe::Event::Captive { status: 302 }
                } else {
                    probe::Event::Offline("no answer".into())
                };
                let answered = !matches!(event, probe::Event::Offline(_));
                self.later(if answered { 40 } else { 3000 }, Input::Probe(event));
                if online && stay && self.outside.stands {
                    self.standing = Some(self.now);
                    self.later(41, Input::Probe(probe::Event::Standing));
                } else if online && stay {
                    self.later(42, Input::Probe(probe::Event::Ended));
                }
            }
            Action::Save(stored) => {
                self.saves += 1;
                self.saved = Some(*stored);
            }
            Action::SetClock(unix) => {
                self.clock_sets.push(unix);
                self.wall = Some(unix.saturating_sub(self.now.as_secs()));
            }
            Action::Wispr(command) => self.gateway(command),
            Action::Note(note) => self.story.push((self.now, note)),
        }
    }

    fn gateway(&mut self, command: wispr::Command) {
        let stands = self.associated;
        match command {
            wispr::Command::LogOn(task) => {
                self.gateway.push(("log-on", stands));
                self.told.push(task.username.clone());
                let good = wispr::Event::LoggedOn {
                    gateway: "login.hotspot.example".into(),
                    location: None,
                    ends_in: None,
                };
                let event = self.outside.gateway.clone().unwrap_or(good);
                self.later(600, Input::Wispr(event));
            }
            wispr::Command::LogOff => {
                self.gateway.push(("log-off", stands));
                if !self.outside.mute {
                    self.later(300, Input::Wispr(wispr::Event::LoggedOff { confirmed: true }));
                }
            }
            wispr::Command::Forget => self.gateway.push(("forget", stands)),
        }
    }

    fn links(&mut self, command: links::Command) {
        match command {
            links::Command::ConfigureCellular(_) => {
                self.configured = true;
                self.later(20, Input::Links(links::Event::CellularReady { dns: vec![] }));
            }
            links::Command::ReleaseCellular => {
                self.configured = false;
                if self.route == Some(Link::Cellular) {
                    self.route = None;
                }
            }
            links::Command::AcquireWlan { .. } => {
                self.addresses.push("acquire");
                if self.outside.dhcp && self.associated {
                    self.leased = true;
                    let lease = lease();
                    self.later(900, Input::Links(links::Event::WlanReady(lease)));
                } else {
                    self.later(10_000, Input::Links(links::Event::NoLease("no answer".into())));
                }
            }
            links::Command::AdoptWlan { lease, .. } => {
                self.addresses.push("adopt");
                self.leased = true;
                self.later(30, Input::Links(links::Event::WlanReady(lease)));
            }
            links::Command::CellularBackup(on) => self.backup = Some(on),
            links::Command::ReleaseWlan => {
                self.leased = false;
                if self.route == Some(Link::Wlan) {
                    self.route = None;
                }
            }
            links::Command::Prefer(link) => {
                assert!(link == Link::Cellular || self.proved, "the route goes to Wi-Fi unproved");
                let there = if link == Link::Cellular { self.configured } else { self.leased };
                if there && self.outside.no_route != Some(link) {
                    self.route = Some(link);
                    self.later(5, Input::Links(links::Event::Moved(link)));
                } else {
                    let text = "no such link".into();
                    self.later(5, Input::Links(links::Event::Failed { link, text }));
                }
            }
            links::Command::WatchDrain(link) => {
                if !self.outside.busy {
                    self.later(1000, Input::Links(links::Event::Drained(link)));
                }
            }
        }
    }

    fn supplicant(&mut self, command: supplicant::Command) {
        if !self.outside.supplicant {
            return;
        }
        match command {
            supplicant::Command::Install { credential } => {
                let trust = &credential.eap;
                assert!(!trust.ca_pem.is_empty() && !trust.server_name.is_empty(), "a server unchecked");
                self.installed = Some(credential.username.clone());
                self.later(15, Input::Supplicant(supplicant::Event::Installed));
            }
            supplicant::Command::Join { .. } => {
                self.joins.push(self.now);
                self.proved = false;
                let username = self.installed.clone().expect("a join without a credential");
                self.logins.push(username.clone());
                let failure = if self.outside.signal_dbm.is_none() {
                    Some(supplicant::JoinFailure::NotFound)
                } else if self.outside.refused.contains(&username) {
                    Some(supplicant::JoinFailure::Rejected)
                } else {
                    self.outside.aaa
                };
                let event = match failure {
                    Some(failure) => supplicant::Event::JoinFailed { failure, text: "as told".into() },
                    None => {
                        self.associated = true;
                        if self.outside.one_time {
                            self.outside.refused.push(username);
                        }
                        if self.outside.owner == Some(supplicant::Owner::NetworkManager) {
                            self.later(700, Input::Supplicant(supplicant::Event::Addressed(lease())));
                        }
                        supplicant::Event::Connected {
                            bssid: Mac([2, 0, 0, 0, 0, 0]),
                            pairwise_cipher: "CCMP".into(),
                            tls_version: Some("TLSv1.2".into()),
                            key_mgmt: "WPA2/IEEE 802.1X/EAP".into(),
                        }
                    }
                };
                self.later(400, Input::Supplicant(event));
            }
            supplicant::Command::Leave => {
                if std::mem::take(&mut self.associated) {
                    let event = supplicant::Event::Disconnected { reason: 3, locally: true };
                    self.later(10, Input::Supplicant(event));
                }
            }
            supplicant::Command::Remove => self.installed = None,
        }
    }

    /// The policy that every simulated credential carries.
    pub(super) fn policy() -> Policy {
        policy()
    }
}
