//! IPv6 by router advertisement (dnsmasq sends them) on both links.

use std::net::{Ipv6Addr, SocketAddr, UdpSocket};

use agent::{
    modem::{Bearer, Ipv6Config},
    wlan::links::{Command, Event, Link},
};
use tokio::time::{Duration, Instant, sleep};

use crate::{
    lab::{Lab, bearer},
    namespace::{LIMIT, Program},
};

const SERVER: &str = "2001:db8:99::1";
const CELLULAR: &str = "2001:db8:64:";
const WLAN: &str = "2001:db8:9:";

/// The core routes IPv6 as well, and drops what comes by the wrong interface.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.core.sysctl("ipv6/conf/all/forwarding", "1");
    for (interface, address) in [
        ("gw0", "fe80::1/64"),
        ("gw0", "2001:db8:64::1/64"),
        ("ap0", "fe80::1/64"),
        ("ap0", "2001:db8:9::1/64"),
        ("lo", "2001:db8:99::1/128"),
    ] {
        lab.core.ip(&format!("address add {address} dev {interface} nodad"));
    }
    // As Ethernet has it; this test's namespaces begin without.
    lab.laptop.sysctl("ipv6/conf/wwan0/addr_gen_mode", "0");
    lab.laptop.ip("address flush dev wwan0");
    lab
}

/// Answers what comes for the server.
fn echo(lab: &Lab) -> SocketAddr {
    let server: Ipv6Addr = SERVER.parse().expect("an address");
    let socket = lab.core.run(|| UdpSocket::bind((server, 0)).expect("a port"));
    let address = socket.local_addr().expect("bound");
    std::thread::spawn(move || {
        let mut octets = [0; 64];
        while let Ok((length, from)) = socket.recv_from(&mut octets) {
            let _ = socket.send_to(&octets[..length], from);
        }
    });
    address
}

/// Asks the server from this address and hears from it.
fn ask(from: Ipv6Addr, server: SocketAddr) {
    let socket = UdpSocket::bind((from, 0)).expect("an address of ours");
    socket.set_read_timeout(Some(LIMIT)).expect("a limit");
    socket.send_to(b"hello", server).expect("sent");
    assert_eq!(socket.recv(&mut [0; 64]).expect("an answer"), 5);
}

fn advertise(lab: &Lab, interface: &str, extra: &[&str]) -> Program {
    let prefix = if interface == "gw0" { "2001:db8:64::" } else { "2001:db8:9::" };
    let range = format!("--dhcp-range={prefix},ra-only,64,1h");
    let leases =
        format!("--dhcp-leasefile={}", lab.folder.path().join(format!("leases-{interface}")).display());
    let on = format!("--interface={interface}");
    let parameters = format!("--ra-param={interface},4,1800");
    let mut arguments = vec![
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--pid-file=",
        "--user=root",
        "--port=0",
        "--bind-interfaces",
        "--no-ping",
        "--log-dhcp",
        "--log-facility=-",
        "--enable-ra",
        &on,
        &range,
        &parameters,
        &leases,
    ];
    arguments.extend(extra);
    Program::start(&lab.core, "dnsmasq", &arguments)
}

const DHCP: [&str; 2] = ["--dhcp-range=10.9.0.100,10.9.0.150,255.255.255.0,1h", "--dhcp-authoritative"];

fn slaac(link_local: Option<Ipv6Addr>) -> Bearer {
    Bearer { ipv4: None, ipv6: Some(Ipv6Config::Slaac { link_local }), ..bearer() }
}

/// Source address that a new packet to the server has.
fn source() -> Option<Ipv6Addr> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).expect("a socket");
    socket.connect((SERVER.parse::<Ipv6Addr>().expect("one"), 9)).ok()?;
    match socket.local_addr().expect("bound").ip() {
        std::net::IpAddr::V6(ip) => Some(ip),
        std::net::IpAddr::V4(_) => None,
    }
}

