//! The table on a virtual clock: single rules by example, the whole against a simulated gateway whose records come
//! late, twice and in any order.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*, sample::Index as Pick};

use super::*;

const GATEWAY: &str = "pgw1";

fn handle(number: u8) -> Handle {
    Handle([number; 32])
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn key(gateway: &str, session_id: &str) -> Arc<SessionKey> {
    Arc::new(SessionKey { gateway: gateway.to_owned(), session_id: session_id.to_owned() })
}

fn alive(session: &str, address: &str, subscriber: u8) -> Event {
    alive_at(GATEWAY, session, &[address], subscriber)
}

fn alive_at(gateway: &str, session: &str, prefixes: &[&str], subscriber: u8) -> Event {
    Event::Alive(Alive {
        key: key(gateway, session),
        prefixes: prefixes.iter().map(|p| p.parse().unwrap()).collect(),
        subscriber: Some(handle(subscriber)),
        equipment: None,
    })
}

fn stop(session: &str) -> Event {
    Event::Stop(key(GATEWAY, session))
}

/// A table whose clock is the time of what happens.
struct Bench(Table);

impl Bench {
    fn new() -> Self {
        Self(Table::new(Limits { sessions: 100, ended: 100, idle_secs: 1000 }))
    }

    fn at(&mut self, at: u64, event: Event) -> Applied {
        self.late(at, at, event)
    }

    fn late(&mut self, at: u64, now: u64, event: Event) -> Applied {
        self.0.apply(event, at, now).0
    }

    /// Whose the address is: a number, or 0 nobody's, or -1 contested.
    fn owner(&self, address: &str, now: u64) -> i16 {
        match self.0.owner(ip(address), now) {
            Owner::Session { subscriber, .. } => i16::from(subscriber.0[0]),
            Owner::Contested => -1,
            Owner::Nobody => 0,
        }
    }
}

#[test]
fn a_session_has_its_address_from_start_to_stop() {
    let mut bench = Bench::new();
    assert_eq!(bench.owner("10.0.0.1", 1), 0);
    assert_eq!(bench.at(10, alive("a", "10.0.0.1", 1)), Applied::Taken);
    assert_eq!(bench.owner("10.0.0.1", 11), 1);
    assert_eq!(bench.owner("::ffff:10.0.0.1", 11), 1);
    assert_eq!(bench.owner("10.0.0.2", 11), 0);
    assert_eq!(bench.at(20, stop("a")), Applied::Taken);
    assert_eq!(bench.owner("10.0.0.1", 20), 0);
}

#[test]
fn a_late_stop_of_an_older_session_does_not_end_a_newer_one() {
    let mut bench = Bench::new();
    bench.at(10, alive("a", "10.0.0.1", 1));
    bench.at(20, alive("b", "10.0.0.1", 2));
    assert_eq!(bench.owner("10.0.0.1", 20), 2);
    bench.late(19, 21, stop("a"));
    assert_eq!(bench.owner("10.0.0.1", 21), 2);
}

#[test]
fn a_late_start_does_not_revive_a_session_nor_take_an_address_back() {
    let mut bench = Bench::new();
    bench.late(15, 16, stop("a"));
    assert_eq!(bench.late(10, 17, alive("a", "10.0.0.1", 1)), Applied::Ignored("after-stop"));
    assert_eq!(bench.owner("10.0.0.1", 17), 0);
    bench.at(20, alive("c", "10.0.0.1", 3));
    assert_eq!(bench.late(18, 21, alive("b", "10.0.0.1", 2)), Applied::Ignored("address-reused"));
    assert_eq!(bench.owner("10.0.0.1", 21), 3);
}

#[test]
fn an_identifier_used_again_after_its_stop_is_a_new_session() {
    let mut bench = Bench::new();
    bench.at(10, alive("a", "10.0.0.1", 1));
    bench.at(20, stop("a"));
    assert_eq!(bench.at(21, alive("a", "10.0.0.1", 2)), Applied::Taken);
    assert_eq!(bench.owner("10.0.0.1", 21), 2);
    // And without a Stop between.
    assert_eq!(bench.at(30, alive("a", "10.0.0.2", 3)), Applied::Taken);
    assert_eq!((bench.owner("10.0.0.1", 30), bench.owner("10.0.0.2", 30)), (0, 3));
}

#[test]
fn contradictory_sessions_leave_the_address_to_nobody() {
    let mut bench = Bench::new();
    // Taken over, yet alive afterwards.
    bench.at(10, alive("a", "10.0.0.1", 1));
    bench.at(20, alive("b", "10.0.0.1", 2));
    bench.at(30, alive("a", "10.0.0.1", 1));
    assert_eq!(bench.owner("10.0.0.1", 30), -1);
    bench.at(31, alive("b", "10.0.0.1", 2));
    assert_eq!(bench.owner("10.0.0.1", 31), -1, "another sign of life decides nothing");
    bench.at(40, stop("a"));
    assert_eq!(bench.owner("10.0.0.1", 40), 2);
    // Began in the second in which the other was last heard of.
    bench.at(50, alive("c", "10.0.0.2", 3));
    bench.at(50, alive("d", "10.0.0.2", 4));
    assert_eq!(bench.owner("10.0.0.2", 50), -1);
    bench.late(50, 51, stop("c"));
    assert_eq!(bench.owner("10.0.0.2", 51), 4);
    // Two gateways with one pool.
    bench.at(60, alive_at("pgw1", "e", &["10.0.0.3"], 5));
    bench.at(70, alive_at("pgw2", "e", &["10.0.0.3"], 6));
    assert_eq!(bench.owner("10.0.0.3", 70), -1);
    bench.at(80, Event::Restart("pgw1".to_owned()));
    assert_eq!(bench.owner("10.0.0.3", 80), 6);
}

#[test]
fn two_sessions_of_one_device_do_not_contradict_each_other() {
    let mut bench = Bench::new();
    bench.at(10, alive("a", "10.0.0.1", 1));
    bench.at(10, alive("b", "10.0.0.1", 1));
    assert_eq!(bench.owner("10.0.0.1", 10), 1);
}

#[test]
fn accounting_on_ends_what_was_before_and_nothing_else() {
    let mut bench = Bench::new();
    bench.at(10, alive("a", "10.0.0.1", 1));
    bench.at(10, alive_at("pgw2", "z", &["10.0.0.9"], 9));
    bench.at(21, alive("b", "10.0.0.2", 2));
    bench.late(20, 22, Event::Restart(GATEWAY.to_owned()));
    assert_eq!(bench.owner("10.0.0.1", 22), 0);
    assert_eq!(bench.owner("10.0.0.2", 22), 2, "began after the restart");
    assert_eq!(bench.owner("10.0.0.9", 22), 9, "another gateway's");
    assert_eq!(bench.late(19, 23, alive("c", "10.0.0.3", 3)), Applied::Ignored("before-restart"));
}

#[test]
fn silence_ends_a_session_and_what_is_too_old_is_not_believed() {
    let mut bench = Bench::new();
    bench.at(10, alive("a", "10.0.0.1", 1));
    assert_eq!(bench.owner("10.0.0.1", 1010), 1);
    assert_eq!(bench.owner("10.0.0.1", 1011), 0);
    let (_, writes) = bench.0.apply(stop("other"), 1011, 1011);
    assert_eq!(writes, [Write::End(key(GATEWAY, "a")), Write::End(key(GATEWAY, "other"))]);
    assert!(bench.0.is_empty());
    assert_eq!(bench.late(11, 1012, alive("b", "10.0.0.1", 1)), Applied::Ignored("stale"));
}

#[test]
fn an_interim_update_renews_and_may_teach() {
    let mut bench = Bench::new();
    let bare = |session| {
        Event::Alive(Alive {
            key: key(GATEWAY, session),
            prefixes: vec![],
            subscriber: None,
            equipment: None,
        })
    };
    assert_eq!(bench.at(5, bare("a")), Applied::Ignored("no-imsi"));
    bench.at(10, alive("a", "10.0.0.1", 1));
    assert_eq!(bench.at(900, bare("a")), Applied::Taken);
    assert_eq!(bench.owner("10.0.0.1", 1500), 1);
    bench.at(1600, alive_at(GATEWAY, "a", &["2001:db8:0:1::/64"], 1));
    assert_eq!(bench.owner("10.0.0.1", 1600), 1);
    assert_eq!(bench.owner("2001:db8:0:1::5", 1600), 1);
    bench.at(1700, alive("a", "10.0.0.2", 1));
    assert_eq!((bench.owner("10.0.0.1", 1700), bench.owner("10.0.0.2", 1700)), (0, 1));
}

#[test]
fn a_session_has_its_own_network_and_the_delegated_one() {
    let mut bench = Bench::new();
    let mut mirror = Mirror::default();
    let event = alive_at(GATEWAY, "a", &["10.0.0.1", "2001:db8:0:1::/64", "2001:db8:1::/56"], 1);
    bench.0.apply(event, 10, 10).1.into_iter().for_each(|write| mirror.write(write));
    let after_restart = Bench(mirror.restart(bench.0.limits, 11));
    for bench in [&bench, &after_restart] {
        for address in ["10.0.0.1", "2001:db8:0:1::5", "2001:db8:1:7::9"] {
            assert_eq!(bench.owner(address, 11), 1, "{address}");
        }
        assert_eq!(bench.owner("2001:db8:1:100::9", 11), 0);
    }
    bench.at(20, stop("a"));
    assert_eq!(bench.owner("2001:db8:1:7::9", 20), 0);
}

#[test]
fn nested_networks_of_two_devices_are_contested() {
    let mut bench = Bench::new();
    bench.at(10, alive_at(GATEWAY, "a", &["2001:db8::/56"], 1));
    bench.at(11, alive_at(GATEWAY, "b", &["2001:db8:0:7::/64"], 2));
    assert_eq!(bench.owner("2001:db8:0:1::1", 11), 1);
    assert_eq!(bench.owner("2001:db8:0:7::1", 11), -1);
}

#[test]
fn what_is_no_devices_address_is_not_taken() {
    let mut bench = Bench::new();
    for bad in [
        "0.0.0.0",
        "255.255.255.255",
        "255.255.255.254",
        "224.0.0.1",
        "10.0.0.0/24",
        "::/0",
        "2001:db8::/32",
        "ff02::1",
    ] {
        let applied = bench.at(10, alive_at(GATEWAY, "a", &[bad], 1));
        assert_eq!(applied, Applied::Ignored("no-address"), "{bad}");
    }
    assert!(bench.0.is_empty());
}

#[test]
fn numbers_are_bounded() {
    let mut bench = Bench::new();
    for number in 0..500u64 {
        let address = format!("10.0.{}.{}", number / 250, number % 250);
        bench.at(number, alive(&format!("s{number}"), &address, 1));
        bench.at(number, stop(&format!("never{number}")));
    }
    assert_eq!(bench.0.len(), 100);
    assert_eq!(bench.0.ended.len(), 100);
    assert_eq!(bench.0.ended_by_age.len(), 100);
    assert_eq!(bench.owner("10.0.0.0", 500), 0, "the one not heard of for the longest time went");
    assert_eq!(bench.owner("10.0.1.249", 500), 1);
}

/// What a gateway does next, in a world of four addresses.
#[derive(Debug, Clone)]
enum Step {
    Attach(u8),
    Update(u8),
    Detach(u8),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..4).prop_map(Step::Attach),
        4 => (0u8..4).prop_map(Step::Update),
        5 => (0u8..4).prop_map(Step::Detach),
        1 => Just(Step::Restart),
    ]
}

