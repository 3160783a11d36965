//! Who owns the interface, and that a change of it is followed.

use std::collections::HashMap;

use super::bench::Bench;
use crate::{
    manager::{
        profile::{Medium, Place, profiles},
        proxies::{ProfileProxy, SettingsProxy},
    },
    supplicant::{Event, Owner},
};

#[tokio::test]
async fn the_owner_is_followed() {
    let Some(mut bench) = Bench::new() else { return };
    let mut agent = bench.owner();
    assert_eq!(agent.next().await, Event::Owner(Owner::WpaSupplicant));
    assert_eq!(agent.next().await, Event::Down, "nothing runs on the control socket");
    bench.start_manager().await;
    agent.until(|event| (*event == Event::Owner(Owner::NetworkManager)).then_some(())).await;
    agent.until(|event| (*event == Event::Up).then_some(())).await;

    bench.ask(&["nmcli", "device", "set", "sta0", "managed", "no"]);
    assert_eq!(agent.next().await, Event::Down);
    assert_eq!(agent.next().await, Event::Owner(Owner::WpaSupplicant));
    bench.ask(&["nmcli", "device", "set", "sta0", "managed", "yes"]);
    agent.until(|event| (*event == Event::Owner(Owner::NetworkManager)).then_some(())).await;
    agent.until(|event| (*event == Event::Up).then_some(())).await;

    bench.kill_manager();
    assert_eq!(agent.next().await, Event::Down);
    agent.until(|event| (*event == Event::Owner(Owner::WpaSupplicant)).then_some(())).await;
    agent.stop().await;
}

#[tokio::test]
async fn what_a_killed_agent_left_is_removed() {
    let Some(mut bench) = Bench::new() else { return };
    bench.start_manager().await;
    let bus = bench.connection().await;
    let settings = SettingsProxy::new(&bus).await.unwrap();
    let ca_file = bench.path("ca.pem");
    let mut paths = Vec::new();
    for interface in ["sta0", "other0"] {
        let place = Place { interface, medium: Medium::Wire, ca_file: &ca_file, mptcp: true };
        for profile in profiles(&bench.credential(), place).unwrap() {
            let (path, _) = settings.add_connection2(&profile.sections, 2, HashMap::new()).await.unwrap();
            paths.push(path);
        }
    }
    let mut agent = bench.owner();
    agent.until(|event| (*event == Event::Up).then_some(())).await;
    let [ours, other] = &paths[..] else { panic!("{paths:?}") };
    let there = async |path: &zbus::OwnedObjectPath| {
        ProfileProxy::builder(&bus).path(path).build().await.unwrap().get_settings().await.is_ok()
    };
    assert!(!there(ours).await);
    assert!(there(other).await, "another interface's agent may live");
    agent.stop().await;
}
