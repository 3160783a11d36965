//! A credential's life in NetworkManager: installed, joined, left, removed; and each way a join fails.

use std::{fs, path::Path};

use super::bench::{Agent, Bench, PASSWORD, until};
use crate::{
    manager::proxies::{ProfileProxy, SettingsProxy},
    supplicant::{Command, Event, JoinFailure, Owner, tests::bench::SERVER_NAME},
};

/// An autoconnecting profile of somebody else on the interface.
const FOREIGN: &str = "[connection]\nid=foreign\nuuid=11111111-2222-4333-8444-555555555555\ntype=ethernet\n\
    interface-name=sta0\n[ipv4]\nmethod=manual\naddress1=192.0.2.7/24\n[ipv6]\nmethod=disabled\n";

async fn installed(bench: &Bench) -> Agent {
    let mut agent = bench.owner();
    assert_eq!(agent.next().await, Event::Owner(Owner::NetworkManager));
    assert_eq!(agent.next().await, Event::Up);
    agent.supplicant.send(Command::Install { credential: bench.credential() });
    assert_eq!(agent.next().await, Event::Installed);
    agent
}

fn join(agent: &Agent) {
    agent.supplicant.send(Command::Join { ssid: b"OperatorWiFi".to_vec() });
}

async fn failure(agent: &mut Agent) -> JoinFailure {
    join(agent);
    let found = agent.until(|event| match event {
        Event::JoinFailed { failure, text } => Some(Ok((*failure, text.clone()))),
        Event::Connected { .. } => Some(Err("connected")),
        _ => None,
    });
    let (failure, text) = found.await.expect("it must not connect");
    eprintln!("{text}");
    failure
}

/// `connection.id` of every profile that NetworkManager has.
async fn profiles(bench: &Bench) -> Vec<String> {
    let bus = bench.connection().await;
    let mut names = Vec::new();
    for path in SettingsProxy::new(&bus).await.unwrap().list_connections().await.unwrap() {
        let profile = ProfileProxy::builder(&bus).path(path).build().await.unwrap();
        let sections = profile.get_settings().await.unwrap();
        names.push(<&str>::try_from(&sections["connection"]["id"]).unwrap().to_owned());
    }
    // NetworkManager's own, for the loopback.
    names.retain(|name| name != "lo");
    names.sort();
    names
}

/// Whether a file below contains this.
fn contains(folder: &Path, words: &str) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => contains(&path, words),
            Ok(kind) if kind.is_file() => fs::read(&path)
                .is_ok_and(|octets| octets.windows(words.len()).any(|part| part == words.as_bytes())),
            _ => false,
        }
    })
}

#[tokio::test]
async fn joins_and_leaves_without_a_trace() {
    let Some(mut bench) = Bench::new() else { return };
    bench.start_authenticator(PASSWORD);
    let keyfile = bench.inner("/etc/NetworkManager/system-connections/foreign.nmconnection");
    fs::write(&keyfile, FOREIGN).unwrap();
    fs::set_permissions(&keyfile, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    bench.start_manager().await;
    let foreign = async || {
        until("the foreign profile is active", async || {
            bench.ask(&["ip", "-4", "address", "show", "dev", "sta0"]).contains("192.0.2.7")
        })
        .await;
    };
    foreign().await;

    let mut agent = installed(&bench).await;
    assert_eq!(profiles(&bench).await, ["foreign", "wifi-offload OperatorWiFi"]);
    join(&agent);
    let subject = agent.until(|event| match event {
        Event::ServerAccepted { subject } => Some(subject.clone()),
        _ => None,
    });
    assert!(subject.await.contains(SERVER_NAME));
    agent.until(|event| matches!(event, Event::Connected { .. }).then_some(())).await;
    let Event::Addressed(lease) = agent.next().await else { panic!("no address") };
    assert_eq!((lease.router, lease.dns), ("10.9.0.1".parse().ok(), vec!["10.9.0.53".parse().unwrap()]));
    let routes = bench.ask(&["ip", "route"]);
    assert!(routes.contains("10.9.0.0/24") && !routes.contains("default"), "{routes}");
    assert!(!bench.ask(&["ip", "-4", "address", "show", "dev", "sta0"]).contains("192.0.2.7"));

    for folder in ["/etc/NetworkManager", "/run", "/var/lib/NetworkManager"] {
        assert!(!contains(&bench.inner(folder), PASSWORD), "the password stands in {folder}");
    }
    assert!(!contains(&bench.path("agent"), PASSWORD));
    assert!(contains(&bench.inner("/run"), "wifi-offload OperatorWiFi"), "the search finds what is there");

    agent.supplicant.send(Command::Leave);
    assert_eq!(agent.next().await, Event::Disconnected { reason: 3, locally: true });
    foreign().await;
    agent.stop().await;
    assert_eq!(profiles(&bench).await, ["foreign"]);
    assert!(!contains(&bench.inner("/run"), "wifi-offload OperatorWiFi"));
    assert_eq!(fs::read_to_string(&keyfile).unwrap(), FOREIGN);
}

#[tokio::test]
async fn a_wrong_password_is_refused_by_the_aaa() {
    let Some(mut bench) = Bench::new() else { return };
    bench.start_authenticator("another");
    bench.start_manager().await;
    let mut agent = installed(&bench).await;
    assert_eq!(failure(&mut agent).await, JoinFailure::Rejected);
    agent.stop().await;
}

#[tokio::test]
async fn another_server_gets_no_password() {
    let Some(mut bench) = Bench::new() else { return };
    bench.start_authenticator(PASSWORD);
    bench.start_manager().await;
    let mut agent = installed(&bench).await;
    let mut credential = bench.credential();
    credential.eap.server_name = "aaa.elsewhere.example".into();
    agent.supplicant.send(Command::Install { credential });
    assert_eq!(agent.next().await, Event::Installed);
    assert_eq!(failure(&mut agent).await, JoinFailure::ServerCertificate);
    agent.stop().await;
}

#[tokio::test]
async fn a_silent_aaa_is_told() {
    let Some(mut bench) = Bench::new() else { return };
    bench.start_authenticator_without_aaa();
    bench.start_manager().await;
    let mut agent = installed(&bench).await;
    assert_eq!(failure(&mut agent).await, JoinFailure::AaaSilent);
    agent.stop().await;
}
