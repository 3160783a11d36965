//! What happened, read from the logs that the real programs write: one table of events.
//!
//! A row fits one event of one program; the rows stand in the order in which a whole offload and return goes. What
//! a step says comes from the event's own fields, its time from the event's own time stamp.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::Step;
use crate::text::Follower;

/// A program that writes JSON lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// wifi-offloadd.
    Agent,
    /// portal-aaa.
    Operator,
    /// The gateway of an open network.
    Gateway,
}

/// One row.
struct Row {
    id: &'static str,
    source: Source,
    event: &'static str,
    what: &'static str,
    /// Fields of the event that prove it, each with how it is shown: `{}` stands for the value.
    evidence: &'static [(&'static str, &'static str)],
}

const fn agent(
    id: &'static str,
    event: &'static str,
    what: &'static str,
    evidence: &'static [(&'static str, &'static str)],
) -> Row {
    Row { id, source: Source::Agent, event, what, evidence }
}

const fn operator(
    id: &'static str,
    event: &'static str,
    what: &'static str,
    evidence: &'static [(&'static str, &'static str)],
) -> Row {
    Row { id, source: Source::Operator, event, what, evidence }
}

const fn gateway(
    id: &'static str,
    event: &'static str,
    what: &'static str,
    evidence: &'static [(&'static str, &'static str)],
) -> Row {
    Row { id, source: Source::Gateway, event, what, evidence }
}

/// Patent FIG. 6: an open network with a WISPr gateway. As FIG. 2 up to the login, and then its own numbers.
const FIG_6: &[Row] = &[
    agent("52", "started", "the offload agent is on the device", &[("version", "{}")]),
    agent(
        "50",
        "cellular-up",
        "attached; cellular carries traffic",
        &[("imsi", "IMSI {}"), ("operator", "network {}"), ("interface", "by {}"), ("address", "{}")],
    ),
    agent(
        "54",
        "credential-requested",
        "the agent sends its identifiers to the portal",
        &[("imsi", "IMSI {}"), ("imei", "IMEI {}"), ("mac", "WLAN {}")],
    ),
    operator("56", "request-received", "the portal receives them", &[("source", "from {}")]),
    operator("58", "credential-generated", "the portal makes username and password", &[("username", "{}")]),
    operator(
        "60",
        "credential-stored",
        "the subscriber database holds the record",
        &[("store", "in {}"), ("mac", "for WLAN {}")],
    ),
    operator("62", "credential-issued", "the portal sends credential and policy", &[("source", "to {}")]),
    agent("64", "credential-received", "the agent receives them", &[("username", "{}")]),
    agent("68", "credential-installed", "the open network is known, disabled", &[("username", "for {}")]),
    agent("67", "network-sensed", "the open network is sensed", &[("ssid", "{}"), ("signal_dbm", "{} dBm")]),
    agent("112", "connected", "associated to its SSID, open", &[("cipher", "cipher {}"), ("bssid", "at {}")]),
    agent("112", "wlan-address", "an address by DHCP", &[("address", "{}")]),
    agent("114", "logging-in", "the agent asks the gateway for a login", &[("ssid", "of {}")]),
    gateway(
        "114",
        "hotspot-redirected",
        "the gateway holds the probe, and says where",
        &[("address", "from {}")],
    ),
    gateway(
        "114",
        "hotspot-login-page",
        "username and password over HTTPS, to the gateway",
        &[("username", "{}"), ("address", "from {}")],
    ),
    gateway(
        "116",
        "hotspot-asks-aaa",
        "the gateway asks the AAA by PAP, with the MAC",
        &[("method", "{}"), ("mac", "MAC {}")],
    ),
    operator(
        "116",
        "login-accepted",
        "the AAA knows password and MAC: Accept",
        &[("method", "{}"), ("mac", "from {}"), ("nas", "by {}")],
    ),
    gateway(
        "118",
        "hotspot-opened",
        "the gateway opens this MAC and address",
        &[("mac", "{}"), ("address", "{}")],
    ),
    gateway("118", "hotspot-accounting-started", "accounting has started", &[("session", "session {}")]),
    agent(
        "118",
        "logged-on",
        "the agent is let through, and has seen that it is",
        &[("gateway", "by {}"), ("location", "at {}"), ("ends_in_secs", "for {} s")],
    ),
    agent("probe", "probe-online", "the Internet answers by Wi-Fi", &[]),
    agent("move", "moved-to-wifi", "the default route moves to Wi-Fi", &[]),
    agent("down", "cellular-down", "old connections have drained; cellular is disconnected", &[]),
    agent("fade", "returning", "Wi-Fi fades", &[("reason", "{}"), ("signal_dbm", "{} dBm")]),
    agent(
        "up",
        "cellular-up",
        "cellular is up again, before Wi-Fi is left",
        &[("interface", "by {}"), ("address", "{}")],
    ),
    agent("back", "moved-to-cellular", "the default route moves back", &[]),
    gateway("off", "hotspot-closed", "logged off: the gateway holds the address again", &[("address", "{}")]),
    gateway("off", "hotspot-accounting-stopped", "accounting has ended", &[("seconds", "after {} s")]),
    agent("off", "logged-off", "the gateway has said so", &[("confirmed", "confirmed: {}")]),
    agent("left", "wifi-left", "Wi-Fi is left", &[]),
];

