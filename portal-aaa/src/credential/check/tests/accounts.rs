//! Accounts made by hand, restrictions, and what becomes of sessions; on a real database.

use provisioning::secret::Password;

use super::*;
use crate::{
    aaa::method::{Method, Methods},
    credential::{Access, Policies, Rules, account::NewAccount},
    store::{AccountRecord, Change, Sealed, SubscriberEntry, SubscriberState, Subscribers as _},
};

fn new(name: &str, password: &str) -> NewAccount {
    NewAccount {
        name: name.to_owned(),
        password: Password::new(password.to_owned()),
        mac: None,
        methods: Methods::ALL,
        ssids: Vec::new(),
        nas: Vec::new(),
        vlan: None,
        max_sessions: None,
    }
}

impl Bench {
    fn put(&self, account: &NewAccount) -> Change {
        let record = account.record(&self.keys, "operator.example", NOW).unwrap();
        let change = self.store.put_account(&record).unwrap();
        self.authority.refresh(NOW);
        change
    }

    fn restart(&self, rules: Rules) -> Authority {
        let terms = terms(MacBinding::Permanent);
        Authority::new(Arc::clone(&self.keys), self.store.clone(), terms, NOW).unwrap().with_rules(rules)
    }

    /// Why a session of this name and stamp must end.
    fn verdict(&self, username: &str, stamp: u64) -> Option<Reject> {
        let mut found = None;
        self.authority.verdicts(&mut std::iter::once((0, username, stamp)), &mut |_, why| found = Some(why));
        found
    }
}

#[test]
fn an_account_logs_on_by_its_exact_name_and_outlives_the_database() {
    let bench = bench(MacBinding::Permanent);
    assert!(!bench.authority.is_account("probe 1"));
    assert_eq!(bench.put(&new("probe 1", "pass wörd")), Change::Created);
    let login = bench.authority.check(NOW, "probe 1", &at(None)).unwrap();
    assert!(login.password == Password::new("pass wörd".to_owned()));
    assert_eq!((login.username.as_str(), login.expires_at, login.one_time), ("probe 1", None, false));
    assert!(bench.authority.is_account("probe 1"));
    for other in ["Probe 1", "probe 1 ", "probe", "probe 1@operator.example"] {
        assert!(bench.authority.check(NOW, other, &at(None)).is_err(), "{other}");
    }
    rusqlite::Connection::open(bench.dir.path().join("db"))
        .unwrap()
        .execute_batch("DROP TABLE account; DROP TABLE generation")
        .unwrap();
    bench.authority.refresh(NOW + 5);
    assert!(bench.authority.check(NOW + 5, "probe 1", &at(None)).is_ok());
}

#[test]
fn a_domain_before_the_name_is_taken_as_part_of_it_first() {
    let bench = bench(MacBinding::Permanent);
    bench.put(&new("jo", "plain"));
    bench.put(&new("CORP\\jo", "corp"));
    let password = |name: &str| {
        let login = bench.authority.check(NOW, name, &at(None)).unwrap();
        (login.username.clone(), login.password.expose().to_owned())
    };
    assert_eq!(password("CORP\\jo"), ("CORP\\jo".to_owned(), "corp".to_owned()));
    assert_eq!(password("OTHER\\jo"), ("jo".to_owned(), "plain".to_owned()));
    assert_eq!(password("jo").1, "plain");
    assert!(bench.authority.is_account("X\\jo") && !bench.authority.is_account("jo\\x"));
}

#[test]
fn restrictions_of_an_account() {
    let bench = bench(MacBinding::Permanent);
    let methods: Methods = [Method::Pap].into_iter().collect();
    bench.put(&NewAccount {
        mac: Some(MAC),
        methods,
        ssids: vec!["operator-wifi".to_owned()],
        nas: vec!["ap-1".to_owned()],
        vlan: Some(7),
        ..new("legacy", "p")
    });
    let login = bench.authority.check(NOW, "legacy", &at(Some(MAC))).unwrap();
    assert_eq!((login.methods, login.policy.vlan), (methods, Some(7)));
    let refused = |asked: &Asked<'_>| bench.authority.check(NOW, "legacy", asked).unwrap_err();
    assert_eq!(refused(&at(None)), Reject::MacMissing);
    assert_eq!(refused(&at(Some(Mac([9; 6])))), Reject::WrongMac);
    assert_eq!(refused(&Asked { ssid: Some("guest"), ..at(Some(MAC)) }), Reject::WrongSsid);
    assert_eq!(refused(&Asked { client: "ap-2", ..at(Some(MAC)) }), Reject::WrongNas);
}

#[test]
fn rules_of_the_configuration_hold_for_issued_credentials() {
    let bench = bench(MacBinding::Permanent);
    let username = bench.issue(None).username;
    let policy =
        SessionPolicy { vlan: Some(3), interim_interval_secs: Some(600), ..SessionPolicy::default() };
    let restricted = bench.restart(Rules {
        access: Access { ssids: vec!["operator-wifi".to_owned()], nas: vec!["ap-1".to_owned()] },
        policies: Policies::new((policy.clone(), None), []),
        max_sessions: 2,
    });
    let check = |asked: &Asked<'_>| restricted.check(NOW, &username, asked);
    let (one, two) = (check(&at(Some(MAC))).unwrap(), check(&at(Some(MAC))).unwrap());
    assert_eq!(*one.policy, policy);
    assert!(Arc::ptr_eq(&one.policy, &two.policy), "shared, not copied");
    assert_eq!(check(&Asked { ssid: None, ..at(Some(MAC)) }).unwrap_err(), Reject::WrongSsid);
    assert_eq!(check(&Asked { client: "ap-2", ..at(Some(MAC)) }).unwrap_err(), Reject::WrongNas);
    assert_eq!(restricted.max_sessions(&username), 2);
    bench.put(&NewAccount { max_sessions: Some(5), ..new("many", "p") });
    restricted.refresh(NOW);
    assert_eq!((restricted.max_sessions("many"), restricted.max_sessions("nobody")), (5, 2));
}

