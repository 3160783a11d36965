//! One EAP conversation: identity, choice of the method, rounds (RFC 4137 §6).

use std::sync::Arc;

use super::{Config, Method, Step, tunnel::{Phase2, Tunnel, Turn}, peap::Peap, ttls::Ttls};
use crate::{
    Random, Reason,
    packet::{self, Body, Packet, Type},
};

/// A login takes about ten; fragments of a long certificate chain add some.
const MAX_ROUNDS: u32 = 60;

/// RFC 4137 §6's states, as far as they hold between two calls.
enum State {
    Initialize,
    ProposeMethod { tried: Vec<Method>, tunnel: Box<Tunnel> },
    MethodRequest { tunnel: Box<Tunnel> },
    Ended,
}

/// One conversation with one peer; drop it when a step ended it.
pub struct Session {
    config: Arc<Config>,
    mtu: usize,
    state: State,
    identifier: u8,
    rounds: u32,
}

impl Session {
    /// A conversation that has not begun. `mtu`: octets of an EAP packet that the way to the peer carries, from
    /// Framed-MTU (RFC 3579 §2.4); more than 1020 is not used.
    pub fn new(config: Arc<Config>, mtu: usize) -> Self {
        Self { config, mtu, state: State::Initialize, identifier: 0, rounds: 0 }
    }

    /// Begins where the access point left it to us to ask who is there (RFC 3579 §2.1, EAP-Start): sends
    /// EAP-Request/Identity. Where it has asked by itself, go on with [`Session::handle`].
    pub fn start(&mut self, random: &mut Random<'_>) -> Step {
        let mut octet = [0];
        random(&mut octet);
        [self.identifier] = octet;
        Step::Send(packet::request(self.identifier, Type::IDENTITY, &[]))
    }

    /// Takes an EAP packet of the peer: the first one is its EAP-Response/Identity.
    pub fn handle(&mut self, packet: &[u8], random: &mut Random<'_>) -> Step {
        let Ok(Packet::Response(body)) = Packet::parse(packet) else { return Step::Ignore };
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Initialize => {
                if body.kind != Type::IDENTITY {
                    self.state = State::Initialize;
                    return Step::Ignore;
                }
                self.identifier = body.identifier;
                let method = self.config.default_method;
                self.propose(method, Vec::new())
            }
            state if body.identifier != self.identifier => {
                self.state = state;
                Step::Ignore
            }
            State::ProposeMethod { tried, tunnel } => self.answered(body, tried, tunnel, random),
            State::MethodRequest { tunnel } => {
                if body.kind != tunnel.kind() {
                    self.state = State::MethodRequest { tunnel };
                    return Step::Ignore;
                }
                self.method(tunnel, body.data, random)
            }
            State::Ended => Step::Ignore,
        }
    }

    /// Answers [`Step::Lookup`]: the clear password, or `None` where there is no such user or he may not log in.
    pub fn provide(&mut self, password: Option<&[u8]>, random: &mut Random<'_>) -> Step {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::MethodRequest { mut tunnel } => {
                let turn = tunnel.provide(password, random);
                self.turn(tunnel, turn)
            }
            state => {
                self.state = state;
                Step::Ignore
            }
        }
    }

    /// The peer took the method, or asks for another with a Nak (RFC 3748 §5.3.1).
    fn answered(&mut self, body: Body<'_>, tried: Vec<Method>, tunnel: Box<Tunnel>, random: &mut Random<'_>) -> Step {
        if body.kind == tunnel.kind() {
            return self.method(tunnel, body.data, random);
        }
        if body.kind != Type::NAK {
            self.state = State::ProposeMethod { tried, tunnel };
            return Step::Ignore;
        }
        let wanted = body.data.iter().find_map(|number| {
            self.config.methods.iter().copied().find(|method| method.kind() == Type(*number) && !tried.contains(method))
        });
        match wanted {
            Some(method) => self.propose(method, tried),
            None => self.fail(Reason::NoCommonMethod, None),
        }
    }

    fn propose(&mut self, method: Method, mut tried: Vec<Method>) -> Step {
        tried.push(method);
        let phase2: Box<dyn Phase2> = match method {
            Method::Peap => Box::new(Peap::new(self.config.name.clone())),
            Method::Ttls => Box::new(Ttls::new()),
        };
        match Tunnel::new(&self.config.tls, method.kind(), self.mtu, phase2) {
            Ok(tunnel) => {
                let start = tunnel.start();
                let kind = tunnel.kind();
                self.state = State::ProposeMethod { tried, tunnel: Box::new(tunnel) };
                self.send(kind, &start)
            }
            Err(reason) => self.fail(reason, None),
        }
    }

    fn method(&mut self, mut tunnel: Box<Tunnel>, data: &[u8], random: &mut Random<'_>) -> Step {
        let turn = tunnel.receive(data, self.identifier, random);
        self.turn(tunnel, turn)
    }

    fn turn(&mut self, tunnel: Box<Tunnel>, turn: Turn) -> Step {
        match turn {
            Turn::Send(data) => {
                let kind = tunnel.kind();
                self.state = State::MethodRequest { tunnel };
                self.send(kind, &data)
            }
            Turn::Lookup(identity) => {
                self.state = State::MethodRequest { tunnel };
                Step::Lookup { identity }
            }
            Turn::Success(msk, identity) => {
                Step::Success { packet: packet::success(self.identifier), msk, identity }
            }
            Turn::Failure(reason, identity) => self.fail(reason, identity),
        }
    }

    fn send(&mut self, kind: Type, data: &[u8]) -> Step {
        self.rounds += 1;
        if self.rounds > MAX_ROUNDS {
            return self.fail(Reason::TooManyRounds, None);
        }
        self.identifier = self.identifier.wrapping_add(1);
        Step::Send(packet::request(self.identifier, kind, data))
    }

    fn fail(&mut self, reason: Reason, identity: Option<String>) -> Step {
        self.state = State::Ended;
        Step::Failure { packet: packet::failure(self.identifier), reason, identity }
    }
}

impl Method {
    fn kind(self) -> Type {
        match self {
            Self::Peap => Type::PEAP,
            Self::Ttls => Type::TTLS,
        }
    }
}
