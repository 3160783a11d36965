//! MPTCP endpoints, and real MPTCP connections that outlive the link they began on.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, channel},
    thread,
};

use agent::wlan::links::{Command, Event, Link};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::{
    lab::{Lab, SERVER},
    namespace::{LIMIT, Namespace},
};

/// Octets of the download: some seconds at the rate that the core sends at.
const SIZE: usize = 24 << 20;

/// What octet stands at this place of the download.
fn octet(place: usize) -> u8 {
    (place.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]
}

fn socket() -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::MPTCP)).expect("a kernel with MPTCP")
}

/// Sends the download to each connection, in steps; each waits for a word.
fn server(core: &Namespace) -> (SocketAddr, std::sync::mpsc::Sender<usize>) {
    let listener = core.run(|| {
        let socket = socket();
        socket.bind(&SockAddr::from(SocketAddr::from((SERVER, 0)))).expect("bound");
        socket.listen(4).expect("listens");
        TcpListener::from(socket)
    });
    let address = listener.local_addr().expect("bound");
    let (go, steps) = channel::<usize>();
    thread::spawn(move || {
        let (mut connection, _) = listener.accept().expect("somebody");
        let mut place = 0;
        for octets in steps {
            let piece: Vec<u8> = (place..place + octets).map(octet).collect();
            connection.write_all(&piece).expect("no reset");
            place += octets;
        }
    });
    (address, go)
}

/// Reads to the end and compares each octet; tells how many each time that many have come.
fn client(server: SocketAddr) -> (Receiver<usize>, thread::JoinHandle<usize>) {
    let socket = socket();
    socket.connect(&SockAddr::from(server)).expect("connected");
    let mut connection = TcpStream::from(socket);
    connection.set_read_timeout(Some(LIMIT)).expect("a limit");
    let (tell, news) = channel();
    let reader = thread::spawn(move || {
        let mut place = 0;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = connection.read(&mut buffer).expect("no reset and no silence");
            if length == 0 {
                return place;
            }
            for (at, there) in buffer[..length].iter().enumerate() {
                assert_eq!(*there, octet(place + at), "octet {}", place + at);
            }
            place += length;
            let _ = tell.send(place);
        }
    });
    (news, reader)
}

fn wait_for(news: &Receiver<usize>, octets: usize) {
    while news.recv_timeout(LIMIT).expect("more octets") < octets {}
}

fn endpoints(lab: &Lab) -> String {
    lab.laptop.ip("mptcp endpoint")
}

#[test]
fn a_download_moves_there_and_back_and_outlives_both_links() {
    let lab = Lab::new();
    let _dhcp = lab.dhcp(&[]);
    let (address, go) = server(&lab.core);
    lab.run(async |lab| {
        let mut agent = lab.spawn();
        agent.cellular().await;
        agent.prefer(Link::Cellular).await;
        let (news, reader) = client(address);
        go.send(SIZE / 4).expect("sends");
        wait_for(&news, SIZE / 4);

        let lease = agent.wlan().await;
        agent.prefer(Link::Wlan).await;
        let text = endpoints(lab);
        for (ip, interface) in [(Ipv4Addr::new(10, 64, 0, 2), "wwan0"), (lease.address, "wlan0")] {
            let line = text.lines().find(|line| line.starts_with(&ip.to_string())).unwrap_or_default();
            assert!(line.contains("subflow") && line.contains(interface), "{text}");
            assert!(!line.contains("fullmesh") && !line.contains("backup"), "{text}");
        }
        // The bearer goes silent while octets are on their way, and is then taken away.
        go.send(SIZE / 4).expect("sends");
        lab.core.ip("link set gw0 down");
        wait_for(&news, SIZE / 2);
        agent.quietly(Command::ReleaseCellular).await;
        assert!(!endpoints(lab).contains("10.64.0.2"), "{}", endpoints(lab));

        // And back: another bearer, and the WLAN goes.
        lab.core.ip("link set gw0 up");
        agent.cellular().await;
        agent.prefer(Link::Cellular).await;
        go.send(SIZE / 4).expect("sends");
        agent.quietly(Command::ReleaseWlan).await;
        wait_for(&news, SIZE / 4 * 3);
        lab.core.ip("link set ap0 down");
        go.send(SIZE / 4).expect("sends");
        drop(go);
        let whole = tokio::task::spawn_blocking(|| reader.join().expect("whole")).await.expect("joined");
        assert_eq!(whole, SIZE);
        agent.links.cleanup().await;
        assert_eq!(endpoints(lab), "");
    });
}

