//! The shell of this folder: one thread that carries the machine's commands to wpa_supplicant and its events back.
//! Started by the daemon.
//!
//! wpa_supplicant may be absent, be killed, start again: each loss is told as [`Event::Down`], each find as
//! [`Event::Up`], upon which the machine installs its credential again.

use std::{
    path::PathBuf,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::SigSet,
    time::{ClockId, clock_gettime},
};
use tokio::sync::mpsc;

use super::{
    Command, Event, JoinFailure, Supplicant,
    commands::{self, Commands, Error},
    line::{self, Notice},
    monitor::{Heard, Monitor},
    operations::{self, Installed},
    tracker::{Outcome, Tracker},
};

/// How often to look for a supplicant that is away.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often to see that it is still there, and that no line was missed.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// Lines and commands that may wait while a request is answered. Then the event reader waits too.
const QUEUE: usize = 1024;

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

/// Starts the thread. It ends when the handle is dropped or nobody takes events any more.
pub fn spawn(
    settings: Settings,
    events: mpsc::Sender<Event>,
) -> std::io::Result<impl Supplicant + Send + Sync + use<>> {
    std::fs::create_dir_all(&settings.run_dir)?;
    commands::remove_leftovers(&settings.run_dir)?;
    let (sender, inputs) = sync_channel(QUEUE);
    let shell =
        Shell { settings, sender: sender.clone(), inputs, events, session: None, generation: 0, up: None };
    thread::Builder::new().name("supplicant".into()).spawn(move || {
        // wpactrl takes a signal for a failed exchange.
        let _ = SigSet::all().thread_block();
        shell.run();
    })?;
    Ok(Handle { sender })
}

/// The way to the thread.
struct Handle {
    sender: SyncSender<Input>,
}

impl Supplicant for Handle {
    fn send(&self, command: Command) {
        if self.sender.try_send(Input::Command(command)).is_err() {
            tracing::error!("supplicant's thread does not keep up; a command is lost");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.sender.try_send(Input::Stop);
    }
}

enum Input {
    Command(Command),
    /// From the event stream of the session with this number.
    Heard(u64, Heard),
    Stop,
}

/// Everything that ends with one life of the supplicant.
struct Session {
    commands: Commands,
    _monitor: Monitor,
    tracker: Tracker,
    installed: Vec<Installed>,
    next_check: Duration,
}

struct Shell {
    settings: Settings,
    sender: SyncSender<Input>,
    inputs: Receiver<Input>,
    events: mpsc::Sender<Event>,
    session: Option<Session>,
    generation: u64,
    /// What was told last.
    up: Option<bool>,
}

impl Shell {
    fn run(mut self) {
        while !self.events.is_closed() {
            self.connect();
            let wait = match &self.session {
                None => LOOK_EVERY,
                Some(session) => {
                    let next = session
                        .tracker
                        .deadline()
                        .map_or(session.next_check, |at| at.min(session.next_check));
                    next.saturating_sub(now())
                }
            };
            let worked = match self.inputs.recv_timeout(wait) {
                Ok(Input::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Input::Command(command)) => self.command(command),
                Ok(Input::Heard(generation, heard)) if generation == self.generation => self.heard(heard),
                Ok(Input::Heard(..)) | Err(RecvTimeoutError::Timeout) => Ok(()),
            };
            let worked = worked.and_then(|()| self.look_after());
            if let Err(error) = worked {
                self.trouble(&error);
            }
        }
    }

    /// Finds the supplicant where there is none yet.
    fn connect(&mut self) {
        if self.session.is_some() {
            return;
        }
        let control = self.settings.control_dir.join(&self.settings.interface);
        let opened = if control.exists() { self.open(&control) } else { Err(Error::Closed) };
        match opened {
            Ok(session) => {
                self.session = Some(session);
                self.say_up(true);
            }
            Err(error) => {
                tracing::debug!(%error, "no supplicant");
                self.say_up(false);
            }
        }
    }

    fn open(&mut self, control: &std::path::Path) -> Result<Session, Error> {
        let run_dir = &self.settings.run_dir;
        let mut commands = Commands::open(control, run_dir)?;
        operations::ping(&mut commands)?;
        self.generation += 1;
        let (sender, generation) = (self.sender.clone(), self.generation);
        let monitor = Monitor::attach(control, run_dir, move |heard| {
            sender.send(Input::Heard(generation, heard)).is_ok()
        })?;
        // An earlier run of the agent may have left networks, enabled ones too: nothing joins without us.
        operations::remove(&mut commands)?;
        Ok(Session {
            commands,
            _monitor: monitor,
            tracker: Tracker::default(),
            installed: Vec::new(),
            next_check: now() + CHECK_EVERY,
        })
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

    fn heard(&mut self, heard: Heard) -> Result<(), Error> {
        let Some(session) = &mut self.session else { return Ok(()) };
        let text = match heard {
            Heard::Line(text) => text,
            Heard::Ended => return Err(Error::Closed),
            Heard::Gap => {
                tracing::warn!("an event of the supplicant was lost; looking at its status instead");
                session.next_check = now();
                return Ok(());
            }
        };
        let notice = line::parse(&text);
        if notice == Notice::Terminating {
            return Err(Error::Closed);
        }
        let outcomes = session.tracker.notice(now(), notice, &line::text(&text));
        self.carry_out(outcomes)
    }

    /// Time-outs, and whether the supplicant lives.
    fn look_after(&mut self) -> Result<(), Error> {
        let Some(session) = &mut self.session else { return Ok(()) };
        let now = now();
        let mut outcomes = session.tracker.expire(now);
        if now >= session.next_check {
            let status = operations::status(&mut session.commands)?;
            outcomes.extend(session.tracker.check(&status));
            session.next_check = now + CHECK_EVERY;
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
