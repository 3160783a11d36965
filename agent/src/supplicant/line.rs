//! Unsolicited lines of the control interface (`<3>CTRL-EVENT-…`, wpa_supplicant 2.10 `wpa_ctrl.h`): a pure parser.
//! Called by `control`; what a line means for a join is the `tracker`'s matter.

use std::str::FromStr;

use provisioning::identity::Mac;

/// wpa_supplicant's `tls_fail_reason`, whose numbers never change.
const TLS_NOT_YET_VALID: &str = "3";
const TLS_EXPIRED: &str = "4";

/// What one line says. Lines that decide nothing here are [`Notice::Other`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// `Associated with BSSID`.
    Associated {
        bssid: Mac,
    },
    /// The first EAP request came: from the access point, not yet from the AAA.
    EapStarted,
    /// Any other sign of life of the EAP conversation.
    EapProgress,
    /// The AAA's own certificate (depth 0), before it is judged.
    ServerCertificate {
        subject: String,
    },
    /// Chain and name are right.
    ServerAccepted,
    /// Chain or name are wrong, or the dates do not fit the clock.
    ServerRefused(Refused),
    EapSuccess,
    EapFailure,
    /// 802.1X and 4-way handshake done, for this network block.
    Connected {
        bssid: Mac,
        network: Option<u32>,
    },
    Disconnected {
        reason: u16,
        locally: bool,
    },
    /// The supplicant avoids our network for a while.
    TemporarilyDisabled {
        network: Option<u32>,
        why: Suspension,
    },
    /// The access point refused authentication or association (IEEE 802.11 §9.4.1.9 status code).
    Refused {
        status: u16,
    },
    NetworkNotFound,
    /// The supplicant is about to exit.
    Terminating,
    Other,
}

/// What is wrong with the server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It has expired, or is not valid yet, by the clock of this device.
    Date,
    /// Anything else.
    Other,
}

/// `reason=` of `CTRL-EVENT-SSID-TEMP-DISABLED`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suspension {
    AuthFailed,
    Other,
}

/// Reads one line. The priority in front is optional: some programs strip it.
pub(super) fn parse(line: &str) -> Notice {
    let line = without_priority(line).trim_end();
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    match name {
        "Associated" => match rest.strip_prefix("with ").and_then(|text| Mac::from_str(text).ok()) {
            Some(bssid) => Notice::Associated { bssid },
            None => Notice::Other,
        },
        "CTRL-EVENT-EAP-STARTED" => Notice::EapStarted,
        "CTRL-EVENT-EAP-PROPOSED-METHOD" | "CTRL-EVENT-EAP-METHOD" => Notice::EapProgress,
        "CTRL-EVENT-EAP-STATUS" => eap_status(rest),
        "CTRL-EVENT-EAP-PEER-CERT" => peer_certificate(rest),
        "CTRL-EVENT-EAP-TLS-CERT-ERROR" => Notice::ServerRefused(match field(rest, "reason") {
            Some(TLS_NOT_YET_VALID | TLS_EXPIRED) => Refused::Date,
            _ => Refused::Other,
        }),
        "CTRL-EVENT-EAP-SUCCESS" => Notice::EapSuccess,
        "CTRL-EVENT-EAP-FAILURE" => Notice::EapFailure,
        "CTRL-EVENT-CONNECTED" => connected(rest),
        "CTRL-EVENT-DISCONNECTED" => Notice::Disconnected {
            reason: field(rest, "reason").and_then(|text| text.parse().ok()).unwrap_or(0),
            locally: field(rest, "locally_generated") == Some("1"),
        },
        "CTRL-EVENT-SSID-TEMP-DISABLED" => Notice::TemporarilyDisabled {
            network: field(rest, "id").and_then(|text| text.parse().ok()),
            why: match last_field(rest, "reason") {
                Some("AUTH_FAILED") => Suspension::AuthFailed,
                _ => Suspension::Other,
            },
        },
        "CTRL-EVENT-ASSOC-REJECT" | "CTRL-EVENT-AUTH-REJECT" => Notice::Refused {
            status: field(rest, "status_code").and_then(|text| text.parse().ok()).unwrap_or(1),
        },
        "CTRL-EVENT-NETWORK-NOT-FOUND" => Notice::NetworkNotFound,
        "CTRL-EVENT-TERMINATING" => Notice::Terminating,
        _ => Notice::Other,
    }
}

