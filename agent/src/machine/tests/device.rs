//! SIM, MAC address, owners of the interface, the clock.

use provisioning::{identity::Mac, message::MacMode};

use super::world::{EPOCH, Outside, PERMANENT, World};
use crate::{
    machine::{Action, Input, Note, ReturnReason, State, UserWord},
    modem::{self, Lock, Presence},
    provision::{DATE, Event},
    supplicant::{JoinFailure, Owner},
    wlan::links::Link,
};

fn near() -> Outside {
    Outside { signal_dbm: Some(-50), ..Outside::default() }
}

fn locked(lock: Lock) -> World {
    World::new(Outside { modem: Presence::Locked, registered: false, lock: Some(lock), ..Outside::default() })
}

fn code(world: &World) -> Option<String> {
    world.machine.status().last_failure.map(|failure| failure.code)
}

#[test]
fn the_pin_is_sent_once_for_a_lock() {
    let mut world = locked(Lock::Pin { retries: Some(3) });
    for _ in 0..5 {
        world.modem_changed();
        world.run(2);
    }
    assert_eq!(world.unlocks, 1);
    world.tell(Input::Modem(modem::Event::UnlockFailed("incorrect password".into())));
    world.outside.lock = Some(Lock::Pin { retries: Some(2) });
    world.modem_changed();
    // ModemManager dies and comes back: still the same lock.
    world.outside.modem = Presence::NoModem;
    world.modem_changed();
    world.run(5);
    world.outside.modem = Presence::Locked;
    world.modem_changed();
    world.run(5);
    assert_eq!(world.unlocks, 1, "the second try of a wrong PIN");
    assert_eq!(code(&world).as_deref(), Some("sim-locked"));
}

#[test]
fn the_last_try_belongs_to_a_person() {
    for lock in [Lock::Pin { retries: Some(1) }, Lock::Pin { retries: Some(0) }, Lock::Other] {
        let mut world = locked(lock);
        world.run(60);
        assert_eq!(world.unlocks, 0, "{lock:?}");
        assert_eq!(code(&world).as_deref(), Some("sim-locked"));
        assert!(world.machine.status().last_failure.unwrap().remedy.contains("mmcli"));
    }
}

#[test]
fn a_lock_that_was_opened_may_be_opened_again() {
    let mut world = locked(Lock::Pin { retries: Some(3) });
    world.run(1);
    world.outside = Outside::default();
    world.modem_changed();
    world.run(30);
    assert_eq!(world.state(), State::Armed);
    world.outside.modem = Presence::Locked;
    world.outside.lock = Some(Lock::Pin { retries: Some(3) });
    world.modem_changed();
    world.run(1);
    assert_eq!(world.unlocks, 2);
}

#[test]
fn a_missing_sim_has_a_line_of_its_own() {
    let mut world =
        World::new(Outside { modem: Presence::SimMissing, registered: false, ..Outside::default() });
    world.run(5);
    assert_eq!(code(&world).as_deref(), Some("sim-missing"));
    assert_eq!(world.machine.status().cellular.modem, "sim-missing");
}

#[test]
fn another_sim_ends_the_stay_on_wifi_and_takes_everything_along() {
    let mut world = World::new(Outside { one_time: true, ..near() });
    world.outside.policy.one_time_reserve = 2;
    world.outside.policy.cellular_after_move = provisioning::message::AfterMove::Standby;
    world.run(60);
    assert_eq!(world.state(), State::Offloaded);
    assert!(world.saved.as_ref().unwrap().reserve.len() == 2);
    let fetches = world.fetches;
    world.outside.imsi = "001019999999999";
    // The new subscriber gets nothing yet: what is left is what was dropped.
    world.outside.portal = Some(Event::Unreachable { step: "tcp", text: String::new() });
    world.modem_changed();
    world.run(10);
    assert_eq!(world.told(|n| matches!(n, Note::Returning { why: ReturnReason::SimChanged, .. })), 1);
    assert_eq!(world.route, Some(Link::Cellular));
    assert_eq!(world.installed, None, "the old SIM's password stands in the supplicant");
    let saved = world.saved.as_ref().unwrap();
    assert!(saved.current.is_none() && saved.next.is_none() && saved.reserve.is_empty());
    assert!(world.fetches > fetches, "nothing was asked for the new SIM");
}

#[test]
fn roaming_may_be_too_dear_for_the_portal() {
    let outside = Outside { roaming: true, ..Outside::default() };
    let mut world = World::with(outside.clone(), |settings| settings.provision_while_roaming = false);
    world.run(60);
    assert_eq!((world.fetches, world.route), (0, Some(Link::Cellular)));
    world.outside.roaming = false;
    world.modem_changed();
    world.run(5);
    assert_eq!(world.fetches, 1);
    let mut dear = World::with(outside, |settings| settings.allow_roaming = false);
    dear.run(60);
    assert_eq!(dear.route, None);
}

const ISSUED: Mac = Mac([2, 0x5a, 0, 0, 0, 9]);

#[test]
fn the_issued_address_is_on_the_card_before_the_login() {
    let mut world = World::new(Outside { mac_mode: MacMode::Issued(ISSUED), ..near() });
    world.run(20);
    assert_eq!(world.state(), State::Offloaded);
    assert_eq!((world.macs.as_slice(), world.mac), ([ISSUED].as_slice(), ISSUED));
    // The next credential is bound to the card's own address again.
    world.signal(Some(-80));
    world.run(10);
    world.outside.mac_mode = MacMode::Permanent;
    world.say(UserWord::Renew);
    world.run(5);
    world.signal(Some(-50));
    world.run(60);
    assert_eq!(world.state(), State::Offloaded);
    assert_eq!(world.mac, PERMANENT);
}

