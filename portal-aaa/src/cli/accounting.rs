//! `portal-aaa accounting export` and `totals`: usage for billing, from the sessions that the reports were folded into.

use std::{
    fs::{self, OpenOptions},
    io::{BufWriter, Write},
    ops::ControlFlow,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand, ValueEnum};
use data_encoding::HEXLOWER;
use serde::Serialize;

use super::{Config, csv, installation::Installation, text};
use crate::{
    server::clock::Clock,
    store::{By, ClosedBy, Store as _, Total, Usage},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write one line for each session.
    Export(Export),
    /// Sum up sessions.
    Totals(Totals),
}

/// Sessions that ended at or after --from and before --to; an open one counts at its last report, and again at its end.
#[derive(Debug, Args)]
struct Interval {
    /// First instant: 2026-11-28, 2026-11-28T12:00:00Z, or seconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: u64,
    /// First instant that no longer counts [default: now].
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    to: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    interval: Interval,
    /// Shape of a line.
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// File to write; whole or not at all [default: standard output].
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Args)]
pub(super) struct Totals {
    #[command(flatten)]
    interval: Interval,
    /// What a sum is of. `place` is WISPr-Location-Name, NAS-Identifier, or the client's name, whichever is there.
    #[arg(long, value_enum)]
    by: Of,
    /// Print one JSON array.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// RFC 4180, with a header line.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Of {
    Subscriber,
    Place,
    Nas,
    Ssid,
    Day,
}

pub(super) fn run(command: &Command, out: &mut dyn Write) -> Result<()> {
    match command {
        Command::Export(options) => export(options, out),
        Command::Totals(options) => totals(options, out),
    }
}

impl Interval {
    fn bounds(&self) -> Result<(u64, u64)> {
        let to = self.to.unwrap_or_else(|| Clock::start().now().unix.saturating_add(1));
        ensure!(self.from < to, "--from must lie before --to");
        Ok((self.from, to))
    }
}

/// One exported session: columns of CSV in this order, keys of JSON by these names. Others rely on both; a new one
/// goes to the end.
#[derive(Serialize)]
struct Line<'a> {
    start: String,
    /// Empty (null) while the session lasts.
    end: Option<String>,
    last_update: String,
    state: &'static str,
    username: Option<&'a str>,
    subscriber: Option<String>,
    mac: Option<String>,
    client: &'a str,
    called_station: Option<&'a str>,
    ssid: Option<&'a str>,
    place: Option<&'a str>,
    session_id: &'a str,
    input_octets: u64,
    output_octets: u64,
    duration_secs: u64,
    closed_by: Option<&'static str>,
    terminate_cause: Option<String>,
    corrected: bool,
    cellular_input_octets: Option<u64>,
    cellular_output_octets: Option<u64>,
}

const COLUMNS: [&str; 20] = [
    "start",
    "end",
    "last_update",
    "state",
    "username",
    "subscriber",
    "mac",
    "client",
    "called_station",
    "ssid",
    "place",
    "session_id",
    "input_octets",
    "output_octets",
    "duration_secs",
    "closed_by",
    "terminate_cause",
    "corrected",
    "cellular_input_octets",
    "cellular_output_octets",
];

impl<'a> Line<'a> {
    fn new(usage: &'a Usage) -> Result<Self> {
        let session = &usage.session;
        let lasted = session.last().saturating_sub(session.started_at);
        Ok(Self {
            start: text::time(session.started_at)?,
            end: session.ended_at.map(text::time).transpose()?,
            last_update: text::time(session.updated_at)?,
            state: if session.ended_at.is_some() { "closed" } else { "open" },
            username: session.username.as_deref(),
            subscriber: session.subscriber.map(|subscriber| HEXLOWER.encode(&subscriber.0)),
            mac: session.mac.map(|mac| mac.to_string()),
            client: &session.client,
            called_station: session.called_station.as_deref(),
            ssid: session.ssid.as_deref(),
            place: session.place.as_deref(),
            session_id: &session.session_id,
            input_octets: session.input_octets,
            output_octets: session.output_octets,
            // What the access point measured, where it did.
            duration_secs: match session.session_secs {
                0 => lasted,
                secs => u64::from(secs),
            },
            closed_by: session.closed_by.map(ClosedBy::word),
            terminate_cause: session.terminate_cause.map(cause),
            corrected: session.corrected,
            cellular_input_octets: usage.cellular.map(|(input, _)| input),
            cellular_output_octets: usage.cellular.map(|(_, output)| output),
        })
    }

