//! Sessions folded from reports, and what is asked of them, on a real file.

use super::*;
use crate::{
    aaa::directory::Subscriber,
    accounting::record::{sample::AT, status},
    store::ClosedBy,
};

const START: u32 = status::START;
const INTERIM: u32 = status::INTERIM;
const STOP: u32 = status::STOP;

/// A report of `id` `after` seconds; each is another one.
fn told(status: u32, id: &str, after: u64, octets: u64) -> AccountingRecord {
    let mut dedup = [0; 32];
    dedup[..8].copy_from_slice(&after.to_be_bytes());
    dedup[8] = u8::try_from(status).unwrap();
    for (slot, octet) in dedup[9..].iter_mut().zip(id.bytes()) {
        *slot = octet;
    }
    AccountingRecord {
        dedup,
        status,
        session_id: id.to_owned(),
        event_at: AT + after,
        received_at: AT + after,
        input_octets: octets,
        output_octets: octets,
        subscriber: Some(Subscriber([1; 6])),
        ..sample::report()
    }
}

fn tell(store: &SqliteStore, reports: &[AccountingRecord]) {
    store.append_accounting(reports).unwrap();
}

fn usage(store: &SqliteStore, from: u64, to: u64) -> Vec<Usage> {
    let mut found = Vec::new();
    store
        .usage(from, to, &mut |usage| {
            found.push(usage);
            ControlFlow::Continue(())
        })
        .unwrap();
    found
}

/// Number, end after [`AT`], how, octets.
fn all(store: &SqliteStore) -> Vec<(String, Option<u64>, Option<ClosedBy>, u64)> {
    let mut all: Vec<_> = usage(store, 0, u64::MAX)
        .into_iter()
        .map(|Usage { session, .. }| {
            (session.session_id, session.ended_at.map(|at| at - AT), session.closed_by, session.input_octets)
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(&b.1)));
    all
}

fn row(
    id: &str,
    end: Option<u64>,
    by: Option<ClosedBy>,
    octets: u64,
) -> (String, Option<u64>, Option<ClosedBy>, u64) {
    (id.to_owned(), end, by, octets)
}

#[test]
fn a_session_is_written_with_its_reports_and_a_repetition_changes_nothing() {
    let (dir, store) = new();
    let full = AccountingRecord {
        class: Some([3; 16]),
        stamp: u64::MAX,
        address: Some("2001:db8::1".parse().unwrap()),
        multi_session_id: Some("m".to_owned()),
        ..told(START, "a", 0, 0)
    };
    let interim = || AccountingRecord { stamp: u64::MAX, ..told(INTERIM, "a", 60, 5) };
    tell(&store, &[full.clone(), interim(), interim()]);
    tell(&again(&dir), &[interim(), full.clone()]);
    let mut open = Vec::new();
    store.open_sessions(&mut |session| open.push(session)).unwrap();
    assert_eq!(open.len(), 1);
    let session = &open[0];
    assert_eq!((session.started_at, session.updated_at, session.ended_at), (AT, AT + 60, None));
    assert_eq!((session.class, session.stamp, session.address), (full.class, u64::MAX, full.address));
    assert_eq!((session.input_octets, session.corrected, session.interims), (5, false, true));
    assert_eq!(
        (&session.place, &session.ssid),
        (&Some("hall".to_owned()), &Some("operator-wifi".to_owned()))
    );
    tell(&store, &[told(STOP, "a", 90, 7)]);
    store.open_sessions(&mut |_| panic!("closed")).unwrap();
    assert_eq!(all(&store), [row("a", Some(90), Some(ClosedBy::Stop), 7)]);
}

#[test]
fn a_restarted_access_point_ends_its_sessions_and_numbers_anew() {
    let (_dir, store) = new();
    let dedup = [9; 32];
    let other = AccountingRecord { dedup, client: "other".to_owned(), mac: None, ..told(START, "a", 0, 0) };
    tell(&store, &[told(START, "a", 0, 0), other, told(INTERIM, "a", 60, 5)]);
    tell(&store, &[told(status::ON, "", 100, 0), told(START, "a", 130, 0), told(INTERIM, "a", 190, 2)]);
    assert_eq!(
        all(&store),
        [row("a", None, None, 0), row("a", None, None, 2), row("a", Some(60), Some(ClosedBy::NasOn), 5),]
    );
    // What was before the restart comes late, and does not touch the new session.
    tell(&store, &[told(INTERIM, "a", 90, 6)]);
    tell(&store, &[told(status::OFF, "", 300, 0)]);
    assert_eq!(all(&store)[2..], [row("a", Some(300), Some(ClosedBy::NasOff), 2)]);
    assert!(all(&store).iter().any(|row| row.3 == 6 && row.0 == "a"));
}

#[test]
fn a_station_has_one_session_at_an_access_point() {
    let (_dir, store) = new();
    let other = AccountingRecord { mac: Some(Mac([9; 6])), ..told(START, "z", 0, 0) };
    tell(&store, &[told(START, "a", 0, 0), other, told(INTERIM, "a", 60, 5), told(START, "b", 100, 0)]);
    let by = Some(ClosedBy::NewerSession);
    assert_eq!(all(&store), [row("a", Some(60), by, 5), row("b", None, None, 0), row("z", None, None, 0)]);
    // The Stop that was only late still counts.
    tell(&store, &[told(STOP, "a", 90, 8)]);
    assert_eq!(all(&store)[0], row("a", Some(90), Some(ClosedBy::Stop), 8));
    // Out of order: the former session's Start after the newer one's.
    tell(&store, &[told(START, "d", 300, 0), told(START, "c", 290, 0)]);
    let open: Vec<_> = all(&store).into_iter().filter(|row| row.1.is_none()).map(|row| row.0).collect();
    assert!(open.contains(&"d".to_owned()), "{open:?}");
}

