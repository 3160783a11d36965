//! Whole lives of a device: first credential, move, way back, and every failure that has its own reaction.

use provisioning::message::{Reason, Trigger};

use super::world::{Outside, World};
use crate::{
    machine::{Note, ReturnReason, State, UserWord},
    modem::Presence,
    provision,
    supplicant::JoinFailure,
    vault::Stored,
    wlan::links::Link,
};

fn offloaded() -> World {
    let mut world = World::new(Outside { signal_dbm: Some(-50), ..Outside::default() });
    world.run(20);
    assert_eq!(world.state(), State::Offloaded, "{:#?}", world.story);
    world
}

#[test]
fn from_boot_to_wifi_in_the_order_of_fig_2() {
    let world = offloaded();
    let order: Vec<&str> = world
        .story
        .iter()
        .filter_map(|(_, note)| match note {
            Note::CellularUp { .. } => Some("50"),
            Note::CredentialRequested { trigger: Trigger::Attach, .. } => Some("54"),
            Note::CredentialReceived { .. } => Some("64"),
            Note::CredentialInstalled { .. } => Some("68"),
            Note::NetworkSensed { .. } => Some("67"),
            Note::Connected { .. } => Some("70"),
            Note::ProbeOnline => Some("probe"),
            Note::MovedToWifi => Some("moved"),
            Note::CellularDown => Some("down"),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["50", "54", "64", "68", "67", "70", "probe", "moved", "down"]);
    assert_eq!(world.route, Some(Link::Wlan));
    assert!(!world.bearer && !world.configured);
}

#[test]
fn a_busy_connection_keeps_cellular_until_the_drain_limit() {
    let mut world = World::new(Outside { signal_dbm: Some(-50), busy: true, ..Outside::default() });
    world.run(20);
    assert_eq!(world.state(), State::Offloaded);
    assert!(world.bearer, "cellular went while a connection was using it");
    world.run(u64::from(World::policy().drain_secs));
    assert!(!world.bearer);
}

#[test]
fn the_old_link_stays_for_what_is_still_on_its_way() {
    let mut world = World::new(Outside { signal_dbm: Some(-50), ..Outside::default() });
    while world.state() != State::Offloaded {
        world.run_ms(100);
    }
    world.run_ms(1500);
    assert!(world.bearer, "answers by cellular are lost");
    world.run(2);
    assert!(!world.bearer);
    world.signal(Some(-80));
    while world.route != Some(Link::Cellular) {
        world.run_ms(100);
    }
    world.run_ms(1500);
    assert!(world.leased, "answers by Wi-Fi are lost");
    world.run(2);
    assert!(!world.leased);
}

#[test]
fn fading_signal_brings_cellular_up_before_the_route_moves() {
    let mut world = offloaded();
    world.signal(Some(-80));
    world.run_ms(500);
    assert_eq!(world.state(), State::Returning);
    assert_eq!(world.route, Some(Link::Wlan), "the route moved before cellular was up");
    assert!(world.associated);
    world.run(10);
    assert_eq!(world.route, Some(Link::Cellular));
    assert_eq!(world.state(), State::Armed);
    assert!(!world.associated && !world.leased);
    assert_eq!(world.told(|n| matches!(n, Note::Returning { why: ReturnReason::SignalLow, .. })), 1);
}

#[test]
fn no_join_again_before_the_penalty_is_over() {
    let mut world = offloaded();
    world.signal(Some(-80));
    world.run(8);
    world.signal(Some(-50));
    let joins = world.joins.len();
    world.run(60);
    assert_eq!(world.joins.len(), joins + 1);
    assert_eq!(world.state(), State::Offloaded);
}

#[test]
fn a_signal_that_recovers_in_time_cancels_the_return() {
    let mut world = offloaded();
    world.outside.registered = false;
    world.modem_changed();
    world.run(2);
    world.signal(Some(-80));
    world.run(5);
    assert_eq!(world.state(), State::Returning);
    assert_eq!(world.route, Some(Link::Wlan));
    world.signal(Some(-50));
    world.run(5);
    assert_eq!(world.state(), State::Offloaded);
}

#[test]
fn sudden_silence_leads_back_to_cellular() {
    let mut world = offloaded();
    world.signal(None);
    world.run(10);
    assert_eq!(world.route, Some(Link::Cellular));
    assert_eq!(world.state(), State::Armed);
}

#[test]
fn wifi_without_internet_is_left() {
    let mut world = offloaded();
    world.outside.internet = false;
    world.run(60);
    assert_eq!(world.route, Some(Link::Cellular));
    assert!(world.told(|n| matches!(n, Note::Returning { why: ReturnReason::NoInternet, .. })) >= 1);
}

#[test]
fn wifi_without_internet_never_gets_the_route() {
    let mut world = World::new(Outside { signal_dbm: Some(-50), internet: false, ..Outside::default() });
    world.run(120);
    assert_eq!(world.told(|n| *n == Note::MovedToWifi), 0);
    assert_eq!(world.route, Some(Link::Cellular));
    assert_eq!(world.machine.status().last_failure.unwrap().code, "no-internet");
}

#[test]
fn each_join_failure_has_its_code_and_keeps_cellular() {
    for (failure, code) in [
        (JoinFailure::Rejected, "rejected-by-aaa"),
        (JoinFailure::ServerCertificate, "server-certificate"),
        (JoinFailure::Association, "association-failed"),
        (JoinFailure::AaaSilent, "aaa-silent"),
    ] {
        let mut world =
            World::new(Outside { signal_dbm: Some(-50), aaa: Some(failure), ..Outside::default() });
        world.run(8);
        assert_eq!(world.machine.status().last_failure.unwrap().code, code);
        assert_eq!(world.route, Some(Link::Cellular));
    }
}

#[test]
fn a_route_that_the_kernel_refuses_is_not_asked_for_in_a_storm() {
    let mut world = offloaded();
    world.outside.no_route = Some(Link::Cellular);
    world.signal(Some(-80));
    world.run(30);
    let failures = world.told(|n| matches!(n, Note::Failed { .. }));
    assert!((5..40).contains(&failures), "{failures} failures in 30 s");
    assert_eq!(world.route, Some(Link::Wlan), "the old route went before there was a new one");
    world.outside.no_route = None;
    world.run(5);
    assert_eq!(world.route, Some(Link::Cellular));
}

#[test]
fn a_rejected_credential_is_renewed_and_trust_seldom() {
    let mut rogue = World::new(Outside {
        signal_dbm: Some(-50),
        aaa: Some(JoinFailure::ServerCertificate),
        ..Outside::default()
    });
    rogue.run(300);
    assert_eq!(rogue.fetches, 2, "trust is asked for once, for it may have changed");
    rogue.run(7200);
    assert!(rogue.fetches <= 4, "{} fetches: a rogue access point steers the portal's load", rogue.fetches);
    assert_eq!(rogue.route, Some(Link::Cellular));

    let mut refused =
        World::new(Outside { signal_dbm: Some(-50), aaa: Some(JoinFailure::Rejected), ..Outside::default() });
    refused.run(300);
    assert!((2..20).contains(&refused.fetches), "{} fetches: none or a storm", refused.fetches);
    assert!(refused.joins.len() < 10, "{} joins are a lock-out storm", refused.joins.len());
}

#[test]
fn no_address_means_no_move() {
    let mut world = World::new(Outside { signal_dbm: Some(-50), dhcp: false, ..Outside::default() });
    world.run(30);
    assert_eq!(world.machine.status().last_failure.unwrap().code, "no-dhcp");
    assert_eq!(world.route, Some(Link::Cellular));
}

#[test]
fn a_refusing_portal_is_asked_again_but_not_in_a_storm() {
    let refused = provision::Event::Refused { reason: Reason::GatewayFeedSilent, retry_after: None };
    let mut world =
        World::new(Outside { signal_dbm: Some(-50), portal: Some(refused), ..Outside::default() });
    world.run(600);
    assert_eq!(world.state(), State::Attached);
    assert_eq!(world.machine.status().last_failure.unwrap().code, "gateway-feed-silent");
    assert!((4..12).contains(&world.fetches), "{} fetches in ten minutes", world.fetches);
    world.outside.portal = None;
    world.run(900);
    assert_eq!(world.state(), State::Offloaded);
}

#[test]
fn retry_after_is_obeyed() {
    let wait = std::time::Duration::from_secs(120);
    let refused = provision::Event::Refused { reason: Reason::NoSession, retry_after: Some(wait) };
    let mut world = World::new(Outside { portal: Some(refused), ..Outside::default() });
    world.run(119);
    assert_eq!(world.fetches, 1);
    world.run(60);
    assert_eq!(world.fetches, 2);
}

#[test]
fn a_kept_credential_works_without_cellular() {
    let stored = offloaded().saved.unwrap();
    let outside =
        Outside { signal_dbm: Some(-50), modem: Presence::NoModem, registered: false, ..Outside::default() };
    let mut world = World::restored(outside, Some(stored));
    world.run(20);
    assert_eq!(world.state(), State::Offloaded);
    assert_eq!(world.fetches, 0);
}

#[test]
fn another_sim_drops_the_kept_credential() {
    let stored = offloaded().saved.unwrap();
    let outside = Outside { imsi: "001019999999999", ..Outside::default() };
    let mut world = World::restored(outside, Some(stored.clone()));
    world.run(20);
    assert_eq!(world.fetches, 1);
    assert_ne!(world.saved.unwrap().subscriber, stored.subscriber);
}

#[test]
fn an_expired_credential_is_never_used_to_join() {
    let stored = Stored {
        current: Some(super::credential(1, super::world::EPOCH - 1000, Some(900))),
        ..Stored::default()
    };
    let outside =
        Outside { signal_dbm: Some(-50), modem: Presence::NoModem, registered: false, ..Outside::default() };
    let mut world = World::restored(outside, Some(stored));
    world.run(120);
    assert!(world.joins.is_empty());
    assert_eq!(world.state(), State::NoModem);
}

#[test]
fn renewal_comes_before_the_end_and_traffic_never_stops() {
    let mut world = World::new(Outside { signal_dbm: Some(-50), life: Some(600), ..Outside::default() });
    world.run(1500);
    assert!(world.fetches >= 3, "{} fetches in two and a half lives", world.fetches);
    assert!(world.route.is_some());
    assert!(world.told(|n| matches!(n, Note::Returning { why: ReturnReason::Expiring, .. })) >= 2);
}

#[test]
fn the_supplicant_may_die_and_come_back() {
    let mut world = offloaded();
    world.supplicant_dies();
    world.run(10);
    assert_eq!(world.route, Some(Link::Cellular));
    world.supplicant_returns();
    world.run(60);
    assert_eq!(world.state(), State::Offloaded);
}

#[test]
fn modem_manager_may_die_while_cellular_carries_the_traffic() {
    let mut world = World::new(Outside::default());
    world.run(10);
    world.outside.modem = Presence::NoModem;
    world.modem_changed();
    world.run(5);
    assert_eq!(world.route, Some(Link::Cellular), "an absent daemon is no proof of a lost bearer");
    world.outside.modem = Presence::Ready;
    world.modem_changed();
    world.run(10);
    assert_eq!(world.route, Some(Link::Cellular));
    assert!(world.bearer);
}

#[test]
fn a_late_modem_and_a_locked_one_are_waited_for() {
    let mut world = World::new(Outside { modem: Presence::Locked, registered: false, ..Outside::default() });
    world.run(5);
    assert_eq!(world.state(), State::Locked);
    world.outside.modem = Presence::Ready;
    world.modem_changed();
    world.run(5);
    assert_eq!(world.state(), State::Searching);
    world.outside.registered = true;
    world.modem_changed();
    world.run(120);
    assert_eq!(world.state(), State::Armed);
}

#[test]
fn a_person_can_leave_and_join() {
    let mut world = offloaded();
    world.say(UserWord::Leave);
    world.run(120);
    assert_eq!(world.route, Some(Link::Cellular), "held on cellular until somebody says join");
    world.say(UserWord::Join);
    world.run(20);
    assert_eq!(world.state(), State::Offloaded);
}
