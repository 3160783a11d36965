//! `portal-aaa credential issue` and `revoke`: what the portal does, by hand, and the way back.

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
    credential::{IssueRequest, Lifetime, system_random},
    server::clock::Clock,
    store::{Change, Store as _},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a credential for a device, as the portal would.
    Issue(Issue),
    /// Take one back: no login from now on.
    Revoke(Revoke),
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
pub(super) struct Revoke {
    /// The whole username, with its realm.
    username: String,
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
    let installation = Installation::open(&options.config.path)?;
    match installation.store.revoke_credential(&options.username, Clock::start().now().unix)? {
        Change::Missing => bail!("no credential of this username was issued here"),
        Change::Identity => writeln!(out, "unchanged: it was revoked before")?,
        Change::Created | Change::Updated => {
            writeln!(out, "revoked: a running `serve` refuses its logins within a second")?;
        }
    }
    Ok(())
}

/// RFC 3339; none for the device's lifetime and for one login.
pub(super) fn expires(credential: &Credential) -> Result<Option<String>> {
    credential.expires_at.map(text::time).transpose()
}
