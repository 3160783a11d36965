//! Addresses, routes, rules and leases on the real kernel, between namespaces that this test makes.
//!
//! ```text
//!   laptop   wwan0 10.64.0.2/30 ---- 10.64.0.1 gw0   core   lo 10.99.0.1
//!            wlan0 by DHCP      ---- 10.9.0.1  ap0
//! ```
//! The core drops packets whose source does not belong to the interface they come by, and does not answer ARP for
//! them either (rp_filter = 1), as carriers and campus networks do. Needs root, iproute2 and dnsmasq.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may assume")]

mod adopt;
mod arp;
mod card;
mod hints;
mod ipv6;
mod lab;
mod mptcp;
#[path = "../namespace/mod.rs"]
mod namespace;
mod resolved;
mod restore;

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use agent::{
    modem::{Bearer, Ipv4Config, Ipv6Config},
    wlan::{
        self, Wlan,
        links::{Command, Event, Link, Links},
        nl80211,
        probe::{self, Probe},
    },
};
use lab::{CELLULAR, Lab, SERVER, Stream, Talk, bearer, echo, soon};
use namespace::{LIMIT, Namespace};
use nix::sys::socket::{setsockopt, sockopt::BindToDevice};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

/// The whole scheme at one strictness of the laptop's own source check; Debian's default is 2.
fn moves_lose_nothing(rp_filter: &str) {
    let lab = Lab::new();
    for interface in ["all", "wwan0", "wlan0"] {
        lab.laptop.sysctl(&format!("ipv4/conf/{interface}/rp_filter"), rp_filter);
    }
    // Of other programs: a default route with a worse metric, a route and a rule.
    lab.laptop.ip("link add other0 type veth peer name other1");
    lab.laptop.ip("address add 192.0.2.9/24 dev other0");
    lab.laptop.ip("link set other0 up");
    lab.laptop.ip("route add default via 192.0.2.1 metric 900");
    lab.laptop.ip("route add blackhole 198.51.100.0/24 metric 500");
    lab.laptop.ip("rule add from 198.51.100.1 lookup 77");
    let before = lab.laptop.picture();
    let (server, sources) = echo(&lab.core);
    let mut dhcp = lab.dhcp(&[]);

    lab.run(async move |lab| {
        let mut agent = lab.spawn();
        agent.cellular().await;
        assert!(lab.laptop.ip("link show wwan0").contains("mtu 1428"));
        agent.prefer(Link::Cellular).await;
        assert!(lab.resolvers().ends_with("nameserver 10.64.0.1\n"), "{}", lab.resolvers());
        let mut old = Talk::begin(server);
        assert_eq!(sources.recv_timeout(LIMIT).expect("accepted").ip(), IpAddr::from(CELLULAR));
        old.works();

        let lease = agent.wlan().await;
        assert_eq!((lease.prefix, lease.router), (24, Some(Ipv4Addr::new(10, 9, 0, 1))));
        dhcp.wait_for("DHCPACK").await;
        // Nothing leaves by the WLAN unasked, not even what its own network would take.
        assert!(!lab.laptop.ip("route show table main").contains("wlan0"));
        assert_eq!(lab.laptop.ip("route get 10.9.0.1").matches("wwan0").count(), 1);

        let stream = Stream::start(server);
        for _ in 0..10 {
            for (link, interface, source) in
                [(Link::Wlan, "wlan0", lease.address), (Link::Cellular, "wwan0", CELLULAR)]
            {
                // The first packet after a move may have to ask for the gateway, and must ask in its own name.
                lab.laptop.ip("neigh flush all");
                agent.prefer(link).await;
                old.works();
                let mut new = Talk::begin(server);
                assert_eq!(sources.recv_timeout(LIMIT).expect("accepted").ip(), IpAddr::from(source));
                new.works();
                assert!(lab.laptop.ip("route get 10.99.0.1").contains(interface));
                sleep(Duration::from_millis(60)).await;
            }
        }
        let (sent, lost) = stream.lost();
        assert!(sent > 50, "{sent}");
        assert_eq!(lost, 0, "of {sent}");

        agent.prefer(Link::Wlan).await;
        assert!(lab.resolvers().ends_with("nameserver 10.9.0.1\n"), "{}", lab.resolvers());
        agent.links.send(Command::WatchDrain(Link::Cellular));
        // Two counts see the old connection.
        assert!(timeout(Duration::from_millis(1500), agent.inbox.recv()).await.is_err());
        old.works();
        drop(old);
        assert_eq!(agent.next().await, Event::Drained(Link::Cellular));

        agent.quietly(Command::ReleaseCellular).await;
        assert!(!lab.laptop.picture().contains("10.64.0.2"), "{}", lab.laptop.picture());
        Talk::begin(server).works();
        agent.links.cleanup().await;
        dhcp.wait_for("DHCPRELEASE").await;
    });
    assert_eq!(lab.laptop.picture(), before);
    assert_eq!(lab.resolvers(), "nameserver 192.0.2.1\n");
}

