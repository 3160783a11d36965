//! The screen as lines of at most so many columns. Pure: what is known in, lines with their colours out.

use std::collections::VecDeque;

use super::{
    super::{
        log::line,
        table::meaning,
        text::{clock, cut, date, printable},
    },
    chart::{axis, bars, bars_of_dbm, bars_of_percent, cell, rate},
    history::{History, Rate, Sample},
};
use crate::{
    daemon::Entry,
    machine::{Carrier, State, Status},
};

/// Columns left of the charts.
const LABELS: usize = 13;
/// Rows of the traffic's chart on a small terminal.
const CHART: usize = 6;
/// Rows that are always there: everything but chart and moves.
const FIXED: usize = 14;

/// What is drawn.
pub(super) struct Scene<'a> {
    /// Seconds since 1970.
    pub(super) now: u64,
    /// None while the daemon does not run.
    pub(super) status: Option<&'a Status>,
    /// Oldest first.
    pub(super) log: &'a VecDeque<Entry>,
    pub(super) history: &'a History,
}

/// How a piece of text looks (ECMA-48 SGR).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Plain,
    Dim,
    Bold,
    /// Wi-Fi.
    Green,
    /// Cellular.
    Blue,
    /// On the way.
    Yellow,
    /// Wrong.
    Red,
    /// Head and foot.
    Bar,
}

impl Look {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => "\x1b[2m",
            Self::Bold => "\x1b[1m",
            Self::Green => "\x1b[32m",
            Self::Blue => "\x1b[34m",
            Self::Yellow => "\x1b[33m",
            Self::Red => "\x1b[31m",
            Self::Bar => "\x1b[7m",
        }
    }
}

/// A line that knows how wide it is.
struct Row {
    columns: usize,
    used: usize,
    text: String,
    colours: bool,
}

impl Row {
    /// Appends as much as there is room for.
    fn put(mut self, look: Look, text: &str) -> Self {
        let text = cut(&printable(text), self.columns - self.used);
        self.used += text.chars().count();
        // The bar is how head and foot are told from the rest; it is no colour.
        let code = if self.colours || look == Look::Bar { look.code() } else { "" };
        let end = if code.is_empty() { "" } else { "\x1b[0m" };
        self.text.extend([code, &text, end]);
        self
    }

    /// Goes on at this column.
    fn at(self, column: usize) -> Self {
        let gap = column.min(self.columns).saturating_sub(self.used);
        self.put(Look::Plain, &" ".repeat(gap))
    }
}

/// As many lines as there are rows, or fewer.
pub(super) fn draw(scene: &Scene<'_>, columns: usize, rows: usize, colours: bool) -> Vec<String> {
    let row = || Row { columns, used: 0, text: String::new(), colours };
    let mut lines = vec![bar(row(), "wifi-offload", &format!("{} UTC", date(scene.now))), row()];
    match scene.status {
        Some(status) => body(scene, status, columns, rows, &row, &mut lines),
        None => {
            lines.push(row().put(Look::Red, "  ● wifi-offloadd does not run").put(Look::Plain, ""));
            lines.push(row().put(Look::Plain, "    Start it with: systemctl start wifi-offloadd"));
        }
    }
    lines.truncate(rows.saturating_sub(1));
    while lines.len() + 1 < rows {
        lines.push(row());
    }
    let version = scene.status.map(|status| format!("wifi-offloadd {}", status.version)).unwrap_or_default();
    lines.push(bar(row(), "q quit", &version));
    lines.into_iter().map(|row| row.text).collect()
}

fn bar(row: Row, left: &str, right: &str) -> Row {
    let width = row.columns;
    let gap = width.saturating_sub(left.chars().count() + right.chars().count() + 2);
    row.put(Look::Bar, &format!(" {left}{}{right} ", " ".repeat(gap)))
}

fn body(
    scene: &Scene<'_>,
    status: &Status,
    columns: usize,
    rows: usize,
    row: &impl Fn() -> Row,
    lines: &mut Vec<Row>,
) {
    lines.push(headline(scene, status, row()));
    lines.push(row());
    lines.push(cellular(status, row()));
    lines.push(wifi(status, row()));
    lines.push(credential(status, row()));
    lines.push(trouble(status, row()));
    lines.push(row());
    let width = columns.saturating_sub(LABELS + 2);
    let samples = scene.history.last(width);
    lines.push(legend(scene, row()));
    let spare = rows.saturating_sub(FIXED + CHART + 4);
    let height = CHART + spare / 3;
    traffic(&samples, height, row, lines);
    signal(&samples, status, row, lines);
    lines.push(row());
    let room = rows.saturating_sub(lines.len() + 2);
    lines.push(row().put(Look::Bold, "  Moves").at(LABELS).put(Look::Dim, "newest first, UTC"));
    for entry in scene.log.iter().rev().take(room) {
        lines.push(moved(entry, row()));
    }
    if scene.log.is_empty() {
        lines.push(row().put(Look::Dim, "  none since wifi-offloadd was started"));
    }
}

