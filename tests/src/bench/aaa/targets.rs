//! What the AAA has to reach, compared with what was measured. Nothing fails by it: a figure is a figure.

use super::report::Report;
use crate::bench::target::Target;

/// All of them.
pub(super) fn judge(report: &Report) -> Vec<Target> {
    let ratio = |row: &str, other: &str| report.row(row).and_then(|row| row.ratio(other));
    let ours = |row: &str| report.row(row).and_then(|row| row.server("portal-aaa"));
    let most = report.scale.iter().max_by_key(|size| size.stored);
    let half_open = report.half_open.iter().map(|some| some.kib_each).reduce(f64::max);
    let flat = |of: fn(&super::report::Size) -> Option<f64>| {
        let costs: Vec<f64> = report.scale.iter().filter_map(of).collect();
        Some(costs.iter().copied().reduce(f64::max)? / costs.iter().copied().reduce(f64::min)?)
    };
    let target = |what, at_most, unit, measured| Target { what, at_most, unit, measured };
    vec![
        target("full PEAP-MSCHAPv2, of FreeRADIUS", 0.30, "×", ratio("peap", "FreeRADIUS")),
        target("full PEAP-MSCHAPv2, of hostapd", 0.40, "×", ratio("peap", "hostapd")),
        target("full TTLS-PAP, of FreeRADIUS", 0.30, "×", ratio("ttls", "FreeRADIUS")),
        target("full TTLS-PAP, of hostapd", 0.40, "×", ratio("ttls", "hostapd")),
        target("resumed PEAP, of FreeRADIUS", 0.25, "×", ratio("peap-resume", "FreeRADIUS")),
        target("resumed PEAP, of hostapd", 0.45, "×", ratio("peap-resume", "hostapd")),
        target("PAP, of FreeRADIUS with SQLite", 0.20, "×", ratio("pap", "FreeRADIUS SQLite")),
        target(
            "rounds of a PEAP login",
            8.0,
            "requests",
            ours("peap").and_then(|measured| measured.median(|run| run.rounds)),
        ),
        target("memory with the most credentials stored", 80.0, "MiB", most.map(|size| size.rss_mib)),
        target("memory of a half-open conversation", 48.0, "KiB", half_open),
        target("PAP: dearest size of the series by the cheapest", 1.25, "×", flat(|size| size.pap_us)),
        target("PEAP: dearest size of the series by the cheapest", 1.25, "×", flat(|size| size.peap_us)),
    ]
}
