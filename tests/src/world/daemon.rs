//! One outside program, its log file, and its life: started, killed, started again.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::netns::Netns;
use crate::{
    clock,
    text::{Follower, tail},
};

/// How long a program may take to end when asked to.
const ENDING: Duration = Duration::from_secs(5);

/// A running program.
pub(crate) struct Daemon {
    name: String,
    place: Netns,
    words: Vec<String>,
    environment: Vec<(String, String)>,
    log: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    /// A program that is not running yet; `logs` holds NAME.log.
    pub(crate) fn new(name: &str, place: &Netns, logs: &Path, words: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            place: place.clone(),
            words: words.iter().map(|&word| word.to_owned()).collect(),
            environment: Vec::new(),
            log: logs.join(format!("{name}.log")),
            child: None,
        }
    }

    /// With this in its environment.
    pub(crate) fn env(mut self, key: &str, value: &str) -> Self {
        self.environment.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Starts it; its output goes to the end of its log.
    pub(crate) fn start(&mut self) -> Result<()> {
        self.start_after(|| Ok(()))
    }

    /// The same from a thread that has done `first`, such as entering a namespace.
    pub(crate) fn start_after(&mut self, first: impl FnOnce() -> Result<()> + Send) -> Result<()> {
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.log)?;
        let [program, arguments @ ..] = self.words.as_slice() else { bail!("{}: no program", self.name) };
        let mut command: Command = self.place.command(program);
        command.args(arguments).envs(self.environment.iter().map(|(key, value)| (key, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let spawned: Result<Child> = thread::scope(|scope| {
            let starter = scope.spawn(|| -> Result<Child> {
                first()?;
                Ok(command.spawn()?)
            });
            starter.join().map_err(|_| anyhow!("a thread died"))?
        });
        self.child = Some(spawned.with_context(|| format!("start {}", self.name))?);
        Ok(())
    }

    /// Its log.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Waits for a line of its log, from the log's beginning; a program that ends before is an error.
    pub(crate) fn ready(&mut self, line: &str, limit: Duration) -> Result<()> {
        let mut log = Follower::new(&self.log);
        let what = format!("{} says \"{line}\"", self.name);
        clock::until(&what, limit, || {
            let found = log.lines()?.iter().any(|text| text.contains(line));
            if !found {
                self.must_run()?;
            }
            Ok(found.then_some(()))
        })
        .with_context(|| tail(&self.log, 25))
    }

    /// An error with the end of its log where it is not running.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        let Some(child) = &mut self.child else { bail!("{} is not started", self.name) };
        if let Some(status) = child.try_wait()? {
            bail!("{} ended: {status}\n{}", self.name, tail(&self.log, 25));
        }
        Ok(())
    }

    /// Holds it still, or lets it go on.
    pub(crate) fn hold(&self, still: bool) -> Result<()> {
        let Some(pid) = self.pid() else { bail!("{} is not started", self.name) };
        let signal = if still { Signal::SIGSTOP } else { Signal::SIGCONT };
        Ok(kill(Pid::from_raw(i32::try_from(pid)?), signal)?)
    }

    /// SIGKILL: it gets no chance to say goodbye.
    pub(crate) fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// SIGTERM, and SIGKILL for one that does not listen.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let Some(child) = &mut self.child else { return Ok(()) };
        kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM).ok();
        let ended = clock::until("the end", ENDING, || Ok(child.try_wait()?));
        if ended.is_ok() {
            self.child = None;
        }
        self.kill()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}
