//! The shell of this folder: one thread that carries the machine's commands to wpa_supplicant and its events back.
//! Started by the daemon.
//!
//! wpa_supplicant may be absent, be killed, start again: each loss is told as [`Event::Down`], each find as
//! [`Event::Up`], upon which the machine installs its credential again.
//!
//! Nothing is asked again and again: the thread sleeps until there is a command, a line, an end of the supplicant's
//! process, or a new socket where it should be.

use std::{
    io::{ErrorKind, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::SigSet,
    time::{ClockId, clock_gettime},
};
use tokio::sync::mpsc;

use super::{
    Command, Event, JoinFailure, Supplicant,
    commands::{self, Commands, Error},
    line::{self, Notice},
    look::Look,
    monitor::Monitor,
    operations::{self, Installed},
    tracker::{Outcome, Tracker},
};

/// While a join is under way or in doubt: how often to see that no line was missed.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// Otherwise: lines are not lost and a dead supplicant is told of, so this finds only one that hangs.
const CHECK_SELDOM: Duration = Duration::from_secs(300);
/// After a loss: one that ends in order still has its socket for a moment, and does not answer there any more.
const AFTER_LOSS: Duration = Duration::from_millis(500);
/// Commands that may wait while a request is answered.
const QUEUE: usize = 64;
/// Lines that are read before commands are looked at again.
const LINES: usize = 64;

/// Where the supplicant is, and where we may write.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Directory of the supplicant's control sockets, such as `/run/wpa_supplicant`.
    pub control_dir: PathBuf,
    /// Directory of ours for sockets and the CA file; made when missing.
    pub run_dir: PathBuf,
    /// WLAN interface; the control socket is named after it.
    pub interface: String,
}

/// Starts the thread. It ends when the handle is dropped.
pub fn spawn(
    settings: Settings,
    events: mpsc::Sender<Event>,
) -> std::io::Result<impl Supplicant + Send + Sync + use<>> {
    std::fs::create_dir_all(&settings.run_dir)?;
    commands::remove_leftovers(&settings.run_dir)?;
    let (sender, commands) = sync_channel(QUEUE);
    let (bell, rung) = UnixStream::pair()?;
    bell.set_nonblocking(true)?;
    rung.set_nonblocking(true)?;
    let shell = Shell {
        settings,
        commands,
        rung,
        events,
        session: None,
        look: Look::default(),
        next_look: Duration::ZERO,
        up: None,
    };
    thread::Builder::new().name("supplicant".into()).spawn(move || {
        // wpactrl takes a signal for a failed exchange.
        let _ = SigSet::all().thread_block();
        shell.run();
    })?;
    Ok(Handle { sender, bell })
}

/// The way to the thread.
struct Handle {
    sender: SyncSender<Command>,
    /// Wakes the thread, also by its end.
    bell: UnixStream,
}

impl Supplicant for Handle {
    fn send(&self, command: Command) {
        if self.sender.try_send(command).is_err() {
            tracing::error!("supplicant's thread does not keep up; a command is lost");
        }
        // Full of rings that nobody has heard yet: it will wake up anyhow.
        let _ = (&self.bell).write(&[0]);
    }
}

/// Everything that ends with one life of the supplicant.
struct Session {
    commands: Commands,
    monitor: Monitor,
    tracker: Tracker,
    installed: Vec<Installed>,
    checked: Duration,
}

impl Session {
    fn next_check(&self) -> Duration {
        self.checked + if self.tracker.unsettled() { CHECK_EVERY } else { CHECK_SELDOM }
    }
}

/// Why the thread woke up.
#[derive(Default)]
struct Woken {
    rung: bool,
    /// A line, or the end of the process.
    supplicant: bool,
    ended: bool,
    changes: bool,
}

struct Shell {
    settings: Settings,
    commands: Receiver<Command>,
    rung: UnixStream,
    events: mpsc::Sender<Event>,
    session: Option<Session>,
    look: Look,
    next_look: Duration,
    /// What was told last.
    up: Option<bool>,
}

