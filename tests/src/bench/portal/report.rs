//! Everything that a run found: `results.json`, and Markdown for people.

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    bad::{Bad, Slow},
    leaks::Searched,
    load::Measured,
};
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
    /// What bad input costs.
    pub(super) bad: Vec<Bad>,
    /// Connections that stand still.
    pub(super) slow: Vec<Slow>,
    /// Secrets in what can be read.
    pub(super) leaks: Option<Searched>,
    /// What went wrong with the three above.
    pub(super) failed: Vec<String>,
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
            bad: Vec::new(),
            slow: Vec::new(),
            leaks: None,
            failed: Vec::new(),
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
            target("the dearest refusal, of an issue", 1.0, "×", self.dearest()),
            target("secrets found", 0.0, "", self.leaks.as_ref().map(|leaks| leaks.found.len() as f64)),
        ];
    }

    /// Of an issue measured in the same run.
    fn of_issue(&self, bad: &Bad) -> Option<f64> {
        let main = self.rows.iter().find(|row| row.name == super::MAIN)?;
        Some(bad.cost.cpu()? / main.issue.cpu()?)
    }

    fn dearest(&self) -> Option<f64> {
        self.bad.iter().filter_map(|bad| self.of_issue(bad)).reduce(f64::max)
    }

    /// Everything that was measured was correct.
    pub(super) fn is_correct(&self) -> bool {
        self.rows.iter().all(|row| row.not_measured.is_none())
            && self.scale.iter().all(|size| size.not_measured.is_none())
            && self.failed.is_empty()
            && self.leaks.as_ref().is_none_or(|leaks| leaks.found.is_empty())
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
        self.more(&mut text);
        text + &target::table(&self.targets)
    }

    fn more(&self, text: &mut String) {
        if !self.bad.is_empty() {
            text.push_str(
                "\n| bad input | status | flaw | field | CPU µs to refuse | of an issue |\n|---|---:|---|---|---:|---:|\n",
            );
        }
        for bad in &self.bad {
            let (cost, ratio) = (bad.cost.cpu().unwrap_or_default(), self.of_issue(bad));
            let ratio = ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
            let Bad { name, status, flaw, field, .. } = bad;
            let _ = writeln!(text, "| {name} | {status} | {flaw} | {field} | {cost:.0} | {ratio} |");
        }
        for slow in &self.slow {
            let Slow { at, connections, ended_secs, kib_each } = slow;
            let _ = writeln!(
                text,
                "\n{connections} connections that stand still {at}: all ended after {ended_secs:.1} s, {kib_each:.1} KiB each; \
                 others were served."
            );
        }
        if let Some(leaks) = &self.leaks {
            let Searched { secrets, spellings, during, octets, issued, refused, found } = leaks;
            let _ = writeln!(
                text,
                "\n{secrets} IMSIs, IMEIs, MSISDNs and passwords in {spellings} spellings, searched {during} times while {issued} \
                 credentials were issued and {refused} requests refused, and in {} MiB at the end: {} found.",
                octets >> 20,
                found.len()
            );
            for one in found.iter().take(20) {
                let _ = writeln!(text, "\n- **{one}**");
            }
        }
        for failed in &self.failed {
            let _ = writeln!(text, "\n**failed: {failed}**");
        }
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
