//! Random lives: whatever happens in whatever order, these hold.

use std::time::Duration;

use proptest::prelude::*;
use provisioning::{
    identity::Mac,
    message::{AfterMove, MAX_RESERVE, MacMode, Policy, Reason, Sequence},
};

use super::world::{EPOCH, Outside, World};
use crate::{
    machine::{Input, Note, SmsUse, State, UserWord},
    modem::{Lock, Presence},
    provision,
    supplicant::{JoinFailure, Owner},
    wlan::links::{self, Link},
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
    NetworkTime(Option<u64>),
    Suspect,
    Roaming(bool),
    Lock(Option<Lock>),
    Sim(&'static str),
    PortalTakesAway,
    AaaRefuses(u64),
    MacFixed(bool),
    NoData(bool),
    NoSms(bool),
    Delivery(bool),
    Killed,
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
        1 => prop_oneof![Just(None), (EPOCH..EPOCH + 9_000_000).prop_map(Some)].prop_map(Happening::NetworkTime),
        2 => Just(Happening::Suspect),
        1 => any::<bool>().prop_map(Happening::Roaming),
        1 => prop_oneof![Just(None), Just(Some(Lock::Other)), (0u32..4).prop_map(|retries| {
            Some(Lock::Pin { retries: Some(retries) })
        })]
        .prop_map(Happening::Lock),
        1 => prop_oneof![Just("001010123456789"), Just("001019999999999")].prop_map(Happening::Sim),
        1 => Just(Happening::PortalTakesAway),
        1 => (1u64..12).prop_map(Happening::AaaRefuses),
        1 => any::<bool>().prop_map(Happening::MacFixed),
        1 => any::<bool>().prop_map(Happening::NoData),
        1 => any::<bool>().prop_map(Happening::NoSms),
        1 => any::<bool>().prop_map(Happening::Delivery),
        1 => Just(Happening::Killed),
    ]
}

/// Any policy, any kind of credential.
fn outside() -> impl Strategy<Value = Outside> {
    let life = prop_oneof![Just(None), (60u64..5_000).prop_map(Some)];
    let after = prop_oneof![Just(AfterMove::Down), Just(AfterMove::Standby), Just(AfterMove::Backup)];
    let sequence = prop_oneof![3 => Just(Sequence::MakeBeforeBreak), 1 => Just(Sequence::BreakBeforeMake)];
    let mac = prop_oneof![
        Just(MacMode::Permanent),
        Just(MacMode::Unbound),
        Just(MacMode::Issued(Mac([2, 0, 0, 0, 7, 7])))
    ];
    let owner = prop_oneof![Just(None), Just(Some(Owner::NetworkManager))];
    let renew = (any::<bool>(), any::<bool>(), prop_oneof![Just(0u64), Just(100)], 0u8..4, 0u32..100);
    let sms = prop_oneof![
        2 => Just(SmsUse::Never),
        2 => Just(SmsUse::Fallback(Duration::from_secs(20))),
        1 => Just(SmsUse::Always)
    ];
    (life, after, sequence, mac, owner, renew, any::<bool>(), sms).prop_map(
        |(life, after, sequence, mac_mode, owner, renew, one_time, sms)| {
            let (renew_after_return, renew_before_move, renew_every_secs, one_time_reserve, grace) = renew;
            let policy = Policy {
                cellular_after_move: after,
                sequence,
                renew_after_return,
                renew_before_move,
                renew_every_secs,
                one_time_reserve,
                offline_grace_secs: grace,
                ..World::policy()
            };
            Outside {
                life,
                policy,
                mac_mode,
                owner,
                one_time,
                sms,
                signal_dbm: Some(-50),
                ..Outside::default()
            }
        },
    )
}

