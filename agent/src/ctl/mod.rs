//! `offloadctl`: asks the daemon how it is, and tells it what to do.
//!
//! `ask` speaks with the daemon, `table`, `policy` and `log` make its answers readable (pure), `watch` is the live screen,
//! `doctor` finds the first broken link, `password` lets polkit ask for one in this terminal.
//!
//! Exit status: 0 done, 1 it could not be done or the doctor found a broken link, 2 a wrong command line, 3 the daemon does not run, 4 not allowed.

mod ask;
mod doctor;
mod log;
mod password;
mod policy;
pub(crate) mod table;
mod text;
mod watch;

use std::{
    fs::File,
    io::{self, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use self::ask::{CtlError, Daemon};

/// Longest file of certificates, octets.
const MAX_CA: u64 = 64 * 1024;

/// Shows and steers wifi-offloadd, the agent that moves this device to Wi-Fi.
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
    /// Where the device is between cellular and Wi-Fi; what failed last.
    Status {
        /// As one line of JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// The same live, with traffic, signal and moves; q ends it.
    Watch {
        /// One line of JSON for each change, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Set the operator's portal, and ask it for a credential.
    Setup {
        /// https only, such as https://portal.operator.example:8443.
        url: String,
        /// PEM file with the certificate authorities of that portal.
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
    },
    /// Ask the portal for a new credential now.
    Renew,
    /// Look for the operator's Wi-Fi now, and use it when it is good.
    Join,
    /// Go back to cellular, and stay there until told to join.
    Leave,
    /// The operator's policy: networks, thresholds, renewal.
    Policy {
        /// As one line of JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// The last moves between the links, with their reasons.
    Log {
        /// As one line of JSON, for programs.
        #[arg(long)]
        json: bool,
        /// How many at most; the daemon keeps 200.
        #[arg(short = 'n', long, default_value_t = 20, value_name = "COUNT")]
        lines: u32,
    },
    /// Name the first broken link from the clock to the Internet by Wi-Fi.
    Doctor {
        /// As one line of JSON, for programs.
        #[arg(long)]
        json: bool,
        /// Configuration.
        #[arg(long, value_name = "FILE", default_value = "/etc/wifi-offload/agent.toml")]
        config: PathBuf,
    },
    /// Print the completion script of a shell.
    Completion {
        /// Which.
        shell: Shell,
    },
}

/// The program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            // Standard error may be closed too; the exit status still tells.
            let _ = io::stderr().write_all(complaint(&error, io::stderr().is_terminal()).as_bytes());
            ExitCode::from(error.exit_status())
        }
    }
}

fn run(Arguments { bus, command }: Arguments) -> Result<ExitCode, CtlError> {
    if let Command::Completion { shell } = command {
        return print(&completion(shell)).map(|()| ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Command::Doctor { json, config } = command {
        // It works without a daemon, too: that may be the broken link.
        let answer = runtime.block_on(doctor::run(bus.as_deref(), &config, json));
        print(answer.text.as_bytes())?;
        return Ok(if answer.good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    runtime.block_on(talk(bus.as_deref(), command)).map(|()| ExitCode::SUCCESS)
}

fn completion(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "offloadctl", &mut script);
    script
}

async fn talk(bus: Option<&str>, command: Command) -> Result<(), CtlError> {
    let daemon = Daemon::find(bus).await?;
    let text = match command {
        Command::Status { json } => {
            let answer = daemon.status().await?;
            if json { line(answer) } else { table::of(&answer) }
        }
        Command::Watch { json } => return watch::run(&daemon, json).await,
        Command::Policy { json } => {
            let answer = daemon.policy().await?;
            if json { line(answer) } else { policy::of(&answer) }
        }
        Command::Log { json, lines } => {
            let answer = daemon.log(lines).await?;
            if json { line(answer) } else { log::of(&answer) }
        }
        Command::Setup { url, ca } => {
            let ca = ca.as_deref().map(read).transpose()?.unwrap_or_default();
            daemon.setup(&url, &ca).await?;
            format!("The portal is {url}; asking it for a credential. `offloadctl status` shows it.\n")
        }
        Command::Renew => {
            daemon.renew().await?;
            "Asking the portal for a new credential as soon as it can be reached.\n".to_owned()
        }
        Command::Join => {
            daemon.join().await?;
            "Looking for the operator's Wi-Fi now.\n".to_owned()
        }
        Command::Leave => {
            daemon.leave().await?;
            "Staying on cellular until `offloadctl join`, or until the device wakes up.\n".to_owned()
        }
        Command::Completion { .. } | Command::Doctor { .. } => String::new(),
    };
    print(text.as_bytes())
}

/// For a person's terminal in lines that fit it, else as it is.
fn complaint(error: &CtlError, terminal: bool) -> String {
    let text = format!("offloadctl: {error}");
    let lines = text.lines().flat_map(|line| match terminal {
        true => text::wrapped(line, text::WIDTH),
        false => vec![line.to_owned()],
    });
    lines.map(|line| line + "\n").collect()
}

fn line(mut json: String) -> String {
    json.push('\n');
    json
}

fn read(path: &Path) -> Result<String, CtlError> {
    let failed = |error: io::Error| CtlError::File(path.to_owned(), error);
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_CA + 1).read_to_string(&mut text).map_err(failed)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > MAX_CA) {
        return Err(failed(io::Error::from(io::ErrorKind::FileTooLarge)));
    }
    Ok(text)
}

fn print(text: &[u8]) -> Result<(), CtlError> {
    match io::stdout().write_all(text) {
        // `offloadctl log | head -1` is no mistake.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::tests::Bus;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
        let parsed = Arguments::try_parse_from(["offloadctl", "status", "--json"]).expect("parses");
        assert!(matches!(parsed.command, Command::Status { json: true }));
    }

    #[test]
    fn no_bus_or_no_daemon_is_not_running() {
        let dir = tempfile::tempdir().expect("directory");
        let bus = Bus::start(dir.path());
        for address in ["unix:path=/nonexistent/bus", &bus.address()] {
            let bus = Some(address.to_owned());
            let error = run(Arguments { bus, command: Command::Renew }).expect_err("no daemon");
            assert!(matches!(error, CtlError::NotRunning(_)), "{error}");
            assert_eq!(error.exit_status(), 3);
        }
    }

    #[test]
    fn help_fits_a_terminal() {
        let mut command = Arguments::command();
        command.build();
        let pages = command.get_subcommands_mut().map(|sub| sub.render_help().to_string());
        let pages: Vec<String> = pages.collect();
        for line in pages.iter().chain([&command.render_help().to_string()]).flat_map(|page| page.lines()) {
            assert!(line.chars().count() <= text::WIDTH, "{line}");
        }
    }

    /// What the package installs is what this program would print.
    #[test]
    fn the_completion_scripts_are_fresh() {
        let scripts = [
            (Shell::Bash, include_str!("../../completion/offloadctl.bash")),
            (Shell::Fish, include_str!("../../completion/offloadctl.fish")),
            (Shell::Zsh, include_str!("../../completion/_offloadctl")),
        ];
        for (shell, installed) in scripts {
            assert!(
                String::from_utf8(completion(shell)).expect("text") == installed,
                "write agent/completion anew: offloadctl completion {shell}"
            );
        }
    }

    /// The manual names each command and option.
    #[test]
    fn the_manual_is_complete() {
        let manual = include_str!("../../man/offloadctl.1").replace('\\', "");
        for command in Arguments::command().get_subcommands() {
            assert!(manual.contains(&format!(".SS {}", command.get_name())), "{}", command.get_name());
            for option in command.get_arguments().filter_map(|argument| argument.get_long()) {
                assert!(manual.contains(&format!("--{option}")), "--{option}");
            }
        }
    }
}
