//! `cargo lab bench aaa`: what a login costs, here and at FreeRADIUS and hostapd, in turn in one run.
//!
//! The primary figure is the server's CPU time per login. On a shared machine even that moves, so figures are compared
//! within a run only: every row starts its servers, asks [`gate`] whether they are correct, and then measures them in
//! turn, several times. The generator ([`generator`], [`login`]) is the same for all, as are users and certificate.

mod contestant;
mod gate;
mod generator;
mod login;
mod reply;
mod report;
mod run;
mod scale;
mod shape;
mod table;
mod targets;
mod trust;

use std::{fs, path::PathBuf};

use anyhow::Result;

use contestant::{Contestant, Kin, certificate};
use report::{Report, Row, Size};
use run::Measured;
use shape::{Mode, Shape};
use trust::Trust;

use super::{
    plot::{self, Panel},
    stock::Stock,
};
use crate::{
    packages,
    peers::{certificate::Kind, eapol::Tls, private_folder},
    progress, workshop,
};

/// How much is done.
struct Plan {
    /// Runs of each server in a row that a target needs.
    runs: usize,
    /// Runs in the other rows.
    other_runs: usize,
    /// Logins of a run, as a part of what [`Mode::logins`] says.
    logins_divisor: u64,
    /// Credentials stored at portal-aaa.
    stored: usize,
    /// Sizes of the scaling series.
    sizes: &'static [usize],
    /// Half-open conversations.
    half_open: usize,
    /// Rows beyond those that the targets need.
    all_rows: bool,
}

const FULL: Plan = Plan {
    runs: 5,
    other_runs: 3,
    logins_divisor: 1,
    stored: 1_000_000,
    sizes: &[1_000, 10_000, 100_000, 1_000_000],
    half_open: 2_000,
    all_rows: true,
};

const QUICK: Plan = Plan {
    runs: 3,
    other_runs: 3,
    logins_divisor: 4,
    stored: 100_000,
    sizes: &[1_000, 10_000, 100_000],
    half_open: 1_000,
    all_rows: false,
};

/// Where things are.
struct Place {
    work: PathBuf,
    logs: PathBuf,
    out: PathBuf,
}

/// Measures and reports; true where portal-aaa was correct in every row.
pub(super) fn run(quick: bool, json: bool, only: Option<&str>) -> Result<bool> {
    packages::ensure(packages::AAA)?;
    workshop::build_shipped(&["portal-aaa"])?;
    let plan = if quick { QUICK } else { FULL };
    let out = workshop::out("bench-aaa")?;
    let place = Place { work: workshop::cache("bench-aaa-work")?, logs: out.join("log"), out };
    private_folder(&place.work)?;
    fs::create_dir_all(&place.logs)?;
    let mut report = Report::new(quick);
    let stock = Stock::of(plan.stored)?;
    let wanted = |name: &str| only.is_none_or(|only| name.contains(only));
    for (name, shape, field) in rows(plan.all_rows).filter(|(name, ..)| wanted(name)) {
        private_folder(&place.work)?;
        let title = format!("{name}: {}", field.iter().map(|kin| kin.name()).collect::<Vec<_>>().join(", "));
        let row = progress::step(&title, || row(&name, shape, &field, &stock, &plan, &place))?;
        eprint!("{}", table::lines(&row));
        report.rows.push(row);
    }
    if wanted("scale") {
        report.scale =
            progress::step("cost by number of stored credentials", || scale::series(&plan, &place))?;
        fs::write(place.out.join("scale.svg"), picture(&report.scale))?;
    }
    if wanted("half-open") {
        report.half_open =
            progress::step("memory of half-open conversations", || scale::half_open(&stock, &plan, &place))?;
    }
    private_folder(&place.work)?;
    report.finish();
    fs::write(place.out.join("results.json"), serde_json::to_string_pretty(&report)?)?;
    let text = table::markdown(&report);
    fs::write(place.out.join("results.md"), &text)?;
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("\n{text}\n{}", place.out.display());
    }
    Ok(report.is_correct())
}

