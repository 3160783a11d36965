//! Starting the daemon: configuration, vault, worlds, loop, orderly end.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::Parser;
use nix::sys::{
    prctl,
    resource::{Resource, setrlimit},
};
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    time::timeout,
};

use super::{
    clock,
    log::{self, Format},
    metrics,
    run::{self, Worlds},
};
use crate::{
    bus::{self, Orders, View},
    config::{self, Settings},
    machine::{self, Input, Machine},
    manager::owner,
    modem::{self, messaging},
    provision::{self, Ways, sms::Exchanges},
    supplicant::Supplicant,
    vault::Vault,
    wispr,
    wlan::{links, nl80211, probe},
};

/// Inputs that may wait for the machine. Each world has at most a few under way.
const QUEUE: usize = 64;
/// How long a thread for blocking work waits for more.
const THREAD_KEPT: Duration = Duration::from_secs(1);
/// For the owners of interfaces to give back what is ours.
const OWNERS_LIMIT: Duration = Duration::from_secs(5);

/// Moves this device from LTE to the operator's Wi-Fi and back, without losing a packet.
#[derive(Debug, Parser)]
#[command(name = "wifi-offloadd", version)]
struct Arguments {
    /// Configuration file; fragments in FILE.d/*.toml are laid over it.
    #[arg(long, value_name = "FILE", default_value = "/etc/wifi-offload/agent.toml")]
    config: PathBuf,
    /// Shape of a log line on standard error.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    log_format: Format,
    /// Only read the configuration and say whether it is right.
    #[arg(long)]
    check: bool,
}

/// The program.
pub fn main() -> ExitCode {
    match start(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Before the log exists, and for the one who types the command.
            eprintln!("wifi-offloadd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: &Arguments) -> anyhow::Result<()> {
    let settings = config::load(&arguments.config)?;
    if arguments.check {
        println!("{}: right", arguments.config.display());
        return Ok(());
    }
    log::start(arguments.log_format, &settings.log.filter);
    keep_no_core()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // A probe's thread ends with the probe, and not in a wake-up of its own.
        .thread_keep_alive(THREAD_KEPT)
        .build()
        .context("runtime")?;
    runtime.block_on(serve(settings, arguments.config.clone()))
}

/// A core dump, or another process of the same user looking in, would show the password.
fn keep_no_core() -> anyhow::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0).context("core dumps off")?;
    prctl::set_dumpable(false).context("core dumps off")
}

async fn serve(settings: Settings, config: PathBuf) -> anyhow::Result<()> {
    let vault = Vault::open(&settings.state.dir).with_context(|| settings.state.dir.display().to_string())?;
    let stored = vault.load();
    let machine = Machine::new(machine_settings(&settings, &vault)?, clock::now(), stored);

    let (inputs, queue) = mpsc::channel(QUEUE);
    let links = links::Settings {
        state: Some(settings.state.run_dir.join("links.json")),
        ..links::Settings::default()
    };
    let links = links::spawn(links, into(&inputs, Input::Links));
    let (alive, mut owners) = mpsc::channel(1);
    let seen = watch::Sender::new(None);
    let client = watch::Sender::new(settings.portal.client());
    let portal = portal(&settings, client.subscribe(), &seen, &inputs)?;
    let modems = into(&inputs, Input::Modem);
    let modem = modem::dbus::spawn_seen(settings.cellular.modem(), modems, seen, alive.clone());
    let hotspots = wispr::shell::Settings { ca: settings.wlan.login_ca.clone() };
    let hotspots = wispr::shell::spawn(hotspots, into(&inputs, Input::Wispr));
    let worlds = Worlds {
        modem: Box::new(modem),
        wlan: Box::new(nl80211::spawn(settings.wlan.interface.clone(), into(&inputs, Input::Wlan))),
        links: Box::new(links.clone()),
        supplicant: Box::new(run::NoSupplicant),
        supplicant_of: supplicant_of(&settings, &inputs, alive),
        portal: Box::new(portal),
        probe: Box::new(probe::spawn(into(&inputs, Input::Probe))),
        wispr: Box::new(hotspots.clone()),
        vault,
    };

    let (view, watched) = watch::channel(View::default());
    metrics::spawn(settings.metrics.clone(), watched.clone());
    bus::spawn(None, watched, Orders { inputs, portal: client, config });
    let stop = stop_signal()?;
    tracing::info!(event = "started", version = env!("CARGO_PKG_VERSION"), "wifi-offloadd is watching");
    notify(&[NotifyState::Ready]);
    run::run(machine, worlds, queue, view, stop).await;
    notify(&[NotifyState::Stopping]);
    // While the link still stands: else the session runs on and is paid for.
    hotspots.close().await;
    links.cleanup().await;
    // What was put into NetworkManager is taken out again; one that hangs is not waited for.
    let _ = timeout(OWNERS_LIMIT, owners.recv()).await;
    Ok(())
}

