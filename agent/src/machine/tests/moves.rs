//! Moves: their order, hints, the way back in time, and waiting for the Internet.

use std::time::Duration;

use provisioning::message::{AfterMove, Sequence};

use super::world::{Outside, World};
use crate::{
    machine::{Action, Input, Note, ReturnReason, State, UserWord},
    modem, supplicant,
    wlan::{
        self,
        links::{self, Link},
        probe,
    },
};

fn near() -> Outside {
    Outside { signal_dbm: Some(-50), ..Outside::default() }
}

fn offloaded(outside: Outside) -> World {
    let mut world = World::new(outside);
    world.run(20);
    assert_eq!(world.state(), State::Offloaded, "{:#?}", world.story);
    world
}

fn kept(after: AfterMove) -> Outside {
    let mut outside = near();
    outside.policy.cellular_after_move = after;
    outside
}

fn suspect(world: &mut World) {
    world.tell(Input::Links(links::Event::Suspect(Link::Wlan)));
}

/// Runs until it is so, in steps of 50 ms; the time it took.
fn until(world: &mut World, limit: u64, so: impl Fn(&World) -> bool) -> Duration {
    let begin = world.now;
    while !so(world) {
        assert!(world.now - begin < Duration::from_secs(limit), "not within {limit} s: {:#?}", world.story);
        world.run_ms(50);
    }
    world.now - begin
}

#[test]
fn break_before_make_disconnects_first_and_comes_back_at_once() {
    let mut outside = near();
    outside.policy.sequence = Sequence::BreakBeforeMake;
    let world = offloaded(outside.clone());
    let order: Vec<&str> = world
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::Modem(modem::Command::Disconnect) => Some("disconnect"),
            Action::Supplicant(supplicant::Command::Join { .. }) => Some("login"),
            Action::Note(Note::MovedToWifi) => Some("moved"),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["disconnect", "login", "moved"]);
    outside.aaa = Some(supplicant::JoinFailure::AaaSilent);
    let mut world = World::new(outside);
    until(&mut world, 30, |world| !world.joins.is_empty());
    assert_eq!(world.route, None, "the claims' order has its gap here");
    let took = until(&mut world, 30, |world| world.route == Some(Link::Cellular));
    assert!(took < Duration::from_secs(3), "cellular came back after {took:?}");
}

#[test]
fn backup_and_standby_keep_cellular_and_only_backup_tells_mptcp() {
    for (after, told) in [(AfterMove::Backup, Some(true)), (AfterMove::Standby, None)] {
        let mut world = offloaded(kept(after));
        world.run(120);
        assert!(world.bearer && world.configured);
        assert_eq!(world.backup, told);
        world.signal(Some(-80));
        world.run(10);
        assert_ne!(world.backup, Some(true));
    }
}

#[test]
fn wifi_that_turns_out_to_be_dead_gives_the_route_back_within_a_second() {
    let mut world = World::new(Outside { trap: true, ..kept(AfterMove::Down) });
    until(&mut world, 30, |world| world.route == Some(Link::Wlan));
    let took = until(&mut world, 5, |world| world.route == Some(Link::Cellular));
    assert!(took <= Duration::from_millis(1000), "{took:?}");
}

#[test]
fn a_hint_brings_cellular_within_five_seconds_and_costs_one_probe_a_second() {
    let mut world = offloaded(near());
    world.run(60);
    assert!(!world.bearer);
    let probes = world.probes.len();
    for _ in 0..50 {
        suspect(&mut world);
        world.run_ms(100);
    }
    assert!(world.probes.len() - probes <= 6, "{} probes in 5 s", world.probes.len() - probes);
    assert_eq!(world.state(), State::Offloaded, "hints alone are no proof");
    world.outside.internet = false;
    suspect(&mut world);
    let took = until(&mut world, 10, |world| world.route == Some(Link::Cellular));
    assert!(took <= Duration::from_secs(5), "{took:?}");
}

#[test]
fn an_idle_offload_is_woken_no_more_than_once_a_minute() {
    for stands in [true, false] {
        let mut world = offloaded(Outside { stands, ..near() });
        world.run(60);
        world.probes.clear();
        world.run(3600);
        assert_eq!(world.state(), State::Offloaded);
        let most = if stands { 4 } else { 60 };
        assert!((1..=most).contains(&world.probes.len()), "{} probes in an hour", world.probes.len());
        let apart = world.probes.windows(2).map(|two| two[1] - two[0]).min();
        assert!(apart.is_none_or(|apart| apart >= Duration::from_secs(60)), "{apart:?}");
    }
}

