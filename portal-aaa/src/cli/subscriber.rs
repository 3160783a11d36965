//! `portal-aaa subscriber import`, `add`, `suspend`, `allow`, `remove` and `list`: who may have credentials, and which
//! MSISDN is whose. What is printed is masked.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufRead, BufReader, Read as _, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, Subcommand};
use data_encoding::HEXLOWER;
use provisioning::identity::Imsi;
use serde::Serialize;

use super::{Config, csv, installation::Installation, text};
use crate::{
    credential::{Keys, Msisdn, Purpose},
    server::clock::Clock,
    store::{
        Change, Entitlement, Handle, Listing, Sealed, StoreError, SubscriberEntry, SubscriberRecord,
        SubscriberState, Subscribers as _,
    },
};

/// Subscribers in one list; they are written in one transaction, for which everything else waits.
const MAX_ENTRIES: usize = 500_000;
/// Octets of a line.
const MAX_LINE: u64 = 4096;
/// Octets of a group's name.
const MAX_GROUP: usize = 64;
/// Lines in error that are told one by one.
const TOLD: u64 = 20;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Take in a list (CSV with a header: imsi, and any of msisdn, state, group), all of it or nothing. An empty value
    /// leaves what is there; who is not in the list is left alone.
    Import(Import),
    /// Add a subscriber, or change the one of this IMSI.
    Add(Add),
    /// No credentials for now: all that he has are revoked, and his sessions end.
    Suspend(Which),
    /// Credentials again. What was revoked stays so.
    Allow(Which),
    /// Forget a subscriber; where only those listed are served, what he has is revoked.
    Remove(Which),
    /// Show all, masked.
    List(List),
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// The list; `-` for standard input.
    file: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// IMSI of the SIM.
    #[arg(long)]
    imsi: Imsi,
    /// Telephone number, international.
    #[arg(long)]
    msisdn: Option<Msisdn>,
    /// allow, deny or suspended [default: as it is; allow for a new one].
    #[arg(long, value_parser = state)]
    state: Option<SubscriberState>,
    /// Name of a group, of your choice; `portal-aaa policy` can treat it differently.
    #[arg(long, value_parser = group)]
    group: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Args)]
pub(super) struct Which {
    /// IMSI of the SIM.
    #[arg(long, required_unless_present = "msisdn", conflicts_with = "msisdn")]
    imsi: Option<Imsi>,
    /// Telephone number, international.
    #[arg(long)]
    msisdn: Option<Msisdn>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
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
        Command::Import(options) => import(options, out),
        Command::Add(options) => add(options, out),
        Command::Suspend(which) => set_state(which, SubscriberState::Suspended, out),
        Command::Allow(which) => set_state(which, SubscriberState::Allow, out),
        Command::Remove(which) => remove(which, out),
        Command::List(options) => list(options, out),
    }
}

fn import(options: &Import, out: &mut dyn Write) -> Result<()> {
    let Installation { keys, store, .. } = Installation::open(&options.config.path)?;
    let (lines, entries) = read(open(&options.file)?, &keys)?;
    match store.put_subscribers(&entries, now()) {
        Ok(listing) => tell(&listing, options.json, out),
        Err(StoreError::Taken { position }) => bail!(
            "line {}: the MSISDN belongs to a subscriber who is not in the list; nothing was changed",
            lines.get(position).copied().unwrap_or_default()
        ),
        Err(error) => Err(error.into()),
    }
}

fn add(options: &Add, out: &mut dyn Write) -> Result<()> {
    let Installation { keys, store, .. } = Installation::open(&options.config.path)?;
    let entry = entry(&keys, &options.imsi, options.msisdn.as_ref(), options.state, options.group.clone())?;
    let listing = store.put_subscribers(&[entry], now()).map_err(|error| match error {
        StoreError::Taken { .. } => {
            anyhow::anyhow!("the MSISDN belongs to another subscriber: change or remove that one first")
        }
        other => other.into(),
    })?;
    tell(&listing, options.json, out)
}

fn set_state(which: &Which, state: SubscriberState, out: &mut dyn Write) -> Result<()> {
    let Installation { keys, store, .. } = Installation::open(&which.config.path)?;
    let found = match (&which.imsi, &which.msisdn) {
        (Some(imsi), _) => store.subscriber(keys.handle_imsi(imsi))?,
        (None, Some(msisdn)) => store.subscriber_of(keys.handle_msisdn(msisdn))?,
        (None, None) => None,
    };
    let entry = match (found, &which.imsi) {
        (Some(SubscriberRecord { imsi, imsi_sealed, .. }), _) => {
            SubscriberEntry { imsi, imsi_sealed, msisdn: None, state: Some(state), group: None }
        }
        // Who is not listed yet can be suspended all the same.
        (None, Some(imsi)) => entry(&keys, imsi, None, Some(state), None)?,
        (None, None) => bail!("there is no subscriber of this MSISDN: say which by --imsi"),
    };
    tell(&store.put_subscribers(&[entry], now())?, which.json, out)
}

