//! The access point is this file: it checks what it gets with the radius crate and answers as hostapd would.

use ::radius::{Builder, dynamic_request_is_genuine};

use super::*;
use crate::aaa::directory::Reject;

const SECRET: &[u8] = b"secret";

fn now(millis: u64) -> Now {
    Now { monotonic: Duration::from_millis(millis), unix: 1_700_000_000 + millis / 1000 }
}

fn to(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 3799))
}

fn order(key: u64, last: u8) -> Order {
    let ending = Ending {
        key,
        why: Reject::Revoked,
        client: "ap-1".to_owned(),
        address: to(last).ip(),
        username: "token@operator.example".to_owned(),
        mac: None,
        calling_station: Some("02-00-00-00-00-01".to_owned()),
        session_id: Some("5F0E1D2C".to_owned()),
        multi_session_id: Some("A1B2".to_owned()),
        nas_identifier: Some("ap-1.example".to_owned()),
        nas_address: Some(to(last).ip()),
    };
    Order { ending, to: to(last), secret: Zeroizing::new(SECRET.to_vec()) }
}

fn sent(steps: &[Step]) -> Vec<Vec<u8>> {
    let octets = steps.iter().filter_map(|step| match step {
        Step::Send { octets, .. } => Some(octets.clone()),
        Step::Done { .. } => None,
    });
    octets.collect()
}

fn kinds(octets: &[u8]) -> Vec<u8> {
    let packet = Packet::parse(octets).unwrap();
    assert!(dynamic_request_is_genuine(&packet, SECRET));
    packet.attributes().map(|attribute| attribute.kind.0).collect()
}

fn answer(request: &[u8], code: Code, cause: Option<u32>, secret: &[u8]) -> Vec<u8> {
    let reply = Builder::reply(code, &Packet::parse(request).unwrap());
    cause.into_iter().fold(reply, |reply, cause| reply.integer(A::ERROR_CAUSE, cause)).finish(secret).unwrap()
}

fn outcome(step: Option<Step>) -> Option<(u64, Outcome)> {
    match step {
        Some(Step::Done { ending, outcome }) => Some((ending.key, outcome)),
        _ => None,
    }
}

#[test]
fn a_request_names_the_session_by_what_hostapd_knows_and_ends_with_its_answer() {
    let mut exchanges = Exchanges::default();
    exchanges.add(order(5, 1));
    let requests = sent(&exchanges.run(now(0), 0));
    assert_eq!(kinds(&requests[0]), [80, 1, 31, 44, 50, 32, 4, 55]);
    let timestamp = Packet::parse(&requests[0]).unwrap().integer(A::EVENT_TIMESTAMP);
    assert_eq!(timestamp, Some(1_700_000_000));
    let forged = answer(&requests[0], Code::DISCONNECT_ACK, None, b"another");
    assert_eq!(exchanges.receive(now(1), 0, to(1), &forged), None);
    let ack = answer(&requests[0], Code::DISCONNECT_ACK, None, SECRET);
    assert_eq!(exchanges.receive(now(1), 0, to(2), &ack), None, "from elsewhere");
    assert_eq!(outcome(exchanges.receive(now(1), 0, to(1), &ack)), Some((5, Outcome::Gone)));
    assert!(exchanges.is_empty());
    assert_eq!(exchanges.receive(now(2), 0, to(1), &ack), None);
}

#[test]
fn what_is_not_understood_is_asked_with_less_and_another_identifier() {
    for (cause, last, expected) in [
        (401, Code::DISCONNECT_ACK, Outcome::Gone),
        (404, Code::DISCONNECT_NAK, Outcome::Refused(401)),
        (503, Code::DISCONNECT_ACK, Outcome::Gone),
    ] {
        let mut exchanges = Exchanges::default();
        exchanges.add(order(5, 1));
        let first = sent(&exchanges.run(now(0), 0)).remove(0);
        let nak = answer(&first, Code::DISCONNECT_NAK, Some(cause), SECRET);
        let again =
            sent(&exchanges.receive(now(2000), 0, to(1), &nak).into_iter().collect::<Vec<_>>()).remove(0);
        assert_eq!(kinds(&again), [80, 31, 44, 55]);
        assert_ne!(again[1], first[1]);
        let reply = answer(&again, last, (last == Code::DISCONNECT_NAK).then_some(401), SECRET);
        assert_eq!(outcome(exchanges.receive(now(2001), 0, to(1), &reply)), Some((5, expected)), "{cause}");
    }
    let mut exchanges = Exchanges::default();
    exchanges.add(order(6, 1));
    let first = sent(&exchanges.run(now(0), 0)).remove(0);
    let nak = answer(&first, Code::DISCONNECT_NAK, Some(501), SECRET);
    assert_eq!(outcome(exchanges.receive(now(1), 0, to(1), &nak)), Some((6, Outcome::Refused(501))));
}

#[test]
fn an_unanswered_one_is_repeated_unchanged_and_given_up() {
    let mut exchanges = Exchanges::default();
    exchanges.add(order(5, 1));
    let first = sent(&exchanges.run(now(0), 128)).remove(0);
    let mut times = Vec::new();
    for tenth in 1..400 {
        for step in exchanges.run(now(tenth * 100), 128) {
            match step {
                Step::Send { octets, first: new, .. } => {
                    assert_eq!((&octets, new), (&first, false));
                    times.push(tenth);
                }
                Step::Done { outcome, .. } => {
                    assert_eq!(outcome, Outcome::Unanswered);
                    times.push(tenth);
                }
            }
        }
    }
    assert_eq!(times, [10, 30, 70, 150], "1, 2, 4 and 8 seconds");
    assert!(exchanges.is_empty());
}

#[test]
fn a_thousand_at_once_wait_their_turn() {
    let mut exchanges = Exchanges::default();
    (0..100).for_each(|key| exchanges.add(order(key, 1)));
    exchanges.add(order(1000, 2));
    let mut requests = sent(&exchanges.run(now(0), 0));
    assert_eq!(requests.len(), TO_ONE + 1, "the other access point is not held up");
    let mut done = 0;
    while let Some(request) = requests.pop() {
        let ack = answer(&request, Code::DISCONNECT_ACK, None, SECRET);
        for from in [to(1), to(2)] {
            done += usize::from(exchanges.receive(now(1), 0, from, &ack).is_some());
        }
        requests.extend(sent(&exchanges.run(now(1), 0)));
    }
    assert_eq!(done, 101);
    assert!(exchanges.is_empty());
}