#[test]
fn moves_lose_nothing_with_a_strict_source_check() {
    moves_lose_nothing("1");
}

#[test]
fn moves_lose_nothing_with_debians_source_check() {
    moves_lose_nothing("2");
}

#[test]
fn there_is_a_default_route_at_every_moment() {
    let lab = Lab::new();
    let _dhcp = lab.dhcp(&[]);
    lab.run(async |lab| {
        let mut agent = lab.spawn();
        agent.cellular().await;
        agent.wlan().await;
        agent.prefer(Link::Cellular).await;
        let stop = Arc::new(AtomicBool::new(false));
        let looker = {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let mut looks = 0_u32;
                while !stop.load(Ordering::Relaxed) {
                    // A connect of a datagram socket is a look into the routing table, and nothing is sent.
                    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
                    socket.connect((SERVER, 9)).expect("a route at every moment");
                    looks += 1;
                }
                looks
            })
        };
        for _ in 0..100 {
            agent.prefer(Link::Wlan).await;
            agent.prefer(Link::Cellular).await;
        }
        stop.store(true, Ordering::Relaxed);
        let looks = looker.join().expect("always a route");
        assert!(looks > 1_000, "{looks}");
    });
}

#[test]
fn a_restart_breaks_nothing() {
    let lab = Lab::new();
    let (server, _sources) = echo(&lab.core);
    lab.run(async |lab| {
        let mut agent = lab.spawn();
        agent.cellular().await;
        agent.prefer(Link::Cellular).await;
        let mut old = Talk::begin(server);
        let before = lab.laptop.picture();
        drop(agent);

        let mut agent = lab.spawn();
        agent.quietly(Command::ReleaseWlan).await;
        assert_eq!(lab.laptop.picture(), before);
        agent.cellular().await;
        agent.prefer(Link::Cellular).await;
        assert_eq!(lab.laptop.picture(), before);
        old.works();
        drop(agent);

        // Gone while nobody looked: the next run finds the rules that stayed behind.
        lab.laptop.ip("link delete wwan0");
        assert!(lab.laptop.ip("rule").contains("10.64.0.2"));
        let mut agent = lab.spawn();
        agent.quietly(Command::ReleaseWlan).await;
        assert!(!lab.laptop.ip("rule").contains("10.64.0.2"));
    });
}

#[test]
fn a_former_runs_leftovers_go_in_the_orderly_end() {
    let lab = Lab::new();
    let before = lab.laptop.picture();
    let _dhcp = lab.dhcp(&[]);
    lab.run(async |lab| {
        let mut agent = lab.spawn();
        agent.cellular().await;
        agent.wlan().await;
        agent.prefer(Link::Wlan).await;
        drop(agent);
        lab.spawn().links.cleanup().await;
    });
    assert_eq!(lab.laptop.picture(), before);
    assert!(!lab.laptop.ip("link show wwan0").contains("UP"));
    assert!(lab.laptop.ip("link show wwan0").contains("mtu 1500"));
    assert_eq!(lab.resolvers(), "nameserver 192.0.2.1\n");
}

#[test]
fn an_interface_may_vanish_at_any_moment() {
    let lab = Lab::new();
    let _dhcp = lab.dhcp(&[]);
    let (server, _sources) = echo(&lab.core);
    lab.run(async |lab| {
        let mut agent = lab.spawn();
        agent.cellular().await;
        agent.wlan().await;
        agent.prefer(Link::Wlan).await;
        lab.laptop.ip("link delete wlan0");
        agent.prefer(Link::Cellular).await;
        agent.quietly(Command::ReleaseWlan).await;
        assert!(!lab.laptop.ip("rule").contains("10.9.0."));
        Talk::begin(server).works();
        let event = agent.order(Command::Prefer(Link::Wlan)).await;
        let Event::Failed { link: Link::Wlan, text } = event else { panic!("{event:?}") };
        assert!(text.contains("no address"), "{text}");
    });
}

