//! The contract of [`Store`], on real files, with a second handle where another process would be.

use std::{
    io::{BufRead as _, BufReader},
    net::IpAddr,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
    sync::Barrier,
};

use provisioning::identity::Mac;

use super::*;
use crate::{
    accounting::record::sample,
    store::{
        ClientKind, MessageAuthenticator, Sealed, SubscriberState,
        rotation::{Outcome, Progress, Why},
    },
};

mod sessions;

fn new() -> (tempfile::TempDir, SqliteStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::create(&dir.path().join("db")).unwrap();
    (dir, store)
}

/// As another process would open it.
fn again(dir: &tempfile::TempDir) -> SqliteStore {
    SqliteStore::open(&dir.path().join("db")).unwrap()
}

fn client(name: &str) -> Client {
    Client {
        name: name.to_owned(),
        kind: ClientKind::Nas,
        network: "10.9.0.0".parse().unwrap(),
        prefix: 24,
        secret: Sealed(vec![1, 2, 3]),
        message_authenticator: MessageAuthenticator::Require,
        coa_port: None,
        max_rate: None,
    }
}

fn credential(username: &str) -> CredentialRecord {
    CredentialRecord {
        username: username.to_owned(),
        password: Sealed(vec![4, 5]),
        subscriber: Handle([6; 32]),
        imsi: Some(Sealed(vec![7])),
        imei: None,
        mac: Some(Mac([2, 0, 0, 0, 0, 1])),
        source: Some("2001:db8::1".parse().unwrap()),
        issued_at: 1_000,
        expires_at: Some(2_000),
        one_time: true,
        revoked_at: None,
        policy_version: 3,
        device: None,
        progress: Default::default(),
    }
}

fn session(id: &str, address: &str, seen_at: u64) -> GatewaySession {
    GatewaySession {
        gateway: "pgw".to_owned(),
        session_id: id.to_owned(),
        address: address.parse().unwrap(),
        prefix: if address.contains(':') { 64 } else { 32 },
        subscriber: Handle([1; 32]),
        equipment: Some(Handle([2; 32])),
        seen_at,
    }
}

fn report(number: u32) -> AccountingRecord {
    let mut dedup = [0; 32];
    dedup[..4].copy_from_slice(&number.to_be_bytes());
    AccountingRecord {
        client: "ap".to_owned(),
        dedup,
        status: 3,
        session_id: format!("s{number}"),
        input_octets: u64::MAX,
        output_octets: 1,
        session_secs: 60,
        terminate_cause: Some(1),
        event_at: 1_000,
        received_at: 1_001,
        ..sample::report()
    }
}

fn reports(store: &SqliteStore) -> u32 {
    store.read().query_row("SELECT count(*) FROM accounting", [], |row| row.get(0)).unwrap()
}