    fn csv(&self) -> [csv::Field<'_>; COLUMNS.len()] {
        let text = |text: &'a str| csv::Field::Text(text);
        fn own(text: &Option<String>) -> csv::Field<'_> {
            csv::Field::Text(text.as_deref().unwrap_or_default())
        }
        let count = |number: Option<u64>| number.map_or(csv::Field::Text(""), csv::Field::Number);
        [
            csv::Field::Text(&self.start),
            own(&self.end),
            csv::Field::Text(&self.last_update),
            text(self.state),
            text(self.username.unwrap_or_default()),
            own(&self.subscriber),
            own(&self.mac),
            text(self.client),
            text(self.called_station.unwrap_or_default()),
            text(self.ssid.unwrap_or_default()),
            text(self.place.unwrap_or_default()),
            text(self.session_id),
            csv::Field::Number(self.input_octets),
            csv::Field::Number(self.output_octets),
            csv::Field::Number(self.duration_secs),
            text(self.closed_by.unwrap_or_default()),
            own(&self.terminate_cause),
            text(if self.corrected { "true" } else { "false" }),
            count(self.cellular_input_octets),
            count(self.cellular_output_octets),
        ]
    }
}

fn export(options: &Export, out: &mut dyn Write) -> Result<()> {
    let (from, to) = options.interval.bounds()?;
    let store = Installation::open(&options.config.path)?.store;
    let write = |out: &mut dyn Write| -> Result<()> {
        let mut out = BufWriter::new(out);
        if options.format == Format::Csv {
            csv::line(&mut out, &COLUMNS.map(csv::Field::Text))?;
        }
        let mut failed = None;
        store.usage(from, to, &mut |usage| match line(&mut out, options.format, &usage) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        failed.map_or(Ok(()), Err)?;
        Ok(out.flush()?)
    };
    match &options.output {
        None => write(out),
        Some(path) => whole(path, write).with_context(|| path.display().to_string()),
    }
}

fn line(out: &mut dyn Write, format: Format, usage: &Usage) -> Result<()> {
    let line = Line::new(usage)?;
    match format {
        Format::Csv => csv::line(out, &line.csv())?,
        Format::Jsonl => {
            serde_json::to_writer(&mut *out, &line)?;
            writeln!(out)?;
        }
    }
    Ok(())
}

/// Under another name until it is complete; usage is not for others on the machine.
fn whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    let done =
        write(&mut file).and_then(|()| Ok(file.sync_all()?)).and_then(|()| Ok(fs::rename(&part, path)?));
    if done.is_err() {
        // What is there is of no use; the error that matters is the first.
        let _ = fs::remove_file(&part);
    }
    done
}

/// What `--json` prints for each sum.
#[derive(Serialize)]
struct Sum<'a> {
    /// Null where it is not known.
    of: Option<&'a str>,
    sessions: u64,
    duration_secs: u64,
    input_octets: u64,
    output_octets: u64,
    cellular_input_octets: Option<u64>,
    cellular_output_octets: Option<u64>,
}

impl<'a> From<&'a Total> for Sum<'a> {
    fn from(total: &'a Total) -> Self {
        Self {
            of: total.of.as_deref(),
            sessions: total.sessions,
            duration_secs: total.secs,
            input_octets: total.input_octets,
            output_octets: total.output_octets,
            cellular_input_octets: total.cellular.map(|(input, _)| input),
            cellular_output_octets: total.cellular.map(|(_, output)| output),
        }
    }
}

fn totals(options: &Totals, out: &mut dyn Write) -> Result<()> {
    let (from, to) = options.interval.bounds()?;
    let by = match options.by {
        Of::Subscriber => By::Subscriber,
        Of::Place => By::Place,
        Of::Nas => By::Nas,
        Of::Ssid => By::Ssid,
        Of::Day => By::Day,
    };
    let totals = Installation::open(&options.config.path)?.store.totals(from, to, by)?;
    let sums: Vec<Sum<'_>> = totals.iter().map(Sum::from).collect();
    if options.json {
        serde_json::to_writer(&mut *out, &sums)?;
        writeln!(out)?;
        return Ok(());
    }
    writeln!(out, "{:>16} {:>16} {:>12} {:>9}  of", "input octets", "output octets", "seconds", "sessions")?;
    for Sum { of, sessions, duration_secs, input_octets, output_octets, .. } in &sums {
        let of = of.unwrap_or("(unknown)");
        writeln!(out, "{input_octets:>16} {output_octets:>16} {duration_secs:>12} {sessions:>9}  {of}")?;
    }
    Ok(())
}

/// RFC 2866 §5.10.
fn cause(number: u32) -> String {
    const NAMES: [&str; 18] = [
        "user-request",
        "lost-carrier",
        "lost-service",
        "idle-timeout",
        "session-timeout",
        "admin-reset",
        "admin-reboot",
        "port-error",
        "nas-error",
        "nas-request",
        "nas-reboot",
        "port-unneeded",
        "port-preempted",
        "port-suspended",
        "service-unavailable",
        "callback",
        "user-error",
        "host-request",
    ];
    let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    place.and_then(|place| NAMES.get(place)).map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

fn parse_time(text: &str) -> Result<u64, String> {
    text::parse_time(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_have_names() {
        assert_eq!(cause(1), "user-request");
        assert_eq!(cause(6), "admin-reset");
        assert_eq!(cause(18), "host-request");
        assert_eq!((cause(0), cause(99)), ("0".to_owned(), "99".to_owned()));
    }
}
