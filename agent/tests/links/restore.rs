//! What is left after a crash, and that it goes.

use std::{fs, process::Stdio, time::Duration};

use agent::wlan::links::{Command, Link, Settings};
use tokio::time::{Instant, sleep};

use crate::{
    lab::{Agent, Lab},
    namespace::LIMIT,
};

/// Set in the child that is going to be killed: the folder of its files.
const CHILD: &str = "LINKS_TEST_CHILD";

/// Lives over and over until it is killed: every kind of thing that the links set.
#[test]
#[ignore = "run as a child by the test below"]
fn a_life() {
    let folder = std::env::var(CHILD).expect("run by another test");
    let settings = Settings {
        resolv_conf: Some(format!("{folder}/resolv.conf").into()),
        state: Some(format!("{folder}/links.json").into()),
        ..Settings::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut agent = Agent::start(settings);
        fs::write(format!("{folder}/alive"), "").expect("written");
        loop {
            agent.cellular().await;
            agent.prefer(Link::Cellular).await;
            agent.wlan().await;
            agent.quietly(Command::CellularBackup(true)).await;
            agent.prefer(Link::Wlan).await;
            agent.quietly(Command::ReleaseCellular).await;
            agent.quietly(Command::ReleaseWlan).await;
        }
    });
}

/// Flags, MTU and settings of both interfaces.
fn nics(lab: &Lab) -> Vec<String> {
    let nic = |name: &str| {
        let text = lab.laptop.ip(&format!("link show {name}"));
        let words = text.split_whitespace().skip(2).take(3);
        let settings = ["accept_ra_defrtr", "accept_ra", "addr_gen_mode"]
            .map(|setting| lab.laptop.command("cat", &format!("/proc/sys/net/ipv6/conf/{name}/{setting}")));
        format!("{name} {} {}", words.collect::<Vec<_>>().join(" "), settings.join(" "))
    };
    ["wwan0", "wlan0"].map(nic).to_vec()
}

#[test]
fn killed_at_any_moment_nothing_is_left_after_the_next_start() {
    let lab = Lab::new();
    let _dhcp = lab.dhcp(&[]);
    lab.laptop.ip("mptcp limits set subflows 0 add_addr_accepted 0");
    lab.laptop.ip("mptcp endpoint add 127.0.0.1 id 99 signal");
    let before = lab.laptop.picture();
    let nics_before = nics(&lab);
    let alive = lab.folder.path().join("alive");
    let mut seen = (0, 0);
    for number in 0..40_u64 {
        let _ = fs::remove_file(&alive);
        let mut child = lab.laptop.run(|| {
            std::process::Command::new(std::env::current_exe().expect("this program"))
                .args(["restore::a_life", "--exact", "--ignored", "--nocapture"])
                .env(CHILD, lab.folder.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("started")
        });
        let begun = Instant::now();
        while !alive.exists() {
            assert!(begun.elapsed() < LIMIT, "the child lives");
            std::thread::sleep(Duration::from_millis(1));
        }
        // Spread over several lives of some tenths of a second each, most of them in the first.
        std::thread::sleep(Duration::from_micros(number * number * 400 + number * 700));
        assert_eq!(child.try_wait().expect("asked"), None, "the child still lives");
        child.kill().expect("killed");
        child.wait().expect("waited");
        let state = lab.folder.path().join("links.json");
        seen.0 += usize::from(lab.laptop.picture() != before);
        seen.1 += usize::from(state.exists());

        lab.run(async |lab| {
            let settings = Settings { keep_leftovers: Duration::ZERO, ..lab.settings() };
            let mut agent = Agent::start(settings);
            agent.quietly(Command::ReleaseWlan).await;
        });
        assert_eq!(lab.laptop.picture(), before, "killed for the {number}th time");
        assert_eq!(nics(&lab), nics_before, "killed for the {number}th time");
        assert_eq!(lab.resolvers(), "nameserver 192.0.2.1\n");
        assert!(!state.exists());
    }
    // Else the test has met nothing.
    assert!(seen.0 > 10 && seen.1 > 10, "{seen:?} of 40");
}

#[test]
fn leftovers_wait_for_orders_and_go_when_none_comes() {
    let lab = Lab::new();
    let _dhcp = lab.dhcp(&[]);
    lab.run(async |lab| {
        let mut agent = lab.spawn();
        agent.cellular().await;
        agent.wlan().await;
        agent.prefer(Link::Wlan).await;
        let before = lab.laptop.picture();
        drop(agent);

        let settings = Settings { keep_leftovers: Duration::from_secs(2), ..lab.settings() };
        let mut agent = Agent::start(settings);
        agent.cellular().await;
        assert_eq!(lab.laptop.picture(), before);
        let begun = Instant::now();
        while lab.laptop.picture().contains("10.9.0.") {
            assert!(begun.elapsed() < LIMIT, "{}", lab.laptop.picture());
            sleep(Duration::from_millis(50)).await;
        }
        // What a living agent wants stays.
        let picture = lab.laptop.picture();
        assert!(picture.contains("10.64.0.2/30") && picture.contains("from 10.64.0.2"), "{picture}");
        assert!(lab.laptop.ip("mptcp endpoint").contains("10.64.0.2"));
        agent.prefer(Link::Cellular).await;
        assert!(lab.resolvers().ends_with("nameserver 10.64.0.1\n"));
    });
}
