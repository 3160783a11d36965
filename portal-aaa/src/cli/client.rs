//! `portal-aaa nas add` and `portal-aaa gateway add`: who may send RADIUS, and with which secret.

use std::io::{self, BufRead as _, Write};

use anyhow::{Result, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
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

#[derive(Debug, Subcommand)]
pub(super) enum Nas {
    /// Add an access point or controller, or change the one of this name.
    Add(Options),
}

#[derive(Debug, Subcommand)]
pub(super) enum Gateway {
    /// Add a packet gateway, or change the one of this name.
    Add(Options),
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

pub(super) fn add(kind: ClientKind, options: &Options, out: &mut dyn Write) -> Result<()> {
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
    let what = match kind {
        ClientKind::Nas => "access point",
        ClientKind::Gateway => "packet gateway",
    };
    let done = match installation.store.put_client(&client)? {
        Change::Created => "added",
        Change::Updated => "changed",
        Change::Identity | Change::Missing => "unchanged",
    };
    writeln!(out, "{done}: {what} {} at {}", client.name, options.network)?;
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
    let mut secret = Zeroizing::new(given.to_owned());
    if given == "-" {
        secret.clear();
        io::stdin().lock().read_line(&mut secret)?;
        let length = secret.trim_end_matches(['\r', '\n']).len();
        secret.truncate(length);
    }
    ensure!(!secret.is_empty(), "an empty secret protects nothing");
    ensure!(secret.len() <= MAX_SECRET, "the secret is longer than {MAX_SECRET} octets");
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
