//! Random lives: whatever happens in whatever order, these hold.

use proptest::prelude::*;
use provisioning::message::Reason;

use super::world::{Outside, World};
use crate::{
    machine::{State, UserWord},
    modem::Presence,
    provision,
    supplicant::JoinFailure,
    wlan::links::Link,
};

#[derive(Debug, Clone)]
enum Happening {
    Wait(u64),
    Signal(Option<i32>),
    Internet(bool),
    Registered(bool),
    Modem(Presence),
    SupplicantDies,
    SupplicantReturns,
    Aaa(Option<JoinFailure>),
    Dhcp(bool),
    PortalRefuses(bool),
    User(UserWord),
    Busy(bool),
    WallJumps(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        5 => (1u64..40).prop_map(Happening::Wait),
        4 => prop_oneof![Just(None), (-95i32..-30).prop_map(Some)].prop_map(Happening::Signal),
        1 => any::<bool>().prop_map(Happening::Internet),
        1 => any::<bool>().prop_map(Happening::Registered),
        1 => prop_oneof![Just(Presence::Ready), Just(Presence::NoModem), Just(Presence::Locked)]
            .prop_map(Happening::Modem),
        1 => Just(Happening::SupplicantDies),
        1 => Just(Happening::SupplicantReturns),
        1 => prop_oneof![
            Just(None),
            Just(Some(JoinFailure::Rejected)),
            Just(Some(JoinFailure::ServerCertificate))
        ]
        .prop_map(Happening::Aaa),
        1 => any::<bool>().prop_map(Happening::Dhcp),
        1 => any::<bool>().prop_map(Happening::PortalRefuses),
        1 => prop_oneof![
            Just(UserWord::Join),
            Just(UserWord::Leave),
            Just(UserWord::Renew),
            Just(UserWord::Resumed)
        ]
        .prop_map(Happening::User),
        1 => any::<bool>().prop_map(Happening::Busy),
        1 => (1u64..100_000).prop_map(Happening::WallJumps),
    ]
}

fn happen(world: &mut World, happening: Happening) {
    match happening {
        Happening::Wait(secs) => world.run(secs),
        Happening::Signal(dbm) => world.signal(dbm),
        Happening::Internet(there) => world.outside.internet = there,
        Happening::Registered(yes) => {
            world.outside.registered = yes;
            world.modem_changed();
        }
        Happening::Modem(presence) => {
            world.outside.modem = presence;
            world.modem_changed();
        }
        Happening::SupplicantDies => world.supplicant_dies(),
        Happening::SupplicantReturns => world.supplicant_returns(),
        Happening::Aaa(failure) => world.outside.aaa = failure,
        Happening::Dhcp(answers) => world.outside.dhcp = answers,
        Happening::PortalRefuses(refuses) => {
            let event = provision::Event::Refused { reason: Reason::NoSession, retry_after: None };
            world.outside.portal = refuses.then_some(event);
        }
        Happening::User(word) => world.say(word),
        Happening::Busy(busy) => world.outside.busy = busy,
        Happening::WallJumps(secs) => world.wall_jumps(secs),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn hold_in_every_life(
        life in prop_oneof![Just(None), (60u64..5_000).prop_map(Some)],
        happenings in prop::collection::vec(happening(), 1..60),
    ) {
        let mut world = World::new(Outside { life, signal_dbm: Some(-50), ..Outside::default() });
        for happening in happenings {
            happen(&mut world, happening);
            // Whoever has the traffic also has an address.
            prop_assert!(world.route != Some(Link::Cellular) || world.configured);
            // Wi-Fi has the traffic only in the states that say so.
            if world.route == Some(Link::Wlan) {
                prop_assert!(
                    matches!(world.state(), State::Verifying | State::Offloaded | State::Returning),
                    "Wi-Fi has the route in state {}",
                    world.state()
                );
            }
        }
        // In the end, with everything well again, there is a route, and it is Wi-Fi's.
        world.outside = Outside { signal_dbm: Some(-50), ..Outside::default() };
        world.signal(Some(-50));
        world.supplicant_returns();
        world.modem_changed();
        world.say(UserWord::Join);
        world.run(2_000);
        prop_assert_eq!(world.route, Some(Link::Wlan), "{:?} {:?}", world.state(), world.machine.status());
    }

    #[test]
    fn a_hovering_signal_does_not_make_it_flap(levels in prop::collection::vec(-90i32..-40, 30..120)) {
        let mut world = World::new(Outside::default());
        world.run(5);
        for dbm in levels {
            world.signal(Some(dbm));
            world.run(1);
        }
        for pair in world.joins.windows(2) {
            if let [earlier, later] = pair {
                let pause = later.saturating_sub(*earlier).as_secs();
                prop_assert!(pause >= u64::from(World::policy().penalty_secs), "joined again after {pause} s");
            }
        }
    }

    #[test]
    fn with_cellular_and_wifi_well_there_is_always_a_route(
        signals in prop::collection::vec((prop_oneof![Just(-50i32), Just(-80), Just(-70)], 1u64..30), 1..40),
    ) {
        let mut world = World::new(Outside::default());
        world.run(5);
        for (dbm, secs) in signals {
            world.signal(Some(dbm));
            for _ in 0..secs {
                world.run(1);
                prop_assert!(world.route.is_some(), "no route in state {}", world.state());
            }
        }
    }
}
