//! One conversation: identity, proposal, Nak, method, end (RFC 4137 §5 and §6; state and method names are its own).
//!
//! The picture with the same names is in README.md.

use std::{sync::Arc, time::Duration};

use super::{
    Config, Early, Known, Method as Kind, Step,
    account::Account,
    method::{Method, Progress},
    peap::Peap,
    ttls::Ttls,
    tunnel::Tunnel,
};
use crate::{
    Random, Reason,
    packet::{self, Code, Identifier, Packet, Type, nak},
};

/// Requests in a conversation. A login takes about ten over a link of ordinary width; the longest message, sixteen
/// kilobytes, takes three hundred over the narrowest.
const MAX_ROUNDS: u16 = 400;

/// One conversation with one peer; drop it when a step ended it.
pub struct Session {
    config: Arc<Config>,
    mtu: usize,
    /// When it began.
    now: Duration,
    /// Of the request that waits for its response (RFC 4137 §5.1.2 currentId).
    identifier: Identifier,
    rounds: u16,
    state: State,
    /// The peer is one that takes the first words inside early.
    early: bool,
    /// Methods that the peer has been offered.
    proposed: Vec<Kind>,
}

/// Where the conversation waits.
enum State {
    /// INITIALIZE: nothing has come, and nothing was asked.
    Initialize,
    /// IDLE: our EAP-Request/Identity is out.
    Identity,
    /// IDLE: the first request of the method is out (methodState PROPOSED); the peer may still refuse it.
    Proposed(Box<dyn Method>),
    /// IDLE: a later request of the method is out (methodState CONTINUE).
    Method(Box<dyn Method>),
    /// METHOD_RESPONSE: the method waits for the password.
    Lookup(Box<dyn Method>),
    /// SUCCESS or FAILURE (methodState END).
    End,
}

impl Session {
    /// A conversation that has not begun. `mtu`: octets of an EAP packet that the way to the peer carries, from
    /// Framed-MTU (RFC 3579 §2.4); more than 1500 is not used. `now`: time since any moment that is the same for all
    /// conversations.
    pub fn new(config: Arc<Config>, mtu: usize, now: Duration) -> Self {
        let (identifier, proposed) = (Identifier(0), Vec::new());
        Self { config, mtu, now, identifier, rounds: 0, state: State::Initialize, early: false, proposed }
    }

    /// Begins where the access point left it to us to ask who is there (RFC 3579 §2.1, EAP-Start): sends
    /// EAP-Request/Identity. Where it has asked by itself, go on with [`Session::handle`].
    pub fn start(&mut self, random: &mut Random<'_>) -> Step {
        let mut identifier = [0];
        random(&mut identifier);
        let [identifier] = identifier;
        self.identifier = Identifier(identifier);
        self.rounds = 1;
        self.state = State::Identity;
        Step::Send(packet::request(self.identifier, Type::IDENTITY, &[]))
    }

    /// Takes an EAP packet of the peer: the first one is its EAP-Response/Identity.
    pub fn handle(&mut self, packet: &[u8], random: &mut Random<'_>) -> Step {
        // RECEIVED.
        let Ok(packet) = Packet::parse(packet) else { return Step::Ignore };
        let (Code::RESPONSE, Some((kind, data))) = (packet.code, packet.method()) else {
            return Step::Ignore;
        };
        // RFC 3748 §4.1: a response to another request than the last one is dropped in silence.
        if packet.identifier != self.identifier && !matches!(self.state, State::Initialize) {
            return Step::Ignore;
        }
        match (std::mem::replace(&mut self.state, State::End), kind) {
            (State::Initialize | State::Identity, Type::IDENTITY) => {
                self.identifier = packet.identifier;
                self.early = match &self.config.early {
                    Early::Never => false,
                    Early::Always => true,
                    Early::Outer(identity) => identity.as_bytes().eq_ignore_ascii_case(data),
                };
                let method = self.config.default_method;
                self.propose_method(method, random)
            }
            // INTEGRITY_CHECK.
            (State::Proposed(method) | State::Method(method), kind)
                if method.is(kind) && method.check(data) =>
            {
                self.method_response(method, data, random)
            }
            (state, kind) => match nak(kind, data) {
                Some(wanted) if matches!(state, State::Proposed(_)) => self.nak(&wanted, random),
                // DISCARD: also a Nak to a method that was accepted, and a Notification that nobody asked for.
                _ => {
                    self.state = state;
                    Step::Ignore
                }
            },
        }
    }

