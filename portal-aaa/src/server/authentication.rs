//! One datagram on the authentication port, from the address to the answer.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::PoisonError,
};

use ::radius::{Builder, Code, Packet, Seen, Source};

use super::{clients::Known, drops::Why, radius::Shared};
use crate::{
    aaa::{
        Now,
        engine::{Answer, Request},
        guard::{Verdict, judge},
    },
    store::ClientKind,
};

/// Serves it; what is dropped is counted.
pub(super) fn datagram(shared: &Shared, socket: &UdpSocket, datagram: &[u8], from: SocketAddr) {
    let sent = answer(shared, datagram, from)
        .and_then(|answer| socket.send_to(&answer, from).map_err(|_| Why::NoAnswer));
    if let Err(why) = sent {
        shared.drops.count(why, from.ip());
    }
}

fn answer(shared: &Shared, datagram: &[u8], from: SocketAddr) -> Result<Vec<u8>, Why> {
    let clients = shared.clients();
    // RFC 2865 §3: a request from a client for which there is no shared secret MUST be silently discarded.
    let client = clients.find(from.ip(), ClientKind::Nas).ok_or(Why::UnknownClient)?;
    let packet = Packet::parse(datagram).map_err(|_| Why::Malformed)?;
    if !matches!(packet.code(), Code::ACCESS_REQUEST | Code::STATUS_SERVER) {
        return Err(Why::Malformed);
    }
    match judge(&packet, &client.secret, client.message_authenticator) {
        Verdict::Genuine => {}
        Verdict::Unproved => {
            tracing::warn!(
                event = "no-message-authenticator",
                nas = client.name,
                "served because of `audit`"
            );
        }
        Verdict::Forged => return Err(Why::Forged),
        Verdict::Missing => return Err(Why::Unproved),
    }
    if packet.code() == Code::STATUS_SERVER {
        // RFC 5997 §4.2: the authentication port says Access-Accept.
        return Builder::reply(Code::ACCESS_ACCEPT, &packet)
            .finish(&client.secret)
            .map_err(|_| Why::NoAnswer);
    }
    login(shared, client, &packet, from)
}

fn login(shared: &Shared, client: &Known, packet: &Packet<'_>, from: SocketAddr) -> Result<Vec<u8>, Why> {
    let now = shared.clock.now();
    let source = Source { address: from, identifier: packet.identifier(), connection: 0 };
    let duplicates = || shared.logins.lock().unwrap_or_else(PoisonError::into_inner);
    match duplicates().check(now.monotonic, source, packet.authenticator()) {
        Seen::New => {}
        Seen::InProgress => return Err(Why::InProgress),
        Seen::Answered(answer) => return Ok(answer.to_vec()),
    }
    let request = Request { packet, client: &client.name, secret: &client.secret, source: from.ip() };
    match work(shared, now, &request) {
        Ok(Answer { octets, settled }) => {
            duplicates().answer(now.monotonic, source, packet.authenticator(), octets.clone(), settled);
            Ok(octets)
        }
        Err(why) => {
            duplicates().forget(source, packet.authenticator());
            Err(why)
        }
    }
}

fn work(shared: &Shared, now: Now, request: &Request<'_>) -> Result<Answer, Why> {
    let mut failed = None;
    let mut random = |octets: &mut [u8]| failed = failed.or(getrandom::fill(octets).err());
    let answer = shared.engine.handle(now, &mut random, request);
    // What was made without random octets must not leave.
    if let Some(error) = failed {
        tracing::error!(event = "no-random", %error);
        return Err(Why::NoAnswer);
    }
    match answer {
        Ok(answer) => answer.ok_or(Why::OutOfOrder),
        Err(error) => {
            tracing::error!(event = "answer-failed", nas = request.client, %error);
            Err(Why::NoAnswer)
        }
    }
}
