//! Links that another program has set up and keeps.

use std::net::Ipv4Addr;

use agent::{
    modem::{Bearer, Ipv4Config},
    wlan::links::{Command, Event, Lease, Link},
};

use crate::lab::{CELLULAR, Lab, SERVER, Talk, bearer, echo};

const WLAN: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 77);

fn lease() -> Lease {
    Lease {
        address: WLAN,
        prefix: 24,
        router: Some(Ipv4Addr::new(10, 9, 0, 1)),
        dns: vec![[10, 9, 0, 1].into()],
        mtu: Some(1400),
        captive_api: None,
    }
}

/// As NetworkManager leaves both interfaces, with its own metrics.
fn managed(metric: u32) -> Lab {
    let lab = Lab::new();
    for (interface, address, gateway, metric) in
        [("wwan0", "10.64.0.2/30", "10.64.0.1", metric + 100), ("wlan0", "10.9.0.77/24", "10.9.0.1", metric)]
    {
        lab.laptop.ip(&format!("link set {interface} up"));
        lab.laptop.ip(&format!("address add {address} dev {interface} noprefixroute"));
        let network = address.replace(".2/", ".0/").replace(".77/", ".0/");
        lab.laptop.ip(&format!("route add {network} dev {interface} metric {metric}"));
        lab.laptop.ip(&format!("route add default via {gateway} dev {interface} metric {metric}"));
    }
    lab
}

fn way_out(lab: &Lab) -> String {
    lab.laptop.ip(&format!("route get {SERVER}"))
}

/// `metric` is that program's for the WLAN.
fn only_ours_comes_and_goes(metric: u32, bearer: Bearer) {
    let lab = managed(metric);
    let (server, _sources) = echo(&lab.core);
    let before = (lab.laptop.picture(), lab.laptop.ip("-o link show wlan0"));
    lab.run(async |lab| {
        let mut agent = lab.spawn();
        let event = agent.order(Command::ConfigureCellular(bearer)).await;
        assert!(matches!(event, Event::CellularReady { .. }), "{event:?}");
        let adopt = Command::AdoptWlan { interface: "wlan0".to_owned(), lease: lease() };
        assert_eq!(agent.order(adopt).await, Event::WlanReady(lease()));
        for _ in 0..2 {
            agent.prefer(Link::Cellular).await;
            assert!(way_out(lab).contains(&format!("wwan0 src {CELLULAR}")), "{}", way_out(lab));
            let mut old = Talk::begin(server);
            agent.prefer(Link::Wlan).await;
            assert!(way_out(lab).contains(&format!("wlan0 src {WLAN}")), "{}", way_out(lab));
            old.works();
            Talk::begin(server).works();
        }
        assert!(lab.resolvers().ends_with("nameserver 10.9.0.1\n"));
        // The address, its lifetime and the MTU are that program's.
        assert_eq!(lab.laptop.ip("-o link show wlan0"), before.1);
        agent.quietly(Command::ReleaseWlan).await;
        assert!(lab.laptop.ip("address show wlan0").contains("10.9.0.77/24"));
        assert!(!lab.laptop.ip("rule").contains("10.9.0.77"));
        agent.links.cleanup().await;
    });
    assert_eq!(lab.laptop.picture(), before.0);
    assert_eq!(lab.resolvers(), "nameserver 192.0.2.1\n");
}

#[test]
fn only_ours_comes_and_goes_beside_usual_metrics() {
    only_ours_comes_and_goes(600, Bearer { managed: true, ..bearer() });
}

#[test]
fn only_ours_comes_and_goes_beside_low_metrics() {
    only_ours_comes_and_goes(50, Bearer { managed: true, ..bearer() });
}

#[test]
fn a_bearer_whose_lease_that_program_holds_is_read_from_the_kernel() {
    only_ours_comes_and_goes(600, Bearer { managed: true, ipv4: Some(Ipv4Config::Dhcp), ..bearer() });
}

#[test]
fn a_cable_of_another_program_stays_preferred() {
    let lab = managed(600);
    lab.laptop.ip("link add other0 type veth peer name other1");
    lab.laptop.ip("link set other0 up");
    lab.laptop.ip("address add 192.0.2.9/24 dev other0");
    lab.laptop.ip("route add default via 192.0.2.1 metric 100");
    lab.run(async |lab| {
        let mut agent = lab.spawn();
        agent.order(Command::ConfigureCellular(Bearer { managed: true, ..bearer() })).await;
        agent.prefer(Link::Cellular).await;
        assert!(way_out(lab).contains("other0"), "{}", way_out(lab));
    });
}

#[test]
fn an_address_that_is_not_there_cannot_be_adopted() {
    let lab = Lab::new();
    let before = lab.laptop.picture();
    lab.run(async |lab| {
        let mut agent = lab.spawn();
        let event = agent.order(Command::AdoptWlan { interface: "wlan0".to_owned(), lease: lease() }).await;
        let Event::Failed { link: Link::Wlan, text } = event else { panic!("{event:?}") };
        assert!(text.contains("10.9.0"), "{text}");
        agent.quietly(Command::ReleaseWlan).await;
    });
    assert_eq!(lab.laptop.picture(), before);
}