    /// Answers [`Step::Lookup`]: `None` where there is no such user or he may not log in.
    pub fn provide(&mut self, known: Option<Known<'_>>, random: &mut Random<'_>) -> Step {
        match std::mem::replace(&mut self.state, State::End) {
            State::Lookup(mut method) => {
                let progress = method.provide(Account::new(known));
                self.select_action(method, progress, random)
            }
            state => {
                self.state = state;
                Step::Ignore
            }
        }
    }

    fn propose_method(&mut self, kind: Kind, random: &mut Random<'_>) -> Step {
        self.proposed.push(kind);
        let (config, mtu, now, early) = (&self.config, self.mtu, self.now, self.early);
        let method: Box<dyn Method> = match kind {
            Kind::Peap => Box::new(Tunnel::new(config, mtu, now, early, Peap::new(config))),
            Kind::Ttls => Box::new(Tunnel::new(config, mtu, now, early, Ttls::new(config))),
        };
        self.method_request(method, State::Proposed, random)
    }

    /// RFC 3748 §5.3.1: the peer refuses the proposal and names what it would take, best first.
    fn nak(&mut self, wanted: &[Type], random: &mut Random<'_>) -> Step {
        let offered = |kind: &Kind| self.config.methods.contains(kind) && !self.proposed.contains(kind);
        let kind = wanted.iter().filter_map(|wanted| Kind::of(*wanted)).find(offered);
        match kind {
            Some(kind) => self.propose_method(kind, random),
            None => self.failure(Reason::NoCommonMethod, None),
        }
    }

    fn method_request(
        &mut self,
        mut method: Box<dyn Method>,
        state: fn(Box<dyn Method>) -> State,
        random: &mut Random<'_>,
    ) -> Step {
        if self.rounds >= MAX_ROUNDS {
            return self.failure(Reason::TooManyRounds, method.identity());
        }
        let identifier = self.identifier.next();
        match method.build_request(identifier, random) {
            Ok(packet) => {
                self.rounds += 1;
                self.identifier = identifier;
                self.state = state(method);
                Step::Send(packet)
            }
            Err(reason) => self.failure(reason, method.identity()),
        }
    }

    fn method_response(&mut self, mut method: Box<dyn Method>, data: &[u8], random: &mut Random<'_>) -> Step {
        let progress = method.process(data, random);
        self.select_action(method, progress, random)
    }

    fn select_action(
        &mut self,
        method: Box<dyn Method>,
        progress: Progress,
        random: &mut Random<'_>,
    ) -> Step {
        match (progress, method.identity()) {
            (Progress::Continue, _) => self.method_request(method, State::Method, random),
            (Progress::Lookup, Some(identity)) => {
                let identity = identity.to_owned();
                let resumed = method.login().filter(|_| method.is_resumed());
                self.state = State::Lookup(method);
                Step::Lookup { identity, resumed }
            }
            (Progress::Done(Ok(())), Some(identity)) => match (method.msk(), method.login()) {
                (Some(msk), Some(login)) => Step::Success {
                    packet: packet::success(self.identifier),
                    msk,
                    identity: identity.to_owned(),
                    method: login,
                    resumed: method.is_resumed(),
                },
                _ => self.failure(Reason::TlsError, Some(identity)),
            },
            (Progress::Done(Err(reason)), identity) => self.failure(reason, identity),
            // A method that asks about nobody, or lets nobody in.
            (Progress::Lookup | Progress::Done(Ok(())), None) => self.failure(Reason::ProtocolError, None),
        }
    }

    fn failure(&self, reason: Reason, identity: Option<&str>) -> Step {
        Step::Failure {
            packet: packet::failure(self.identifier),
            reason,
            identity: identity.map(str::to_owned),
        }
    }
}
