//! Reports in every order that a network makes of them.

use proptest::prelude::*;

use super::*;
use crate::{
    accounting::record::sample::{AT, report},
    store::AccountingRecord,
};

fn at(status: u32, after: u64, octets: u64) -> AccountingRecord {
    let secs = if status == status::START { 0 } else { u32::try_from(after).unwrap() };
    AccountingRecord {
        status,
        event_at: AT + after,
        received_at: AT + after,
        input_octets: octets,
        output_octets: 2 * octets,
        session_secs: secs,
        terminate_cause: (status == status::STOP).then_some(1),
        ..report()
    }
}

/// All reports about one number, as the store would apply them while it has one row.
fn session(reports: &[AccountingRecord]) -> SessionRecord {
    let mut known = None;
    for report in reports {
        known = Some(match fold(known, report) {
            Folded::Same(session) => session,
            Folded::New { over, session } => {
                assert_eq!(over, None, "{report:?}");
                session
            }
        });
    }
    known.unwrap()
}

const START: u32 = status::START;
const INTERIM: u32 = status::INTERIM;
const STOP: u32 = status::STOP;

#[test]
fn a_session_as_it_should_be() {
    let done = session(&[at(START, 0, 0), at(INTERIM, 60, 5), at(STOP, 100, 9)]);
    assert_eq!((done.started_at, done.ended_at, done.session_secs), (AT, Some(AT + 100), 100));
    assert_eq!((done.input_octets, done.output_octets), (9, 18));
    assert_eq!((done.closed_by, done.terminate_cause), (Some(ClosedBy::Stop), Some(1)));
    assert!(!done.corrected && done.started && done.interims);
    assert_eq!(done.place.as_deref(), Some("hall"));
}

#[test]
fn any_order_comes_to_the_same() {
    let reports = [at(START, 0, 0), at(INTERIM, 60, 5), at(STOP, 100, 9)];
    let right = session(&reports);
    for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let found = session(&order.map(|place| reports[place].clone()));
        assert!(found.corrected, "{order:?}");
        let found = SessionRecord { corrected: false, ..found };
        assert_eq!(found, right, "{order:?}");
    }
}

#[test]
fn a_lost_start_is_reckoned_from_the_duration() {
    let done = session(&[at(INTERIM, 60, 5)]);
    assert_eq!((done.started_at, done.ended_at, done.corrected), (AT, None, true));
    let done = session(&[at(STOP, 100, 5)]);
    assert_eq!((done.started_at, done.ended_at), (AT, Some(AT + 100)));
    let unknown = AccountingRecord { session_secs: 0, ..at(STOP, 100, 5) };
    assert_eq!(session(&[unknown]).started_at, AT + 100);
}

#[test]
fn octets_never_go_back() {
    let done = session(&[at(START, 0, 0), at(INTERIM, 60, 50), at(INTERIM, 120, 20)]);
    assert_eq!((done.input_octets, done.output_octets, done.corrected), (50, 100, true));
    assert_eq!(done.updated_at, AT + 120);
    let late = session(&[at(START, 0, 0), at(INTERIM, 120, 50), at(INTERIM, 60, 20)]);
    assert_eq!((late.input_octets, late.updated_at, late.session_secs), (50, AT + 120, 120));
}

