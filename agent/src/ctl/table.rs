//! The daemon's answer for people. Pure: JSON in, lines out.

use serde_json::Value;

use provisioning::message::Trigger;

use super::text::{self, time};
use crate::machine::{Carrier, CellularStatus, CredentialStatus, FailureStatus, State, Status, WlanStatus};
use crate::supplicant::Owner;

/// Lines for a terminal. An answer of another version that does not fit is shown as it came, indented.
pub(super) fn of(json: &str) -> String {
    match serde_json::from_str::<Status>(json) {
        Ok(status) => table(&status),
        Err(_) => match serde_json::from_str::<Value>(json) {
            Ok(value) => format!("{value:#}\n"),
            Err(_) => format!("{json}\n"),
        },
    }
}

fn table(status: &Status) -> String {
    let mut rows = vec![
        ("State", format!("{}: {}", status.state, meaning(status.state))),
        ("  since", time(status.since)),
        ("Traffic by", carrier(status.carrier).to_owned()),
        ("Cellular", cellular(&status.cellular)),
        ("Wi-Fi", wlan(&status.wlan)),
        ("Credential", status.credential.as_ref().map_or_else(|| "none yet".to_owned(), credential)),
    ];
    if status.held {
        rows.push((
            "Held",
            "stays on cellular until `offloadctl join`, or until the device wakes up".to_owned(),
        ));
    }
    match &status.last_failure {
        None => rows.push(("Last failure", "none".to_owned())),
        Some(failure) => rows.extend(failure_rows(failure)),
    }
    rows.push(("Agent", status.version.clone()));
    text::table(&rows)
}

/// What a state means to somebody who has not read the manual.
pub(super) fn meaning(state: State) -> &'static str {
    match state {
        State::NoModem => "no usable modem, and no credential yet",
        State::Locked => "the SIM waits for its PIN (mmcli -i any --pin=…)",
        State::Searching => "modem there, no cellular data yet",
        State::Attached => "cellular data works; a credential will be asked for",
        State::Provisioning => "asking the portal for a credential",
        State::Armed => "ready; looking for the operator's Wi-Fi",
        State::Joining => "joining Wi-Fi; cellular still carries the traffic",
        State::LoggingIn => "on Wi-Fi, logging on at its gateway",
        State::Verifying => "on Wi-Fi, testing the Internet behind it",
        State::Offloaded => "on Wi-Fi",
        State::Returning => "going back to cellular",
    }
}

fn carrier(carrier: Carrier) -> &'static str {
    match carrier {
        Carrier::None => "neither link of ours",
        Carrier::Cellular => "cellular",
        Carrier::Wifi => "Wi-Fi",
    }
}

fn cellular(status: &CellularStatus) -> String {
    let mut parts = vec![status.modem.clone()];
    parts.extend(status.operator.as_ref().map(|operator| format!("network {operator}")));
    parts.extend(status.signal_percent.map(|percent| format!("signal {percent} %")));
    parts.push(match &status.interface {
        Some(interface) => format!("bearer {} on {interface}", status.bearer),
        None => format!("bearer {}", status.bearer),
    });
    parts.extend(status.imsi_masked.as_ref().map(|imsi| format!("SIM {imsi}")));
    parts.join(", ")
}

fn wlan(status: &WlanStatus) -> String {
    let Some(interface) = &status.interface else { return "no WLAN card".to_owned() };
    let mut parts = vec![interface.clone()];
    parts.extend(status.mac.as_ref().map(|mac| format!("MAC {mac}")));
    parts.extend(status.ssid.as_ref().map(|ssid| format!("network \"{ssid}\"")));
    parts.extend(status.signal_dbm.map(|dbm| format!("signal {dbm} dBm")));
    parts.extend(status.address.as_ref().map(|address| format!("address {address}")));
    parts.extend(status.owner.map(|owner| {
        let owner = match owner {
            Owner::WpaSupplicant => "wpa_supplicant",
            Owner::NetworkManager => "NetworkManager",
        };
        format!("owned by {owner}")
    }));
    if !status.supplicant {
        parts.push("wpa_supplicant does not answer".to_owned());
    }
    parts.join(", ")
}