#[test]
fn what_is_acknowledged_is_synced() {
    let (dir, store) = new();
    let writer = store.writer.lock().unwrap();
    let pragma = |name: &str| -> String {
        writer
            .query_row(&format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}"), [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!((pragma("journal_mode").as_str(), pragma("synchronous").as_str()), ("wal", "2"));
    for file in ["db", "db-wal"] {
        let mode = std::fs::metadata(dir.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn an_absent_or_foreign_file_is_an_error_and_an_existing_one_is_kept() {
    let (dir, _store) = new();
    let path = dir.path().join("db");
    assert!(matches!(SqliteStore::create(&path), Err(OpenError::Io(_))));
    assert!(matches!(SqliteStore::open(&dir.path().join("other")), Err(OpenError::Io(_))));
    std::fs::write(dir.path().join("text"), "this is not a database, but it is long enough".repeat(99))
        .unwrap();
    assert!(matches!(SqliteStore::open(&dir.path().join("text")), Err(OpenError::Sqlite(_))));
}

#[test]
fn clients_are_added_changed_and_read_back() {
    let (dir, store) = new();
    let other = again(&dir);
    assert_eq!(store.put_client(&client("a")).unwrap(), Change::Created);
    assert_eq!(other.put_client(&client("a")).unwrap(), Change::Identity);
    let gateway = Client {
        kind: ClientKind::Gateway,
        network: "2001:db8::".parse().unwrap(),
        prefix: 32,
        message_authenticator: MessageAuthenticator::Audit,
        ..client("a")
    };
    assert_eq!(other.put_client(&gateway).unwrap(), Change::Created, "another kind, another client");
    let changed = Client { secret: Sealed(vec![9]), ..client("a") };
    assert_eq!(store.put_client(&changed).unwrap(), Change::Updated);
    assert_eq!(other.clients().unwrap(), [gateway, changed]);
}

#[test]
fn generation_moves_with_clients_and_revocations_of_any_process_and_with_nothing_else() {
    let (dir, store) = new();
    let other = again(&dir);
    let moved = |what: &str, expected: bool, act: &dyn Fn()| {
        let before = store.generation().unwrap();
        act();
        assert_eq!(store.generation().unwrap() != before, expected, "{what}");
        assert_eq!(store.generation().unwrap(), other.generation().unwrap());
    };
    moved("own client", true, &|| assert_eq!(store.put_client(&client("a")).unwrap(), Change::Created));
    moved("same client", false, &|| assert_eq!(store.put_client(&client("a")).unwrap(), Change::Identity));
    moved("other's client", true, &|| assert_eq!(other.put_client(&client("b")).unwrap(), Change::Created));
    moved("credential", false, &|| other.insert_credential(&credential("u@x")).unwrap());
    moved("accounting", false, &|| other.append_accounting(&[report(1)]).unwrap());
    moved("use", false, &|| assert!(other.use_once("u@x", "s", 1).unwrap()));
    moved("revocation", true, &|| assert_eq!(other.revoke_credential("u@x", 1).unwrap(), Change::Updated));
    moved("again", false, &|| assert_eq!(other.revoke_credential("u@x", 2).unwrap(), Change::Identity));
}

fn account(name: &str) -> AccountRecord {
    AccountRecord {
        name: name.to_owned(),
        password: Sealed(vec![8]),
        mac: Some(Mac([2; 6])),
        methods: "pap,peap-gtc".to_owned(),
        ssids: vec!["a b".to_owned(), "c".to_owned()],
        nas: Vec::new(),
        vlan: Some(4094),
        max_sessions: Some(u32::MAX),
        disabled: false,
        created_at: 5,
        changed_at: 5,
    }
}

#[test]
fn accounts_are_added_changed_removed_and_move_the_generation() {
    let (dir, store) = new();
    let other = again(&dir);
    let moved = |expected: Change, act: &dyn Fn() -> Change| {
        let before = store.generation().unwrap();
        assert_eq!(act(), expected);
        let moves = matches!(expected, Change::Created | Change::Updated);
        assert_eq!(store.generation().unwrap() != before, moves, "{expected:?}");
    };
    moved(Change::Created, &|| store.put_account(&account("ö \\ x")).unwrap());
    let later = AccountRecord { created_at: 9, changed_at: 9, ..account("ö \\ x") };
    moved(Change::Identity, &|| other.put_account(&later).unwrap());
    assert_eq!(store.account("ö \\ x").unwrap(), Some(account("ö \\ x")));
    let changed = AccountRecord { mac: None, vlan: None, max_sessions: None, disabled: true, ..later };
    moved(Change::Updated, &|| other.put_account(&changed).unwrap());
    assert_eq!(store.account("ö \\ x").unwrap(), Some(AccountRecord { created_at: 5, ..changed.clone() }));
    moved(Change::Created, &|| other.put_account(&account("A")).unwrap());
    moved(Change::Created, &|| other.put_account(&account("a")).unwrap());
    let names: Vec<_> = store.accounts().unwrap().into_iter().map(|account| account.name).collect();
    assert_eq!(names, ["A", "a", "ö \\ x"]);
    moved(Change::Updated, &|| other.remove_account("a").unwrap());
    moved(Change::Missing, &|| other.remove_account("a").unwrap());
    assert_eq!(store.account("a").unwrap(), None);
    store.writer.lock().unwrap().execute("UPDATE account SET mac = 'x' WHERE name = 'A'", []).unwrap();
    assert!(matches!(store.accounts(), Err(StoreError::Corrupt { what: "account.mac" })));
    assert_eq!(store.put_account(&account("A")).unwrap(), Change::Updated, "writing it again mends it");
}

#[test]
fn a_batch_of_credentials_says_what_was_there() {
    let (dir, store) = new();
    store.insert_credential(&credential("b@x")).unwrap();
    let batch = ["c@x", "B@x", "a@x", "c@x"].map(credential);
    assert_eq!(again(&dir).insert_credentials(&batch).unwrap(), [1, 3]);
    assert!(store.credential("a@x").unwrap().is_some() && store.credential("c@x").unwrap().is_some());
    assert_eq!(store.insert_credentials(&[]).unwrap(), Vec::<usize>::new());
}

#[test]
fn each_of_many_credentials_has_an_answer_of_its_own() {
    let (dir, store) = new();
    store.put_subscribers(&[subscriber(1, None, Some(SubscriberState::Suspended))], 5).unwrap();
    let of = |last: u8, username: &str| CredentialRecord {
        subscriber: Handle([last; 32]),
        ..credential(username)
    };
    let records = [of(2, "a@x"), of(1, "b@x"), of(2, "A@x"), of(3, "c@x")];
    let answers = store.insert_each(&records, Entitlement::Any).unwrap();
    let suspended = StoreError::NotEntitled { why: "subscriber-suspended" };
    assert_eq!(answers, [Ok(()), Err(suspended), Err(StoreError::Exists { what: "credential" }), Ok(())]);
    let there = |username: &str| again(&dir).credential(username).unwrap().is_some();
    assert_eq!(["a@x", "b@x", "c@x"].map(there), [true, false, true]);
    // What SQLite cannot do, it does for none.
    let broken = CredentialRecord { issued_at: u64::MAX, ..of(2, "e@x") };
    assert!(store.insert_each(&[of(2, "d@x"), broken], Entitlement::Any).is_err());
    assert!(!there("d@x"));
}

#[test]
fn a_client_is_removed() {
    let (_dir, store) = new();
    store.put_client(&client("a")).unwrap();
    let before = store.generation().unwrap();
    assert_eq!(store.remove_client(ClientKind::Gateway, "a").unwrap(), Change::Missing);
    assert_eq!(store.remove_client(ClientKind::Nas, "a").unwrap(), Change::Updated);
    assert_eq!(store.remove_client(ClientKind::Nas, "a").unwrap(), Change::Missing);
    assert!(store.clients().unwrap().is_empty() && store.generation().unwrap() != before);
}

#[test]
fn credentials_are_found_in_any_case_and_are_unique() {
    let (dir, store) = new();
    store.insert_credential(&credential("ab@x")).unwrap();
    assert!(matches!(again(&dir).insert_credential(&credential("AB@X")), Err(StoreError::Exists { .. })));
    assert_eq!(again(&dir).credential("Ab@x").unwrap(), Some(credential("ab@x")));
    assert_eq!(store.credential("ac@x").unwrap(), None);
    let bare = CredentialRecord {
        username: "bare@x".to_owned(),
        imsi: None,
        imei: Some(Sealed(Vec::new())),
        mac: None,
        source: None,
        expires_at: None,
        one_time: false,
        ..credential("")
    };
    store.insert_credential(&bare).unwrap();
    assert_eq!(store.credential("bare@x").unwrap(), Some(bare));
}

#[test]
fn the_revocation_list_ends_with_the_credential() {
    let (_dir, store) = new();
    store.insert_credential(&credential("ends@x")).unwrap();
    store.insert_credential(&CredentialRecord { expires_at: None, ..credential("device@x") }).unwrap();
    store.insert_credential(&credential("good@x")).unwrap();
    assert_eq!(store.revoke_credential("ENDS@x", 1_500).unwrap(), Change::Updated);
    assert_eq!(store.revoke_credential("ends@x", 1_600).unwrap(), Change::Identity);
    assert_eq!(store.revoke_credential("device@x", 1_500).unwrap(), Change::Updated);
    assert_eq!(store.revoke_credential("nobody@x", 1_500).unwrap(), Change::Missing);
    assert_eq!(store.credential("ends@x").unwrap().unwrap().revoked_at, Some(1_500), "the first time stands");
    let names = |after, now| {
        let found = store.revocations(after, now).unwrap().into_iter();
        found.map(|revocation| (revocation.seq, revocation.username)).collect::<Vec<_>>()
    };
    assert_eq!(names(0, 1_999), [(1, "ends@x".to_owned()), (2, "device@x".to_owned())]);
    assert_eq!(names(1, 1_999), [(2, "device@x".to_owned())]);
    assert_eq!(names(0, 2_000), [(2, "device@x".to_owned())]);
    assert_eq!(store.prune_revocations(1_999, 9).unwrap(), 0);
    assert_eq!(store.prune_revocations(2_000, 9).unwrap(), 1);
    assert_eq!(names(0, 0), [(2, "device@x".to_owned())]);
}

#[test]
fn what_expired_long_ago_is_forgotten_in_bounded_steps() {
    let (dir, store) = new();
    for number in 0..7 {
        let expires_at = match number {
            2 => None,
            5 => Some(3_000),
            _ => Some(2_000),
        };
        let record = CredentialRecord { expires_at, one_time: true, ..credential(&format!("u{number}@x")) };
        store.insert_credential(&record).unwrap();
        assert!(store.use_once(&record.username, "s", 1_500).unwrap());
    }
    let step = |after: &str, before| store.prune_credentials(after, before, 3).unwrap();
    let pruned = |gone, last: Option<&str>| Pruned { gone, last: last.map(str::to_owned) };
    assert_eq!(step("", 2_000), pruned(0, Some("u2@x")), "not before its end");
    let other = again(&dir);
    assert_eq!(step("", 2_001), pruned(2, Some("u2@x")));
    assert_eq!(step("u2@x", 2_001), pruned(2, Some("u5@x")));
    assert_eq!(step("u5@x", 2_001), pruned(1, None));
    assert_eq!(step("", 2_001), pruned(0, None));
    let there = |name: &str| other.credential(name).unwrap().is_some();
    assert_eq!((0..7).filter(|n| there(&format!("u{n}@x"))).collect::<Vec<_>>(), [2, 5]);
    // Who used up what is left stays known; what is gone leaves nothing.
    assert!(!store.use_once("u2@x", "another", 4_000).unwrap());
    let uses: i64 =
        store.read().query_row("SELECT count(*) FROM credential_use", [], |row| row.get(0)).unwrap();
    assert_eq!(uses, 2);
}

/// Given to the card `card` at `at`.
fn given(username: &str, card: u8, at: u64, one_time: bool) -> CredentialRecord {
    CredentialRecord {
        device: Some(Mac([2, 0, 0, 0, 0, card])),
        issued_at: at,
        expires_at: None,
        one_time,
        progress: Progress { serial: 1, ..Progress::default() },
        ..credential(username)
    }
}

#[test]
fn what_is_made_by_hand_takes_no_part_in_rotation() {
    let (_dir, store) = new();
    let by_hand = |name| CredentialRecord { progress: Progress::default(), ..given(name, 1, 15, false) };
    store.insert_credential(&given("a@x", 1, 10, false)).unwrap();
    store.insert_credential(&by_hand("hand@x")).unwrap();
    assert_eq!(store.confirm_credentials(&["hand@x".to_owned()], 20).unwrap(), 0);
    store.insert_credential(&given("b@x", 1, 30, false)).unwrap();
    assert_eq!(store.confirm_credentials(&["b@x".to_owned()], 40).unwrap(), 1);
    let alive = |name: &str| store.credential(name).unwrap().unwrap().revoked_at.is_none();
    assert_eq!((alive("a@x"), alive("hand@x"), alive("b@x")), (false, true, true));
}

#[test]
fn an_old_credential_dies_when_the_new_one_has_worked_and_not_before() {
    let (dir, store) = new();
    let why = |name: &str| store.credential(name).unwrap().unwrap().progress.revoked_why;
    for (name, card, at) in [("a@x", 1, 10), ("b@x", 1, 20), ("other@x", 2, 20), ("c@x", 1, 20)] {
        store.insert_credential(&given(name, card, at, false)).unwrap();
    }
    let (generation, other) = (store.generation().unwrap(), again(&dir));
    let a = store.credential("a@x").unwrap().unwrap();
    assert_eq!((a.progress.serial, a.progress.superseded_at, a.revoked_at), (1, Some(20), None));
    assert_eq!(store.credential("c@x").unwrap().unwrap().progress.serial, 3);
    // The first login of the second one: the first dies, the third is newer.
    assert_eq!(other.confirm_credentials(&["b@x".to_owned(), "nobody@x".to_owned()], 30).unwrap(), 1);
    assert_eq!(
        (why("a@x"), why("b@x"), why("c@x"), why("other@x")),
        (Some(Why::Superseded), None, None, None)
    );
    assert_eq!(store.credential("b@x").unwrap().unwrap().progress.worked_at, Some(30));
    assert_eq!(store.confirm_credentials(&["b@x".to_owned()], 40).unwrap(), 0, "only the first counts");
    assert_eq!(store.confirm_credentials(&["c@x".to_owned()], 50).unwrap(), 1);
    assert_eq!(store.generation().unwrap(), generation, "sessions go on");
    let found = store.revocations(0, 50).unwrap();
    assert!(found.iter().all(|one| one.why == Why::Superseded));
    assert_eq!(found.iter().map(|one| one.username.as_str()).collect::<Vec<_>>(), ["a@x", "b@x"]);
    // What an operator takes back ends sessions, also those by a superseded one.
    let last = found.last().unwrap().seq;
    assert_eq!(store.revoke_credentials(&Which::Device(Mac([2, 0, 0, 0, 0, 1])), 60).unwrap(), 3);
    assert_ne!(store.generation().unwrap(), generation);
    let found = store.revocations(last, 60).unwrap();
    assert_eq!(found.iter().map(|one| one.why).collect::<Vec<_>>(), [Why::Operator; 3]);
    assert_eq!(store.credential("a@x").unwrap().unwrap().revoked_at, Some(30), "the first time stands");
    assert_eq!(store.revoke_credentials(&Which::All, 60).unwrap(), 1);
}

#[test]
fn one_time_credentials_are_held_side_by_side() {
    let (_dir, store) = new();
    let why = |name: &str| store.credential(name).unwrap().unwrap().progress.revoked_why;
    for (name, one_time) in [("old@x", false), ("r1@x", true), ("r2@x", true), ("r3@x", true)] {
        store.insert_credential(&given(name, 1, 10, one_time)).unwrap();
    }
    assert_eq!(store.credential("r1@x").unwrap().unwrap().progress.superseded_at, None);
    assert_eq!(store.confirm_credentials(&["r2@x".to_owned()], 20).unwrap(), 1, "the one of another kind");
    assert_eq!((why("old@x"), why("r1@x"), why("r3@x")), (Some(Why::Superseded), None, None));
    store.insert_credential(&given("new@x", 1, 30, false)).unwrap();
    assert_eq!(store.confirm_credentials(&["new@x".to_owned()], 40).unwrap(), 3);
}

#[test]
fn what_a_device_tells_is_kept_once() {
    let (_dir, store) = new();
    for (name, at) in [("a@x", 10), ("b@x", 20)] {
        store.insert_credential(&given(name, 1, at, false)).unwrap();
    }
    let tell = |username: &str, outcome, now| {
        store.tell(&Told { username: username.to_owned(), outcome, runs_policy: Some(7) }, now).unwrap()
    };
    assert_eq!(tell("B@x", Outcome::Installed, 30), Change::Updated);
    assert_eq!(tell("b@x", Outcome::Installed, 31), Change::Identity);
    assert_eq!(tell("b@x", Outcome::Failed("wrong-password"), 32), Change::Updated);
    assert_eq!(tell("b@x", Outcome::Worked, 33), Change::Updated);
    assert_eq!(tell("b@x", Outcome::Worked, 34), Change::Identity);
    assert_eq!(tell("nobody@x", Outcome::Worked, 34), Change::Missing);
    let progress = store.credential("b@x").unwrap().unwrap().progress;
    let expected = Progress {
        serial: 2,
        superseded_at: None,
        revoked_why: None,
        installed_at: Some(30),
        worked_at: Some(33),
        failed_at: Some(32),
        failure: Some("wrong-password".to_owned()),
        runs_policy: Some(7),
    };
    assert_eq!(progress, expected);
    assert_eq!(store.credential("a@x").unwrap().unwrap().revoked_at, Some(33));
    let names: Vec<_> =
        store.credentials(&Which::All, 9).unwrap().into_iter().map(|record| record.username).collect();
    assert_eq!(names, ["b@x", "a@x"]);
}

#[test]
fn one_of_many_concurrent_sessions_uses_a_credential_up() {
    let (dir, _first) = new();
    let start = Barrier::new(8);
    let won: Vec<bool> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|number| {
                let (dir, start) = (&dir, &start);
                scope.spawn(move || {
                    let store = again(dir);
                    start.wait();
                    let session = format!("session {number}");
                    let won = store.use_once("u@x", &session, 1).unwrap();
                    assert_eq!(store.use_once("U@x", &session, 2).unwrap(), won, "the same session again");
                    won
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
}

#[test]
fn many_may_open_a_new_file_at_once() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("db"), "").unwrap();
    let start = Barrier::new(8);
    thread::scope(|scope| {
        for number in 0..8 {
            let (dir, start) = (&dir, &start);
            scope.spawn(move || {
                start.wait();
                let store = again(dir);
                store.append_accounting(&[report(number)]).unwrap();
            });
        }
    });
    assert_eq!(reports(&again(&dir)), 8);
}

#[test]
fn an_address_belongs_to_the_latest_session() {
    let (dir, store) = new();
    let four = session("one", "10.64.0.2", 100);
    let six = session("one", "2001:db8:1::", 100);
    store.put_gateway_session(&four).unwrap();
    store.put_gateway_session(&six).unwrap();
    store.put_gateway_session(&session("one", "10.64.0.2", 90)).unwrap();
    assert_eq!(
        again(&dir).gateway_sessions().unwrap(),
        [four, six.clone()],
        "an overtaken report changes nothing"
    );

    let two = session("two", "10.64.0.2", 200);
    store.put_gateway_session(&two).unwrap();
    assert_eq!(store.gateway_sessions().unwrap(), [six, two.clone()], "the Stop of the first was lost");
    assert_eq!(store.end_gateway_session("pgw", "one").unwrap(), Change::Updated);
    assert_eq!(store.end_gateway_session("pgw", "one").unwrap(), Change::Missing);
    assert_eq!(store.end_gateway_session("other", "two").unwrap(), Change::Missing);
    assert_eq!(store.gateway_sessions().unwrap(), [two]);

    store.clear_gateway("other").unwrap();
    assert_eq!(store.gateway_sessions().unwrap().len(), 1);
    store.clear_gateway("pgw").unwrap();
    assert!(store.gateway_sessions().unwrap().is_empty());
}

#[test]
fn a_repeated_report_is_one_row() {
    let (_dir, store) = new();
    store.append_accounting(&[report(1), report(2), report(1)]).unwrap();
    store.append_accounting(&[report(2), report(3)]).unwrap();
    store.append_accounting(&[]).unwrap();
    assert_eq!(reports(&store), 3);
}

#[test]
fn a_row_that_does_not_fit_is_named() {
    let (_dir, store) = new();
    store.put_client(&client("a")).unwrap();
    store.writer.lock().unwrap().execute("UPDATE client SET network = 'nowhere'", []).unwrap();
    assert!(matches!(store.clients(), Err(StoreError::Corrupt { what: "client.network" })));
    assert_eq!(store.put_client(&client("a")).unwrap(), Change::Updated, "writing it again mends it");
    assert_eq!(store.clients().unwrap(), [client("a")]);
    let source: IpAddr = "10.0.0.1".parse().unwrap();
    assert!(
        store
            .insert_credential(&CredentialRecord {
                issued_at: u64::MAX,
                source: Some(source),
                ..credential("u@x")
            })
            .is_err()
    );
}

const CRASHING: &str = "PORTAL_AAA_TEST_CRASHING_WRITER";

/// The other half of the next test: writes and says so, until it is killed. By itself it does nothing.
#[test]
fn crashing_writer() {
    let Ok(path) = std::env::var(CRASHING) else { return };
    let store = SqliteStore::open(Path::new(&path)).unwrap();
    for number in 0.. {
        store.append_accounting(&[report(number)]).unwrap();
        println!("\nwritten {number}");
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill_in_the_middle_of_writing() {
    let (dir, store) = new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "store::sqlite::tests::crashing_writer"])
        .env(CRASHING, dir.path().join("db"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        acknowledged += u32::from(line.unwrap().starts_with("written "));
        if acknowledged == 40 {
            child.kill().unwrap();
            break;
        }
    }
    child.wait().unwrap();
    assert_eq!(acknowledged, 40);
    assert!(reports(&store) >= 40);
    store.verify().unwrap();
    store.append_accounting(&[report(u32::MAX)]).unwrap();
}

fn subscriber(imsi: u8, msisdn: Option<u8>, state: Option<SubscriberState>) -> SubscriberEntry {
    SubscriberEntry {
        imsi: Handle([imsi; 32]),
        imsi_sealed: Sealed(vec![imsi]),
        msisdn: msisdn.map(|msisdn| (Handle([msisdn; 32]), Sealed(vec![msisdn]))),
        state,
        group: None,
    }
}

fn of(subscriber: u8, username: &str) -> CredentialRecord {
    CredentialRecord { subscriber: Handle([subscriber; 32]), expires_at: None, ..credential(username) }
}

#[test]
fn subscribers_are_taken_in_all_or_none_and_what_is_not_said_stays() {
    let (dir, store) = new();
    let put = |entries: &[SubscriberEntry], now| store.put_subscribers(entries, now);
    let both = [subscriber(1, Some(11), None), subscriber(2, Some(12), Some(SubscriberState::Deny))];
    assert_eq!(put(&both, 5).unwrap(), Listing { created: 2, ..Listing::default() });
    assert_eq!(put(&both, 6).unwrap(), Listing { unchanged: 2, ..Listing::default() });
    // Two numbers exchanged, the state of the second not said.
    let exchanged = [subscriber(1, Some(12), None), subscriber(2, Some(11), None)];
    assert_eq!(put(&exchanged, 7).unwrap(), Listing { updated: 2, ..Listing::default() });
    let second = again(&dir).subscriber_of(Handle([11; 32])).unwrap().unwrap();
    assert_eq!((second.imsi, second.state), (Handle([2; 32]), SubscriberState::Deny));
    assert_eq!((second.created_at, second.changed_at), (5, 7));
    // A number of somebody who is not among them: nothing of it holds.
    let taken = put(&[subscriber(3, None, None), subscriber(4, Some(11), None)], 8);
    assert!(matches!(taken, Err(StoreError::Taken { position: 1 })), "{taken:?}");
    assert_eq!(store.subscriber(Handle([3; 32])).unwrap(), None);
    let mut count = 0;
    store.subscribers(&mut |_| count += 1).unwrap();
    assert_eq!(count, 2);
}

#[test]
fn who_is_barred_loses_all_that_he_has_and_gets_nothing_new() {
    let (_dir, store) = new();
    for (who, username) in [(1, "a@x"), (1, "b@x"), (2, "c@x")] {
        store.insert_credential(&of(who, username)).unwrap();
    }
    let suspended = [subscriber(1, None, Some(SubscriberState::Suspended))];
    assert_eq!(store.put_subscribers(&suspended, 9).unwrap().revoked, 2);
    let mut revoked: Vec<_> = store.revocations(0, 9).unwrap().into_iter().map(|one| one.username).collect();
    revoked.sort();
    assert_eq!(revoked, ["a@x", "b@x"]);
    let why = |done: Result<(), StoreError>| match done {
        Err(StoreError::NotEntitled { why }) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(why(store.insert_credential(&of(1, "d@x"))), "subscriber-suspended");
    assert!(store.insert_credentials(&[of(2, "e@x"), of(1, "f@x")]).is_err());
    assert_eq!(store.credential("e@x").unwrap(), None, "the batch is one transaction");
    assert_eq!(why(store.insert_entitled(&of(2, "g@x"), Entitlement::Listed)), "subscriber-unlisted");
    store.put_subscribers(&[subscriber(1, None, Some(SubscriberState::Allow))], 10).unwrap();
    store.insert_entitled(&of(1, "h@x"), Entitlement::Listed).unwrap();
    assert_eq!(store.remove_subscriber(Handle([1; 32]), true, 11).unwrap(), (Change::Updated, 1));
    assert_eq!(store.remove_subscriber(Handle([1; 32]), true, 11).unwrap(), (Change::Missing, 0));
    assert_eq!(store.revocations(0, 11).unwrap().len(), 3);
}
