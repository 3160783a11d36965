//! A text file for node_exporter's textfile collector (Prometheus text exposition format 0.0.4).
//!
//! Off unless `[metrics] file` names one. Put in place by rename, so that no half of one is ever read, and taken away at
//! an orderly end: better no figures than old ones. No identifier, network name or address is in it; every label is a
//! word of ours.

use std::{collections::BTreeMap, fmt::Write, fs, path::PathBuf, time::Duration};

use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use super::octets::octets;
use crate::{
    bus::View,
    machine::{Carrier, Note, State, Status},
    vault::replace,
};

/// Where and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// None: no metrics.
    pub file: Option<PathBuf>,
    /// Between two writes.
    pub every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { file: None, every: Duration::from_secs(60) }
    }
}

/// What has happened since the start. Pure: notes in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    to_wifi: u64,
    to_cellular: u64,
    credentials: u64,
    returns: BTreeMap<&'static str, u64>,
    failures: BTreeMap<&'static str, u64>,
}

impl Counts {
    /// Counts it.
    pub fn take(&mut self, note: &Note) {
        match note {
            Note::MovedToWifi => self.to_wifi += 1,
            Note::MovedToCellular => self.to_cellular += 1,
            Note::CredentialReceived { .. } => self.credentials += 1,
            Note::Returning { why, .. } => *self.returns.entry(why.code()).or_default() += 1,
            Note::Failed { failure, .. } => *self.failures.entry(failure.code()).or_default() += 1,
            _ => {}
        }
    }
}

/// Writes until the view's sender is dropped. Must be called inside a tokio runtime.
pub(super) fn spawn(settings: Settings, view: watch::Receiver<View>) {
    if let Some(file) = settings.file {
        tokio::spawn(run(file, settings.every, view));
    }
}

async fn run(file: PathBuf, every: Duration, mut view: watch::Receiver<View>) {
    let mut due = interval(every);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = false;
    loop {
        tokio::select! {
            _ = due.tick() => {
                let text = {
                    let view = view.borrow();
                    view.status.as_ref().map(|status| text(status, &view.counts, octets))
                };
                let Some(text) = text else { continue };
                let failed = replace(&file, text.as_bytes(), 0o644).err();
                // Said once, and again when it has worked in between.
                if let Some(error) = &failed && !told {
                    tracing::warn!(event = "metrics-failed", %error, file = %file.display(), "metrics cannot be written");
                }
                told = failed.is_some();
            }
            changed = view.changed() => if changed.is_err() {
                let _ = fs::remove_file(&file);
                return;
            }
        }
    }
}

