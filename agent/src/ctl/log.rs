//! `offloadctl log` for people. Pure: JSON in, lines out.

use std::fmt::Write;

use super::text::{WIDTH, cut, date, printable};
use crate::daemon::Entry;

/// Columns of the time, with its gap.
const TIMES: usize = 21;

/// Lines for a terminal, oldest first.
pub(super) fn of(json: &str) -> String {
    let entries: Vec<Entry> = match serde_json::from_str(json) {
        Ok(entries) => entries,
        // Of another version.
        Err(_) => return format!("{json}\n"),
    };
    if entries.is_empty() {
        return "Nothing has happened since wifi-offloadd was started.\n".to_owned();
    }
    let mut text = String::new();
    for entry in &entries {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:<20} {}", date(entry.at), cut(&line(entry), WIDTH - TIMES));
    }
    text.push_str("Times are UTC.\n");
    text
}

/// What happened, in one line.
pub(super) fn line(entry: &Entry) -> String {
    let sign = match entry.event.as_str() {
        "moved-to-wifi" | "moved-to-cellular" => "→",
        "failed" => "✗",
        _ => "·",
    };
    let times = if entry.times > 1 { format!(" ({} times)", entry.times) } else { String::new() };
    let said = match (&entry.reason, entry.event.as_str()) {
        (Some(reason), "failed") => format!("{reason}{times}: {}", entry.text),
        (Some(reason), _) => format!("{}: {reason}{times}", entry.text),
        (None, _) => format!("{}{times}", entry.text),
    };
    format!("{sign} {}", printable(&said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_failures_and_repetitions_fit_a_terminal() {
        let entry = |event: &str, reason: Option<&str>, text: &str, times| Entry {
            at: 1_700_000_000,
            event: event.to_owned(),
            reason: reason.map(str::to_owned),
            text: text.to_owned(),
            times,
        };
        let entries = [
            entry("moved-to-wifi", None, "to Wi-Fi \"corp\", sensed at -60 dBm", 1),
            entry("moved-to-cellular", Some("signal-low"), "to cellular", 1),
            entry("failed", Some("no-dhcp"), &format!("evil\u{1b}[2J{}", "x".repeat(99)), 3),
        ];
        let shown = of(&serde_json::to_string(&entries).expect("JSON"));
        let mut lines = shown.lines();
        assert_eq!(lines.next(), Some("2023-11-14 22:13:20  → to Wi-Fi \"corp\", sensed at -60 dBm"));
        assert_eq!(lines.next(), Some("2023-11-14 22:13:20  → to cellular: signal-low"));
        assert!(shown.contains("✗ no-dhcp (3 times): evil\u{fffd}[2Jxxx"), "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= WIDTH), "{shown}");
        assert!(of("[]").contains("Nothing"));
    }
}