fn rows(all: bool) -> impl Iterator<Item = (String, Shape, Vec<Kin>)> {
    use Kin::{FreeRadius, FreeRadiusCache, FreeRadiusSql, Hostapd, Ours};
    let three = [FreeRadius, Hostapd, Ours];
    let mut rows = Vec::new();
    let mut add = |name: &str, mode, tls, certificate, field: &[Kin]| {
        rows.push((name.to_owned(), Shape { mode, tls, certificate }, field.to_vec()));
    };
    // portal-aaa and hostapd keep every session; FreeRADIUS is measured both ways.
    let four = [FreeRadius, FreeRadiusCache, Hostapd, Ours];
    for mode in [Mode::Peap, Mode::Ttls] {
        add(mode.name(), mode, Tls::V12, Kind::P256, &four);
    }
    for mode in [Mode::PeapResume, Mode::TtlsResume] {
        add(mode.name(), mode, Tls::V12, Kind::P256, &three);
    }
    add("pap", Mode::Pap, Tls::V12, Kind::P256, &[FreeRadiusSql, Ours]);
    if all {
        add("peap-sqlite", Mode::Peap, Tls::V12, Kind::P256, &[FreeRadiusSql, Ours]);
        for mode in [Mode::Peap, Mode::Ttls, Mode::PeapResume, Mode::TtlsResume] {
            add(&format!("{}-tls13", mode.name()), mode, Tls::V13, Kind::P256, &three);
        }
        for mode in [Mode::Peap, Mode::Ttls, Mode::PeapResume] {
            add(&format!("{}-rsa", mode.name()), mode, Tls::V12, Kind::Rsa, &three);
        }
    }
    rows.into_iter()
}

fn row(name: &str, shape: Shape, field: &[Kin], stock: &Stock, plan: &Plan, place: &Place) -> Result<Row> {
    let certificate = certificate(&place.work, shape.certificate)?;
    let trust = Trust::load(&certificate.ca)?;
    let logs = folder(place, name)?;
    let many = !shape.mode.resumes() && field.iter().all(|kin| kin.knows_many());
    let mut measured = Vec::new();
    let mut fit = Vec::new();
    for &kin in field {
        let started = Contestant::start(kin, shape, stock, many, &certificate, &place.work, &logs);
        let server = started.and_then(|mut server| {
            gate::check(&mut server, shape, &trust, &certificate, &place.work).map(|()| server)
        });
        let not_measured = server.as_ref().err().map(|error| format!("{error:#}"));
        measured.push(Measured { server: kin.name(), runs: Vec::new(), not_measured });
        fit.push(server.ok());
    }
    let logins = shape.mode.logins() / plan.logins_divisor;
    let usual = shape.tls == Tls::V12 && shape.certificate == Kind::P256;
    for _ in 0..if usual { plan.runs } else { plan.other_runs } {
        for (server, measured) in fit.iter_mut().zip(&mut measured) {
            let Some(contestant) = server else { continue };
            match contestant.measure(shape, &trust, logins) {
                Ok(run) => measured.runs.push(run),
                Err(error) => {
                    measured.not_measured = Some(format!("{error:#}"));
                    measured.runs.clear();
                    *server = None;
                }
            }
        }
    }
    Ok(Row::new(name, shape, measured))
}

/// The scaling series, in two panels.
fn picture(series: &[Size]) -> String {
    let panel = |title, of: fn(&Size) -> Option<f64>| Panel {
        title,
        points: series.iter().map(|size| (size.stored, of(size))).collect(),
    };
    plot::svg(
        "Server CPU of a login by stored credentials",
        "stored credentials",
        &[
            panel("PAP, server CPU µs a login", |size| size.pap_us),
            panel("PEAP-MSCHAPv2, server CPU µs a login", |size| size.peap_us),
        ],
    )
}

/// Where the logs of a row or series go.
fn folder(place: &Place, name: &str) -> Result<PathBuf> {
    let path = place.logs.join(name);
    fs::create_dir_all(&path)?;
    Ok(path)
}
