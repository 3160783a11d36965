//! The command line. Each command is a file; all but `init` begin by opening an [`installation`].
//!
//! What a command has to say goes to standard output, errors to standard error. Exit status: 0 done, 1 not done
//! (or problems found by `check` or `doctor`), 2 wrong usage. Commands work while `serve` runs: they share the database.

mod accounting;
mod bulk;
mod check;
mod client;
mod credential;
mod csv;
mod doctor;
mod init;
mod installation;
mod keeper;
mod keys;
mod log;
mod policy;
mod serve;
mod sms;
mod subscriber;
mod text;
mod tls;
mod user;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

use crate::store::ClientKind;

/// Credential portal and AAA server of wifi-offload.
#[derive(Debug, Parser)]
#[command(name = "portal-aaa", version, about, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make keys, private CA, certificates, database and a commented configuration.
    Init(init::Options),
    /// Run portal and AAA until SIGTERM or SIGINT.
    Serve(serve::Options),
    /// Look over configuration, keys, certificates and database, and say what is wrong and what helps.
    Check(Config),
    /// Walk the chain of the running server from its configuration to the message centre, and name the first broken link.
    Doctor(doctor::Options),
    /// Access points, controllers and WISPr gateways that may ask for logins.
    #[command(subcommand)]
    Nas(client::Command),
    /// Packet gateways whose accounting says whose address is whose.
    #[command(subcommand)]
    Gateway(client::Command),
    /// Credentials of devices.
    #[command(subcommand)]
    Credential(credential::Command),
    /// Keys of this installation.
    #[command(subcommand)]
    Keys(keys::Command),
    /// What devices are told about the WLAN: for all of them, for a group, for one.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Subscribers who may, or may not, have credentials.
    #[command(subcommand)]
    Subscriber(subscriber::Command),
    /// What devices need to ask by SMS.
    #[command(subcommand)]
    Sms(sms::Command),
    /// Accounts made by hand, for monitoring probes and legacy devices.
    #[command(subcommand)]
    User(user::Command),
    /// Usage as reported, for billing.
    #[command(subcommand)]
    Accounting(accounting::Command),
}

/// Which installation.
#[derive(Debug, Args)]
struct Config {
    /// Configuration file that `init` wrote.
    #[arg(long = "config", value_name = "FILE", default_value = "/var/lib/portal-aaa/portal-aaa.toml")]
    path: PathBuf,
}

/// The program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = io::stdout().lock();
    match run(&cli.command, &mut out).and_then(|code| Ok(out.flush().map(|()| code)?)) {
        Ok(code) => code,
        // Whoever reads has read enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to be told when this fails too.
            let _ = writeln!(io::stderr(), "portal-aaa: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match command {
        Command::Init(options) => init::run(options, out)?,
        Command::Serve(options) => serve::run(options)?,
        Command::Check(config) => return check::run(config, out),
        Command::Doctor(options) => return doctor::run(options, out),
        Command::Nas(command) => client::run(ClientKind::Nas, command, out)?,
        Command::Gateway(command) => client::run(ClientKind::Gateway, command, out)?,
        Command::Credential(credential::Command::Issue(options)) => credential::issue(options, out)?,
        Command::Credential(credential::Command::Revoke(options)) => credential::revoke(options, out)?,
        Command::Credential(credential::Command::List(options)) => credential::list(options, out)?,
        Command::Credential(credential::Command::Show(options)) => credential::show(options, out)?,
        Command::Keys(command) => keys::run(command, out)?,
        Command::Policy(command) => policy::run(command, out)?,
        Command::Subscriber(command) => subscriber::run(command, out)?,
        Command::Sms(command) => sms::run(command, out)?,
        Command::User(command) => user::run(command, out)?,
        Command::Accounting(command) => accounting::run(command, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>().map(io::Error::kind);
    let json = error.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
    io.or(json) == Some(io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
