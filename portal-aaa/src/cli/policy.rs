//! `portal-aaa policy list`, `show`, `set`, `unset`, `delete`, `effective`, `export` and `import`: what devices are told,
//! for all, for a group, for one WLAN card.
//!
//! Settings are called as in `[policy]` and `[credential]` of the configuration. All of a command is taken in, or nothing;
//! what cannot work is refused with the field and the reason.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use provisioning::identity::{Imsi, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Config, installation::Installation, text};
use crate::{
    credential::Authority,
    policy::{
        Layer, Unfit,
        document::{self, Document, MAX_DOCUMENT},
    },
    server::clock::Clock,
    store::{
        Change, Subscribers as _,
        policy::{PolicyShelf as _, Scope},
    },
};

/// Octets of a file with policies.
const MAX_FILE: u64 = 64 * 1024 * 1024;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show which policies there are.
    List(Whole),
    /// Show what one of them says.
    Show(Which),
    /// Say something: the settings given, beside what is said already.
    Set(Set),
    /// Say nothing of these settings any more: the next wider scope counts again.
    Unset(Unset),
    /// Say nothing at all any more.
    Delete(Which),
    /// Show what a device would get, and why.
    Effective(Effective),
    /// Write all policies out.
    Export(Export),
    /// Take policies in; those of scopes that are not in the file stay, unless --prune.
    Import(Import),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Target {
    /// All devices.
    #[arg(long)]
    default: bool,
    /// Devices of the subscribers in this group.
    #[arg(long, value_name = "NAME", value_parser = super::subscriber::group)]
    group: Option<String>,
    /// The device with this WLAN card, in any notation.
    #[arg(long, value_name = "MAC")]
    mac: Option<Mac>,
}

#[derive(Debug, Args)]
pub(super) struct Whole {
    /// Print one JSON array.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Args)]
pub(super) struct Which {
    #[command(flatten)]
    target: Target,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Args)]
pub(super) struct Set {
    #[command(flatten)]
    target: Target,
    /// SETTING=VALUE; a value as in the configuration file, words without quotes too.
    #[arg(value_name = "SETTING=VALUE", required_unless_present = "from")]
    settings: Vec<String>,
    /// Settings from a file, TOML or JSON; `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "settings")]
    from: Option<PathBuf>,
    /// Say only this: what was said before is forgotten.
    #[arg(long)]
    replace: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Args)]
pub(super) struct Unset {
    #[command(flatten)]
    target: Target,
    /// Names of settings.
    #[arg(value_name = "SETTING", required = true)]
    settings: Vec<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Args)]
pub(super) struct Effective {
    /// IMSI of the SIM: its subscriber's group counts.
    #[arg(long, conflicts_with = "group")]
    imsi: Option<Imsi>,
    /// As if its subscriber were in this group.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// MAC address of the WLAN card, in any notation.
    #[arg(long)]
    mac: Option<Mac>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Toml,
    Json,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    #[arg(long, value_enum, default_value_t = Format::Toml)]
    format: Format,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// What `export` wrote, TOML or JSON; `-` for standard input.
    file: PathBuf,
    /// Forget the policies of scopes that are not in the file.
    #[arg(long)]
    prune: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

/// A file with all policies.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<Document>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    group: BTreeMap<String, Document>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    device: BTreeMap<String, Document>,
}

pub(super) fn run(command: &Command, out: &mut dyn Write) -> Result<()> {
    match command {
        Command::List(options) => list(options, out),
        Command::Show(which) => show(which, out),
        Command::Set(options) => set(options, out),
        Command::Unset(options) => unset(options, out),
        Command::Delete(which) => delete(which, out),
        Command::Effective(options) => effective(options, out),
        Command::Export(options) => export(options, out),
        Command::Import(options) => import(options, out),
    }
}

fn list(options: &Whole, out: &mut dyn Write) -> Result<()> {
    let Installation { store, .. } = Installation::open(&options.config.path)?;
    let list = store.policies()?;
    let mut listed = Vec::new();
    for record in &list.records {
        let said = document::parse(&record.document).context("the database holds an unreadable policy")?;
        listed.push((record, said.keys().cloned().collect::<Vec<_>>(), text::time(record.changed_at)?));
    }
    if options.json {
        let objects = listed.iter().map(|(record, settings, changed)| {
            serde_json::json!({
                "scope": record.scope.to_string(), "version": record.version, "changed": changed,
                "settings": settings,
            })
        });
        return print_json(&objects.collect::<Vec<_>>(), out);
    }
    for (record, settings, changed) in &listed {
        writeln!(out, "{}\t{}\t{changed}\t{}", record.scope, record.version, settings.join(" "))?;
    }
    Ok(())
}

fn show(which: &Which, out: &mut dyn Write) -> Result<()> {
    let Installation { store, .. } = Installation::open(&which.config.path)?;
    let scope = which.target.scope();
    let Some(said) = said(&store.policies()?.records, &scope)? else {
        bail!("nothing is said for {scope}");
    };
    if which.json { print_json(&said, out) } else { Ok(write!(out, "{}", toml::to_string(&said)?)?) }
}

