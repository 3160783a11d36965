//! The task that keeps a [`Snapshot`] of the modem current and carries commands to ModemManager over D-Bus.
//!
//! Nothing that happens outside ends it: no bus, no ModemManager, no modem, each coming late, leaving or dying. It is
//! level-triggered: whatever is heard, everything is read again, and a snapshot goes out if it differs. The daemon
//! spawns it.

use std::{future::pending, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc},
    time::{sleep, timeout},
};
use zbus::{Connection, connection};

use super::{
    Command, ConnectFailure, Event, Modem, Presence, Snapshot, calls,
    failure::{GONE, NO_MODEM, of},
    read::{self, Chosen},
    signals,
    snapshot::absent,
};

/// Signals come in bursts; this long after the first one they are answered together.
const COALESCE: Duration = Duration::from_millis(50);
/// Looks without any signal, in case one was lost.
const RECHECK: Duration = Duration::from_secs(30);
/// A ModemManager that takes longer to show itself counts as absent.
const READ_LIMIT: Duration = Duration::from_secs(20);
/// Wait before the bus is tried again; doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Longest wait between tries.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Commands that wait; the machine never has more than one under way.
const QUEUE: usize = 8;

/// Starts the task; it ends when the returned handle is dropped. `address` is the bus, by default the system's
/// (`DBUS_SYSTEM_BUS_ADDRESS` where that is set). Must be called inside a tokio runtime.
pub fn spawn(address: Option<String>, events: mpsc::Sender<Event>) -> impl Modem + use<> {
    let (commands, queue) = mpsc::channel(QUEUE);
    let task = Task { address, events, queue, told: None, wanted: None };
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
    address: Option<String>,
    events: mpsc::Sender<Event>,
    queue: mpsc::Receiver<Command>,
    /// The last snapshot that went out.
    told: Option<Snapshot>,
    /// A command that waits for the call under way; a later one takes its place.
    wanted: Option<Command>,
}

/// The one whom events or commands came from is gone: the daemon is stopping.
struct Stopped;

/// A call under way.
type Call = Pin<Box<dyn Future<Output = Result<(), ConnectFailure>> + Send>>;

impl Task {
    async fn run(mut self) {
        let mut wait = RETRY_FIRST;
        loop {
            match connect(self.address.as_deref()).await {
                Ok(bus) => {
                    wait = RETRY_FIRST;
                    match self.serve(&bus).await {
                        Ok(Ok(())) => tracing::warn!("the D-Bus connection is lost"),
                        Ok(Err(error)) => tracing::warn!(%error, "D-Bus"),
                        Err(Stopped) => return,
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

    /// Waits for `time`; whoever asks something meanwhile is told that there is no modem.
    async fn without_bus(&mut self, time: Duration) -> Result<(), Stopped> {
        self.tell(absent(), false).await?;
        if self.wanted.take().is_some_and(|command| is_connect(&command)) {
            self.fail(of(GONE, "the D-Bus connection is lost")).await?;
        }
        let end = sleep(time);
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return Ok(()),
                command = self.queue.recv() => match command {
                    Some(command) => {
                        self.refuse(&command, "there is no D-Bus").await?;
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
        let mut chosen = None;
        let mut call: Option<Call> = None;
        let mut connecting = false;
        let mut anyway = false;
        loop {
            let modem = look(bus, &mut chosen).await;
            self.tell(modem, anyway).await?;
            anyway = false;
            if call.is_none()
                && let Some(command) = self.wanted.take()
            {
                connecting = is_connect(&command);
                match self.start(bus, chosen.as_ref(), command).await? {
                    Some(started) => call = Some(started),
                    None => self.tell_again().await?,
                }
            }
            tokio::select! {
                () = changed.notified() => sleep(COALESCE).await,
                () = sleep(RECHECK) => {}
                command = self.queue.recv() => match command {
                    Some(command) => self.wanted = Some(command),
                    None => return Err(Stopped),
                },
                result = finished(&mut call) => {
                    call = None;
                    anyway = true;
                    self.report(connecting, result).await?;
                }
                () = bus.closed() => {
                    if connecting && call.is_some() {
                        self.fail(of(GONE, "the D-Bus connection is lost")).await?;
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
        let connected = self.told.as_ref().is_some_and(|modem| modem.bearer.is_some());
        let ready = self.told.as_ref().is_some_and(|modem| modem.presence == Presence::Ready);
        match (chosen, is_connect(&command)) {
            (Some(modem), asks) if ready && asks != connected => {
                let (bus, modem) = (bus.clone(), modem.clone());
                Ok(Some(Box::pin(async move { calls::call(&bus, &modem, &command).await })))
            }
            (Some(_), _) if ready => Ok(None),
            _ => {
                self.refuse(&command, "there is no usable modem").await?;
                Ok(None)
            }
        }
    }

    async fn report(&mut self, connecting: bool, result: Result<(), ConnectFailure>) -> Result<(), Stopped> {
        match result {
            Ok(()) => Ok(()),
            Err(failure) if connecting => self.fail(failure).await,
            Err(failure) => {
                tracing::warn!(
                    error = failure.error,
                    text = failure.text,
                    "the bearer could not be disconnected"
                );
                Ok(())
            }
        }
    }

    async fn refuse(&mut self, command: &Command, text: &str) -> Result<(), Stopped> {
        if is_connect(command) { self.fail(of(NO_MODEM, text)).await } else { Ok(()) }
    }

    async fn fail(&mut self, failure: ConnectFailure) -> Result<(), Stopped> {
        self.events.send(Event::ConnectFailed(failure)).await.map_err(|_| Stopped)
    }

    /// Sends the snapshot if it is news, or `anyway`.
    async fn tell(&mut self, modem: Snapshot, anyway: bool) -> Result<(), Stopped> {
        if !anyway && self.told.as_ref() == Some(&modem) {
            return Ok(());
        }
        self.told = Some(modem);
        self.tell_again().await
    }

    async fn tell_again(&mut self) -> Result<(), Stopped> {
        match self.told.clone() {
            Some(modem) => self.events.send(Event::Snapshot(modem)).await.map_err(|_| Stopped),
            None => Ok(()),
        }
    }
}

async fn connect(address: Option<&str>) -> zbus::Result<Connection> {
    let builder = address.map_or_else(connection::Builder::system, connection::Builder::address);
    timeout(READ_LIMIT, builder.build()).await.map_err(|_| zbus::Error::Failure("no answer".to_owned()))?
}

/// Reads everything; what cannot be read is not there. The choice outlives a failed look.
async fn look(bus: &Connection, chosen: &mut Option<Chosen>) -> Snapshot {
    match timeout(READ_LIMIT, read::read(bus, chosen.as_ref())).await {
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
async fn finished(call: &mut Option<Call>) -> Result<(), ConnectFailure> {
    match call {
        Some(call) => call.await,
        None => pending().await,
    }
}

fn is_connect(command: &Command) -> bool {
    matches!(command, Command::Connect { .. })
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
        let modem = spawn(Some(address), sender);
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
