//! Current, next and reserve: one usable credential once one was had, whatever happens to the others.

use provisioning::message::{Policy, Reason, Trigger};

use super::world::{EPOCH, Outside, World};
use crate::{
    machine::{Action, Note, ReturnReason, State, UserWord},
    modem::Presence,
    provision,
    vault::Stored,
    wlan::links::Link,
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

/// Walks away and stays away.
fn back_on_cellular(world: &mut World) {
    world.signal(Some(-80));
    world.run(10);
    assert_eq!(world.state(), State::Armed);
}

fn names(stored: &Stored) -> (Option<&str>, Option<&str>, usize) {
    fn name(credential: &provisioning::message::Credential) -> &str {
        credential.username.split('@').next().unwrap()
    }
    (stored.current.as_ref().map(name), stored.next.as_ref().map(name), stored.reserve.len())
}

#[test]
fn a_new_one_is_next_until_the_aaa_has_accepted_it() {
    let mut world = World::new(Outside::default());
    world.run(20);
    assert_eq!(names(world.saved.as_ref().unwrap()), (None, Some("user1"), 0));
    world.signal(Some(-50));
    world.run(60);
    assert_eq!(names(world.saved.as_ref().unwrap()), (Some("user1"), None, 0));
    back_on_cellular(&mut world);
    world.say(UserWord::Renew);
    world.run(5);
    assert_eq!(names(world.saved.as_ref().unwrap()), (Some("user1"), Some("user2"), 0));
    world.signal(Some(-50));
    world.run(60);
    assert_eq!(names(world.saved.as_ref().unwrap()), (Some("user2"), None, 0));
    assert_eq!(world.logins, ["user1@operator.example", "user2@operator.example"]);
}

#[test]
fn when_the_next_is_refused_the_old_one_is_used_and_another_asked_for() {
    let mut world = offloaded(near());
    back_on_cellular(&mut world);
    world.outside.refused = vec!["user2@operator.example".into(), "user3@operator.example".into()];
    world.say(UserWord::Renew);
    world.run(2);
    world.outside.portal = Some(provision::Event::Unreachable { step: "tcp", text: "refused".into() });
    world.signal(Some(-50));
    world.run(120);
    assert_eq!(world.logins.last().unwrap(), "user1@operator.example");
    assert_eq!(world.state(), State::Offloaded);
    assert_eq!(names(world.saved.as_ref().unwrap()), (Some("user1"), None, 0));
    assert_eq!(world.saved.as_ref().unwrap().renewal_due, Some(Trigger::Rejected));
    assert!(world.requests.iter().any(|(_, trigger)| *trigger == Trigger::Rejected));
}

#[test]
fn nothing_is_installed_under_an_association() {
    let mut outside = near();
    outside.policy.cellular_after_move = provisioning::message::AfterMove::Standby;
    outside.life = Some(1000);
    let mut world = offloaded(outside);
    world.actions.clear();
    world.run(830);
    assert_eq!(world.state(), State::Offloaded);
    assert_eq!(names(world.saved.as_ref().unwrap()), (Some("user1"), Some("user2"), 0));
    let installs = world
        .actions
        .iter()
        .filter(|action| matches!(action, Action::Supplicant(crate::supplicant::Command::Install { .. })));
    assert_eq!(installs.count(), 0);
    world.run(400);
    assert_eq!(world.logins.last().unwrap(), "user2@operator.example");
}

#[test]
fn what_is_relied_on_is_on_disk_before() {
    let mut world = World::new(Outside { one_time: true, ..near() });
    world.run(30);
    back_on_cellular(&mut world);
    world.signal(Some(-50));
    world.run(60);
    let mut kept = Stored::default();
    let mut installs = 0;
    for action in &world.actions {
        match action {
            Action::Save(stored) => kept = (**stored).clone(),
            Action::Supplicant(crate::supplicant::Command::Install { credential }) => {
                installs += 1;
                let held = [kept.current.as_ref(), kept.next.as_ref()];
                assert!(held.contains(&Some(credential)), "{} is not on disk", credential.username);
            }
            _ => {}
        }
    }
    assert!(installs >= 2);
}

#[test]
fn killed_at_any_save_a_usable_credential_is_left() {
    let mut world = offloaded(Outside { life: Some(900), ..near() });
    world.run(3000);
    let saves: Vec<Stored> = world
        .actions
        .iter()
        .filter_map(|action| if let Action::Save(stored) = action { Some((**stored).clone()) } else { None })
        .collect();
    assert!(saves.len() > 6, "{} saves in three lives", saves.len());
    for stored in saves.iter().filter(|stored| stored.current.is_some() || stored.next.is_some()) {
        let held = stored.next.as_ref().or(stored.current.as_ref()).unwrap();
        let mut again = World::restored(
            Outside { modem: Presence::NoModem, registered: false, ..near() },
            Some(stored.clone()),
        );
        again.wall_jumps(held.issued_at - EPOCH);
        again.run(20);
        assert_eq!(again.state(), State::Offloaded, "{stored:?}");
    }
}

fn one_time(reserve: u8) -> Outside {
    let policy = Policy { one_time_reserve: reserve, ..World::policy() };
    Outside { one_time: true, policy, ..near() }
}

#[test]
fn a_one_time_credential_is_used_once() {
    let mut world = offloaded(one_time(0));
    for _ in 0..4 {
        back_on_cellular(&mut world);
        world.signal(Some(-50));
        world.run(60);
        assert_eq!(world.state(), State::Offloaded);
    }
    let mut used = world.logins.clone();
    used.dedup();
    assert_eq!(used, world.logins, "one was used twice");
    assert_eq!(world.story.iter().filter(|(_, note)| matches!(note, Note::Failed { .. })).count(), 0);
}

#[test]
fn the_reserve_is_filled_while_cellular_is_there_and_used_without_it() {
    let mut world = World::new(Outside { signal_dbm: None, ..one_time(3) });
    world.run(60);
    assert_eq!(names(world.saved.as_ref().unwrap()), (None, Some("user1"), 3));
    assert_eq!(world.fetches, 4, "no more than policy and login need");
    world.signal(Some(-50));
    world.outside.registered = false;
    world.modem_changed();
    for round in 0..4 {
        world.say(UserWord::Join);
        world.run(40);
        assert_eq!(world.state(), State::Offloaded, "round {round}");
        world.say(UserWord::Leave);
        world.run(1);
        world.supplicant_dies();
        world.run(30);
        world.supplicant_returns();
        world.run(5);
    }
    world.say(UserWord::Join);
    world.run(60);
    assert_eq!(world.logins.len(), 4, "{:?}", world.logins);
    let mut names = world.logins.clone();
    names.dedup();
    assert_eq!(names.len(), 4);
}

#[test]
fn a_new_password_before_each_move_where_the_policy_says_so() {
    let policy = Policy { renew_before_move: true, ..World::policy() };
    let mut world = World::new(Outside { policy, ..Outside::default() });
    world.run(100);
    assert_eq!(world.fetches, 1);
    for _ in 0..3 {
        world.signal(Some(-50));
        world.run(120);
        assert_eq!(world.state(), State::Offloaded);
        back_on_cellular(&mut world);
        world.run(30);
    }
    let before = world.requests.iter().filter(|(_, trigger)| *trigger == Trigger::BeforeMove).count();
    assert_eq!(before, 3, "{:?}", world.requests);
    let mut used = world.logins.clone();
    used.dedup();
    assert_eq!(used.len(), 3);
}

#[test]
fn after_a_return_a_new_password_unless_the_grace_lets_the_old_one() {
    for (grace, joined) in [(0, false), (60, true)] {
        let policy = Policy { renew_after_return: true, offline_grace_secs: grace, ..World::policy() };
        let mut world = offloaded(Outside { policy, life: Some(5000), ..near() });
        world.outside.portal = Some(provision::Event::Unreachable { step: "tcp", text: "no route".into() });
        world.signal(Some(-80));
        world.run(10);
        world.signal(Some(-50));
        world.run(50);
        assert_eq!(world.joins.len(), 1, "before the grace is over");
        world.run(100);
        assert_eq!(world.joins.len() > 1, joined, "grace {grace}");
        // Never past its end.
        world.run(6000);
        let joins = world.joins.len();
        world.run(3000);
        assert_eq!(world.joins.len(), joins);
    }
}

#[test]
fn renewal_comes_in_the_middle_of_the_life_and_each_device_has_its_own_moment() {
    let mut moments = Vec::new();
    for seed in 0..20 {
        let mut world = World::seeded(Outside { life: Some(10_000), ..Outside::default() }, seed);
        world.run(8_100);
        let (at, trigger) = world.requests.get(1).copied().expect("renewed within 80 %");
        assert_eq!(trigger, Trigger::Expiry);
        assert!((5_000..8_100).contains(&at.as_secs()), "{at:?}");
        moments.push(at.as_secs() / 100);
    }
    moments.sort_unstable();
    moments.dedup();
    assert!(moments.len() > 8, "a fleet comes together: {moments:?}");
}

#[test]
fn periodic_renewal_outlives_a_restart() {
    let policy = Policy { renew_every_secs: 3600, ..World::policy() };
    let mut world = World::new(Outside { policy: policy.clone(), ..Outside::default() });
    world.run(3000);
    assert_eq!(world.fetches, 1);
    let mut again = World::restored(Outside { policy, ..Outside::default() }, world.saved);
    again.wall_jumps(3000);
    again.run(500);
    assert_eq!(again.fetches, 0);
    again.run(300);
    assert_eq!(again.requests.first().map(|(_, trigger)| *trigger), Some(Trigger::Periodic));
}

#[test]
fn a_right_that_was_taken_away_is_not_used_any_more() {
    let mut outside = near();
    outside.policy.cellular_after_move = provisioning::message::AfterMove::Standby;
    outside.life = Some(1000);
    let mut world = offloaded(outside);
    world.outside.portal = Some(provision::Event::Refused { reason: Reason::NotEntitled, retry_after: None });
    world.run(850);
    assert_eq!(world.route, Some(Link::Cellular));
    assert_eq!(world.told(|n| matches!(n, Note::Returning { why: ReturnReason::Revoked, .. })), 1);
    assert_eq!(world.installed, None, "it still stands in the supplicant");
    assert_eq!(names(world.saved.as_ref().unwrap()), (None, None, 0));
}

#[test]
fn the_network_s_faults_cost_no_request() {
    use crate::supplicant::JoinFailure::{AaaSilent, Association};
    for failure in [AaaSilent, Association] {
        let mut world = World::new(Outside { aaa: Some(failure), ..near() });
        world.run(3600);
        assert_eq!(world.fetches, 1, "{failure:?}");
    }
}
