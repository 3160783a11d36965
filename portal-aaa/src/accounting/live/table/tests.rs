//! The rules, with a clock that is told.

use proptest::prelude::*;

use super::*;
use crate::accounting::record::sample::{AT, report};

const HOUR: u64 = 3600;

fn table() -> Table {
    Table::new(Limits { sessions: 1000, assume_gone_secs: 24 * HOUR, interim_secs: 600 })
}

fn mac(number: u8) -> Option<Mac> {
    Some(Mac([2, 0, 0, 0, 0, number]))
}

fn new(number: u8) -> Admission<'static> {
    Admission {
        class: [number; 16],
        username: "token@x",
        client: "ap-1",
        address: IpAddr::from([192, 0, 2, 1]),
        mac: mac(number),
        calling_station: Some("02-00-00-00-00-01"),
        session_id: None,
        multi_session_id: None,
        nas_identifier: Some("ap"),
        nas_address: None,
        subscriber: Subscriber([1; 6]),
        stamp: 0,
        expires_at: None,
        ends_at: None,
        interim_secs: 600,
        most: 2,
    }
}

fn at(status: u32, number: u8, id: &str, at: u64) -> AccountingRecord {
    AccountingRecord {
        status,
        class: Some([number; 16]),
        mac: mac(number),
        session_id: id.to_owned(),
        event_at: at,
        received_at: at,
        ..report()
    }
}

const ME: Subscriber = Subscriber([1; 6]);

impl Table {
    fn tell(&mut self, report: &AccountingRecord) {
        self.report(report.received_at, report, |_| {
            Some(Whose { subscriber: ME, expires_at: None, stamp: 0 })
        });
    }
}

#[test]
fn no_more_than_allowed_and_the_same_station_again_is_no_more() {
    let mut table = table();
    table.admit(AT, &new(1)).unwrap();
    table.admit(AT, &new(2)).unwrap();
    assert_eq!(table.admit(AT, &new(3)), Err(Reject::TooManySessions));
    // Again, and at another access point.
    table.admit(AT, &new(2)).unwrap();
    table.admit(AT, &Admission { client: "ap-2", class: [9; 16], ..new(1) }).unwrap();
    assert_eq!((table.len(), table.count(AT, ME)), (2, 2));
    assert_eq!(table.admit(AT, &new(3)), Err(Reject::TooManySessions));
    assert!(table.admit(AT, &Admission { subscriber: Subscriber([2; 6]), ..new(3) }).is_ok());
    assert!(table.admit(AT, &Admission { most: 0, ..new(4) }).is_ok());
    assert!(table.admit(AT, &Admission { most: 4, mac: None, ..new(5) }).is_ok());
}

#[test]
fn a_session_that_does_not_begin_does_not_count() {
    let mut table = table();
    table.admit(AT, &new(1)).unwrap();
    table.withdraw([2; 16]);
    assert_eq!(table.count(AT, ME), 1);
    table.withdraw([1; 16]);
    assert_eq!((table.count(AT, ME), table.len()), (0, 0));
}

#[test]
fn a_session_stops_counting_in_each_of_the_ways_there_are() {
    type End = fn(&mut Table) -> u64;
    let ends: [(&str, End); 7] = [
        ("stop", |table| {
            table.tell(&at(status::STOP, 1, "s", AT + 9));
            AT + 9
        }),
        ("on", |table| {
            table.tell(&at(status::ON, 0, "", AT + 9));
            AT + 9
        }),
        ("off", |table| {
            table.tell(&at(status::OFF, 0, "", AT + 9));
            AT + 9
        }),
        ("three reports missing", |_| AT + 1800),
        ("no accounting", |table| {
            *table = self::table();
            table.admit(AT, &Admission { most: 1, ..new(1) }).unwrap();
            assert_eq!(table.count(AT + 24 * HOUR - 1, ME), 1);
            AT + 24 * HOUR
        }),
        ("no interim asked for", |table| {
            *table = self::table();
            table.admit(AT, &Admission { interim_secs: 0, ..new(1) }).unwrap();
            table.tell(&at(status::START, 1, "s", AT));
            assert_eq!(table.count(AT + 24 * HOUR - 1, ME), 1);
            AT + 24 * HOUR
        }),
        ("session timeout", |table| {
            table.admit(AT, &Admission { ends_at: Some(AT + 100), ..new(1) }).unwrap();
            assert_eq!(table.count(AT + 99, ME), 1);
            AT + 100
        }),
    ];
    for (name, end) in ends {
        let mut table = table();
        table.admit(AT, &Admission { most: 1, ..new(1) }).unwrap();
        table.tell(&at(status::START, 1, "s", AT));
        assert_eq!(table.count(AT + 1799, ME), 1, "{name}");
        let now = end(&mut table);
        assert_eq!(table.count(now, ME), 0, "{name}");
        assert!(table.admit(now, &Admission { most: 1, ..new(2) }).is_ok(), "{name}");
    }
}

