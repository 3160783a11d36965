//! The table with real credentials and a real database.

use std::{net::IpAddr, time::Duration};

use provisioning::{
    identity::Mac,
    message::{AfterMove, EapSettings, InnerMethod, OuterMethod, Policy, Sequence},
    secret::Password,
};
use radius::{Builder, Packet};

use super::*;
use crate::{
    aaa::{
        directory::{Asked, Directory as _},
        method::Methods,
    },
    accounting::{
        feed::{FeedRecord, GatewayFeed},
        intake::Intake,
        record::{sample::report, status},
    },
    credential::{
        Authority, IssueRequest, Keys, Lifetime, MacBinding, Rules, Terms, account::NewAccount, system_random,
    },
    store::{ClientKind, Handle, sqlite::SqliteStore},
};

const AT: u64 = 1_800_000_000;
const STATION: Mac = Mac([2, 0, 0, 0, 0, 1]);

struct Bench {
    keys: Arc<Keys>,
    store: Arc<SqliteStore>,
    authority: Arc<Authority>,
    live: Arc<Live>,
    intake: Intake,
    _dir: tempfile::TempDir,
}

/// Packet gateways are not the matter here.
struct Nobody;

impl GatewayFeed for Nobody {
    fn accounting(&self, _record: &FeedRecord, _now: u64) -> Result<(), StoreError> {
        Ok(())
    }
}

fn now(unix: u64) -> Now {
    Now { monotonic: Duration::from_secs(unix - AT), unix }
}

fn terms() -> Terms {
    Terms {
        realm: "operator.example".to_owned(),
        lifetime: Lifetime::Device,
        mac: MacBinding::Unbound,
        eap: EapSettings {
            outer: OuterMethod::Peap,
            inner: InnerMethod::Mschapv2,
            anonymous_identity: String::new(),
            server_name: String::new(),
            ca_pem: String::new(),
        },
        policy: Policy {
            version: 1,
            networks: Vec::new(),
            enter_dbm: -65,
            leave_dbm: -75,
            dwell_secs: 5,
            penalty_secs: 30,
            probe_url: String::new(),
            cellular_after_move: AfterMove::Down,
            drain_secs: 30,
            renew_after_return: false,
            renew_every_secs: 0,
            sequence: Sequence::MakeBeforeBreak,
            renew_before_move: false,
            one_time_reserve: 0,
            offline_grace_secs: 0,
            ..Policy::default()
        },
    }
}

impl Bench {
    fn new(rules: Rules) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::create(&dir.path().join("db")).unwrap());
        let keys = Arc::new(Keys::fixed(1));
        let authority = Authority::new(Arc::clone(&keys), store.clone(), terms(), AT).unwrap();
        let authority = Arc::new(authority.with_rules(rules));
        let live = Arc::new(Live::new(Limits::default(), authority.clone()));
        let intake = Intake::new(Arc::new(Nobody), Arc::clone(&live), Arc::clone(&keys));
        Self { keys, store, authority, live, intake, _dir: dir }
    }

    fn issue(&self, lifetime: &str) -> String {
        let request = IssueRequest {
            imsi: Some("001010123456789".parse().unwrap()),
            imei: None,
            subscriber: None,
            mac: STATION,
            lifetime: Some(lifetime.parse().unwrap()),
            source: None,
            runs_policy: None,
        };
        self.authority.issue(AT, &request, &mut system_random).unwrap().username
    }

    fn admit(&self, at: u64, username: &str, class: u8, station: Mac) -> Result<(), Reject> {
        let asked = Asked { mac: Some(station), client: "ap-1", ssid: None };
        let login = self.authority.check(at, username, &asked)?;
        self.admit_login(at, &login, class, station)
    }

    fn admit_login(&self, at: u64, login: &Login, class: u8, station: Mac) -> Result<(), Reject> {
        let octets = Builder::access_request(1, [0; 16])
            .text(A::CALLING_STATION_ID, "02-00-00-00-00-01")
            .text(A::NAS_IDENTIFIER, "ap")
            .finish(b"s")
            .unwrap();
        let packet = Packet::parse(&octets).unwrap();
        let address = IpAddr::from([192, 0, 2, 7]);
        let (client, class, mac) = ("ap-1", [class; 16], Some(station));
        self.live.admit(now(at), login, &Admitted { client, address, class, mac, packet: &packet })
    }

    /// As the accounting writer does.
    fn tell(&self, mut report: AccountingRecord, fed: Option<&FeedRecord>) -> AccountingRecord {
        report.dedup[..8].copy_from_slice(&(report.event_at ^ u64::from(report.status) << 40).to_be_bytes());
        self.intake.complete(&mut report, fed);
        self.store.append_accounting(std::slice::from_ref(&report)).unwrap();
        self.intake.written(&report);
        report
    }

    fn due(&self, at: u64) -> Vec<Ending> {
        self.authority.refresh(at);
        self.live.due(now(at))
    }
}

