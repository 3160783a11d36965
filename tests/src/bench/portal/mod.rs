//! `cargo lab bench portal`: what a credential costs the server, beside a bare TLS handshake of the same kind.
//!
//! One issue is a new TLS connection, the proof by the packet gateway's accounting, the durable record, and the reply.
//! The primary figure is the server's CPU time, of the program as it is shipped; the bare server ([`bare`]) is measured
//! in turn with it, several times, in the same run. [`gate`] asks first whether the portal is correct. All of it happens
//! in a network namespace of its own, where every device has a loopback address.

mod bad;
pub(super) mod bare;
mod client;
mod fleet;
mod gate;
mod leaks;
mod load;
mod operator;
mod report;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use nix::{
    sched::{CloneFlags, unshare},
    unistd::Uid,
};
use provisioning::format::Format;

use bare::Bare;
use client::Client;
use load::{Measured, measure};
use operator::Operator;
use report::{Report, Row, Size};

use super::plot::{self, Panel};
use crate::{
    packages,
    peers::{certificate::Kind, eapol::Tls, portal::PortalAaa, private_folder},
    progress, workshop,
    world::netns::Netns,
};

/// Name in the portal's certificate, as `portal-aaa init` makes it.
const PORTAL_NAME: &str = "portal.operator.example";
/// The row that the target is about: what an agent does by default.
const MAIN: &str = "xml";
/// Connections that stand still at a time; the portal lets 1024 in.
const SLOW: usize = 256;

/// How much is done.
struct Plan {
    /// Runs of each thing in the main row and in the series.
    runs: usize,
    /// In the other rows.
    other_runs: usize,
    /// Exchanges of a run: a second or more of the server's time, so that a tick of the kernel's clock is little.
    exchanges: usize,
    /// Refusals of a run, of each kind.
    refusals: usize,
    /// Devices stored.
    stored: usize,
    /// Sizes of the scaling series.
    sizes: Vec<usize>,
    /// Rows beyond the main one.
    all_rows: bool,
}

impl Plan {
    /// With so many devices, where somebody says how many.
    fn of(quick: bool, devices: &[u32]) -> Result<Self> {
        let mut plan = if quick { Self::quick() } else { Self::full() };
        if !devices.is_empty() {
            plan.sizes = devices.iter().map(|count| Ok(usize::try_from(*count)?)).collect::<Result<_>>()?;
            plan.stored = *plan.sizes.first().unwrap_or(&plan.stored);
        }
        Ok(plan)
    }

    fn full() -> Self {
        Self {
            runs: 7,
            other_runs: 3,
            exchanges: 4000,
            refusals: 1000,
            stored: 100_000,
            sizes: vec![1_000, 10_000, 100_000, 1_000_000],
            all_rows: true,
        }
    }

    fn quick() -> Self {
        Self {
            runs: 3,
            other_runs: 3,
            exchanges: 1500,
            refusals: 400,
            stored: 10_000,
            sizes: vec![1_000, 10_000, 100_000],
            all_rows: false,
        }
    }
}

/// Where things are.
struct Place {
    work: PathBuf,
    logs: PathBuf,
    out: PathBuf,
}

/// What is measured.
#[derive(Clone, Copy)]
struct Shape {
    format: Format,
    tls: Tls,
    certificate: Kind,
}