fn remove(which: &Which, out: &mut dyn Write) -> Result<()> {
    let Installation { settings, keys, store } = Installation::open(&which.config.path)?;
    let imsi = match (&which.imsi, &which.msisdn) {
        (Some(imsi), _) => Some(keys.handle_imsi(imsi)),
        (None, Some(msisdn)) => store.subscriber_of(keys.handle_msisdn(msisdn))?.map(|found| found.imsi),
        (None, None) => None,
    };
    let revoke = settings.portal.entitlement == Entitlement::Listed;
    let (change, revoked) = match imsi {
        Some(imsi) => store.remove_subscriber(imsi, revoke, now())?,
        None => (Change::Missing, 0),
    };
    let removed = change != Change::Missing;
    if which.json {
        serde_json::to_writer(&mut *out, &serde_json::json!({ "removed": removed, "revoked": revoked }))?;
        writeln!(out)?;
    } else if removed {
        writeln!(out, "removed; credentials revoked: {revoked}")?;
    } else {
        writeln!(out, "unchanged: there is no such subscriber")?;
    }
    Ok(())
}

/// What `--json` prints for each; identifiers are masked.
#[derive(Serialize)]
struct Listed {
    imsi: String,
    msisdn: Option<String>,
    state: &'static str,
    group: String,
    created: String,
    changed: String,
}

fn list(options: &List, out: &mut dyn Write) -> Result<()> {
    let Installation { keys, store, .. } = Installation::open(&options.config.path)?;
    let mut records = Vec::new();
    store.subscribers(&mut |record| records.push(record))?;
    let mut listed = records.into_iter().map(|record| shown(&keys, record)).collect::<Result<Vec<_>>>()?;
    listed.sort_by(|a, b| (&a.imsi, &a.created).cmp(&(&b.imsi, &b.created)));
    if options.json {
        serde_json::to_writer(&mut *out, &listed)?;
        writeln!(out)?;
        return Ok(());
    }
    for Listed { imsi, msisdn, state, group, .. } in &listed {
        writeln!(out, "{imsi}\t{}\t{state}\t{group}", msisdn.as_deref().unwrap_or("-"))?;
    }
    Ok(())
}

fn shown(keys: &Keys, record: SubscriberRecord) -> Result<Listed> {
    let owner = owner(record.imsi);
    let opened = |purpose, sealed: &Sealed| -> Result<String> {
        let clear = keys.open(purpose, &owner, sealed)?;
        Ok(std::str::from_utf8(&clear).context("a sealed identifier is no text")?.to_owned())
    };
    let imsi: Imsi = opened(Purpose::SubscriberImsi, &record.imsi_sealed)?.parse()?;
    let msisdn = match &record.msisdn {
        Some((_, sealed)) => Some(opened(Purpose::SubscriberMsisdn, sealed)?.parse::<Msisdn>()?),
        None => None,
    };
    Ok(Listed {
        imsi: imsi.to_string(),
        msisdn: msisdn.map(|msisdn| msisdn.to_string()),
        state: record.state.word(),
        group: record.group,
        created: text::time(record.created_at)?,
        changed: text::time(record.changed_at)?,
    })
}

fn tell(listing: &Listing, json: bool, out: &mut dyn Write) -> Result<()> {
    let Listing { created, updated, unchanged, revoked } = *listing;
    if json {
        let object = serde_json::json!({
            "created": created, "updated": updated, "unchanged": unchanged, "revoked": revoked,
        });
        serde_json::to_writer(&mut *out, &object)?;
        writeln!(out)?;
    } else {
        writeln!(
            out,
            "{created} added, {updated} changed, {unchanged} unchanged; credentials revoked: {revoked}"
        )?;
    }
    Ok(())
}

fn open(file: &Path) -> Result<Box<dyn BufRead>> {
    Ok(match file.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => Box::new(BufReader::new(File::open(file).with_context(|| file.display().to_string())?)),
    })
}

/// Which column is what.
struct Columns {
    imsi: usize,
    msisdn: Option<usize>,
    state: Option<usize>,
    group: Option<usize>,
    count: usize,
}

