//! `portal-aaa credential issue --from FILE`: many credentials from a list of devices, in batches, with memory for one
//! batch.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Read as _, Write},
    path::Path,
};

use anyhow::{Context as _, Result, bail, ensure};
use provisioning::identity::{Imei, Imsi, Mac};
use serde::Serialize;

use super::{credential::expires, csv, installation::Installation};
use crate::{
    credential::{Authority, IssueRequest, Lifetime, system_random},
    server::clock::Clock,
};

/// Credentials in one transaction.
const BATCH: usize = 5000;
/// Longer than any line of three identifiers.
const MAX_LINE: u64 = 4096;
/// Lines in error that are told one by one.
const TOLD: u64 = 20;

/// What is printed for each; other programs rely on these keys.
#[derive(Serialize)]
struct Issued<'a> {
    /// Line of the list.
    line: u64,
    mac: String,
    username: &'a str,
    password: &'a str,
    ca_path: &'a str,
    server_name: &'a str,
    expires: Option<String>,
}

/// Which column is what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Columns {
    imsi: Option<usize>,
    imei: Option<usize>,
    mac: usize,
}

pub(super) fn issue(
    installation: &Installation,
    from: &Path,
    lifetime: Option<Lifetime>,
    ca_path: &str,
    out: &mut dyn Write,
) -> Result<()> {
    let clock = Clock::start();
    let authority = installation.authority(clock.now().unix)?;
    installation.store.expect_many()?;
    let input: Box<dyn BufRead> = match from.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => Box::new(BufReader::new(File::open(from).with_context(|| from.display().to_string())?)),
    };
    let mut list = List { input, line: 0, columns: None, wrong: 0 };
    let mut out = BufWriter::new(out);
    let mut issued = 0u64;
    loop {
        let (lines, requests): (Vec<u64>, Vec<IssueRequest>) = list.batch(lifetime)?.into_iter().unzip();
        if requests.is_empty() {
            break;
        }
        write(&authority, clock.now().unix, &lines, &requests, ca_path, &mut out)?;
        issued += u64::try_from(requests.len())?;
    }
    out.flush()?;
    match list.wrong {
        0 => Ok(()),
        wrong => bail!("{issued} credentials issued, {wrong} lines left out because of what stands in them"),
    }
}

fn write(
    authority: &Authority,
    now: u64,
    lines: &[u64],
    requests: &[IssueRequest],
    ca_path: &str,
    out: &mut dyn Write,
) -> Result<()> {
    let credentials = authority.issue_many(now, requests, &mut system_random)?;
    for ((line, request), credential) in lines.iter().zip(requests).zip(&credentials) {
        serde_json::to_writer(
            &mut *out,
            &Issued {
                line: *line,
                mac: request.mac.to_string(),
                username: &credential.username,
                // Its purpose: whoever ran the command hands it to the device.
                password: credential.password.expose(),
                ca_path,
                server_name: &credential.eap.server_name,
                expires: expires(credential)?,
            },
        )?;
        writeln!(out)?;
    }
    // What is on disk is told, also when the next batch fails.
    Ok(out.flush()?)
}

struct List<'a> {
    input: Box<dyn BufRead + 'a>,
    line: u64,
    columns: Option<Columns>,
    wrong: u64,
}

impl List<'_> {
    /// The next devices, each with its line. What stands in a line that does not fit is not repeated: it may be an
    /// identifier.
    fn batch(&mut self, lifetime: Option<Lifetime>) -> Result<Vec<(u64, IssueRequest)>> {
        let mut batch = Vec::new();
        let mut line = String::new();
        while batch.len() < BATCH {
            line.clear();
            let length = (&mut self.input).take(MAX_LINE).read_line(&mut line)?;
            if length == 0 {
                break;
            }
            self.line += 1;
            ensure!(u64::try_from(length)? < MAX_LINE, "line {} is too long", self.line);
            if line.trim().is_empty() {
                continue;
            }
            let columns = match self.columns {
                Some(columns) => columns,
                None => {
                    let (columns, is_header) = columns(&line)?;
                    self.columns = Some(columns);
                    if is_header {
                        continue;
                    }
                    columns
                }
            };
            match request(&line, columns, lifetime) {
                Ok(request) => batch.push((self.line, request)),
                Err(error) => {
                    self.wrong += 1;
                    if self.wrong <= TOLD {
                        writeln!(io::stderr(), "portal-aaa: line {}: {error:#}", self.line)?;
                    }
                }
            }
        }
        Ok(batch)
    }
}

/// From the header; without one the order is imsi,imei,mac.
fn columns(line: &str) -> Result<(Columns, bool)> {
    let names: Vec<String> = csv::split(line).map(str::to_ascii_lowercase).collect();
    let place = |name: &str| names.iter().position(|column| column == name);
    let Some(mac) = place("mac") else {
        ensure!(names.len() == 3, "the first line has to be imsi,imei,mac, or each line these three values");
        return Ok((Columns { imsi: Some(0), imei: Some(1), mac: 2 }, false));
    };
    let columns = Columns { imsi: place("imsi"), imei: place("imei"), mac };
    ensure!(columns.imsi.is_some() || columns.imei.is_some(), "there is neither a column imsi nor imei");
    Ok((columns, true))
}

fn request(line: &str, columns: Columns, lifetime: Option<Lifetime>) -> Result<IssueRequest> {
    let values: Vec<&str> = csv::split(line).collect();
    let value = |place: Option<usize>| {
        place.and_then(|place| values.get(place)).copied().filter(|value| !value.is_empty())
    };
    let imsi = value(columns.imsi).map(str::parse::<Imsi>).transpose()?;
    let imei = value(columns.imei).map(str::parse::<Imei>).transpose()?;
    ensure!(imsi.is_some() || imei.is_some(), "a credential needs an IMSI or an IMEI");
    let mac = value(Some(columns.mac)).context("a credential needs a MAC address")?.parse::<Mac>()?;
    Ok(IssueRequest { imsi, imei, subscriber: None, mac, lifetime, source: None, runs_policy: None })
}
