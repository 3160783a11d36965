//! A session that must end is ended at its access point, which is a socket of this test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests may assume"
)]

mod common;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use common::{NAS_SECRET, World};
use portal_aaa::{
    aaa::{Now, directory::Reject},
    accounting::ending::{Ending, Endings, Outcome},
    server::disconnect,
};
use radius::{AttributeType as A, Builder, Code, Packet, dynamic_request_is_genuine};
use zeroize::Zeroizing;

const PATIENCE: Duration = Duration::from_secs(10);

/// Sessions that must end, and where the outcomes go.
struct Table {
    due: Mutex<Vec<Ending>>,
    done: mpsc::SyncSender<(u64, Outcome)>,
}

impl Endings for Table {
    fn due(&self, _now: Now) -> Vec<Ending> {
        std::mem::take(&mut self.due.lock().unwrap())
    }

    fn done(&self, _now: Now, key: u64, outcome: Outcome) {
        self.done.send((key, outcome)).unwrap();
    }
}

fn ending(key: u64) -> Ending {
    Ending {
        key,
        why: Reject::Revoked,
        client: "ap-9".to_owned(),
        address: Ipv4Addr::new(127, 0, 0, 9).into(),
        username: "token@operator.example".to_owned(),
        mac: Some(common::STATION),
        calling_station: Some("02-00-00-00-00-01".to_owned()),
        session_id: Some("5F0E1D2C".to_owned()),
        multi_session_id: None,
        nas_identifier: None,
        nas_address: Some(Ipv4Addr::new(127, 0, 0, 9).into()),
    }
}

/// Receives one request, checks it, and answers.
fn serve(socket: &UdpSocket, code: Code, cause: Option<u32>) -> (SocketAddr, Vec<u8>) {
    let mut buffer = [0; 4096];
    let (size, from) = socket.recv_from(&mut buffer).expect("a request");
    let request = Packet::parse(&buffer[..size]).unwrap();
    assert_eq!(request.code(), Code::DISCONNECT_REQUEST);
    assert!(dynamic_request_is_genuine(&request, NAS_SECRET.as_bytes()));
    let first = request.attributes().next().unwrap();
    assert_eq!(first.kind, A::MESSAGE_AUTHENTICATOR);
    let reply = Builder::reply(code, &request);
    let reply = cause.into_iter().fold(reply, |reply, cause| reply.integer(A::ERROR_CAUSE, cause));
    socket.send_to(&reply.finish(NAS_SECRET.as_bytes()).unwrap(), from).unwrap();
    (from, buffer[..size].to_vec())
}

fn access_point() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 9), 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

#[test]
fn due_sessions_are_ended_within_a_second_and_the_table_hears_of_it() {
    ended_from(Ipv4Addr::LOCALHOST.into());
}

#[test]
fn a_socket_of_both_families_reaches_an_access_point_of_ipv4() {
    ended_from(Ipv6Addr::UNSPECIFIED.into());
}

fn ended_from(listen: IpAddr) {
    let socket = access_point();
    let (sender, done) = mpsc::sync_channel(10);
    let table = Arc::new(Table { due: Mutex::default(), done: sender });
    let endings = Arc::clone(&table);
    let world = World::start_with(listen, |_, _, parts| parts.endings = Some(endings));
    let port = socket.local_addr().unwrap().port();
    world.add_client_with("ap-9", Ipv4Addr::new(127, 0, 0, 9).into(), NAS_SECRET, |client| {
        client.coa_port = Some(port);
    });
    // Until the client table has been read again nobody takes requests there.
    let mut outcome = Outcome::Unanswered;
    std::thread::scope(|scope| {
        let ap = scope.spawn(|| serve(&socket, Code::DISCONNECT_ACK, None).0);
        while outcome != Outcome::Gone {
            table.due.lock().unwrap().push(ending(1));
            outcome = done.recv_timeout(PATIENCE).unwrap().1;
        }
        let from = ap.join().unwrap();
        assert_eq!(from.ip(), Ipv4Addr::LOCALHOST, "from where the access point sends its requests to");
    });
    table.due.lock().unwrap().push(ending(2));
    let (_, full) = serve(&socket, Code::DISCONNECT_NAK, Some(401));
    let full = Packet::parse(&full).unwrap().attributes().count();
    let (_, reduced) = serve(&socket, Code::DISCONNECT_NAK, Some(501));
    assert!(Packet::parse(&reduced).unwrap().attributes().count() < full);
    let last = std::iter::from_fn(|| done.recv_timeout(PATIENCE).ok()).find(|(key, _)| *key == 2);
    assert_eq!(last, Some((2, Outcome::Refused(501))));
    let log = common::log();
    for event in ["disconnect-sent", "disconnect-acknowledged", "disconnect-refused", "disconnect-unanswered"]
    {
        assert!(log.contains(event), "{event}");
    }
}

#[test]
fn a_command_ends_one_session_and_waits() {
    let socket = access_point();
    let to = socket.local_addr().unwrap();
    let asking = std::thread::spawn(move || {
        let clock = portal_aaa::server::clock::Clock::start();
        disconnect::once(clock, ending(7), to, Zeroizing::new(NAS_SECRET.as_bytes().to_vec())).unwrap()
    });
    serve(&socket, Code::DISCONNECT_ACK, None);
    assert_eq!(asking.join().unwrap(), Outcome::Gone);
}
