//! The shell of this folder: carries the machine's commands for the WLAN to NetworkManager, and its events back.
//! Started by `owner` for as long as NetworkManager owns the interface.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};
use tokio::{
    sync::{Mutex, mpsc},
    time::{sleep, timeout},
};
use zbus::{Connection, ObjectPath, OwnedObjectPath, connection};

use super::{
    NAME, ROOT,
    listen::{self, Heard},
    profile::{self, Medium, Place, Profile},
    proxies::{AgentManagerProxy, ManagerProxy, ProfileProxy, SettingsProxy, SupplicantProxy},
    read::{self, DEVICE, properties},
    secrets::{self, Agent, Kept},
    tracker::{Outcome, Tracker},
};
use crate::{
    modem::properties::{number, path, text},
    supplicant::{Command, Event, JoinFailure, operations::write_ca},
    wlan::links::Lease,
};

/// `NM_SETTINGS_ADD_CONNECTION2_FLAG_IN_MEMORY` and `…_BLOCK_AUTOCONNECT`.
pub(super) const ADD_FLAGS: u32 = 0x2 | 0x20;
/// `NM_DEVICE_TYPE_WIFI`.
const WIFI: u32 = 2;
/// Signals that may wait.
const QUEUE: usize = 1024;
/// For anything that NetworkManager is asked.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// Objects of wpa_supplicant that are remembered.
const MAX_PATHS: usize = 64;

/// Where to work.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// The bus; none for the system's.
    pub(super) bus: Option<String>,
    /// WLAN interface.
    pub(super) interface: String,
    /// Directory of ours for the CA file.
    pub(super) run_dir: PathBuf,
}

/// Why it ends before it is asked to.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("D-Bus: {0}")]
    Bus(#[from] zbus::Error),
    #[error("NetworkManager does not answer")]
    Silent,
    #[error("run-dir: {0}")]
    RunDir(#[from] std::io::Error),
}

/// Serves until `commands` ends (then everything of ours is taken out again) or NetworkManager is lost.
pub(super) async fn run(
    settings: Settings,
    commands: &mut mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
) -> Result<(), Error> {
    std::fs::create_dir_all(&settings.run_dir)?;
    let (sender, mut heard) = mpsc::channel(QUEUE);
    let mut station = within(Station::start(settings, sender.clone(), events)).await?;
    let _signals = listen::notices(&station.bus, sender).await?;
    within(station.remove()).await?;
    station.tell(Event::Up).await;
    let ended = station.serve(commands, &mut heard).await;
    // Also on the way out after an error: what can still be taken out is.
    let removed = within(station.remove()).await;
    ended.and(removed)
}

async fn within<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(ANSWER_LIMIT, work).await.map_err(|_| Error::Silent)?
}

struct Station {
    settings: Settings,
    bus: Connection,
    events: mpsc::Sender<Event>,
    device: OwnedObjectPath,
    medium: Medium,
    mptcp: bool,
    tracker: Tracker,
    kept: Kept,
    installed: Vec<Installed>,
    /// Our profile's activation.
    active: Option<OwnedObjectPath>,
    /// Whether an object of wpa_supplicant is our interface.
    supplicant_paths: HashMap<String, bool>,
    lease: Option<Lease>,
}

/// A profile of ours.
#[derive(Debug)]
struct Installed {
    ssid: Vec<u8>,
    path: OwnedObjectPath,
}

impl Station {
    async fn start(
        settings: Settings,
        heard: mpsc::Sender<Heard>,
        events: mpsc::Sender<Event>,
    ) -> Result<Self, Error> {
        let kept = Kept::new(Mutex::new(None));
        let builder = match settings.bus.as_deref() {
            Some(address) => connection::Builder::address(address),
            None => connection::Builder::system(),
        };
        let agent = Agent { kept: Arc::clone(&kept), heard };
        let bus = builder.serve_at(secrets::PATH, agent).build().await?;
        AgentManagerProxy::new(&bus).await?.register("net.wifioffload.agent").await?;
        let device = ManagerProxy::new(&bus).await?.get_device_by_ip_iface(&settings.interface).await?;
        let kind = number(&properties(&bus, device.as_str(), DEVICE).await, "DeviceType");
        let version = properties(&bus, ROOT, NAME).await;
        Ok(Self {
            medium: if kind == Some(WIFI) { Medium::Wifi } else { Medium::Wire },
            mptcp: text(&version, "Version").is_some_and(knows_mptcp),
            settings,
            bus,
            events,
            device,
            tracker: Tracker::default(),
            kept,
            installed: Vec::new(),
            active: None,
            supplicant_paths: HashMap::new(),
            lease: None,
        })
    }

