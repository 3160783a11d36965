use super::{
    chain::{Facts, Mark, Switch, diagnose, first_broken},
    show,
};
use crate::machine::{
    Carrier, CellularStatus, CredentialStatus, FailureStatus, HeardStatus, State, Status, WlanStatus,
};

fn facts() -> Facts {
    Facts {
        status: Ok(status()),
        unix: 1_800_000_000,
        floor: 1_793_491_200,
        free: Some(1 << 30),
        modem_manager: Some(true),
        blocked: Some(Switch::Open),
        foreign_owner: false,
    }
}

fn status() -> Status {
    Status {
        version: "0.1.0".to_owned(),
        state: State::Armed,
        since: 0,
        carrier: Carrier::Cellular,
        cellular: CellularStatus {
            modem: "registered".to_owned(),
            imsi_masked: None,
            operator: Some("00101".to_owned()),
            signal_percent: None,
            interface: Some("wwan0".to_owned()),
            bearer: "ready".to_owned(),
        },
        wlan: WlanStatus {
            interface: Some("wlan1".to_owned()),
            mac: None,
            supplicant: true,
            owner: None,
            ssid: None,
            signal_dbm: None,
            address: None,
            heard: Some(HeardStatus { signal_dbm: Some(-50), enter_dbm: -70 }),
        },
        credential: Some(CredentialStatus {
            username: "a@operator.example".to_owned(),
            expires_at: None,
            one_time: false,
            installed: true,
            next: false,
            reserve: 0,
            renewal_due: None,
            policy_version: 1,
        }),
        last_failure: None,
        held: false,
    }
}

fn first(facts: &Facts) -> Option<&'static str> {
    first_broken(&diagnose(facts)).map(|row| row.link)
}

fn with(change: impl FnOnce(&mut Status)) -> Facts {
    let mut status = status();
    change(&mut status);
    Facts { status: Ok(status), ..facts() }
}

fn failed(code: &str, text: &str) -> Facts {
    with(|status| {
        status.last_failure = Some(FailureStatus {
            code: code.to_owned(),
            text: text.to_owned(),
            remedy: "do something".to_owned(),
            at: 1,
        });
    })
}

#[test]
fn a_healthy_chain_has_no_broken_link() {
    assert_eq!(first(&facts()), None);
    let offloaded = with(|status| {
        status.state = State::Offloaded;
        status.carrier = Carrier::Wifi;
        // The policy has let cellular go, and the last scan is of the time before.
        status.cellular.bearer = "down".to_owned();
        status.wlan.ssid = Some("operator-wifi".to_owned());
        status.wlan.heard = Some(HeardStatus { signal_dbm: None, enter_dbm: -70 });
    });
    assert_eq!(first(&offloaded), None);
    let rows = diagnose(&offloaded);
    assert!(rows.iter().any(|row| row.link == "internet" && row.mark == Mark::Good));
}

#[test]
fn what_the_tool_sees_itself_is_named() {
    assert_eq!(first(&Facts { unix: 86_400, ..facts() }), Some("clock"));
    assert_eq!(first(&Facts { free: Some(4096), ..facts() }), Some("disk"));
    assert_eq!(first(&Facts { status: Err("no".to_owned()), ..facts() }), Some("agent"));
    assert_eq!(first(&Facts { modem_manager: Some(false), ..facts() }), Some("modem"));
    assert_eq!(first(&Facts { blocked: Some(Switch::Soft), ..facts() }), Some("rfkill"));
    assert_eq!(first(&Facts { blocked: Some(Switch::Hard), ..facts() }), Some("rfkill"));
    assert_eq!(first(&Facts { foreign_owner: true, ..facts() }), Some("owner"));
}

#[test]
fn the_modems_word_is_named() {
    for (word, link) in [
        ("no-modem", "modem"),
        ("failed", "modem"),
        ("sim-missing", "sim"),
        ("locked", "sim-lock"),
        ("denied", "denied"),
        ("searching", "registration"),
    ] {
        assert_eq!(first(&with(|status| status.cellular.modem = word.to_owned())), Some(link), "{word}");
    }
    assert_eq!(first(&with(|status| status.cellular.bearer = "down".to_owned())), Some("bearer"));
}

#[test]
fn each_failure_has_its_link() {
    for (code, text, link) in [
        ("clock", "date: x", "clock"),
        ("portal-unreachable", "dns: no answer", "dns"),
        ("portal-unreachable", "connect: refused", "portal"),
        ("portal-unreachable", "tls: unknown issuer", "portal-certificate"),
        ("portal-unreachable", "date: expired", "portal-certificate"),
        ("identity-mismatch", "", "subscriber"),
        ("not-entitled", "", "subscriber"),
        ("no-session", "", "portal"),
        ("supplicant", "FAIL", "supplicant"),
        ("association-failed", "", "ap-signal"),
        ("server-certificate", "", "server-certificate"),
        ("rejected-by-aaa", "", "login"),
        ("mac-refused", "", "mac"),
        ("aaa-silent", "", "radius"),
        ("no-dhcp", "", "dhcp"),
        ("captive-portal", "", "captive"),
        ("no-internet", "", "internet"),
    ] {
        assert_eq!(first(&failed(code, text)), Some(link), "{code} {text}");
    }
}

#[test]
fn wifi_is_looked_at_in_order() {
    let heard = |signal_dbm| with(|s| s.wlan.heard = Some(HeardStatus { signal_dbm, enter_dbm: -70 }));
    assert_eq!(first(&heard(None)), Some("ap-heard"));
    assert_eq!(first(&heard(Some(-85))), Some("ap-signal"));
    assert_eq!(first(&with(|status| status.wlan.supplicant = false)), Some("supplicant"));
    assert_eq!(first(&with(|status| status.wlan.interface = None)), Some("supplicant"));
    assert_eq!(first(&with(|status| status.credential = None)), Some("credential"));
}

#[test]
fn lines_fit_a_terminal_and_the_remedy_stands_under_the_link() {
    let text = format!("dns: {} evil\u{1b}[2J {}", "long ".repeat(40), "x".repeat(200));
    let rows = diagnose(&failed("portal-unreachable", &text));
    let shown = show::table(&rows);
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    assert!(shown.contains("✓ modem\n") && shown.contains("✗ name resolution"), "{shown}");
    assert!(
        shown.contains("– portal answers\n") && shown.contains("    → the cellular network's"),
        "{shown}"
    );
    assert!(
        shown.ends_with("\nFirst broken link: name resolution\n") && !shown.contains('\u{1b}'),
        "{shown}"
    );
    let json: serde_json::Value = serde_json::from_str(&show::json(&rows)).expect("JSON");
    assert_eq!(json["first-broken"], "dns");
    assert_eq!(json["good"], false);
    assert!(json["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()));
}
