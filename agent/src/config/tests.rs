//! The installed file, fragments, and mistakes as people make them.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    manager::owner::Choice,
    modem::{self, family::Family, which::Which},
};

/// What gets installed.
const SHIPPED: &str = include_str!("../../agent.toml");

fn load_text(text: &str) -> Result<Settings, ConfigError> {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("agent.toml");
    fs::write(&path, text).expect("writes");
    load(&path)
}

#[track_caller]
fn mistake(text: &str) -> Diagnostic {
    match load_text(text) {
        Err(ConfigError::Wrong(diagnostic)) => *diagnostic,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_shipped_file_says_the_defaults() {
    assert_eq!(load_text(SHIPPED).expect("valid"), Settings::default());
    assert_eq!(load_text("").expect("valid"), Settings::default());
}

/// The key in a comment such as `#url = …`.
fn commented_key(line: &str) -> Option<&str> {
    line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
}

/// Also keys without a default stand in the shipped file, as comments that are valid when taken in.
#[test]
fn the_shipped_file_has_every_key() {
    let taken_in: String =
        SHIPPED.lines().map(|line| format!("{}\n", commented_key(line).unwrap_or(line))).collect();
    let fragment: Fragment = toml::from_str(&taken_in).expect("valid");
    assert_eq!(fragment.unset(), Vec::<&str>::new());
    for (line, before) in taken_in.lines().skip(1).zip(taken_in.lines()) {
        assert!(
            !line.contains(" = ") || line.starts_with('#') || before.starts_with("# "),
            "no comment: {line}"
        );
    }
}

#[test]
fn later_fragments_replace_single_keys() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("agent.toml");
    let beside = dir.path().join("agent.toml.d");
    fs::create_dir(&beside).expect("directory");
    fs::write(&path, "[cellular]\napn = 'main'\nallow-roaming = false\n").expect("writes");
    fs::write(beside.join("20-b.toml"), "[cellular]\napn = 'b'\n").expect("writes");
    fs::write(beside.join("10-a.toml"), "[cellular]\napn = 'a'\n[wlan]\ninterface = 'wlan7'\n")
        .expect("writes");
    fs::write(beside.join("30-c.toml~"), "no TOML").expect("writes");
    fs::write(beside.join(".40-d.toml"), "no TOML").expect("writes");
    let settings = load(&path).expect("valid");
    assert_eq!(
        settings.cellular,
        Cellular { apn: "b".to_owned(), allow_roaming: false, ..Cellular::default() }
    );
    assert_eq!(settings.wlan.interface.as_deref(), Some("wlan7"));
    fs::write(beside.join("50-e.toml"), "\n[cellular]\napm = 'x'\n").expect("writes");
    let error = load(&path).expect_err("unknown key").to_string();
    assert!(error.contains("50-e.toml:3:1: unknown field `apm`"), "{error}");
}

#[test]
fn mistakes_are_shown_at_their_place() {
    for (text, line, column, words) in [
        ("[portal]\nurl = 'http://p.test'\n", 2, 7, "https"),
        ("[portal]\nurl = 'https://'\n", 2, 7, "https"),
        ("[portal]\nurl = 'https://u:p@p.test'\n", 2, 7, "https"),
        ("[portal]\nurl = 'p.test'\n", 2, 7, "https"),
        ("[portal]\n  ca = 'ca.pem'\n", 2, 8, "absolute"),
        ("[portal]\nformat = 'soap'\n", 2, 10, "`xml`, `soap11`, `soap12`, `json`"),
        ("[portal]\nconnect-limit-secs = 0\n", 2, 22, "1 to 120"),
        ("[portal]\nconnect-limit-secs = -1\n", 2, 22, ""),
        ("[portal]\nconnect-limit-secs = '5'\n", 2, 22, "string"),
        ("[cellular]\napn = 'a b'\n", 2, 7, "access point"),
        ("[cellular]\nallow-roaming = 'yes'\n", 2, 17, "boolean"),
        ("[cellular]\nallow_roaming = true\n", 2, 1, "unknown field"),
        ("[cellular]\nmodem = '123'\n", 2, 9, "4 last digits"),
        ("[cellular]\nip = 'ipv5'\n", 2, 6, "unknown variant"),
        ("[cellular]\npin-file = 'pin'\n", 2, 12, "absolute"),
        ("[sms]\nnumber = 'portal'\n", 2, 10, "telephone number"),
        ("[sms]\nportal-key = 'AAAA'\n", 2, 14, "portal-aaa sms key"),
        ("[sms]\nwhen = 'often'\n", 2, 8, "unknown variant"),
        ("[sms]\nafter-secs = 3601\n", 2, 14, "got 3601"),
        ("[wlan]\ninterface = ''\n", 2, 13, "interface"),
        ("[wlan]\ninterface = 'wlan0/../x'\n", 2, 13, "interface"),
        ("[wlan]\nowner = 'iwd'\n", 2, 9, "unknown variant"),
        ("[offload]\njoin-limit-secs = 71\n", 2, 19, "got 71"),
        ("[log]\nfilter = 'agent=loud'\n", 2, 10, "filter"),
        ("[metrics]\nfile = 'x.prom'\n", 2, 8, "absolute path"),
        ("[metrics]\nevery-secs = 4\n", 2, 14, "got 4"),
        ("[logs]\n", 1, 2, "unknown field"),
        ("[portal\n", 1, 8, ""),
        ("[state]\ndir = '/a'\ndir = '/b'\n", 3, 1, "duplicate"),
    ] {
        let found = mistake(text);
        assert_eq!((found.line, found.column), (line, column), "{found}");
        assert!(found.message.contains(words), "{found}");
    }
    let shown = mistake("[portal]\nurl = 'http://p.test'\n").to_string();
    assert!(shown.ends_with("  2 | url = 'http://p.test'\n    |       ^^^^^^^^^^^^^^^"), "{shown}");
}

#[test]
fn all_of_it_is_taken_over() {
    let text = "[portal]\nurl='https://p.test'\nca='/a'\nformat='soap12'\nconnect-limit-secs=1\ntotal-limit-secs=2\n[cellular]\napn='x'\n\
                allow-roaming=false\nprovision-while-roaming=false\nmodem='1234'\nip='ipv6'\npin-file='/e'\nowner='modemmanager'\n[sms]\nnumber='+123'\nportal-key='AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'\nwhen='always'\nafter-secs=0\n[wlan]\ninterface='w'\nowner='networkmanager'\nlogin-ca='/l'\n[supplicant]\ncontrol-dir='/b'\n[state]\ndir='/c'\n\
                run-dir='/d'\n[offload]\njoin-limit-secs=5\nverify-limit-secs=6\nprobe-every-secs=7\n\
                return-drain-secs=8\n[log]\nfilter='debug'\n[metrics]\nfile='/f'\nevery-secs=9\n";
    let expected = Settings {
        portal: Portal {
            url: Some("https://p.test".to_owned()),
            domain: None,
            ca: "/a".into(),
            policy_key: None,
            format: provisioning::format::Format::Soap12,
            connect_limit: Duration::from_secs(1),
            total_limit: Duration::from_secs(2),
        },
        cellular: Cellular {
            apn: "x".to_owned(),
            allow_roaming: false,
            provision_while_roaming: false,
            modem: Which::Named("1234".to_owned()),
            ip: Family::Ipv6,
            pin_file: Some("/e".into()),
            owner: modem::Owner::ModemManager,
        },
        sms: Sms {
            portal: Some((
                "+123".to_owned(),
                "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".parse().expect("a key"),
            )),
            when: crate::machine::SmsUse::Always,
        },
        wlan: Wlan { interface: Some("w".to_owned()), owner: Choice::NetworkManager, login_ca: "/l".into() },
        supplicant: Supplicant { control_dir: "/b".into() },
        state: State { dir: "/c".into(), run_dir: "/d".into() },
        offload: Offload {
            join_limit: Duration::from_secs(5),
            verify_limit: Duration::from_secs(6),
            probe_every: Duration::from_secs(7),
            return_drain: Duration::from_secs(8),
        },
        log: Log { filter: "debug".to_owned() },
        metrics: crate::daemon::metrics::Settings { file: Some("/f".into()), every: Duration::from_secs(9) },
    };
    assert_eq!(load_text(text).expect("valid"), expected);
}

#[test]
fn what_cannot_be_read_is_named() {
    let absent = load(Path::new("/nonexistent/agent.toml")).expect_err("absent").to_string();
    assert!(absent.starts_with("/nonexistent/agent.toml: No such file"), "{absent}");
    assert!(matches!(load_text(&"#".repeat(70_000)), Err(ConfigError::TooMuch(_))));
}

proptest! {
    #[test]
    fn arbitrary_text_does_not_panic(text in "[a-z\\[\\]=\"'\n #.0-9-]{0,120}") {
        let fragment: Result<Fragment, _> = toml::from_str(&text);
        if let Err(error) = fragment {
            let _ = Diagnostic::new(Path::new("f"), &text, error.span(), error.message()).to_string();
        }
    }
}
