//! Rotation: the agent killed at every step of it always has one credential that works.
//!
//! The real machine with its real vault on one side, the real authority with its real database on the other, on a
//! virtual clock; between them a device whose radio and supplicant do what they are told. Each run is the same walk
//! (renew on cellular, join, come back) up to one point, at which the agent is killed. Then a new agent starts from what
//! is on disk, with no cellular at all, and must get into Wi-Fi.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may assume"
)]

#[path = "common/mod.rs"]
mod common;

use std::{fs, net::Ipv4Addr, sync::Arc, time::Duration};

use agent::{
    machine::{Action, Input, Machine, Now, Settings, State, UserWord},
    modem::{self, Bearer, Ipv4Config, Presence, Registration, Snapshot},
    provision, supplicant,
    vault::Vault,
    wlan::{
        self, Bss, Interface,
        links::{self, Lease},
        probe,
    },
};
use portal_aaa::{
    aaa::directory::{Asked, Directory as _},
    credential::{self, Authority, IssueRequest, Lifetime, system_random},
    store::{Entitlement, Store, sqlite::SqliteStore},
};
use provisioning::{
    identity::Mac,
    message::{Credential, Network, Policy},
};

const EPOCH: u64 = 1_800_000_000;
const MAC: Mac = Mac([2, 0, 0, 0, 1, 0]);
const SSID: &str = "corp";

/// What differs from walk to walk.
#[derive(Debug, Clone, Copy)]
struct Walk {
    lifetime: Lifetime,
    /// One-time credentials held beside the one in use.
    reserve: u8,
    /// New ones fetched before the join; all but the last never work.
    renewals: u32,
    /// Whether our AAA notices the first login, or only the agent's word counts.
    aaa_notices: bool,
}

struct Killed;

/// The operator: lives through everything.
struct Operator {
    authority: Authority,
    store: Arc<SqliteStore>,
    walk: Walk,
    _dir: tempfile::TempDir,
}

/// The device around the agent.
struct Device<'o> {
    operator: &'o Operator,
    state: tempfile::TempDir,
    vault: Vault,
    machine: Machine,
    now: Duration,
    queue: Vec<(Duration, u64, Input)>,
    sequence: u64,
    /// Points passed, and the one at which the agent is killed.
    points: u32,
    kill_at: u32,
    cellular: bool,
    bearer: bool,
    signal_dbm: Option<i32>,
    in_supplicant: Option<Credential>,
    logins: u32,
}

/// In memory where there is such a folder: hundreds of runs are not to wait for a disk.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn operator(walk: Walk) -> Operator {
    let dir = folder();
    let store = Arc::new(SqliteStore::create(&dir.path().join("db")).unwrap());
    let keys = Arc::new(credential::create(&dir.path().join("keys.toml"), &mut system_random).unwrap());
    let mut terms =
        common::terms("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n".to_owned());
    terms.lifetime = walk.lifetime;
    terms.policy = Policy {
        version: 1,
        networks: vec![Network::new(SSID, 1)],
        dwell_secs: 0,
        penalty_secs: 1,
        probe_url: "http://10.99.0.1/generate_204".to_owned(),
        drain_secs: 1,
        one_time_reserve: walk.reserve,
        ..Policy::default()
    };
    let authority = Authority::new(keys, store.clone(), terms, EPOCH).unwrap();
    Operator { authority, store, walk, _dir: dir }
}

impl<'o> Device<'o> {
    fn new(operator: &'o Operator, kill_at: u32) -> Self {
        let state = folder();
        let vault = Vault::open_with(state.path(), None).unwrap();
        let machine = start(&vault, Duration::ZERO);
        let mut device = Self {
            operator,
            state,
            vault,
            machine,
            now: Duration::ZERO,
            queue: Vec::new(),
            sequence: 0,
            points: 0,
            kill_at: u32::MAX,
            cellular: true,
            bearer: true,
            signal_dbm: None,
            in_supplicant: None,
            logins: 0,
        };
        device.wake();
        // The first credential is had and has worked; then the rotation begins.
        let Ok(()) = device.reach(State::Armed) else { panic!("killed too early") };
        device.signal_dbm = Some(-50);
        let Ok(()) = device.reach(State::Offloaded) else { panic!("killed too early") };
        device.kill_at = kill_at;
        device
    }

