//! The control sockets of hostapd and wpa_supplicant: one datagram asks, one answers.

use std::{fs, os::unix::net::UnixDatagram, path::Path, time::Duration};

use anyhow::{Context as _, Result, bail};

/// The lab's own end; one question at a time.
const OWN: &str = "/run/lab-control-client";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A command that is answered by OK.
pub(crate) fn command(socket: &Path, command: &str) -> Result<()> {
    match ask(socket, command)?.trim() {
        "OK" => Ok(()),
        other => bail!("{} answers {other:?}", socket.display()),
    }
}

/// A question and its answer.
pub(crate) fn ask(socket: &Path, question: &str) -> Result<String> {
    let _ = fs::remove_file(OWN);
    let own = UnixDatagram::bind(OWN)?;
    own.set_read_timeout(Some(PATIENCE))?;
    own.connect(socket).with_context(|| socket.display().to_string())?;
    own.send(question.as_bytes())?;
    let mut answer = vec![0; 8192];
    let length = own.recv(&mut answer).with_context(|| format!("no answer from {}", socket.display()))?;
    answer.truncate(length);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