/// Measures and reports; true where everything was correct.
pub(super) fn run(quick: bool, json: bool, only: Option<&str>, devices: &[u32]) -> Result<bool> {
    packages::ensure(packages::PORTAL)?;
    workshop::build_shipped(&["portal-aaa"])?;
    alone()?;
    let plan = Plan::of(quick, devices)?;
    let out = workshop::out("bench-portal")?;
    let place = Place { work: workshop::cache("bench-portal-work")?, logs: out.join("log"), out };
    fs::create_dir_all(&place.logs)?;
    let mut report = Report::new(quick);
    let wanted = |name: &str| only.is_none_or(|only| name.contains(only));
    for (name, shape) in rows(plan.all_rows).into_iter().filter(|(name, _)| wanted(name)) {
        private_folder(&place.work)?;
        let runs = if name == MAIN { plan.runs } else { plan.other_runs };
        let title = format!("{name}: bare handshake, portal's handshake, an issue");
        let row = progress::step(&title, || row(name, shape, runs, &plan, &place))?;
        eprint!("{}", report::lines(&row));
        report.rows.push(row);
    }
    if wanted("scale") {
        private_folder(&place.work)?;
        report.scale = progress::step("cost by number of stored devices", || series(&plan, &place))?;
        fs::write(place.out.join("scale.svg"), picture(&report.scale))?;
    }
    if wanted("bad-input") {
        private_folder(&place.work)?;
        let measured = progress::step("what bad input costs", || bad_input(&plan, &place));
        match measured {
            Ok((bad, slow)) => (report.bad, report.slow) = (bad, slow),
            Err(error) => report.failed.push(format!("bad input: {error:#}")),
        }
    }
    if wanted("leaks") {
        let (work, out) = (place.work.join("leaks"), &place.out);
        match progress::step("secrets under load", || {
            leaks::search(PortalAaa::shipped, &work, &place.logs, out)
        }) {
            Ok(searched) => report.leaks = Some(searched),
            Err(error) => report.failed.push(format!("leaks: {error:#}")),
        }
    }
    private_folder(&place.work)?;
    report.finish();
    fs::write(place.out.join("results.json"), serde_json::to_string_pretty(&report)?)?;
    let text = report.markdown();
    fs::write(place.out.join("results.md"), &text)?;
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("\n{text}\n{}", place.out.display());
    }
    Ok(report.is_correct())
}

/// As [`leaks::search`], on the program that tests use.
pub(super) fn secrets_under_load(work: &Path) -> Result<Vec<String>> {
    alone()?;
    private_folder(work)?;
    let (logs, out) = (work.join("tools"), work.join("captures"));
    fs::create_dir_all(&logs)?;
    fs::create_dir_all(&out)?;
    Ok(leaks::search(PortalAaa::init, &work.join("searched"), &logs, &out)?.found)
}

/// In a network of its own: whatever is started from now on sees its loopback and nothing else.
fn alone() -> Result<()> {
    ensure!(Uid::effective().is_root(), "bench portal makes a network namespace: run it as root");
    unshare(CloneFlags::CLONE_NEWNET).context("a network namespace")?;
    Netns::here().ip("link set lo up")
}

fn rows(all: bool) -> Vec<(&'static str, Shape)> {
    let main = Shape { format: Format::Xml, tls: Tls::V13, certificate: Kind::P256 };
    let mut rows = vec![(MAIN, main)];
    if all {
        rows.push(("json", Shape { format: Format::Json, ..main }));
        rows.push(("soap12", Shape { format: Format::Soap12, ..main }));
        rows.push(("xml-tls12", Shape { tls: Tls::V12, ..main }));
        rows.push(("xml-rsa", Shape { certificate: Kind::Rsa, ..main }));
    }
    rows
}

