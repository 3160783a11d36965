//! Two of us: a visited network in front, the home of operator.example behind it, over UDP and over RadSec.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may assume")]

mod common;

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
    time::Duration,
};

use common::{NAS_SECRET, STATION, World, pki::Pki};
use portal_aaa::{
    credential::Lifetime,
    proxy::{Balance, HomeServer, Pattern, Realm, Secret, Settings, Transport},
    server::drops::Why,
};
use provisioning::message::Credential;
use radius::{AttributeType as A, Builder, Code, Packet, check_reply, hide_password};
use zeroize::Zeroizing;

const PATIENCE: Duration = Duration::from_secs(20);
const HOME: &str = "radsec.operator.example";

fn udp(world: &World) -> HomeServer {
    let (address, accounting_address) = (world.running.address(), world.running.accounting_address());
    HomeServer {
        name: "home".to_owned(),
        transport: Transport::Udp { address, accounting_address },
        secret: Secret(Zeroizing::new(NAS_SECRET.as_bytes().to_vec())),
        status_server: true,
        require_message_authenticator: true,
    }
}

/// A network that knows where these are at home.
fn visited(home_servers: Vec<HomeServer>, radsec: Option<&Pki>) -> World {
    let realm = Realm {
        pattern: Pattern::parse("operator.example").unwrap(),
        home_servers: (0..home_servers.len()).collect(),
        strip: false,
        balance: Balance::FailOver,
    };
    World::start_with(Ipv4Addr::LOCALHOST.into(), |folder: &Path, settings, _| {
        settings.realm = "visited.example".to_owned();
        // What we are called in the client table of the home.
        settings.radsec = radsec.map(|pki| pki.settings(folder, "ap-1"));
        settings.proxy = Settings { home_servers, realms: vec![realm] };
    })
}

fn ask(to: SocketAddr, request: &[u8]) -> Code {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(request, to).unwrap();
    let mut buffer = [0; 4096];
    let size = socket.recv(&mut buffer).expect("an answer");
    let (answer, request) = (Packet::parse(&buffer[..size]).unwrap(), Packet::parse(request).unwrap());
    check_reply(&answer, &request, NAS_SECRET.as_bytes()).unwrap();
    assert_eq!(answer.all(A::PROXY_STATE).count(), 1, "the access point's own");
    answer.code()
}

fn pap(identifier: u8, username: &str, password: &str) -> Vec<u8> {
    let secret = NAS_SECRET.as_bytes();
    let hidden = hide_password(password.as_bytes(), secret, &[identifier; 16]).unwrap();
    Builder::access_request(identifier, [identifier; 16])
        .text(A::USER_NAME, username)
        .attribute(A::USER_PASSWORD, &hidden)
        .text(A::CALLING_STATION_ID, &STATION.to_string())
        .attribute(A::PROXY_STATE, b"the access point's")
        .finish(secret)
        .unwrap()
}

fn stop(identifier: u8, username: &str) -> Vec<u8> {
    Builder::accounting_request(identifier)
        .integer(A::ACCT_STATUS_TYPE, 2)
        .text(A::ACCT_SESSION_ID, &format!("session-{identifier}"))
        .text(A::USER_NAME, username)
        .attribute(A::PROXY_STATE, b"the access point's")
        .finish(NAS_SECRET.as_bytes())
        .unwrap()
}

fn reports(world: &World) -> u32 {
    let database = rusqlite::Connection::open(world.path("portal-aaa.db")).unwrap();
    database.query_row("SELECT count(*) FROM accounting", [], |row| row.get(0)).unwrap()
}

fn login(visited: &World, credential: &Credential) {
    let (name, password) = (credential.username.as_str(), credential.password.expose());
    assert_eq!(ask(visited.running.address(), &pap(1, name, password)), Code::ACCESS_ACCEPT);
    assert_eq!(ask(visited.running.address(), &pap(2, name, "wrong")), Code::ACCESS_REJECT);
}

