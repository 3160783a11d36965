//! A TLS tunnel as an EAP method, with another method inside (RFC 5216 §2.1, RFC 5281 §7, MS-PEAP §3.1.5).
//!
//! Knows fragments, handshake and alerts; what is said inside is the business of [`super::peap`] and
//! [`super::ttls`].

use std::sync::Arc;

use super::{
    Config,
    method::{Inside, Method, Progress},
};
use crate::{
    LoginMethod, Random, Reason,
    framing::{Flags, Frame, Framing, Received},
    packet::{Identifier, Type},
    tls::Engine,
};

/// Both phases of one login.
pub(super) struct Tunnel<I> {
    config: Arc<Config>,
    /// None before the first message: a peer that only says its name costs no TLS.
    engine: Option<Engine>,
    framing: Framing,
    inside: I,
    next: Next,
    /// Phase 2 has begun.
    established: bool,
    /// Our alert is on its way; RFC 5216 §2.1.3: the server waits for the response to it before it fails.
    closing: Option<Reason>,
}

/// What the next request is.
enum Next {
    /// The first packet, with the start flag.
    Start,
    /// A piece of the message that is being sent, or an acknowledgement.
    Piece,
    /// What the method inside has to say.
    Inside,
}

impl<I: Inside> Tunnel<I> {
    pub(super) fn new(config: &Arc<Config>, mtu: usize, inside: I) -> Self {
        Self {
            config: Arc::clone(config),
            engine: None,
            framing: Framing::new(mtu),
            inside,
            next: Next::Start,
            established: false,
            closing: None,
        }
    }

    fn frame(&mut self, frame: &Frame<'_>, random: &mut Random<'_>) -> Result<Progress, Reason> {
        // MS-PEAP §3.1.5.1, RFC 5281 §9.2: the peer may not answer with a higher version than ours, which is 0.
        if frame.flags.version() != 0 {
            return Err(Reason::ProtocolError);
        }
        self.next = Next::Piece;
        match self.framing.receive(frame)? {
            Received::Part => Ok(Progress::Continue),
            Received::Acknowledgement if self.framing.is_sending() => Ok(Progress::Continue),
            Received::Acknowledgement => self.acknowledged(random),
            Received::Message(message) => self.message(&message, random),
        }
    }

    /// All that we had to say has arrived, and the peer has nothing to say.
    fn acknowledged(&mut self, random: &mut Random<'_>) -> Result<Progress, Reason> {
        if let Some(reason) = self.closing {
            return Err(reason);
        }
        if self.established {
            self.next = Next::Inside;
            return Ok(self.inside.process(&[], random));
        }
        self.establish()
    }

    fn message(&mut self, message: &[u8], random: &mut Random<'_>) -> Result<Progress, Reason> {
        if let Some(reason) = self.closing {
            return Err(reason);
        }
        let engine = match &mut self.engine {
            Some(engine) => engine,
            none => none.insert(Engine::server(Arc::clone(&self.config.tls))?),
        };
        let said = match engine.receive(message) {
            Ok(said) => said,
            Err(error) => {
                let alert = engine.output();
                if alert.is_empty() {
                    return Err(error.into());
                }
                self.framing.send(alert);
                self.closing = Some(error.into());
                return Ok(Progress::Continue);
            }
        };
        let output = engine.output();
        match (output.is_empty(), said.is_empty()) {
            // The handshake goes on, or ends with our message; phase 2 begins when that has arrived.
            (false, true) => self.framing.send(output),
            // Nothing may be said inside before our last message (RFC 9427 §3), and nothing we answer outside later.
            (false, false) => return Err(Reason::ProtocolError),
            // On TLS 1.3 the peer's message is the last one, perhaps with its first words inside (RFC 9427 §3).
            (true, _) if engine.is_established() && !self.established => {
                let progress = self.establish()?;
                if !said.is_empty() {
                    return Ok(self.inside.process(&said, random));
                }
                return Ok(progress);
            }
            (true, false) => {
                self.next = Next::Inside;
                return Ok(self.inside.process(&said, random));
            }
            // Half a flight of the handshake: the rest is awaited. Inside, silence is not part of any method.
            (true, true) if self.established => return Err(Reason::ProtocolError),
            (true, true) => {}
        }
        Ok(Progress::Continue)
    }

    /// Phase 2 begins.
    fn establish(&mut self) -> Result<Progress, Reason> {
        let engine =
            self.engine.as_ref().filter(|engine| engine.is_established()).ok_or(Reason::ProtocolError)?;
        self.inside.established(engine.exports(self.inside.kind())?);
        self.established = true;
        self.next = Next::Inside;
        Ok(Progress::Continue)
    }
}

impl<I: Inside> Method for Tunnel<I> {
    fn kind(&self) -> Type {
        self.inside.kind()
    }

    fn build_request(&mut self, identifier: Identifier, random: &mut Random<'_>) -> Result<Vec<u8>, Reason> {
        match (&self.next, &mut self.engine) {
            (Next::Start, _) => {
                return Ok(Frame { flags: Flags(Flags::START), length: None, data: &[] }.encode());
            }
            (Next::Inside, Some(engine)) => {
                let words = self.inside.build_request(identifier, random)?;
                if !words.is_empty() {
                    engine.write(&words)?;
                    self.framing.send(engine.output());
                }
                self.next = Next::Piece;
            }
            (Next::Piece | Next::Inside, _) => {}
        }
        Ok(self.framing.next_piece())
    }

    fn check(&self, data: &[u8]) -> bool {
        Frame::parse(data).is_some()
    }

    fn process(&mut self, data: &[u8], random: &mut Random<'_>) -> Progress {
        match Frame::parse(data) {
            Some(frame) => self.frame(&frame, random).into(),
            None => Progress::Done(Err(Reason::ProtocolError)),
        }
    }

    fn provide(&mut self, password: Option<&[u8]>) -> Progress {
        self.inside.provide(password)
    }

    fn identity(&self) -> Option<&str> {
        self.inside.identity()
    }

    fn login(&self) -> Option<LoginMethod> {
        self.inside.login()
    }

    fn key(&self) -> Option<&[u8]> {
        self.inside.key()
    }
}