fn headline(scene: &Scene<'_>, status: &Status, row: Row) -> Row {
    let (look, place) = match (status.state, status.carrier) {
        (State::Offloaded, _) => (Look::Green, "On Wi-Fi"),
        (State::Joining | State::LoggingIn | State::Verifying, _) => (Look::Yellow, "Moving to Wi-Fi"),
        (State::Returning, _) => (Look::Yellow, "Moving to cellular"),
        (State::NoModem | State::Locked, Carrier::None) => (Look::Red, "Offline"),
        (_, Carrier::None) => (Look::Yellow, "Waiting"),
        (_, Carrier::Cellular) => (Look::Blue, "On cellular"),
        (_, Carrier::Wifi) => (Look::Green, "On Wi-Fi"),
    };
    let since = if status.since == 0 {
        String::new()
    } else {
        format!(" for {}", span(scene.now.saturating_sub(status.since)))
    };
    let held = if status.held { "; held there by hand" } else { "" };
    let network = match (&status.wlan.ssid, status.carrier) {
        (Some(ssid), Carrier::Wifi) => format!(" \"{ssid}\""),
        _ => String::new(),
    };
    let row = row
        .put(look, "  ● ")
        .put(Look::Bold, &format!("{place}{network}"))
        .put(Look::Plain, &format!("{since}{held}"));
    // On Wi-Fi the meaning would only say so again.
    match status.state {
        State::Offloaded => row,
        state => row.put(Look::Dim, &format!("   {state}: {}", meaning(state))),
    }
}

fn cellular(status: &Status, row: Row) -> Row {
    let cellular = &status.cellular;
    let row = row.put(Look::Plain, "  Cellular").at(LABELS);
    let row = match cellular.signal_percent {
        Some(percent) => meter(row, Look::Blue, bars_of_percent(percent), &format!("{percent} %")),
        None => row.put(Look::Dim, "no signal"),
    };
    let mut parts = vec![cellular.modem.clone()];
    parts.extend(cellular.operator.as_ref().map(|operator| format!("network {operator}")));
    parts.push(match &cellular.interface {
        Some(interface) => format!("bearer {} on {interface}", cellular.bearer),
        None => format!("bearer {}", cellular.bearer),
    });
    row.at(LABELS + 14).put(Look::Plain, &parts.join(", "))
}

fn wifi(status: &Status, row: Row) -> Row {
    let wlan = &status.wlan;
    let row = row.put(Look::Plain, "  Wi-Fi").at(LABELS);
    let row = match wlan.signal_dbm {
        Some(dbm) => meter(row, Look::Green, bars_of_dbm(dbm), &format!("{dbm} dBm")),
        None => row.put(Look::Dim, "no signal"),
    };
    let mut parts = Vec::new();
    match (&wlan.ssid, &wlan.interface) {
        (Some(ssid), _) => parts.push(format!("\"{ssid}\"")),
        (None, Some(_)) => parts.push("not joined".to_owned()),
        (None, None) => parts.push("no WLAN card".to_owned()),
    }
    parts.extend(wlan.address.clone());
    parts.extend(wlan.interface.as_ref().map(|interface| format!("on {interface}")));
    if wlan.interface.is_some() && !wlan.supplicant {
        parts.push("no supplicant".to_owned());
    }
    row.at(LABELS + 14).put(Look::Plain, &parts.join(", "))
}

fn meter(row: Row, look: Look, of_four: usize, number: &str) -> Row {
    let (lit, unlit) = bars(of_four);
    row.put(look, &lit).put(Look::Dim, &unlit).put(Look::Plain, &format!(" {number}"))
}

fn credential(status: &Status, row: Row) -> Row {
    let row = row.put(Look::Plain, "  Credential").at(LABELS);
    let Some(credential) = &status.credential else { return row.put(Look::Dim, "none yet") };
    let mut parts = vec![match credential.expires_at {
        Some(end) => format!("until {} UTC", date(end)),
        None => "for the device's lifetime".to_owned(),
    }];
    parts.push(if credential.installed { "installed" } else { "not installed" }.to_owned());
    parts.push(format!("policy {}", credential.policy_version));
    if credential.renewal_due.is_some() {
        parts.push("a new one is due".to_owned());
    }
    row.put(Look::Plain, &parts.join(", "))
}

fn trouble(status: &Status, row: Row) -> Row {
    let row = row.put(Look::Plain, "  Trouble").at(LABELS);
    match &status.last_failure {
        None => row.put(Look::Dim, "none"),
        Some(failure) => row
            .put(Look::Red, &failure.code)
            .put(Look::Plain, &format!(" at {}: {}", clock(failure.at), failure.remedy)),
    }
}

fn legend(scene: &Scene<'_>, row: Row) -> Row {
    let now = scene.history.now();
    let said = |rate_: Rate| format!("↓ {}  ↑ {}", rate(rate_.received), rate(rate_.sent));
    row.put(Look::Bold, "  Traffic")
        .at(LABELS)
        .put(Look::Green, "█ ")
        .put(Look::Plain, &format!("Wi-Fi {}", said(now.wifi)))
        .at(LABELS + 33)
        .put(Look::Blue, "█ ")
        .put(Look::Plain, &format!("cellular {}", said(now.cellular)))
}

