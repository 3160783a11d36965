//! In whose name the gateways' MAC addresses are asked for: strict gateways do not answer a stranger, and all traffic
//! would wait for three tries.

use std::{
    io::Read,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
    thread,
};

use agent::wlan::links::Link;
use nix::sys::socket::{setsockopt, sockopt::BindToDevice};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::time::{Duration, Instant, sleep};

use crate::{
    lab::{CELLULAR, Lab, Talk, echo},
    namespace::{LIMIT, Namespace},
};

const ARP: u16 = 0x0806;
const CELLULAR_GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 1);
const WLAN_GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);

/// Sender and target of each request.
type Requests = Arc<Mutex<Vec<(Ipv4Addr, Ipv4Addr)>>>;

/// Hears the requests that come to the core, whichever interface they come by.
fn listen(core: &Namespace) -> Requests {
    let protocol = Protocol::from(i32::from(ARP.to_be()));
    let mut socket =
        core.run(|| Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).expect("a raw socket"));
    let requests = Requests::default();
    let heard = Arc::clone(&requests);
    thread::spawn(move || {
        let mut frame = [0; 64];
        // RFC 826 behind an Ethernet header of 14 octets: operation at 6, sender at 14, target at 24.
        while let Ok(42..) = socket.read(&mut frame) {
            let ip = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&frame[at..at + 4]).expect("four"));
            if frame[20..22] == [0, 1] {
                heard.lock().expect("no panic").push((ip(28), ip(38)));
            }
        }
    });
    requests
}

fn udp(from: Ipv4Addr) -> UdpSocket {
    let socket = UdpSocket::bind((from, 0)).expect("a socket");
    socket.set_read_timeout(Some(LIMIT)).expect("a limit");
    socket
}

fn ask(socket: &UdpSocket, server: SocketAddr) {
    socket.send_to(b"hello", server).expect("sent");
    assert_eq!(socket.recv(&mut [0; 64]).expect("an answer"), 5);
}

#[test]
fn each_gateway_is_asked_for_in_its_own_links_name() {
    let lab = Lab::new();
    let _dhcp = lab.dhcp(&[]);
    let (server, _sources) = echo(&lab.core);
    let requests = listen(&lab.core);
    lab.run(async |lab| {
        let mut agent = lab.spawn();
        agent.cellular().await;
        agent.prefer(Link::Cellular).await;
        let lease = agent.wlan().await;
        // Everything that a program may have begun on cellular.
        let mut talk = Talk::begin(server);
        let connected = udp(Ipv4Addr::UNSPECIFIED);
        connected.connect(server).expect("a route");
        let bound = udp(CELLULAR);
        let on_interface = udp(Ipv4Addr::UNSPECIFIED);
        setsockopt(&on_interface, BindToDevice, &"wwan0".into()).expect("bound to the interface");
        let free = udp(Ipv4Addr::UNSPECIFIED);
        for link in [Link::Wlan, Link::Cellular, Link::Wlan] {
            agent.prefer(link).await;
            // Each in turn is the one that has to ask.
            for turn in 0..5 {
                lab.laptop.ip("neigh flush all");
                match turn {
                    0 => talk.works(),
                    1 => {
                        connected.send(b"hello").expect("sent");
                        assert_eq!(connected.recv(&mut [0; 64]).expect("an answer"), 5);
                    }
                    2 => ask(&bound, server),
                    3 => ask(&on_interface, server),
                    _ => ask(&free, server),
                }
            }
        }
        let names = [(CELLULAR_GATEWAY, CELLULAR), (WLAN_GATEWAY, lease.address)];
        let heard = || requests.lock().expect("no panic").clone();
        let all = heard();
        for (gateway, name) in names {
            let senders: Vec<_> =
                all.iter().filter(|(_, target)| *target == gateway).map(|(sender, _)| *sender).collect();
            assert!(senders.len() >= 2, "{all:?}");
            assert!(senders.iter().all(|sender| *sender == name), "{gateway}: {senders:?}");
        }

        // Without the rule the old socket's packets go the new way and ask in the old name: this would be seen.
        lab.laptop.ip("rule delete from 10.64.0.2 lookup 50433");
        lab.laptop.ip("neigh flush all");
        connected.send(b"hello").expect("sent");
        let begun = Instant::now();
        while !heard().contains(&(CELLULAR, WLAN_GATEWAY)) {
            assert!(begun.elapsed() < LIMIT, "{:?}", heard());
            sleep(Duration::from_millis(20)).await;
        }
    });
}