fn set(options: &Set, out: &mut dyn Write) -> Result<()> {
    let installation = Installation::open(&options.config.path)?;
    let scope = options.target.scope();
    let new: Document = match &options.from {
        Some(file) => read_file(file)?,
        None => options.settings.iter().map(|setting| parse_setting(setting)).collect::<Result<_>>()?,
    };
    let mut all = match said(&installation.store.policies()?.records, &scope)? {
        Some(old) if !options.replace => old,
        _ => Document::new(),
    };
    all.extend(new);
    put(&installation, &[(scope, Some(all))], options.json, out)
}

fn unset(options: &Unset, out: &mut dyn Write) -> Result<()> {
    let installation = Installation::open(&options.config.path)?;
    let scope = options.target.scope();
    let mut all = said(&installation.store.policies()?.records, &scope)?.unwrap_or_default();
    for name in &options.settings {
        ensure!(all.remove(name).is_some(), "nothing is said of {name} for {scope}");
    }
    let left = Some(all).filter(|all| !all.is_empty());
    put(&installation, &[(scope, left)], options.json, out)
}

fn delete(which: &Which, out: &mut dyn Write) -> Result<()> {
    let installation = Installation::open(&which.config.path)?;
    put(&installation, &[(which.target.scope(), None)], which.json, out)
}

fn effective(options: &Effective, out: &mut dyn Write) -> Result<()> {
    let installation = Installation::open(&options.config.path)?;
    let authority = installation.authority(now())?;
    let group = match &options.imsi {
        Some(imsi) => {
            installation.store.subscriber(installation.keys.handle_imsi(imsi))?.map(|found| found.group)
        }
        None => options.group.clone(),
    };
    let group = group.filter(|group| !group.is_empty());
    let effective = authority.shelf().effective(group.as_deref(), options.mac);
    let all = document::Whole { policy: effective.policy.clone(), credential: effective.credential };
    let settings = all.every_setting();
    let origin = |field: &str| match effective.origins.get(field) {
        Some(scope) => Layer::Scope(scope.clone()),
        None => Layer::Configuration,
    };
    if options.json {
        let origins: BTreeMap<_, _> =
            settings.keys().map(|field| (field.clone(), origin(field).to_string())).collect();
        let left_out: Vec<_> = effective
            .left_out
            .iter()
            .map(
                |(scope, unfit)| serde_json::json!({ "scope": scope.to_string(), "because": reasons(unfit) }),
            )
            .collect();
        let object = serde_json::json!({
            "group": group, "version": effective.policy.version, "signed": effective.signed.is_some(),
            "settings": settings, "origins": origins, "left_out": left_out,
        });
        return print_json(&object, out);
    }
    let signed = if effective.signed.is_some() {
        "signed"
    } else {
        "not signed: `portal-aaa keys rotate --policy --add` makes a key"
    };
    writeln!(out, "group    {}", group.as_deref().unwrap_or("-"))?;
    writeln!(out, "version  {} ({signed})", effective.policy.version)?;
    let width = settings.keys().map(String::len).max().unwrap_or(0);
    for (field, value) in &settings {
        writeln!(out, "{field:width$}  {value}  ({})", origin(field))?;
    }
    for (scope, unfit) in &effective.left_out {
        writeln!(out, "left out: {scope}, because {}", reasons(unfit))?;
    }
    Ok(())
}

fn export(options: &Export, out: &mut dyn Write) -> Result<()> {
    let Installation { store, .. } = Installation::open(&options.config.path)?;
    let mut sheet = Sheet::default();
    for record in store.policies()?.records {
        let said = document::parse(&record.document).context("the database holds an unreadable policy")?;
        match record.scope {
            Scope::Default => sheet.default = Some(said),
            Scope::Group(name) => _ = sheet.group.insert(name, said),
            Scope::Device(mac) => _ = sheet.device.insert(mac.to_string(), said),
        }
    }
    match options.format {
        Format::Json => print_json(&sheet, out),
        Format::Toml => Ok(write!(out, "{}", toml::to_string(&sheet)?)?),
    }
}

fn import(options: &Import, out: &mut dyn Write) -> Result<()> {
    let installation = Installation::open(&options.config.path)?;
    let sheet: Sheet = read_file(&options.file)?;
    let mut entries = Vec::new();
    entries.extend(sheet.default.map(|said| (Scope::Default, Some(said))));
    for (name, said) in sheet.group {
        let name = super::subscriber::group(&name).map_err(anyhow::Error::msg)?;
        ensure!(!name.is_empty(), "group: a name is missing");
        entries.push((Scope::Group(name), Some(said)));
    }
    for (mac, said) in sheet.device {
        entries.push((Scope::Device(mac.parse().with_context(|| format!("device.{mac}"))?), Some(said)));
    }
    if options.prune {
        for record in installation.store.policies()?.records {
            if !entries.iter().any(|(scope, _)| *scope == record.scope) {
                entries.push((record.scope, None));
            }
        }
    }
    put(&installation, &entries, options.json, out)
}

