//! Everything that a run found: `results.json`, and Markdown for people.

use std::fmt::Write as _;

use serde::Serialize;

use super::load::Measured;
use crate::bench::{
    process,
    target::{self, Target},
};

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Less was done than a figure to quote needs.
    pub(super) quick: bool,
    /// Of the machine.
    pub(super) cores: usize,
    /// Load average of a minute when it began.
    pub(super) load_before: String,
    /// SQLite's durability, as the program sets it.
    pub(super) synchronous: &'static str,
    /// Portal and bare server side by side.
    pub(super) rows: Vec<Row>,
    /// The portal by stored devices.
    pub(super) scale: Vec<Size>,
    /// What has to be reached.
    pub(super) targets: Vec<Target>,
}

/// Portal and bare server side by side.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    /// Unique.
    pub(super) name: String,
    /// Encoding of the messages.
    pub(super) format: &'static str,
    /// TLS version.
    pub(super) tls: &'static str,
    /// Kind of the certificate.
    pub(super) certificate: &'static str,
    /// Devices stored.
    pub(super) stored: usize,
    /// A handshake at the bare server.
    pub(super) bare: Measured,
    /// A handshake at the portal, and nothing after it.
    pub(super) handshake: Measured,
    /// A credential.
    pub(super) issue: Measured,
    /// Why something is missing.
    pub(super) not_measured: Option<String>,
}

/// The portal with so many devices stored.
#[derive(Debug, Serialize)]
pub(super) struct Size {
    /// Devices: credentials and subscribers each.
    pub(super) stored: usize,
    /// A credential.
    pub(super) issue: Measured,
    /// Resident after that.
    pub(super) rss_mib: f64,
    /// Why something is missing.
    pub(super) not_measured: Option<String>,
}

impl Row {
    /// Of a bare handshake.
    pub(super) fn ratio(&self) -> Option<f64> {
        Some(self.issue.cpu()? / self.bare.cpu()?)
    }
}

impl Report {
    /// An empty one.
    pub(super) fn new(quick: bool) -> Self {
        Self {
            quick,
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            load_before: process::load(),
            synchronous: "FULL, write-ahead log",
            rows: Vec::new(),
            scale: Vec::new(),
            targets: Vec::new(),
        }
    }

    /// Compares with what has to be reached.
    pub(super) fn finish(&mut self) {
        let main = self.rows.iter().find(|row| row.name == super::MAIN);
        let costs: Vec<f64> = self.scale.iter().filter_map(|size| size.issue.cpu()).collect();
        let flat = (costs.len() > 1)
            .then(|| Some(costs.iter().copied().reduce(f64::max)? / costs.iter().copied().reduce(f64::min)?))
            .flatten();
        let target = |what, at_most, unit, measured| Target { what, at_most, unit, measured };
        self.targets = vec![
            target("an issue, of a bare TLS handshake", 2.5, "×", main.and_then(Row::ratio)),
            target("an issue: dearest size of the series by the cheapest", 1.25, "×", flat),
        ];
    }

    /// Everything that was measured was correct.
    pub(super) fn is_correct(&self) -> bool {
        self.rows.iter().all(|row| row.not_measured.is_none())
            && self.scale.iter().all(|size| size.not_measured.is_none())
    }

    /// For people.
    pub(super) fn markdown(&self) -> String {
        let mut text = String::from("# What a credential costs\n\n");
        let _ = writeln!(
            text,
            "Server CPU (user and system, all threads) per exchange, medians of runs made in turn on {} cores shared with \
             the generator; load average before: {}. SQLite, synchronous {}. Compare within a row only.{}\n",
            self.cores,
            self.load_before,
            self.synchronous,
            if self.quick { " **Quick look: too few exchanges to quote.**" } else { "" },
        );
        text.push_str(HEAD);
        self.rows.iter().for_each(|row| text.push_str(&lines(row)));
        if !self.scale.is_empty() {
            text.push_str("\n| stored devices | an issue, µs | min–max | RSS MiB |\n|---:|---:|---:|---:|\n");
            for size in &self.scale {
                let cost = size.issue.cpu().map_or("–".to_owned(), |cost| format!("{cost:.0}"));
                let (least, most) = size.issue.range();
                let _ = writeln!(
                    text,
                    "| {} | {cost} | {least:.0}–{most:.0} | {:.1} |",
                    size.stored, size.rss_mib
                );
                if let Some(why) = &size.not_measured {
                    let _ = writeln!(text, "\n{} stored: not measured: {why}\n", size.stored);
                }
            }
        }
        text + &target::table(&self.targets)
    }
}

const HEAD: &str = "\
| row | what | CPU µs | min–max | in the kernel | of bare | a second | RSS MiB | generator µs | other cores |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|
";

/// A row's lines.
pub(super) fn lines(row: &Row) -> String {
    let mut text = String::new();
    for measured in [&row.bare, &row.handshake, &row.issue] {
        let of = |of: fn(&super::load::Run) -> f64| measured.median(of).unwrap_or_default();
        let (least, most) = measured.range();
        let ratio = measured.cpu().zip(row.bare.cpu()).map_or(0.0, |(cost, bare)| cost / bare);
        let _ = writeln!(
            text,
            "| {} (TLS {}, {}, {} stored) | {} | {:.0} | {least:.0}–{most:.0} | {:.0} | {ratio:.2} | {:.0} | {:.1} | {:.0} | {:.2} |",
            row.name,
            row.tls,
            row.certificate,
            row.stored,
            measured.name,
            of(|run| run.cpu_us),
            of(|run| run.system_us),
            of(|run| run.per_sec),
            of(|run| run.rss_mib),
            of(|run| run.generator_us),
            of(|run| run.other_cores),
        );
    }
    if let Some(why) = &row.not_measured {
        let _ = writeln!(text, "\n{}: not measured: {why}\n", row.name);
    }
    text
}
