//! The task that keeps a [`Snapshot`] of the modem current and carries commands to ModemManager over D-Bus.
//!
//! Nothing that happens outside ends it: no bus, no ModemManager, no modem, each coming late, leaving or dying. It is
//! level-triggered: whatever is heard, everything is read again, and a snapshot goes out if it differs. The daemon
//! spawns it.

use std::{future::pending, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc, watch},
    time::{sleep, timeout},
};
use zbus::{Connection, connection};

pub use super::read::Chosen;
use super::{
    Command, ConnectFailure, Event, Modem, Owner, Presence, Registration, Snapshot, calls,
    failure::{GONE, NO_MODEM, REFUSED, of},
    family::Family,
    pin::pin,
    read, signals,
    snapshot::absent,
    time::{Told, since_boot},
    which::Which,
};
use crate::manager::{listen::ownership, wwan};

/// Signals come in bursts; this long after the first one they are answered together.
const COALESCE: Duration = Duration::from_millis(50);
/// Looks without any signal, in case one was lost. The bus loses none, so a modem that works is seldom looked at.
const RECHECK: Duration = Duration::from_secs(300);
/// The same while there is none that works: a look may have failed.
const RECHECK_WANTING: Duration = Duration::from_secs(60);
/// A ModemManager that takes longer to show itself counts as absent.
const READ_LIMIT: Duration = Duration::from_secs(20);
/// For the network's time; an old modem may take its time over it.
const TIME_LIMIT: Duration = Duration::from_secs(3);
/// Wait before the bus is tried again; doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Longest wait between tries.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Commands that wait; the machine never has more than one under way.
const QUEUE: usize = 8;

/// What the configuration decides.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The bus, by default the system's (`DBUS_SYSTEM_BUS_ADDRESS` where that is set).
    pub bus: Option<String>,
    /// Which modem of several.
    pub which: Which,
    /// What the bearer is asked to carry.
    pub family: Family,
    /// Who may own the data connection.
    pub owner: Owner,
    /// File with the SIM's PIN.
    pub pin_file: Option<PathBuf>,
}

/// The modem in use and the bus that it is on, for [`super::messaging`]; none while there is no modem.
pub type Seen = Option<(Connection, Chosen)>;

/// Starts the task; it ends when the returned handle is dropped. Must be called inside a tokio runtime.
pub fn spawn(settings: Settings, events: mpsc::Sender<Event>) -> impl Modem + use<> {
    spawn_seen(settings, events, watch::Sender::new(None), mpsc::channel(1).0)
}

/// The same; `seen` is told the modem in use, and `alive` is dropped when the task has put back what it changed.
pub fn spawn_seen(
    settings: Settings,
    events: mpsc::Sender<Event>,
    seen: watch::Sender<Seen>,
    alive: mpsc::Sender<()>,
) -> impl Modem + use<> {
    let (commands, queue) = mpsc::channel(QUEUE);
    let task = Task {
        settings,
        events,
        seen,
        queue,
        told: None,
        wanted: None,
        time: None,
        family: None,
        pin_refused: None,
        _alive: alive,
    };
    tokio::spawn(task.run());
    Handle { commands }
}

struct Handle {
    commands: mpsc::Sender<Command>,
}

impl Modem for Handle {
    fn send(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            tracing::warn!("the modem's task takes no more commands");
        }
    }
}

struct Task {
    settings: Settings,
    events: mpsc::Sender<Event>,
    seen: watch::Sender<Seen>,
    queue: mpsc::Receiver<Command>,
    /// The last snapshot that went out.
    told: Option<Snapshot>,
    /// A command that waits for the call under way; a later one takes its place.
    wanted: Option<Command>,
    /// The network's time, of the modem that told it.
    time: Option<(Chosen, Told)>,
    /// The family that worked last, and for which APN on which modem and SIM: what was refused is not asked for again.
    family: Option<(Chosen, String, Family)>,
    /// A SIM that has refused the PIN: each try costs one of three.
    pin_refused: Option<Chosen>,
    /// Goes with the task.
    _alive: mpsc::Sender<()>,
}

/// The one whom events or commands came from is gone: the daemon is stopping.
struct Stopped;

/// A call under way.
type Call = Pin<Box<dyn Future<Output = Result<Done, ConnectFailure>> + Send>>;

/// What a call has done.
enum Done {
    Connected(Chosen, String, Family),
    Other,
}

