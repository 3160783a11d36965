//! `portal-aaa nas` and `portal-aaa gateway`, each with `add`, `remove` and `list`: who may send RADIUS, and with
//! which secret.

use std::io::{self, BufRead as _, Read as _, Write};

use anyhow::{Result, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{Config, installation::Installation};
use crate::{
    gateway::Prefix,
    store::{Change, Client, ClientKind, MessageAuthenticator, Store as _},
};

/// RFC 2865 §3 prefers at least 16 octets; shorter ones can be guessed from one packet overheard.
const GOOD_SECRET: usize = 16;
/// What a log line or a screen of an access point can bear.
const MAX_NAME: usize = 64;
/// MD5 hashes it whole; more is a slip.
const MAX_SECRET: usize = 256;
/// What is read from standard input at most: longer than any secret or password.
const MAX_LINE: u64 = 4096;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add one, or change the one of this name.
    Add(Options),
    /// Remove one: what it sends is dropped from then on.
    Remove(Remove),
    /// Show all, without their secrets.
    List(List),
}

#[derive(Args)]
pub(super) struct Options {
    /// What logs and accounting call it: letters, digits, dot, hyphen, underscore.
    #[arg(value_parser = name)]
    name: String,
    /// Addresses it sends from, such as 192.0.2.0/24 or 2001:db8::1.
    #[arg(long, value_name = "ADDRESS/BITS")]
    network: Prefix,
    /// Shared secret, 16 characters or more; `-` reads it from standard input, where `ps` does not show it.
    #[arg(long, value_name = "SECRET")]
    secret: String,
    /// Requests without Message-Authenticator (CVE-2024-3596): refuse them, serve them and say so in the log
    /// (audit), or serve them (off).
    #[arg(long, value_enum, default_value_t = Required::Require)]
    message_authenticator: Required,
    /// UDP port on which it takes Disconnect-Requests (RFC 5176, usually 3799), so that sessions end when a
    /// credential is revoked or expires; without it they last until their Session-Timeout.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    coa_port: Option<u16>,
    /// Most requests a second; more are dropped and counted. Without it there is no limit.
    #[arg(long, value_name = "REQUESTS", value_parser = clap::value_parser!(u32).range(1..))]
    max_rate: Option<u32>,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Required {
    Require,
    Audit,
    Off,
}

/// The secret is not for `Debug`.
impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("name", &self.name)
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Name that it was added with.
    name: String,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Print one JSON array.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

pub(super) fn run(kind: ClientKind, command: &Command, out: &mut dyn Write) -> Result<()> {
    match command {
        Command::Add(options) => add(kind, options, out),
        Command::Remove(options) => remove(kind, options, out),
        Command::List(options) => list(kind, options, out),
    }
}

fn remove(kind: ClientKind, options: &Remove, out: &mut dyn Write) -> Result<()> {
    let installation = Installation::open(&options.config.path)?;
    match installation.store.remove_client(kind, &options.name)? {
        Change::Missing => writeln!(out, "unchanged: there is no {} {}", what(kind), options.name)?,
        _ => writeln!(out, "removed: a running `serve` drops its packets within a second")?,
    }
    Ok(())
}

/// What `--json` prints for each client.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    network: String,
    message_authenticator: &'static str,
    coa_port: Option<u16>,
    max_rate: Option<u32>,
}

fn list(kind: ClientKind, options: &List, out: &mut dyn Write) -> Result<()> {
    let clients = Installation::open(&options.config.path)?.store.clients()?;
    let listed = clients.iter().filter(|client| client.kind == kind).map(|client| Listed {
        name: &client.name,
        network: format!("{}/{}", client.network, client.prefix),
        message_authenticator: match client.message_authenticator {
            MessageAuthenticator::Require => "require",
            MessageAuthenticator::Audit => "audit",
            MessageAuthenticator::Off => "off",
        },
        coa_port: client.coa_port,
        max_rate: client.max_rate,
    });
    let listed: Vec<_> = listed.collect();
    if options.json {
        serde_json::to_writer(&mut *out, &listed)?;
        writeln!(out)?;
        return Ok(());
    }
    for client in listed {
        write!(
            out,
            "{}\t{}\tmessage-authenticator {}",
            client.name, client.network, client.message_authenticator
        )?;
        if let Some(port) = client.coa_port {
            write!(out, "; coa-port {port}")?;
        }
        if let Some(rate) = client.max_rate {
            write!(out, "; max-rate {rate}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn what(kind: ClientKind) -> &'static str {
    match kind {
        ClientKind::Nas => "access point",
        ClientKind::Gateway => "packet gateway",
    }
}

fn add(kind: ClientKind, options: &Options, out: &mut dyn Write) -> Result<()> {
    let secret = secret(&options.secret)?;
    let installation = Installation::open(&options.config.path)?;
    let client = Client {
        name: options.name.clone(),
        kind,
        network: options.network.network(),
        prefix: options.network.bits(),
        secret: installation.keys.seal_secret(kind, &options.name, secret.as_bytes())?,
        message_authenticator: match options.message_authenticator {
            Required::Require => MessageAuthenticator::Require,
            Required::Audit => MessageAuthenticator::Audit,
            Required::Off => MessageAuthenticator::Off,
        },
        coa_port: options.coa_port,
        max_rate: options.max_rate,
    };
    must_be_alone(&installation, &client)?;
    let done = match installation.store.put_client(&client)? {
        Change::Created => "added",
        Change::Updated => "changed",
        Change::Identity | Change::Missing => "unchanged",
    };
    writeln!(out, "{done}: {} {} at {}", what(kind), client.name, options.network)?;
    if secret.len() < GOOD_SECRET {
        writeln!(
            io::stderr(),
            "portal-aaa: the secret is short; {GOOD_SECRET} characters or more are hard to guess"
        )?;
    }
    Ok(())
}

/// Of two clients of a kind on the same network only one could ever be believed.
fn must_be_alone(installation: &Installation, new: &Client) -> Result<()> {
    for client in installation.store.clients()? {
        let same = (client.kind, client.network, client.prefix) == (new.kind, new.network, new.prefix);
        if same && client.name != new.name {
            bail!(
                "{}/{} belongs to {} already: change that one by its name, or give a smaller network",
                new.network,
                new.prefix,
                client.name
            );
        }
    }
    Ok(())
}

fn secret(given: &str) -> Result<Zeroizing<String>> {
    let secret = read_secret(given)?;
    ensure!(!secret.is_empty(), "an empty secret protects nothing");
    ensure!(secret.len() <= MAX_SECRET, "the secret is longer than {MAX_SECRET} octets");
    Ok(secret)
}

/// As given, or from standard input for `-`.
pub(super) fn read_secret(given: &str) -> Result<Zeroizing<String>> {
    let mut secret = Zeroizing::new(given.to_owned());
    if given == "-" {
        secret.clear();
        io::stdin().lock().take(MAX_LINE).read_line(&mut secret)?;
        let length = secret.trim_end_matches(['\r', '\n']).len();
        secret.truncate(length);
    }
    Ok(secret)
}

fn name(text: &str) -> Result<String, String> {
    let fit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(fit) {
        Ok(text.to_owned())
    } else {
        Err(format!("a name has 1 to {MAX_NAME} letters, digits, dots, hyphens and underscores"))
    }
}
