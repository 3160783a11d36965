//! `portal-aaa user add`, `remove`, `disable`, `enable` and `list`: accounts made by hand, for monitoring probes and
//! legacy devices.

use std::io::{self, Write};

use anyhow::{Result, bail, ensure};
use clap::{Args, Subcommand};
use provisioning::{identity::Mac, secret::Password};
use serde::Serialize;

use super::{Config, client, installation::Installation, text};
use crate::{
    aaa::method::{Method, Methods},
    credential::account::{MAX_PAP, NewAccount},
    server::clock::Clock,
    store::{AccountRecord, Change, Store as _},
};

/// IEEE 802.11 §9.4.2.2.
const MAX_SSID: usize = 32;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add an account, or change the one of this name.
    Add(Add),
    /// Remove it: its sessions end and it logs on no more.
    Remove(Name),
    /// Refuse its logins and end its sessions, but keep it.
    Disable(Name),
    /// Take that back.
    Enable(Name),
    /// Show all accounts, without their passwords.
    List(List),
}

#[derive(Args)]
pub(super) struct Add {
    /// What is typed as username, exactly: any text of 1 to 253 octets, also with spaces or as DOMAIN\name.
    name: String,
    /// 1 to 256 characters; `-` reads it from standard input, where `ps` does not show it.
    #[arg(long)]
    password: String,
    /// The one station it is good for, in any notation [default: any].
    #[arg(long)]
    mac: Option<Mac>,
    /// Methods it may be used with, separated by commas, such as pap,peap-mschapv2.
    #[arg(long, value_name = "LIST", default_value = "all")]
    methods: Methods,
    /// Network name it is good for; can be given several times [default: any].
    #[arg(long = "ssid", value_name = "SSID", value_parser = ssid)]
    ssids: Vec<String>,
    /// Access point it is good at, by its name; can be given several times [default: any].
    #[arg(long, value_name = "NAS")]
    nas: Vec<String>,
    /// VLAN of its sessions [default: as configured].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=4094))]
    vlan: Option<u16>,
    /// Sessions at once, 0 for any number [default: as configured].
    #[arg(long, value_name = "NUMBER")]
    max_sessions: Option<u32>,
    #[command(flatten)]
    config: Config,
}

/// The password is not for `Debug`.
impl std::fmt::Debug for Add {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Add").field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Debug, Args)]
pub(super) struct Name {
    /// Name of the account.
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

pub(super) fn run(command: &Command, out: &mut dyn Write) -> Result<()> {
    match command {
        Command::Add(options) => add(options, out),
        Command::Remove(name) => remove(name, out),
        Command::Disable(name) => set_disabled(name, true, out),
        Command::Enable(name) => set_disabled(name, false, out),
        Command::List(options) => list(options, out),
    }
}

fn add(options: &Add, out: &mut dyn Write) -> Result<()> {
    let password = Password::new(client::read_secret(&options.password)?.to_string());
    let Installation { settings, keys, store } = Installation::open(&options.config.path)?;
    for nas in &options.nas {
        ensure!(
            store.clients()?.iter().any(|client| client.name == *nas),
            "there is no access point {nas}: add it first with `nas add`"
        );
    }
    let octets = password.expose().len();
    let account = NewAccount {
        name: options.name.clone(),
        password,
        mac: options.mac,
        methods: options.methods,
        ssids: options.ssids.clone(),
        nas: options.nas.clone(),
        vlan: options.vlan,
        max_sessions: options.max_sessions,
    };
    let record = account.record(&keys, &settings.realm, Clock::start().now().unix)?;
    let done = match store.put_account(&record)? {
        Change::Created => "added",
        Change::Updated => "changed",
        Change::Identity | Change::Missing => "unchanged",
    };
    writeln!(out, "{done}: {}", options.name)?;
    if octets > MAX_PAP && options.methods.contains(Method::Pap) {
        writeln!(
            io::stderr(),
            "portal-aaa: the password has {octets} octets; PAP bears {MAX_PAP}, so it logs on by other methods only"
        )?;
    }
    Ok(())
}

fn remove(options: &Name, out: &mut dyn Write) -> Result<()> {
    let installation = Installation::open(&options.config.path)?;
    match installation.store.remove_account(&options.name)? {
        Change::Missing => writeln!(out, "unchanged: there is no account {}", options.name)?,
        _ => writeln!(out, "removed: a running `serve` refuses its logins within a second")?,
    }
    Ok(())
}

fn set_disabled(options: &Name, disabled: bool, out: &mut dyn Write) -> Result<()> {
    let installation = Installation::open(&options.config.path)?;
    let Some(account) = installation.store.account(&options.name)? else {
        bail!("there is no account {}", options.name);
    };
    let changed = AccountRecord { disabled, changed_at: Clock::start().now().unix, ..account };
    let done = match installation.store.put_account(&changed)? {
        Change::Identity => "unchanged",
        _ if disabled => "disabled",
        _ => "enabled",
    };
    writeln!(out, "{done}: {}", options.name)?;
    Ok(())
}

/// What `--json` prints for each account.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    mac: Option<String>,
    methods: Vec<&'a str>,
    ssids: &'a [String],
    nas: &'a [String],
    vlan: Option<u16>,
    max_sessions: Option<u32>,
    disabled: bool,
    created: String,
    changed: String,
}

fn list(options: &List, out: &mut dyn Write) -> Result<()> {
    let accounts = Installation::open(&options.config.path)?.store.accounts()?;
    let listed = accounts.iter().map(|account| {
        Ok(Listed {
            name: &account.name,
            mac: account.mac.map(|mac| mac.to_string()),
            methods: account.methods.split(',').collect(),
            ssids: &account.ssids,
            nas: &account.nas,
            vlan: account.vlan,
            max_sessions: account.max_sessions,
            disabled: account.disabled,
            created: text::time(account.created_at)?,
            changed: text::time(account.changed_at)?,
        })
    });
    let listed = listed.collect::<Result<Vec<_>>>()?;
    if options.json {
        serde_json::to_writer(&mut *out, &listed)?;
        writeln!(out)?;
        return Ok(());
    }
    for account in &listed {
        let limits = [
            account.mac.as_ref().map(|mac| format!("mac {mac}")),
            Some(format!("methods {}", account.methods.join(","))),
            (!account.ssids.is_empty()).then(|| format!("ssid {}", account.ssids.join(", "))),
            (!account.nas.is_empty()).then(|| format!("nas {}", account.nas.join(", "))),
            account.vlan.map(|vlan| format!("vlan {vlan}")),
            account.max_sessions.map(|most| format!("max-sessions {most}")),
            account.disabled.then(|| "DISABLED".to_owned()),
        ];
        let limits: Vec<_> = limits.into_iter().flatten().collect();
        writeln!(out, "{}\t{}", account.name, limits.join("; "))?;
    }
    Ok(())
}

fn ssid(text: &str) -> Result<String, String> {
    if (1..=MAX_SSID).contains(&text.len()) && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(format!("an SSID has 1 to {MAX_SSID} octets and no control characters"))
    }
}