/// Columns of both links' octets, in the colour of the one that carried more.
fn traffic(samples: &[Option<Sample>], height: usize, row: &impl Fn() -> Row, lines: &mut Vec<Row>) {
    let total = |sample: &Sample| sample.wifi.both().saturating_add(sample.cellular.both());
    let end = axis(samples.iter().flatten().map(total).max().unwrap_or(0));
    for level in (0..height).rev() {
        let label = match level {
            0 => "0".to_owned(),
            level if level + 1 == height => rate(end),
            _ => String::new(),
        };
        let mut line = row().put(Look::Dim, &format!("{label:>11} {}", if level == 0 { '└' } else { '│' }));
        // Runs of one colour are one piece.
        let mut run = (Look::Plain, String::new());
        for sample in samples {
            let (look, shown) = match sample {
                None => (Look::Dim, if level == 0 { '·' } else { ' ' }),
                Some(sample) => {
                    let look =
                        if sample.wifi.both() >= sample.cellular.both() { Look::Green } else { Look::Blue };
                    (look, cell(total(sample), end, height, level))
                }
            };
            if look != run.0 {
                line = line.put(run.0, &run.1);
                run = (look, String::new());
            }
            run.1.push(shown);
        }
        lines.push(line.put(run.0, &run.1));
    }
}

/// One row for the signal of the link that carries the traffic.
fn signal(samples: &[Option<Sample>], status: &Status, row: &impl Fn() -> Row, lines: &mut Vec<Row>) {
    let wifi = status.wlan.signal_dbm.is_some();
    let (name, look) = if wifi { ("Wi-Fi dBm", Look::Green) } else { ("cellular %", Look::Blue) };
    let height = |sample: &Sample| {
        if wifi {
            // −90 dBm is nothing, −40 dBm all of it.
            sample.wifi_dbm.map(|dbm| u64::try_from((dbm + 90).clamp(1, 50)).unwrap_or(1) * 2)
        } else {
            sample.cellular_percent.map(u64::from)
        }
    };
    let drawn = samples.iter().map(|sample| match sample.as_ref().and_then(height) {
        Some(height) => cell(height, 100, 1, 0),
        None => '·',
    });
    lines.push(row().put(Look::Dim, &format!("{name:>11} ┈")).put(look, &drawn.collect::<String>()));
}

fn moved(entry: &Entry, row: Row) -> Row {
    let look = match entry.event.as_str() {
        "moved-to-wifi" => Look::Green,
        "moved-to-cellular" => Look::Blue,
        "failed" => Look::Red,
        _ => Look::Plain,
    };
    row.put(Look::Dim, &format!("  {}", clock(entry.at))).at(LABELS).put(look, &line(entry))
}

/// `2 h 5 min`, `5 min 7 s`, `7 s`, `3 d 4 h`.
fn span(secs: u64) -> String {
    let (days, hours, minutes, rest) = (secs / 86_400, secs / 3600 % 24, secs / 60 % 60, secs % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min {rest} s"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::table::tests::status;

    fn scene_lines(columns: usize, rows: usize, colours: bool) -> Vec<String> {
        let status = status();
        let entry = Entry {
            at: 1_700_000_000,
            event: "moved-to-wifi".to_owned(),
            reason: None,
            text: "to Wi-Fi \"evil\u{1b}[2J\"".to_owned(),
            times: 1,
        };
        let log = std::iter::repeat_n(entry, 40).collect();
        let scene =
            Scene { now: 1_700_000_127, status: Some(&status), log: &log, history: &History::default() };
        draw(&scene, columns, rows, colours)
    }

    #[test]
    fn it_fits_every_terminal() {
        for (columns, rows) in [(80, 24), (40, 10), (200, 60), (81, 25)] {
            let lines = scene_lines(columns, rows, false);
            assert_eq!(lines.len(), rows);
            for line in lines {
                let bare = line.replace("\x1b[7m", "").replace("\x1b[0m", "");
                assert!(bare.chars().count() <= columns && !bare.contains('\x1b'), "{bare}");
            }
        }
    }

    #[test]
    fn a_person_sees_what_matters_at_80_by_24() {
        let lines = scene_lines(80, 24, true).join("\n");
        for words in [
            "On cellular",
            "for 2 min 7 s",
            "held there by hand",
            "64 %",
            "bearer ready on wwan0",
            "Traffic",
            "Moves",
            "association-failed",
            "→ to Wi-Fi",
            "q quit",
        ] {
            assert!(lines.contains(words), "{words}\n{lines}");
        }
    }

    #[test]
    fn without_the_daemon_it_says_so() {
        let scene = Scene { now: 0, status: None, log: &VecDeque::new(), history: &History::default() };
        let lines = draw(&scene, 80, 24, false);
        assert_eq!(lines.len(), 24);
        assert!(lines.join("\n").contains("does not run"));
    }

    #[test]
    fn spans() {
        assert_eq!([7, 127, 7500, 273_600].map(span), ["7 s", "2 min 7 s", "2 h 5 min", "3 d 4 h"]);
    }
}