#[test]
fn a_late_sign_of_life_counts_again() {
    let mut table = table();
    table.admit(AT, &new(1)).unwrap();
    table.tell(&at(status::START, 1, "s", AT));
    assert_eq!(table.count(AT + 2000, ME), 0);
    table.sweep(AT + 2000, 100);
    table.tell(&at(status::INTERIM, 1, "s", AT + 2001));
    assert_eq!((table.count(AT + 2001, ME), table.len()), (1, 1));
    table.sweep(AT + 2001 + 1800 + HOUR, 100);
    assert_eq!(table.len(), 0, "and is forgotten in the end");
}

#[test]
fn sessions_are_found_by_class_number_and_station() {
    let mut table = table();
    table.admit(AT, &new(1)).unwrap();
    let ending = |table: &mut Table| {
        let ending = table.end(0, Reject::Revoked).unwrap();
        (ending.session_id, ending.multi_session_id)
    };
    // No Class: by the station, then by number also without one.
    let first = AccountingRecord {
        class: None,
        multi_session_id: Some("m".to_owned()),
        ..at(status::START, 1, "s", AT)
    };
    table.tell(&first);
    table.tell(&AccountingRecord { mac: None, ..first.clone() });
    assert_eq!((table.len(), ending(&mut table)), (1, (Some("s".to_owned()), Some("m".to_owned()))));
    table.tell(&AccountingRecord { status: status::STOP, class: None, mac: None, ..first });
    assert_eq!(table.len(), 0);

    // A cached key: the same login, another session of the access point; the first one's Stop comes late.
    table.admit(AT, &new(1)).unwrap();
    table.tell(&at(status::START, 1, "a", AT));
    table.tell(&at(status::START, 1, "b", AT + 10));
    table.tell(&at(status::STOP, 1, "a", AT + 9));
    assert_eq!(table.len(), 1);
    table.tell(&at(status::STOP, 1, "b", AT + 20));
    assert_eq!(table.len(), 0);
    // Out of order: what had ended is not brought back.
    table.tell(&at(status::INTERIM, 1, "b", AT + 15));
    assert_eq!(table.len(), 0);
    table.tell(&at(status::START, 1, "b", AT + 30));
    assert_eq!(table.len(), 1, "the number used again");
}

#[test]
fn a_session_whose_login_was_not_here_is_known_by_its_reports() {
    let mut table = table();
    let interim = AccountingRecord { session_secs: 100, ..at(status::INTERIM, 1, "s", AT) };
    table.report(AT, &interim, |_| None);
    assert_eq!(table.len(), 0, "nobody's here");
    let whose = Whose { subscriber: ME, expires_at: Some(AT + 50), stamp: 3 };
    table.report(AT, &interim, |name| {
        assert_eq!(name, "token@x");
        Some(whose)
    });
    assert_eq!(table.count(AT, ME), 1);
    let due = table.due(AT + 50);
    assert_eq!(
        (due[0].why, due[0].address),
        (Reject::Expired, IpAddr::from([192, 0, 2, 1])),
        "NAS-IP-Address"
    );
    // It has moved: its former access point goes on to report.
    table.admit(AT + 10, &Admission { client: "ap-2", class: [8; 16], ..new(1) }).unwrap();
    table.tell(&AccountingRecord { session_secs: 120, ..at(status::INTERIM, 1, "s", AT + 20) });
    assert_eq!((table.len(), table.find(&at(0, 8, "", AT)).is_some()), (1, true));
}

#[test]
fn a_restart_ends_what_was_before_it() {
    let mut table = table();
    table.admit(AT, &new(1)).unwrap();
    table.admit(AT, &Admission { client: "ap-2", ..new(2) }).unwrap();
    table.admit(AT + 20, &Admission { most: 0, ..new(3) }).unwrap();
    table.tell(&at(status::ON, 0, "", AT + 10));
    assert_eq!(table.count(AT + 20, ME), 2, "of another client, and after it");
}