/// Both ways to the portal; by SMS only where the device is set up for it.
fn portal(
    settings: &Settings,
    client: watch::Receiver<provision::https::Settings>,
    seen: &watch::Sender<modem::dbus::Seen>,
    inputs: &mpsc::Sender<Input>,
) -> anyhow::Result<Ways> {
    let events = into(inputs, Input::Portal);
    let exchanges = settings.sms.portal.as_ref().map(|(_, key)| Exchanges::new(*key));
    let https = provision::https::spawn_changing(client, exchanges.clone(), events.clone())
        .context("the portal's thread")?;
    let mut ways = Ways { https: Box::new(https), sms: None };
    if let (Some((number, _)), Some(exchanges)) = (&settings.sms.portal, exchanges) {
        let (came, messages) = mpsc::channel(QUEUE);
        let messenger = messaging::spawn(number.clone(), seen.subscribe(), came);
        ways.sms = Some(Box::new(provision::sms::spawn(exchanges, Box::new(messenger), messages, events)));
    }
    Ok(ways)
}

fn machine_settings(settings: &Settings, vault: &Vault) -> anyhow::Result<machine::Settings> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).context("random octets")?;
    Ok(machine::Settings {
        apn: settings.cellular.apn.clone(),
        allow_roaming: settings.cellular.allow_roaming,
        provision_while_roaming: settings.cellular.provision_while_roaming,
        sms: settings.sms.used(),
        subscriber_key: vault.subscriber_key(),
        jitter_seed: u64::from_ne_bytes(seed),
        portal_domain: settings.portal.domain.clone(),
        policy_keys: settings.portal.policy_key.into_iter().collect(),
        join_limit: settings.offload.join_limit,
        verify_limit: settings.offload.verify_limit,
        probe_every: settings.offload.probe_every,
        return_drain: settings.offload.return_drain,
        ..machine::Settings::default()
    })
}

/// Who owns the WLAN interface is asked for by its name, which is known only when the card is there. `alive` is dropped
/// when all of them have ended.
fn supplicant_of(
    settings: &Settings,
    inputs: &mpsc::Sender<Input>,
    alive: mpsc::Sender<()>,
) -> run::SupplicantOf {
    let choice = settings.wlan.owner;
    let control_dir = settings.supplicant.control_dir.clone();
    let run_dir = settings.state.run_dir.clone();
    let events = inputs.clone();
    Box::new(move |interface| -> std::io::Result<Box<dyn Supplicant>> {
        let settings = owner::Settings {
            choice,
            bus: None,
            control_dir: control_dir.clone(),
            run_dir: run_dir.clone(),
            interface: interface.to_owned(),
        };
        Ok(Box::new(owner::spawn(settings, into(&events, Input::Supplicant), alive.clone())))
    })
}

/// A world's own channel, whose events become inputs in the order in which they came.
fn into<E: Send + 'static>(inputs: &mpsc::Sender<Input>, wrap: fn(E) -> Input) -> mpsc::Sender<E> {
    let (events, mut queue) = mpsc::channel(QUEUE);
    let inputs = inputs.clone();
    tokio::spawn(async move {
        while let Some(event) = queue.recv().await {
            if inputs.send(wrap(event)).await.is_err() {
                break;
            }
        }
    });
    events
}

fn stop_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (stop, stopped) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.send_replace(true);
        // A second signal must not find the receiver gone and this task ended before the first was seen.
        stop.closed().await;
    });
    Ok(stopped)
}

/// Tells systemd; without systemd nobody listens, and that is no error.
pub(super) fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}
