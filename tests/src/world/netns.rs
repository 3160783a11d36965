//! Network namespaces and links, by iproute2.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Command,
    thread,
};

use anyhow::{Context as _, Result, anyhow};
use nix::sched::{CloneFlags, setns};

use crate::workshop;

/// A place in the world; commands and threads can be put there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Netns(Option<String>);

impl Netns {
    /// Where we are.
    pub(crate) const fn here() -> Self {
        Self(None)
    }

    /// Makes a new one with its loopback up; one of that name that is left from a killed run goes first.
    pub(crate) fn create(name: &str) -> Result<Self> {
        if path_of(name).exists() {
            ip(&format!("netns del {name}"))?;
        }
        ip(&format!("netns add {name}"))?;
        let made = Self(Some(name.to_owned()));
        made.ip("link set lo up")?;
        Ok(made)
    }

    /// Takes it away with all that is in it. The suites' own go with their machine or their mount namespace.
    #[cfg(test)]
    pub(crate) fn remove(&self) -> Result<()> {
        self.0.as_ref().map_or(Ok(()), |name| ip(&format!("netns del {name}")))
    }

    /// Its name, where it has one.
    pub(crate) fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// A program to be run there.
    pub(crate) fn command(&self, program: &str) -> Command {
        match &self.0 {
            None => Command::new(program),
            Some(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name, program]);
                command
            }
        }
    }

    /// iproute2 there, such as `addr add 10.0.0.1/24 dev eth0`.
    pub(crate) fn ip(&self, arguments: &str) -> Result<()> {
        match &self.0 {
            None => ip(arguments),
            Some(name) => ip(&format!("-n {name} {arguments}")),
        }
    }

    /// Sets a kernel parameter of the network there, such as `ipv4/ip_forward`.
    pub(crate) fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let file = PathBuf::from("/proc/sys/net").join(key);
        self.inside(move || fs::write(&file, value).with_context(|| file.display().to_string()))?
    }

    /// Runs something on a thread that is there; sockets that it makes stay there.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        thread::scope(|scope| {
            let worker = scope.spawn(|| -> Result<T> {
                self.enter()?;
                Ok(work())
            });
            worker.join().map_err(|_| anyhow!("a thread died"))?
        })
    }

    /// Moves the calling thread there, for good.
    pub(crate) fn enter(&self) -> Result<()> {
        let Some(name) = &self.0 else { return Ok(()) };
        let file = File::open(path_of(name)).with_context(|| format!("namespace {name}"))?;
        setns(file, CloneFlags::CLONE_NEWNET).with_context(|| format!("enter namespace {name}"))
    }
}

/// iproute2 where we are.
pub(crate) fn ip(arguments: &str) -> Result<()> {
    workshop::run(Command::new("ip").args(arguments.split_ascii_whitespace())).map(drop)
}

fn path_of(name: &str) -> PathBuf {
    PathBuf::from("/run/netns").join(name)
}
