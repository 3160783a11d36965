//! One conversation of a peer (RFC 4137 §4; state and method names are its own).

use std::sync::Arc;

use super::{Config, Reason, Step, tunnel::Tunnel};
use crate::{
    Random,
    packet::{self, Code, Identifier, Packet, Type},
};

/// One conversation with one server; drop it when a step ended it.
pub struct Session {
    config: Arc<Config>,
    method: Tunnel,
    /// lastId and lastRespData: a request that comes again gets the same answer again.
    last: Option<(Identifier, Vec<u8>)>,
    ended: bool,
}

impl Session {
    /// A conversation that has not begun. `mtu`: octets of an EAP packet that the way to the server carries.
    pub fn new(config: Arc<Config>, mtu: usize) -> Self {
        Self { method: Tunnel::new(&config, mtu), config, last: None, ended: false }
    }

    /// Takes an EAP packet of the server.
    pub fn handle(&mut self, packet: &[u8], random: &mut Random<'_>) -> Step {
        let packet = match Packet::parse(packet) {
            Ok(packet) if !self.ended => packet,
            _ => return Step::Ignore,
        };
        let is_last = self.last.as_ref().filter(|(identifier, _)| *identifier == packet.identifier);
        match (packet.code, packet.method(), is_last) {
            // RETRANSMIT (RFC 3748 §4.1).
            (Code::REQUEST, Some(_), Some((_, response))) => Step::Send(response.clone()),
            (Code::REQUEST, Some((kind, data)), None) => self.request(packet.identifier, kind, data, random),
            (Code::SUCCESS, _, Some(_)) => self.success(),
            (Code::FAILURE, _, Some(_)) => self.end(self.method.reason()),
            // RFC 3748 §4.2: an end that does not belong to the last response is dropped in silence.
            _ => Step::Ignore,
        }
    }

    fn request(&mut self, identifier: Identifier, kind: Type, data: &[u8], random: &mut Random<'_>) -> Step {
        let wanted = self.config.method.outer();
        let response = match kind {
            Type::IDENTITY => packet::response(identifier, kind, self.config.outer_identity.as_bytes()),
            // RFC 3748 §5.2: to be shown to the user, and answered.
            Type::NOTIFICATION => packet::response(identifier, kind, &[]),
            kind if kind == wanted => match self.method.process(data, identifier, random) {
                Ok(response) => response,
                Err(reason) => return self.end(reason),
            },
            _ => packet::response(identifier, Type::NAK, &[wanted.0]),
        };
        self.last = Some((identifier, response.clone()));
        Step::Send(response)
    }

    /// RFC 3748 §4.2: a success before the method thinks so is dropped in silence.
    fn success(&mut self) -> Step {
        match self.method.msk() {
            Some(msk) => {
                self.ended = true;
                Step::Success { msk, resumed: self.method.is_resumed() }
            }
            None => Step::Ignore,
        }
    }

    fn end(&mut self, reason: Reason) -> Step {
        self.ended = true;
        Step::Failure(reason)
    }
}
