//! Whole lives: found, installed, joined, refused, left, killed, found again.

use nix::sys::signal::Signal;
use tokio::sync::mpsc;

use super::{
    super::{
        Command, Event, JoinFailure, Supplicant,
        control::{Settings, spawn},
        operations, reply,
        request::{Request, Value},
    },
    PATIENCE,
    bench::{Bench, SERVER_NAME},
};

/// Of the device, as the authenticator knows it.
pub(super) const PASSWORD: &str = "s3cret";

/// The daemon's side.
pub(super) struct Daemon {
    pub(super) supplicant: Box<dyn Supplicant>,
    events: mpsc::Receiver<Event>,
    runtime: tokio::runtime::Runtime,
}

impl Daemon {
    pub(super) fn start(bench: &Bench) -> Self {
        let settings = Settings {
            control_dir: bench.control_dir(),
            run_dir: bench.agent_run_dir(),
            interface: "sta0".into(),
        };
        let (sender, events) = mpsc::channel(16);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Self { supplicant: Box::new(spawn(settings, sender).unwrap()), events, runtime }
    }

    pub(super) fn next(&mut self) -> Event {
        let wait = async { tokio::time::timeout(PATIENCE, self.events.recv()).await };
        self.runtime.block_on(wait).expect("an event in time").expect("the thread lives")
    }

    pub(super) fn expect(&mut self, expected: Event) {
        assert_eq!(self.next(), expected);
    }

    /// Installs, and makes the block fit for a wire: `WPA-EAP` needs a radio.
    pub(super) fn install(
        &mut self,
        bench: &Bench,
        change: impl FnOnce(&mut provisioning::message::Credential),
    ) {
        let mut credential = Box::new(bench.credential());
        change(&mut credential);
        self.supplicant.send(Command::Install { credential });
        self.expect(Event::Installed);
        let mut commands = bench.commands();
        let id = ours(&mut commands);
        let wired = Request::SetNetwork { id, field: "key_mgmt", value: Value::Words("IEEE8021X") };
        assert_eq!(commands.ask(&wired).unwrap(), "OK\n");
    }

    pub(super) fn join(&mut self) {
        self.supplicant.send(Command::Join { ssid: b"OperatorWiFi".to_vec() });
        assert!(matches!(self.next(), Event::Associated { .. }));
    }
}

/// The one block that carries our mark.
fn ours(commands: &mut super::super::commands::Commands) -> u32 {
    let list = reply::networks(&commands.ask(&Request::ListNetworks { after: None }).unwrap()).unwrap();
    let marked: Vec<u32> = list
        .iter()
        .map(|network| network.id)
        .filter(|id| {
            commands.ask(&Request::GetNetwork { id: *id, field: "id_str" }).unwrap() == "\"wifi-offload\""
        })
        .collect();
    assert_eq!(marked.len(), 1);
    marked[0]
}

fn good_bench() -> Option<Bench> {
    let mut bench = Bench::with_supplicant()?;
    let credential = super::credential();
    bench.start_authenticator(&credential.username, PASSWORD);
    Some(bench)
}

/// The one that the authenticator knows.
pub(super) fn right_password(credential: &mut provisioning::message::Credential) {
    credential.password = provisioning::secret::Password::new(PASSWORD.into());
}

#[test]
fn a_credential_is_installed_disabled_and_complete() {
    let Some(bench) = Bench::with_supplicant() else { return };
    let mut daemon = Daemon::start(&bench);
    daemon.expect(Event::Up);
    for _ in 0..2 {
        daemon.supplicant.send(Command::Install { credential: Box::new(bench.credential()) });
        daemon.expect(Event::Installed);
    }
    let mut commands = bench.commands();
    let id = ours(&mut commands);
    let mut get = |field| commands.ask(&Request::GetNetwork { id, field }).unwrap();
    assert_eq!(get("disabled"), "1");
    assert_eq!(get("ssid"), "\"OperatorWiFi\"");
    assert_eq!(get("scan_ssid"), "1");
    assert_eq!(get("key_mgmt"), "WPA-EAP WPA-EAP-SHA256");
    assert_eq!(get("ieee80211w"), "1");
    assert_eq!(get("eap"), "PEAP");
    assert_eq!(get("identity"), "\"token@operator.example\"");
    assert_eq!(get("anonymous_identity"), "\"anonymous@operator.example\"");
    assert_eq!(get("domain_match"), format!("\"{SERVER_NAME}\""));
    assert_eq!(
        get("phase1"),
        "\"peapver=0 crypto_binding=2 tls_disable_tlsv1_0=1 tls_disable_tlsv1_1=1 tls_disable_tlsv1_3=0\""
    );
    assert_eq!(get("phase2"), "\"auth=MSCHAPV2\"");
    assert_eq!(get("priority"), "5");
    assert_eq!(get("mac_addr"), "0");
    let ca = get("ca_cert");
    assert_eq!(std::fs::read_to_string(ca.trim_matches('"')).unwrap(), bench.ca_pem);
}

#[test]
fn a_credential_without_trust_is_refused_and_leaves_nothing() {
    let Some(bench) = Bench::with_supplicant() else { return };
    let mut daemon = Daemon::start(&bench);
    daemon.expect(Event::Up);
    let mut credential = Box::new(bench.credential());
    credential.eap.ca_pem.clear();
    daemon.supplicant.send(Command::Install { credential });
    let Event::Failed(text) = daemon.next() else { panic!("installed without a CA") };
    assert!(text.starts_with("credential-no-ca"), "{text}");
    let list = bench.commands().ask(&Request::ListNetworks { after: None }).unwrap();
    assert_eq!(reply::networks(&list), Some(vec![]));
}

