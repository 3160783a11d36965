//! The listeners as a network sees them: what is answered, what is dropped, what is on disk when it is acknowledged.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may assume")]

mod common;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    path::Path,
    time::Duration,
};

use common::{GATEWAY_SECRET, NAS_SECRET, World};
use portal_aaa::{
    credential::Lifetime,
    gateway::Told,
    server::drops::Why,
    store::{ClientKind, MessageAuthenticator},
};
use radius::{AttributeType as A, Builder, Code, Packet, Vendor, check_reply, hide_password, tgpp};
use rusqlite::Connection;

/// An answer on loopback takes microseconds; a busy machine gets this long.
const PATIENCE: Duration = Duration::from_secs(10);
/// Nothing came, so nothing will.
const SILENCE: Duration = Duration::from_millis(500);
/// EAP-Response/Identity "anonymous@operator.example".
const IDENTITY: &[u8] = b"\x02\x01\x00\x1f\x01anonymous@operator.example";

/// A RADIUS client with one socket.
struct Peer {
    socket: UdpSocket,
}

impl Peer {
    fn new(own: impl Into<IpAddr>, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((own.into(), 0)).unwrap();
        socket.connect(server).unwrap();
        Self { socket }
    }

    fn send(&self, request: &[u8]) {
        self.socket.send(request).unwrap();
    }

    fn receive(&self, within: Duration) -> Option<Vec<u8>> {
        self.socket.set_read_timeout(Some(within)).unwrap();
        let mut buffer = vec![0; 4096];
        let size = self.socket.recv(&mut buffer).ok()?;
        buffer.truncate(size);
        Some(buffer)
    }

    /// The code of the answer, whose authenticators are checked.
    fn ask(&self, request: &[u8], secret: &str) -> Code {
        self.send(request);
        let answer = self.receive(PATIENCE).expect("an answer");
        let (reply, request) = (Packet::parse(&answer).unwrap(), Packet::parse(request).unwrap());
        check_reply(&reply, &request, secret.as_bytes()).unwrap();
        reply.code()
    }

    /// The client table is read again within a second.
    fn is_answered_soon(&self, request: &[u8]) -> bool {
        (0..20).any(|_| {
            self.send(request);
            self.receive(SILENCE).is_some()
        })
    }

    /// Nothing comes back; the server counts it.
    fn assert_dropped(&self, world: &World, request: &[u8], why: Why) {
        let before = world.running.drops().total(why);
        self.send(request);
        assert_eq!(self.receive(SILENCE), None, "{}", why.code());
        assert_eq!(world.running.drops().total(why), before + 1, "{}", why.code());
    }
}

fn nas(world: &World) -> Peer {
    Peer::new(Ipv4Addr::LOCALHOST, world.running.address())
}

fn reporter(world: &World) -> Peer {
    Peer::new(Ipv4Addr::LOCALHOST, world.running.accounting_address())
}

fn identity(identifier: u8) -> Vec<u8> {
    Builder::access_request(identifier, [identifier; 16]).eap(IDENTITY).finish(NAS_SECRET.as_bytes()).unwrap()
}

fn stop(identifier: u8, session: &str, delay: u32) -> Vec<u8> {
    Builder::accounting_request(identifier)
        .integer(A::ACCT_STATUS_TYPE, 2)
        .text(A::ACCT_SESSION_ID, session)
        .text(A::USER_NAME, "token@operator.example")
        .integer(A::ACCT_SESSION_TIME, 60)
        .integer(A::ACCT_DELAY_TIME, delay)
        .finish(NAS_SECRET.as_bytes())
        .unwrap()
}

