//! One datagram on the accounting port, and the acknowledgement once it is on disk.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        PoisonError,
        mpsc::{SyncSender, TrySendError},
    },
};

use ::radius::{
    Builder, Code, MessageAuthenticator, Packet, Seen, Source, accounting_request_is_genuine,
    check_message_authenticator,
};

use super::{drops::Why, radius::Shared};
use crate::{
    accounting::{record, writer::Job},
    store::{ClientKind, StoreError},
};

/// To whom to reply, and what.
pub(super) struct Ticket {
    source: Source,
    authenticator: [u8; 16],
    acknowledgement: Vec<u8>,
}

/// Serves it; what is dropped is counted.
pub(super) fn datagram(
    shared: &Shared,
    socket: &UdpSocket,
    jobs: &SyncSender<Job<Ticket>>,
    datagram: &[u8],
    from: SocketAddr,
) {
    let done = take(shared, jobs, datagram, from).and_then(|at_once| match at_once {
        Some(answer) => socket.send_to(&answer, from).map(drop).map_err(|_| Why::NoAnswer),
        None => Ok(()),
    });
    if let Err(why) = done {
        shared.drops.count(why, from.ip());
    }
}

/// The writer is done with a report: acknowledges it, or leaves it to be sent again.
pub(super) fn written(
    shared: &Shared,
    socket: &UdpSocket,
    ticket: Ticket,
    written: Result<(), &StoreError>,
    failing: &mut bool,
) {
    let Ticket { source, authenticator, acknowledgement } = ticket;
    let mut reports = shared.reports.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(error) = written {
        reports.forget(source, &authenticator);
        drop(reports);
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
    if socket.send_to(&acknowledgement, source.address).is_err() {
        shared.drops.count(Why::NoAnswer, source.address.ip());
    }
    reports.answer(shared.clock.now().monotonic, source, &authenticator, acknowledgement, true);
}

/// An answer that can be given at once, or none while the report is on its way to the disk.
fn take(
    shared: &Shared,
    jobs: &SyncSender<Job<Ticket>>,
    datagram: &[u8],
    from: SocketAddr,
) -> Result<Option<Vec<u8>>, Why> {
    let clients = shared.clients();
    let candidates = [ClientKind::Gateway, ClientKind::Nas].map(|kind| clients.find(from.ip(), kind));
    if candidates.iter().all(Option::is_none) {
        return Err(Why::UnknownClient);
    }
    let packet = Packet::parse(datagram).map_err(|_| Why::Malformed)?;
    let genuine = match packet.code() {
        Code::ACCOUNTING_REQUEST => accounting_request_is_genuine,
        Code::STATUS_SERVER => status_is_genuine,
        _ => return Err(Why::Malformed),
    };
    // The secret tells who of the two it is; where one serves both, the gateway, whose reports are kept as well.
    let client = candidates.into_iter().flatten().find(|client| genuine(&packet, &client.secret));
    let client = client.ok_or(Why::Forged)?;
    // RFC 5997 §4.2: the accounting port answers Status-Server by Accounting-Response.
    let acknowledgement = Builder::reply(Code::ACCOUNTING_RESPONSE, &packet).finish(&client.secret);
    let acknowledgement = acknowledgement.map_err(|_| Why::NoAnswer)?;
    if packet.code() == Code::STATUS_SERVER {
        return Ok(Some(acknowledgement));
    }
    let now = shared.clock.now();
    let source = Source { address: from, identifier: packet.identifier(), connection: 0 };
    let authenticator = *packet.authenticator();
    let record = record::parse(&packet, &client.name, client.kind, now.unix).map_err(|error| {
        tracing::warn!(event = "accounting-refused", client = client.name, %error);
        Why::Malformed
    })?;
    let feed = (client.kind == ClientKind::Gateway).then(|| record::feed(&packet, &record));
    let mut reports = shared.reports.lock().unwrap_or_else(PoisonError::into_inner);
    match reports.check(now.monotonic, source, &authenticator) {
        Seen::New => {}
        Seen::InProgress => return Err(Why::InProgress),
        Seen::Answered(answer) => return Ok(Some(answer.to_vec())),
    }
    let job = Job { record, feed, ticket: Ticket { source, authenticator, acknowledgement } };
    jobs.try_send(job).map(|()| None).map_err(|error| {
        reports.forget(source, &authenticator);
        match error {
            TrySendError::Full(_) => Why::Overload,
            TrySendError::Disconnected(_) => Why::NotDurable,
        }
    })
}

fn status_is_genuine(packet: &Packet<'_>, secret: &[u8]) -> bool {
    check_message_authenticator(packet, secret) == MessageAuthenticator::Valid
}