#[test]
fn a_lease_is_renewed_and_given_back() {
    let lab = Lab::new();
    let mut dhcp =
        lab.dhcp(&["--dhcp-option=option:T1,1", "--dhcp-option=option:T2,8", "--dhcp-option=26,1400"]);
    lab.run(async |lab| {
        let mut agent = lab.spawn();
        let lease = agent.wlan().await;
        assert_eq!((lease.mtu, lease.dns.as_slice()), (Some(1400), [IpAddr::from([10, 9, 0, 1])].as_slice()));
        assert!(lab.laptop.ip("link show wlan0").contains("mtu 1400"));
        // The kernel ends the address with the lease, should we be dead by then.
        assert!(!lab.laptop.ip("address show wlan0").contains("inet 10.9.0.100/24 scope global forever"));
        dhcp.wait_for("DHCPACK").await;
        dhcp.wait_for("DHCPREQUEST").await;
        dhcp.wait_for("DHCPACK").await;
        agent.quietly(Command::ReleaseWlan).await;
        dhcp.wait_for("DHCPRELEASE").await;
        assert!(!lab.laptop.ip("address").contains("10.9.0."));
        assert!(lab.laptop.ip("link show wlan0").contains("mtu 1500"));
        // Renewals with nothing new are no news.
        let further = std::iter::from_fn(|| agent.inbox.try_recv().ok());
        assert_eq!(further.filter(|event| !matches!(event, Event::Suspect(_))).count(), 0);
    });
}

#[test]
fn a_silent_server_is_told_in_time() {
    let lab = Lab::new();
    lab.run(async |lab| {
        let mut agent = lab.spawn();
        let event = agent.order(Command::AcquireWlan { interface: "wlan0".to_owned() }).await;
        let Event::NoLease(text) = event else { panic!("{event:?}") };
        assert_eq!(text, "no DHCP lease in 10 s");
        assert!(!lab.laptop.ip("rule").contains("wlan0"));
    });
}

#[test]
fn a_new_address_in_the_same_network_survives_the_old_ones_removal() {
    let lab = Lab::new();
    lab.laptop.sysctl("ipv4/conf/all/promote_secondaries", "0");
    let at = |address: [u8; 4]| Bearer {
        ipv4: Some(Ipv4Config::Static {
            address: address.into(),
            prefix: 24,
            gateway: Some(Ipv4Addr::new(10, 64, 0, 1)),
            dns: vec![],
        }),
        ..bearer()
    };
    lab.run(async |lab| {
        let mut agent = lab.spawn();
        for address in [[10, 64, 0, 7], [10, 64, 0, 8]] {
            assert!(matches!(
                agent.order(Command::ConfigureCellular(at(address))).await,
                Event::CellularReady { .. }
            ));
            agent.prefer(Link::Cellular).await;
        }
        let picture = lab.laptop.picture();
        assert!(picture.contains("10.64.0.8/24") && !picture.contains("10.64.0.7"), "{picture}");
        assert!(lab.laptop.ip("route get 10.99.0.1").contains("src 10.64.0.8"));
    });
}

#[test]
fn ipv6_of_a_bearer_moves_likewise_and_is_no_must() {
    let lab = Lab::new();
    let dual = Bearer {
        ipv6: Some(Ipv6Config::Static {
            address: "2001:db8:64::2".parse().expect("an address"),
            prefix: 64,
            gateway: Some("fe80::1".parse().expect("an address")),
            dns: vec![],
        }),
        ..bearer()
    };
    lab.run(async |lab| {
        let mut agent = lab.spawn();
        assert!(matches!(
            agent.order(Command::ConfigureCellular(dual.clone())).await,
            Event::CellularReady { .. }
        ));
        agent.prefer(Link::Cellular).await;
        assert!(lab.laptop.ip("route get 2001:db8:99::1").contains("src 2001:db8:64::2"));
        assert!(lab.laptop.ip("-6 rule").contains("from 2001:db8:64::2 lookup 50433"));
        agent.quietly(Command::ReleaseCellular).await;
        assert!(!lab.laptop.picture().contains("2001:db8"), "{}", lab.laptop.picture());
        lab.laptop.sysctl("ipv6/conf/wwan0/disable_ipv6", "1");
        assert!(matches!(agent.order(Command::ConfigureCellular(dual)).await, Event::CellularReady { .. }));
        agent.prefer(Link::Cellular).await;
        let picture = lab.laptop.picture();
        assert!(picture.contains("10.64.0.2/30") && !picture.contains("2001:db8"), "{picture}");
    });
}

/// One answer for each connection.
fn web(core: &Namespace, answer: &'static str) -> String {
    let listener = core.run(|| TcpListener::bind((SERVER, 0)).expect("a port"));
    let url = format!("http://{}/generate_204", listener.local_addr().expect("bound"));
    thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let mut request = [0; 1024];
            let _ = connection.read(&mut request);
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    url
}

