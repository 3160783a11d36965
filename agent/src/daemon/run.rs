//! The loop: one input at a time into the machine, its actions out to the worlds.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::{clock, start::notify, story};
use crate::{
    machine::{Action, Input, Machine},
    modem::Modem,
    provision::Portal,
    supplicant::{self, Supplicant},
    vault::Vault,
    wlan::{self, Wlan, links::Links, probe::Probe},
};

/// Every outside world, real or simulated.
pub struct Worlds {
    /// ModemManager.
    pub modem: Box<dyn Modem>,
    /// The WLAN card.
    pub wlan: Box<dyn Wlan>,
    /// Addresses and routes.
    pub links: Box<dyn Links>,
    /// wpa_supplicant of the card in use.
    pub supplicant: Box<dyn Supplicant>,
    /// Makes [`Worlds::supplicant`] when a card comes.
    pub supplicant_of: SupplicantOf,
    /// The portal.
    pub portal: Box<dyn Portal>,
    /// The probe.
    pub probe: Box<dyn Probe>,
    /// What is kept on disk.
    pub vault: Vault,
}

/// No card has come yet, so there is no supplicant to talk to.
#[derive(Debug)]
pub(super) struct NoSupplicant;

impl Supplicant for NoSupplicant {
    fn send(&self, _command: supplicant::Command) {}
}

/// Reaches the supplicant of one WLAN interface.
pub type SupplicantOf = Box<dyn Fn(&str) -> std::io::Result<Box<dyn Supplicant>>>;

/// Runs until `stop` says so; every change of the machine's picture goes to `status` as JSON.
pub async fn run(
    mut machine: Machine,
    mut worlds: Worlds,
    mut inputs: mpsc::Receiver<Input>,
    status: watch::Sender<String>,
    mut stop: watch::Receiver<bool>,
) {
    publish(&machine, &status);
    let mut watchdog = Watchdog::start();
    let mut card = None;
    loop {
        let input = tokio::select! {
            biased;
            _ = stop.changed() => break,
            input = inputs.recv() => match input {
                Some(input) => input,
                None => break,
            },
            () = sleep_until(machine.deadline()) => Input::Timeout,
            () = watchdog.due() => {
                watchdog.pet();
                continue;
            }
        };
        if let Input::Wlan(wlan::Event::Interface(interface)) = &input
            && card.as_ref() != Some(&interface.name)
        {
            meet_supplicant(&mut worlds, &interface.name);
            card = Some(interface.name.clone());
        }
        for action in machine.handle(clock::now(), input) {
            perform(&mut worlds, action);
        }
        publish(&machine, &status);
    }
    tracing::info!(event = "stopping", state = %machine.state(), "stopping; links are put back as they were");
}

fn meet_supplicant(worlds: &mut Worlds, interface: &str) {
    match (worlds.supplicant_of)(interface) {
        Ok(supplicant) => worlds.supplicant = supplicant,
        Err(error) => tracing::error!(%error, interface, "the supplicant's control socket cannot be used"),
    }
}

fn perform(worlds: &mut Worlds, action: Action) {
    match action {
        Action::Modem(command) => worlds.modem.send(command),
        Action::Wlan(command) => worlds.wlan.send(command),
        Action::Links(command) => worlds.links.send(command),
        Action::Supplicant(command) => worlds.supplicant.send(command),
        Action::Portal(command) => worlds.portal.send(command),
        Action::Probe(command) => worlds.probe.send(command),
        Action::Note(note) => story::tell(&note),
        Action::SetClock(unix) => clock::set(unix),
        Action::Save(stored) => {
            if let Err(error) = worlds.vault.store(&stored) {
                // The credential still works until the next restart, so this is no reason to stop.
                tracing::error!(event = "vault-failed", %error, "the credential could not be kept on disk");
            }
        }
    }
}

fn publish(machine: &Machine, status: &watch::Sender<String>) {
    match serde_json::to_string(&machine.status()) {
        Ok(json) => {
            status.send_if_modified(|old| {
                let changed = *old != json;
                *old = json;
                changed
            });
        }
        Err(error) => tracing::error!(%error, "status"),
    }
}

async fn sleep_until(deadline: Option<Duration>) {
    match deadline {
        Some(at) => {
            // A wake-up later than this is no news to the machine, and a suspended device's timers run late.
            let wait = at.saturating_sub(clock::now().since_boot).min(Duration::from_secs(3600));
            tokio::time::sleep(wait).await;
        }
        None => std::future::pending().await,
    }
}

/// systemd's watchdog: petted by this loop, so that a loop that hangs is started anew.
struct Watchdog {
    every: Option<tokio::time::Interval>,
}

impl Watchdog {
    fn start() -> Self {
        // Twice within the limit that the unit file sets.
        Self { every: sd_notify::watchdog_enabled().map(|limit| tokio::time::interval(limit / 2)) }
    }

    async fn due(&mut self) {
        match &mut self.every {
            Some(every) => {
                every.tick().await;
            }
            None => std::future::pending().await,
        }
    }

    fn pet(&self) {
        notify(&[sd_notify::NotifyState::Watchdog]);
    }
}