fn row(name: &str, shape: Shape, runs: usize, plan: &Plan, place: &Place) -> Result<Row> {
    let logs = place.logs.join(name);
    fs::create_dir_all(&logs)?;
    let mut row = Row {
        name: name.to_owned(),
        format: shape.format.name(),
        tls: shape.tls.name(),
        certificate: shape.certificate.name(),
        stored: plan.stored,
        bare: Measured::new("bare handshake"),
        handshake: Measured::new("portal, handshake only"),
        issue: Measured::new("portal, issue"),
        not_measured: None,
    };
    let folder = place.work.join("portal");
    let mut portal = Operator::install("portal", plan.stored, shape.certificate, &folder, &logs)?;
    portal.serve()?;
    if let Err(error) = gate::check(&mut portal, shape.format, shape.tls, &place.work) {
        row.not_measured = Some(format!("{error:#}"));
        return Ok(row);
    }
    let certificate = portal.server.portal_certificate();
    let bare = Bare::start("bare", &certificate.leaf, &certificate.key, &logs)?;
    let at_bare = Client::new(bare.address, &certificate.ca, shape.tls)?;
    let at_portal = portal.client(shape.tls)?;
    for turn in 0..=runs {
        portal.hear()?;
        let (bare_pid, portal_pid, count) = (bare.pid()?, portal.server.pid()?, plan.exchanges);
        let bare_run = measure(bare_pid, count, |number| at_bare.handshake(portal.device(number)?.address))?;
        let own_run =
            measure(portal_pid, count, |number| at_portal.handshake(portal.device(number)?.address))?;
        let issue_run = measure(portal_pid, count, |number| {
            issued(&portal, &at_portal, shape.format, turn * count + number)
        })?;
        // The first turn warms up.
        if turn > 0 {
            row.bare.runs.push(bare_run);
            row.handshake.runs.push(own_run);
            row.issue.runs.push(issue_run);
        }
    }
    Ok(row)
}

/// What is refused, and what stands still.
fn bad_input(plan: &Plan, place: &Place) -> Result<(Vec<bad::Bad>, Vec<bad::Slow>)> {
    let folder = place.work.join("portal");
    let mut portal = Operator::install("bad-input", plan.stored, Kind::P256, &folder, &place.logs)?;
    portal.serve()?;
    let client = portal.client(Tls::V13)?;
    let bad = bad::kinds(&portal, &client, plan.other_runs, plan.refusals)?;
    let slow = bad::slow(&portal, SLOW)?;
    Ok((bad, slow))
}

/// The n-th device asks and gets.
fn issued(portal: &Operator, client: &Client, format: Format, number: usize) -> Result<()> {
    let device = portal.device(number)?;
    gate::issue(client, &device, format).map(drop)
}

/// The portal at each size. The sizes are measured in turn, like servers.
fn series(plan: &Plan, place: &Place) -> Result<Vec<Size>> {
    let shape = Shape { format: Format::Xml, tls: Tls::V13, certificate: Kind::P256 };
    let mut sizes = Vec::new();
    for &stored in &plan.sizes {
        let name = format!("portal-{stored}");
        let mut portal =
            Operator::install(&name, stored, shape.certificate, &place.work.join(&name), &place.logs)?;
        portal.serve()?;
        let checked = gate::check(&mut portal, shape.format, shape.tls, &place.work);
        let not_measured = checked.err().map(|error| format!("{error:#}"));
        let size = Size { stored, issue: Measured::new("portal, issue"), rss_mib: 0.0, not_measured };
        sizes.push((portal, size));
    }
    for turn in 0..=plan.runs {
        for (portal, size) in sizes.iter_mut().filter(|(_, size)| size.not_measured.is_none()) {
            portal.hear()?;
            let client = portal.client(shape.tls)?;
            // No more than there are of the smallest, so that no device asks too often.
            let count = plan.exchanges.min(portal.stored);
            let from = turn * count;
            let run = measure(portal.server.pid()?, count, |number| {
                issued(portal, &client, shape.format, from + number)
            })?;
            if turn > 0 {
                size.rss_mib = run.rss_mib;
                size.issue.runs.push(run);
            }
        }
    }
    Ok(sizes.into_iter().map(|(_, size)| size).collect())
}

/// The scaling series.
fn picture(series: &[Size]) -> String {
    plot::svg(
        "Server CPU of an issue by stored devices",
        "stored devices",
        &[
            Panel {
                title: "an issue, server CPU µs",
                points: series.iter().map(|size| (size.stored, size.issue.cpu())).collect(),
            },
            Panel {
                title: "memory, MiB resident",
                points: series.iter().map(|size| (size.stored, Some(size.rss_mib))).collect(),
            },
        ],
    )
}