#[test]
fn a_login_is_told_step_by_step_and_others_networks_stay_as_they_were() {
    let Some(bench) = good_bench() else { return };
    let mut commands = bench.commands();
    // Another program's networks: one enabled with a high priority, one disabled.
    for id in 0..2 {
        commands.ask(&Request::AddNetwork).unwrap();
        let set = |field, value| Request::SetNetwork { id, field, value };
        assert_eq!(commands.ask(&set("ssid", Value::octets("home"))).unwrap(), "OK\n");
        assert_eq!(commands.ask(&set("priority", Value::Number(50))).unwrap(), "OK\n");
    }
    commands.ask(&Request::EnableNetworkQuietly(0)).unwrap();
    let disabled = |commands: &mut _| -> Vec<bool> {
        let reply =
            super::super::commands::Commands::ask(commands, &Request::ListNetworks { after: None }).unwrap();
        reply::networks(&reply).unwrap().into_iter().map(|network| network.disabled).collect()
    };

    let mut daemon = Daemon::start(&bench);
    daemon.expect(Event::Up);
    daemon.install(&bench, right_password);
    assert_eq!(disabled(&mut commands), [false, true, true]);
    daemon.join();
    daemon.expect(Event::ServerAccepted { subject: format!("/CN={SERVER_NAME}") });
    let Event::Connected { tls_version, .. } = daemon.next() else { panic!("not connected") };
    assert!(tls_version.unwrap().starts_with("TLSv1."));
    assert_eq!(disabled(&mut commands), [false, true, false], "only ours has changed");

    daemon.supplicant.send(Command::Leave);
    daemon.expect(Event::Disconnected { reason: 3, locally: true });
    daemon.supplicant.send(Command::Remove);
    // Commands are carried out in order: when this one is refused, Remove is done.
    daemon.supplicant.send(Command::Join { ssid: b"OperatorWiFi".to_vec() });
    assert!(matches!(daemon.next(), Event::JoinFailed { failure: JoinFailure::Association, .. }));
    assert_eq!(disabled(&mut commands), [false, true]);
}

/// Runs a login that must fail, and gives the reason; the network must be disabled again afterwards.
fn failed_join(bench: &Bench, change: impl FnOnce(&mut provisioning::message::Credential)) -> JoinFailure {
    let mut daemon = Daemon::start(bench);
    daemon.expect(Event::Up);
    daemon.install(bench, change);
    daemon.join();
    let failure = loop {
        match daemon.next() {
            Event::JoinFailed { failure, text } => {
                assert!(!text.is_empty() && !text.contains("s3cret"), "{text}");
                break failure;
            }
            Event::ServerAccepted { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    // Leave comes after the disabling that follows a failure.
    daemon.supplicant.send(Command::Join { ssid: b"unknown".to_vec() });
    assert!(matches!(daemon.next(), Event::JoinFailed { .. }));
    let list = bench.commands().ask(&Request::ListNetworks { after: None }).unwrap();
    assert!(reply::networks(&list).unwrap().iter().all(|network| network.disabled));
    failure
}

#[test]
fn a_wrong_password_is_rejected() {
    let Some(bench) = good_bench() else { return };
    assert_eq!(failed_join(&bench, |_| {}), JoinFailure::Rejected);
}

#[test]
fn another_server_name_is_not_trusted() {
    let Some(bench) = good_bench() else { return };
    let failure = failed_join(&bench, |credential| {
        right_password(credential);
        credential.eap.server_name = "other.operator.example".into();
    });
    assert_eq!(failure, JoinFailure::ServerCertificate);
}

#[test]
fn another_ca_is_not_trusted() {
    let (Some(bench), Some(other)) = (good_bench(), Bench::new()) else { return };
    let failure = failed_join(&bench, |credential| {
        right_password(credential);
        credential.eap.ca_pem.clone_from(&other.ca_pem);
    });
    assert_eq!(failure, JoinFailure::ServerCertificate);
}

#[test]
fn an_aaa_that_does_not_answer_is_told_so() {
    let Some(mut bench) = Bench::with_supplicant() else { return };
    bench.start_authenticator_without_aaa();
    assert_eq!(failed_join(&bench, right_password), JoinFailure::AaaSilent);
}

#[test]
fn a_supplicant_that_is_killed_is_told_and_found_again() {
    let Some(mut bench) = good_bench() else { return };
    bench.kill_supplicant();
    let mut daemon = Daemon::start(&bench);
    daemon.expect(Event::Down);
    for _ in 0..2 {
        bench.start_supplicant();
        daemon.expect(Event::Up);
        daemon.install(&bench, right_password);
        daemon.join();
        assert!(matches!(daemon.next(), Event::ServerAccepted { .. }));
        assert!(matches!(daemon.next(), Event::Connected { .. }));
        bench.kill_supplicant();
        daemon.expect(Event::Down);
    }
    // An orderly end is told by the supplicant itself.
    bench.start_supplicant();
    daemon.expect(Event::Up);
    bench.signal_supplicant(Signal::SIGTERM);
    daemon.expect(Event::Down);
}

#[test]
fn an_agent_that_starts_again_removes_what_it_left() {
    let Some(bench) = Bench::with_supplicant() else { return };
    let mut first = Daemon::start(&bench);
    first.expect(Event::Up);
    first.install(&bench, right_password);
    drop(first);
    let mut second = Daemon::start(&bench);
    second.expect(Event::Up);
    let mut commands = bench.commands();
    let list = commands.ask(&Request::ListNetworks { after: None }).unwrap();
    assert_eq!(reply::networks(&list), Some(vec![]));
    operations::ping(&mut commands).unwrap();
}
