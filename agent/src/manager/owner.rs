//! Who owns the WLAN interface: one implementation of [`Supplicant`] in front of two. It finds the owner out, starts
//! what speaks to it, and changes over when the owner changes. Started by the daemon.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::{sleep, timeout},
};
use zbus::{Connection, connection};

pub use super::facts::Choice;
use super::{
    facts::{Facts, decide, look},
    listen, station,
};
use crate::supplicant::{Command, Event, Owner, Supplicant, control};

/// Commands that wait; the machine never has more than a few under way.
const QUEUE: usize = 32;
/// Wait before a bus or a NetworkManager that was lost is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Looks without any signal, in case one was lost.
const RECHECK: Duration = Duration::from_secs(300);
/// For a look.
const LOOK_LIMIT: Duration = Duration::from_secs(20);

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which owners there may be.
    pub choice: Choice,
    /// The bus; none for the system's (`DBUS_SYSTEM_BUS_ADDRESS` where that is set).
    pub bus: Option<String>,
    /// Directory of wpa_supplicant's control sockets.
    pub control_dir: PathBuf,
    /// Directory of ours for sockets and the CA file; made when missing.
    pub run_dir: PathBuf,
    /// WLAN interface.
    pub interface: String,
}

/// Starts the task; it ends when the handle is dropped, and takes out of NetworkManager what it has put in. `alive` is
/// dropped when that is done. Must be called inside a tokio runtime.
pub fn spawn(
    settings: Settings,
    events: mpsc::Sender<Event>,
    alive: mpsc::Sender<()>,
) -> impl Supplicant + use<> {
    let (commands, queue) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        Switch { settings, events, queue, owner: None, up: false }.run().await;
        drop(alive);
    });
    Handle { commands }
}

struct Handle {
    commands: mpsc::Sender<Command>,
}

impl Supplicant for Handle {
    fn send(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            tracing::error!("the WLAN owner's task does not keep up; a command is lost");
        }
    }
}

struct Switch {
    settings: Settings,
    events: mpsc::Sender<Event>,
    queue: mpsc::Receiver<Command>,
    /// Who was told last.
    owner: Option<Owner>,
    /// Whether `Up` was told last.
    up: bool,
}

/// Whom the commands go to.
enum Side {
    Supplicant(Box<dyn Supplicant + Send + Sync>),
    Manager { commands: mpsc::Sender<Command>, task: JoinHandle<()> },
}

impl Switch {
    async fn run(mut self) {
        let mut watch = Watch::default();
        loop {
            let facts = watch.look(&self.settings).await;
            let owner = decide(self.settings.choice, facts, self.owner);
            if self.owner != Some(owner) {
                tracing::info!(
                    event = "wlan-owner",
                    ?owner,
                    interface = self.settings.interface,
                    "owner of the WLAN"
                );
                self.owner = Some(owner);
                self.tell(Event::Owner(owner)).await;
            }
            let (sender, mut told) = mpsc::channel(QUEUE);
            let side = match self.start(owner, sender) {
                Ok(side) => side,
                Err(error) => {
                    tracing::error!(%error, "the supplicant's control socket cannot be used");
                    sleep(RETRY).await;
                    continue;
                }
            };
            let stopped = self.serve(&mut watch, &side, &mut told, owner).await;
            // What is still on its way comes from an owner that is one no more. The channel must be read on: a side
            // that waits for room in it would never end.
            let end = side.end();
            tokio::pin!(end);
            loop {
                tokio::select! {
                    () = &mut end => break,
                    Some(_) = told.recv() => {}
                }
            }
            if std::mem::take(&mut self.up) {
                self.tell(Event::Down).await;
            }
            if stopped {
                return;
            }
        }
    }

    fn start(&self, owner: Owner, events: mpsc::Sender<Event>) -> std::io::Result<Side> {
        let Settings { bus, control_dir, run_dir, interface, .. } = self.settings.clone();
        match owner {
            Owner::WpaSupplicant => {
                let settings = control::Settings { control_dir, run_dir, interface };
                Ok(Side::Supplicant(Box::new(control::spawn(settings, events)?)))
            }
            Owner::NetworkManager => {
                let (commands, queue) = mpsc::channel(QUEUE);
                let settings = station::Settings { bus, interface, run_dir };
                Ok(Side::Manager { commands, task: tokio::spawn(keep(settings, queue, events)) })
            }
        }
    }