#[test]
fn silence_ends_a_session_in_bounded_steps_and_a_word_brings_it_back() {
    let (_dir, store) = new();
    for (number, id) in ["a", "b", "c"].into_iter().enumerate() {
        let mac = Some(Mac([u8::try_from(number).unwrap(); 6]));
        tell(&store, &[AccountingRecord { mac, ..told(START, id, 0, 0) }]);
        if id != "c" {
            tell(&store, &[AccountingRecord { mac, ..told(INTERIM, id, 60, 5) }]);
        }
    }
    let silence = Silence { reporting_secs: 100, other_secs: 1000 };
    assert_eq!(store.close_silent_sessions(AT + 160, silence, 9).unwrap(), 0);
    assert_eq!(store.close_silent_sessions(AT + 161, silence, 1).unwrap(), 1);
    assert_eq!(store.close_silent_sessions(AT + 161, silence, 9).unwrap(), 1);
    assert_eq!(store.close_silent_sessions(AT + 1000, silence, 9).unwrap(), 0);
    let by = Some(ClosedBy::Silence);
    assert_eq!(all(&store), [row("a", Some(60), by, 5), row("b", Some(60), by, 5), row("c", None, None, 0)]);
    assert_eq!(store.close_silent_sessions(AT + 1001, silence, 9).unwrap(), 1);
    tell(
        &store,
        &[AccountingRecord { mac: Some(Mac([0; 6])), session_secs: 120, ..told(INTERIM, "a", 120, 9) }],
    );
    assert_eq!(all(&store)[0], row("a", None, None, 9));
}

#[test]
fn usage_of_an_interval_has_each_end_once_and_the_cellular_beside() {
    let (_dir, store) = new();
    let gateway = |report: AccountingRecord| AccountingRecord {
        kind: ClientKind::Gateway,
        client: "pgw".to_owned(),
        mac: None,
        username: None,
        ..report
    };
    tell(&store, &[told(START, "a", 0, 0), told(STOP, "a", 100, 5)]);
    tell(&store, &[AccountingRecord { subscriber: None, ..told(START, "b", 150, 0) }]);
    tell(&store, &[gateway(told(START, "g", 0, 0)), gateway(told(INTERIM, "g", 99, 70))]);
    tell(&store, &[gateway(told(START, "h", 40, 0)), gateway(told(STOP, "h", 50, 30))]);
    let ids = |from, to| -> Vec<String> {
        usage(&store, from, to).into_iter().map(|usage| usage.session.session_id).collect()
    };
    assert_eq!(ids(AT, AT + 100), Vec::<String>::new());
    assert_eq!(ids(AT + 100, AT + 101), ["a"]);
    assert_eq!(ids(AT + 101, AT + 150), Vec::<String>::new());
    assert_eq!(ids(0, u64::MAX), ["a", "b"]);
    let both = usage(&store, AT, AT + 1000);
    assert_eq!((both[0].cellular, both[1].cellular), (Some((100, 100)), None));
    assert_eq!(usage(&store, AT + 60, AT + 1000)[0].cellular, Some((70, 70)));
    let mut seen = 0;
    store
        .usage(0, u64::MAX, &mut |_| {
            seen += 1;
            ControlFlow::Break(())
        })
        .unwrap();
    assert_eq!(seen, 1);

    let totals = |by| store.totals(AT, AT + 1000, by).unwrap();
    let by_subscriber = totals(By::Subscriber);
    assert_eq!(by_subscriber.len(), 2);
    assert_eq!(
        (by_subscriber[0].of.as_deref(), by_subscriber[0].cellular),
        (Some("010101010101"), Some((100, 100)))
    );
    assert_eq!((by_subscriber[0].sessions, by_subscriber[0].input_octets), (1, 5));
    assert_eq!((by_subscriber[1].of.as_deref(), by_subscriber[1].cellular), (None, None));
    for (by, of) in
        [(By::Place, "hall"), (By::Nas, "ap-1"), (By::Ssid, "operator-wifi"), (By::Day, "2027-01-15")]
    {
        let totals = totals(by);
        assert_eq!((totals.len(), totals[0].of.as_deref(), totals[0].sessions), (1, Some(of), 2));
        assert_eq!((totals[0].output_octets, totals[0].cellular), (5, None));
    }
    tell(&store, &[told(STOP, "x", 500, u64::MAX), told(STOP, "y", 501, u64::MAX)]);
    assert!(totals(By::Nas)[0].input_octets > u64::MAX / 2, "beyond what a column holds");
}

#[test]
fn what_is_too_old_is_forgotten_in_bounded_steps() {
    let (_dir, store) = new();
    for number in 0..5u64 {
        tell(&store, &[told(STOP, &format!("s{number}"), number, 1)]);
    }
    tell(&store, &[told(START, "open", 6, 0)]);
    assert_eq!(store.prune_accounting(AT + 3, 2).unwrap(), 4, "two sessions, two reports");
    assert_eq!(store.prune_accounting(AT + 3, 2).unwrap(), 2);
    assert_eq!(store.prune_accounting(AT + 3, 2).unwrap(), 0);
    assert_eq!((all(&store).len(), reports(&store)), (3, 3));
    store.prune_accounting(AT + 1000, 100).unwrap();
    assert_eq!(all(&store), [row("open", None, None, 0)], "an open session stays");
}
