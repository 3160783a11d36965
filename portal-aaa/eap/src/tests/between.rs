//! Somebody between peer and server, with a certificate that the peer trusts: what crypto-binding is for.
//!
//! He ends both tunnels and carries over what is said inside.

use std::sync::Arc;

use super::world::{NOW, USER, VERSIONS, known, peer_config, random, resuming_server_config};
use crate::{
    Reason,
    framing::{Flags, Frame, Framing, Received},
    packet::{Code, Identifier, Packet, Type, request, response},
    peap::{CompoundKeys, CryptoBinding, Inner, Outcome, Subtype, Tlvs},
    peer, server,
    tls::{Engine, SessionStore},
};

/// One of his two tunnels.
struct Tunnel {
    engine: Engine,
    framing: Framing,
}

impl Tunnel {
    fn new(engine: Engine) -> Self {
        Self { engine, framing: Framing::new(1020) }
    }

    /// Takes a packet, gives the words in it.
    fn hear(&mut self, packet: &[u8]) -> Vec<u8> {
        let (_, data) = Packet::parse(packet).unwrap().method().unwrap();
        match self.framing.receive(&Frame::parse(data).unwrap()).unwrap() {
            Received::Message(message) => self.engine.receive(&message).unwrap().to_vec(),
            Received::Part | Received::Acknowledgement => Vec::new(),
        }
    }

    /// The data of the next packet, with these words in it if the tunnel stands.
    fn say(&mut self, words: &[u8]) -> Vec<u8> {
        if !words.is_empty() {
            self.engine.write(words).unwrap();
        }
        if !self.framing.is_sending() {
            self.framing.send(self.engine.output());
        }
        let packet = self.framing.next_packet(Code::REQUEST, Identifier(0), Type::PEAP);
        Packet::parse(&packet).unwrap().method().unwrap().1.to_vec()
    }
}

/// Both conversations at the point where both tunnels stand and the server has spoken first.
struct Between {
    server: server::Session,
    peer: peer::Session,
    to_server: Tunnel,
    to_peer: Tunnel,
    /// The server's last words, and the identifier they came with.
    words: Vec<u8>,
    identifier: Identifier,
    peers: Identifier,
    store: Arc<SessionStore>,
}

/// What the peer's next answer is made into.
type Twist<'a> = &'a dyn Fn(&Between, Vec<u8>) -> Vec<u8>;

impl Between {
    fn new() -> Self {
        let config = resuming_server_config();
        let store = Arc::clone(config.resumption.as_ref().unwrap());
        let peer = peer_config(peer::Method::PeapMschapv2, VERSIONS[1]);
        let name = peer.server_name.clone();
        let mut between = Self {
            to_server: Tunnel::new(Engine::client(Arc::clone(&peer.tls), name).unwrap()),
            to_peer: Tunnel::new(Engine::server(Arc::clone(&config.tls), None).unwrap()),
            server: server::Session::new(Arc::new(config), 1020, NOW),
            peer: peer::Session::new(Arc::new(peer), 1020),
            words: Vec::new(),
            identifier: Identifier(0),
            peers: Identifier(0),
            store,
        };
        between.ask_peer(&[Flags::START]);
        while !between.to_peer.engine.is_established() {
            let data = between.to_peer.say(&[]);
            between.ask_peer(&data);
        }
        between.answer_server(Type::IDENTITY, b"anonymous");
        while between.words.is_empty() {
            let data = between.to_server.say(&[]);
            between.answer_server(Type::PEAP, &data);
        }
        between
    }

    /// Sends a request to the peer and gives its words.
    fn ask_peer(&mut self, data: &[u8]) -> Vec<u8> {
        self.peers = self.peers.next();
        match self.peer.handle(&request(self.peers, Type::PEAP, data), &mut random()) {
            peer::Step::Send(packet) => self.to_peer.hear(&packet),
            step => panic!("{step:?}"),
        }
    }

    /// Sends a response to the server; its words are in `words` then. Gives a step that is no request.
    fn answer_server(&mut self, kind: Type, data: &[u8]) -> Option<server::Step> {
        let mut step = self.server.handle(&response(self.identifier, kind, data), &mut random());
        if let server::Step::Lookup { identity, .. } = &step {
            assert_eq!(identity, USER);
            step = self.server.provide(known(USER), &mut random());
        }
        let server::Step::Send(packet) = step else { return Some(step) };
        self.identifier = Packet::parse(&packet).unwrap().identifier;
        self.words = if kind == Type::IDENTITY { Vec::new() } else { self.to_server.hear(&packet) };
        None
    }