#[test]
fn a_session_ends_with_its_credential_in_the_very_second_and_once() {
    let mut table = table();
    table.admit(AT, &Admission { expires_at: Some(AT + 100), ..new(1) }).unwrap();
    table.admit(AT, &Admission { expires_at: Some(AT + 50), ..new(2) }).unwrap();
    assert!(table.due(AT + 49).is_empty());
    let due = table.due(AT + 50);
    assert_eq!(due.len(), 1);
    assert_eq!((due[0].mac, due[0].why, due[0].client.as_str()), (mac(2), Reject::Expired, "ap-1"));
    assert!(table.due(AT + 99).is_empty(), "handed out once");
    table.done(AT + 50, due[0].key, Outcome::Gone);
    assert_eq!(table.len(), 1);
    assert_eq!(table.due(AT + 100).len(), 1);
    assert_eq!(table.end(0, Reject::Revoked), None, "it must end already");
}

#[test]
fn who_does_not_answer_is_asked_again_some_times() {
    let mut table = table();
    table.admit(AT, &new(1)).unwrap();
    let key = table.end(0, Reject::Revoked).unwrap().key;
    let mut now = AT;
    for secs in AGAIN_SECS {
        table.done(now, key, Outcome::Unanswered);
        assert!(table.due(now + u64::from(secs) - 1).is_empty());
        now += u64::from(secs);
        let due = table.due(now);
        assert_eq!((due.len(), due[0].key, due[0].why), (1, key, Reject::Revoked));
    }
    table.done(now, key, Outcome::Unanswered);
    assert!(table.due(u64::from(u32::MAX)).is_empty(), "given up");

    table.admit(AT, &new(2)).unwrap();
    let refused = table.end(1, Reject::Revoked).unwrap().key;
    table.done(AT, refused, Outcome::Refused(406));
    assert_eq!(table.end(1, Reject::Revoked), None);
    // Late words about a session that has gone do not touch the one that has its place.
    table.tell(&at(status::STOP, 2, "s", AT));
    table.admit(AT, &new(3)).unwrap();
    table.done(AT, refused, Outcome::Gone);
    assert_eq!(table.len(), 2);
}

#[test]
fn a_full_table_refuses_nobody_and_drops_the_stalest() {
    let mut table = Table::new(Limits { sessions: 3, assume_gone_secs: HOUR, interim_secs: 0 });
    for number in 1..=5 {
        table.admit(AT + u64::from(number), &Admission { most: 0, ..new(number) }).unwrap();
    }
    assert_eq!(table.len(), 3);
    assert!(table.find(&at(0, 5, "", AT)).is_some() && table.find(&at(0, 1, "", AT)).is_none());
}

#[test]
fn alarms_of_sessions_long_gone_take_no_memory() {
    let mut table = table();
    for _ in 0..20_000 {
        table.admit(AT, &Admission { expires_at: Some(AT + 1_000_000), ..new(1) }).unwrap();
    }
    assert!(table.alarms.len() < 2000, "{}", table.alarms.len());
    assert_eq!(table.due(AT + 1_000_000).len(), 1);
}

proptest! {
    /// Whatever happens, the views agree: a session is found by what names it, and the counts fit.
    #[test]
    fn the_views_agree(steps in proptest::collection::vec((0u8..5, 1u8..7, 0u8..3, 0u64..5000), 1..60)) {
        let mut table = Table::new(Limits { sessions: 6, assume_gone_secs: HOUR, interim_secs: 600 });
        let mut now = AT;
        for (what, number, subscriber, pass) in steps {
            now += pass;
            let id = format!("s{number}");
            match what {
                0 | 1 => {
                    let new = Admission { subscriber: Subscriber([subscriber; 6]), most: 0, ..new(number) };
                    let place = table.admit(now, &new).unwrap();
                    prop_assert_eq!(table.get(place).unwrap().mac, mac(number));
                }
                2 => table.tell(&at(status::INTERIM, number, &id, now)),
                3 => table.tell(&AccountingRecord { class: None, ..at(status::STOP, number, &id, now) }),
                _ => table.sweep(now, 3),
            }
            let linked: usize = (0..4).map(|who| table.slab.of(Subscriber([who; 6])).len()).sum();
            prop_assert_eq!(linked, table.len());
            prop_assert!(table.len() <= 6);
            for place in 0..table.places() {
                if let Some(entry) = table.get(place) {
                    prop_assert!(table.slab.find(By::Class(entry.class)).is_some());
                    prop_assert!(table.slab.find(By::Station("ap-1", entry.mac.unwrap())).is_some());
                }
            }
        }
    }
}