fn credential(status: &CredentialStatus) -> String {
    let mut parts = vec![status.username.clone()];
    parts.push(match status.expires_at {
        Some(expires_at) => format!("until {}", time(expires_at)),
        None => "for the device's lifetime".to_owned(),
    });
    if status.one_time {
        parts.push("for one login".to_owned());
    }
    parts.push(if status.installed { "installed" } else { "not installed" }.to_owned());
    parts.push(format!("policy {}", status.policy_version));
    if status.next {
        parts.push("a newer one to be tried next".to_owned());
    }
    if status.reserve > 0 {
        parts.push(format!("{} more in reserve", status.reserve));
    }
    parts.extend(status.renewal_due.map(|why| format!("a new one is due ({})", why_due(why))));
    parts.join(", ")
}

fn why_due(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Attach => "first contact",
        Trigger::Periodic => "the policy's period is over",
        Trigger::BeforeMove => "the policy wants one before each move",
        Trigger::Expiry => "much of its life is over",
        Trigger::Used => "it was good for one login",
        Trigger::ReturnedToCellular => "the policy wants one after each return to cellular",
        Trigger::Rejected => "a login failed",
        Trigger::User => "somebody asked for it",
    }
}

fn failure_rows(failure: &FailureStatus) -> Vec<(&'static str, String)> {
    let mut rows = vec![("Last failure", format!("{} at {}", failure.code, time(failure.at)))];
    if !failure.text.is_empty() {
        rows.push(("  what", failure.text.clone()));
    }
    rows.push(("  what to do", failure.remedy.clone()));
    rows
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A device with a bit of everything.
    pub(crate) fn status() -> Status {
        Status {
            version: "0.1.0".to_owned(),
            state: State::Armed,
            since: 1_700_000_000,
            carrier: Carrier::Cellular,
            cellular: CellularStatus {
                modem: "registered".to_owned(),
                imsi_masked: Some("00101••••••••89".to_owned()),
                operator: Some("00101".to_owned()),
                signal_percent: Some(64),
                interface: Some("wwan0".to_owned()),
                bearer: "ready".to_owned(),
            },
            wlan: WlanStatus {
                interface: Some("wlan1".to_owned()),
                mac: Some("02:00:00:00:01:00".to_owned()),
                supplicant: true,
                owner: Some(Owner::NetworkManager),
                ssid: None,
                signal_dbm: None,
                address: None,
                heard: None,
            },
            credential: Some(CredentialStatus {
                username: "abc@operator.example".to_owned(),
                expires_at: Some(1_800_000_000),
                one_time: false,
                installed: true,
                next: true,
                reserve: 2,
                renewal_due: Some(Trigger::Used),
                policy_version: 3,
            }),
            last_failure: Some(FailureStatus {
                code: "association-failed".to_owned(),
                text: "evil\u{1b}[2J".to_owned(),
                remedy: "go nearer".to_owned(),
                at: 1_700_000_000,
            }),
            held: true,
        }
    }

    #[test]
    fn a_person_can_read_it() {
        let shown = of(&serde_json::to_string(&status()).expect("JSON"));
        let expected = "\
State         armed: ready; looking for the operator's Wi-Fi
  since       2023-11-14T22:13:20Z
Traffic by    cellular
Cellular      registered, network 00101, signal 64 %, bearer ready on wwan0, SIM
              00101••••••••89
Wi-Fi         wlan1, MAC 02:00:00:00:01:00, owned by NetworkManager
Credential    abc@operator.example, until 2027-01-15T08:00:00Z, installed,
              policy 3, a newer one to be tried next, 2 more in reserve, a new
              one is due (it was good for one login)
Held          stays on cellular until `offloadctl join`, or until the device
              wakes up
Last failure  association-failed at 2023-11-14T22:13:20Z
  what        evil\u{fffd}[2J
  what to do  go nearer
Agent         0.1.0
";
        assert_eq!(shown, expected);
    }

    #[test]
    fn an_empty_device_is_described() {
        let mut status = status();
        status.credential = None;
        status.last_failure = None;
        status.wlan.interface = None;
        let shown = table(&status);
        for words in ["none yet", "no WLAN card", "Last failure  none"] {
            assert!(shown.contains(words), "{shown}");
        }
    }

    #[test]
    fn another_version_is_shown_as_it_came() {
        assert_eq!(of("{\"a\":1}"), "{\n  \"a\": 1\n}\n");
        assert_eq!(of("not JSON"), "not JSON\n");
    }
}
