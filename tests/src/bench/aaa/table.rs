//! The report for people: Markdown, which also reads well in a terminal.

use std::fmt::Write as _;

use super::{
    report::{Report, Row},
    run::Measured,
};
use crate::bench::target;

const HEAD: &str = "\
| row | server | CPU µs a login | min–max | in the kernel | scheduler's µs | ours is | logins/s | rounds | RSS MiB | generator µs | other cores |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
";

/// All of it.
pub(super) fn markdown(report: &Report) -> String {
    let mut text = String::from("# What a login costs\n\n");
    let _ = writeln!(
        text,
        "Server CPU (user and system, all threads) per login, medians of runs made in turn on {} cores shared with the \
         generator; load average before: {}. Compare within a row only.{}\n",
        report.cores,
        report.load_before,
        if report.quick { " **Quick look: too few logins to quote.**" } else { "" },
    );
    text.push_str(HEAD);
    report.rows.iter().for_each(|row| text.push_str(&lines(row)));
    if !report.scale.is_empty() {
        text.push_str("\n| stored credentials | PAP µs | PEAP µs | RSS MiB |\n|---:|---:|---:|---:|\n");
        for size in &report.scale {
            let cost = |cost: Option<f64>| cost.map_or("–".to_owned(), |cost| format!("{cost:.1}"));
            let (pap, peap) = (cost(size.pap_us), cost(size.peap_us));
            let _ = writeln!(text, "| {} | {pap} | {peap} | {:.1} |", size.stored, size.rss_mib);
            if let Some(why) = &size.not_measured {
                let _ = writeln!(text, "\n{} stored: not measured: {why}\n", size.stored);
            }
        }
    }
    for open in &report.half_open {
        let _ = writeln!(
            text,
            "\n{} conversations left after {}: {:.1} KiB each.",
            open.conversations, open.left, open.kib_each
        );
    }
    text.push_str(&target::table(&report.targets));
    text
}

/// A row's lines.
pub(super) fn lines(row: &Row) -> String {
    let mut text = String::new();
    for measured in &row.servers {
        let shape = match (row.tls, row.certificate) {
            (Some(tls), Some(certificate)) => format!("{} (TLS {tls}, {certificate})", row.name),
            _ => row.name.clone(),
        };
        let _ = writeln!(text, "| {shape} | {} | {} |", measured.server, figures(row, measured));
    }
    text
}

fn figures(row: &Row, measured: &Measured) -> String {
    if let Some(why) = &measured.not_measured {
        return format!(
            "not measured: {} | | | | | | | | |",
            why.lines().take(2).collect::<Vec<_>>().join(" ")
        );
    }
    let of = |of: fn(&super::run::Run) -> f64| measured.median(of).unwrap_or_default();
    let (least, most) = measured.range();
    let ratio = row
        .ratio(measured.server)
        .filter(|_| measured.server != "portal-aaa")
        .map_or("".to_owned(), |ratio| format!("{ratio:.2}"));
    format!(
        "{:.1} | {least:.0}–{most:.0} | {:.1} | {:.1} | {ratio} | {:.0} | {:.2} | {:.1} | {:.1} | {:.2}",
        of(|run| run.server_cpu_us),
        of(|run| run.server_system_us),
        of(|run| run.server_scheduled_us),
        of(|run| run.logins_per_sec),
        of(|run| run.rounds),
        of(|run| run.rss_mib),
        of(|run| run.generator_cpu_us),
        of(|run| run.other_cores),
    )
}
