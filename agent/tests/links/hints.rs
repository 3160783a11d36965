//! Signs that the preferred link does not deliver.

use std::{io::Write, net::Ipv4Addr, time::Duration};

use agent::wlan::links::{Command, Event, Link};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    lab::{Agent, Lab, Stream, Talk, echo, soon},
    namespace::LIMIT,
};

/// Both links up, the WLAN preferred.
async fn on_wlan(lab: &Lab) -> Agent {
    let mut agent = lab.spawn();
    agent.cellular().await;
    agent.wlan().await;
    agent.prefer(Link::Wlan).await;
    agent
}

/// The access point stays on the air, and nothing is behind it any more.
fn cut_the_uplink(lab: &Lab) {
    lab.core.ip("address delete 10.99.0.1/32 dev lo");
    lab.core.ip("route add blackhole 10.99.0.1");
}

async fn hint(agent: &mut Agent) -> Event {
    soon(agent.inbox.recv()).await.expect("the task lives")
}

async fn quiet(agent: &mut Agent, time: Duration) {
    let event = timeout(time, agent.inbox.recv()).await;
    assert!(event.is_err(), "{event:?}");
}

#[test]
fn packets_that_nobody_answers() {
    let lab = Lab::new();
    let _dhcp = lab.dhcp(&[]);
    let (server, _sources) = echo(&lab.core);
    lab.run(async |lab| {
        let mut agent = on_wlan(lab).await;
        let stream = Stream::start(server);
        quiet(&mut agent, Duration::from_secs(4)).await;
        cut_the_uplink(lab);
        assert_eq!(hint(&mut agent).await, Event::Suspect(Link::Wlan));
        // One word is enough for a probe; the next ones take their time.
        let begun = Instant::now();
        assert_eq!(hint(&mut agent).await, Event::Suspect(Link::Wlan));
        assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
        let (sent, lost) = stream.lost();
        assert!(lost > 0 && lost < sent, "{lost} of {sent}");
    });
}

#[test]
fn tcp_that_nobody_acknowledges_on_a_link_with_other_noise() {
    let lab = Lab::new();
    let _dhcp = lab.dhcp(&[]);
    let (server, _sources) = echo(&lab.core);
    lab.run(async |lab| {
        let mut agent = on_wlan(lab).await;
        let mut talk = Talk::begin(server);
        talk.works();
        // Broadcasts of other stations: packets come, and are no sign of life.
        let noise = lab.core.run(|| {
            let socket = std::net::UdpSocket::bind((Ipv4Addr::new(10, 9, 0, 1), 0)).expect("a socket");
            socket.set_broadcast(true).expect("allowed");
            socket
        });
        std::thread::spawn(move || {
            while noise.send_to(b"noise", (Ipv4Addr::new(10, 9, 0, 255), 9)).is_ok() {
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        quiet(&mut agent, Duration::from_secs(3)).await;
        cut_the_uplink(lab);
        talk.0.write_all(b"are you there").expect("sent");
        assert_eq!(hint(&mut agent).await, Event::Suspect(Link::Wlan));
    });
}

#[test]
fn a_gateway_that_does_not_answer() {
    let lab = Lab::new();
    let _dhcp = lab.dhcp(&[]);
    let (server, _sources) = echo(&lab.core);
    lab.run(async |lab| {
        let mut agent = on_wlan(lab).await;
        lab.core.ip("link set ap0 arp off");
        lab.laptop.ip("neigh flush all");
        let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
        socket.send_to(b"hello", server).expect("sent");
        assert_eq!(hint(&mut agent).await, Event::Suspect(Link::Wlan));
    });
}

/// How often this thread, which the agent's task runs on, has gone to sleep.
fn slept() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("readable");
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    count.and_then(|count| count.trim().parse().ok()).expect("a number")
}

#[test]
fn an_idle_link_wakes_nobody() {
    let lab = Lab::new();
    let _dhcp = lab.dhcp(&[]);
    let (server, _sources) = echo(&lab.core);
    // The gateway's neighbour entry comes and goes with each of the agent's own questions.
    lab.laptop.sysctl("ipv4/neigh/wlan0/base_reachable_time_ms", "1000");
    lab.laptop.sysctl("ipv4/neigh/wlan0/delay_first_probe_time", "1");
    lab.run(async |lab| {
        let mut agent = on_wlan(lab).await;
        quiet(&mut agent, Duration::from_secs(10)).await;
        let own = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
        socket2::SockRef::from(&own).set_mark(0xc5).expect("marked");
        std::thread::spawn(move || {
            while own.send_to(b"are you there", server).is_ok() {
                std::thread::sleep(Duration::from_millis(1500));
            }
        });
        let begun = slept();
        quiet(&mut agent, Duration::from_secs(12)).await;
        let idle = slept() - begun;
        // The wait of this test itself, and what it takes tokio to time it.
        assert!(idle <= 6, "woken {idle} times");
        // A packet of anybody else begins the looks.
        let begun = slept();
        let other = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
        other.send_to(b"hello", server).expect("sent");
        quiet(&mut agent, Duration::from_secs(6)).await;
        assert!(slept() - begun > idle, "nobody looks");
    });
}

#[test]
fn traffic_after_a_long_silence_is_watched_again() {
    let lab = Lab::new();
    let _dhcp = lab.dhcp(&[]);
    let (server, _sources) = echo(&lab.core);
    // Between half and one and a half of this, else of half a minute.
    lab.laptop.sysctl("ipv4/neigh/wlan0/base_reachable_time_ms", "12000");
    lab.run(async |lab| {
        let mut agent = on_wlan(lab).await;
        Talk::begin(server).works();
        let begun = Instant::now();
        while !lab.laptop.ip("neigh show 10.9.0.1 dev wlan0").contains("STALE") {
            assert!(begun.elapsed() < LIMIT, "{}", lab.laptop.ip("neigh"));
            sleep(Duration::from_millis(100)).await;
        }
        quiet(&mut agent, Duration::from_secs(8)).await;
        cut_the_uplink(lab);
        let stream = Stream::start(server);
        assert_eq!(hint(&mut agent).await, Event::Suspect(Link::Wlan));
        drop(stream);
        // A link that carries nothing is not watched.
        agent.prefer(Link::Cellular).await;
        agent.quietly(Command::ReleaseWlan).await;
    });
}
