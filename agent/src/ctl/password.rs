//! Lets polkit ask for a password in this terminal: pkttyagent(1), as systemctl(1) does it.
//!
//! Without a terminal, or without the program, polkit asks whatever agent the session has, or says no.

use std::{
    io::{self, IsTerminal, Read},
    process::{Child, Command, Stdio},
};

/// The agent, while a call is under way; ended when dropped.
pub(super) struct Prompt(Child);

impl Prompt {
    /// Root is not asked.
    pub(super) fn offer() -> Option<Self> {
        if nix::unistd::geteuid().is_root() || !io::stdin().is_terminal() {
            return None;
        }
        // It takes its parent for the one that is to be asked about. It talks with /dev/tty, so that its standard output
        // is free to tell when it is there: it closes it.
        let mut agent = Command::new("pkttyagent")
            .args(["--notify-fd", "1", "--fallback"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        if let Some(mut there) = agent.stdout.take() {
            let _ = there.read(&mut [0]);
        }
        Some(Self(agent))
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