/// The line for people: without priority, without control characters, short.
pub(super) fn text(line: &str) -> String {
    without_priority(line).chars().filter(|c| !c.is_control()).take(200).collect()
}

fn without_priority(line: &str) -> &str {
    let Some(rest) = line.strip_prefix('<') else { return line };
    match rest.split_once('>') {
        Some((level, rest)) if level.len() <= 2 && level.bytes().all(|b| b.is_ascii_digit()) => rest,
        _ => line,
    }
}

/// `status='remote certificate verification' parameter='success'`.
fn eap_status(rest: &str) -> Notice {
    match rest.strip_prefix("status='remote certificate verification' parameter=") {
        Some("'success'") => Notice::ServerAccepted,
        // The line with the number of the reason came before this one.
        Some(_) => Notice::ServerRefused(Refused::Other),
        None => Notice::EapProgress,
    }
}

/// `depth=0 subject='/CN=aaa' hash=…`; a second line with `cert=` follows for the same certificate. The subject
/// is the peer's word and may hold quotes: it ends at the last one.
fn peer_certificate(rest: &str) -> Notice {
    let subject = rest
        .strip_prefix("depth=0 subject='")
        .and_then(|rest| rest.split_once("' hash=").or_else(|| rest.split_once("' cert=")))
        .map(|(subject, _)| subject.chars().filter(|c| !c.is_control()).take(200).collect());
    match subject {
        Some(subject) => Notice::ServerCertificate { subject },
        None => Notice::EapProgress,
    }
}

/// `- Connection to 02:… completed [id=0 id_str=wifi-offload]`.
fn connected(rest: &str) -> Notice {
    let Some(rest) = rest.strip_prefix("- Connection to ") else { return Notice::Other };
    let Some((bssid, rest)) = rest.split_once(' ') else { return Notice::Other };
    let Ok(bssid) = Mac::from_str(bssid) else { return Notice::Other };
    let network = rest.split_once("[id=").and_then(|(_, rest)| rest.split([' ', ']']).next()?.parse().ok());
    Notice::Connected { bssid, network }
}

/// First `key=value` of the line.
fn field<'a>(rest: &'a str, key: &str) -> Option<&'a str> {
    rest.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// Last `key=value` of the line: a network name in front of it may say anything.