#[test]
fn logins_and_reports_go_home_by_udp() {
    let home = World::start();
    let credential = home.issue(Lifetime::Device, 0);
    let visited = visited(vec![udp(&home)], None);
    login(&visited, &credential);
    let report = stop(3, &credential.username);
    assert_eq!(ask(visited.running.accounting_address(), &report), Code::ACCOUNTING_RESPONSE);
    assert_eq!((reports(&visited), reports(&home)), (1, 1));
    assert!(common::log().contains("login-proxied"));
}

#[test]
fn logins_and_reports_go_home_by_radsec() {
    let pki = Pki::new();
    let home = World::start_with(Ipv4Addr::LOCALHOST.into(), |folder, settings, _| {
        settings.radsec = Some(pki.settings(folder, HOME));
    });
    let credential = home.issue(Lifetime::Device, 0);
    let server = HomeServer {
        transport: Transport::RadSec {
            address: home.running.radsec_address().unwrap().to_string(),
            server_name: HOME.to_owned(),
        },
        ..udp(&home)
    };
    let visited = visited(vec![server], Some(&pki));
    // The connection stands in a moment; until then a login is rejected, not left without a word.
    let (name, password) = (credential.username.as_str(), credential.password.expose());
    assert!((10..110).any(|n| {
        std::thread::yield_now();
        ask(visited.running.address(), &pap(n, name, password)) == Code::ACCESS_ACCEPT
    }));
    login(&visited, &credential);
    let report = stop(3, &credential.username);
    assert_eq!(ask(visited.running.accounting_address(), &report), Code::ACCOUNTING_RESPONSE);
    assert_eq!((reports(&visited), reports(&home)), (1, 1));
}

#[test]
fn a_realm_that_nobody_knows_is_rejected_and_a_circle_ends() {
    let home = World::start();
    let visited = visited(vec![udp(&home)], None);
    let unknown = pap(1, "guest@elsewhere.example", "x");
    assert_eq!(ask(visited.running.address(), &unknown), Code::ACCESS_REJECT);
    assert!(common::log().contains("unknown-realm"));
    // Its own report of an unknown realm is kept, and acknowledged here.
    let report = stop(2, "guest@elsewhere.example");
    assert_eq!(ask(visited.running.accounting_address(), &report), Code::ACCOUNTING_RESPONSE);
    assert_eq!((reports(&visited), reports(&home)), (1, 0));
    // A home that thinks that the realm is at home with the other.
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let circle = HomeServer {
        transport: Transport::Udp {
            address: socket.local_addr().unwrap(),
            accounting_address: socket.local_addr().unwrap(),
        },
        ..udp(&home)
    };
    let visited = self::visited(vec![circle], None);
    let to = visited.running.address();
    let asking = std::thread::spawn(move || ask(to, &pap(1, "guest@operator.example", "x")));
    let mut buffer = [0; 4096];
    let (size, from) = socket.recv_from(&mut buffer).unwrap();
    socket.send_to(&buffer[..size], to).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    loop {
        let (size, sender) = socket.recv_from(&mut buffer).unwrap();
        if sender == to {
            // The circle's answer goes back the way it came.
            socket.send_to(&buffer[..size], from).unwrap();
            break;
        }
    }
    assert_eq!(asking.join().unwrap(), Code::ACCESS_REJECT);
    assert_eq!(visited.running.drops().total(Why::Looped), 1);
}

#[test]
fn the_second_home_server_takes_over_and_silence_becomes_a_reject() {
    let home = World::start();
    let credential = home.issue(Lifetime::Device, 0);
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = silent.local_addr().unwrap();
    let silent = |name: &str| HomeServer {
        name: name.to_owned(),
        transport: Transport::Udp { address, accounting_address: address },
        ..udp(&home)
    };
    let both = visited(vec![silent("silent"), udp(&home)], None);
    let alone = visited(vec![silent("alone")], None);
    std::thread::scope(|scope| {
        scope.spawn(|| login(&both, &credential));
        scope.spawn(|| {
            let request = pap(1, &credential.username, "x");
            assert_eq!(ask(alone.running.address(), &request), Code::ACCESS_REJECT);
        });
    });
    let log = common::log();
    assert!(log.contains("home-server-suspect") && log.contains("home-server-unreachable"));
}
