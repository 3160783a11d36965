//! Open networks: the login before the probe, the log-off before the association goes, and what refusals lead to.

use std::time::Duration;

use provisioning::{message::Network, wispr::Wispr as Rules};

use super::world::{Outside, World};
use crate::{
    machine::{Action, Failure, Input, Note, ReturnReason, State, UserWord},
    supplicant,
    wispr::{Command, Event, Fault},
    wlan::{
        self,
        links::{self, Link},
    },
};

fn open() -> Outside {
    let mut outside = Outside { signal_dbm: Some(-50), ..Outside::default() };
    let login_names = vec!["login.hotspot.example".to_owned()];
    let rules = Rules { login_names, ..Rules::default() };
    outside.policy.networks = vec![Network { wispr: Some(rules), ..Network::new("corp", 10) }];
    outside
}

fn with(gateway: Event) -> World {
    let mut world = World::new(Outside { gateway: Some(gateway), ..open() });
    world.run(15);
    world
}

fn offloaded(outside: Outside) -> World {
    let mut world = World::new(outside);
    world.run(20);
    assert_eq!(world.state(), State::Offloaded, "{:#?}", world.story);
    world
}

fn failed(world: &World) -> Option<Failure> {
    world.story.iter().rev().find_map(|(_, note)| match note {
        Note::Failed { failure, .. } => Some(*failure),
        _ => None,
    })
}

/// Words for what was done, in order.
fn order(world: &World) -> Vec<&'static str> {
    let word = |action: &Action| match action {
        Action::Supplicant(supplicant::Command::Join { .. }) => Some("join"),
        Action::Links(links::Command::AcquireWlan { .. }) => Some("dhcp"),
        Action::Wispr(Command::LogOn(_)) => Some("log-on"),
        Action::Note(Note::ProbeOnline) => Some("proved"),
        Action::Note(Note::MovedToWifi) => Some("moved"),
        Action::Note(Note::MovedToCellular) => Some("back"),
        Action::Wispr(Command::LogOff) => Some("log-off"),
        Action::Wispr(Command::Forget) => Some("forget"),
        Action::Supplicant(supplicant::Command::Leave) => Some("leave"),
        Action::Note(Note::WifiLeft) => Some("left"),
        _ => None,
    };
    world.actions.iter().filter_map(word).collect()
}

#[test]
fn fig_6_goes_in_its_order() {
    let mut world = offloaded(open());
    world.signal(Some(-80));
    world.run(20);
    assert_eq!(world.state(), State::Armed);
    let wanted = ["join", "dhcp", "log-on", "proved", "moved", "back", "log-off", "leave", "left"];
    assert_eq!(order(&world), wanted);
    // The gateway was told over a link that stood.
    assert_eq!(world.gateway, [("log-on", true), ("log-off", true)]);
    assert_eq!(world.told(|note| *note == Note::LoggedOff { confirmed: true }), 1);
    assert_eq!(world.told, ["user1@operator.example"]);
}

#[test]
fn a_credential_has_worked_when_the_aaa_said_so_and_not_when_the_air_was_open() {
    let mut world = World::new(Outside { one_time: true, ..open() });
    while world.state() != State::LoggingIn {
        world.run_ms(50);
        assert!(world.now < Duration::from_secs(30));
    }
    assert!(world.saved.as_ref().is_some_and(|stored| stored.next.is_some() && !stored.spent));
    world.run(10);
    assert!(world.saved.as_ref().is_some_and(|stored| stored.spent), "a one-time credential is used up");
}

#[test]
fn a_refused_password_is_not_told_again() {
    let world = with(Event::Refused { text: "code 100: no".into() });
    assert_eq!(failed(&world), Some(Failure::Rejected));
    let mut world = world;
    world.run(600);
    let mut told = world.told.clone();
    told.sort();
    told.dedup();
    assert_eq!(told.len(), world.told.len(), "one login each: {:?}", world.told);
    assert!(world.fetches >= 2, "a new one is fetched");
    assert!(world.gateway.iter().all(|(what, _)| *what == "log-on"), "there is no session to end");
}

