//! One packet, from its origin to the answer: given now, given later, or silence with its reason.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ::radius::{Builder, Code, MessageAuthenticator, Packet, check_message_authenticator};

use super::{
    accounting, authentication,
    drops::Why,
    origin::{Origin, Peer, Port},
    shared::Shared,
};

/// Serves it; what is dropped is counted. One packet that breaks an assumption must not end the service for all others.
pub(super) fn serve(shared: &Shared, origin: &Origin, octets: &[u8]) {
    let from = origin.address().ip();
    if catch_unwind(AssertUnwindSafe(|| answer(shared, origin, octets))).is_err() {
        tracing::error!(event = "radius-panic", %from, "a packet was given up");
    }
}

fn answer(shared: &Shared, origin: &Origin, octets: &[u8]) {
    let done = take(shared, origin, octets).and_then(|answer| match answer {
        Some(answer) => origin.send(&answer),
        None => Ok(()),
    });
    if let Err(why) = done {
        shared.drops.count(why, origin.address().ip());
    }
}

/// The answer, or none when it comes later: accounting on its way to the disk, a request on its way to another server.
fn take(shared: &Shared, origin: &Origin, octets: &[u8]) -> Result<Option<Vec<u8>>, Why> {
    let clients = shared.clients();
    // RFC 2865 §3: a request from a client for which there is no shared secret MUST be silently discarded.
    let peers = origin.peers(&clients);
    let first = peers.iter().flatten().next().ok_or(Why::UnknownClient)?;
    let packet = Packet::parse(octets).map_err(|_| Why::Malformed)?;
    match packet.code() {
        Code::ACCESS_REQUEST if origin.serves(Port::Authentication) => {
            authentication::take(shared, origin, *first, &packet)
        }
        Code::ACCOUNTING_REQUEST if origin.serves(Port::Accounting) => {
            accounting::take(shared, origin, &peers, &packet)
        }
        Code::STATUS_SERVER => status(shared, origin, &peers, &packet).map(Some),
        _ => Err(Why::Malformed),
    }
}

/// RFC 5997 §3: without a right Message-Authenticator it is dropped, whatever the client's policy.
fn status(
    shared: &Shared,
    origin: &Origin,
    peers: &[Option<Peer<'_>>; 2],
    packet: &Packet<'_>,
) -> Result<Vec<u8>, Why> {
    let mut verdicts =
        peers.iter().flatten().map(|peer| (peer, check_message_authenticator(packet, peer.secret)));
    let Some((peer, _)) = verdicts.clone().find(|(_, verdict)| *verdict == MessageAuthenticator::Valid)
    else {
        let missing = verdicts.any(|(_, verdict)| verdict == MessageAuthenticator::Missing);
        return Err(if missing { Why::Unproved } else { Why::Forged });
    };
    shared.within_rate(shared.clock.now().monotonic, peer.client)?;
    // RFC 5997 §4.2: the authentication port says Access-Accept, the accounting port Accounting-Response.
    let code = match origin.serves(Port::Authentication) {
        true => Code::ACCESS_ACCEPT,
        false => Code::ACCOUNTING_RESPONSE,
    };
    Builder::reply(code, packet).finish(peer.secret).map_err(|_| Why::NoAnswer)
}
