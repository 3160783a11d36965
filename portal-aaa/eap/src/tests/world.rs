//! Certificates, credentials, and the run of one conversation.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use proptest::prelude::any;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    RootCertStore, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    version::{TLS12, TLS13},
};

use super::air::Air;
use crate::{Methods, Msk, Random, peer, server, tls};

pub(super) const NAME: &str = "aaa.operator.example";
pub(super) const OTHER_NAME: &str = "aaa.elsewhere.example";
pub(super) const USER: &str = "device@operator.example";
/// Accounts, all with the same password: names may have spaces, domains and letters of all kinds.
pub(super) const USERS: [&str; 3] = [USER, "LAB\\two words", "Jörg Äpfel"];
/// When all conversations begin.
pub(super) const NOW: Duration = Duration::from_secs(1_000_000);
pub(super) const PASSWORD: &str = "correct hörse €";
pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
pub(super) const METHODS: [peer::Method; 8] = peer::Method::ALL;

/// An authority and the certificate of a server under it.
struct Pki {
    authority: CertificateDer<'static>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Pki {
    fn new(authority: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, authority);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new([NAME.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let chain = vec![leaf.der().clone(), authority.clone()];
        Self { authority, chain, key: PrivateKeyDer::Pkcs8(key.serialize_der().into()) }
    }
}

static OURS: LazyLock<Pki> = LazyLock::new(|| Pki::new("ours"));
static OTHER: LazyLock<Pki> = LazyLock::new(|| Pki::new("other"));
/// An authority of the same name with another key, as a server has that was set up anew.
static IMPOSTOR: LazyLock<Pki> = LazyLock::new(|| Pki::new("ours"));

pub(crate) fn server_config() -> server::Config {
    config_of(&OURS)
}

/// Servers whose authority the peers do not know.
pub(super) fn rogue_server_configs() -> [server::Config; 2] {
    [config_of(&OTHER), config_of(&IMPOSTOR)]
}

fn config_of(pki: &Pki) -> server::Config {
    let provider = Arc::new(ring::default_provider());
    server::Config {
        tls: tls::server_config(provider, pki.chain.clone(), pki.key.clone_key()).unwrap(),
        default_method: server::Method::Peap,
        methods: vec![server::Method::Peap, server::Method::Ttls],
        name: "aaa".to_owned(),
        resumption: None,
        early: server::Early::Never,
    }
}

pub(crate) fn peer_config(method: peer::Method, version: &'static SupportedProtocolVersion) -> peer::Config {
    let mut authorities = RootCertStore::empty();
    authorities.add(OURS.authority.clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    peer::Config {
        tls: tls::client_config(provider, authorities, &[version]).unwrap(),
        server_name: ServerName::try_from(NAME).unwrap(),
        method,
        outer_identity: "anonymous@operator.example".to_owned(),
        identity: USER.to_owned(),
        password: PASSWORD.to_owned().into(),
        require_binding: true,
        hasty: false,
    }
}

/// All methods on all versions.
pub(super) fn every_login() -> impl Iterator<Item = peer::Config> {
    VERSIONS
        .into_iter()
        .flat_map(|version| METHODS.into_iter().map(move |method| peer_config(method, version)))
}

/// A server that lets sessions be resumed.
pub(super) fn resuming_server_config() -> server::Config {
    server::Config { resumption: Some(Arc::default()), ..server_config() }
}

/// A peer with a memory for sessions of its own.
pub(super) fn remembering(peer: peer::Config) -> peer::Config {
    peer::Config { tls: tls::resuming(&peer.tls, 4), ..peer }
}

/// Server and peer after a full login, so that the next one is a resumed one.
pub(super) fn acquainted(peer: peer::Config) -> (server::Config, peer::Config) {
    let (server, peer) = (resuming_server_config(), remembering(peer));
    assert!(!log_in(server.clone(), peer.clone()).assert_success().resumed);
    (server, peer)
}

/// Random octets; nothing in these tests depends on which.
pub(super) fn random() -> Box<Random<'static>> {
    let mut runner = TestRunner::default();
    Box::new(move |octets| {
        for octet in octets {
            *octet = any::<u8>().new_tree(&mut runner).unwrap().current();
        }
    })
}

/// How a conversation ended, on both sides. None: the peer was told nothing that it believed.
#[derive(Debug)]
pub(super) struct End {
    pub(super) server: server::Step,
    pub(super) peer: Option<peer::Step>,
    /// Requests.
    pub(super) rounds: usize,
}

impl End {
    /// Both sides are content and hold the same key.
    pub(super) fn assert_success(self) -> Success {
        match (self.server, self.peer) {
            (
                server::Step::Success { msk, identity, method, resumed, .. },
                Some(peer::Step::Success { msk: peers, resumed: peer_thinks }),
            ) => {
                assert!(USERS.contains(&&*identity));
                assert!(msk == peers, "two different keys");
                assert_eq!(resumed, peer_thinks);
                Success { method, resumed, msk }
            }
            other => panic!("no success: {other:?}"),
        }
    }