#[test]
fn what_the_standing_connection_says_is_nothing_in_another_state() {
    let mut world = World::new(Outside::default());
    world.run(20);
    for event in [probe::Event::Standing, probe::Event::Ended, probe::Event::Silent] {
        world.tell(Input::Probe(event));
    }
    assert_eq!((world.state(), world.probes.len()), (State::Armed, 0));
    let mut world = offloaded(kept(AfterMove::Standby));
    world.run(60);
    assert!(world.standing.is_some());
    world.signal(Some(-80));
    world.run_ms(200);
    assert_eq!(world.standing, None, "it would keep Wi-Fi from draining");
}

#[test]
fn idle_wifi_without_internet_is_found_within_a_minute_and_taken_again_in_ten_seconds() {
    let mut world = offloaded(near());
    world.run(67);
    world.outside.internet = false;
    let took = until(&mut world, 90, |world| world.route == Some(Link::Cellular));
    assert!(took <= Duration::from_secs(60), "{took:?}");
    world.run(90);
    assert!(world.associated, "it was left, and the way back is long");
    assert_eq!(world.state(), State::Verifying);
    assert_eq!(world.route, Some(Link::Cellular));
    world.outside.internet = true;
    let took = until(&mut world, 20, |world| world.route == Some(Link::Wlan));
    assert!(took <= Duration::from_secs(10), "{took:?}");
    assert_eq!(world.joins.len(), 1);
}

#[test]
fn an_internet_that_comes_and_goes_moves_the_traffic_ever_less() {
    let mut world = offloaded(kept(AfterMove::Standby));
    let moves = |world: &World| world.told(|note| *note == Note::MovedToWifi);
    for _ in 0..60 {
        world.outside.internet = false;
        suspect(&mut world);
        world.run(10);
        world.outside.internet = true;
        world.run(20);
    }
    let first = moves(&world);
    assert!(first < 12, "{first} moves in half an hour");
    world.run(600);
    assert_eq!(world.route, Some(Link::Wlan), "it is well for ten minutes, and not used");
}

#[test]
fn while_it_waits_for_the_internet_the_signal_is_watched() {
    let mut world = offloaded(kept(AfterMove::Standby));
    world.outside.internet = false;
    suspect(&mut world);
    world.run(10);
    assert_eq!(world.state(), State::Verifying);
    world.signal(Some(-80));
    world.run(5);
    assert_eq!(world.state(), State::Armed);
    assert!(!world.associated);
    assert_eq!(world.route, Some(Link::Cellular));
}

#[test]
fn a_fast_fade_is_left_before_it_is_below_the_threshold() {
    let mut world = offloaded(kept(AfterMove::Standby));
    world.run(30);
    let mut left_at = None;
    for step in 0..40 {
        let dbm = -50 - step;
        world.signal(Some(dbm));
        world.run_ms(100);
        if left_at.is_none() && world.told(|n| matches!(n, Note::Returning { .. })) > 0 {
            left_at = Some(dbm);
        }
    }
    let left_at = left_at.expect("left");
    assert!(left_at > World::policy().leave_dbm, "left at {left_at} dBm");
    assert_eq!(world.told(|n| matches!(n, Note::Returning { why: ReturnReason::SignalLow, .. })), 1);
}

#[test]
fn known_channels_are_searched_first() {
    let mut world = offloaded(kept(AfterMove::Standby));
    world.scans.clear();
    world.signal(None);
    world.run(40);
    assert_eq!(world.scans.first(), Some(&vec![2412]));
    assert!(world.scans.iter().any(Vec::is_empty), "other channels are never searched");
}

#[test]
fn who_wakes_up_looks_and_probes_at_once() {
    let mut world = offloaded(near());
    world.run(40);
    let probes = world.probes.len();
    world.say(UserWord::Resumed);
    world.run_ms(10);
    assert_eq!(world.probes.len(), probes + 1);
    let mut armed = World::new(Outside::default());
    armed.run(300);
    armed.scans.clear();
    armed.say(UserWord::Resumed);
    armed.run_ms(10);
    assert_eq!(armed.scans.len(), 1);
}

#[test]
fn a_hint_about_the_other_link_or_in_another_state_is_nothing() {
    let mut world = World::new(Outside::default());
    world.run(20);
    suspect(&mut world);
    world.tell(Input::Wlan(wlan::Event::Signal { dbm: -90 }));
    world.run(5);
    assert!(world.probes.is_empty());
    assert_eq!(world.state(), State::Armed);
}