    /// The agent starts: the worlds tell what there is.
    fn wake(&mut self) {
        let interface =
            Interface { name: "wlan0".to_owned(), index: 3, permanent_mac: MAC, current_mac: MAC };
        self.later(1, Input::Wlan(wlan::Event::Interface(interface)));
        self.modem(1);
        self.later(2, Input::Supplicant(supplicant::Event::Up));
    }

    /// Killed: nothing in memory is left, and the supplicant forgets.
    fn restart(&mut self) {
        self.queue.clear();
        self.in_supplicant = None;
        self.kill_at = u32::MAX;
        self.vault = Vault::open_with(self.state.path(), None).unwrap();
        self.machine = start(&self.vault, self.now);
        self.wake();
    }

    /// A place at which the agent may be killed.
    fn point(&mut self) -> Result<(), Killed> {
        if self.kill_at != u32::MAX {
            self.points += 1;
        }
        if self.points == self.kill_at { Err(Killed) } else { Ok(()) }
    }

    fn unix(&self) -> u64 {
        EPOCH + self.now.as_secs()
    }

    fn later(&mut self, ms: u64, input: Input) {
        self.sequence += 1;
        self.queue.push((self.now + Duration::from_millis(ms), self.sequence, input));
    }

    fn modem(&mut self, ms: u64) {
        let up = self.cellular;
        let bearer = Bearer {
            interface: "wwan0".to_owned(),
            ipv4: Some(Ipv4Config::Static {
                address: Ipv4Addr::new(10, 64, 0, 2),
                prefix: 30,
                gateway: Some(Ipv4Addr::new(10, 64, 0, 1)),
                dns: vec![Ipv4Addr::new(10, 64, 0, 1)],
            }),
            ipv6: None,
            mtu: None,
            managed: false,
        };
        let snapshot = Snapshot {
            presence: Presence::Ready,
            imsi: Some("001010123456789".parse().unwrap()),
            imei: Some("490154203237518".parse().unwrap()),
            registration: if up { Registration::Home } else { Registration::Searching },
            messaging: up,
            operator_code: up.then(|| "00101".to_owned()),
            home_operator: None,
            signal_percent: Some(70),
            bearer: (up && self.bearer).then_some(bearer),
            network_time: None,
            lock: None,
        };
        self.later(ms, Input::Modem(modem::Event::Snapshot(snapshot)));
    }

    /// Goes on until the machine is in this state; bounded.
    fn reach(&mut self, state: State) -> Result<(), Killed> {
        let limit = self.now + Duration::from_secs(600);
        while self.machine.state() != state {
            assert!(self.now < limit, "never {state}, but {} since", self.machine.state());
            self.step()?;
        }
        Ok(())
    }

    /// Goes on for so long.
    fn run(&mut self, secs: u64) -> Result<(), Killed> {
        let until = self.now + Duration::from_secs(secs);
        while self.now < until {
            self.step()?;
        }
        Ok(())
    }

    /// The next thing that happens, at most a second from now.
    fn step(&mut self) -> Result<(), Killed> {
        let first = (0..self.queue.len()).min_by_key(|at| (self.queue[*at].0, self.queue[*at].1));
        let due = self.machine.deadline().unwrap_or(Duration::MAX).min(self.now + Duration::from_secs(1));
        let input = match first {
            Some(at) if self.queue[at].0 <= due => {
                let (when, _, input) = self.queue.remove(at);
                self.now = self.now.max(when);
                input
            }
            _ => {
                self.now = self.now.max(due);
                Input::Timeout
            }
        };
        self.give(input)
    }

    fn give(&mut self, input: Input) -> Result<(), Killed> {
        let now = Now { since_boot: self.now, unix: self.unix() };
        for action in self.machine.handle(now, input) {
            self.act(action)?;
        }
        Ok(())
    }

