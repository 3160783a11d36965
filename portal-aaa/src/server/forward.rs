//! Requests of other realms: to [`crate::proxy`] and, once a home server has answered, back to who sent them.

use ::radius::{AttributeType as A, Code, Packet, Source};
use zeroize::Zeroizing;

use super::{
    drops::Why,
    origin::{Origin, Peer},
    shared::{Shared, locked},
};
use crate::proxy::{
    MAX_HOPS, Route, Routes,
    driver::{Finished, Handle, How, Submit},
};

/// Where requests go that are not for us.
pub(super) struct Forwarding {
    pub(super) routes: Routes,
    /// None where no home server is configured.
    pub(super) handle: Option<Handle<Ticket>>,
}

/// A request that somebody else answers.
pub(super) struct Ticket {
    origin: Origin,
    source: Source,
    authenticator: [u8; 16],
    accounting: bool,
    client: String,
    realm: String,
    station: Option<String>,
}

/// A request that is to be forwarded.
pub(super) type Onward = Submit<Ticket>;

/// Where a request belongs, by the realm of its User-Name: the outer identity, where there is a tunnel.
pub(super) fn route(shared: &Shared, packet: &Packet<'_>) -> Route {
    let name = packet.text(A::USER_NAME).unwrap_or_default();
    shared.forwarding.routes.route(name, |name| shared.parts.directory.is_account(name))
}

/// Whether it goes round in a circle: it carries our Proxy-State, or those of very many.
pub(super) fn is_looping(shared: &Shared, packet: &Packet<'_>) -> bool {
    let Some(handle) = &shared.forwarding.handle else { return false };
    let mut states = packet.all(A::PROXY_STATE);
    states.any(|state| handle.is_ours(state.value)) || packet.proxy_states() > MAX_HOPS
}

/// The request as the proxy takes it.
pub(super) fn onward(
    origin: &Origin,
    peer: Peer<'_>,
    packet: &Packet<'_>,
    pool: usize,
    user_name: Option<String>,
) -> Onward {
    let name = packet.text(A::USER_NAME).unwrap_or_default();
    let ticket = Ticket {
        origin: origin.clone(),
        source: origin.source(packet.identifier()),
        authenticator: *packet.authenticator(),
        accounting: packet.code() == Code::ACCOUNTING_REQUEST,
        client: peer.client.name.clone(),
        realm: name.rsplit_once('@').map_or("", |(_, realm)| realm).to_ascii_lowercase(),
        station: packet.text(A::CALLING_STATION_ID).map(str::to_owned),
    };
    let secret = Zeroizing::new(peer.secret.to_vec());
    Submit { ticket, request: packet.octets().to_vec(), secret, pool, user_name }
}

/// Hands it over. It stays *in progress* for the duplicate cache until [`finished`].
pub(super) fn submit(shared: &Shared, onward: Onward) -> Result<(), Why> {
    match &shared.forwarding.handle {
        Some(handle) => handle.submit(onward).map_err(|_| Why::Overload),
        None => Err(Why::Overload),
    }
}

/// A home server has answered, or nobody will.
pub(super) fn finished(shared: &Shared, ticket: Ticket, finished: Finished) {
    let Ticket { origin, source, authenticator, accounting, .. } = &ticket;
    log(&ticket, &finished);
    let cache = if *accounting { &shared.reports } else { &shared.logins };
    let now = shared.clock.now().monotonic;
    let dropped = match finished.answer {
        Some(answer) => {
            let sent = origin.send(&answer);
            let settled = *accounting || finished.how == How::Answered(Code::ACCESS_ACCEPT);
            // An answer of our own is not kept: the home server may be back for the repetition.
            match finished.how {
                How::Answered(_) => locked(cache).answer(now, *source, authenticator, answer, settled),
                _ => locked(cache).forget(*source, authenticator),
            }
            sent.err()
        }
        None => {
            locked(cache).forget(*source, authenticator);
            Some(if finished.how == How::Overload { Why::Overload } else { Why::NoAnswer })
        }
    };
    if let Some(why) = dropped {
        shared.drops.count(why, source.address.ip());
    }
}

/// Names stay with the home server; realm and station are what an operator looks for.
fn log(ticket: &Ticket, finished: &Finished) {
    let Ticket { client: nas, realm, station, .. } = ticket;
    let home_server = finished.server.as_deref();
    let reason = match finished.how {
        How::Answered(Code::ACCESS_ACCEPT) if !ticket.accounting => {
            tracing::info!(event = "login-proxied", answer = "accept", realm, station, nas, home_server);
            return;
        }
        How::Answered(Code::ACCESS_REJECT) => {
            tracing::warn!(event = "login-proxied", answer = "reject", realm, station, nas, home_server);
            return;
        }
        How::Answered(_) | How::Overload => return,
        How::Unreachable => "home-server-unreachable",
        How::Unusable => "proxy-unusable",
    };
    match ticket.accounting {
        true => tracing::error!(event = "accounting-not-forwarded", reason, realm, nas, "kept here"),
        false => tracing::warn!(event = "login-refused", reason, realm, station, nas),
    }
}
