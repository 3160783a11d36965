//! What a policy must not say: each thing with its field and the reason. One list for configuration file and database.

use provisioning::{
    message::{InnerMethod, MAX_RESERVE, OuterMethod, Policy, SmsUse, Threshold},
    passpoint::{MAX_CONSORTIUMS, MAX_DOMAINS, MAX_PASSPOINTS, Passpoint},
    wispr::{MAX_HOTSPOTS, MAX_LOCATION, MAX_LOGIN_NAMES, Wispr, is_login_name},
};

use crate::config::validate_name;

/// What one message to a device can hold.
const MAX_NETWORKS: usize = provisioning::xml::MAX_NETWORKS;
/// IEEE 802.11 §9.4.2.2.
const MAX_SSID: usize = 32;
/// What one message to a device can hold.
const MAX_URL: usize = 2048;
/// Signals that a receiver can report, dBm.
const SIGNAL_DBM: std::ops::RangeInclusive<i32> = -100..=-20;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// Path of the field: `networks.0.ssid`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

/// All that is wrong with a policy.
pub fn unfit(policy: &Policy) -> Vec<Unfit> {
    let mut found = Vec::new();
    let mut unfit = |field: &str, reason: String| found.push(Unfit { field: field.to_owned(), reason });
    let networks = policy.networks.len();
    if networks > MAX_NETWORKS || (networks == 0 && policy.passpoints.is_empty()) {
        unfit("networks", format!("needs 1 to {MAX_NETWORKS} networks; none is enough with `passpoints`"));
    }
    for (number, network) in policy.networks.iter().enumerate() {
        if !(1..=MAX_SSID).contains(&network.ssid.len()) || network.ssid.chars().any(char::is_control) {
            unfit(
                &format!("networks.{number}.ssid"),
                format!("an SSID has 1 to {MAX_SSID} octets and no control characters"),
            );
        }
        for (field, reason) in network.wispr.iter().flat_map(of_wispr) {
            unfit(&format!("networks.{number}.wispr{field}"), reason);
        }
    }
    if policy.networks.iter().filter(|network| network.wispr.is_some()).count() > MAX_HOTSPOTS {
        unfit("networks", format!("at most {MAX_HOTSPOTS} of them have `wispr`"));
    }
    if policy.passpoints.len() > MAX_PASSPOINTS {
        unfit("passpoints", format!("has at most {MAX_PASSPOINTS} entries"));
    }
    for (number, passpoint) in policy.passpoints.iter().enumerate() {
        for (field, reason) in of_passpoint(passpoint) {
            unfit(&format!("passpoints.{number}{field}"), reason);
        }
    }
    if policy.threshold == Threshold::Dbm {
        for (key, dbm) in [("enter-dbm", policy.enter_dbm), ("leave-dbm", policy.leave_dbm)] {
            if !SIGNAL_DBM.contains(&dbm) {
                unfit(key, format!("must be {} to {} dBm", SIGNAL_DBM.start(), SIGNAL_DBM.end()));
            }
        }
        if policy.enter_dbm <= policy.leave_dbm {
            unfit("leave-dbm", "must lie below enter-dbm, else devices move to and fro".to_owned());
        }
    }
    if policy.one_time_reserve > MAX_RESERVE {
        unfit("one-time-reserve", format!("must lie in 0..={MAX_RESERVE}"));
    }
    if policy.sms == SmsUse::Always && policy.renew_before_move {
        unfit(
            "renew-before-move",
            "does not go with sms = \"always\": each move would wait for two SMS".to_owned(),
        );
    }
    // Plain HTTP: what shall be found out is whether somebody stands between, and a captive portal cannot hide there.
    let probe = policy.probe_url.strip_prefix("http://").is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && !rest.chars().any(|c| c.is_control() || c == ' ')
    });
    if !probe || policy.probe_url.len() > MAX_URL {
        unfit(
            "probe-url",
            "must be an http:// URL that answers 204 where the Internet is reachable".to_owned(),
        );
    }
    found
}

fn of_wispr(wispr: &Wispr) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if !(1..=MAX_LOGIN_NAMES).contains(&wispr.login_names.len()) {
        found.push((".login-names".to_owned(), format!("needs 1 to {MAX_LOGIN_NAMES} host names")));
    }
    for (number, name) in wispr.login_names.iter().enumerate() {
        if !is_login_name(name) {
            let reason = "must be a host name of two labels or more, or *. and such a name".to_owned();
            found.push((format!(".login-names.{number}"), reason));
        }
    }
    let fits = |location: &String| {
        (1..=MAX_LOCATION).contains(&location.len()) && !location.chars().any(char::is_control)
    };
    if !wispr.location.iter().all(fits) {
        found
            .push((".location".to_owned(), format!("has 1 to {MAX_LOCATION} octets, no control characters")));
    }
    found
}

