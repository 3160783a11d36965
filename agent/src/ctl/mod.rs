//! `offloadctl`: asks the daemon how it is.
//!
//! Exit status: 0 the daemon answered, 1 it could not be asked, 2 a wrong command line, 3 it does not run.

mod table;

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand};
use tokio::time::timeout;
use zbus::fdo;

use crate::bus::{self, Agent1Proxy};

/// For the daemon's answer; it never waits for anything before it answers.
const LIMIT: Duration = Duration::from_secs(5);
/// The daemon does not run.
const NOT_RUNNING: u8 = 3;

/// Asks wifi-offloadd how it is.
#[derive(Debug, Parser)]
#[command(name = "offloadctl", version)]
struct Arguments {
    /// D-Bus address in place of the system bus.
    #[arg(long, global = true, value_name = "ADDRESS")]
    bus: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Where the device is between cellular and Wi-Fi, and what went wrong last.
    Status {
        /// As one line of JSON, for programs.
        #[arg(long)]
        json: bool,
    },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum CtlError {
    /// Nobody owns the name, or there is no bus.
    #[error("wifi-offloadd does not run: {0}\nStart it with: systemctl start wifi-offloadd")]
    NotRunning(String),
    /// Anything else of the bus.
    #[error("wifi-offloadd could not be asked: {0}")]
    Bus(zbus::Error),
    /// It hangs.
    #[error("wifi-offloadd does not answer; its watchdog restarts it within a minute")]
    Silent,
    /// No terminal.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The program.
pub fn main() -> ExitCode {
    let Arguments { bus, command: Command::Status { json } } = Arguments::parse();
    match status(bus.as_deref(), json) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed too; the exit status still tells.
            let _ = writeln!(io::stderr(), "offloadctl: {error}");
            ExitCode::from(if matches!(error, CtlError::NotRunning(_)) { NOT_RUNNING } else { 1 })
        }
    }
}

fn status(address: Option<&str>, json: bool) -> Result<(), CtlError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer =
        runtime.block_on(async { timeout(LIMIT, ask(address)).await }).map_err(|_| CtlError::Silent)??;
    let text = if json { format!("{answer}\n") } else { table::of(&answer) };
    match io::stdout().write_all(text.as_bytes()) {
        // `offloadctl status | head -1` is no mistake.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

async fn ask(address: Option<&str>) -> Result<String, CtlError> {
    let bus = bus::connect(address).await.map_err(|error| CtlError::NotRunning(error.to_string()))?;
    let agent = Agent1Proxy::new(&bus).await.map_err(CtlError::Bus)?;
    agent.get_status().await.map_err(|error| match error {
        zbus::Error::FDO(error) if is_absent(&error) => {
            CtlError::NotRunning(format!("nobody is {} on D-Bus", bus::NAME))
        }
        other => CtlError::Bus(other),
    })
}

fn is_absent(error: &fdo::Error) -> bool {
    matches!(error, fdo::Error::ServiceUnknown(_) | fdo::Error::NameHasNoOwner(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::tests::Bus;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
        let parsed = Arguments::try_parse_from(["offloadctl", "status", "--json"]).expect("parses");
        assert!(matches!(parsed.command, Command::Status { json: true }));
    }

    #[test]
    fn no_bus_or_no_daemon_is_not_running() {
        let dir = tempfile::tempdir().expect("directory");
        let bus = Bus::start(dir.path());
        for address in ["unix:path=/nonexistent/bus", &bus.address()] {
            let error = status(Some(address), true).expect_err("no daemon");
            assert!(matches!(error, CtlError::NotRunning(_)), "{error}");
        }
    }
}
