//! The peer's end of the TLS tunnel (RFC 5216 §2.1).

use std::sync::Arc;

use super::{
    Config, Reason,
    inside::{Established, Inside},
    peap::Peap,
    ttls::Ttls,
};
use crate::{
    Msk, Random,
    framing::{Flags, Frame, Framing, Received},
    key::Secret,
    packet::{Code, Identifier, Type},
    tls::Engine,
};

/// Both phases of one login.
pub(super) struct Tunnel {
    config: Arc<Config>,
    engine: Option<Engine>,
    framing: Framing,
    inside: Box<dyn Inside>,
    established: bool,
    /// First words that wait for their turn.
    words: Option<Secret>,
    /// Why there will be no success, whatever the server says.
    failed: Option<Reason>,
}

impl Tunnel {
    pub(super) fn new(config: &Arc<Config>, mtu: usize) -> Self {
        let inside: Box<dyn Inside> = match config.method.outer() {
            Type::PEAP => Box::new(Peap::new(config)),
            _ => Box::new(Ttls::new(config)),
        };
        Self {
            config: Arc::clone(config),
            engine: None,
            framing: Framing::new(mtu),
            inside,
            established: false,
            words: None,
            failed: None,
        }
    }

    /// Takes the data of a request and gives the response, a whole packet.
    pub(super) fn process(
        &mut self,
        data: &[u8],
        identifier: Identifier,
        random: &mut Random<'_>,
    ) -> Result<Vec<u8>, Reason> {
        let frame = Frame::parse(data).ok_or(Reason::ProtocolError)?;
        if frame.flags.has(Flags::START) {
            self.start()?;
            return Ok(self.next_packet(identifier));
        }
        match self.framing.receive(&frame)? {
            Received::Part => {}
            Received::Acknowledgement if self.framing.is_sending() => {}
            Received::Acknowledgement => {
                // RFC 5281 §9.2: the peer speaks first. Nobody else gets an empty packet.
                let words = self.words.take().ok_or(Reason::ProtocolError)?;
                self.say(&words)?;
            }
            Received::Message(message) => self.message(&message, identifier, random)?,
        }
        Ok(self.next_packet(identifier))
    }

    /// A session was resumed.
    pub(super) fn is_resumed(&self) -> bool {
        self.engine.as_ref().is_some_and(Engine::is_resumed)
    }

    fn next_packet(&mut self, identifier: Identifier) -> Vec<u8> {
        self.framing.next_packet(Code::RESPONSE, identifier, self.config.method.outer())
    }

    pub(super) fn msk(&self) -> Option<Msk> {
        if self.failed.is_some() { None } else { self.inside.msk() }
    }

    /// What an EAP-Failure would mean.
    pub(super) fn reason(&self) -> Reason {
        self.failed.unwrap_or_else(|| self.inside.reason())
    }

    fn start(&mut self) -> Result<(), Reason> {
        if self.engine.is_some() {
            return Err(Reason::ProtocolError);
        }
        let mut engine = Engine::client(Arc::clone(&self.config.tls), self.config.server_name.clone())?;
        self.framing.send(engine.output());
        self.engine = Some(engine);
        Ok(())
    }

    fn message(
        &mut self,
        message: &[u8],
        identifier: Identifier,
        random: &mut Random<'_>,
    ) -> Result<(), Reason> {
        let engine = self.engine.as_mut().ok_or(Reason::ProtocolError)?;
        let said = match engine.receive(message) {
            Ok(said) => said,
            Err(error) => {
                let alert = engine.output();
                self.failed = Some(error.into());
                if alert.is_empty() {
                    return Err(error.into());
                }
                self.framing.send(alert);
                return Ok(());
            }
        };
        if engine.is_established() && !self.established {
            self.established = true;
            let tunnel = Established {
                keys: engine.keys(self.config.method.outer())?,
                resumed: engine.is_resumed(),
                tls13: engine.is_tls13(),
                challenger: &|challenge: &mut [u8]| engine.challenge(challenge),
            };
            self.words = self.inside.established(tunnel, random);
        }
        let mut output = engine.output();
        if !output.is_empty() {
            if self.config.hasty
                && let Some(words) = self.words.take()
            {
                engine.write(&words)?;
                output.extend(engine.output());
            }
            self.framing.send(output);
        } else if !said.is_empty() {
            let answer = self.inside.hear(&said, identifier, random)?;
            self.say(&answer)?;
        } else if let Some(words) = self.words.take() {
            self.say(&words)?;
        }
        Ok(())
    }

    fn say(&mut self, words: &[u8]) -> Result<(), Reason> {
        let engine = self.engine.as_mut().ok_or(Reason::ProtocolError)?;
        if !words.is_empty() {
            engine.write(words)?;
            self.framing.send(engine.output());
        }
        Ok(())
    }
}