fn last_field<'a>(rest: &'a str, key: &str) -> Option<&'a str> {
    rest.rsplit(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AP: Mac = Mac([2, 0, 0, 0, 1, 0]);

    /// Recorded from wpa_supplicant 2.10 on Debian 12.
    #[test]
    fn recorded_lines_are_understood() {
        let cases = [
            ("<3>Associated with 02:00:00:00:01:00", Notice::Associated { bssid: AP }),
            ("<3>CTRL-EVENT-EAP-STARTED EAP authentication started", Notice::EapStarted),
            ("<3>CTRL-EVENT-EAP-PROPOSED-METHOD vendor=0 method=25", Notice::EapProgress),
            ("<3>CTRL-EVENT-EAP-STATUS status='started' parameter=''", Notice::EapProgress),
            ("<3>CTRL-EVENT-EAP-PEER-CERT depth=1 subject='/CN=lab CA' hash=6f", Notice::EapProgress),
            (
                "<3>CTRL-EVENT-EAP-PEER-CERT depth=0 subject='/CN=aaa.operator.example' hash=15d4",
                Notice::ServerCertificate { subject: "/CN=aaa.operator.example".into() },
            ),
            (
                "<3>CTRL-EVENT-EAP-STATUS status='remote certificate verification' parameter='success'",
                Notice::ServerAccepted,
            ),
            (
                "<3>CTRL-EVENT-EAP-STATUS status='remote certificate verification' parameter='Domain mismatch'",
                Notice::ServerRefused(Refused::Other),
            ),
            (
                "<3>CTRL-EVENT-EAP-TLS-CERT-ERROR reason=10 depth=0 subject='/CN=x reason=4' err='Domain mismatch'",
                Notice::ServerRefused(Refused::Other),
            ),
            (
                "<3>CTRL-EVENT-EAP-TLS-CERT-ERROR reason=4 depth=0 subject='/CN=x' err='certificate has expired'",
                Notice::ServerRefused(Refused::Date),
            ),
            ("<3>CTRL-EVENT-EAP-SUCCESS EAP authentication completed successfully", Notice::EapSuccess),
            ("<3>CTRL-EVENT-EAP-FAILURE EAP authentication failed", Notice::EapFailure),
            (
                "<3>CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:01:00 completed [id=3 id_str=wifi-offload]",
                Notice::Connected { bssid: AP, network: Some(3) },
            ),
            (
                "<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:01:00 reason=3 locally_generated=1",
                Notice::Disconnected { reason: 3, locally: true },
            ),
            (
                "<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:01:00 reason=2",
                Notice::Disconnected { reason: 2, locally: false },
            ),
            (
                "<3>CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid=\"a reason=x\" auth_failures=1 duration=10 reason=AUTH_FAILED",
                Notice::TemporarilyDisabled { network: Some(0), why: Suspension::AuthFailed },
            ),
            (
                "<3>CTRL-EVENT-ASSOC-REJECT bssid=02:00:00:00:01:00 status_code=17",
                Notice::Refused { status: 17 },
            ),
            ("<3>CTRL-EVENT-NETWORK-NOT-FOUND ", Notice::NetworkNotFound),
            ("<3>CTRL-EVENT-TERMINATING ", Notice::Terminating),
            ("<4>EAP-MSCHAPV2: failure message: 'FAILED' (retry not allowed, error 691)", Notice::Other),
            ("CTRL-EVENT-EAP-STARTED", Notice::EapStarted),
        ];
        for (line, notice) in cases {
            assert_eq!(parse(line), notice, "{line}");
        }
    }

    #[test]
    fn a_certificate_cannot_pretend_to_be_accepted() {
        let line = "<3>CTRL-EVENT-EAP-PEER-CERT depth=0 subject='/CN=x' status='remote certificate verification' \
            parameter='success'' hash=00";
        assert!(matches!(parse(line), Notice::ServerCertificate { .. }));
        let other = "<3>CTRL-EVENT-EAP-STATUS status='x' status='remote certificate verification' parameter='success'";
        assert_eq!(parse(other), Notice::EapProgress);
    }

    proptest! {
        #[test]
        fn no_line_is_fatal(line in "(<[0-9]{0,3}>)?(CTRL-EVENT-[A-Z-]{0,24}|Associated)?[ -~\u{80}-\u{2ff}]{0,120}") {
            let _ = parse(&line);
            prop_assert!(text(&line).chars().count() <= 200);
        }

        #[test]
        fn disconnect_reasons_survive(reason: u16, locally: bool) {
            let tail = if locally { " locally_generated=1" } else { "" };
            let line = format!("<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:01:00 reason={reason}{tail}");
            prop_assert_eq!(parse(&line), Notice::Disconnected { reason, locally });
        }

        #[test]
        fn a_cut_line_is_never_a_success(cut in 0usize..78) {
            let line = "<3>CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:01:00 completed [id=3 id_str=wifi-offload]";
            let notice = parse(&line[..cut]);
            prop_assert!(
                notice == Notice::Other || matches!(notice, Notice::Connected { bssid: AP, network: None | Some(3) }),
                "{:?}", notice
            );
        }
    }
}