fn start(class: u8, at: u64) -> AccountingRecord {
    AccountingRecord {
        class: Some([class; 16]),
        username: Some("anonymous@operator.example".to_owned()),
        event_at: at,
        received_at: at,
        ..report()
    }
}

#[test]
fn a_revoked_credential_ends_its_sessions_at_once() {
    let bench = Bench::new(Rules::default());
    let (first, second) = (bench.issue("device"), bench.issue("device"));
    bench.admit(AT, &first, 1, STATION).unwrap();
    bench.admit(AT, &second, 2, Mac([9; 6])).unwrap();
    assert!(bench.due(AT).is_empty());
    bench.tell(start(1, AT), None);
    bench.store.revoke_credential(&first, AT + 1).unwrap();
    let due = bench.due(AT + 1);
    assert_eq!(due.len(), 1);
    let ending = &due[0];
    assert_eq!((ending.why, &ending.username), (Reject::Revoked, &first));
    assert_eq!((ending.client.as_str(), ending.address), ("ap-1", IpAddr::from([192, 0, 2, 7])));
    assert_eq!((ending.mac, ending.session_id.as_deref()), (Some(STATION), Some("s1")));
    assert_eq!(ending.calling_station.as_deref(), Some("02-00-00-00-00-01"));
    assert!(bench.due(AT + 2).is_empty());
    bench.live.done(now(AT + 2), ending.key, Outcome::Gone);
    assert_eq!(bench.live.len(), 1);
}

#[test]
fn a_session_that_was_said_to_be_gone_and_is_not_is_ended_again() {
    let bench = Bench::new(Rules::default());
    let username = bench.issue("device");
    bench.admit(AT, &username, 1, STATION).unwrap();
    bench.tell(start(1, AT), None);
    bench.store.revoke_credential(&username, AT + 1).unwrap();
    let due = bench.due(AT + 1);
    bench.live.done(now(AT + 1), due[0].key, Outcome::Gone);
    let interim = AccountingRecord {
        status: status::INTERIM,
        username: Some(username.clone()),
        session_secs: 600,
        ..start(1, AT + 600)
    };
    bench.tell(interim, None);
    let due = bench.due(AT + 601);
    assert_eq!((due.len(), due[0].why, &due[0].username), (1, Reject::Revoked, &username));
    assert!(bench.due(AT + 602).is_empty());
}

#[test]
fn a_login_that_was_under_way_when_it_was_revoked_is_refused() {
    let bench = Bench::new(Rules::default());
    let username = bench.issue("device");
    let asked = Asked { mac: Some(STATION), client: "ap-1", ssid: None };
    let login = bench.authority.check(AT, &username, &asked).unwrap();
    bench.store.revoke_credential(&username, AT).unwrap();
    bench.authority.refresh(AT);
    assert_eq!(bench.admit_login(AT, &login, 1, STATION), Err(Reject::Revoked));
    assert!(bench.live.is_empty());
}

#[test]
fn sessions_of_a_changed_account_end_and_its_own_limit_holds() {
    let bench = Bench::new(Rules { max_sessions: 1, ..Rules::default() });
    let put = |password: &str, max_sessions| {
        let account = NewAccount {
            name: "probe".to_owned(),
            password: Password::new(password.to_owned()),
            mac: None,
            methods: Methods::ALL,
            ssids: Vec::new(),
            nas: Vec::new(),
            vlan: None,
            max_sessions,
        };
        bench.store.put_account(&account.record(&bench.keys, "operator.example", AT).unwrap()).unwrap();
        bench.authority.refresh(AT);
    };
    put("one", None);
    bench.admit(AT, "probe", 1, STATION).unwrap();
    assert_eq!(bench.admit(AT, "probe", 2, Mac([9; 6])), Err(Reject::TooManySessions));
    put("one", Some(2));
    bench.admit(AT, "probe", 2, Mac([9; 6])).unwrap();
    assert!(bench.due(AT).is_empty());
    put("two", Some(2));
    assert_eq!(bench.due(AT).len(), 2);
}

#[test]
fn a_period_ends_its_session_in_its_second() {
    let bench = Bench::new(Rules::default());
    bench.admit(AT, &bench.issue("60"), 1, STATION).unwrap();
    assert!(bench.due(AT + 59).is_empty());
    let due = bench.due(AT + 60);
    assert_eq!((due.len(), due[0].why), (1, Reject::Expired));
}