fn address(number: u8) -> String {
    format!("10.0.0.{number}")
}

/// Plays the steps two seconds apart. Gives the records with their times, and who has which address at the end.
fn play(steps: &[Step]) -> (Vec<(u64, Event)>, BTreeMap<u8, u8>) {
    let mut live: BTreeMap<u8, (String, u8)> = BTreeMap::new();
    let mut records = Vec::new();
    for (number, step) in (0u8..).zip(steps) {
        let at = 100 + 2 * u64::from(number);
        match step {
            Step::Attach(a) if !live.contains_key(a) => {
                let (session, subscriber) = (format!("s{number}"), number + 1);
                records.push((at, alive(&session, &address(*a), subscriber)));
                live.insert(*a, (session, subscriber));
            }
            Step::Update(a) => {
                if let Some((session, subscriber)) = live.get(a) {
                    records.push((at, alive(session, &address(*a), *subscriber)));
                }
            }
            Step::Detach(a) => {
                if let Some((session, _)) = live.remove(a) {
                    records.push((at, stop(&session)));
                }
            }
            Step::Restart => {
                live.clear();
                records.push((at, Event::Restart(GATEWAY.to_owned())));
            }
            Step::Attach(_) => {}
        }
    }
    (records, live.into_iter().map(|(a, (_, subscriber))| (a, subscriber)).collect())
}