    fn act(&mut self, action: Action) -> Result<(), Killed> {
        match action {
            Action::Save(stored) => {
                self.point()?;
                // As a kill in the middle leaves it (agent/src/vault/replace.rs).
                fs::write(self.state.path().join(".vault.new"), "half of it").unwrap();
                self.point()?;
                self.vault.store(&stored).unwrap();
                self.point()?;
            }
            Action::Portal(command) => {
                self.point()?;
                self.portal(command);
                self.point()?;
            }
            Action::Supplicant(supplicant::Command::Install { credential }) => {
                self.point()?;
                self.in_supplicant = Some(*credential);
                self.later(5, Input::Supplicant(supplicant::Event::Installed));
                self.point()?;
            }
            Action::Supplicant(supplicant::Command::Remove) => self.in_supplicant = None,
            Action::Supplicant(supplicant::Command::Join { .. }) => {
                self.point()?;
                let event = if self.login() {
                    supplicant::Event::Connected {
                        bssid: Mac([2, 0, 0, 0, 0, 0]),
                        pairwise_cipher: "CCMP".to_owned(),
                        tls_version: None,
                        key_mgmt: "WPA2/IEEE 802.1X/EAP".to_owned(),
                    }
                } else {
                    let failure = supplicant::JoinFailure::Rejected;
                    supplicant::Event::JoinFailed { failure, text: "refused".to_owned() }
                };
                self.later(50, Input::Supplicant(event));
                self.point()?;
            }
            Action::Supplicant(supplicant::Command::Leave) => {
                let event = supplicant::Event::Disconnected { reason: 3, locally: true };
                self.later(5, Input::Supplicant(event));
            }
            Action::Wlan(wlan::Command::Scan { .. }) => {
                let bss = self.signal_dbm.map(|signal_dbm| Bss {
                    bssid: Mac([2, 0, 0, 0, 0, 0]),
                    ssid: SSID.into(),
                    signal_dbm,
                    frequency_mhz: 2412,
                    seen_ms_ago: 10,
                });
                self.later(50, Input::Wlan(wlan::Event::Scan(bss.into_iter().collect())));
            }
            Action::Modem(modem::Command::Connect { .. }) => {
                self.bearer = true;
                self.modem(100);
            }
            Action::Modem(modem::Command::Disconnect) => {
                self.bearer = false;
                self.modem(50);
            }
            Action::Links(links::Command::ConfigureCellular(_)) => {
                self.later(5, Input::Links(links::Event::CellularReady { dns: vec![] }));
            }
            Action::Links(links::Command::AcquireWlan { .. }) => {
                let lease = Lease {
                    address: Ipv4Addr::new(10, 9, 0, 100),
                    prefix: 24,
                    router: Some(Ipv4Addr::new(10, 9, 0, 1)),
                    dns: vec![],
                    mtu: None,
                    captive_api: None,
                };
                self.later(50, Input::Links(links::Event::WlanReady(lease)));
            }
            Action::Links(links::Command::Prefer(link)) => {
                self.later(5, Input::Links(links::Event::Moved(link)));
            }
            Action::Links(links::Command::WatchDrain(link)) => {
                self.later(50, Input::Links(links::Event::Drained(link)));
            }
            Action::Probe(_) => self.later(20, Input::Probe(probe::Event::Online)),
            Action::Wispr(command) => panic!("no open network here: {command:?}"),
            Action::Modem(_) | Action::Links(_) | Action::Wlan(_) | Action::SetClock(_) | Action::Note(_) => {
            }
        }
        Ok(())
    }

    fn portal(&mut self, command: provision::Command) {
        let (now, authority) = (self.unix(), &self.operator.authority);
        let event = match command {
            provision::Command::Fetch { request, .. } | provision::Command::FetchBySms { request, .. } => {
                let request = IssueRequest {
                    imsi: request.imsi,
                    imei: request.imei,
                    subscriber: None,
                    mac: request.mac,
                    lifetime: None,
                    source: None,
                    runs_policy: request.policy_version,
                };
                let issued =
                    authority.issue_entitled(now, &request, &mut system_random, Entitlement::Any).unwrap();
                provision::Event::Granted(Box::new(issued))
            }
            provision::Command::Report { report, .. } => {
                authority.told(now, &report).expect("the agent proves it");
                provision::Event::Reported { taken: true }
            }
        };
        self.later(100, Input::Portal(event));
    }

