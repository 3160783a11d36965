//! Answers of the control interface: pure parsers, called by `operations` and `control`.
//!
//! What does not parse is an error of the exchange, never a guess.

use std::str::FromStr;

use provisioning::identity::Mac;

/// More networks than this are not read; `wpa_supplicant.conf` of real devices holds tens.
const MAX_NETWORKS: usize = 256;

/// One row of `LIST_NETWORKS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) id: u32,
    pub(super) disabled: bool,
}

/// What `STATUS` tells, as far as it decides anything here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Status {
    /// `wpa_state`, such as `COMPLETED`.
    pub(super) state: String,
    /// Network that is being or has been joined.
    pub(super) network: Option<u32>,
    pub(super) bssid: Option<Mac>,
    pub(super) pairwise_cipher: Option<String>,
    pub(super) key_mgmt: Option<String>,
    pub(super) tls_version: Option<String>,
}

/// `OK`, and nothing else.
pub(super) fn is_ok(reply: &str) -> bool {
    reply == "OK\n"
}

/// Answer of `ADD_NETWORK`.
pub(super) fn network_id(reply: &str) -> Option<u32> {
    number(reply.strip_suffix('\n')?)
}

/// Answer of `LIST_NETWORKS`: a heading, then `id TAB ssid TAB bssid TAB flags`.
pub(super) fn networks(reply: &str) -> Option<Vec<Listed>> {
    let rows = reply.strip_prefix("network id / ssid / bssid / flags\n")?;
    rows.lines().take(MAX_NETWORKS).map(listed).collect()
}

/// Answer of `STATUS`: `key=value` lines. Keys that are not known are skipped.
pub(super) fn status(reply: &str) -> Option<Status> {
    let mut status = Status::default();
    for (key, value) in reply.lines().filter_map(|line| line.split_once('=')) {
        match key {
            "wpa_state" => status.state = bounded(value),
            "id" => status.network = number(value),
            "bssid" => status.bssid = Mac::from_str(value).ok(),
            "pairwise_cipher" => status.pairwise_cipher = Some(bounded(value)),
            "key_mgmt" => status.key_mgmt = Some(bounded(value)),
            "eap_tls_version" => status.tls_version = Some(bounded(value)),
            _ => {}
        }
    }
    // Without a state it is no answer to STATUS at all.
    (!status.state.is_empty()).then_some(status)
}

impl Status {
    /// Authenticated, with keys.
    pub(super) fn completed(&self) -> bool {
        self.state == "COMPLETED"
    }

    /// Talking to an access point.
    pub(super) fn associated(&self) -> bool {
        matches!(self.state.as_str(), "ASSOCIATED" | "4WAY_HANDSHAKE" | "GROUP_HANDSHAKE" | "COMPLETED")
    }

    /// Surely not associated: roaming and rekeying never show these.
    pub(super) fn idle(&self) -> bool {
        matches!(self.state.as_str(), "DISCONNECTED" | "INACTIVE" | "SCANNING" | "INTERFACE_DISABLED")
    }
}

fn listed(row: &str) -> Option<Listed> {
    // Tabs inside a network name come escaped.
    let mut columns = row.split('\t');
    let id = number(columns.next()?)?;
    let (_ssid, _bssid, flags) = (columns.next()?, columns.next()?, columns.next()?);
    columns.next().is_none().then(|| Listed { id, disabled: flags.contains("[DISABLED]") })
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Ends up in `offloadctl status`: short, and nothing that could steer a terminal.
fn bounded(value: &str) -> String {
    value.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Recorded from wpa_supplicant 2.10.
    const STATUS: &str = "bssid=02:00:00:00:01:00\nfreq=2412\nssid=OperatorWiFi\nid=3\nid_str=wifi-offload\n\
        mode=station\npairwise_cipher=CCMP\ngroup_cipher=CCMP\nkey_mgmt=WPA2-EAP-SHA256\nwpa_state=COMPLETED\n\
        address=02:00:00:00:00:00\nSupplicant PAE state=AUTHENTICATED\nEAP state=SUCCESS\n\
        eap_tls_version=TLSv1.3\nEAP TLS cipher=TLS_AES_256_GCM_SHA384\n";

    #[test]
    fn a_status_tells_cipher_version_and_network() {
        let status = status(STATUS).unwrap();
        assert!(status.completed() && status.associated() && !status.idle());
        assert_eq!(status.network, Some(3));
        assert_eq!(status.pairwise_cipher.as_deref(), Some("CCMP"));
        assert_eq!(status.key_mgmt.as_deref(), Some("WPA2-EAP-SHA256"));
        assert_eq!(status.tls_version.as_deref(), Some("TLSv1.3"));
        assert_eq!(status.bssid, Some(Mac([2, 0, 0, 0, 1, 0])));
    }

    #[test]
    fn a_list_tells_ids_and_what_is_disabled() {
        let reply = "network id / ssid / bssid / flags\n0\thome\tany\t[CURRENT]\n2\ta\\tb\tany\t[DISABLED][TEMP-DISABLED]\n";
        let expected = vec![Listed { id: 0, disabled: false }, Listed { id: 2, disabled: true }];
        assert_eq!(networks(reply), Some(expected));
    }

    #[test]
    fn answers_that_are_something_else_are_refused() {
        assert_eq!(networks("FAIL\n"), None);
        assert_eq!(networks("network id / ssid / bssid / flags\n0\thome\tany\n"), None);
        assert_eq!(networks("network id / ssid / bssid / flags\n-1\thome\tany\t\n"), None);
        assert_eq!(status("UNKNOWN COMMAND\n"), None);
        for other in ["FAIL\n", "", "\n", "3", "+3\n", "4294967296\n", "OK\n"] {
            assert_eq!(network_id(other), None, "{other:?}");
        }
        assert_eq!(network_id("17\n"), Some(17));
        assert!(!is_ok("OK") && !is_ok("FAIL\n") && is_ok("OK\n"));
    }

    proptest! {
        #[test]
        fn no_reply_is_fatal(reply in ".{0,400}") {
            let _ = (networks(&reply), status(&reply), network_id(&reply));
        }

        #[test]
        fn a_cut_status_never_tells_what_was_not_there(cut in 0..STATUS.len()) {
            if let Some(status) = status(&STATUS[..cut]) {
                prop_assert!("COMPLETED".starts_with(&status.state));
                prop_assert!(status.network.is_none_or(|id| id == 3));
            }
        }

        #[test]
        fn lists_come_back_as_written(rows in proptest::collection::vec((any::<u32>(), any::<bool>()), 0..20)) {
            let mut text = String::from("network id / ssid / bssid / flags\n");
            for (id, disabled) in &rows {
                text.push_str(&format!("{id}\tname\tany\t{}\n", if *disabled { "[DISABLED]" } else { "" }));
            }
            let expected: Vec<_> = rows.into_iter().map(|(id, disabled)| Listed { id, disabled }).collect();
            prop_assert_eq!(networks(&text), Some(expected));
        }
    }
}
