//! A TLS tunnel as an EAP method, with another method inside (RFC 5216 §2.1, RFC 5281 §7, MS-PEAP §3.1.5).
//!
//! Knows fragments, handshake, alerts and which session may be resumed; what is said inside is the business of
//! [`super::peap`] and [`super::ttls`].

use std::{sync::Arc, time::Duration};

use super::{
    Config,
    account::Account,
    method::{Inside, Method, Progress},
};
use crate::{
    LoginMethod, Msk, Random, Reason,
    framing::{Flags, Frame, Framing, Received},
    packet::{Code, Identifier, Type, request},
    tls::{Context, Engine, Found, Login, Mark},
};

/// Room for what is usually said inside.
const WORDS: usize = 128;

/// Both phases of one login.
pub(super) struct Tunnel<I> {
    config: Arc<Config>,
    now: Duration,
    /// None before the first message: a peer that only says its name costs no TLS.
    engine: Option<Engine>,
    framing: Framing,
    inside: I,
    next: Next,
    /// May the first words go out with our Finished?
    early: bool,
    /// Phase 2 has begun.
    established: bool,
    /// The session that is being resumed.
    resumed: Option<Found>,
    /// Of the password that the caller told.
    mark: Option<Mark>,
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
    pub(super) fn new(config: &Arc<Config>, mtu: usize, now: Duration, early: bool, inside: I) -> Self {
        Self {
            config: Arc::clone(config),
            now,
            engine: None,
            framing: Framing::new(mtu),
            inside,
            next: Next::Start,
            early: early && I::SPEAKS_FIRST,
            established: false,
            resumed: None,
            mark: None,
            closing: None,
        }
    }

    fn frame(&mut self, frame: &Frame<'_>) -> Result<Progress, Reason> {
        // MS-PEAP §3.1.5.1, RFC 5281 §9.2: the peer may not answer with a higher version than ours, which is 0.
        if frame.flags.version() != 0 {
            return Err(Reason::ProtocolError);
        }
        self.next = Next::Piece;
        match self.framing.receive(frame)? {
            Received::Part => Ok(Progress::Continue),
            Received::Acknowledgement if self.framing.is_sending() => Ok(Progress::Continue),
            Received::Acknowledgement => self.acknowledged(),
            Received::Message(message) => self.message(&message),
        }
    }

    /// All that we had to say has arrived, and the peer has nothing to say.
    fn acknowledged(&mut self) -> Result<Progress, Reason> {
        if let Some(reason) = self.closing {
            return Err(reason);
        }
        if self.established { self.hear(&[]) } else { self.establish(false) }
    }

    fn message(&mut self, message: &[u8]) -> Result<Progress, Reason> {
        if let Some(reason) = self.closing {
            return Err(reason);
        }
        let engine = match &mut self.engine {
            Some(engine) => engine,
            none => {
                let store = self.config.resumption.clone();
                let context = store.map(|store| Context { store, outer: I::KIND, now: self.now });
                none.insert(Engine::server(Arc::clone(&self.config.tls), context)?)
            }
        };
        let was_established = engine.is_established();
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
        match (self.established, engine.is_established()) {
            // Inside, silence is not part of any method.
            (true, _) if said.is_empty() => Err(Reason::ProtocolError),
            (true, _) => self.hear(&said),
            // Our Finished has arrived, and the peer speaks at once.
            (false, true) if was_established && said.is_empty() => Err(Reason::ProtocolError),
            (false, true) if was_established => {
                self.establish_fully(false)?;
                self.hear(&said)
            }
            // The handshake goes on; or half a flight of it is here, and the rest is awaited.
            (false, false) => {
                self.framing.send(engine.output());
                Ok(Progress::Continue)
            }
            // The peer's message is the last one: on TLS 1.3, perhaps with its first words inside (RFC 9427 §3), and
            // where a session of TLS 1.2 is resumed. A ticket waits in the engine for what the server says next.
            (false, true) if engine.is_tls13() || engine.is_resumed() => {
                if said.is_empty() {
                    return self.establish(false);
                }
                // Who speaks at once means to log in anew.
                self.establish_fully(false)?;
                self.hear(&said)
            }
            // The last message is ours. Nothing may be said inside before it (RFC 9427 §3).
            (false, true) if !said.is_empty() => Err(Reason::ProtocolError),
            (false, true) if self.early => self.establish(true),
            (false, true) => {
                self.framing.send(engine.output());
                Ok(Progress::Continue)
            }
        }
    }

