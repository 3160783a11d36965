//! `offloadctl policy` for people. Pure: JSON in, lines out.

use provisioning::message::{AfterMove, ApFilter, Offload, Policy, Sequence, Threshold};

use super::text::table;

/// Lines for a terminal.
pub(super) fn of(json: &str) -> String {
    match serde_json::from_str::<Option<Policy>>(json) {
        Ok(None) => "No policy yet: it comes with the first credential.\n".to_owned(),
        Ok(Some(policy)) => table(&rows(&policy)),
        // Of another version.
        Err(_) => format!("{json}\n"),
    }
}

fn rows(policy: &Policy) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("Version", policy.version.to_string()),
        ("Use Wi-Fi", when(policy.offload).to_owned()),
        ("Networks", networks(policy)),
    ];
    let filter = match policy.ap_filter {
        ApFilter::PolicySsid => None,
        ApFilter::OperatorOwned => Some("of the operator itself only"),
        ApFilter::Any => Some("also of roaming partners"),
    };
    rows.extend(filter.map(|filter| ("Access points", filter.to_owned())));
    rows.push((
        "Signal",
        match policy.threshold {
            Threshold::Off => "any".to_owned(),
            Threshold::Dbm => format!(
                "join from {} dBm on, after {} s; leave under {} dBm",
                policy.enter_dbm, policy.dwell_secs, policy.leave_dbm
            ),
        },
    ));
    rows.push(("After failure", format!("wait {} s, doubling", policy.penalty_secs)));
    let then = match policy.cellular_after_move {
        AfterMove::Down => {
            format!("disconnected when its connections have ended, after {} s at most", policy.drain_secs)
        }
        AfterMove::Standby => "kept, unused".to_owned(),
        AfterMove::Backup => "kept as a backup".to_owned(),
    };
    let order = match policy.sequence {
        Sequence::MakeBeforeBreak => "Wi-Fi proves itself first",
        Sequence::BreakBeforeMake => "cellular is disconnected first",
    };
    rows.push(("A move", format!("{order}; cellular is then {then}")));
    rows.push(("Renewal", renewal(policy)));
    rows.push(("Test page", policy.probe_url.clone()));
    rows
}

fn when(offload: Offload) -> &'static str {
    match offload {
        Offload::Automatic => "by itself, when a network is good",
        Offload::OnRequest => "when somebody says so (offloadctl join)",
        Offload::Never => "never",
    }
}

fn networks(policy: &Policy) -> String {
    let mut names: Vec<String> = policy
        .networks
        .iter()
        .map(|network| format!("{} (priority {})", network.ssid, network.priority))
        .collect();
    names.extend(
        policy.passpoints.iter().map(|passpoint| format!("Passpoint {}", passpoint.domains.join(" "))),
    );
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn renewal(policy: &Policy) -> String {
    let mut parts = vec!["before the credential ends".to_owned()];
    if policy.renew_every_secs > 0 {
        parts.push(format!("every {} s", policy.renew_every_secs));
    }
    let more = [
        (policy.renew_on_attach, "at each attach to cellular"),
        (policy.renew_before_move, "before each move to Wi-Fi"),
        (policy.renew_after_return, "after each return to cellular"),
    ];
    parts.extend(more.into_iter().filter(|(wanted, _)| *wanted).map(|(_, text)| text.to_owned()));
    if policy.one_time_reserve > 0 {
        parts.push(format!("{} one-time ones are held ahead", policy.one_time_reserve));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use provisioning::message::Network;

    use super::*;

    #[test]
    fn a_person_can_read_it() {
        let policy = Policy {
            version: 7,
            networks: vec![Network::new("corp", 10)],
            probe_url: "http://probe.example/204".into(),
            renew_after_return: true,
            ..Policy::default()
        };
        let shown = of(&serde_json::to_string(&policy).expect("JSON"));
        let expected = "\
Version       7
Use Wi-Fi     by itself, when a network is good
Networks      corp (priority 10)
Signal        join from -65 dBm on, after 5 s; leave under -75 dBm
After failure wait 30 s, doubling
A move        Wi-Fi proves itself first; cellular is then disconnected when its
              connections have ended, after 30 s at most
Renewal       before the credential ends, after each return to cellular
Test page     http://probe.example/204
";
        assert_eq!(shown, expected);
        assert!(of("null").starts_with("No policy yet"));
        assert_eq!(of("{\"x\":1}"), "{\"x\":1}\n");
    }
}