    async fn serve(
        &mut self,
        commands: &mut mpsc::Receiver<Command>,
        heard: &mut mpsc::Receiver<Heard>,
    ) -> Result<(), Error> {
        let bus = self.bus.clone();
        loop {
            let wait = self.tracker.deadline().map(|at| at.saturating_sub(now()));
            let outcomes = tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => {
                        within(self.command(command)).await?;
                        Vec::new()
                    }
                    None => return Ok(()),
                },
                Some(heard) = heard.recv() => within(self.heard(heard)).await?,
                () = sleep(wait.unwrap_or(Duration::MAX)), if wait.is_some() => self.tracker.expire(now()),
                () = bus.closed() => return Err(Error::Silent),
            };
            within(self.carry_out(outcomes)).await?;
        }
    }

    async fn command(&mut self, command: Command) -> Result<(), Error> {
        match command {
            Command::Install { credential } => {
                self.remove().await?;
                let ca_file = self.settings.run_dir.join("aaa-ca.pem");
                let installed = self.install(&credential, &ca_file).await;
                match installed {
                    Ok(()) => self.tell(Event::Installed).await,
                    Err(text) => {
                        self.remove().await?;
                        self.tell(Event::Failed(text)).await;
                    }
                }
            }
            Command::Join { ssid } => self.join(&ssid).await,
            Command::Leave => self.leave().await,
            Command::Remove => self.remove().await?,
        }
        Ok(())
    }

    async fn install(
        &mut self,
        credential: &provisioning::message::Credential,
        ca_file: &Path,
    ) -> Result<(), String> {
        let place =
            Place { interface: &self.settings.interface, medium: self.medium, ca_file, mptcp: self.mptcp };
        let profiles = profile::profiles(credential, place).map_err(|error| error.to_string())?;
        write_ca(ca_file, &credential.eap.ca_pem).map_err(|error| format!("ca-file: {error}"))?;
        let text = |error: zbus::Error| format!("networkmanager-refused: {error}");
        let settings = SettingsProxy::new(&self.bus).await.map_err(text)?;
        for Profile { ssid, sections } in profiles {
            let (path, _) =
                settings.add_connection2(&sections, ADD_FLAGS, HashMap::new()).await.map_err(text)?;
            self.installed.push(Installed { ssid, path });
        }
        *self.kept.lock().await = Some(credential.password.clone());
        Ok(())
    }

    async fn join(&mut self, ssid: &[u8]) {
        let Some(installed) = self.installed.iter().find(|installed| installed.ssid == ssid) else {
            let text = "no profile of that name".to_owned();
            return self.tell(Event::JoinFailed { failure: JoinFailure::Association, text }).await;
        };
        self.tracker.join(now());
        self.lease = None;
        let any = ObjectPath::from_static_str_unchecked("/");
        let activated = async {
            let manager = ManagerProxy::new(&self.bus).await?;
            manager.activate_connection(&installed.path, &self.device, &any).await
        };
        match activated.await {
            Ok(active) => self.active = Some(active),
            Err(error) => {
                self.tracker.leave();
                let text = format!("NetworkManager: {error}");
                self.tell(Event::JoinFailed { failure: JoinFailure::Association, text }).await;
            }
        }
    }

    async fn leave(&mut self) {
        let ended = self.tracker.leave();
        self.deactivate().await;
        if let Some(ended) = ended {
            self.tell(ended).await;
        }
    }

    /// Ours only. NetworkManager then turns to what it would have there by itself.
    async fn deactivate(&mut self) {
        self.lease = None;
        let Some(active) = self.active.take() else { return };
        let deactivated = async { ManagerProxy::new(&self.bus).await?.deactivate_connection(&active).await };
        if let Err(error) = deactivated.await {
            // Mostly because it has ended by itself.
            tracing::debug!(%error, "our profile was not deactivated");
        }
    }

    /// Takes every profile of ours for this interface out, whichever run of the agent put it in.
    async fn remove(&mut self) -> Result<(), Error> {
        self.leave().await;
        self.installed.clear();
        *self.kept.lock().await = None;
        for path in SettingsProxy::new(&self.bus).await?.list_connections().await? {
            let profile = ProfileProxy::builder(&self.bus).path(path).build().await?;
            // One that has gone meanwhile, or that is nobody's to see.
            let Ok(sections) = profile.get_settings().await else { continue };
            let interface = sections.get("connection").and_then(|section| text(section, "interface-name"));
            if secrets::uuid(&sections).is_some_and(profile::is_ours)
                && interface == Some(&self.settings.interface)
            {
                profile.delete().await?;
            }
        }
        Ok(())
    }

    async fn heard(&mut self, heard: Heard) -> Result<Vec<Outcome>, Error> {
        let Some(notice) = heard.notice else {
            return Ok(if self.tracker.is_connected() { vec![Outcome::ReadLease] } else { Vec::new() });
        };
        let ours = match heard.path {
            None => true,
            Some(path) if path.starts_with(ROOT) => path == self.device.as_str(),
            Some(path) => self.is_our_supplicant(path).await,
        };
        if !ours {
            return Ok(Vec::new());
        }
        tracing::debug!(?notice, "heard");
        Ok(self.tracker.notice(now(), notice))
    }

    async fn is_our_supplicant(&mut self, path: String) -> bool {
        if let Some(known) = self.supplicant_paths.get(&path) {
            return *known;
        }
        let asked =
            async { SupplicantProxy::new(&self.bus).await?.get_interface(&self.settings.interface).await };
        let ours = asked.await.is_ok_and(|found| found.as_str() == path);
        if self.supplicant_paths.len() >= MAX_PATHS {
            self.supplicant_paths.clear();
        }
        self.supplicant_paths.insert(path, ours);
        ours
    }

    async fn carry_out(&mut self, outcomes: Vec<Outcome>) -> Result<(), Error> {
        for outcome in outcomes {
            match outcome {
                Outcome::Tell(event) => {
                    if matches!(event, Event::Disconnected { .. }) {
                        self.lease = None;
                    }
                    self.tell(event).await;
                }
                Outcome::Abandon => self.deactivate().await,
                Outcome::Associated => {
                    let at = read::access_point(&self.bus, self.device.as_str()).await;
                    self.tell(Event::Associated { bssid: at.bssid }).await;
                }
                Outcome::Connected => {
                    let at = read::access_point(&self.bus, self.device.as_str()).await;
                    let key_mgmt = "IEEE 802.1X/EAP".to_owned();
                    let event = Event::Connected {
                        bssid: at.bssid,
                        pairwise_cipher: at.cipher,
                        tls_version: None,
                        key_mgmt,
                    };
                    self.tell(event).await;
                }
                Outcome::ReadLease => self.read_lease().await,
            }
        }
        Ok(())
    }

    async fn read_lease(&mut self) {
        // Another profile's addresses are none of ours, however near the end of ours is.
        let device = properties(&self.bus, self.device.as_str(), DEVICE).await;
        if path(&device, "ActiveConnection").as_deref() != self.active.as_ref().map(|path| path.as_str()) {
            return;
        }
        let lease = read::lease(&self.bus, self.device.as_str()).await;
        if let Some(lease) = lease
            && self.lease.as_ref() != Some(&lease)
        {
            self.lease = Some(lease.clone());
            self.tell(Event::Addressed(lease)).await;
        }
    }

    async fn tell(&self, event: Event) {
        let _ = self.events.send(event).await;
    }
}

/// `connection.mptcp-flags` is of version 1.40.
fn knows_mptcp(version: &str) -> bool {
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(1), Some(40))
}

/// Does not count while the device sleeps: an AAA cannot answer then.
fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default()
}
