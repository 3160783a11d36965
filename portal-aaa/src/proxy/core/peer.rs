//! One port of a home server: its secret, its identifiers, its health.

use std::{net::SocketAddr, time::Duration};

use radius::Builder;

use super::Dice;
use crate::{
    proxy::{
        Secret, Settings, Transport,
        health::{Health, State},
        lane::Lane,
    },
    server::radsec,
};

/// Source ports towards one UDP peer: four times 256 requests under way.
pub(in crate::proxy) const LANES: usize = 4;
/// A connection is probed after so long without an answer (RFC 3539 §3.4).
const WATCH: Duration = Duration::from_secs(30);

/// How the shell reaches it.
#[derive(Debug, Clone)]
pub(in crate::proxy) enum Place {
    Udp(SocketAddr),
    RadSec { address: String, server_name: String },
}

impl Place {
    pub(in crate::proxy) fn is_stream(&self) -> bool {
        matches!(self, Self::RadSec { .. })
    }
}

/// What stands behind an identifier.
pub(super) enum Slot {
    /// This exchange.
    Request(u64),
    /// A Status-Server, as sent.
    Probe(Vec<u8>),
}

pub(super) struct Peer {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) secret: Secret,
    /// Answers about access need Message-Authenticator.
    pub(super) require: bool,
    /// There is a connection; datagrams need none.
    pub(super) connected: bool,
    pub(super) health: Health,
    pub(super) lanes: Vec<Lane<Slot>>,
    probe: Option<(usize, u8)>,
}

/// All peers, and which two (access, accounting) each home server is: one and the same where it is one connection.
pub(super) fn all(settings: &Settings) -> (Vec<Peer>, Vec<(usize, usize)>) {
    let mut peers = Vec::new();
    let mut places = Vec::new();
    for server in &settings.home_servers {
        let first = peers.len();
        let mut add = |name: &str, place: Place, require| {
            let stream = place.is_stream();
            peers.push(Peer {
                name: name.to_owned(),
                secret: if stream { Secret(radsec::SECRET.to_vec().into()) } else { server.secret.clone() },
                require,
                connected: !stream,
                health: Health::new(server.status_server, stream.then_some(WATCH)),
                lanes: std::iter::repeat_with(Lane::new).take(if stream { 1 } else { LANES }).collect(),
                probe: None,
                place,
            });
        };
        match &server.transport {
            Transport::Udp { address, accounting_address } => {
                add(&server.name, Place::Udp(*address), server.require_message_authenticator);
                add(&format!("{} accounting", server.name), Place::Udp(*accounting_address), false);
                places.push((first, first + 1));
            }
            Transport::RadSec { address, server_name } => {
                let place = Place::RadSec { address: address.clone(), server_name: server_name.clone() };
                add(&server.name, place, false);
                places.push((first, first));
            }
        }
    }
    (peers, places)
}

impl Peer {
    /// Worth a try.
    pub(super) fn is_usable(&self) -> bool {
        self.connected && self.health.state() != State::Dead
    }

    /// An identifier on the emptiest lane.
    pub(super) fn take(&mut self, slot: Slot) -> Option<(usize, u8)> {
        let (number, lane) = self.lanes.iter_mut().enumerate().max_by_key(|(_, lane)| lane.free())?;
        lane.take(|_| slot).map(|identifier| (number, identifier))
    }

    pub(super) fn release(&mut self, lane: usize, identifier: u8) {
        if self.probe == Some((lane, identifier)) {
            self.probe = None;
        }
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.release(identifier);
        }
    }

    /// A new connection knows nothing of the old one's identifiers.
    pub(super) fn forget(&mut self) {
        self.probe = None;
        self.lanes.iter_mut().for_each(|lane| *lane = Lane::new());
    }

    /// Ends the probe that is under way; says whether there was one.
    pub(super) fn end_probe(&mut self) -> bool {
        let Some((lane, identifier)) = self.probe else { return false };
        self.release(lane, identifier);
        true
    }

    /// A Status-Server to be sent, where there is a way.
    pub(super) fn begin_probe(&mut self, dice: &mut Dice<'_>) -> Option<(usize, Vec<u8>)> {
        let mut authenticator = [0; 16];
        if !self.connected || !dice(&mut authenticator) {
            return None;
        }
        let lane = self.lanes.first_mut()?;
        let mut sent = Vec::new();
        let identifier = lane.take(|identifier| {
            let built = Builder::status_server(identifier, authenticator).finish(&self.secret.0);
            sent = built.unwrap_or_default();
            Slot::Probe(sent.clone())
        })?;
        self.probe = Some((0, identifier));
        Some((0, sent))
    }
}
