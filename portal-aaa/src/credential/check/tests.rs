//! Issue and check together, on a real database, with time and randomness passed in.

use std::{collections::HashSet, num::NonZeroU32, sync::Arc};

use proptest::prelude::*;
use provisioning::identity::Mac;
use provisioning::message::{
    AfterMove, Credential, EapSettings, InnerMethod, MacMode, OuterMethod, Policy, Sequence,
};

use super::*;
use crate::{
    credential::{
        IssueError, IssueRequest, Keys, Lifetime, MacBinding, Purpose, RandomUnavailable, Terms,
        system_random,
    },
    store::{Entitlement, Store, StoreError, sqlite::SqliteStore},
};

mod accounts;

const NOW: u64 = 1_800_000_000;
const MAC: Mac = Mac([0x02, 0, 0, 0, 0, 1]);

struct Bench {
    authority: Authority,
    keys: Arc<Keys>,
    store: Arc<SqliteStore>,
    dir: tempfile::TempDir,
}

fn terms(mac: MacBinding) -> Terms {
    Terms {
        realm: "operator.example".to_owned(),
        lifetime: Lifetime::Device,
        mac,
        eap: EapSettings {
            outer: OuterMethod::Peap,
            inner: InnerMethod::Mschapv2,
            anonymous_identity: "anonymous@operator.example".to_owned(),
            server_name: "aaa.operator.example".to_owned(),
            ca_pem: "PEM".to_owned(),
        },
        policy: Policy {
            version: 4,
            networks: Vec::new(),
            enter_dbm: -65,
            leave_dbm: -75,
            dwell_secs: 5,
            penalty_secs: 30,
            probe_url: "http://10.99.0.1/generate_204".to_owned(),
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

fn bench(mac: MacBinding) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::create(&dir.path().join("db")).unwrap());
    let keys = Arc::new(Keys::fixed(1));
    let authority = Authority::new(Arc::clone(&keys), store.clone(), terms(mac), NOW).unwrap();
    Bench { authority, keys, store, dir }
}

fn request(lifetime: Option<Lifetime>) -> IssueRequest {
    IssueRequest {
        imsi: Some("001010123456789".parse().unwrap()),
        imei: Some("490154203237518".parse().unwrap()),
        subscriber: None,
        mac: MAC,
        lifetime,
        source: Some("10.64.0.2".parse().unwrap()),
        runs_policy: None,
    }
}

/// Asked at the one access point, from this station.
fn at(mac: Option<Mac>) -> Asked<'static> {
    Asked { mac, client: "ap-1", ssid: Some("operator-wifi") }
}

fn seconds(seconds: u32) -> Option<Lifetime> {
    Some(Lifetime::Seconds(NonZeroU32::new(seconds).unwrap()))
}

impl Bench {
    fn issue(&self, lifetime: Option<Lifetime>) -> Credential {
        let request = request(lifetime);
        self.authority.issue_entitled(NOW, &request, &mut system_random, Entitlement::Any).unwrap()
    }

    fn check(&self, now: u64, username: &str) -> Result<Login, Reject> {
        self.authority.check(now, username, &at(Some(MAC)))
    }
}

#[test]
fn an_issued_credential_logs_on_and_its_record_was_there_first() {
    let bench = bench(MacBinding::Permanent);
    let issued = bench.issue(None);
    assert_eq!((issued.mac_mode, issued.expires_at, issued.policy.version), (MacMode::Permanent, None, 4));
    let login = bench.check(NOW, &issued.username).unwrap();
    assert!(login.password == issued.password);
    assert_eq!((login.username, login.expires_at, login.one_time), (issued.username.clone(), None, false));

    let record = bench.store.credential(&issued.username).unwrap().unwrap();
    let open = |purpose, sealed| bench.keys.open(purpose, &issued.username, sealed).unwrap();
    assert_eq!(**open(Purpose::Imsi, record.imsi.as_ref().unwrap()), *b"001010123456789");
    assert_eq!(**open(Purpose::Imei, record.imei.as_ref().unwrap()), *b"490154203237518");
    assert_eq!(**open(Purpose::Password, &record.password), *issued.password.expose().as_bytes());
    assert_eq!(record.subscriber, bench.keys.handle_imsi(&"001010123456789".parse().unwrap()));
    assert_eq!((record.mac, record.policy_version), (Some(MAC), 4));
}