async fn until(what: impl Fn() -> bool, picture: impl Fn() -> String) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < LIMIT, "{}", picture());
        sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn both_families_move_and_an_unproved_wlan_attracts_nothing() {
    let lab = lab();
    let _bearer = advertise(&lab, "gw0", &[]);
    let _wlan = advertise(&lab, "ap0", &DHCP);
    let server = echo(&lab);
    lab.laptop.sysctl("ipv6/conf/wlan0/addr_gen_mode", "0");
    let before = lab.laptop.picture();
    lab.run(async |lab| {
        let picture = || lab.laptop.picture();
        let mut agent = lab.spawn();
        let dual = Bearer { ipv6: slaac(None).ipv6, ..bearer() };
        // IPv4 is there at once, IPv6 when the network says so.
        assert!(matches!(agent.order(Command::ConfigureCellular(dual)).await, Event::CellularReady { .. }));
        agent.prefer(Link::Cellular).await;
        until(|| source().is_some_and(|ip| ip.to_string().starts_with(CELLULAR)), picture).await;
        agent.wlan().await;
        until(|| lab.laptop.ip("-6 rule").contains(WLAN), picture).await;
        assert!(source().is_some_and(|ip| ip.to_string().starts_with(CELLULAR)), "{}", picture());

        for _ in 0..3 {
            agent.prefer(Link::Wlan).await;
            assert!(source().is_some_and(|ip| ip.to_string().starts_with(WLAN)), "{}", picture());
            assert!(lab.laptop.ip(&format!("route get {SERVER}")).contains("dev wlan0"));
            assert!(lab.laptop.ip("route get 10.99.0.1").contains("dev wlan0"));
            // What has the other link's address keeps its link.
            let old = lab.laptop.ip("-6 rule");
            let old = old
                .lines()
                .find_map(|line| line.split("from ").nth(1).filter(|from| from.starts_with(CELLULAR)));
            let old = old.and_then(|from| from.split_whitespace().next()).expect("a rule for the bearer");
            assert!(lab.laptop.ip(&format!("route get {SERVER} from {old}")).contains("dev wwan0"));
            ask(old.parse().expect("an address"), server);
            ask(Ipv6Addr::UNSPECIFIED, server);
            agent.prefer(Link::Cellular).await;
            assert!(source().is_some_and(|ip| ip.to_string().starts_with(CELLULAR)), "{}", picture());
        }
        let endpoints = lab.laptop.ip("mptcp endpoint");
        assert!(endpoints.contains(CELLULAR) && endpoints.contains(WLAN), "{endpoints}");
        agent.links.cleanup().await;
    });
    // Tables 0xc501 and 0xc502.
    let ours = |text: &str| {
        text.lines()
            .filter(|l| l.contains("lookup") || l.contains("table 5043") || l.contains("subflow"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(ours(&lab.laptop.picture()), ours(&before));
    assert_eq!(lab.laptop.command("cat", "/proc/sys/net/ipv6/conf/wlan0/accept_ra_defrtr"), "1\n");
}

#[test]
fn a_bearer_of_ipv6_alone_is_ready_when_the_network_has_advertised() {
    let lab = lab();
    let _bearer = advertise(&lab, "gw0", &["--dhcp-option=option6:dns-server,[2001:db8:99::53]"]);
    let server = echo(&lab);
    lab.run(async |lab| {
        let mut agent = lab.spawn();
        let link_local = "fe80::64:2".parse().expect("one");
        let event = agent.order(Command::ConfigureCellular(slaac(Some(link_local)))).await;
        let dns = vec!["2001:db8:99::53".parse().expect("an address")];
        assert_eq!(event, Event::CellularReady { dns });
        agent.prefer(Link::Cellular).await;
        assert!(lab.resolvers().ends_with("nameserver 2001:db8:99::53\n"), "{}", lab.resolvers());
        assert!(source().is_some_and(|ip| ip.to_string().starts_with(CELLULAR)));
        let addresses = lab.laptop.ip("-6 address show wwan0");
        assert_eq!(addresses.matches("fe80::").count(), 1, "{addresses}");
        assert!(addresses.contains("fe80::64:2/64"), "{addresses}");
        ask(Ipv6Addr::UNSPECIFIED, server);
        agent.quietly(Command::ReleaseCellular).await;
        assert!(!lab.laptop.picture().contains("2001:db8:64:"), "{}", lab.laptop.picture());
    });
}

#[test]
fn a_silent_network_is_told_in_time() {
    let lab = lab();
    let before = lab.laptop.picture();
    lab.run(async |lab| {
        let mut agent = lab.spawn();
        let event = agent.order(Command::ConfigureCellular(slaac(None))).await;
        let Event::Failed { link: Link::Cellular, text } = event else { panic!("{event:?}") };
        assert_eq!(text, "no router advertisement in 12 s");
    });
    assert_eq!(lab.laptop.picture(), before);
}
