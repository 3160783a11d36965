//! Packets that are lost, doubled, late, or not for this request.

use proptest::prelude::*;

use super::{
    air::{Air, Fate},
    world::{
        Conversation, USER, VERSIONS, acquainted, every_login, known, peer_config, random, server_config,
    },
};
use crate::{
    packet::{self, Identifier, Packet, Type},
    peer, server,
};

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Arrives),
        1 => Just(Fate::IsLost),
        2 => Just(Fate::ArrivesTwice),
        2 => Just(Fate::Overtakes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_login_survives_bad_air(
        mut fates in proptest::collection::vec(fate(), 1..40),
        which in 0..16_usize,
        resumed: bool,
        mtu in 64..1100_usize,
    ) {
        // The list repeats: a request and its response that arrive, so that the end is reached.
        fates.extend([Fate::Arrives, Fate::Arrives]);
        let peer = every_login().nth(which).unwrap();
        let (server, peer) = if resumed { acquainted(peer) } else { (server_config(), peer) };
        Conversation::new(server, peer, mtu).run(&mut Air::with(fates)).assert_success();
    }
}

/// A conversation in which the peer has taken PEAP; the last response that the server has not seen.
fn in_the_middle() -> (Conversation, Vec<u8>) {
    let mut talk =
        Conversation::new(server_config(), peer_config(peer::Method::PeapMschapv2, VERSIONS[1]), 100);
    let mut request = packet::request(Identifier(5), Type::IDENTITY, &[]);
    for _ in 0..4 {
        let peer::Step::Send(response) = talk.peer.handle(&request, &mut random()) else { panic!() };
        let server::Step::Send(next) = talk.hand_over(&response) else { panic!() };
        request = next;
    }
    let peer::Step::Send(response) = talk.peer.handle(&request, &mut random()) else { panic!() };
    (talk, response)
}

#[test]
fn responses_to_other_requests_are_ignored() {
    let (mut talk, response) = in_the_middle();
    let identifier = response[1];
    for other in (0..=255).filter(|other| *other != identifier) {
        let mut stray = response.clone();
        stray[1] = other;
        assert!(matches!(talk.hand_over(&stray), server::Step::Ignore));
    }
    assert!(matches!(talk.hand_over(&response), server::Step::Send(_)));
    assert!(matches!(talk.hand_over(&response), server::Step::Ignore), "the same once more");
}

#[test]
fn what_is_no_response_to_the_method_is_ignored() {
    let (mut talk, response) = in_the_middle();
    let identifier = Packet::parse(&response).unwrap().identifier;
    for stray in [
        packet::response(identifier, Type::NAK, &[Type::TTLS.0]),
        packet::response(identifier, Type::NOTIFICATION, &[]),
        packet::response(identifier, Type::IDENTITY, b"somebody"),
        packet::response(identifier, Type::TTLS, &[0]),
        packet::response(identifier, Type::PEAP, &[]),
        packet::request(identifier, Type::PEAP, &[0]),
        packet::success(identifier),
        packet::failure(identifier),
    ] {
        assert!(matches!(talk.hand_over(&stray), server::Step::Ignore), "{stray:?}");
    }
    assert!(matches!(talk.hand_over(&response), server::Step::Send(_)));
}

#[test]
fn a_password_that_nobody_asked_for_is_ignored() {
    let (mut talk, _) = in_the_middle();
    assert!(matches!(talk.server.provide(known(USER), &mut random()), server::Step::Ignore));
}

#[test]
fn the_peer_repeats_its_answer() {
    let mut talk =
        Conversation::new(server_config(), peer_config(peer::Method::PeapMschapv2, VERSIONS[0]), 100);
    let start = packet::request(Identifier(5), Type::PEAP, &[0x20]);
    let peer::Step::Send(first) = talk.peer.handle(&start, &mut random()) else { panic!() };
    let peer::Step::Send(second) = talk.peer.handle(&start, &mut random()) else { panic!() };
    assert_eq!(first, second);
}

#[test]
fn the_peer_believes_no_early_success() {
    let (mut talk, response) = in_the_middle();
    for identifier in 0..=255 {
        let step = talk.peer.handle(&packet::success(Identifier(identifier)), &mut random());
        assert!(matches!(step, peer::Step::Ignore));
    }
    let stray = packet::failure(Identifier(response[1].wrapping_add(1)));
    assert!(matches!(talk.peer.handle(&stray, &mut random()), peer::Step::Ignore));
}