    /// Until the owner is another (false), or there is nobody to serve any more (true).
    async fn serve(
        &mut self,
        watch: &mut Watch,
        side: &Side,
        told: &mut mpsc::Receiver<Event>,
        owner: Owner,
    ) -> bool {
        loop {
            tokio::select! {
                command = self.queue.recv() => match command {
                    Some(command) => side.send(command),
                    None => return true,
                },
                event = told.recv() => match event {
                    Some(event) => {
                        match event {
                            Event::Up => self.up = true,
                            Event::Down => self.up = false,
                            _ => {}
                        }
                        self.tell(event).await;
                    }
                    None => return false,
                },
                () = self.events.closed() => return true,
                () = watch.changed(&self.settings) => {
                    let facts = watch.look(&self.settings).await;
                    if decide(self.settings.choice, facts, self.owner) != owner {
                        return false;
                    }
                }
            }
        }
    }

    async fn tell(&self, event: Event) {
        let _ = self.events.send(event).await;
    }
}

impl Side {
    fn send(&self, command: Command) {
        match self {
            Self::Supplicant(supplicant) => supplicant.send(command),
            Self::Manager { commands, .. } => {
                if commands.try_send(command).is_err() {
                    tracing::error!("NetworkManager does not keep up; a command is lost");
                }
            }
        }
    }

    /// Ends it, and waits for that where something is to be taken back.
    async fn end(self) {
        match self {
            // Its networks stay disabled, as after any end of the agent.
            Self::Supplicant(supplicant) => drop(supplicant),
            Self::Manager { commands, task } => {
                drop(commands);
                let _ = task.await;
            }
        }
    }
}

/// NetworkManager may end and come back, while it remains the owner by configuration.
async fn keep(settings: station::Settings, mut queue: mpsc::Receiver<Command>, events: mpsc::Sender<Event>) {
    loop {
        match station::run(settings.clone(), &mut queue, events.clone()).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "NetworkManager"),
        }
        if events.send(Event::Down).await.is_err() {
            return;
        }
        let end = sleep(RETRY);
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => break,
                command = queue.recv() => match command {
                    Some(Command::Install { .. } | Command::Join { .. }) => {
                        let _ = events.send(Event::Failed("networkmanager-gone".into())).await;
                    }
                    Some(Command::Leave | Command::Remove) => {}
                    None => return,
                },
            }
        }
    }
}

/// The bus, as far as it is there.
#[derive(Default)]
struct Watch {
    bus: Option<(Connection, tokio::task::JoinSet<()>)>,
    woken: Arc<Notify>,
}

impl Watch {
    async fn look(&mut self, settings: &Settings) -> Facts {
        if settings.choice != Choice::Auto {
            return Facts::Absent;
        }
        let looked = timeout(LOOK_LIMIT, self.try_look(settings)).await;
        match looked {
            Ok(Ok(facts)) => facts,
            Ok(Err(error)) => {
                tracing::debug!(%error, "no D-Bus");
                self.bus = None;
                Facts::Absent
            }
            Err(_) => {
                self.bus = None;
                Facts::Absent
            }
        }
    }

    async fn try_look(&mut self, settings: &Settings) -> zbus::Result<Facts> {
        if self.bus.as_ref().is_none_or(|(bus, _)| bus.is_closed()) {
            let builder = match settings.bus.as_deref() {
                Some(address) => connection::Builder::address(address),
                None => connection::Builder::system(),
            };
            let bus = builder.build().await?;
            let signals = listen::ownership(&bus, &self.woken).await?;
            self.bus = Some((bus, signals));
        }
        match &self.bus {
            Some((bus, _)) => look(bus, &settings.interface).await,
            None => Ok(Facts::Absent),
        }
    }

    /// When to look again.
    async fn changed(&self, settings: &Settings) {
        if settings.choice != Choice::Auto {
            return std::future::pending().await;
        }
        let wait = if self.bus.is_some() { RECHECK } else { RETRY * 10 };
        tokio::select! {
            () = self.woken.notified() => {}
            () = sleep(wait) => {}
        }
    }
}
