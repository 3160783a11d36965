//! Ends sessions at the access point before their time (RFC 5176): revoked, expired, too many.
//!
//! One thread asks [`Endings`] what is due and sends Disconnect-Requests to the address that the session's requests came
//! from, at the port that `portal-aaa nas add --coa-port` names, with the client's secret. Access points that are
//! connected by RadSec take them at that port all the same, by UDP.

mod exchange;
mod request;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::atomic::Ordering,
    time::Duration,
};

use zeroize::Zeroizing;

use self::exchange::{Exchanges, Order, Step};
use super::{clock::Clock, random, shared::Shared, socket};
use crate::accounting::ending::{Ending, Endings, Outcome};

/// How often it is asked what is due.
const ROUND: Duration = Duration::from_millis(100);

/// Sends until the listeners stop.
pub(super) fn run(shared: &Shared, socket: &UdpSocket, endings: &dyn Endings) {
    let mut exchanges = Exchanges::default();
    let done = |ending: &Ending, outcome| endings.done(shared.clock.now(), ending.key, outcome);
    while !shared.stop.load(Ordering::Relaxed) {
        for ending in endings.due(shared.clock.now()) {
            match order(shared, ending) {
                Ok(order) => exchanges.add(order),
                Err(ending) => {
                    log(&ending, Outcome::Unanswered, "the access point takes no Disconnect-Requests");
                    done(&ending, Outcome::Unanswered);
                }
            }
        }
        round(shared.clock, socket, &mut exchanges, done);
    }
}

/// Ends one session and waits for what comes of it; for commands. Blocks for 30 seconds at most.
pub fn once(clock: Clock, ending: Ending, to: SocketAddr, secret: Zeroizing<Vec<u8>>) -> io::Result<Outcome> {
    let socket =
        bind(if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() })?;
    let mut exchanges = Exchanges::default();
    exchanges.add(Order { ending, to, secret });
    let mut result = Outcome::Unanswered;
    while !exchanges.is_empty() {
        round(clock, &socket, &mut exchanges, |_, outcome| result = outcome);
    }
    Ok(result)
}

/// A socket that sends from where the requests come in, because access points know us by that address.
pub(super) fn bind(address: IpAddr) -> io::Result<UdpSocket> {
    let socket = socket::bind(SocketAddr::new(address, 0))?;
    socket.set_read_timeout(Some(ROUND))?;
    Ok(socket)
}

/// Where the request goes, and the secret; the ending back where it cannot go.
fn order(shared: &Shared, ending: Ending) -> Result<Order, Box<Ending>> {
    let clients = shared.clients();
    let found = clients.named(&ending.client).and_then(|client| {
        // A session known from its accounting alone may come without an address.
        let told = Some(ending.address).filter(|address| client.is_at(*address));
        Some((client, client.coa_port?, told.or(client.only_address())?))
    });
    match found {
        Some((client, port, address)) => {
            let to = SocketAddr::new(address.to_canonical(), port);
            Ok(Order { ending, to, secret: client.secret.clone() })
        }
        None => Err(Box::new(ending)),
    }
}

/// Sends what is to be sent and waits for answers, for no longer than a round.
fn round(
    clock: Clock,
    socket: &UdpSocket,
    exchanges: &mut Exchanges,
    mut done: impl FnMut(&Ending, Outcome),
) {
    let end = clock.now().monotonic.saturating_add(ROUND);
    let mut steps = exchanges.run(clock.now(), dice());
    let mut buffer = [0; ::radius::MAX_PACKET];
    loop {
        for step in steps.drain(..) {
            match step {
                Step::Send { to, octets, first, key } => {
                    if first {
                        tracing::info!(event = "disconnect-sent", %to, session = key);
                    }
                    let to = same_family(socket, to);
                    if let Err(error) = socket.send_to(&octets, to) {
                        tracing::debug!(%to, %error, "disconnect");
                    }
                }
                Step::Done { ending, outcome } => {
                    log(&ending, outcome, "");
                    done(&ending, outcome);
                }
            }
        }
        // The socket's own time limit ends the round.
        let Ok((size, from)) = socket.recv_from(&mut buffer) else { return };
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let octets = buffer.get(..size).unwrap_or_default();
        steps.extend(exchanges.receive(clock.now(), dice(), from, octets));
        // What keeps coming must not hold up the next round.
        if steps.is_empty() && clock.now().monotonic >= end {
            return;
        }
    }
}

/// A socket of `[::]` reaches IPv4 by mapped addresses.
fn same_family(socket: &UdpSocket, to: SocketAddr) -> SocketAddr {
    match (socket.local_addr(), to.ip()) {
        (Ok(SocketAddr::V6(_)), IpAddr::V4(address)) => {
            SocketAddr::from((address.to_ipv6_mapped(), to.port()))
        }
        _ => to,
    }
}

/// Spreads retransmissions; where the system has no random octets they come together.
fn dice() -> u8 {
    let mut octet = [0];
    let _ = random::fill(&mut octet);
    octet[0]
}

fn log(ending: &Ending, outcome: Outcome, detail: &str) {
    let Ending { key: session, client: nas, username, .. } = ending;
    let (reason, mac) = (ending.why.code(), ending.mac.map(tracing::field::display));
    match outcome {
        Outcome::Gone => {
            tracing::info!(event = "disconnect-acknowledged", nas, session, username, mac, reason)
        }
        Outcome::Refused(cause) => {
            tracing::warn!(event = "disconnect-refused", nas, session, username, mac, reason, cause);
        }
        Outcome::Unanswered => {
            tracing::warn!(event = "disconnect-unanswered", nas, session, username, mac, reason, detail);
        }
    }
}