/// Patent FIG. 2, and then what it leaves open: the move, and the way back.
const TABLE: &[Row] = &[
    agent("52", "started", "the offload agent is on the device", &[("version", "{}")]),
    agent(
        "50",
        "cellular-up",
        "attached; cellular carries traffic",
        &[("imsi", "IMSI {}"), ("operator", "network {}"), ("interface", "by {}"), ("address", "{}")],
    ),
    agent(
        "54",
        "credential-requested",
        "the agent sends its identifiers to the portal",
        &[("imsi", "IMSI {}"), ("imei", "IMEI {}"), ("mac", "WLAN {}")],
    ),
    operator("56", "request-received", "the portal receives them", &[("source", "from {}")]),
    operator(
        "56",
        "identity-proved",
        "the packet gateway's accounting proves them",
        &[("proof", "by {}"), ("imsi", "IMSI {}")],
    ),
    operator("58", "credential-generated", "the portal makes username and password", &[("username", "{}")]),
    operator(
        "60",
        "credential-stored",
        "the subscriber database holds the record",
        &[("store", "in {}"), ("mac", "for WLAN {}")],
    ),
    operator(
        "62",
        "credential-issued",
        "the portal sends credential and policy",
        &[("source", "to {}"), ("mac", "for WLAN {}")],
    ),
    agent("64", "credential-received", "the agent receives them", &[("username", "{}")]),
    agent("68", "credential-installed", "the supplicant holds them, disabled", &[("username", "{}")]),
    agent(
        "67",
        "network-sensed",
        "the operator's Wi-Fi is sensed",
        &[("ssid", "{}"), ("signal_dbm", "{} dBm")],
    ),
    operator(
        "70",
        "login-accepted",
        "the AAA accepts the login",
        &[("method", "{}"), ("tls", "{}"), ("tls_version", "{}"), ("mac", "from {}"), ("nas", "by {}")],
    ),
    agent(
        "70",
        "connected",
        "Wi-Fi is authenticated and encrypted",
        &[("cipher", "{}"), ("tls_version", "{}"), ("bssid", "at {}")],
    ),
    agent("address", "wlan-address", "Wi-Fi has an address", &[("address", "{}")]),
    agent("probe", "probe-online", "the Internet answers by Wi-Fi", &[]),
    agent("move", "moved-to-wifi", "the default route moves to Wi-Fi", &[]),
    agent("down", "cellular-down", "old connections have drained; cellular is disconnected", &[]),
    agent("fade", "returning", "Wi-Fi fades", &[("reason", "{}"), ("signal_dbm", "{} dBm")]),
    agent(
        "up",
        "cellular-up",
        "cellular is up again, before Wi-Fi is left",
        &[("interface", "by {}"), ("address", "{}")],
    ),
    agent("back", "moved-to-cellular", "the default route moves back", &[]),
    agent("left", "wifi-left", "Wi-Fi is left", &[]),
];

/// Events that say that something went wrong, best informed first.
const TROUBLE: &[(Source, &str)] = &[
    (Source::Operator, "login-refused"),
    (Source::Operator, "credential-refused"),
    (Source::Agent, "failed"),
];

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Place in the list of who knows best; lower knows better.
    pub(crate) rank: usize,
    /// Stable code.
    pub(crate) reason: String,
    /// In words.
    pub(crate) text: String,
}

/// What an event means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The next row of the table that it fits.
    Step(Step),
    /// Something went wrong.
    Trouble(Trouble),
}

/// Reads the logs of both programs.
pub(crate) struct Story {
    table: &'static [Row],
    logs: Vec<(Source, Follower)>,
    seen: Vec<bool>,
    began_ms: Option<u64>,
}

impl Story {
    /// FIG. 2 in these logs, from what is written next.
    pub(crate) fn fig_2(agent: &Path, operator: &Path) -> Self {
        Self::new(TABLE, &[(Source::Agent, agent), (Source::Operator, operator)])
    }

    /// FIG. 6 in these logs, from what is written next.
    pub(crate) fn fig_6(agent: &Path, operator: &Path, gateway: &Path) -> Self {
        Self::new(FIG_6, &[(Source::Agent, agent), (Source::Operator, operator), (Source::Gateway, gateway)])
    }

    fn new(table: &'static [Row], logs: &[(Source, &Path)]) -> Self {
        Self {
            table,
            logs: logs.iter().map(|(source, log)| (*source, Follower::from_now(log))).collect(),
            seen: vec![false; table.len()],
            began_ms: None,
        }
    }