/// What kind of call is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Connect,
    Disconnect,
    Unlock,
}

impl From<&Command> for Kind {
    fn from(command: &Command) -> Self {
        match command {
            Command::Connect { .. } => Self::Connect,
            Command::Disconnect => Self::Disconnect,
            Command::Unlock => Self::Unlock,
        }
    }
}

impl Task {
    async fn run(mut self) {
        let mut wait = RETRY_FIRST;
        loop {
            match connect(self.settings.bus.as_deref()).await {
                Ok(bus) => {
                    wait = RETRY_FIRST;
                    match self.serve(&bus).await {
                        Ok(Ok(())) => tracing::warn!("the D-Bus connection is lost"),
                        Ok(Err(error)) => tracing::warn!(%error, "D-Bus"),
                        Err(Stopped) => return self.withdraw(&bus).await,
                    }
                }
                Err(error) => tracing::warn!(%error, retry_secs = wait.as_secs(), "no D-Bus"),
            }
            if self.without_bus(wait).await.is_err() {
                return;
            }
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    /// At the end: NetworkManager keeps no profile of ours. The data connection that it has by one ends with it.
    async fn withdraw(&self, bus: &Connection) {
        if self.settings.owner == Owner::ModemManager {
            return;
        }
        if let Err(error) = wwan::withdraw(bus).await {
            tracing::warn!(%error, "our profile may have stayed with NetworkManager");
        }
    }

    /// Waits for `time`; whoever asks something meanwhile is told that there is no modem.
    async fn without_bus(&mut self, time: Duration) -> Result<(), Stopped> {
        self.seen.send_replace(None);
        self.tell(absent(), false).await?;
        if let Some(command) = self.wanted.take() {
            self.refuse(&command, of(GONE, "the D-Bus connection is lost")).await?;
        }
        let end = sleep(time);
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return Ok(()),
                command = self.queue.recv() => match command {
                    Some(command) => {
                        self.refuse(&command, of(NO_MODEM, "there is no D-Bus")).await?;
                        self.tell_again().await?;
                    }
                    None => return Err(Stopped),
                },
            }
        }
    }

    /// Until the connection ends. The outer result says whether to go on at all.
    async fn serve(&mut self, bus: &Connection) -> Result<zbus::Result<()>, Stopped> {
        let changed = Arc::new(Notify::new());
        let _signals = match signals::watch(bus, &changed).await {
            Ok(tasks) => tasks,
            Err(error) => return Ok(Err(error)),
        };
        let _owners = match ownership(bus, &changed).await {
            Ok(tasks) => tasks,
            Err(error) => return Ok(Err(error)),
        };
        let mut chosen = None;
        let mut call: Option<Call> = None;
        let mut kind = Kind::Disconnect;
        let mut anyway = false;
        loop {
            let modem = look(bus, &mut chosen, &self.settings).await;
            self.show(bus, chosen.as_ref());
            self.learn_time(bus, chosen.as_ref(), &modem).await;
            self.tell(modem, anyway).await?;
            anyway = false;
            if call.is_none()
                && let Some(command) = self.wanted.take()
            {
                kind = Kind::from(&command);
                match self.start(bus, chosen.as_ref(), command).await? {
                    Some(started) => call = Some(started),
                    None => self.tell_again().await?,
                }
            }
            let works = self.told.as_ref().is_some_and(|modem| modem.presence == Presence::Ready);
            let recheck = if works { RECHECK } else { RECHECK_WANTING };
            tokio::select! {
                () = changed.notified() => sleep(COALESCE).await,
                () = sleep(recheck) => {}
                command = self.queue.recv() => match command {
                    Some(command) => self.wanted = Some(command),
                    None => return Err(Stopped),
                },
                result = finished(&mut call) => {
                    call = None;
                    anyway = true;
                    self.report(kind, result, chosen.as_ref()).await?;
                }
                () = bus.closed() => {
                    if call.is_some() {
                        self.fail(kind, of(GONE, "the D-Bus connection is lost")).await?;
                    }
                    return Ok(Ok(()));
                }
            }
        }
    }

