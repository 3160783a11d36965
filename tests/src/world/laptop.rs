//! The agent on the laptop, and the eyes of a person there (`offloadctl`).

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{core::Core, daemon::Daemon, netns::Netns, plan, supplicant::CONTROL};
use crate::{
    clock,
    text::{Follower, tail},
    workshop,
};

/// wifi-offloadd and its control.
pub(crate) struct Agent {
    /// The program.
    pub(crate) daemon: Daemon,
    control: PathBuf,
    bus: String,
    state: PathBuf,
    config: PathBuf,
    log: Follower,
    last: String,
}

impl Agent {
    /// Writes its configuration; not started yet. `bus` is the system bus.
    pub(crate) fn new(programs: &Path, core: &Core, bus: &str, work: &Path, logs: &Path) -> Result<Self> {
        let config = work.join("agent.toml");
        let state = work.join("agent-state");
        fs::create_dir_all(&state)?;
        let text = format!(
            "[portal]\nurl = \"https://{name}:{port}/v1/credential\"\nca = \"{ca}\"\n\n\
             [cellular]\napn = \"internet\"\nallow-roaming = true\n\n\
             [wlan]\ninterface = \"{wlan}\"\n\n\
             [supplicant]\ncontrol-dir = \"{CONTROL}\"\n\n\
             [state]\ndir = \"{state}\"\nrun-dir = \"/run/wifi-offload\"\n",
            name = plan::PORTAL_NAME,
            port = plan::PORTAL_PORT,
            wlan = plan::LAPTOP_WLAN,
            ca = core.ca().display(),
            state = state.display(),
        );
        fs::write(&config, text).with_context(|| config.display().to_string())?;
        let program = programs.join("wifi-offloadd").display().to_string();
        let config_text = config.display().to_string();
        let words = [program.as_str(), "--config", &config_text, "--log-format", "json"];
        let daemon = Daemon::new("wifi-offloadd", &Netns::here(), logs, &words).env(BUS, bus);
        let log = Follower::new(daemon.log());
        let control = programs.join("offloadctl");
        Ok(Self { daemon, control, bus: bus.to_owned(), state, config, log, last: String::new() })
    }

    /// Lays this over its configuration from its next start on; none for the configuration as it was.
    pub(crate) fn lay_over(&self, text: Option<&str>) -> Result<()> {
        let folder = self.state.with_file_name("agent.toml.d");
        fs::create_dir_all(&folder)?;
        Ok(fs::write(folder.join("50-case.toml"), text.unwrap_or_default())?)
    }

    /// Throws away what it has learnt; it must not run.
    pub(crate) fn forget(&self) -> Result<()> {
        fs::remove_dir_all(&self.state)?;
        Ok(fs::create_dir_all(&self.state)?)
    }

    /// What `offloadctl status --json` says.
    pub(crate) fn status(&self) -> Result<Value> {
        let text = workshop::run(Command::new(&self.control).args(["status", "--json"]).env(BUS, &self.bus))?;
        serde_json::from_str(&text).context("offloadctl status --json")
    }

    /// What `offloadctl doctor --json` says; a broken link is an answer, too.
    pub(crate) fn doctor(&self) -> Result<Value> {
        let mut command = Command::new(&self.control);
        command.args(["doctor", "--json", "--config"]).arg(&self.config).env(BUS, &self.bus);
        let output = command.stdin(Stdio::null()).output().context("start offloadctl")?;
        let answer: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        let good = answer.get("good").and_then(Value::as_bool).context("no verdict")?;
        ensure!(output.status.code() == Some(i32::from(!good)), "{}: {answer}", output.status);
        Ok(answer)
    }

    /// Where it keeps what it has learnt.
    pub(crate) fn state_dir(&self) -> &Path {
        &self.state
    }

    /// Starts it.
    pub(crate) fn start(&mut self) -> Result<()> {
        self.log = Follower::from_now(self.daemon.log());
        self.last.clear();
        self.daemon.start()
    }

    /// Waits for an event of this name (`daemon/story.rs`), from what was last waited for on.
    pub(crate) fn wait_event(&mut self, wanted: &str, limit: Duration) -> Result<()> {
        let reached = clock::until(&format!("the agent's event {wanted}"), limit, || {
            self.daemon.must_run()?;
            let mut found = false;
            for line in self.log.lines()? {
                self.last = state_in(&line).unwrap_or(std::mem::take(&mut self.last));
                found |= event_in(&line).as_deref() == Some(wanted);
            }
            Ok(found.then_some(()))
        });
        reached.with_context(|| format!("it is {}\n{}", self.last, tail(self.daemon.log(), 25)))
    }

    /// Waits until the agent is in one of these states, by the changes that its log tells.
    pub(crate) fn wait_state(&mut self, wanted: &[&str], limit: Duration) -> Result<()> {
        let what = format!("the agent is {}", wanted.join(" or "));
        let reached = clock::until(&what, limit, || {
            self.daemon.must_run()?;
            for line in self.log.lines()? {
                if let Some(state) = state_in(&line) {
                    self.last = state;
                }
            }
            Ok(wanted.contains(&self.last.as_str()).then_some(()))
        });
        reached.with_context(|| format!("it is {}\n{}", self.last, tail(self.daemon.log(), 12)))
    }
}

/// The event that a line of the log tells.
fn event_in(line: &str) -> Option<String> {
    let event: Value = serde_json::from_str(line).ok()?;
    event.get("event")?.as_str().map(str::to_owned)
}

/// The new state, where a line of the log tells one.
fn state_in(line: &str) -> Option<String> {
    let event: Value = serde_json::from_str(line).ok()?;
    (event.get("event")? == "state").then(|| event.get("to")?.as_str().map(str::to_owned))?
}

/// Where clients find the system bus.
const BUS: &str = "DBUS_SYSTEM_BUS_ADDRESS";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_from_the_log() {
        let line = r#"{"timestamp":"1","event":"state","from":"armed","to":"joining"}"#;
        assert_eq!(state_in(line).as_deref(), Some("joining"));
        assert_eq!(state_in(r#"{"event":"joining","to":"x"}"#), None);
        assert_eq!(state_in("text"), None);
    }
}