#[test]
fn each_fault_has_its_code_and_the_credential_stays() {
    for (fault, code) in [
        (Fault::NoGateway, "captive-portal"),
        (Fault::Name, "wispr-login-name"),
        (Fault::Location, "wispr-location"),
        (Fault::Certificate, "server-certificate"),
        (Fault::Radius, "wispr-radius"),
        (Fault::Gateway, "wispr-gateway"),
        (Fault::Pending, "wispr-pending"),
        (Fault::Protocol, "wispr-protocol"),
        (Fault::Unreachable, "wispr-unreachable"),
        (Fault::NotOpen, "no-internet"),
    ] {
        let world = with(Event::Failed { fault, text: String::new() });
        let failure = failed(&world).expect("a failure");
        assert_eq!(failure.code(), code);
        assert!(!failure.remedy().is_empty());
        assert_eq!(world.route, Some(Link::Cellular));
        assert!(world.saved.as_ref().is_some_and(|stored| stored.next.is_some()), "{code}");
    }
    // The portal has told the time: the clock is not what is wrong.
    let world = with(Event::Failed { fault: Fault::CertificateDate, text: String::new() });
    assert_eq!(failed(&world), Some(Failure::ServerCertificate));
}

#[test]
fn nobody_waits_for_a_gateway_that_says_nothing() {
    let mut world = offloaded(Outside { mute: true, ..open() });
    world.say(UserWord::Leave);
    world.run(30);
    assert_eq!(world.state(), State::Armed);
    assert!(!world.associated && !world.leased);
    assert_eq!(world.told(|note| *note == Note::LoggedOff { confirmed: false }), 1);
    assert_eq!(world.gateway, [("log-on", true), ("log-off", true), ("forget", true)]);
}

#[test]
fn a_dead_link_is_not_waited_for() {
    let mut world = offloaded(open());
    world.associated = false;
    world.tell(Input::Wlan(wlan::Event::Disassociated { reason: None }));
    world.run(5);
    assert_eq!(world.gateway.get(1).map(|(what, _)| *what), Some("forget"));
    assert!(world.gateway.iter().all(|(what, _)| *what != "log-off"));
    assert_eq!(world.route, Some(Link::Cellular));
}

#[test]
fn nothing_is_joined_before_the_gateway_was_told() {
    let mut world = offloaded(Outside { mute: true, ..open() });
    world.say(UserWord::Leave);
    while !world.gateway.iter().any(|(what, _)| *what == "log-off") {
        world.run_ms(50);
        assert!(world.now < Duration::from_secs(60));
    }
    let joins = world.joins.len();
    world.say(UserWord::Join);
    world.run(4);
    assert_eq!(world.joins.len(), joins);
    assert!(world.associated, "the link stands while the gateway is told");
    world.run(30);
    assert_eq!(world.joins.len(), joins + 1, "{:#?}", world.story);
}

#[test]
fn a_login_that_is_given_up_is_called_off() {
    let mut world = World::new(open());
    while world.state() != State::LoggingIn {
        world.run_ms(50);
        assert!(world.now < Duration::from_secs(30));
    }
    world.say(UserWord::Leave);
    world.run(5);
    assert_eq!(world.gateway, [("log-on", true), ("log-off", true)]);
    assert_eq!(world.state(), State::Armed);
    assert!(!world.associated);
}

#[test]
fn wifi_is_left_before_the_session_ends() {
    let gateway = "login.hotspot.example".to_owned();
    let ends_in = Some(Duration::from_secs(100));
    let mut world =
        offloaded(Outside { gateway: Some(Event::LoggedOn { gateway, location: None, ends_in }), ..open() });
    let on = world.story.iter().find(|(_, note)| matches!(note, Note::LoggedOn { .. })).expect("logged on").0;
    world.run(90);
    let back = world.story.iter().find(|(_, note)| *note == Note::MovedToCellular).expect("back").0;
    assert!(back - on < Duration::from_secs(100), "{:?}", back - on);
    let why = |note: &Note| matches!(note, Note::Returning { why: ReturnReason::SessionEnding, .. });
    assert_eq!(world.told(why), 1);
    world.run(60);
    assert!(world.told.len() >= 2, "logged on again: {:#?}", world.story);
}

#[test]
fn a_session_that_the_gateway_ended_is_left_and_begun_anew() {
    let mut world = offloaded(open());
    world.outside.captive = true;
    world.say(UserWord::Resumed);
    world.run(2);
    let why = |note: &Note| matches!(note, Note::Returning { why: ReturnReason::SessionEnded, .. });
    assert_eq!(world.told(why), 1, "{:#?}", world.story);
    world.run(8);
    assert_eq!(world.route, Some(Link::Cellular));
    assert!(world.gateway.iter().all(|(what, _)| *what != "log-off"), "there is no session to end");
    world.outside.captive = false;
    world.run(60);
    assert_eq!(world.state(), State::Offloaded, "{:#?}", world.story);
    assert_eq!(world.gateway.iter().filter(|(what, _)| *what == "log-on").count(), 2);
}

#[test]
fn a_gateway_that_knows_us_wants_no_login() {
    let mut world = with(Event::Online);
    world.run(10);
    assert_eq!(world.state(), State::Offloaded);
}