#[test]
fn a_probe_leaves_by_its_own_link_before_the_move() {
    let lab = Lab::new();
    let _dhcp = lab.dhcp(&[]);
    let (server, _sources) = echo(&lab.core);
    let online = web(&lab.core, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n");
    let portal =
        web(&lab.core, "HTTP/1.1 302 Found\r\nLocation: http://10.9.0.1/login\r\nContent-Length: 0\r\n\r\n");
    let page = web(&lab.core, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlogin");
    let nonsense = web(&lab.core, "no HTTP at all\r\n\r\n");
    lab.run(async |lab| {
        let mut agent = lab.spawn();
        agent.cellular().await;
        agent.prefer(Link::Cellular).await;
        agent.wlan().await;
        // The bearer is up and dead: what is answered now came by the WLAN.
        lab.core.ip("address flush dev gw0");
        lab.core.sysctl("ipv4/conf/gw0/forwarding", "0");
        lab.core.ip("link set gw0 arp off");
        let mut octets = [0; 5];
        let datagram = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
        setsockopt(&datagram, BindToDevice, &"wlan0".into()).expect("bound to the interface");
        datagram.set_read_timeout(Some(LIMIT)).expect("a limit");
        datagram.send_to(b"hello", server).expect("sent");
        assert_eq!(datagram.recv(&mut octets).expect("an answer"), 5);
        let (events, mut inbox) = mpsc::channel(4);
        let prober = probe::spawn(events);
        let mut ask = async |url: &str, interface: &str| {
            let (interface, url) = (interface.to_owned(), url.to_owned());
            prober.send(probe::Command::Probe { interface, dns: vec![], url, stay: false });
            soon(inbox.recv()).await.expect("an answer")
        };
        assert_eq!(ask(&online, "wlan0").await, probe::Event::Online);
        assert_eq!(ask(&portal, "wlan0").await, probe::Event::Captive { status: 302 });
        assert_eq!(ask(&page, "wlan0").await, probe::Event::Captive { status: 200 });
        assert!(matches!(ask(&nonsense, "wlan0").await, probe::Event::Offline(_)));
        assert!(matches!(ask("http://10.99.0.1:1/", "wlan0").await, probe::Event::Offline(text) if text.starts_with("connect")));
        assert!(matches!(ask(&online, "nothing0").await, probe::Event::Offline(_)));
        assert!(matches!(ask(&online, "wwan0").await, probe::Event::Offline(_)));
    });
}

#[test]
fn the_connection_of_a_probe_stays_and_its_end_is_told() {
    let lab = Lab::new();
    let _dhcp = lab.dhcp(&[]);
    let server = lab.core.run(|| TcpListener::bind((SERVER, 0)).expect("a port"));
    let url = format!("http://{}/", server.local_addr().expect("bound"));
    let (give_up, given_up) = std::sync::mpsc::channel::<()>();
    thread::spawn(move || {
        let (mut client, _) = server.accept().expect("a client");
        let _ = client.read(&mut [0; 1024]);
        client.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("sent");
        let _ = given_up.recv();
        socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("set");
    });
    lab.run(async |lab| {
        let mut agent = lab.spawn();
        agent.wlan().await;
        let (events, mut inbox) = mpsc::channel(4);
        let prober = probe::spawn(events);
        let interface = "wlan0".to_owned();
        prober.send(probe::Command::Probe { interface, dns: vec![], url, stay: true });
        assert_eq!(soon(inbox.recv()).await, Some(probe::Event::Online));
        assert_eq!(soon(inbox.recv()).await, Some(probe::Event::Standing));
        assert!(inbox.try_recv().is_err());
        give_up.send(()).expect("the server waits");
        assert_eq!(soon(inbox.recv()).await, Some(probe::Event::Ended));
    });
}

#[test]
fn a_machine_without_a_card_is_no_failure() {
    let lab = Lab::new();
    lab.run(async |lab| {
        let (events, mut inbox) = mpsc::channel(4);
        let card = nl80211::spawn(None, events);
        card.send(wlan::Command::Watch { leave_dbm: -75, hysteresis_db: 4 });
        for _ in 0..2 {
            card.send(wlan::Command::Scan { ssids: vec![b"corp".to_vec()], frequencies: vec![] });
            let event = soon(inbox.recv()).await.expect("the task lives");
            assert_eq!(event, wlan::Event::ScanFailed("no WLAN interface".to_owned()));
            // Links that come and go are looked at, and are no cards.
            lab.laptop.ip("link set wlan0 down");
            lab.laptop.ip("link delete wwan0");
            lab.laptop.join("wwan0", &lab.core, "gw0");
        }
    });
}