#[test]
fn the_bearer_is_kept_for_when_nothing_else_delivers() {
    let lab = Lab::new();
    let _dhcp = lab.dhcp(&[]);
    lab.run(async |lab| {
        let mut agent = lab.spawn();
        agent.cellular().await;
        agent.quietly(Command::CellularBackup(true)).await;
        agent.wlan().await;
        let backup = |text: &str| {
            text.lines().map(|line| (line.contains("wwan0"), line.contains("backup"))).collect::<Vec<_>>()
        };
        let text = endpoints(lab);
        assert_eq!(backup(&text), [(true, true), (false, false)], "{text}");
        // A flag that changes keeps the endpoint, and with it the subflows.
        let id =
            |text: &str| text.split_whitespace().skip_while(|word| *word != "id").nth(1).map(str::to_owned);
        agent.quietly(Command::CellularBackup(false)).await;
        assert_eq!(backup(&endpoints(lab)), [(true, false), (false, false)]);
        assert_eq!(id(&endpoints(lab)), id(&text));
        // A new address keeps the flag.
        agent.quietly(Command::CellularBackup(true)).await;
        agent.quietly(Command::ReleaseCellular).await;
        agent.cellular().await;
        assert!(endpoints(lab).lines().any(|line| line.contains("wwan0") && line.contains("backup")));
    });
}

#[test]
fn other_programs_endpoints_and_limits_stay() {
    let lab = Lab::new();
    let _dhcp = lab.dhcp(&[]);
    lab.laptop.ip("link add other0 type veth peer name other1");
    lab.laptop.ip("address add 192.0.2.9/24 dev other0");
    lab.laptop.ip("mptcp endpoint add 192.0.2.9 id 77 signal");
    // NetworkManager makes endpoints as well, perhaps of the same address.
    lab.laptop.ip("mptcp endpoint add 10.64.0.2 id 78 subflow fullmesh");
    for limits in ["subflows 0 add_addr_accepted 1", "subflows 5 add_addr_accepted 0"] {
        lab.laptop.ip(&format!("mptcp limits set {limits}"));
        let before = lab.laptop.picture();
        lab.run(async |lab| {
            let mut agent = lab.spawn();
            agent.cellular().await;
            agent.wlan().await;
            agent.quietly(Command::CellularBackup(true)).await;
            let there = endpoints(lab);
            assert_eq!(there.matches("10.64.0.2").count(), 1, "{there}");
            assert!(
                there.lines().any(|line| line.contains("id 78")
                    && line.contains("fullmesh")
                    && !line.contains("backup")),
                "{there}"
            );
            let limits = lab.laptop.ip("mptcp limits");
            let enough = if limits.contains("add_addr_accepted 1") { "subflows 1 " } else { "subflows 5 " };
            assert!(limits.contains(enough), "{limits}");
            agent.links.cleanup().await;
        });
        assert_eq!(lab.laptop.picture(), before);
    }
}

#[test]
fn a_kernel_setting_without_mptcp_is_no_failure() {
    let lab = Lab::new();
    lab.laptop.sysctl("mptcp/enabled", "0");
    lab.run(async |lab| {
        let mut agent = lab.spawn();
        agent.cellular().await;
        let event = agent.order(Command::Prefer(Link::Cellular)).await;
        assert_eq!(event, Event::Moved(Link::Cellular));
    });
}