    /// What was written since the last call, in the order of its time.
    pub(crate) fn news(&mut self) -> Result<Vec<Meaning>> {
        let mut events = Vec::new();
        for (source, log) in &mut self.logs {
            for line in log.lines()? {
                if let Some((at, event)) = parse(&line) {
                    events.push((at, *source, event));
                }
            }
        }
        events.sort_by_key(|(at, ..)| *at);
        Ok(events.into_iter().filter_map(|(at, source, event)| self.meaning(at, source, &event)).collect())
    }

    /// Whether every row up to and including the last of this id has been seen.
    pub(crate) fn reached(&self, id: &str) -> bool {
        let last = self.table.iter().rposition(|row| row.id == id);
        last.is_some_and(|last| self.seen.iter().take(last + 1).all(|&seen| seen))
    }

    /// The first row that was not seen.
    pub(crate) fn missing(&self) -> Option<(&'static str, &'static str)> {
        self.table.iter().zip(&self.seen).find(|(_, seen)| !**seen).map(|(row, _)| (row.id, row.what))
    }

    fn meaning(&mut self, at: u64, source: Source, event: &Value) -> Option<Meaning> {
        let name = event.get("event").and_then(Value::as_str)?;
        let began = *self.began_ms.get_or_insert(at);
        if let Some(rank) = TROUBLE.iter().position(|&(from, trouble)| from == source && trouble == name) {
            let reason = field(event, "reason").unwrap_or_else(|| name.to_owned());
            let text = field(event, "detail").or_else(|| field(event, "message")).unwrap_or_default();
            return Some(Meaning::Trouble(Trouble { rank, reason, text }));
        }
        let (row, seen) = self
            .table
            .iter()
            .zip(&mut self.seen)
            .find(|(row, seen)| !**seen && row.source == source && row.event == name)?;
        *seen = true;
        let evidence: Vec<String> = row
            .evidence
            .iter()
            .filter_map(|(key, shown)| field(event, key).map(|value| shown.replace("{}", &value)))
            .collect();
        Some(Meaning::Step(Step {
            id: row.id.to_owned(),
            at_ms: at.saturating_sub(began),
            what: row.what.to_owned(),
            evidence: evidence.join(" · "),
        }))
    }
}

/// A JSON line and its time in milliseconds since 1970, which tracing writes as text.
fn parse(line: &str) -> Option<(u64, Value)> {
    let event: Value = serde_json::from_str(line).ok()?;
    let at = match event.get("timestamp")? {
        Value::String(text) => text.parse().ok()?,
        other => other.as_u64()?,
    };
    Some((at, event))
}

fn field(event: &Value, key: &str) -> Option<String> {
    match event.get(key)? {
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn story() -> Story {
        Story::fig_2(Path::new("/nonexistent/a"), Path::new("/nonexistent/b"))
    }

    fn event(text: &str) -> (u64, Value) {
        parse(text).unwrap()
    }

    #[test]
    fn the_same_event_is_another_step_the_second_time() {
        let mut story = story();
        let (at, up) =
            event(r#"{"timestamp":"1000","event":"cellular-up","imsi":"00101…","interface":"wwan0"}"#);
        let Some(Meaning::Step(first)) = story.meaning(at, Source::Agent, &up) else { panic!() };
        assert_eq!(
            (first.id.as_str(), first.at_ms, first.evidence.as_str()),
            ("50", 0, "IMSI 00101… · by wwan0")
        );
        let Some(Meaning::Step(second)) = story.meaning(at + 250, Source::Agent, &up) else { panic!() };
        assert_eq!((second.id.as_str(), second.at_ms), ("up", 250));
        assert_eq!(story.meaning(at, Source::Agent, &up), None);
        assert_eq!(story.meaning(at, Source::Operator, &up), None);
    }

    #[test]
    fn trouble_names_its_reason() {
        let (at, refused) =
            event(r#"{"timestamp":7,"event":"login-refused","reason":"wrong-mac","detail":"…"}"#);
        let told = story().meaning(at, Source::Operator, &refused);
        assert_eq!(
            told,
            Some(Meaning::Trouble(Trouble { rank: 0, reason: "wrong-mac".into(), text: "…".into() }))
        );
    }

    #[test]
    fn a_step_is_reached_when_all_before_it_were_seen() {
        let mut story = story();
        assert_eq!(story.missing().unwrap().0, "52");
        for row in TABLE.iter().filter(|row| row.event != "identity-proved") {
            let value = serde_json::json!({ "event": row.event });
            assert!(story.meaning(1, row.source, &value).is_some(), "{}", row.event);
        }
        assert!(story.reached("54"));
        assert!(!story.reached("56"));
        assert!(!story.reached("left"));
        assert_eq!(story.missing().unwrap().0, "56");
    }

    #[test]
    fn other_lines_are_nothing() {
        for line in ["", "plain text", "{}", r#"{"timestamp":"now","event":"x"}"#, r#"{"timestamp":"1"#] {
            assert!(parse(line).is_none(), "{line}");
        }
    }
}