    /// What the AAA says of what stands in the supplicant.
    fn login(&mut self) -> bool {
        let now = self.unix();
        let credential = self.in_supplicant.as_ref().expect("a join without a credential");
        self.logins += 1;
        let authority = &self.operator.authority;
        authority.refresh(now);
        let asked = Asked { mac: Some(MAC), client: "ap-1", ssid: Some(SSID) };
        let Ok(login) = authority.check(now, &credential.username, &asked) else { return false };
        assert!(login.password == credential.password);
        let session = format!("session-{}", self.logins);
        if authority.consume(now, &login, &session).is_err() {
            return false;
        }
        if self.operator.walk.aaa_notices {
            authority.settle(now).unwrap();
            authority.refresh(now);
        }
        true
    }

    /// One rotation: back to cellular, new ones fetched, Wi-Fi again, and some time there.
    fn rotate(&mut self) -> Result<(), Killed> {
        self.signal_dbm = None;
        self.later(1, Input::Wlan(wlan::Event::Signal { dbm: -90 }));
        self.reach(State::Armed)?;
        for _ in 0..self.operator.walk.renewals {
            self.give(Input::User(UserWord::Renew))?;
            self.run(5)?;
        }
        self.signal_dbm = Some(-50);
        self.reach(State::Offloaded)?;
        self.run(5)
    }
}

fn start(vault: &Vault, since_boot: Duration) -> Machine {
    let settings = Settings { subscriber_key: vault.subscriber_key(), jitter_seed: 1, ..Settings::default() };
    let now = Now { since_boot, unix: EPOCH + since_boot.as_secs() };
    Machine::new(settings, now, vault.load())
}

/// Kills at each point of this walk in turn. Gives how many there are.
fn kill_everywhere(walk: Walk) -> u32 {
    for kill_at in 1.. {
        let operator = operator(walk);
        let mut device = Device::new(&operator, kill_at);
        if device.rotate().is_ok() {
            return kill_at - 1;
        }
        device.restart();
        // Nothing but what is on disk helps now.
        (device.cellular, device.signal_dbm) = (false, Some(-50));
        let logins = device.logins;
        let Ok(()) = device.reach(State::Offloaded) else { panic!("nobody kills it") };
        let tries = device.logins - logins;
        assert!(tries <= 2, "{walk:?}, killed at {kill_at}: {tries} logins");
        // And it can go on rotating.
        device.cellular = true;
        device.modem(1);
        let Ok(()) = device.rotate() else { panic!("nobody kills it") };
    }
    unreachable!("every walk ends")
}

#[test]
fn an_agent_killed_at_any_point_of_a_rotation_has_a_credential_that_works() {
    let period = Lifetime::Seconds(86_400.try_into().unwrap());
    let mut points = 0;
    for (lifetime, reserve, renewals, aaa_notices) in [
        (Lifetime::Device, 0, 1, true),
        (Lifetime::Device, 0, 1, false),
        (Lifetime::Device, 0, 3, true),
        (period, 0, 1, true),
        (period, 0, 2, false),
        (Lifetime::OneTime, 2, 1, true),
    ] {
        let found = kill_everywhere(Walk { lifetime, reserve, renewals, aaa_notices });
        println!(
            "{lifetime}, reserve {reserve}, {renewals} renewals, AAA notices {aaa_notices}: {found} points"
        );
        points += found;
    }
    assert!(points >= 100, "{points} points");
}

/// What the two phases are for: after a whole rotation the old credential is dead, before its first login it was not.
#[test]
fn a_whole_rotation_leaves_one_credential() {
    for aaa_notices in [true, false] {
        let walk = Walk { lifetime: Lifetime::Device, reserve: 0, renewals: 2, aaa_notices };
        let operator = operator(walk);
        let mut device = Device::new(&operator, u32::MAX - 1);
        let first = device.in_supplicant.as_ref().unwrap().username.clone();
        assert!(device.rotate().is_ok());
        let last = device.in_supplicant.as_ref().unwrap().username.clone();
        let all = operator.store.credentials(&portal_aaa::store::rotation::Which::All, 9).unwrap();
        assert_eq!(all.len(), 3);
        for record in all {
            let alive = record.revoked_at.is_none();
            assert_eq!(alive, record.username == last, "{record:?}");
            assert_eq!(record.progress.worked_at.is_some(), [&first, &last].contains(&&record.username));
            assert!(record.progress.installed_at.is_some(), "{record:?}");
        }
        let record = operator.store.credential(&last).unwrap().unwrap();
        assert_eq!(record.progress.runs_policy, Some(1));
    }
}