#[test]
fn the_report_gets_the_name_of_the_login_and_the_session_survives_a_restart() {
    let bench = Bench::new(Rules { max_sessions: 1, ..Rules::default() });
    let username = bench.issue("3600");
    bench.admit(AT, &username, 1, STATION).unwrap();
    let told = bench.tell(start(1, AT + 1), None);
    assert_eq!(told.username.as_deref(), Some(username.as_str()), "not the outer identity");
    assert_eq!(told.address, Some(IpAddr::from([192, 0, 2, 7])));
    let subscriber = told.subscriber.unwrap();

    let restarted = Live::new(Limits::default(), bench.authority.clone());
    restarted.restore(&*bench.store, AT + 10, 600).unwrap();
    assert_eq!((restarted.len(), restarted.count(AT + 10, subscriber)), (1, 1));
    bench.store.revoke_credential(&username, AT + 11).unwrap();
    bench.authority.refresh(AT + 11);
    let due = restarted.due(now(AT + 11));
    assert_eq!((due.len(), due[0].address, due[0].why), (1, IpAddr::from([192, 0, 2, 7]), Reject::Revoked));
    assert_eq!(due[0].session_id.as_deref(), Some("s1"));

    // One that was revoked, and one that expired, while nobody was there to see it.
    let again = Live::new(Limits::default(), bench.authority.clone());
    again.restore(&*bench.store, AT + 20, 600).unwrap();
    assert_eq!(again.due(now(AT + 20)).len(), 1);
    let expired = Live::new(Limits::default(), bench.authority.clone());
    expired.restore(&*bench.store, AT + 4000, 600).unwrap();
    assert_eq!(expired.due(now(AT + 4000)).len(), 1);
    bench.tell(AccountingRecord { status: status::STOP, ..start(1, AT + 30) }, None);
    assert!(bench.live.is_empty());
    let empty = Live::new(Limits::default(), bench.authority.clone());
    empty.restore(&*bench.store, AT + 40, 600).unwrap();
    assert!(empty.is_empty());
}

#[test]
fn cellular_and_wlan_usage_have_one_subscriber() {
    let bench = Bench::new(Rules::default());
    bench.admit(AT, &bench.issue("device"), 1, STATION).unwrap();
    let wlan = bench.tell(start(1, AT), None);
    let fed = FeedRecord {
        gateway: "pgw".to_owned(),
        status: status::START,
        session_id: "g1".to_owned(),
        ipv4: None,
        ipv6_prefix: None,
        delegated_prefix: None,
        imsi: Some("001010123456789".parse().unwrap()),
        imeisv: None,
        msisdn: None,
        event_at: AT,
    };
    let cellular = AccountingRecord {
        kind: ClientKind::Gateway,
        client: "pgw".to_owned(),
        session_id: "g1".to_owned(),
        username: None,
        mac: None,
        ..start(0, AT + 1)
    };
    let cellular = bench.tell(cellular, Some(&fed));
    assert!(wlan.subscriber.is_some() && wlan.subscriber == cellular.subscriber);
    let Handle([first, ..]) = bench.keys.handle_imsi(&"001010123456789".parse().unwrap());
    assert_eq!(cellular.subscriber.unwrap().0[0], first);
    assert_eq!(bench.live.len(), 1, "a packet gateway's session is none of ours");
    // Without a login here: by the name, where it is one.
    let by_name = AccountingRecord {
        class: None,
        mac: None,
        username: Some(bench.issue("device")),
        session_id: "x".to_owned(),
        ..start(3, AT + 2)
    };
    assert_eq!(bench.tell(by_name, None).subscriber, wlan.subscriber);
}

#[test]
fn a_hundred_thousand_sessions_are_looked_at_quickly_enough() {
    let bench = Bench::new(Rules::default());
    let username = bench.issue("device");
    let asked = Asked { mac: Some(STATION), client: "ap-1", ssid: None };
    let login = bench.authority.check(AT, &username, &asked).unwrap();
    for number in 0..100_000u32 {
        let [a, b, c, d] = number.to_be_bytes();
        let mut class = [0; 16];
        class[..4].copy_from_slice(&number.to_be_bytes());
        class[15] = 1;
        let login = Login { subscriber: Subscriber([0, 0, a, b, c, d]), ..login.clone() };
        let octets = Builder::access_request(1, [0; 16]).finish(b"s").unwrap();
        let packet = Packet::parse(&octets).unwrap();
        let (client, address, mac) = ("ap-1", IpAddr::from([192, 0, 2, 7]), Some(Mac([2, 2, a, b, c, d])));
        bench
            .live
            .admit(now(AT), &login, &Admitted { client, address, class, mac, packet: &packet })
            .unwrap();
    }
    assert_eq!(bench.live.len(), 100_000);
    bench.store.revoke_credential(&username, AT).unwrap();
    assert_eq!(bench.due(AT).len(), 100_000);
    assert!(bench.due(AT).is_empty());
}
