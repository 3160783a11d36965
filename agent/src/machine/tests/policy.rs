//! Signed policies obeyed, refused, kept over restarts; what of the policy decides about Wi-Fi; reports.

use provisioning::{
    message::{ApFilter, Network, Offload, Policy, Threshold, Trigger, UseCredential},
    report::Outcome,
    signed::{Claims, PolicySigner, SignedPolicy},
};

use super::world::{Outside, World};
use crate::machine::{Failure, State, UserWord};

fn signer(seed: u8) -> PolicySigner {
    PolicySigner::from_seed(&[seed; 32]).expect("a key")
}

fn signed(
    by: &PolicySigner,
    keys: &[&PolicySigner],
    version: u64,
    change: impl Fn(&mut Policy),
) -> SignedPolicy {
    let mut policy = Policy { version, ..World::policy() };
    change(&mut policy);
    let claims = Claims { policy, keys: keys.iter().map(|key| key.public()).collect() };
    SignedPolicy::sign(&claims, by).expect("signs")
}

/// The next reply carries this; a person asks for it.
fn renew(world: &mut World, signed: Option<SignedPolicy>) {
    world.outside.signed = signed;
    world.say(UserWord::Renew);
    world.run(30);
}

fn version(world: &World) -> u64 {
    world.machine.status().credential.expect("a credential").policy_version
}

#[test]
fn a_signed_policy_is_obeyed_and_none_older_unsigned_or_by_another() {
    let (one, two, strange) = (signer(1), signer(2), signer(3));
    let mut world = World::new(Outside::default());
    world.outside.signed = Some(signed(&one, &[&one], 5, |_| {}));
    world.run(30);
    assert_eq!((world.state(), version(&world)), (State::Armed, 5));
    let refused = |world: &World| world.machine.status().last_failure.map(|failure| failure.code);
    for bad in [Some(signed(&one, &[&one], 4, |_| {})), Some(signed(&strange, &[&strange], 9, |_| {})), None]
    {
        let fetches = world.fetches;
        renew(&mut world, bad);
        assert!(world.fetches > fetches);
        assert_eq!((version(&world), refused(&world)), (5, Some(Failure::Policy.code().to_owned())));
        assert!(
            world.machine.status().credential.is_some_and(|c| c.installed),
            "the credential is taken all the same"
        );
    }
    // What was learned outlives the process.
    world.killed();
    world.run(30);
    renew(&mut world, Some(signed(&one, &[&one], 4, |_| {})));
    assert_eq!(version(&world), 5);
    // A new key is announced by the old one, and the old one then goes.
    renew(&mut world, Some(signed(&one, &[&one, &two], 6, |_| {})));
    renew(&mut world, Some(signed(&two, &[&two], 7, |_| {})));
    assert_eq!(version(&world), 7);
    renew(&mut world, Some(signed(&one, &[&one], 8, |_| {})));
    assert_eq!(version(&world), 7);
    assert_eq!(world.told_versions.first(), Some(&None));
    assert_eq!(world.told_versions.last(), Some(&Some(7)), "the portal is told what is obeyed");
}

#[test]
fn the_portal_is_told_what_became_of_a_credential_once() {
    let one = signer(1);
    let mut world = World::new(Outside::default());
    world.outside.signed = Some(signed(&one, &[&one], 5, |_| {}));
    world.outside.signal_dbm = Some(-50);
    world.run(120);
    assert_eq!(world.state(), State::Offloaded);
    assert_eq!(world.reports, [(Outcome::Installed, Some(5)), (Outcome::FirstSuccess, Some(5))]);
    // A portal that signs nothing would not understand.
    let mut old = World::new(Outside::default());
    old.outside.signal_dbm = Some(-50);
    old.run(120);
    assert_eq!((old.state(), old.reports.len()), (State::Offloaded, 0));
}

#[test]
fn wifi_is_joined_when_the_policy_says() {
    let state = |change: fn(&mut Policy), signal_dbm: i32| {
        let mut world = World::new(Outside::default());
        change(&mut world.outside.policy);
        world.outside.signal_dbm = Some(signal_dbm);
        world.run(120);
        world.state()
    };
    assert_eq!(state(|_| {}, -50), State::Offloaded);
    assert_eq!(state(|p| p.offload = Offload::Never, -50), State::Armed);
    assert_eq!(state(|p| p.offload = Offload::OnRequest, -50), State::Armed);
    assert_eq!(state(|p| p.ap_filter = ApFilter::OperatorOwned, -50), State::Armed);
    let owned = |p: &mut Policy| {
        p.ap_filter = ApFilter::OperatorOwned;
        p.networks = vec![Network { operator_owned: true, ..Network::new("corp", 1) }];
    };
    assert_eq!(state(owned, -50), State::Offloaded);
    assert_eq!(state(|_| {}, -90), State::Armed);
    assert_eq!(state(|p| p.threshold = Threshold::Off, -90), State::Offloaded);

    let mut world = World::new(Outside::default());
    world.outside.policy.offload = Offload::OnRequest;
    world.outside.signal_dbm = Some(-50);
    world.run(60);
    world.say(UserWord::Join);
    world.run(60);
    assert_eq!(world.state(), State::Offloaded);
}

#[test]
fn the_oldest_credential_is_used_up_first_where_the_policy_says() {
    for (which, logins) in [(UseCredential::Newest, "user2"), (UseCredential::Oldest, "user1")] {
        let mut world = World::new(Outside::default());
        world.outside.policy.use_credential = which;
        world.outside.signal_dbm = Some(-50);
        world.run(60);
        assert_eq!(world.state(), State::Offloaded);
        world.signal(Some(-90));
        world.run(60);
        world.say(UserWord::Renew);
        world.run(30);
        world.signal(Some(-50));
        world.say(UserWord::Join);
        world.run(60);
        let last = world.logins.last().expect("a login");
        assert!(last.starts_with(logins), "{which:?}: {:?}", world.logins);
    }
}

#[test]
fn each_attach_brings_a_new_credential_where_the_policy_says() {
    for (renew, fetches) in [(false, 1), (true, 2)] {
        let mut world = World::new(Outside::default());
        world.outside.policy.renew_on_attach = renew;
        world.outside.signal_dbm = Some(-50);
        world.run(120);
        assert_eq!((world.state(), world.fetches), (State::Offloaded, 1));
        world.signal(Some(-90));
        world.run(60);
        assert_eq!(world.fetches, fetches);
        let triggers = world.requests.iter().all(|(_, trigger)| *trigger == Trigger::Attach);
        assert!(triggers);
    }
}