    /// Begins what is wanted; none if it is so already, or cannot be.
    async fn start(
        &mut self,
        bus: &Connection,
        chosen: Option<&Chosen>,
        command: Command,
    ) -> Result<Option<Call>, Stopped> {
        let told = self.told.as_ref();
        let connected = told.is_some_and(|modem| modem.bearer.is_some());
        let presence = told.map_or(Presence::NoModem, |modem| modem.presence);
        let (Some(modem), true) = (chosen, matches!(presence, Presence::Ready | Presence::Locked)) else {
            self.refuse(&command, of(NO_MODEM, "there is no usable modem")).await?;
            return Ok(None);
        };
        let (bus, modem) = (bus.clone(), modem.clone());
        Ok(match command {
            Command::Unlock if presence == Presence::Locked => self.unlock(bus, modem).await?,
            Command::Unlock => None,
            command if presence == Presence::Locked => {
                self.refuse(&command, of(NO_MODEM, "there is no usable modem")).await?;
                None
            }
            Command::Connect { .. }
                if self.settings.owner == Owner::NetworkManager && modem.managed.is_none() =>
            {
                let failure = of(NO_MODEM, "NetworkManager does not manage the modem");
                self.fail(Kind::Connect, failure).await?;
                None
            }
            Command::Connect { apn, allow_roaming } if !connected => {
                let family = self.family_for(&modem, &apn);
                Some(Box::pin(async move {
                    let family = calls::connect(&bus, &modem, &apn, allow_roaming, family).await?;
                    Ok(Done::Connected(modem, apn, family))
                }))
            }
            Command::Disconnect if connected => {
                Some(Box::pin(async move { calls::disconnect(&bus, &modem).await.map(|()| Done::Other) }))
            }
            Command::Connect { .. } | Command::Disconnect => None,
        })
    }

    /// The PIN is sent once: a second try of the same would only bring the PUK nearer.
    async fn unlock(&mut self, bus: Connection, modem: Chosen) -> Result<Option<Call>, Stopped> {
        if self.pin_refused.as_ref() == Some(&modem) {
            self.fail(Kind::Unlock, of(REFUSED, "this SIM has refused the PIN before")).await?;
            return Ok(None);
        }
        match pin(self.settings.pin_file.as_deref()) {
            Ok(pin) => {
                Ok(Some(Box::pin(
                    async move { calls::unlock(&bus, &modem, &pin).await.map(|()| Done::Other) },
                )))
            }
            Err(error) => {
                self.fail(Kind::Unlock, of(REFUSED, &error.to_string())).await?;
                Ok(None)
            }
        }
    }

    fn family_for(&self, modem: &Chosen, apn: &str) -> Family {
        match &self.family {
            Some((of, with, family)) if of == modem && with == apn => *family,
            _ => self.settings.family,
        }
    }

    /// Asks for the network's time until it has come; a modem that cannot tell it costs a call a look.
    async fn learn_time(&mut self, bus: &Connection, chosen: Option<&Chosen>, modem: &Snapshot) {
        let known = self.time.as_ref().map(|(of, _)| of);
        if known.is_some() && known != chosen {
            self.time = None;
        }
        let registered = matches!(modem.registration, Registration::Home | Registration::Roaming);
        if let (None, true, Some(chosen)) = (&self.time, registered, chosen) {
            let text = timeout(TIME_LIMIT, read::network_time(bus, chosen)).await.ok().flatten();
            let told = text.and_then(|text| Told::parse(&text, since_boot()));
            self.time = told.map(|told| (chosen.clone(), told));
        }
    }

    /// A change of what manages it is none for messages, but no harm.
    fn show(&self, bus: &Connection, chosen: Option<&Chosen>) {
        self.seen.send_if_modified(|seen| {
            let changed = seen.as_ref().map(|(_, known)| known) != chosen;
            if changed {
                *seen = chosen.map(|chosen| (bus.clone(), chosen.clone()));
            }
            changed
        });
    }

    async fn report(
        &mut self,
        kind: Kind,
        result: Result<Done, ConnectFailure>,
        chosen: Option<&Chosen>,
    ) -> Result<(), Stopped> {
        match result {
            Ok(Done::Connected(modem, apn, family)) => {
                self.family = Some((modem, apn, family));
                Ok(())
            }
            Ok(Done::Other) => Ok(()),
            Err(failure) => {
                if kind == Kind::Unlock {
                    self.pin_refused = chosen.cloned();
                }
                self.fail(kind, failure).await
            }
        }
    }

    async fn refuse(&mut self, command: &Command, failure: ConnectFailure) -> Result<(), Stopped> {
        if *command == Command::Disconnect { Ok(()) } else { self.fail(Kind::from(command), failure).await }
    }

