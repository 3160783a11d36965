//! RADIUS over TLS as an access point sees it: who gets in, and that all is served on one connection.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may assume")]

mod common;

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use common::{
    World,
    pki::{Pki, Stream},
};
use portal_aaa::server::{drops::Why, radsec::Settings};
use radius::{AttributeType as A, Builder, Code, Packet, check_reply};

const SERVER: &str = "radsec.operator.example";
const SECRET: &[u8] = b"radsec";
const IDENTITY: &[u8] = b"\x02\x01\x00\x1f\x01anonymous@operator.example";

fn world(pki: &Pki) -> (World, SocketAddr) {
    let world = World::start_with(Ipv4Addr::LOCALHOST.into(), |folder, settings, _| {
        settings.radsec = Some(pki.settings(folder, SERVER));
    });
    let address = world.running.radsec_address().unwrap();
    (world, address)
}

fn receive(stream: &mut Stream) -> std::io::Result<Vec<u8>> {
    let mut packet = vec![0; 20];
    stream.read_exact(&mut packet)?;
    packet.resize(usize::from(u16::from_be_bytes([packet[2], packet[3]])), 0);
    stream.read_exact(&mut packet[20..])?;
    Ok(packet)
}

fn status(identifier: u8) -> Vec<u8> {
    Builder::status_server(identifier, [identifier; 16]).finish(SECRET).unwrap()
}

fn report(identifier: u8) -> Vec<u8> {
    Builder::accounting_request(identifier)
        .integer(A::ACCT_STATUS_TYPE, 2)
        .text(A::ACCT_SESSION_ID, &format!("session-{identifier}"))
        .finish(SECRET)
        .unwrap()
}

#[test]
fn logins_reports_and_status_share_one_connection_and_are_answered_as_they_are_done() {
    let pki = Pki::new();
    let (world, address) = world(&pki);
    let mut stream = pki.connect(address, SERVER, Some("ap-1"));
    let login = Builder::access_request(1, [1; 16]).eap(IDENTITY).finish(SECRET).unwrap();
    // Without Message-Authenticator and served all the same: TLS says who it is.
    let pap = Builder::access_request(2, [2; 16]).text(A::USER_NAME, "nobody").finish(SECRET).unwrap();
    let mut pap = [&pap[..20], &pap[38..]].concat();
    pap[3] -= 18;
    let requests = [login.clone(), pap, report(3), status(4), report(5)];
    // All in one record, and one more byte by byte.
    stream.write_all(&requests.concat()).unwrap();
    for octet in status(6) {
        stream.write_all(&[octet]).unwrap();
    }
    let answers: HashMap<u8, Vec<u8>> =
        (0..6).map(|_| receive(&mut stream).unwrap()).map(|a| (a[1], a)).collect();
    let expected = [
        Code::ACCESS_CHALLENGE,
        Code::ACCESS_REJECT,
        Code::ACCOUNTING_RESPONSE,
        Code::ACCESS_ACCEPT,
        Code::ACCOUNTING_RESPONSE,
    ];
    for (request, code) in requests.iter().zip(expected) {
        let (request, answer) =
            (Packet::parse(request).unwrap(), Packet::parse(&answers[&request[1]]).unwrap());
        check_reply(&answer, &request, SECRET).unwrap();
        assert_eq!(answer.code(), code);
    }
    assert!(answers.contains_key(&6));
    let database = rusqlite::Connection::open(world.path("portal-aaa.db")).unwrap();
    let rows: u32 = database.query_row("SELECT count(*) FROM accounting", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 2);
    // RFC 5080 §2.2.2 holds on a connection too.
    stream.write_all(&login).unwrap();
    assert_eq!(receive(&mut stream).unwrap(), answers[&1]);
    // On another one the same octets are another request.
    let mut other = pki.connect(address, SERVER, Some("AP-1"));
    other.write_all(&login).unwrap();
    assert_ne!(receive(&mut other).unwrap(), answers[&1]);
}

#[test]
fn who_proves_no_name_of_an_access_point_is_not_let_in() {
    let pki = Pki::new();
    let (world, address) = world(&pki);
    let mut unknown = pki.connect(address, SERVER, Some("ap-2"));
    let mut nobody = pki.connect(address, SERVER, None);
    for stream in [&mut unknown, &mut nobody] {
        let _ = stream.write_all(&status(1));
        assert!(receive(stream).is_err());
    }
    let other = Pki::new();
    let mut forged = other.connect(address, SERVER, Some("ap-1"));
    assert!(
        forged.write_all(&status(1)).and_then(|()| receive(&mut forged)).is_err(),
        "not even our own certificate"
    );
    assert!(common::log().contains("radsec-refused"));
    // Known by certificate, not by address: a name's network counts too.
    world.add_client_with("ap-7", Ipv4Addr::new(127, 0, 0, 7).into(), "secret", |_| {});
    let mut elsewhere = pki.connect(address, SERVER, Some("ap-7"));
    let _ = elsewhere.write_all(&status(1));
    assert!(receive(&mut elsewhere).is_err());
}

#[test]
fn one_socket_takes_connections_of_ipv4_and_ipv6() {
    let pki = Pki::new();
    let world = World::start_with(Ipv4Addr::LOCALHOST.into(), |folder, settings, _| {
        let radsec = pki.settings(folder, SERVER);
        settings.radsec = Some(Settings { listen: Some((Ipv6Addr::UNSPECIFIED, 0).into()), ..radsec });
    });
    let port = world.running.radsec_address().unwrap().port();
    let mut v4 = pki.connect((Ipv4Addr::LOCALHOST, port).into(), SERVER, Some("ap-1"));
    v4.write_all(&status(1)).unwrap();
    assert_eq!(receive(&mut v4).unwrap()[1], 1);
    world.add_client_with("ap-6", Ipv6Addr::LOCALHOST.into(), "secret", |_| {});
    // The client table is read again within a second.
    let answered = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        let mut v6 = pki.connect((Ipv6Addr::LOCALHOST, port).into(), SERVER, Some("ap-6"));
        v6.write_all(&status(2)).and_then(|()| receive(&mut v6)).is_ok()
    });
    assert!(answered);
}

#[test]
fn broken_framing_ends_the_connection_and_a_wrong_packet_does_not() {
    let pki = Pki::new();
    let (world, address) = world(&pki);
    let mut stream = pki.connect(address, SERVER, Some("ap-1"));
    let mut forged = status(1);
    *forged.last_mut().unwrap() ^= 1;
    stream.write_all(&[forged, status(2)].concat()).unwrap();
    assert_eq!(receive(&mut stream).unwrap()[1], 2);
    assert_eq!(world.running.drops().total(Why::Forged), 1);
    stream.write_all(&[1, 1, 0, 5, 0]).unwrap();
    assert!(receive(&mut stream).is_err());
}