/// What the database holds after the writes.
#[derive(Default)]
struct Mirror(BTreeMap<(String, String, IpAddr), GatewaySession>);

impl Mirror {
    fn write(&mut self, write: Write) {
        match write {
            Write::Put(row) => {
                self.0.insert((row.gateway.clone(), row.session_id.clone(), row.address), row);
            }
            Write::End(key) => self.0.retain(|(g, s, _), _| *g != key.gateway || *s != key.session_id),
            Write::Clear(gateway) => self.0.retain(|(g, _, _), _| *g != gateway),
        }
    }

    /// A table that starts with it.
    fn restart(&self, limits: Limits, now: u64) -> Table {
        let mut table = Table::new(limits);
        table.load(self.0.values().cloned(), now);
        table
    }
}

proptest! {
    /// However late and how often records come: when all are there, the table says what is so.
    #[test]
    fn the_table_converges(
        steps in vec(step(), 0..60), delays in vec((0u64..40, proptest::option::of(0u64..80)), 60),
    ) {
        let (records, truth) = play(&steps);
        let mut arrivals = Vec::new();
        for ((at, event), (delay, again)) in records.into_iter().zip(delays) {
            arrivals.push((at + delay, at, event.clone()));
            arrivals.extend(again.map(|again| (at + delay + again, at, event)));
        }
        arrivals.sort_by_key(|(arrival, _, _)| *arrival);
        let mut bench = Bench::new();
        let mut mirror = Mirror::default();
        for (arrival, at, event) in arrivals {
            bench.0.apply(event, at, arrival).1.into_iter().for_each(|write| mirror.write(write));
        }
        let after_restart = Bench(mirror.restart(bench.0.limits, 400));
        for number in 0..4 {
            let expected = truth.get(&number).map_or(0, |s| i16::from(*s));
            prop_assert_eq!(bench.owner(&address(number), 400), expected);
            prop_assert_eq!(after_restart.owner(&address(number), 400), expected);
        }
    }

    /// Whatever comes: bounds hold, the views agree, the database can bring the table back, and who stopped is out.
    #[test]
    fn invariants_hold_for_any_records(
        records in vec((0u8..3, 0u8..8, 0u8..4, 0u8..4, 0u64..60, 0u64..60), 0..120), probe in any::<Pick>(),
    ) {
        let limits = Limits { sessions: 5, ended: 50, idle_secs: 40 };
        let mut table = Table::new(limits);
        let mut mirror = Mirror::default();
        let mut now = 0;
        let check_at = probe.index(records.len() + 1);
        for (number, (kind, session, a, subscriber, at, wait)) in records.into_iter().enumerate() {
            now += wait / 6;
            let (gateway, session) = (["pgw1", "pgw2"][usize::from(session % 2)], session.to_string());
            let event = match (kind, subscriber) {
                (0, _) => Event::Stop(key(gateway, &session)),
                (1, 0) => Event::Restart(gateway.to_owned()),
                _ => alive_at(gateway, &session, &[&address(a), "2001:db8::/64"][..1 + usize::from(a % 2)], subscriber),
            };
            let (_, writes) = table.apply(event.clone(), at, now);
            writes.into_iter().for_each(|write| mirror.write(write));
            prop_assert!(table.len() <= limits.sessions);
            prop_assert!(table.ended.len() <= limits.ended);
            prop_assert_eq!(table.ended.len(), table.ended_by_age.len());
            let mut rows: Vec<_> =
                ["pgw1", "pgw2"].iter().flat_map(|g| table.live.of(g)).flat_map(|(k, s)| s.rows(k)).collect();
            rows.sort_by_key(|row| (row.gateway.clone(), row.session_id.clone(), row.address));
            prop_assert_eq!(&rows, &mirror.0.values().cloned().collect::<Vec<_>>());
            if let Event::Stop(stopped) = &event {
                prop_assert!(table.live.of(&stopped.gateway).all(|(k, _)| k != stopped));
            }
            if number == check_at {
                table = mirror.restart(limits, now);
            }
        }
    }
}