/// The whole file.
fn text(status: &Status, counts: &Counts, octets: impl Fn(&str) -> Option<(u64, u64)>) -> String {
    let mut page = Page::default();
    page.kind("info", "gauge", "The agent.");
    page.line("info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.kind("state", "gauge", "Where the device is between cellular and Wi-Fi: 1 for the state it is in.");
    for state in State::ALL {
        page.line("state", &[("state", &state.to_string())], u8::from(status.state == state));
    }
    page.kind("state_since_timestamp_seconds", "gauge", "When it came into that state.");
    page.line("state_since_timestamp_seconds", &[], status.since);
    page.kind("carrier", "gauge", "Which link has the default route.");
    for carrier in [Carrier::None, Carrier::Cellular, Carrier::Wifi] {
        page.line("carrier", &[("link", carrier.word())], u8::from(status.carrier == carrier));
    }
    page.kind("held", "gauge", "Somebody sent it back to cellular, and it stays there.");
    page.line("held", &[], u8::from(status.held));
    page.kind("moves_total", "counter", "Moves of the default route.");
    page.line("moves_total", &[("to", "wifi")], counts.to_wifi);
    page.line("moves_total", &[("to", "cellular")], counts.to_cellular);
    page.kind("returns_total", "counter", "Ways back to cellular, by what began them.");
    page.by_reason("returns_total", &counts.returns);
    page.kind("failures_total", "counter", "What failed.");
    page.by_reason("failures_total", &counts.failures);
    page.kind("credentials_received_total", "counter", "Credentials that the portal gave.");
    page.line("credentials_received_total", &[], counts.credentials);
    if let Some(credential) = &status.credential {
        page.kind("credential_renewal_due", "gauge", "A new credential is wanted.");
        page.line("credential_renewal_due", &[], u8::from(credential.renewal_due.is_some()));
        if let Some(end) = credential.expires_at {
            page.kind("credential_expiry_timestamp_seconds", "gauge", "When the credential ends.");
            page.line("credential_expiry_timestamp_seconds", &[], end);
        }
    }
    if let Some(percent) = status.cellular.signal_percent {
        page.kind("cellular_signal_ratio", "gauge", "Quality as the modem tells it, 0 to 1.");
        page.line("cellular_signal_ratio", &[], format_args!("{}.{:02}", percent / 100, percent % 100));
    }
    if let Some(dbm) = status.wlan.signal_dbm {
        page.kind("wifi_signal_dbm", "gauge", "Of the access point in use.");
        page.line("wifi_signal_dbm", &[], dbm);
    }
    let links = [("cellular", &status.cellular.interface), ("wifi", &status.wlan.interface)];
    let carried: Vec<_> =
        links.iter().filter_map(|(link, name)| Some((*link, octets(name.as_deref()?)?))).collect();
    page.kind("link_receive_bytes_total", "counter", "Octets received by the link's interface.");
    carried.iter().for_each(|(link, (rx, _))| page.line("link_receive_bytes_total", &[("link", link)], rx));
    page.kind("link_transmit_bytes_total", "counter", "Octets sent by the link's interface.");
    carried.iter().for_each(|(link, (_, tx))| page.line("link_transmit_bytes_total", &[("link", link)], tx));
    page.0
}

/// The text as it grows. Labels are words of ours: nothing in them needs escaping.
#[derive(Default)]
struct Page(String);

impl Page {
    fn kind(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "# HELP wifi_offload_{name} {help}\n# TYPE wifi_offload_{name} {kind}\n");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "wifi_offload_{name}{labels} {value}");
    }

    fn by_reason(&mut self, name: &str, counts: &BTreeMap<&'static str, u64>) {
        counts.iter().for_each(|(reason, count)| self.line(name, &[("reason", reason)], count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ctl::table::tests::status,
        machine::{Failure, ReturnReason},
    };

    #[test]
    fn figures_and_no_identifier() {
        let mut counts = Counts::default();
        let failed = Note::Failed { failure: Failure::NoDhcp, text: "secret detail".to_owned() };
        let returning = Note::Returning { why: ReturnReason::SignalLow, signal_dbm: None };
        for note in [&Note::MovedToWifi, &failed, &failed, &returning, &Note::MovedToCellular] {
            counts.take(note);
        }
        let shown = text(&status(), &counts, |name| (name == "wwan0").then_some((7, 8)));
        for line in [
            "wifi_offload_state{state=\"armed\"} 1",
            "wifi_offload_state{state=\"offloaded\"} 0",
            "wifi_offload_carrier{link=\"cellular\"} 1",
            "wifi_offload_moves_total{to=\"wifi\"} 1",
            "wifi_offload_returns_total{reason=\"signal-low\"} 1",
            "wifi_offload_failures_total{reason=\"no-dhcp\"} 2",
            "wifi_offload_cellular_signal_ratio 0.64",
            "wifi_offload_credential_expiry_timestamp_seconds 1800000000",
            "wifi_offload_link_receive_bytes_total{link=\"cellular\"} 7",
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
        }
        let status = status();
        let credential = status.credential.expect("one");
        for hidden in [
            credential.username.as_str(),
            status.wlan.mac.as_deref().expect("one"),
            status.cellular.imsi_masked.as_deref().expect("one"),
            "secret detail",
            "wwan0",
            "wlan1",
        ] {
            assert!(!shown.contains(hidden), "{hidden}\n{shown}");
        }
        // Each has its kind before it.
        for line in shown.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().expect("a name");
            assert!(shown.contains(&format!("# TYPE {name} ")), "{line}");
        }
    }

    #[tokio::test]
    async fn the_file_comes_and_goes_with_the_agent() {
        let dir = tempfile::tempdir().expect("directory");
        let file = dir.path().join("wifi-offload.prom");
        let view = View { status: Some(status()), ..View::default() };
        let (sender, receiver) = watch::channel(view);
        let writer = tokio::spawn(run(file.clone(), Duration::from_millis(5), receiver));
        while !file.exists() {
            tokio::task::yield_now().await;
        }
        assert!(fs::read_to_string(&file).expect("reads").ends_with('\n'));
        drop(sender);
        writer.await.expect("ends");
        assert!(!file.exists());
    }
}