/// At most so many of these moments within any time so long.
fn bounded(moments: &[Duration], within: u64, most: usize) -> bool {
    moments.windows(most + 1).all(|window| {
        matches!(window, [first, .., last] if last.saturating_sub(*first) > Duration::from_secs(within))
    })
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
        Happening::NetworkTime(unix) => {
            world.outside.network_time = unix;
            world.modem_changed();
        }
        Happening::Suspect => world.tell(Input::Links(links::Event::Suspect(Link::Wlan))),
        Happening::Roaming(yes) => {
            world.outside.roaming = yes;
            world.modem_changed();
        }
        Happening::Lock(lock) => {
            world.outside.lock = lock;
            world.outside.modem = if lock.is_some() { Presence::Locked } else { Presence::Ready };
            world.modem_changed();
        }
        Happening::Sim(imsi) => {
            world.outside.imsi = imsi;
            world.modem_changed();
        }
        Happening::PortalTakesAway => {
            world.outside.portal =
                Some(provision::Event::Refused { reason: Reason::NotEntitled, retry_after: None });
        }
        Happening::AaaRefuses(n) => world.outside.refused.push(format!("user{n}@operator.example")),
        Happening::MacFixed(fixed) => world.outside.mac_fixed = fixed,
        Happening::NoData(none) => {
            world.outside.no_data = none;
            world.bearer &= !none;
            world.modem_changed();
        }
        Happening::NoSms(none) => world.outside.no_sms = none,
        Happening::Delivery(by_sms) => world.outside.delivery = by_sms,
        Happening::Killed => world.killed(),
    }
}

fn kept_is_bounded(world: &World) -> bool {
    world.saved.as_ref().is_none_or(|kept| kept.reserve.len() <= usize::from(MAX_RESERVE))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn hold_in_every_life(outside in outside(), happenings in prop::collection::vec(happening(), 1..80)) {
        let mut world = World::new(outside.clone());
        // What may leave the device without a credential that it can use.
        let mut excused = outside.one_time || outside.life.is_some();
        let words = happenings.len();
        for happening in happenings {
            excused |= matches!(
                happening,
                Happening::Sim(_)
                    | Happening::PortalTakesAway
                    | Happening::AaaRefuses(_)
                    | Happening::Aaa(Some(JoinFailure::Rejected))
            );
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
            if let Some(kept) = world.saved.as_ref().filter(|_| !excused && world.fetches > 0) {
                let current = kept.current.is_some() && !kept.spent;
                prop_assert!(world.told(|n| matches!(n, Note::CredentialReceived { .. })) == 0
                    || current || kept.next.is_some(), "nothing usable is kept: {kept:?}");
            }
            prop_assert!(kept_is_bounded(&world));
        }
        // Cellular stood ready and carried nothing: never for longer than the kernel needs.
        prop_assert!(world.longest_gap <= Duration::from_millis(1500), "{:?} without a route", world.longest_gap);
        // No flapping faster than the dwell time, no storm of anything.
        let dwell = Duration::from_secs(World::policy().dwell_secs.into());
        let moved: Vec<Duration> =
            world.story.iter().filter(|(_, note)| *note == Note::MovedToWifi).map(|(at, _)| *at).collect();
        for moments in [&world.joins, &moved] {
            prop_assert!(moments.windows(2).all(|pair| matches!(pair, [a, b] if *b - *a >= dwell)), "{moments:?}");
        }
        prop_assert!(bounded(&world.probes, 1, 4), "probes: {:?}", world.probes);
        let asked: Vec<Duration> = world.requests.iter().map(|(at, _)| *at).collect();
        prop_assert!(bounded(&asked, 60, 24 + words), "requests: {:?}", world.requests);
        prop_assert!(outside.sms != SmsUse::Never || world.by_sms.is_empty());
        prop_assert!(bounded(&world.by_sms, 60, 24 + words), "by SMS: {:?}", world.by_sms);
        let most = 40 + 8 * words as u64 + 6 * world.fetches + 4 * world.joins.len() as u64;
        prop_assert!(world.saves <= most, "{} saves, {} requests", world.saves, world.fetches);

        // In the end, with everything well again, there is a route, and it is Wi-Fi's.
        world.outside = Outside { signal_dbm: Some(-50), owner: outside.owner, ..Outside::default() };
        world.signal(Some(-50));
        world.supplicant_returns();
        world.modem_changed();
        world.say(UserWord::Join);
        world.run(3_000);
        // It may just be on its way from one credential to the next.
        for _ in 0..10 {
            if world.route != Some(Link::Wlan) {
                world.run(60);
            }
        }
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