#[test]
fn a_number_used_again_is_another_session() {
    let open = session(&[at(START, 0, 0), at(INTERIM, 600, 50)]);
    for next in [
        // After a restart that nobody told of.
        at(START, 2000, 0),
        AccountingRecord { session_secs: 100, ..at(INTERIM, 2000, 60) },
        AccountingRecord { session_secs: 100, ..at(STOP, 2000, 60) },
    ] {
        let Folded::New { over: Some(over), session } = fold(Some(open.clone()), &next) else {
            panic!("{next:?}")
        };
        assert_eq!((over.closed_by, over.ended_at), (Some(ClosedBy::NewerSession), Some(AT + 600)));
        assert_eq!((over.input_octets, over.corrected), (50, true));
        assert_eq!(session.input_octets, next.input_octets);
        assert!(session.started_at >= AT + 1900);
    }
    let closed = session(&[at(START, 0, 0), at(STOP, 600, 50)]);
    for next in [at(START, 700, 0), AccountingRecord { session_secs: 10, ..at(INTERIM, 2000, 60) }] {
        let Folded::New { over: None, session } = fold(Some(closed.clone()), &next) else {
            panic!("{next:?}")
        };
        assert_eq!(session.ended_at, None);
    }
    // Not without a duration, and not the same Start with a clock that was set meanwhile.
    let mute = AccountingRecord { session_secs: 0, ..at(INTERIM, 2000, 60) };
    assert!(matches!(fold(Some(open.clone()), &mute), Folded::Same(_)));
    assert!(matches!(fold(Some(open), &at(START, 2, 0)), Folded::Same(_)));
}

#[test]
fn an_end_that_was_guessed_is_mended() {
    let open = session(&[at(START, 0, 0), at(INTERIM, 600, 50)]);
    for by in [ClosedBy::Silence, ClosedBy::NasOn, ClosedBy::NasOff, ClosedBy::NewerSession] {
        let mut guessed = open.clone();
        close(&mut guessed, by);
        assert_eq!(guessed.ended_at, Some(AT + 600));
        let Folded::Same(lives) = fold(Some(guessed.clone()), &at(INTERIM, 1200, 70)) else { panic!() };
        let returns = by != ClosedBy::NewerSession;
        assert_eq!((lives.ended_at.is_none(), lives.input_octets), (returns, 70), "{by:?}");
        let Folded::Same(stopped) = fold(Some(guessed.clone()), &at(STOP, 1200, 70)) else { panic!() };
        assert_eq!((stopped.ended_at, stopped.closed_by), (Some(AT + 1200), Some(ClosedBy::Stop)));
        // A Stop that was only late.
        let Folded::Same(stopped) = fold(Some(guessed), &at(STOP, 599, 49)) else { panic!() };
        assert_eq!((stopped.ended_at, stopped.input_octets), (Some(AT + 599), 50));
        assert!(stopped.corrected);
    }
}

#[test]
fn what_the_login_told_beats_what_the_access_point_tells() {
    let outer = AccountingRecord { username: Some("anonymous@x".to_owned()), ..at(START, 0, 0) };
    let known = AccountingRecord {
        username: Some("token@x".to_owned()),
        subscriber: Some(crate::aaa::directory::Subscriber([4; 6])),
        stamp: 8,
        class: Some([9; 16]),
        ..at(INTERIM, 60, 5)
    };
    let later = AccountingRecord { username: outer.username.clone(), ..at(INTERIM, 90, 6) };
    let done = session(&[outer, known.clone(), later]);
    assert_eq!((done.username.as_deref(), done.stamp, done.class), (Some("token@x"), 8, Some([9; 16])));
    assert_eq!(done.subscriber, known.subscriber);
}

proptest! {
    /// Whatever comes, in whatever order: octets of one session are the most that was reported, and no time is
    /// before the first or after the last.
    #[test]
    fn nothing_is_lost(order in Just((0..6usize).collect::<Vec<_>>()).prop_shuffle(), stop: bool) {
        let mut reports = vec![at(START, 0, 0)];
        reports.extend((1..5).map(|n| at(INTERIM, n * 60, n * 7)));
        reports.push(if stop { at(STOP, 300, 35) } else { at(INTERIM, 300, 35) });
        let shuffled: Vec<_> = order.iter().map(|place| reports[*place].clone()).collect();
        let done = session(&shuffled);
        prop_assert_eq!((done.input_octets, done.output_octets, done.session_secs), (35, 70, 300));
        prop_assert_eq!((done.started_at, done.updated_at), (AT, AT + 300));
        prop_assert_eq!(done.ended_at, stop.then_some(AT + 300));
        prop_assert_eq!(done.corrected, order != (0..6).collect::<Vec<_>>());
    }
}