    /// Phase 2 begins, or a session is resumed.
    fn establish(&mut self, early: bool) -> Result<Progress, Reason> {
        let engine = self.engine.as_mut().filter(|engine| engine.is_established());
        let engine = engine.ok_or(Reason::ProtocolError)?;
        if !engine.is_resumed() {
            self.establish_fully(early)?;
            return Ok(Progress::Continue);
        }
        let found = engine.found().ok_or(Reason::TlsError)?;
        self.inside.resumed(engine.keys(I::KIND)?, &found.login, engine.is_tls13());
        self.resumed = Some(found);
        self.established = true;
        self.next = Next::Inside;
        Ok(Progress::Lookup)
    }

    fn establish_fully(&mut self, early: bool) -> Result<(), Reason> {
        let engine = self.engine.as_ref().ok_or(Reason::ProtocolError)?;
        self.inside.established(engine.keys(I::KIND)?, early);
        self.established = true;
        self.next = Next::Inside;
        Ok(())
    }

    fn hear(&mut self, words: &[u8]) -> Result<Progress, Reason> {
        let engine = self.engine.as_ref().ok_or(Reason::ProtocolError)?;
        self.next = Next::Inside;
        Ok(self.inside.process(words, &|challenge: &mut [u8]| engine.challenge(challenge)))
    }

    /// The session becomes good, or is good no more, when phase 2 has come to its end.
    fn settle(&mut self, progress: Progress) -> Progress {
        let (Some(store), Progress::Done(end)) = (&self.config.resumption, progress) else { return progress };
        let kept = self.engine.as_mut().and_then(Engine::kept);
        match (end, kept, self.inside.identity(), self.inside.login()) {
            (Err(_), ..) => self.forget(),
            (Ok(()), Some(kept), Some(identity), Some(method)) => {
                // RFC 8446 §4.6.1: the lifetime counts from the full login on.
                let before = self.resumed.as_ref().map(|found| found.login.expires);
                let expires = before.unwrap_or_else(|| store.expiry(self.now));
                if let Some(mark) = self.mark {
                    store.keep(self.now, kept, Login { identity: identity.into(), method, expires, mark });
                }
            }
            _ => {}
        }
        progress
    }

    fn forget(&self) {
        if let (Some(store), Some(found)) = (&self.config.resumption, &self.resumed) {
            store.drop_session(found);
        }
    }
}

impl<I: Inside> Method for Tunnel<I> {
    fn is(&self, kind: Type) -> bool {
        kind == I::KIND
    }

    fn build_request(&mut self, identifier: Identifier, random: &mut Random<'_>) -> Result<Vec<u8>, Reason> {
        match (&self.next, &mut self.engine) {
            (Next::Start, _) => return Ok(request(identifier, I::KIND, &[Flags::START])),
            (Next::Inside, Some(engine)) => {
                let mut words = Vec::with_capacity(WORDS);
                self.inside.request(identifier, random, &mut words)?;
                if !words.is_empty() {
                    engine.write(&words)?;
                }
                // With the words goes what the engine has had to say before: our Finished, or a ticket.
                self.framing.send(engine.output());
                self.next = Next::Piece;
            }
            (Next::Piece | Next::Inside, _) => {}
        }
        Ok(self.framing.next_packet(Code::REQUEST, identifier, I::KIND))
    }

    fn check(&self, data: &[u8]) -> bool {
        Frame::parse(data).is_some()
    }

    fn process(&mut self, data: &[u8], _: &mut Random<'_>) -> Progress {
        let progress = match Frame::parse(data) {
            Some(frame) => self.frame(&frame).into(),
            None => Progress::Done(Err(Reason::ProtocolError)),
        };
        self.settle(progress)
    }

    fn provide(&mut self, mut account: Account) -> Progress {
        let mark = account.mark();
        self.mark = Some(mark);
        if let Some(found) = &self.resumed {
            // Whoever proved the password before this one has proved nothing.
            if found.login.mark != mark {
                account = Account::new(None);
            }
            // Now, not when the peer has heard of it: it may never answer.
            if account.admits(found.login.method).is_err() {
                self.forget();
            }
        }
        let progress = self.inside.provide(account);
        self.settle(progress)
    }

    fn identity(&self) -> Option<&str> {
        self.inside.identity()
    }

    fn login(&self) -> Option<LoginMethod> {
        self.inside.login()
    }

    fn is_resumed(&self) -> bool {
        self.resumed.is_some()
    }

    fn msk(&self) -> Option<Msk> {
        self.inside.msk()
    }
}