fn rows(database: &Path) -> u32 {
    let database = Connection::open(database).unwrap();
    database.query_row("SELECT count(*) FROM accounting", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_login_begins_with_a_challenge_and_a_repetition_gets_the_same() {
    let world = World::start();
    let peer = nas(&world);
    let request = identity(1);
    assert_eq!(peer.ask(&request, NAS_SECRET), Code::ACCESS_CHALLENGE);
    peer.send(&request);
    let first = peer.receive(PATIENCE).unwrap();
    peer.send(&request);
    assert_eq!(peer.receive(PATIENCE), Some(first.clone()), "State and all");
    peer.send(&identity(2));
    assert_ne!(peer.receive(PATIENCE), Some(first));
}

#[test]
fn what_proves_nothing_is_dropped_silently() {
    let world = World::start();
    let peer = nas(&world);
    let good = identity(1);
    // Message-Authenticator stands first and takes 18 octets.
    let mut bare = [&good[..20], &good[38..]].concat();
    bare[3] -= 18;
    peer.assert_dropped(&world, &bare, Why::Unproved);
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    peer.assert_dropped(&world, &forged, Why::Forged);
    peer.assert_dropped(&world, &good[..30], Why::Malformed);
    peer.assert_dropped(&world, &stop(1, "x", 0), Why::Malformed);
    let stranger = Peer::new(Ipv4Addr::new(127, 0, 0, 9), world.running.address());
    stranger.assert_dropped(&world, &good, Why::UnknownClient);
    assert_eq!(peer.ask(&good, NAS_SECRET), Code::ACCESS_CHALLENGE);
}

/// A request with a password and no Message-Authenticator, as old gateways send it.
fn bare_pap(identifier: u8, secret: &str) -> Vec<u8> {
    let hidden = hide_password(b"wrong", secret.as_bytes(), &[identifier; 16]).unwrap();
    let octets = Builder::access_request(identifier, [identifier; 16])
        .text(A::USER_NAME, "nobody")
        .attribute(A::USER_PASSWORD, &hidden)
        .attribute(A::PROXY_STATE, b"another's")
        .finish(secret.as_bytes())
        .unwrap();
    let mut bare = [&octets[..20], &octets[38..]].concat();
    bare[3] -= 18;
    bare
}

#[test]
fn the_policy_of_each_client_says_what_proof_is_needed() {
    let world = World::start();
    let mut expected = vec![(Ipv4Addr::LOCALHOST, false)];
    for (last, policy) in [(11, MessageAuthenticator::Audit), (12, MessageAuthenticator::Off)] {
        let own = Ipv4Addr::new(127, 0, 0, last);
        world.add_client_with(&format!("ap-{last}"), own.into(), NAS_SECRET, |client| {
            client.message_authenticator = policy;
        });
        let status = Builder::status_server(1, [5; 16]).finish(NAS_SECRET.as_bytes()).unwrap();
        assert!(Peer::new(own, world.running.address()).is_answered_soon(&status));
        expected.push((own, true));
    }
    for (own, served) in expected {
        let peer = Peer::new(own, world.running.address());
        let request = bare_pap(7, NAS_SECRET);
        if !served {
            peer.assert_dropped(&world, &request, Why::Unproved);
            continue;
        }
        // `ask` also checks that Message-Authenticator is right and comes first in the answer.
        assert_eq!(peer.ask(&request, NAS_SECRET), Code::ACCESS_REJECT, "{own}");
        // No policy softens the rule for EAP (RFC 3579 §3.1).
        let eap = identity(8);
        let mut bare = [&eap[..20], &eap[38..]].concat();
        bare[3] -= 18;
        peer.assert_dropped(&world, &bare, Why::Unproved);
    }
    assert!(common::log().contains("no-message-authenticator"));
}

#[test]
fn a_client_that_sends_too_much_is_held_to_its_rate() {
    let world = World::start();
    let own = Ipv4Addr::new(127, 0, 0, 13);
    world.add_client_with("ap-13", own.into(), NAS_SECRET, |client| client.max_rate = Some(2));
    let peer = Peer::new(own, world.running.address());
    let status = |n: u8| Builder::status_server(n, [n; 16]).finish(NAS_SECRET.as_bytes()).unwrap();
    assert!(peer.is_answered_soon(&status(1)));
    (2..40).for_each(|n| peer.send(&status(n)));
    while peer.receive(SILENCE).is_some() {}
    assert!(world.running.drops().total(Why::RateLimited) > 20);
    assert_eq!(nas(&world).ask(&status(9), NAS_SECRET), Code::ACCESS_ACCEPT, "others are not held back");
}

#[test]
fn what_is_no_eap_is_rejected_and_an_unknown_state_too() {
    let world = World::start();
    let peer = nas(&world);
    let secret = NAS_SECRET.as_bytes();
    let pap = Builder::access_request(1, [1; 16]).text(A::USER_NAME, "x").finish(secret).unwrap();
    assert_eq!(peer.ask(&pap, NAS_SECRET), Code::ACCESS_REJECT);
    let lost = Builder::access_request(2, [2; 16]).attribute(A::STATE, &[7; 16]).eap(IDENTITY);
    assert_eq!(peer.ask(&lost.finish(secret).unwrap(), NAS_SECRET), Code::ACCESS_REJECT);
}

#[test]
fn status_server_is_answered_on_both_ports() {
    let world = World::start();
    let request = Builder::status_server(1, [5; 16]).finish(NAS_SECRET.as_bytes()).unwrap();
    assert_eq!(nas(&world).ask(&request, NAS_SECRET), Code::ACCESS_ACCEPT);
    assert_eq!(reporter(&world).ask(&request, NAS_SECRET), Code::ACCOUNTING_RESPONSE);
}

#[test]
fn one_socket_serves_ipv4_and_ipv6() {
    let world = World::listening(Ipv6Addr::UNSPECIFIED.into());
    let port = world.running.address().port();
    let request = Builder::status_server(1, [5; 16]).finish(NAS_SECRET.as_bytes()).unwrap();
    let v4 = Peer::new(Ipv4Addr::LOCALHOST, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    assert_eq!(v4.ask(&request, NAS_SECRET), Code::ACCESS_ACCEPT, "the client is known as 127.0.0.1");
    let v6 = Peer::new(Ipv6Addr::LOCALHOST, SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
    v6.assert_dropped(&world, &request, Why::UnknownClient);
    world.add_client("ap-6", ClientKind::Nas, Ipv6Addr::LOCALHOST.into(), NAS_SECRET);
    assert!(v6.is_answered_soon(&request));
}

#[test]
fn a_client_added_while_serving_is_served() {
    let world = World::start();
    let own = Ipv4Addr::new(127, 0, 0, 2);
    let peer = Peer::new(own, world.running.address());
    let request = Builder::status_server(1, [5; 16]).finish(b"new secret").unwrap();
    peer.assert_dropped(&world, &request, Why::UnknownClient);
    world.add_client("ap-2", ClientKind::Nas, IpAddr::V4(own), "new secret");
    assert!(peer.is_answered_soon(&request));
}

#[test]
fn accounting_is_on_disk_when_acknowledged_and_once() {
    let world = World::start();
    let peer = reporter(&world);
    assert_eq!(peer.ask(&stop(1, "session-1", 0), NAS_SECRET), Code::ACCOUNTING_RESPONSE);
    assert_eq!(rows(&world.path("portal-aaa.db")), 1);
    assert_eq!(peer.ask(&stop(1, "session-1", 0), NAS_SECRET), Code::ACCOUNTING_RESPONSE);
    // A repetition with Acct-Delay-Time has another identifier and authenticator (RFC 2866 §5.2).
    assert_eq!(peer.ask(&stop(2, "session-1", 1), NAS_SECRET), Code::ACCOUNTING_RESPONSE);
    assert_eq!(rows(&world.path("portal-aaa.db")), 1);
    assert_eq!(peer.ask(&stop(3, "session-2", 0), NAS_SECRET), Code::ACCOUNTING_RESPONSE);
    assert_eq!(rows(&world.path("portal-aaa.db")), 2);
    let mut forged = stop(4, "session-3", 0);
    *forged.last_mut().unwrap() ^= 1;
    peer.assert_dropped(&world, &forged, Why::Forged);
}

#[test]
fn a_locked_database_delays_accounting_and_not_logins() {
    let world = World::start();
    let lock = Connection::open(world.path("portal-aaa.db")).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let peer = reporter(&world);
    let report = stop(1, "session-1", 0);
    peer.send(&report);
    assert_eq!(peer.receive(SILENCE), None, "not on disk, so not acknowledged");
    assert_eq!(nas(&world).ask(&identity(1), NAS_SECRET), Code::ACCESS_CHALLENGE);
    lock.execute_batch("ROLLBACK").unwrap();
    assert_eq!(peer.ask(&report, NAS_SECRET), Code::ACCOUNTING_RESPONSE);
    assert_eq!(rows(&world.path("portal-aaa.db")), 1);
}

#[test]
fn a_one_time_login_that_waits_for_the_disk_holds_up_nobody() {
    let world = World::start();
    let credential = world.issue(Lifetime::OneTime, 0);
    let lock = Connection::open(world.path("portal-aaa.db")).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = nas(&world);
    let authenticator = [9; 16];
    let password = credential.password.expose().as_bytes();
    let hidden = hide_password(password, NAS_SECRET.as_bytes(), &authenticator).unwrap();
    let login = Builder::access_request(1, authenticator)
        .text(A::USER_NAME, &credential.username)
        .text(A::CALLING_STATION_ID, &common::STATION.to_string())
        .attribute(A::USER_PASSWORD, &hidden)
        .finish(NAS_SECRET.as_bytes())
        .unwrap();
    waiting.send(&login);
    assert_eq!(waiting.receive(SILENCE), None, "whether it was used is not known yet");
    let others = nas(&world);
    for identifier in 0..20 {
        assert_eq!(others.ask(&identity(identifier), NAS_SECRET), Code::ACCESS_CHALLENGE);
    }
    lock.execute_batch("ROLLBACK").unwrap();
    let accept = waiting.receive(PATIENCE).expect("an answer once the disk is free");
    assert_eq!(Packet::parse(&accept).unwrap().code(), Code::ACCESS_ACCEPT);
}

#[test]
fn a_packet_gateway_tells_whose_address_it_is() {
    let world = World::start();
    let address = [10, 64, 0, 2];
    // RFC 3162 §2.3, RFC 4818 §3: reserved, bits, as many octets as needed.
    let framed = b"\x00\x40\x20\x01\x0d\xb8\x00\x00\x00\x01";
    let delegated = b"\x00\x38\x20\x01\x0d\xb8\x00\x01\x00";
    let sources: [IpAddr; 3] =
        [address.into(), "2001:db8:0:1::5".parse().unwrap(), "2001:db8:1:7::9".parse().unwrap()];
    let report = |identifier, status| {
        Builder::accounting_request(identifier)
            .integer(A::ACCT_STATUS_TYPE, status)
            .text(A::ACCT_SESSION_ID, "0a40000100000001")
            .attribute(A::FRAMED_IP_ADDRESS, &address)
            .attribute(A::FRAMED_IPV6_PREFIX, framed)
            .attribute(A(123), delegated)
            .vendor(Vendor::TGPP, tgpp::IMSI, b"001010123456789")
            .vendor(Vendor::TGPP, tgpp::IMEISV, b"4901542032375101")
            .finish(GATEWAY_SECRET.as_bytes())
            .unwrap()
    };
    let imsi = "001010123456789".parse().unwrap();
    let proved = |now: u64| {
        sources.map(|source| world.prover.prove(now, source, &Told::default(), Some(&imsi), None).is_ok())
    };
    let proved = || proved(world.clock.now().unix);
    let outside = "2001:db8:1:100::9".parse().unwrap();
    assert_eq!(proved(), [false; 3]);
    let peer = reporter(&world);
    assert_eq!(peer.ask(&report(1, 1), GATEWAY_SECRET), Code::ACCOUNTING_RESPONSE);
    assert_eq!(proved(), [true; 3], "as soon as it is acknowledged");
    let now = world.clock.now().unix;
    assert!(world.prover.prove(now, outside, &Told::default(), Some(&imsi), None).is_err());
    assert_eq!(peer.ask(&report(2, 2), GATEWAY_SECRET), Code::ACCOUNTING_RESPONSE);
    assert_eq!(proved(), [false; 3]);
    assert_eq!(rows(&world.path("portal-aaa.db")), 2);
}

#[test]
fn what_was_received_is_written_before_the_listeners_are_gone() {
    let world = World::start();
    let peer = reporter(&world);
    let database = world.path("portal-aaa.db");
    let lock = Connection::open(&database).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    peer.send(&stop(1, "session-1", 0));
    assert_eq!(peer.receive(SILENCE), None, "waits for the database");
    std::thread::scope(|scope| {
        // Only this field moves: the directory of the world stays.
        let stopping = scope.spawn(|| world.running.stop());
        lock.execute_batch("ROLLBACK").unwrap();
        stopping.join().unwrap();
    });
    assert_eq!(rows(&database), 1);
    assert!(peer.receive(PATIENCE).is_some());
}