    pub(super) fn assert_failure(self, server_thinks: crate::Reason, peer_thinks: peer::Reason) {
        match (self.server, self.peer) {
            (server::Step::Failure { reason, .. }, Some(peer::Step::Failure(peers))) => {
                assert_eq!((reason, peers), (server_thinks, peer_thinks));
            }
            other => panic!("no failure: {other:?}"),
        }
    }
}

/// What both sides agree on.
pub(super) struct Success {
    pub(super) method: peer::Method,
    pub(super) resumed: bool,
    pub(super) msk: Msk,
}

/// A login over air that does nothing bad.
pub(super) fn log_in(server: server::Config, peer: peer::Config) -> End {
    Conversation::new(server, peer, 1020).run(&mut Air::fair())
}

/// The directory.
pub(super) fn known(identity: &str) -> Option<server::Known<'static>> {
    let known = server::Known { password: PASSWORD.as_bytes(), methods: Methods::ALL };
    USERS.contains(&identity).then_some(known)
}

/// Both sides.
pub(super) struct Conversation {
    pub(super) server: server::Session,
    pub(super) peer: peer::Session,
    pub(super) random: Box<Random<'static>>,
    /// What accounts may log in with; none: nobody may.
    pub(super) methods: Option<Methods>,
    /// What the password is by now.
    pub(super) password: Option<&'static str>,
    /// What the server asked the directory.
    pub(super) asked: Vec<(String, Option<peer::Method>)>,
}

impl Conversation {
    pub(super) fn new(server: server::Config, peer: peer::Config, mtu: usize) -> Self {
        Self::at(NOW, server, peer, mtu)
    }

    pub(super) fn at(now: Duration, server: server::Config, peer: peer::Config, mtu: usize) -> Self {
        Self {
            server: server::Session::new(Arc::new(server), mtu, now),
            peer: peer::Session::new(Arc::new(peer), mtu),
            random: random(),
            methods: Some(Methods::ALL),
            password: None,
            asked: Vec::new(),
        }
    }

    /// Until the server has decided and the peer was told.
    pub(super) fn run(&mut self, air: &mut Air) -> End {
        let server::Step::Send(mut request) = self.server.start(&mut self.random) else {
            panic!("does not start")
        };
        air.send_to_peer(&request);
        for rounds in 1.. {
            assert!(rounds < 10_000, "a conversation without end");
            if let Some(packet) = air.at_peer() {
                match self.peer.handle(&packet, &mut self.random) {
                    peer::Step::Send(response) => air.send_to_server(&response),
                    peer::Step::Ignore => {}
                    step => return End { server: server::Step::Ignore, peer: Some(step), rounds },
                }
            } else if let Some(packet) = air.at_server() {
                match self.hand_over(&packet) {
                    server::Step::Send(next) => {
                        request = next;
                        air.send_to_peer(&request);
                    }
                    server::Step::Ignore => {}
                    step => return End { peer: self.tell(&step), server: step, rounds },
                }
            } else {
                // Nothing is under way: RFC 3748 §4.1, the authenticator repeats its request.
                air.send_to_peer(&request);
            }
        }
        unreachable!()
    }

    /// Gives a packet to the server, with the directory at hand.
    pub(super) fn hand_over(&mut self, packet: &[u8]) -> server::Step {
        match self.server.handle(packet, &mut self.random) {
            server::Step::Lookup { identity, resumed } => {
                let known = known(&identity).zip(self.methods);
                let known = known.map(|(known, methods)| server::Known {
                    password: self.password.map_or(known.password, str::as_bytes),
                    methods,
                });
                self.asked.push((identity, resumed));
                self.server.provide(known, &mut self.random)
            }
            step => step,
        }
    }

    /// The last packet reaches the peer: link layers see to that by other means.
    fn tell(&mut self, step: &server::Step) -> Option<peer::Step> {
        let (server::Step::Success { packet, .. } | server::Step::Failure { packet, .. }) = step else {
            return None;
        };
        match self.peer.handle(packet, &mut self.random) {
            peer::Step::Ignore => None,
            step => Some(step),
        }
    }
}
