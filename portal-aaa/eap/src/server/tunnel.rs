//! Phase 1 of PEAP and TTLS: fragments, TLS, and phase 2 inside.

use std::sync::Arc;

use crate::{
    Msk, Random, Reason,
    framing::{Framing, FramingError, Received},
    packet::Type,
    tls::Tls,
};

/// What a method's turn led to.
pub(super) enum Turn {
    /// Type-data of the next request.
    Send(Vec<u8>),
    /// The caller is to find this user's password.
    Lookup(String),
    Success(Msk, String),
    Failure(Reason, Option<String>),
}

/// What phase 2 wants.
pub(super) enum Inner {
    /// Encrypt this and send it.
    Send(Vec<u8>),
    /// Send a message without octets: it is the peer's turn.
    Wait,
    Lookup(String),
    Success(Msk),
    Failure(Reason),
}

/// A method inside the tunnel.
pub(super) trait Phase2: Send {
    /// The tunnel stands and the peer has said nothing in it yet.
    fn begin(&mut self, tls: &Tls, random: &mut Random<'_>) -> Inner;
    /// The peer said this; `identifier` is the outer request's.
    fn receive(&mut self, tls: &Tls, plain: &[u8], identifier: u8, random: &mut Random<'_>) -> Inner;
    /// The peer acknowledged what was sent, with nothing inside.
    fn acknowledged(&mut self, tls: &Tls) -> Inner;
    /// The user's password, or none.
    fn provide(&mut self, tls: &Tls, password: Option<&[u8]>, random: &mut Random<'_>) -> Inner;
    /// Who the peer says it is.
    fn identity(&self) -> Option<String>;
}

pub(super) struct Tunnel {
    kind: Type,
    framing: Framing,
    tls: Tls,
    phase2: Box<dyn Phase2>,
    begun: bool,
    /// An alert has been sent; the peer's next message ends it.
    broken: Option<Reason>,
    identifier: u8,
}

impl Tunnel {
    pub(super) fn new(
        config: &Arc<rustls::ServerConfig>,
        kind: Type,
        mtu: usize,
        phase2: Box<dyn Phase2>,
    ) -> Result<Self, Reason> {
        Ok(Self {
            kind,
            framing: Framing::new(0, mtu),
            tls: Tls::new(config)?,
            phase2,
            begun: false,
            broken: None,
            identifier: 0,
        })
    }

    pub(super) fn kind(&self) -> Type {
        self.kind
    }

    pub(super) fn start(&self) -> Vec<u8> {
        self.framing.start()
    }

    /// Takes the type-data of a response.
    pub(super) fn receive(&mut self, data: &[u8], identifier: u8, random: &mut Random<'_>) -> Turn {
        self.identifier = identifier;
        // Versions above 0 are another protocol (PEAPv1); a peer that insists is not served.
        if data.first().is_some_and(|flags| flags & 0x07 != 0) {
            return self.fail(Reason::ProtocolError);
        }
        match self.framing.receive(data) {
            Ok(Received::Acknowledged) => Turn::Send(self.framing.next_piece()),
            Ok(Received::More) => Turn::Send(self.framing.empty()),
            Ok(Received::Message(message)) => self.message(&message, random),
            Err(FramingError::TooLong(_)) => self.fail(Reason::TooMuchData),
            Err(_) => self.fail(Reason::ProtocolError),
        }
    }

    pub(super) fn provide(&mut self, password: Option<&[u8]>, random: &mut Random<'_>) -> Turn {
        let inner = self.phase2.provide(&self.tls, password, random);
        self.inner(inner)
    }

    fn message(&mut self, message: &[u8], random: &mut Random<'_>) -> Turn {
        if let Some(reason) = self.broken {
            return self.fail(reason);
        }
        let established = self.tls.established();
        if message.is_empty() {
            if !established {
                return self.fail(Reason::ProtocolError);
            }
            let inner = if self.begun {
                self.phase2.acknowledged(&self.tls)
            } else {
                self.begun = true;
                self.phase2.begin(&self.tls, random)
            };
            return self.inner(inner);
        }
        let progress = self.tls.receive(message);
        if let Some(reason) = progress.error {
            // The alert tells the peer's user what happened; a peer's own alert needs no answer.
            if progress.out.is_empty() || reason == Reason::PeerRefusedServerCertificate {
                return self.fail(reason);
            }
            self.broken = Some(reason);
            return Turn::Send(self.framing.send(progress.out));
        }
        if !progress.out.is_empty() {
            // Handshake records; the peer's data could only come with the last of them on TLS 1.3, which has none.
            return Turn::Send(self.framing.send(progress.out));
        }
        if !self.tls.established() {
            return self.fail(Reason::ProtocolError);
        }
        let inner = if progress.plain.is_empty() {
            self.begun = true;
            self.phase2.begin(&self.tls, random)
        } else {
            self.begun = true;
            self.phase2.receive(&self.tls, &progress.plain, self.identifier, random)
        };
        self.inner(inner)
    }

    fn inner(&mut self, inner: Inner) -> Turn {
        match inner {
            Inner::Send(plain) => match self.tls.seal(&plain) {
                Ok(records) => Turn::Send(self.framing.send(records)),
                Err(reason) => self.fail(reason),
            },
            Inner::Wait => Turn::Send(self.framing.empty()),
            Inner::Lookup(identity) => Turn::Lookup(identity),
            Inner::Success(msk) => match self.phase2.identity() {
                Some(identity) => Turn::Success(msk, identity),
                None => self.fail(Reason::ProtocolError),
            },
            Inner::Failure(reason) => self.fail(reason),
        }
    }

    fn fail(&self, reason: Reason) -> Turn {
        Turn::Failure(reason, self.phase2.identity())
    }
}