/// All lines and what stands in them, or what is wrong with them. What stands in a line that does not fit is not
/// repeated: it may be an identifier.
fn read(mut input: Box<dyn BufRead>, keys: &Keys) -> Result<(Vec<u64>, Vec<SubscriberEntry>)> {
    let (mut lines, mut entries) = (Vec::new(), Vec::new());
    let mut seen: HashSet<Handle> = HashSet::new();
    let mut columns = None;
    let (mut number, mut wrong) = (0u64, 0u64);
    let mut line = String::new();
    loop {
        line.clear();
        let length = (&mut input)
            .take(MAX_LINE)
            .read_line(&mut line)
            .with_context(|| format!("line {}", number + 1))?;
        if length == 0 {
            break;
        }
        number += 1;
        ensure!(u64::try_from(length)? < MAX_LINE, "line {number} is too long; nothing was changed");
        if line.trim().is_empty() {
            continue;
        }
        let Some(columns) = &columns else {
            columns = Some(header(&line)?);
            continue;
        };
        ensure!(
            entries.len() < MAX_ENTRIES,
            "line {number}: a list has at most {MAX_ENTRIES} subscribers; nothing was changed"
        );
        match parse(&line, columns, keys, &mut seen) {
            Ok(entry) => {
                lines.push(number);
                entries.push(entry);
            }
            Err(error) => {
                wrong += 1;
                if wrong <= TOLD {
                    writeln!(io::stderr(), "portal-aaa: line {number}: {error:#}")?;
                }
            }
        }
    }
    ensure!(columns.is_some(), "the list is empty: its first line has to be imsi,msisdn,state,group");
    ensure!(wrong == 0, "{wrong} lines do not fit; nothing was changed");
    Ok((lines, entries))
}

fn header(line: &str) -> Result<Columns> {
    let line = line.strip_prefix('\u{feff}').unwrap_or(line);
    let names: Vec<String> = csv::split(line).map(str::to_ascii_lowercase).collect();
    let known = ["imsi", "msisdn", "state", "group"];
    let unfit =
        |name: &&String| !known.contains(&name.as_str()) || names.iter().filter(|n| n == name).count() > 1;
    ensure!(
        names.iter().find(unfit).is_none(),
        "line 1: has to name the columns, each once: imsi, and any of msisdn, state, group"
    );
    let place = |name: &str| names.iter().position(|column| column == name);
    Ok(Columns {
        imsi: place("imsi").context("line 1: there is no column imsi")?,
        msisdn: place("msisdn"),
        state: place("state"),
        group: place("group"),
        count: names.len(),
    })
}

fn parse(line: &str, columns: &Columns, keys: &Keys, seen: &mut HashSet<Handle>) -> Result<SubscriberEntry> {
    let values: Vec<&str> = csv::split(line).collect();
    ensure!(
        values.len() == columns.count,
        "{} values where there are {} columns",
        values.len(),
        columns.count
    );
    let value = |place: Option<usize>| {
        place.and_then(|place| values.get(place)).copied().filter(|value| !value.is_empty())
    };
    let imsi: Imsi = value(Some(columns.imsi)).context("imsi: is missing")?.parse().context("imsi")?;
    let msisdn: Option<Msisdn> = value(columns.msisdn).map(str::parse).transpose().context("msisdn")?;
    let state = value(columns.state).map(state).transpose().map_err(anyhow::Error::msg).context("state")?;
    let group = value(columns.group).map(group).transpose().map_err(anyhow::Error::msg).context("group")?;
    let entry = entry(keys, &imsi, msisdn.as_ref(), state, group)?;
    ensure!(seen.insert(entry.imsi), "imsi: stands in an earlier line");
    if let Some((msisdn, _)) = &entry.msisdn {
        ensure!(seen.insert(*msisdn), "msisdn: stands in an earlier line");
    }
    Ok(entry)
}

fn entry(
    keys: &Keys,
    imsi: &Imsi,
    msisdn: Option<&Msisdn>,
    state: Option<SubscriberState>,
    group: Option<String>,
) -> Result<SubscriberEntry> {
    let handle = keys.handle_imsi(imsi);
    let owner = owner(handle);
    let msisdn = msisdn.map(|msisdn| {
        let sealed = keys.seal(Purpose::SubscriberMsisdn, &owner, msisdn.expose().as_bytes())?;
        anyhow::Ok((keys.handle_msisdn(msisdn), sealed))
    });
    Ok(SubscriberEntry {
        imsi: handle,
        imsi_sealed: keys.seal(Purpose::SubscriberImsi, &owner, imsi.expose().as_bytes())?,
        msisdn: msisdn.transpose()?,
        state,
        group,
    })
}

fn owner(imsi: Handle) -> String {
    HEXLOWER.encode(&imsi.0)
}

fn now() -> u64 {
    Clock::start().now().unix
}

fn state(word: &str) -> Result<SubscriberState, String> {
    SubscriberState::of_word(word).ok_or_else(|| "a state is allow, deny or suspended".to_owned())
}

pub(super) fn group(text: &str) -> Result<String, String> {
    if text.len() <= MAX_GROUP && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(format!("a group has at most {MAX_GROUP} octets and no control characters"))
    }
}
