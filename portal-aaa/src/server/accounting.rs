//! An Accounting-Request, and the acknowledgement once it is on disk (RFC 2866 §2).

use std::sync::mpsc::TrySendError;

use ::radius::{Builder, Code, Packet, Seen, Source, accounting_request_is_genuine};

use super::{
    drops::Why,
    forward::{self, Onward},
    origin::{Origin, Peer},
    shared::{Shared, locked},
};
use crate::{
    accounting::{record, writer::Job},
    proxy::Route,
    store::{ClientKind, StoreError},
};

/// To whom to reply, and what.
pub(super) struct Ticket {
    origin: Origin,
    source: Source,
    authenticator: [u8; 16],
    acknowledgement: Vec<u8>,
    /// Of another realm: the home server acknowledges it.
    onward: Option<Onward>,
}

/// The writer is done with a report: acknowledges it, or leaves it to be sent again.
pub(super) fn written(shared: &Shared, ticket: Ticket, written: Result<(), &StoreError>, failing: &mut bool) {
    let Ticket { origin, source, authenticator, acknowledgement, onward } = ticket;
    if let Err(error) = written {
        locked(&shared.reports).forget(source, &authenticator);
        shared.drops.count(Why::NotDurable, source.address.ip());
        // Once, not for every report: the counter says how many.
        if !std::mem::replace(failing, true) {
            tracing::error!(event = "accounting-not-durable", %error, "not acknowledged; the client will repeat it");
        }
        return;
    }
    if std::mem::take(failing) {
        tracing::info!(event = "accounting-durable-again");
    }
    if let Some(onward) = onward {
        // RFC 2866 §2: no word to the client before the home server has it too. Here it is on disk already.
        if let Err(why) = forward::submit(shared, onward) {
            locked(&shared.reports).forget(source, &authenticator);
            shared.drops.count(why, source.address.ip());
        }
        return;
    }
    // Noted before it is sent: a repetition that comes at once is then not taken for one that is in progress.
    let now = shared.clock.now().monotonic;
    locked(&shared.reports).answer(now, source, &authenticator, acknowledgement.clone(), true);
    if let Err(why) = origin.send(&acknowledgement) {
        shared.drops.count(why, source.address.ip());
    }
}

/// An answer that can be given at once, or none while the report is on its way to the disk.
pub(super) fn take(
    shared: &Shared,
    origin: &Origin,
    peers: &[Option<Peer<'_>>; 2],
    packet: &Packet<'_>,
) -> Result<Option<Vec<u8>>, Why> {
    // The secret tells who of the two it is; where one serves both, the gateway, whose reports are kept as well.
    let genuine = |peer: &&Peer<'_>| accounting_request_is_genuine(packet, peer.secret);
    let peer = peers.iter().flatten().find(genuine).ok_or(Why::Forged)?;
    let client = peer.client;
    let now = shared.clock.now();
    shared.within_rate(now.monotonic, client)?;
    let acknowledgement = Builder::reply(Code::ACCOUNTING_RESPONSE, packet).finish(peer.secret);
    let acknowledgement = acknowledgement.map_err(|_| Why::NoAnswer)?;
    let source = origin.source(packet.identifier());
    let authenticator = *packet.authenticator();
    let record = record::parse(packet, &client.name, client.kind, now.unix).map_err(|error| {
        tracing::warn!(event = "accounting-refused", client = client.name, %error);
        Why::Malformed
    })?;
    let feed = (client.kind == ClientKind::Gateway).then(|| record::feed(packet, &record));
    let onward = match client.kind {
        ClientKind::Nas if !forward::is_looping(shared, packet) => match forward::route(shared, packet) {
            Route::Pool { pool, user_name } => Some(forward::onward(origin, *peer, packet, pool, user_name)),
            // Nobody else would take it; ours is the record.
            Route::Local | Route::Unknown => None,
        },
        _ => None,
    };
    let mut reports = locked(&shared.reports);
    match reports.check(now.monotonic, source, &authenticator) {
        Seen::New => {}
        Seen::InProgress => return Err(Why::InProgress),
        Seen::Answered(answer) => return Ok(Some(answer.to_vec())),
    }
    let ticket = Ticket { origin: origin.clone(), source, authenticator, acknowledgement, onward };
    shared.write(Job { record, feed, ticket }).map(|()| None).map_err(|error| {
        reports.forget(source, &authenticator);
        match error {
            TrySendError::Full(()) => Why::Overload,
            TrySendError::Disconnected(()) => Why::NotDurable,
        }
    })
}
