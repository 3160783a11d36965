//! `portal-aaa credential issue`, `revoke`, `list` and `show`: what the portal does, by hand, the way back, and what has
//! become of it.

use std::{fs, io::Write, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use provisioning::{
    identity::{Imei, Imsi, Mac},
    message::Credential,
};
use serde::Serialize;

use super::{Config, bulk, installation::Installation, text};
use crate::{
    credential::{IssueRequest, Keys, Lifetime, Purpose, system_random},
    server::clock::Clock,
    store::{
        Change, CredentialRecord, Sealed, Store as _,
        rotation::{Which, Why},
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a credential for a device, as the portal would.
    Issue(Issue),
    /// Take one back, or all of a device, subscriber or group: no login from now on, and their sessions end.
    Revoke(Revoke),
    /// Show credentials, newest first; identifiers masked.
    List(List),
    /// Show all that is known of one.
    Show(Show),
}

#[derive(Debug, Args)]
pub(super) struct Issue {
    /// IMSI of the SIM.
    #[arg(long, required_unless_present_any = ["imei", "from"])]
    imsi: Option<Imsi>,
    /// IMEI of the equipment.
    #[arg(long)]
    imei: Option<Imei>,
    /// MAC address of the WLAN card, in any notation.
    #[arg(long, required_unless_present = "from")]
    mac: Option<Mac>,
    /// List of devices, a line each with the columns imsi,imei,mac (CSV; `-` for standard input): issues for all of
    /// them and prints one JSON object a line.
    #[arg(long, value_name = "FILE", requires = "json", conflicts_with_all = ["imsi", "imei", "mac"])]
    from: Option<PathBuf>,
    /// device, one-time or a number of seconds [default: as configured].
    #[arg(long)]
    lifetime: Option<Lifetime>,
    /// Print one JSON object (for each credential).
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Args)]
#[group(id = "whose", required = true, multiple = false, args = ["username", "mac", "imsi", "imei", "group"])]
pub(super) struct Revoke {
    /// The whole username, with its realm.
    username: Option<String>,
    #[command(flatten)]
    of: Of,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

/// Several at once.
#[derive(Debug, Args)]
pub(super) struct Of {
    /// All that this WLAN card was given, by its own MAC address.
    #[arg(long)]
    mac: Option<Mac>,
    /// All of the subscriber with this IMSI.
    #[arg(long)]
    imsi: Option<Imsi>,
    /// All that were given to this equipment without a SIM's identity.
    #[arg(long)]
    imei: Option<Imei>,
    /// All of the subscribers in this group.
    #[arg(long)]
    group: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    of: Of,
    /// At most so many.
    #[arg(long, default_value_t = 1000)]
    limit: u32,
    /// Print one JSON array.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// The whole username, with its realm.
    username: String,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

/// What `--json` prints; other programs rely on these five keys.
#[derive(Serialize)]
struct Issued<'a> {
    username: &'a str,
    password: &'a str,
    ca_path: &'a str,
    server_name: &'a str,
    /// RFC 3339; null for the device's lifetime and for one login.
    expires: Option<String>,
}

pub(super) fn issue(options: &Issue, out: &mut dyn Write) -> Result<()> {
    let installation = Installation::open(&options.config.path)?;
    let ca = fs::canonicalize(&installation.settings.tls.ca)?;
    let ca_path = ca.to_str().context("the path of the CA certificate is not UTF-8")?;
    if let Some(from) = &options.from {
        return bulk::issue(&installation, from, options.lifetime, ca_path, out);
    }
    let now = Clock::start().now().unix;
    let request = IssueRequest {
        imsi: options.imsi.clone(),
        imei: options.imei.clone(),
        subscriber: None,
        mac: options.mac.context("a credential needs a MAC address")?,
        lifetime: options.lifetime,
        source: None,
        runs_policy: None,
    };
    let credential = installation.authority(now)?.issue(now, &request, &mut system_random)?;
    let issued = Issued {
        username: &credential.username,
        // Its purpose: whoever ran the command hands it to the device.
        password: credential.password.expose(),
        ca_path,
        server_name: &credential.eap.server_name,
        expires: expires(&credential)?,
    };
    if options.json {
        serde_json::to_writer(&mut *out, &issued)?;
        writeln!(out)?;
    } else {
        let end = match &issued.expires {
            Some(time) => time,
            None if credential.one_time => "after one login",
            None => "never, until revoked",
        };
        writeln!(out, "username     {}", issued.username)?;
        writeln!(out, "password     {}", issued.password)?;
        writeln!(out, "trusted CA   {}", issued.ca_path)?;
        writeln!(out, "server name  {}", issued.server_name)?;
        writeln!(out, "ends         {end}")?;
    }
    Ok(())
}

pub(super) fn revoke(options: &Revoke, out: &mut dyn Write) -> Result<()> {
    let Installation { keys, store, .. } = Installation::open(&options.config.path)?;
    let now = Clock::start().now().unix;
    let Some(username) = &options.username else {
        let revoked = store.revoke_credentials(&options.of.which(&keys), now)?;
        if options.json {
            writeln!(out, "{}", serde_json::json!({ "revoked": revoked }))?;
        } else {
            writeln!(out, "revoked: {revoked}; a running `serve` refuses their logins within a second")?;
        }
        return Ok(());
    };
    let change = store.revoke_credential(username, now)?;
    if change == Change::Missing {
        bail!("no credential of this username was issued here");
    }
    let revoked = u8::from(change != Change::Identity);
    if options.json {
        writeln!(out, "{}", serde_json::json!({ "revoked": revoked }))?;
    } else if revoked == 0 {
        writeln!(out, "unchanged: it was revoked before")?;
    } else {
        writeln!(out, "revoked: a running `serve` refuses its logins within a second")?;
    }
    Ok(())
}

impl Of {
    fn which(&self, keys: &Keys) -> Which {
        match self {
            Self { mac: Some(mac), .. } => Which::Device(*mac),
            Self { imsi: Some(imsi), .. } => Which::Subscriber(keys.handle_imsi(imsi)),
            Self { imei: Some(imei), .. } => Which::Subscriber(keys.handle_imei(imei)),
            Self { group: Some(group), .. } => Which::Group(group.clone()),
            Self { mac: None, imsi: None, imei: None, group: None } => Which::All,
        }
    }
}

/// What is shown of a credential. Times are RFC 3339; identifiers are masked.
#[derive(Serialize)]
struct Shown {
    username: String,
    /// issued, installed, working, superseded, used-up, expired or revoked.
    state: &'static str,
    imsi: Option<String>,
    imei: Option<String>,
    device: Option<String>,
    mac: Option<String>,
    one_time: bool,
    issued: String,
    expires: Option<String>,
    superseded: Option<String>,
    revoked: Option<String>,
    revoked_why: Option<&'static str>,
    installed: Option<String>,
    worked: Option<String>,
    failed: Option<String>,
    failure: Option<String>,
    policy_version: u64,
    runs_policy: Option<u64>,
}

impl Shown {
    fn new(keys: &Keys, record: &CredentialRecord, now: u64) -> Result<Self> {
        let owner = record.username.as_str();
        let opened = |purpose, sealed: &Sealed| -> Result<String> {
            let clear = keys.open(purpose, owner, sealed)?;
            Ok(std::str::from_utf8(&clear).context("a sealed identifier is no text")?.to_owned())
        };
        let imsi = record
            .imsi
            .as_ref()
            .map(|sealed| opened(Purpose::Imsi, sealed)?.parse::<Imsi>().map_err(anyhow::Error::from));
        let imei = record
            .imei
            .as_ref()
            .map(|sealed| opened(Purpose::Imei, sealed)?.parse::<Imei>().map_err(anyhow::Error::from));
        let at = |time: Option<u64>| time.map(text::time).transpose();
        let progress = &record.progress;
        let worked = progress.worked_at.is_some();
        let state = match progress.revoked_why {
            Some(Why::Operator) => "revoked",
            _ if record.expires_at.is_some_and(|end| now >= end) => "expired",
            Some(Why::Superseded) => "superseded",
            None if worked && record.one_time => "used-up",
            None if worked => "working",
            None if progress.installed_at.is_some() => "installed",
            None => "issued",
        };
        Ok(Self {
            username: record.username.clone(),
            state,
            imsi: imsi.transpose()?.map(|imsi| imsi.to_string()),
            imei: imei.transpose()?.map(|imei| imei.to_string()),
            device: record.device.map(|mac| mac.to_string()),
            mac: record.mac.map(|mac| mac.to_string()),
            one_time: record.one_time,
            issued: text::time(record.issued_at)?,
            expires: at(record.expires_at)?,
            superseded: at(progress.superseded_at)?,
            revoked: at(record.revoked_at)?,
            revoked_why: progress.revoked_why.map(Why::word),
            installed: at(progress.installed_at)?,
            worked: at(progress.worked_at)?,
            failed: at(progress.failed_at)?,
            failure: progress.failure.clone(),
            policy_version: record.policy_version,
            runs_policy: progress.runs_policy,
        })
    }
}

pub(super) fn list(options: &List, out: &mut dyn Write) -> Result<()> {
    let Installation { keys, store, .. } = Installation::open(&options.config.path)?;
    let now = Clock::start().now().unix;
    let records = store.credentials(&options.of.which(&keys), options.limit)?;
    let shown = records.iter().map(|record| Shown::new(&keys, record, now)).collect::<Result<Vec<_>>>()?;
    if options.json {
        serde_json::to_writer(&mut *out, &shown)?;
        writeln!(out)?;
        return Ok(());
    }
    for one in &shown {
        let dash = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        writeln!(
            out,
            "{}\t{}\t{}\t{}\t{}\t{}",
            one.username,
            one.state,
            dash(&one.imsi),
            dash(&one.device),
            one.issued,
            dash(&one.failure)
        )?;
    }
    Ok(())
}

pub(super) fn show(options: &Show, out: &mut dyn Write) -> Result<()> {
    let Installation { keys, store, .. } = Installation::open(&options.config.path)?;
    let Some(record) = store.credential(&options.username)? else {
        bail!("no credential of this username was issued here");
    };
    let shown = serde_json::to_value(Shown::new(&keys, &record, Clock::start().now().unix)?)?;
    if options.json {
        writeln!(out, "{shown}")?;
        return Ok(());
    }
    for (name, value) in shown.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        writeln!(out, "{name:15} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))?;
    }
    Ok(())
}

/// RFC 3339; none for the device's lifetime and for one login.
pub(super) fn expires(credential: &Credential) -> Result<Option<String>> {
    credential.expires_at.map(text::time).transpose()
}