#[test]
fn a_device_gets_the_policy_of_its_card_else_of_its_group_else_of_all() {
    use crate::store::{
        SubscriberEntry, Subscribers as _,
        policy::{PolicyShelf as _, Scope},
    };

    let bench = bench(MacBinding::Permanent);
    let say = |scope, document: &str| {
        // What cannot work is looked for beyond this; these base terms have no network.
        let networks = r#""networks":[{"ssid":"x","priority":1}]"#;
        let document = format!("{{{networks},{document}}}");
        bench.store.put_policies(&[(scope, Some(document))], NOW).unwrap();
    };
    say(Scope::Default, r#""dwell-secs":6"#);
    say(Scope::Group("staff".to_owned()), r#""dwell-secs":7,"outer":"ttls","inner":"pap","lifetime":60"#);
    let plain = bench.issue(None);
    assert_eq!((plain.policy.dwell_secs, plain.policy.version, plain.expires_at), (6, 6, None));
    let imsi = bench.keys.handle_imsi(&"001010123456789".parse().unwrap());
    let entry = SubscriberEntry {
        imsi,
        imsi_sealed: crate::store::Sealed(vec![1]),
        msisdn: None,
        state: None,
        group: Some("staff".to_owned()),
    };
    bench.store.put_subscribers(&[entry], NOW).unwrap();
    let staff = bench.issue(None);
    assert_eq!((staff.policy.dwell_secs, staff.policy.version, staff.expires_at), (7, 7, Some(NOW + 60)));
    assert_eq!((staff.eap.outer, staff.eap.inner), (OuterMethod::Ttls, InnerMethod::Pap));
    say(Scope::Device(MAC), r#""mac":"issued""#);
    let device = bench.issue(seconds(30));
    assert_eq!((device.policy.dwell_secs, device.policy.version, device.expires_at), (7, 8, Some(NOW + 30)));
    let signed = device.signed_policy.as_ref().unwrap().open(&bench.keys.policy_keys()).unwrap();
    assert_eq!(signed.policy, device.policy);
    // The address that was made for it is the one that it is bound to.
    let MacMode::Issued(address) = device.mac_mode else { panic!("{:?}", device.mac_mode) };
    assert!(address.is_locally_administered() && address.0[0] & 1 == 0 && address != MAC);
    assert_eq!(bench.check(NOW, &device.username).err(), Some(Reject::WrongMac));
    assert!(bench.authority.check(NOW, &device.username, &at(Some(address))).is_ok());
    let record = bench.store.credential(&device.username).unwrap().unwrap();
    assert_eq!((record.mac, record.policy_version), (Some(address), 8));
}

#[test]
fn a_new_epoch_breaks_no_live_credential() {
    use crate::credential::{Rotation, create, rotate, token};

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.toml");
    let store = Arc::new(SqliteStore::create(&dir.path().join("db")).unwrap());
    let keys = Arc::new(create(&path, &mut system_random).unwrap());
    let authority = Authority::new(keys, store, terms(MacBinding::Permanent), NOW).unwrap();
    let issue = || authority.issue(NOW, &request(None), &mut system_random).unwrap();
    let epoch = |credential: &Credential| token::epoch(&credential.username);
    let works = |credential: &Credential| {
        let login = authority.check(NOW, &credential.username, &at(Some(MAC)));
        login.is_ok_and(|login| login.password == credential.password)
    };
    let old = issue();
    rotate(&path, Rotation::AddEpoch, &mut system_random).unwrap();
    assert!(authority.reload_keys(&path).unwrap());
    let announced = issue();
    rotate(&path, Rotation::NextEpoch, &mut system_random).unwrap();
    assert!(authority.reload_keys(&path).unwrap() && !authority.reload_keys(&path).unwrap());
    let new = issue();
    assert_eq!((epoch(&old), epoch(&announced), epoch(&new)), (Some(1), Some(1), Some(2)));
    assert!(works(&old) && works(&announced) && works(&new));
    // What is signed follows the key at once.
    let first = new.signed_policy.clone().unwrap();
    rotate(&path, Rotation::AddPolicyKey, &mut system_random).unwrap();
    authority.reload_keys(&path).unwrap();
    let both = issue().signed_policy.unwrap().open(&first.open(&[]).unwrap().keys).unwrap().keys;
    rotate(&path, Rotation::NextPolicyKey, &mut system_random).unwrap();
    authority.reload_keys(&path).unwrap();
    assert_eq!(issue().signed_policy.unwrap().open(&both[1..]).unwrap().keys, both[1..]);
    // Once the last credential of an epoch has ended its key goes; a file that is none changes nothing.
    rotate(&path, Rotation::Prune { keep: &[] }, &mut system_random).unwrap();
    authority.reload_keys(&path).unwrap();
    assert!(!works(&old) && works(&new));
    std::fs::write(&path, "").unwrap();
    assert!(authority.reload_keys(&path).is_err() && works(&new));
}

#[test]
fn a_superseded_credential_is_refused_and_its_session_goes_on() {
    let bench = bench(MacBinding::Permanent);
    let (old, new) = (bench.issue(None), bench.issue(None));
    let log_on = |credential: &Credential, session: &str| {
        let login = bench.check(NOW, &credential.username)?;
        bench.authority.consume(NOW, &login, session)?;
        bench.authority.settle(NOW).unwrap();
        bench.authority.refresh(NOW);
        Ok::<_, Reject>(login)
    };
    let kicked = |login: &Login| {
        let mut over = Vec::new();
        let mut sessions = [(7, login.username.as_str(), 0)].into_iter();
        bench.authority.verdicts(&mut sessions, &mut |session, _| over.push(session));
        !over.is_empty()
    };
    let session = log_on(&old, "a").unwrap();
    assert!(log_on(&old, "b").is_ok(), "the new one has not worked yet");
    let newer = log_on(&new, "c").unwrap();
    assert_eq!(bench.check(NOW, &old.username).err(), Some(Reject::Revoked));
    assert!(!kicked(&session) && !kicked(&newer), "it is the same device");
    bench.store.revoke_credentials(&crate::store::rotation::Which::Device(MAC), NOW).unwrap();
    bench.authority.refresh(NOW);
    assert!(kicked(&session) && kicked(&newer));
}

#[test]
fn no_record_no_credential() {
    let bench = bench(MacBinding::Permanent);
    rusqlite::Connection::open(bench.dir.path().join("db"))
        .unwrap()
        .execute("DROP TABLE credential", [])
        .unwrap();
    let issued = bench.authority.issue(NOW, &request(None), &mut system_random);
    assert!(matches!(issued, Err(IssueError::Store(_))));
}

#[test]
fn what_cannot_be_issued() {
    let bench = bench(MacBinding::Permanent);
    let issue = |now, request: &IssueRequest| bench.authority.issue(now, request, &mut system_random).err();
    let nobody = IssueRequest { imsi: None, imei: None, ..request(None) };
    assert!(matches!(issue(NOW, &nobody), Some(IssueError::NoIdentifier)));
    assert!(matches!(issue(1 << 32, &request(None)), Some(IssueError::Clock { .. })));
    let no_random = bench.authority.issue(NOW, &request(None), &mut |_| Err(RandomUnavailable));
    assert!(matches!(no_random, Err(IssueError::Random(_))));
    let equipment = IssueRequest { imsi: None, ..request(None) };
    assert!(issue(NOW, &equipment).is_none());
}

#[test]
fn a_nonce_that_comes_again_is_replaced_and_a_stuck_one_ends() {
    let bench = bench(MacBinding::Permanent);
    let mut draws = 0u8;
    let mut names = HashSet::new();
    // Each value comes twice: the second of each pair must be passed over.
    let mut twice = |buffer: &mut [u8]| {
        buffer.fill(draws / 2);
        draws += 1;
        Ok(())
    };
    for _ in 0..20 {
        names.insert(bench.authority.issue(NOW, &request(None), &mut twice).unwrap().username);
    }
    assert_eq!(names.len(), 20);
    let mut stuck = |buffer: &mut [u8]| {
        buffer.fill(0);
        Ok(())
    };
    let issued = bench.authority.issue(NOW, &request(None), &mut stuck);
    assert!(matches!(issued, Err(IssueError::Store(StoreError::Exists { .. }))));
}

#[test]
fn five_hundred_of_one_second_are_all_different() {
    let bench = bench(MacBinding::Permanent);
    let mut random = seeded(1);
    let mut names = HashSet::new();
    let mut passwords = HashSet::new();
    for _ in 0..500 {
        let issued = bench.authority.issue(NOW, &request(None), &mut random).unwrap();
        names.insert(issued.username);
        passwords.insert(issued.password.expose().to_owned());
    }
    assert_eq!((names.len(), passwords.len()), (500, 500));
}

#[test]
fn expiry_comes_with_its_second() {
    let bench = bench(MacBinding::Permanent);
    let issued = bench.issue(seconds(60));
    assert_eq!(issued.expires_at, Some(NOW + 60));
    assert!(bench.check(NOW, &issued.username).is_ok());
    assert!(bench.check(NOW + 59, &issued.username).is_ok());
    assert_eq!(bench.check(NOW + 60, &issued.username).unwrap_err(), Reject::Expired);
    assert_eq!(bench.check(u64::MAX, &issued.username).unwrap_err(), Reject::Expired);

    let device = bench.issue(Some(Lifetime::Device));
    assert!(bench.check(u64::MAX / 2, &device.username).is_ok());
    let record = bench.store.credential(&issued.username).unwrap().unwrap();
    assert_eq!(record.expires_at, issued.expires_at);
}

#[test]
fn the_card_is_checked() {
    let bench = bench(MacBinding::Permanent);
    let username = bench.issue(None).username;
    let check = |mac| bench.authority.check(NOW, &username, &at(mac)).map(|_| ());
    assert_eq!(check(Some(MAC)), Ok(()));
    assert_eq!(check(Some(Mac([0x02, 0, 0, 0, 0, 2]))), Err(Reject::WrongMac));
    assert_eq!(check(None), Err(Reject::MacMissing));
}

#[test]
fn an_unbound_credential_is_good_for_any_card() {
    let bench = bench(MacBinding::Unbound);
    let issued = bench.issue(None);
    assert_eq!(issued.mac_mode, MacMode::Unbound);
    assert_eq!(bench.store.credential(&issued.username).unwrap().unwrap().mac, None);
    for mac in [None, Some(MAC), Some(Mac([9; 6]))] {
        assert!(bench.authority.check(NOW, &issued.username, &at(mac)).is_ok());
    }
}

#[test]
fn names_that_are_not_ours() {
    let bench = bench(MacBinding::Permanent);
    let username = bench.issue(None).username;
    let (opaque, _) = username.split_once('@').unwrap();
    for (name, reject) in [
        (String::new(), Reject::UnknownUser),
        ("@".to_owned(), Reject::UnknownUser),
        (opaque.to_owned(), Reject::UnknownUser),
        (format!("{opaque}@other.example"), Reject::UnknownUser),
        (format!("{opaque}@operator.example."), Reject::UnknownUser),
        ("@operator.example".to_owned(), Reject::BadToken),
        ("anonymous@operator.example".to_owned(), Reject::BadToken),
        (format!("x@{username}"), Reject::BadToken),
        (format!("{}@operator.example", &opaque[1..]), Reject::BadToken),
    ] {
        assert_eq!(bench.check(NOW, &name).unwrap_err(), reject, "{name}");
    }
    assert!(bench.check(NOW, &username.to_ascii_uppercase()).is_ok());
    assert_eq!(bench.check(NOW, &username.to_ascii_uppercase()).unwrap().username, username);
}

#[test]
fn a_credential_of_another_realm_with_the_same_keys_is_refused() {
    let bench = bench(MacBinding::Permanent);
    let other = Terms { realm: "other.example".to_owned(), ..terms(MacBinding::Permanent) };
    let other = Authority::new(Arc::clone(&bench.keys), bench.store.clone(), other, NOW).unwrap();
    let username = other.issue(NOW, &request(None), &mut system_random).unwrap().username;
    let swapped = username.replace("@other.example", "@operator.example");
    assert_eq!(bench.check(NOW, &swapped).unwrap_err(), Reject::BadToken);
}

#[test]
fn a_revocation_by_another_process_counts_a_second_later_and_outlives_the_database() {
    let bench = bench(MacBinding::Permanent);
    let (first, second) = (bench.issue(None).username, bench.issue(None).username);
    let path = bench.dir.path().join("db");
    assert!(bench.check(NOW, &first).is_ok());
    SqliteStore::open(&path).unwrap().revoke_credential(&first, NOW).unwrap();
    assert!(bench.check(NOW, &first).is_ok(), "asked at most once a second");
    assert_eq!(bench.check(NOW + 1, &first.to_ascii_uppercase()).unwrap_err(), Reject::Revoked);

    rusqlite::Connection::open(&path).unwrap().execute("DROP TABLE generation", []).unwrap();
    assert!(bench.store.generation().is_err());
    assert_eq!(bench.check(NOW + 2, &first).unwrap_err(), Reject::Revoked);
    assert!(bench.check(NOW + 3, &second).is_ok());
}

#[test]
fn a_new_process_knows_what_was_revoked() {
    let bench = bench(MacBinding::Permanent);
    let username = bench.issue(None).username;
    bench.store.revoke_credential(&username, NOW).unwrap();
    let restarted =
        Authority::new(Arc::clone(&bench.keys), bench.store.clone(), terms(MacBinding::Permanent), NOW)
            .unwrap();
    assert_eq!(restarted.check(NOW, &username, &at(Some(MAC))).unwrap_err(), Reject::Revoked);
}

#[test]
fn one_login_uses_a_one_time_credential_up() {
    let bench = bench(MacBinding::Permanent);
    let login = bench.check(NOW, &bench.issue(Some(Lifetime::OneTime)).username).unwrap();
    assert!(login.one_time);
    assert_eq!(bench.authority.consume(NOW, &login, "a"), Ok(()));
    assert_eq!(bench.authority.consume(NOW, &login, "a"), Ok(()), "a roam under the same session");
    assert_eq!(bench.authority.consume(NOW, &login, "b"), Err(Reject::AlreadyUsed));

    rusqlite::Connection::open(bench.dir.path().join("db"))
        .unwrap()
        .execute("DROP TABLE credential_use", [])
        .unwrap();
    assert_eq!(bench.authority.consume(NOW, &login, "a"), Err(Reject::DatabaseUnavailable));
    let many = bench.check(NOW, &bench.issue(None).username).unwrap();
    assert_eq!(bench.authority.consume(NOW, &many, "b"), Ok(()), "others need no database");
}

/// The same octets in each run.
fn seeded(mut state: u64) -> impl FnMut(&mut [u8]) -> Result<(), RandomUnavailable> {
    move |buffer| {
        for octet in buffer {
            // xorshift64: enough to be different, nothing to be kept secret.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *octet = state.to_le_bytes()[3];
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_name_but_an_issued_one_logs_on(name in "\\PC{0,90}", opaque in "[a-z2-7]{63}") {
        let bench = bench(MacBinding::Unbound);
        prop_assert!(bench.check(NOW, &name).is_err());
        prop_assert_eq!(bench.check(NOW, &format!("{opaque}@operator.example")).unwrap_err(), Reject::BadToken);
    }

    #[test]
    fn one_character_changed_and_it_is_refused(at in 0usize..63, letter in "[a-z2-7]", seed in 1u64..) {
        let bench = bench(MacBinding::Unbound);
        let issued = bench.authority.issue(NOW, &request(None), &mut seeded(seed)).unwrap().username;
        let mut tampered = issued.clone();
        tampered.replace_range(at..=at, &letter);
        prop_assume!(tampered != issued);
        prop_assert_eq!(bench.check(NOW, &tampered).unwrap_err(), Reject::BadToken);
    }
}