#[test]
fn a_card_that_keeps_its_address_does_not_log_in() {
    let mut world = World::new(Outside { mac_mode: MacMode::Issued(ISSUED), mac_fixed: true, ..near() });
    world.run(60);
    assert!(world.joins.is_empty(), "the wrong address was on the air");
    assert_eq!(code(&world).as_deref(), Some("mac-refused"));
    assert_eq!(world.route, Some(Link::Cellular));
}

#[test]
fn unbound_leaves_the_address_alone() {
    let mut world = World::new(Outside { mac_mode: MacMode::Unbound, ..near() });
    world.mac = ISSUED;
    world.run(20);
    assert_eq!(world.state(), State::Offloaded);
    assert!(world.macs.is_empty());
}

#[test]
fn the_owner_s_address_is_adopted_and_no_other_asked_for() {
    let owner = Some(Owner::NetworkManager);
    let mut world = World::new(Outside { owner, mac_mode: MacMode::Issued(ISSUED), ..near() });
    world.run(20);
    assert_eq!(world.state(), State::Offloaded);
    assert_eq!(world.addresses, ["adopt"]);
    assert!(world.macs.is_empty(), "NetworkManager sets the address itself");
    assert_eq!(world.machine.status().wlan.owner, owner);
    let mut own = World::new(Outside { owner: Some(Owner::WpaSupplicant), ..near() });
    own.run(20);
    assert_eq!(own.addresses, ["acquire"]);
}

#[test]
fn a_clock_of_1970_is_set_and_a_kept_credential_survives_it() {
    let stored = {
        let mut world = World::new(Outside { life: Some(86_400), ..near() });
        world.run(20);
        world.saved
    };
    let mut world =
        World::restored(Outside { life: Some(86_400), network_time: Some(EPOCH + 60), ..near() }, stored);
    world.wall_is(40);
    world.run(20);
    assert_eq!(world.clock_sets.last().map(|at| at.abs_diff(EPOCH + 60) < 30), Some(true));
    assert_eq!(world.state(), State::Offloaded);
    assert_eq!(world.fetches, 0, "a credential in its prime was thrown away");
}

#[test]
fn a_clock_of_2040_does_not_end_a_credential_once_the_network_has_told() {
    let stored = {
        let mut world = World::new(Outside { life: Some(86_400), ..near() });
        world.run(20);
        world.saved
    };
    let mut world =
        World::restored(Outside { life: Some(86_400), network_time: Some(EPOCH + 60), ..near() }, stored);
    world.wall_is(2_208_988_800);
    world.run(20);
    assert_eq!(world.state(), State::Offloaded);
    assert_eq!(world.fetches, 0);
    assert_eq!(world.clock_sets.len(), 1);
}

#[test]
fn while_nobody_has_told_the_time_a_certificate_of_another_time_is_the_clocks_matter() {
    let date = Event::Unreachable { step: DATE, text: "expired".into() };
    let mut world = World::new(Outside { portal: Some(date.clone()), ..near() });
    world.wall_is(2_208_988_800);
    world.run(200);
    assert_eq!((code(&world).as_deref(), world.fetches > 3), (Some("clock"), true));
    // The network tells: the clock is set before the portal is asked, and the portal at once, whatever the back-off.
    (world.outside.portal, world.outside.network_time) = (None, Some(EPOCH + 200));
    let asked = world.actions.len();
    world.modem_changed();
    world.run_ms(100);
    let told = &world.actions[asked..];
    let place = |wanted: fn(&Action) -> bool| told.iter().position(wanted).unwrap();
    let set = place(|action| matches!(action, Action::SetClock(_)));
    assert!(set < place(|action| matches!(action, Action::Portal(_))));
    world.run(20);
    assert_eq!((world.state(), code(&world)), (State::Offloaded, None));
    // From now on it is the certificate that is wrong.
    world.outside.portal = Some(date);
    world.say(UserWord::Renew);
    world.say(UserWord::Leave);
    world.run(20);
    assert_eq!(code(&world).as_deref(), Some("portal-unreachable"));
}

#[test]
fn an_aaa_of_another_time_is_tried_again_when_the_clock_is_right() {
    let stored = {
        let mut world = World::new(Outside { life: None, ..near() });
        world.run(20);
        world.saved
    };
    let aaa = Some(JoinFailure::CertificateDate);
    let portal = Some(Event::Unreachable { step: DATE, text: "expired".into() });
    let mut world = World::restored(Outside { aaa, portal, ..near() }, stored);
    world.wall_is(2_208_988_800);
    world.run(300);
    assert_eq!(code(&world).as_deref(), Some("clock"));
    let tries = world.logins.len();
    assert!((2..12).contains(&tries), "{tries}");
    (world.outside.aaa, world.outside.portal) = (None, None);
    world.outside.network_time = Some(EPOCH + 300);
    world.modem_changed();
    world.run(10);
    assert_eq!((world.state(), code(&world)), (State::Offloaded, None));
    // The same refusal with a clock that the network has confirmed is the certificate's fault.
    let mut world = World::new(Outside { aaa, network_time: Some(EPOCH), ..near() });
    world.run(20);
    assert_eq!(code(&world).as_deref(), Some("server-certificate"));
}

#[test]
fn a_leaping_clock_neither_ends_nor_revives() {
    let mut world = World::new(Outside { life: Some(100_000), ..near() });
    world.run(20);
    let logins = world.logins.len();
    world.wall_jumps(50_000_000);
    world.run(60);
    assert_eq!((world.state(), world.logins.len()), (State::Offloaded, logins));
}