    async fn fail(&mut self, kind: Kind, failure: ConnectFailure) -> Result<(), Stopped> {
        let event = match kind {
            Kind::Connect => Event::ConnectFailed(failure),
            Kind::Unlock => Event::UnlockFailed(format!("SIM PIN: {}: {}", failure.error, failure.text)),
            Kind::Disconnect => {
                tracing::warn!(
                    error = failure.error,
                    text = failure.text,
                    "the bearer could not be disconnected"
                );
                return Ok(());
            }
        };
        self.events.send(event).await.map_err(|_| Stopped)
    }

    /// Sends the snapshot if it is news, or `anyway`.
    async fn tell(&mut self, mut modem: Snapshot, anyway: bool) -> Result<(), Stopped> {
        // That there is a time is news; that it goes on is none.
        modem.network_time = self.time.as_ref().map(|(_, told)| told.now(Duration::ZERO));
        if !anyway && self.told.as_ref() == Some(&modem) {
            return Ok(());
        }
        self.told = Some(modem);
        self.tell_again().await
    }

    async fn tell_again(&mut self) -> Result<(), Stopped> {
        match self.told.clone() {
            Some(mut modem) => {
                modem.network_time = self.time.as_ref().map(|(_, told)| told.now(since_boot()));
                self.events.send(Event::Snapshot(modem)).await.map_err(|_| Stopped)
            }
            None => Ok(()),
        }
    }
}

async fn connect(address: Option<&str>) -> zbus::Result<Connection> {
    let builder = address.map_or_else(connection::Builder::system, connection::Builder::address);
    timeout(READ_LIMIT, builder.build()).await.map_err(|_| zbus::Error::Failure("no answer".to_owned()))?
}

/// Reads everything; what cannot be read is not there. The choice outlives a failed look.
async fn look(bus: &Connection, chosen: &mut Option<Chosen>, settings: &Settings) -> Snapshot {
    match timeout(READ_LIMIT, read::read(bus, chosen.as_ref(), &settings.which, settings.owner)).await {
        Ok(Ok((now, modem))) => {
            *chosen = now;
            return modem;
        }
        Ok(Err(error)) => tracing::debug!(%error, "ModemManager does not show its modems"),
        Err(_) => tracing::warn!("ModemManager does not answer"),
    }
    absent()
}

/// The end of the call under way; never, where there is none.
async fn finished(call: &mut Option<Call>) -> Result<Done, ConnectFailure> {
    match call {
        Some(call) => call.await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    //! What needs no ModemManager; the suite with a real one on a simulated modem is in `tests/`.

    use super::*;
    use crate::bus::tests::Bus;

    const LONG: Duration = Duration::from_secs(20);

    fn connect_command() -> Command {
        Command::Connect { apn: "internet".to_owned(), allow_roaming: false }
    }

    async fn next(events: &mut mpsc::Receiver<Event>) -> Event {
        timeout(LONG, events.recv()).await.expect("in time").expect("an event")
    }

    /// A command is answered by a snapshot; a connect by its failure before that.
    async fn refused(events: &mut mpsc::Receiver<Event>, words: &str) {
        assert_eq!(next(events).await, Event::ConnectFailed(of(NO_MODEM, words)));
        assert_eq!(next(events).await, Event::Snapshot(absent()));
    }

    #[tokio::test]
    async fn without_bus_or_modem_manager_there_is_no_modem() {
        let dir = tempfile::tempdir().expect("directory");
        let address = format!("unix:path={}", dir.path().join("bus").display());
        let (sender, mut events) = mpsc::channel(8);
        let modem = spawn(Settings { bus: Some(address), ..Settings::default() }, sender);
        assert_eq!(next(&mut events).await, Event::Snapshot(absent()));
        modem.send(connect_command());
        refused(&mut events, "there is no D-Bus").await;
        for _ in 0..2 {
            let bus = Bus::start(dir.path());
            timeout(LONG, bus.somebody_connected()).await.expect("the task finds the bus");
            modem.send(connect_command());
            refused(&mut events, "there is no usable modem").await;
            modem.send(Command::Disconnect);
            assert_eq!(next(&mut events).await, Event::Snapshot(absent()));
        }
        drop(modem);
        assert_eq!(timeout(LONG, events.recv()).await.expect("the task ends with its handle"), None);
    }
}
