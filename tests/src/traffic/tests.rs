//! Client and server against each other over the loopback interface.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use super::{Carried, Download, DownloadServer, Echo, EchoServer, ProbeServer, Socket};
use crate::{clock, world::netns::Netns};

/// How long something is let run.
const SPAN: Duration = Duration::from_millis(500);
const LIMIT: Duration = Duration::from_secs(20);

fn free_tcp() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn free_udp() -> SocketAddr {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

#[test]
fn echoes_come_back_and_a_server_that_is_away_is_seen() {
    let place = Netns::here();
    let address = free_udp();
    let server = EchoServer::start(&place, address).unwrap();
    let echo = Echo::start(&place, address, Socket::Free).unwrap();
    clock::pause(SPAN);
    drop(server);
    clock::pause(SPAN);
    let _server =
        clock::until("the port is free", LIMIT, || Ok(EchoServer::start(&place, address).ok())).unwrap();
    clock::pause(SPAN);
    let result = echo.finish().unwrap();
    assert!((5..result.sent - 10).contains(&result.lost), "{result:?}");
    assert!(result.longest_gap_ms >= 100, "{result:?}");
}

#[test]
fn a_download_lasts_until_it_is_told_to_end() {
    let place = Netns::here();
    let address = free_tcp();
    let _server = DownloadServer::start(&place, address).unwrap();
    let download = Download::start(&place, address, Carried::Mptcp, 200_000).unwrap();
    clock::pause(SPAN);
    let result = download.finish().unwrap();
    // The first piece of 50 ms comes at once; all of the span's would be 100,000.
    assert!(result.intact && result.resets == 0, "{result:?}");
    assert!((10_000..200_000).contains(&result.bytes), "{result:?}");
}

#[test]
fn a_connection_that_is_cut_is_not_intact() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let download =
        Download::start(&Netns::here(), listener.local_addr().unwrap(), Carried::Tcp, 1000).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    server.write_all(b"something else").unwrap();
    drop(server);
    let result = download.finish().unwrap();
    assert!(!result.intact, "{result:?}");
}

#[test]
fn the_probe_tells_internet_from_captive_portal() {
    let address = free_tcp();
    let server = ProbeServer::start(&Netns::here(), address).unwrap();
    let ask = |path: &str| {
        let mut socket = TcpStream::connect(address).unwrap();
        write!(socket, "GET {path} HTTP/1.1\r\nHost: 10.99.0.1\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer.lines().next().unwrap().to_owned()
    };
    assert_eq!(ask("/generate_204"), "HTTP/1.1 204 No Content");
    assert_eq!(ask("/other"), "HTTP/1.1 404 Not Found");
    server.set_captive(true);
    assert_eq!(ask("/generate_204"), "HTTP/1.1 302 Found");
    assert_eq!(server.answered(), 3);
}