#[test]
fn sessions_of_a_changed_disabled_or_removed_account_must_end() {
    let bench = bench(MacBinding::Permanent);
    bench.put(&new("probe", "one"));
    let login = bench.authority.check(NOW, "probe", &at(None)).unwrap();
    let stamp = bench.authority.stamp(&login);
    assert_eq!(bench.authority.whose("probe").unwrap().stamp, stamp);
    assert_eq!(bench.verdict("probe", stamp), None);
    assert_eq!(bench.put(&new("probe", "one")), Change::Identity);
    assert_eq!(bench.put(&NewAccount { vlan: Some(9), ..new("probe", "one") }), Change::Updated);
    assert_eq!(bench.verdict("probe", stamp), None, "another VLAN is for the next session");

    let generation = bench.authority.generation();
    assert_eq!(bench.put(&new("probe", "two")), Change::Updated);
    assert_ne!(bench.authority.generation(), generation);
    assert_eq!(bench.verdict("probe", stamp), Some(Reject::Revoked));
    // A login that was checked before the change and proved after it.
    let late = bench.authority.stamp(&login);
    assert_eq!(bench.verdict("probe", late), Some(Reject::Revoked));

    bench.put(&new("probe", "one"));
    assert_eq!(bench.verdict("probe", stamp), None);
    let record = bench.store.account("probe").unwrap().unwrap();
    bench.store.put_account(&AccountRecord { disabled: true, ..record }).unwrap();
    bench.authority.refresh(NOW);
    assert_eq!(bench.verdict("probe", stamp), Some(Reject::Revoked));
    assert_eq!(bench.authority.standing(NOW, "probe"), Err(Reject::Revoked));
    assert_eq!(bench.check(NOW, "probe").unwrap_err(), Reject::Revoked);
    bench.store.remove_account("probe").unwrap();
    bench.authority.refresh(NOW);
    assert_eq!(bench.verdict("probe", stamp), Some(Reject::UnknownUser));
    assert_eq!(bench.authority.standing(NOW, "probe"), Err(Reject::UnknownUser));
}

#[test]
fn sessions_of_a_revoked_credential_must_end_and_polling_finds_it_at_once() {
    let bench = bench(MacBinding::Permanent);
    let (first, second) = (bench.issue(seconds(60)).username, bench.issue(None).username);
    bench.authority.refresh(NOW);
    assert_eq!(bench.verdict(&first, 0), None);
    SqliteStore::open(&bench.dir.path().join("db")).unwrap().revoke_credential(&first, NOW).unwrap();
    assert!(bench.check(NOW + 1, &first).is_ok(), "a login asks memory only");
    bench.authority.refresh(NOW);
    assert_eq!(bench.check(NOW, &first).unwrap_err(), Reject::Revoked);
    assert_eq!(bench.verdict(&first.to_ascii_uppercase(), 0), Some(Reject::Revoked));
    assert_eq!((bench.verdict(&second, 0), bench.verdict("", 0)), (None, None));
    let whose = bench.authority.whose(&first).unwrap();
    assert_eq!((whose.expires_at, whose.stamp), (Some(NOW + 60), 0));
    assert_eq!(bench.authority.whose("anonymous@operator.example"), None);
    let login = bench.check(NOW, &second).unwrap();
    assert_eq!((login.subscriber, bench.authority.stamp(&login)), (whose.subscriber, 0));
    let (one, other) = (login.subscriber, Subscriber([0; 6]));
    assert_eq!(bench.authority.chargeable_identity(one), bench.authority.chargeable_identity(one));
    assert_ne!(bench.authority.chargeable_identity(one), bench.authority.chargeable_identity(other));
}

/// By another process, as the command line does it.
#[test]
fn all_sessions_of_a_suspended_subscriber_must_end() {
    let bench = bench(MacBinding::Permanent);
    let (first, second) = (bench.issue(seconds(60)).username, bench.issue(None).username);
    let mut other = request(None);
    other.imsi = Some("001010000000042".parse().unwrap());
    let other = bench.authority.issue(NOW, &other, &mut system_random).unwrap().username;
    bench.authority.refresh(NOW);
    let imsi = bench.keys.handle_imsi(request(None).imsi.as_ref().unwrap());
    let entry = SubscriberEntry {
        imsi,
        imsi_sealed: Sealed(vec![1]),
        msisdn: None,
        state: Some(SubscriberState::Suspended),
        group: None,
    };
    let store = SqliteStore::open(&bench.dir.path().join("db")).unwrap();
    assert_eq!(store.put_subscribers(&[entry], NOW).unwrap().revoked, 2);
    bench.authority.refresh(NOW);
    for username in [&first, &second] {
        assert_eq!(bench.verdict(username, 0), Some(Reject::Revoked));
        assert_eq!(bench.check(NOW, username).unwrap_err(), Reject::Revoked);
    }
    assert_eq!(bench.verdict(&other, 0), None);
    assert!(bench.check(NOW, &other).is_ok());
}