fn of_passpoint(passpoint: &Passpoint) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if !passpoint.is_recognisable() {
        found
            .push((String::new(), "needs roaming-consortiums, domains or a realm to be known by".to_owned()));
    }
    if passpoint.roaming_consortiums.len() > MAX_CONSORTIUMS {
        found.push((".roaming-consortiums".to_owned(), format!("has at most {MAX_CONSORTIUMS} entries")));
    }
    if passpoint.domains.len() > MAX_DOMAINS {
        found.push((".domains".to_owned(), format!("has at most {MAX_DOMAINS} entries")));
    }
    for (number, domain) in passpoint.domains.iter().enumerate() {
        if let Err(reason) = validate_name(domain) {
            found.push((format!(".domains.{number}"), reason.to_owned()));
        }
    }
    if let Some(Err(reason)) = passpoint.realm.as_deref().map(validate_name) {
        found.push((".realm".to_owned(), reason.to_owned()));
    }
    found
}

/// Which methods exist inside which tunnel; the AAA answers all four.
pub fn methods(outer: OuterMethod, inner: InnerMethod) -> Result<(), &'static str> {
    use InnerMethod::{Gtc, Mschapv2, Pap};
    match (outer, inner) {
        (OuterMethod::Peap, Mschapv2 | Gtc) | (OuterMethod::Ttls, Pap | Mschapv2) => Ok(()),
        (OuterMethod::Peap, Pap) => Err("outer = \"peap\" goes with inner = \"mschapv2\" or \"gtc\""),
        (OuterMethod::Ttls, Gtc) => Err("outer = \"ttls\" goes with inner = \"pap\" or \"mschapv2\""),
    }
}

#[cfg(test)]
mod tests {
    use provisioning::message::Network;

    use super::*;

    fn hotspot(wispr: Wispr) -> Policy {
        Policy { networks: vec![Network { wispr: Some(wispr), ..Network::new("Cafe", 1) }], ..good() }
    }

    fn good() -> Policy {
        Policy {
            networks: vec![Network::new("Operator", 1)],
            probe_url: "http://probe.operator.example/204".to_owned(),
            ..Policy::default()
        }
    }

    fn passpoint() -> Passpoint {
        Passpoint { realm: Some("operator.example".to_owned()), ..Passpoint::default() }
    }

    #[test]
    fn each_thing_is_named_with_its_field() {
        assert_eq!(unfit(&good()), []);
        let only_passpoint = Policy { networks: vec![], passpoints: vec![passpoint()], ..good() };
        assert_eq!(unfit(&only_passpoint), []);
        let off = Policy { threshold: Threshold::Off, enter_dbm: 0, leave_dbm: 0, ..good() };
        assert_eq!(unfit(&off), []);
        let bad = |domains: &[&str]| Passpoint {
            domains: domains.iter().map(|&domain| domain.to_owned()).collect(),
            ..passpoint()
        };
        for (field, policy) in [
            ("networks", Policy { networks: vec![], ..good() }),
            ("networks", Policy { networks: vec![Network::new("a", 1); MAX_NETWORKS + 1], ..good() }),
            ("networks.0.wispr.login-names", hotspot(Wispr::default())),
            (
                "networks.0.wispr.login-names.0",
                hotspot(Wispr { login_names: vec!["192.0.2.1".into()], ..Wispr::default() }),
            ),
            (
                "networks.0.wispr.location",
                hotspot(Wispr {
                    login_names: vec!["login.example.org".into()],
                    location: Some(String::new()),
                    ..Wispr::default()
                }),
            ),
            ("networks.0.ssid", Policy { networks: vec![Network::new("é".repeat(17), 1)], ..good() }),
            ("passpoints", Policy { passpoints: vec![passpoint(); MAX_PASSPOINTS + 1], ..good() }),
            ("passpoints.0", Policy { passpoints: vec![Passpoint::default()], ..good() }),
            ("passpoints.0.domains.1", Policy { passpoints: vec![bad(&["a.example", "a b"])], ..good() }),
            (
                "passpoints.0.domains",
                Policy { passpoints: vec![bad(&["a.example"; MAX_DOMAINS + 1])], ..good() },
            ),
            ("enter-dbm", Policy { enter_dbm: -10, ..good() }),
            ("leave-dbm", Policy { leave_dbm: -65, ..good() }),
            ("one-time-reserve", Policy { one_time_reserve: 9, ..good() }),
            ("renew-before-move", Policy { sms: SmsUse::Always, renew_before_move: true, ..good() }),
            ("probe-url", Policy { probe_url: "https://x/".to_owned(), ..good() }),
            ("probe-url", Policy { probe_url: format!("http://{}", "x".repeat(MAX_URL)), ..good() }),
        ] {
            let fields: Vec<_> = unfit(&policy).into_iter().map(|unfit| unfit.field).collect();
            assert_eq!(fields, [field]);
        }
    }
}