    /// Carries words to and fro until the server has decided.
    fn carry(&mut self, twist: Twist<'_>) -> server::Step {
        for _ in 0..10 {
            let data = self.to_peer.say(&self.words.clone());
            let answer = self.ask_peer(&data);
            let answer = twist(self, answer);
            let data = self.to_server.say(&answer);
            if let Some(step) = self.answer_server(Type::PEAP, &data) {
                return step;
            }
        }
        panic!("no end")
    }

    /// Carries words faithfully for some rounds, none of them the last.
    fn carry_on(&mut self, rounds: usize) {
        for _ in 0..rounds {
            let data = self.to_peer.say(&self.words.clone());
            let answer = self.ask_peer(&data);
            let data = self.to_server.say(&answer);
            assert!(self.answer_server(Type::PEAP, &data).is_none());
        }
    }

    /// How the peer takes an EAP-Failure now.
    fn peers_reason(mut self) -> peer::Reason {
        match self.peer.handle(&crate::packet::failure(self.peers), &mut random()) {
            peer::Step::Failure(reason) => reason,
            step => panic!("{step:?}"),
        }
    }
}

#[test]
fn the_peer_notices() {
    let mut between = Between::new();
    let step = between.carry(&|_, answer| answer);
    assert!(matches!(step, server::Step::Failure { reason: Reason::PeerRefused, .. }), "{step:?}");
    assert!(between.store.is_empty(), "nothing to be resumed");
    assert_eq!(between.peers_reason(), peer::Reason::CryptoBindingMismatch);
}

#[test]
fn the_server_notices_a_forged_answer() {
    let mut between = Between::new();
    let step = between.carry(&|between, answer| {
        let Some(Inner { kind: Type::TLV, data }) = Inner::parse(&between.words, Code::REQUEST) else {
            return answer;
        };
        // The nonce is known, the tunnel is his own; the key of the inner method is what he does not have.
        let nonce = Tlvs::parse(data).unwrap().binding.unwrap().nonce();
        let keys = CompoundKeys::derive(&between.to_server.engine.keys(Type::PEAP).unwrap(), &[]);
        let binding = Some(CryptoBinding::sign(&keys, Subtype::RESPONSE, &nonce));
        let tlvs = written(&Tlvs { result: Some(Outcome::SUCCESS), binding, unknown_mandatory: false });
        Inner { kind: Type::TLV, data: &tlvs }.encode(Code::RESPONSE, between.identifier)
    });
    assert!(matches!(step, server::Step::Failure { reason: Reason::CryptoBindingMismatch, .. }), "{step:?}");
    assert!(between.store.is_empty(), "nothing to be resumed");
}

fn written(tlvs: &Tlvs) -> Vec<u8> {
    let mut octets = Vec::new();
    tlvs.write(&mut octets);
    octets
}

/// A result without a binding, as words of the server.
fn bare_success() -> Vec<u8> {
    let tlvs = written(&Tlvs { result: Some(Outcome::SUCCESS), ..Tlvs::default() });
    Inner { kind: Type::TLV, data: &tlvs }.encode(Code::REQUEST, Identifier(1))
}

#[test]
fn the_peer_wants_a_binding() {
    let mut between = Between::new();
    // Identity, challenge, the server's proof.
    between.carry_on(3);
    between.words = bare_success();
    let data = between.to_peer.say(&between.words.clone());
    between.ask_peer(&data);
    assert_eq!(between.peers_reason(), peer::Reason::CryptoBindingMismatch);
}

#[test]
fn the_peer_wants_a_login_before_the_result() {
    let mut between = Between::new();
    between.words = bare_success();
    let data = between.to_peer.say(&between.words.clone());
    between.ask_peer(&data);
    assert_eq!(between.peers_reason(), peer::Reason::ProtocolError);
}

#[test]
fn the_peer_wants_proof_of_the_server() {
    let mut between = Between::new();
    // Identity, then the challenge and its answer.
    between.carry_on(2);
    let proof = between.words.iter().position(|octet| *octet == b'S').unwrap() + 2;
    between.words[proof] ^= 1;
    let data = between.to_peer.say(&between.words.clone());
    let step = between.peer.handle(&request(between.peers.next(), Type::PEAP, &data), &mut random());
    assert!(matches!(step, peer::Step::Failure(peer::Reason::UnprovenServer)), "{step:?}");
}
