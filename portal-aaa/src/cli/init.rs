//! `portal-aaa init`: an installation from nothing, and what to do with it.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::Write,
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;

use super::tls;
use crate::{
    config::{ConfigError, Seed, Settings, template, validate_name},
    credential,
    server::clock::Clock,
    store::sqlite::SqliteStore,
};

const FILE: &str = "portal-aaa.toml";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Folder to make it in; nothing of an installation may be there yet.
    #[arg(long)]
    dir: PathBuf,
    /// Domain name after the @ of every username.
    #[arg(long, default_value = "operator.example", value_parser = domain)]
    realm: String,
    /// Address that everything listens on.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    listen: IpAddr,
    /// UDP port of logins.
    #[arg(long, value_name = "PORT", default_value_t = 1812)]
    radius_port: u16,
    /// UDP port of accounting.
    #[arg(long, value_name = "PORT", default_value_t = 1813)]
    accounting_port: u16,
    /// TCP port of the portal.
    #[arg(long, value_name = "PORT", default_value_t = 8443)]
    portal_port: u16,
    /// TCP port of the administrator pages; without effect, this version has none.
    #[arg(long, value_name = "PORT")]
    admin_port: Option<u16>,
    /// Name that devices reach the portal by, for its certificate [default: portal.REALM].
    #[arg(long, value_name = "NAME", value_parser = domain)]
    portal_name: Option<String>,
    /// Name in the AAA's certificate, that stations insist on [default: aaa.REALM].
    #[arg(long, value_name = "NAME", value_parser = domain)]
    aaa_name: Option<String>,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<()> {
    let realm = options.realm.clone();
    let seed = Seed {
        portal_name: options.portal_name.clone().unwrap_or_else(|| format!("portal.{realm}")),
        aaa_name: options.aaa_name.clone().unwrap_or_else(|| format!("aaa.{realm}")),
        realm,
        listen: options.listen,
        portal_port: options.portal_port,
        radius_port: options.radius_port,
        accounting_port: options.accounting_port,
    };
    let text = template(&seed);
    // What `serve` would refuse is refused before anything is made.
    let settings = Settings::parse(&text, &options.dir).map_err(|problems| {
        anyhow!(ConfigError::Invalid { path: options.dir.join(FILE), text: text.clone(), problems })
    })?;

    make_folder(&options.dir)?;
    must_be_new(&options.dir)?;
    let dir = fs::canonicalize(&options.dir)?;
    make_folder(&dir.join("tls"))?;
    let now = Clock::start().now().unix;
    tls::create(&dir.join("tls"), now, &seed.realm, &seed.portal_name, &seed.aaa_name)
        .context("certificates cannot be made")?;
    let keys = credential::create(&settings.keys(), &mut credential::system_random);
    let keys = keys.context("keys cannot be made")?;
    SqliteStore::create(&settings.database())
        .with_context(|| format!("the database {} cannot be made", settings.database().display()))?;
    // The configuration last: where it is, the rest is whole.
    write_config(&dir.join(FILE), &text)?;
    let policy_key = keys.policy_keys().first().map(ToString::to_string).unwrap_or_default();
    report(options, &seed, &dir, &policy_key, out)
}

fn domain(text: &str) -> Result<String, &'static str> {
    let text = text.to_ascii_lowercase();
    validate_name(&text).map(|()| text)
}

fn make_folder(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("the folder {} cannot be made", path.display()))
}

fn must_be_new(dir: &Path) -> Result<()> {
    for name in [FILE, "keys.toml", "portal-aaa.db", "tls"] {
        if dir.join(name).symlink_metadata().is_ok() {
            bail!(
                "{} is there already and is left as it is: choose another --dir, or move the old installation away",
                dir.join(name).display()
            );
        }
    }
    Ok(())
}

fn write_config(path: &Path, text: &str) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o640)
        .open(path)
        .with_context(|| path.display().to_string())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(())
}

fn report(options: &Options, seed: &Seed, dir: &Path, policy_key: &str, out: &mut dyn Write) -> Result<()> {
    let config = dir.join(FILE);
    let (dir, config) = (dir.display(), config.display());
    let host = if seed.listen.is_unspecified() {
        "this machine's address".to_owned()
    } else {
        seed.listen.to_string()
    };
    let Seed { portal_name, aaa_name, portal_port, radius_port, accounting_port, .. } = seed;
    write!(
        out,
        "\
Made in {dir}: configuration, keys, private CA, two certificates, database.

Type into the access point (WPA2 or WPA3 Enterprise, 802.1X):
  RADIUS authentication   {host}, UDP port {radius_port}
  RADIUS accounting       {host}, UDP port {accounting_port}
  shared secret           the one given to `nas add`
Devices get these with their credential:
  server name             {aaa_name}
  trusted CA              {dir}/tls/ca.pem
Devices reach the portal at
  https://{portal_name}:{portal_port}/v1/credential   (trusting {dir}/tls/ca.pem)
  policy key              {policy_key}   (optional in their agent.toml)

Next:
  set the SSID and the probe URL in [policy] of {config}
  portal-aaa nas add NAME --network ADDRESS/BITS --secret SECRET --config {config}
  portal-aaa gateway add NAME --network ADDRESS/BITS --secret SECRET --config {config}
  portal-aaa check --config {config}
  portal-aaa serve --config {config}
Keep a copy of {dir}/keys.toml and {dir}/tls/ca.key in a safe place.
"
    )?;
    if options.admin_port.is_some() {
        writeln!(out, "--admin-port has no effect: this version has no administrator pages.")?;
    }
    Ok(())
}
