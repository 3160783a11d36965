//! Peers that never come to an end.

use super::world::{Conversation, METHODS, VERSIONS, peer_config, random, server_config};
use crate::{
    Reason,
    packet::{Identifier, Packet, Type, request, response},
    peer, server,
};

/// Starts PEAP; gives the identifier of the start.
fn started() -> (Conversation, Identifier) {
    let mut talk = Conversation::new(server_config(), peer_config(METHODS[0], VERSIONS[1]), 1020);
    let server::Step::Send(start) = talk.hand_over(&response(Identifier(0), Type::IDENTITY, b"x")) else {
        panic!()
    };
    (talk, Packet::parse(&start).unwrap().identifier)
}

/// Sends the same data for ever; gives the reason of the end and the rounds to it.
fn repeat(data: &[u8]) -> (Reason, usize) {
    let (mut talk, mut identifier) = started();
    for rounds in 1..1000 {
        match talk.hand_over(&response(identifier, Type::PEAP, data)) {
            server::Step::Send(next) => identifier = Packet::parse(&next).unwrap().identifier,
            server::Step::Failure { reason, .. } => return (reason, rounds),
            step => panic!("{step:?}"),
        }
    }
    panic!("no end")
}

#[test]
fn endless_fragments_end() {
    let (reason, rounds) = repeat(&[&[0x40], &[0; 1000][..]].concat());
    assert_eq!((reason, rounds), (Reason::TooMuchData, 17));
    assert_eq!(repeat(&[0x40, 0]).0, Reason::TooManyRounds);
    assert_eq!(repeat(&[0x40]).0, Reason::TooManyRounds);
}

#[test]
fn an_announcement_too_long_ends_at_once() {
    assert_eq!(repeat(&[0xC0, 0xFF, 0xFF, 0xFF, 0xFF, 1]), (Reason::TooMuchData, 1));
}

#[test]
fn other_versions_of_peap_end_at_once() {
    assert_eq!(repeat(&[1, 22, 3, 1]), (Reason::ProtocolError, 1));
}

#[test]
fn silence_is_no_handshake() {
    assert_eq!(repeat(&[0]), (Reason::ProtocolError, 1));
}

#[test]
fn what_is_no_tls_is_answered_with_an_alert() {
    let (mut talk, identifier) = started();
    let junk = response(identifier, Type::PEAP, b"\0GET / HTTP/1.1\r\n\r\n");
    let server::Step::Send(alert) = talk.hand_over(&junk) else { panic!() };
    let alert = Packet::parse(&alert).unwrap();
    assert_eq!(alert.method().unwrap().1[..2], [0, 21], "an alert record");
    let step = talk.hand_over(&response(alert.identifier, Type::PEAP, &[0]));
    assert!(matches!(step, server::Step::Failure { reason: Reason::TlsError, .. }), "{step:?}");
}

#[test]
fn an_ended_conversation_stays_ended() {
    let (mut talk, identifier) = started();
    let step = talk.hand_over(&response(identifier, Type::NAK, &[0]));
    assert!(matches!(step, server::Step::Failure { reason: Reason::NoCommonMethod, .. }));
    for kind in 0..=255 {
        let step = talk.hand_over(&response(identifier, Type(kind), &[0]));
        assert!(matches!(step, server::Step::Ignore));
    }
}

#[test]
fn a_peer_that_wants_another_peap_gets_nothing_twice() {
    // Both methods refused in turn: the second Nak may not bring the first one back.
    let (mut talk, identifier) = started();
    let server::Step::Send(ttls) = talk.hand_over(&response(identifier, Type::NAK, &[Type::TTLS.0])) else {
        panic!()
    };
    let identifier = Packet::parse(&ttls).unwrap().identifier;
    let step = talk.hand_over(&response(identifier, Type::NAK, &[Type::PEAP.0]));
    assert!(matches!(step, server::Step::Failure { reason: Reason::NoCommonMethod, .. }));
}

#[test]
fn an_expanded_nak_is_one() {
    let nak = |types: &[u8]| {
        let list = types.iter().flat_map(|kind| [254, 0, 0, 0, 0, 0, 0, *kind]);
        let data: Vec<u8> = [0, 0, 0, 0, 0, 0, 3].into_iter().chain(list).collect();
        let (mut talk, identifier) = started();
        talk.hand_over(&response(identifier, Type::EXPANDED, &data))
    };
    let server::Step::Send(start) = nak(&[43, Type::TTLS.0]) else { panic!() };
    assert_eq!(Packet::parse(&start).unwrap().method(), Some((Type::TTLS, &[0x20][..])));
    for none in [&[][..], &[0], &[43]] {
        let step = nak(none);
        assert!(matches!(step, server::Step::Failure { reason: Reason::NoCommonMethod, .. }));
    }
}

#[test]
fn the_longest_message_fits_in_the_narrowest_pieces() {
    // Sixteen kilobytes at 100 octets: an announcement, then pieces, which end as no TLS and not by their number.
    let (mut talk, mut identifier) = started();
    let length = 16 * 1024_u32;
    let mut sent = 0;
    while sent < length {
        let piece = 90.min(length - sent);
        let more = if sent + piece < length { 0x40 } else { 0 };
        let mut data = if sent == 0 { vec![0x80 | more] } else { vec![more] };
        if sent == 0 {
            data.extend(length.to_be_bytes());
        }
        data.resize(data.len() + usize::try_from(piece).unwrap(), 1);
        let server::Step::Send(next) = talk.hand_over(&response(identifier, Type::PEAP, &data)) else {
            panic!("after {sent} octets")
        };
        identifier = Packet::parse(&next).unwrap().identifier;
        sent += piece;
    }
    let step = talk.hand_over(&response(identifier, Type::PEAP, &[0]));
    assert!(matches!(step, server::Step::Failure { reason: Reason::TlsError, .. }), "{step:?}");
}

#[test]
fn the_peer_takes_a_start_once() {
    let mut talk = Conversation::new(server_config(), peer_config(METHODS[0], VERSIONS[1]), 1020);
    let start = |identifier| request(Identifier(identifier), Type::PEAP, &[0x20]);
    assert!(matches!(talk.peer.handle(&start(1), &mut random()), peer::Step::Send(_)));
    let again = talk.peer.handle(&start(2), &mut random());
    assert!(matches!(again, peer::Step::Failure(peer::Reason::ProtocolError)));
}