/// Checks all, then writes all.
fn put(
    installation: &Installation,
    entries: &[(Scope, Option<Document>)],
    json: bool,
    out: &mut dyn Write,
) -> Result<()> {
    let authority: Authority = installation.authority(now())?;
    let wrong = authority.shelf().judge(entries);
    if !wrong.is_empty() {
        let lines = wrong.iter().map(|(scope, unfit)| format!("{scope}: {}", reasons(unfit)));
        bail!("nothing was changed\n  {}", lines.collect::<Vec<_>>().join("\n  "));
    }
    let mut texts = Vec::new();
    for (scope, said) in entries {
        let text = said.as_ref().map(serde_json::to_string).transpose()?;
        ensure!(
            text.as_ref().is_none_or(|text| text.len() <= MAX_DOCUMENT),
            "{scope}: a policy has at most {MAX_DOCUMENT} octets; nothing was changed"
        );
        texts.push((scope.clone(), text));
    }
    let changes = installation.store.put_policies(&texts, now())?;
    let changed = changes.iter().filter(|change| matches!(change, Change::Created | Change::Updated)).count();
    let version = installation.settings.policy.version.saturating_add(installation.store.policy_version()?);
    if json {
        return print_json(&serde_json::json!({ "changed": changed, "version": version }), out);
    }
    if changed == 0 {
        writeln!(out, "unchanged; devices get version {version}")?;
    } else {
        writeln!(out, "changed: {changed}; devices get version {version} with their next credential")?;
    }
    Ok(())
}

impl Target {
    fn scope(&self) -> Scope {
        match (&self.group, self.mac) {
            (Some(group), _) => Scope::Group(group.clone()),
            (None, Some(mac)) => Scope::Device(mac),
            (None, None) => Scope::Default,
        }
    }
}

fn said(records: &[crate::store::policy::PolicyRecord], scope: &Scope) -> Result<Option<Document>> {
    let Some(record) = records.iter().find(|record| record.scope == *scope) else { return Ok(None) };
    document::parse(&record.document).map(Some).context("the database holds an unreadable policy")
}

fn reasons(unfit: &[Unfit]) -> String {
    let reasons = unfit.iter().map(|Unfit { field, reason }| format!("{field}: {reason}"));
    reasons.collect::<Vec<_>>().join("; ")
}

/// `enter-dbm=-60`, `offload=never`, `networks=[{ ssid = "a", priority = 1 }]`.
fn parse_setting(setting: &str) -> Result<(String, Value)> {
    let (name, value) = setting.split_once('=').with_context(|| format!("{setting}: is no SETTING=VALUE"))?;
    let (name, value) = (name.trim(), value.trim());
    let parsed = toml::from_str::<BTreeMap<String, toml::Value>>(&format!("x = {value}"));
    let value = match parsed.ok().filter(|table| table.len() == 1).and_then(|mut table| table.remove("x")) {
        Some(value) => serde_json::to_value(value)?,
        None => Value::String(value.to_owned()),
    };
    Ok((name.to_owned(), value))
}

/// TOML, or JSON if it begins like an object of that.
fn read_file<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T> {
    let mut text = String::new();
    match file.to_str() {
        Some("-") => io::stdin().lock().take(MAX_FILE).read_to_string(&mut text)?,
        _ => {
            let file = fs::File::open(file).with_context(|| file.display().to_string())?;
            file.take(MAX_FILE).read_to_string(&mut text)?
        }
    };
    let read = if text.trim_start().starts_with('{') {
        serde_json::from_str(&text).map_err(anyhow::Error::from)
    } else {
        toml::from_str(&text).map_err(anyhow::Error::from)
    };
    read.with_context(|| format!("{}: nothing was changed", file.display()))
}

fn print_json(value: &impl Serialize, out: &mut dyn Write) -> Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    Ok(writeln!(out)?)
}

fn now() -> u64 {
    Clock::start().now().unix
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_written_as_in_the_file_or_as_plain_words() {
        for (text, name, value) in [
            ("enter-dbm=-60", "enter-dbm", json!(-60)),
            ("offload=never", "offload", json!("never")),
            ("offload=\"never\"", "offload", json!("never")),
            ("renew-on-attach = true", "renew-on-attach", json!(true)),
            ("probe-url=http://a/?b=c", "probe-url", json!("http://a/?b=c")),
            (
                "networks=[{ ssid = \"a\", priority = 1 }]",
                "networks",
                json!([{ "ssid": "a", "priority": 1 }]),
            ),
            ("x=1\ny=2", "x", json!("1\ny=2")),
        ] {
            assert_eq!(parse_setting(text).unwrap(), (name.to_owned(), value), "{text}");
        }
        assert!(parse_setting("offload").is_err());
    }
}
