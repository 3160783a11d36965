//! The portal by SMS: when there is no data, and when not.

use std::time::Duration;

use provisioning::message::Reason;

use super::world::{EPOCH, Outside, World};
use crate::{
    machine::{Input, Note, SmsUse, State},
    provision,
    wlan::links::Link,
};

const AFTER: Duration = Duration::from_secs(60);

fn without_data() -> Outside {
    Outside { signal_dbm: Some(-50), no_data: true, sms: SmsUse::Fallback(AFTER), ..Outside::default() }
}

#[test]
fn fig_2_without_any_data_ends_on_wifi() {
    let mut world = World::new(without_data());
    world.run(55);
    assert_eq!((world.fetches, world.state()), (0, State::Searching), "data is waited for");
    world.run(30);
    assert_eq!(world.by_sms.len(), 1);
    assert!(!world.bearer && !world.configured);
    assert_eq!((world.state(), world.route), (State::Offloaded, Some(Link::Wlan)), "{:#?}", world.story);
    assert_eq!(world.told(|n| matches!(n, Note::CredentialRequested { by_sms: true, .. })), 1);
}

#[test]
fn with_data_no_message_is_paid_for() {
    let mut world = World::new(Outside { no_data: false, ..without_data() });
    world.run(600);
    assert_eq!((world.fetches, world.by_sms.len()), (1, 0));
    // Cellular down by choice is no missing data.
    assert_eq!(world.state(), State::Offloaded);
    assert!(!world.bearer);
    let mut never = World::new(Outside { sms: SmsUse::Never, ..without_data() });
    never.run(3600);
    assert_eq!(never.fetches, 0);
    let mut always = World::new(Outside { no_data: false, sms: SmsUse::Always, ..without_data() });
    always.run(60);
    assert_eq!((always.fetches, always.by_sms.len(), always.state()), (1, 1, State::Offloaded));
}

#[test]
fn a_network_that_takes_no_messages_is_not_asked() {
    let mut world = World::new(Outside { registered: false, ..without_data() });
    world.run(600);
    assert_eq!(world.fetches, 0);
    world.outside.registered = true;
    world.modem_changed();
    world.run(50);
    assert_eq!(world.fetches, 0, "the wait begins when messages could go");
    world.run(20);
    assert_eq!(world.by_sms.len(), 1);
}

#[test]
fn no_answer_is_asked_for_again_seldom() {
    let mut world = World::new(Outside { no_sms: true, ..without_data() });
    world.run(360);
    assert_eq!(world.by_sms.len(), 1, "an answer may take its time");
    world.run(3600);
    assert!((4..12).contains(&world.by_sms.len()), "{} in an hour", world.by_sms.len());
    assert_eq!(world.machine.status().last_failure.unwrap().code, "portal-unreachable");
    world.outside.no_sms = false;
    world.run(1500);
    assert_eq!(world.state(), State::Offloaded);
}

#[test]
fn the_portals_time_mends_a_wrong_clock() {
    let mut world = World::new(Outside {
        portal: Some(provision::Event::Refused {
            reason: Reason::TemporarilyUnavailable,
            retry_after: Some(Duration::from_secs(5)),
        }),
        ..without_data()
    });
    world.wall_is(0);
    world.run(65);
    world.give(Input::Portal(provision::Event::Time(EPOCH + 65)));
    assert!(
        world.clock_sets.last().is_some_and(|set| set.abs_diff(EPOCH + 65) < 2),
        "{:?}",
        world.clock_sets
    );
}

#[test]
fn a_credential_that_comes_by_sms_is_waited_for_though_data_goes() {
    let mut world =
        World::new(Outside { delivery: true, sms: SmsUse::Never, no_data: false, ..without_data() });
    world.run(3);
    assert_eq!((world.fetches, world.state()), (1, State::Provisioning));
    world.outside.registered = false;
    world.modem_changed();
    world.run(15);
    assert_eq!(world.fetches, 1, "asked again though it was on its way");
    assert_eq!(world.told(|n| matches!(n, Note::CredentialReceived { .. })), 1);
}