impl Shell {
    fn run(mut self) {
        loop {
            self.connect();
            let woken = match self.wait() {
                Ok(woken) => woken,
                Err(error) => {
                    tracing::error!(%error, "the supplicant's thread cannot wait any more");
                    return;
                }
            };
            if woken.changes {
                self.look.changed();
                self.next_look = Duration::ZERO;
            }
            let worked = self.heard(&woken).and_then(|()| self.look_after());
            self.settle(worked);
            if woken.rung && self.obey() {
                return;
            }
        }
    }

    /// Sleeps until there is something to do.
    fn wait(&self) -> nix::Result<Woken> {
        let next = match &self.session {
            None => self.next_look,
            Some(session) => {
                let check = session.next_check();
                session.tracker.deadline().map_or(check, |at| at.min(check))
            }
        };
        // Rounded up: rounded down it would spin through the last millisecond.
        let left = next.saturating_sub(now()).as_nanos().div_ceil(1_000_000);
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let session = self.session.as_ref();
        let monitor = session.map(|session| session.monitor.as_fd());
        let process = session.and_then(|session| session.monitor.process());
        let changes = session.is_none().then(|| self.look.changes()).flatten().map(AsFd::as_fd);
        let places = [Some(self.rung.as_fd()), monitor, process, changes];
        let mut fds: Vec<PollFd<'_>> =
            places.iter().flatten().map(|fd: &BorrowedFd<'_>| PollFd::new(*fd, PollFlags::POLLIN)).collect();
        poll(&mut fds, timeout)?;
        let mut ready = fds.iter().map(|fd| fd.any().unwrap_or(true));
        let [rung, supplicant, ended, changes] =
            places.map(|place| place.is_some() && ready.next().unwrap_or(false));
        Ok(Woken { rung, supplicant, ended, changes })
    }

    /// Commands that wait; true when there will be none any more.
    fn obey(&mut self) -> bool {
        let mut rings = [0; 64];
        let over = loop {
            match self.rung.read(&mut rings) {
                Ok(0) => break true,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break error.kind() != ErrorKind::WouldBlock,
            }
        };
        while let Ok(command) = self.commands.try_recv() {
            let worked = self.command(command).and_then(|()| self.look_after());
            self.settle(worked);
        }
        over
    }

    fn settle(&mut self, worked: Result<(), Error>) {
        if let Err(error) = worked {
            self.trouble(&error);
        }
    }

    /// Finds the supplicant where there is none yet.
    fn connect(&mut self) {
        if self.session.is_some() || now() < self.next_look {
            return;
        }
        let control = self.settings.control_dir.join(&self.settings.interface);
        self.look.begin(&self.settings.control_dir);
        let opened = if control.exists() { self.open(&control) } else { Err(Error::Closed) };
        match opened {
            Ok(session) => {
                self.session = Some(session);
                self.look = Look::default();
                self.say_up(true);
            }
            Err(error) => {
                tracing::debug!(%error, "no supplicant");
                self.next_look = now() + self.look.pause();
                self.say_up(false);
            }
        }
    }

    fn open(&mut self, control: &Path) -> Result<Session, Error> {
        let run_dir = &self.settings.run_dir;
        let mut commands = Commands::open(control, run_dir)?;
        operations::ping(&mut commands)?;
        let monitor = Monitor::attach(control, run_dir)?;
        // An earlier run of the agent may have left networks, enabled ones too: nothing joins without us.
        operations::remove(&mut commands)?;
        Ok(Session { commands, monitor, tracker: Tracker::default(), installed: Vec::new(), checked: now() })
    }

    fn command(&mut self, command: Command) -> Result<(), Error> {
        let Some(session) = &mut self.session else {
            if matches!(command, Command::Install { .. } | Command::Join { .. }) {
                self.tell(Event::Failed("supplicant-closed".into()));
            }
            return Ok(());
        };
        match command {
            Command::Install { credential } => {
                session.installed.clear();
                let ended = session.tracker.leave();
                let installed =
                    operations::install(&mut session.commands, &self.settings.run_dir, &credential);
                let installed = installed.map(|blocks| session.installed = blocks);
                self.tell_some(ended);
                match installed {
                    Ok(()) => self.tell(Event::Installed),
                    Err(error) if error.ends_session() => return Err(error),
                    Err(error) => self.tell(Event::Failed(error.to_string())),
                }
            }
            Command::Join { ssid } => {
                let block = session.installed.iter().find(|block| block.ssid == ssid).cloned();
                let joined =
                    block.ok_or_else(|| Error::Refused("no network of that name".into())).and_then(|block| {
                        session.tracker.join(now(), block.id);
                        operations::join(&mut session.commands, &block)
                    });
                match joined {
                    Ok(()) => {}
                    Err(error) if error.ends_session() => return Err(error),
                    Err(error) => {
                        session.tracker.leave();
                        self.tell(Event::JoinFailed {
                            failure: JoinFailure::Association,
                            text: error.to_string(),
                        });
                    }
                }
            }
            Command::Leave => {
                let ended = session.tracker.leave();
                let left = operations::leave(&mut session.commands, &session.installed);
                self.tell_some(ended);
                left?;
            }
            Command::Remove => {
                session.installed.clear();
                let ended = session.tracker.leave();
                let removed = operations::remove(&mut session.commands);
                self.tell_some(ended);
                removed?;
            }
        }
        Ok(())
    }

    /// Reads what the supplicant has said, up to its end.
    fn heard(&mut self, woken: &Woken) -> Result<(), Error> {
        if woken.supplicant {
            for _ in 0..LINES {
                let Some(session) = &mut self.session else { return Ok(()) };
                let Some(text) = session.monitor.next()? else { break };
                let notice = line::parse(&text);
                if notice == Notice::Terminating {
                    return Err(Error::Closed);
                }
                let outcomes = session.tracker.notice(now(), notice, &line::text(&text));
                self.carry_out(outcomes)?;
            }
        }
        if woken.ended { Err(Error::Closed) } else { Ok(()) }
    }

    /// Time-outs, and whether the supplicant lives.
    fn look_after(&mut self) -> Result<(), Error> {
        let Some(session) = &mut self.session else { return Ok(()) };
        let now = now();
        let mut outcomes = session.tracker.expire(now);
        if now >= session.next_check() {
            let status = operations::status(&mut session.commands)?;
            outcomes.extend(session.tracker.check(&status));
            session.checked = now;
        }
        self.carry_out(outcomes)
    }

    fn carry_out(&mut self, outcomes: Vec<Outcome>) -> Result<(), Error> {
        for outcome in outcomes {
            let Some(session) = &mut self.session else { return Ok(()) };
            match outcome {
                Outcome::Tell(event) => self.tell(event),
                Outcome::Abandon => operations::leave(&mut session.commands, &session.installed)?,
                Outcome::AskStatus => {
                    let status = operations::status(&mut session.commands)?;
                    // STATUS leads to tellings only, so this ends.
                    let outcomes = session.tracker.status(&status);
                    self.carry_out(outcomes)?;
                }
            }
        }
        Ok(())
    }

    fn trouble(&mut self, error: &Error) {
        if error.ends_session() {
            tracing::warn!(%error, "lost the supplicant");
            self.session = None;
            self.next_look = now() + AFTER_LOSS;
            self.say_up(false);
        } else {
            tracing::warn!(%error, "the supplicant refused a request");
        }
    }

    fn say_up(&mut self, up: bool) {
        if self.up != Some(up) {
            self.up = Some(up);
            self.tell(if up { Event::Up } else { Event::Down });
        }
    }

    fn tell_some(&self, event: Option<Event>) {
        if let Some(event) = event {
            self.tell(event);
        }
    }

    /// Waits while the daemon is busy: no event is ever dropped here.
    fn tell(&self, event: Event) {
        let _ = self.events.blocking_send(event);
    }
}

/// Does not count while the device sleeps: an AAA cannot answer then.
fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default()
}
