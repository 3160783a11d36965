//! Packets that were damaged on the way, or made to do damage: the conversation ignores them or ends.

use proptest::prelude::*;

use super::world::{Conversation, acquainted, every_login, server_config};
use crate::{packet, peer, server};

/// What happens to the octets of a packet.
#[derive(Debug, Clone)]
enum Damage {
    Flip(proptest::sample::Index, u8),
    Cut(proptest::sample::Index),
    /// More octets, and a length field that counts them.
    Grow(Vec<u8>),
    Replace(Vec<u8>),
    /// Header and flags stay, the rest does not.
    ReplaceTail(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let octets = || proptest::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        4 => (any::<proptest::sample::Index>(), 1..=255_u8).prop_map(|(place, bits)| Damage::Flip(place, bits)),
        2 => any::<proptest::sample::Index>().prop_map(Damage::Cut),
        1 => octets().prop_map(Damage::Grow),
        1 => octets().prop_map(Damage::Replace),
        2 => octets().prop_map(Damage::ReplaceTail),
    ]
}

fn damaged(packet: &[u8], damage: &Damage) -> Vec<u8> {
    let mut packet = packet.to_vec();
    match damage {
        Damage::Flip(place, bits) => {
            let place = place.index(packet.len());
            packet[place] ^= bits;
        }
        Damage::Cut(end) => packet.truncate(end.index(packet.len())),
        Damage::Grow(tail) => packet.extend(tail),
        Damage::Replace(other) => packet = other.clone(),
        Damage::ReplaceTail(tail) => {
            packet.truncate(6);
            packet.extend(tail);
        }
    }
    if matches!(damage, Damage::Grow(_) | Damage::ReplaceTail(_)) && packet.len() >= 4 {
        let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
        packet[2..4].copy_from_slice(&length);
    }
    packet
}

/// Runs a login in which one packet is damaged; ends when either side has decided.
fn log_in_with_damage(
    (server, peer): (server::Config, peer::Config),
    mtu: usize,
    at: usize,
    to_peer: bool,
    damage: &Damage,
) {
    let mut talk = Conversation::new(server, peer, mtu);
    let server::Step::Send(mut request) = talk.server.start(&mut talk.random) else { panic!() };
    for round in 0..1000 {
        if to_peer
            && round == at
            && let peer::Step::Failure(_) = talk.peer.handle(&damaged(&request, damage), &mut talk.random)
        {
            return;
        }
        let response = match talk.peer.handle(&request, &mut talk.random) {
            peer::Step::Send(response) => response,
            // The damage is done; the login goes no further, but nothing breaks.
            peer::Step::Failure(_) | peer::Step::Ignore if round >= at => return,
            step => panic!("{step:?}"),
        };
        let sent = if !to_peer && round == at { damaged(&response, damage) } else { response.clone() };
        let mut step = talk.hand_over(&sent);
        if let server::Step::Ignore = step {
            step = talk.hand_over(&response);
        }
        match step {
            server::Step::Send(next) => request = next,
            server::Step::Success { .. } | server::Step::Failure { .. } | server::Step::Ignore => return,
            server::Step::Lookup { .. } => panic!("answered already"),
        }
    }
    panic!("no end");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn one_damaged_packet_is_ignored_or_is_the_end(
        which in 0..16_usize,
        resumed: bool,
        at in 0..24_usize,
        to_peer: bool,
        damage in damage(),
        mtu in 64..1100_usize,
    ) {
        let peer = every_login().nth(which).unwrap();
        let sides = if resumed { acquainted(peer) } else { (server_config(), peer) };
        log_in_with_damage(sides, mtu, at, to_peer, &damage);
    }

    #[test]
    fn any_packets_in_any_order(packets in proptest::collection::vec(
        (0..4_u8, 0..3_u8, 0..40_u8, proptest::collection::vec(any::<u8>(), 0..80)), 0..60,
    )) {
        let mut talk = Conversation::new(server_config(), every_login().next().unwrap(), 0);
        let mut identifier = packet::Identifier(0);
        for (code, ahead, kind, data) in packets {
            let octets = packet::response(packet::Identifier(identifier.0.wrapping_add(ahead)), packet::Type(kind), &data);
            let octets = [&[code], &octets[1..]].concat();
            if let server::Step::Send(next) = talk.hand_over(&octets) {
                identifier = packet::Packet::parse(&next).unwrap().identifier;
            }
            let _ = talk.peer.handle(&octets, &mut talk.random);
        }
    }
}
