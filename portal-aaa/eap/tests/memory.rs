//! What a half-open conversation holds on to, at each of its stages: a server has thousands of them at a time.
//!
//! A binary of its own, with an allocator that counts.
#![allow(unsafe_code, reason = "an allocator is unsafe by its trait; this one only counts and passes on")]
#![allow(missing_docs, reason = "a test has no interface")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "all of this file is a test")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use eap::{
    LoginMethod, Methods,
    packet::{self, Identifier, Packet, Type},
    peer,
    server::{Config, Early, Known, Method, Session, Step},
    tls,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    RootCertStore, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{PrivateKeyDer, ServerName},
    version::{TLS12, TLS13},
};

/// Conversations of which the mean is taken.
const CONVERSATIONS: usize = 200;
/// What one may hold on to, buffers of TLS included: four kilobytes of it are where TLS reads.
const LIMIT: usize = 12 * 1024;
/// A session in the store, its places in the three indices included.
const SESSION_LIMIT: usize = 1024;
/// What a peer may make it hold on to that sends a message without end, of which sixteen kilobytes are taken.
const HOSTILE_LIMIT: usize = 32 * 1024;

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: see above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: see above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn sizes() {
    // One after the other: the allocator counts what all threads hold.
    a_half_open_conversation_is_small();
    an_endless_message_is_bounded();
    a_kept_session_is_small();
}

fn a_half_open_conversation_is_small() {
    for version in [&TLS12, &TLS13] {
        for method in [LoginMethod::PeapMschapv2, LoginMethod::TtlsEapMschapv2] {
            let (server, peer) = configs(method, version);
            // What is made once for all conversations is made now.
            let requests = (1..).find(|requests| open(&server, &peer, *requests).is_none()).unwrap();
            for stage in 1..requests {
                let mut held = Vec::with_capacity(CONVERSATIONS);
                let before = HELD.load(Ordering::Relaxed);
                held.extend((0..CONVERSATIONS).map_while(|_| open(&server, &peer, stage)));
                assert_eq!(held.len(), CONVERSATIONS);
                let each = (HELD.load(Ordering::Relaxed) - before) / CONVERSATIONS;
                println!("{version:?} {method}, request {stage} is out: {each} octets");
                assert!(each <= LIMIT, "{each} octets after request {stage} of {method} on {version:?}");
            }
        }
    }
}

fn an_endless_message_is_bounded() {
    let (server, _) = configs(LoginMethod::PeapMschapv2, &TLS13);
    let mut random = |octets: &mut [u8]| octets.fill(7);
    let mut held = Vec::with_capacity(CONVERSATIONS);
    let before = HELD.load(Ordering::Relaxed);
    for _ in 0..CONVERSATIONS {
        let mut session = Session::new(Arc::clone(&server), 1400, Duration::ZERO);
        let Step::Send(mut request) =
            session.handle(&packet::response(Identifier(1), Type::IDENTITY, b"x"), &mut random)
        else {
            panic!("no start")
        };
        for _ in 0..16 {
            // More follows, and the length is not told.
            let piece = [&[0x40], &[0; 1000][..]].concat();
            let identifier = Packet::parse(&request).unwrap().identifier;
            let step = session.handle(&packet::response(identifier, Type::PEAP, &piece), &mut random);
            let Step::Send(next) = step else { panic!("{step:?}") };
            request = next;
        }
        held.push(session);
    }
    let each = (HELD.load(Ordering::Relaxed) - before) / CONVERSATIONS;
    println!("a message of sixteen kilobytes is half here: {each} octets");
    assert!(each <= HOSTILE_LIMIT, "{each} octets");
}

fn a_kept_session_is_small() {
    for version in [&TLS12, &TLS13] {
        let (server, peer) = configs(LoginMethod::PeapMschapv2, version);
        let log_in = |number: usize| {
            let identity = format!("310150123456{number:03}@operator.example");
            let peer = Arc::new(peer::Config { identity, ..(*peer).clone() });
            assert!((1..).any(|requests| open(&server, &peer, requests).is_none()));
        };
        log_in(0);
        let before = HELD.load(Ordering::Relaxed);
        (1..=CONVERSATIONS).for_each(log_in);
        let each = (HELD.load(Ordering::Relaxed) - before) / CONVERSATIONS;
        println!("{version:?}, a session to be resumed: {each} octets");
        assert!(each <= SESSION_LIMIT, "{each} octets");
    }
}

/// A conversation of which so many requests are out, the peer's end dropped; none if it ends before.
fn open(server: &Arc<Config>, peer: &Arc<peer::Config>, requests: usize) -> Option<Session> {
    let mut random = |octets: &mut [u8]| octets.fill(7);
    let mut session = Session::new(Arc::clone(server), 1400, Duration::ZERO);
    let mut peer = peer::Session::new(Arc::clone(peer), 1400);
    let mut step = session.start(&mut random);
    for request in 1.. {
        let Step::Send(packet) = step else { return None };
        if request == requests {
            return Some(session);
        }
        let peer::Step::Send(response) = peer.handle(&packet, &mut random) else { return None };
        step = session.handle(&response, &mut random);
        if let Step::Lookup { .. } = step {
            step = session.provide(Some(Known { password: b"secret", methods: Methods::ALL }), &mut random);
        }
    }
    None
}

fn configs(
    method: LoginMethod,
    version: &'static SupportedProtocolVersion,
) -> (Arc<Config>, Arc<peer::Config>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().der().clone();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["aaa.example".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(ring::default_provider());
    let chain = vec![leaf.der().clone(), authority.clone()];
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let server = Config {
        tls: tls::server_config(Arc::clone(&provider), chain, key).unwrap(),
        default_method: Method::Peap,
        methods: vec![Method::Peap, Method::Ttls],
        name: "aaa".to_owned(),
        resumption: Some(Arc::default()),
        early: Early::Never,
    };
    let mut authorities = RootCertStore::empty();
    authorities.add(authority).unwrap();
    let peer = peer::Config {
        tls: tls::client_config(provider, authorities, &[version]).unwrap(),
        server_name: ServerName::try_from("aaa.example").unwrap(),
        method,
        outer_identity: "anonymous".to_owned(),
        identity: "me".to_owned(),
        password: "secret".to_owned().into(),
        require_binding: true,
        hasty: false,
    };
    (Arc::new(server), Arc::new(peer))
}
