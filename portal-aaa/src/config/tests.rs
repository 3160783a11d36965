//! The file that `init` writes, and what people make of it.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use crate::{gateway::ProofMode, proxy::Transport};

fn seed() -> Seed {
    Seed {
        realm: "operator.example".to_owned(),
        listen: "0.0.0.0".parse().unwrap(),
        portal_port: 8443,
        radius_port: 1812,
        accounting_port: 1813,
        portal_name: "portal.operator.example".to_owned(),
        aaa_name: "aaa.operator.example".to_owned(),
    }
}

fn load(text: &str) -> Result<Settings, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portal-aaa.toml");
    fs::write(&path, text).unwrap();
    Settings::load(&path).map_err(|error| error.to_string().replace(path.to_str().unwrap(), "F"))
}

/// The template with one thing changed.
fn with(old: &str, new: &str) -> String {
    let text = template(&seed());
    assert_eq!(text.matches(old).count(), 1, "{old}");
    text.replace(old, new)
}

#[test]
fn the_template_says_the_defaults() {
    let written = Settings::parse(&template(&seed()), Path::new("/etc/x")).unwrap();
    let policy = &template(&seed()).split_once("[policy]").unwrap().1.to_owned();
    let least = format!("realm = \"operator.example\"\n[policy]\n{policy}");
    let default = Settings::parse(&least, Path::new("/etc/x")).unwrap();
    assert_eq!(format!("{written:?}"), format!("{default:?}"));
    assert_eq!(written.database(), Path::new("/etc/x/portal-aaa.db"));
    assert_eq!(written.tls.ca, Path::new("/etc/x/tls/ca.pem"));
}

#[test]
fn every_key_has_its_comment() {
    let text = template(&seed());
    let mut commented = false;
    for line in text.lines() {
        if line.trim().is_empty() || line.starts_with('[') {
            commented = false;
        } else if line.starts_with('#') {
            commented = true;
        } else {
            // A pair such as certificate and key shares a comment.
            assert!(commented, "{line}");
        }
    }
}

#[test]
fn ipv6_and_ports_are_written_as_they_are_read() {
    let seed = Seed { listen: "::1".parse().unwrap(), radius_port: 11812, ..seed() };
    let settings = Settings::parse(&template(&seed), Path::new("")).unwrap();
    assert_eq!(settings.radius.listen, "[::1]:11812".parse().unwrap());
}

#[test]
fn other_choices_are_understood() {
    let settings = load(
        &with("mode = \"gateway-accounting\"\n", "mode = \"trusted-prefix\"\n")
            .replace("prefixes = []", "prefixes = [\"10.64.0.0/10\"]"),
    )
    .unwrap();
    assert_eq!(settings.proof.mode, ProofMode::TrustedPrefix(vec!["10.64.0.0/10".parse().unwrap()]));
    let settings = load(
        &with("mode = \"gateway-accounting\"\n", "mode = \"header\"\n")
            .replace("proxies = []", "proxies = [\"192.0.2.8\"]")
            .replace("msisdn_header = \"\"", "msisdn_header = \"X-MSISDN\"")
            .replace("subscribers = \"any\"", "subscribers = \"listed\""),
    )
    .unwrap();
    let header = crate::gateway::HeaderProof {
        proxies: vec!["192.0.2.8".parse().unwrap()],
        imsi: None,
        msisdn: Some("X-MSISDN".to_owned()),
    };
    assert_eq!(settings.proof.mode, ProofMode::Header(header));
    assert_eq!(settings.portal.entitlement, Entitlement::Listed);
    let lifetime = |text| load(&with("lifetime = \"device\"", text)).unwrap().credential.lifetime;
    assert_eq!(lifetime("lifetime = \"one-time\""), Lifetime::OneTime);
    assert_eq!(lifetime("lifetime = 3600"), Lifetime::Seconds(NonZeroU32::new(3600).unwrap()));
    assert_eq!(
        load(&with("mac = \"permanent\"", "mac = \"unbound\"")).unwrap().credential.mac,
        MacBinding::Unbound
    );
    assert_eq!(
        load(&with("\"operator.example\"", "\"Operator.Example\"")).unwrap().realm,
        "operator.example"
    );
}

#[test]
fn errors_show_file_line_column_and_place() {
    let text = "realm = \"operator.example\"\n[portal]\nlisten = \"nowhere\"\n";
    assert_eq!(
        load(text).unwrap_err(),
        "F:3:10: invalid socket address syntax\n 3 | listen = \"nowhere\"\n   |          ^^^^^^^^^"
    );
    assert_eq!(
        load("realm = \"ö.example\"\nüber = 1\n").unwrap_err().lines().next().unwrap(),
        "F:2:1: invalid unquoted key, expected letters, numbers, `-`, `_`"
    );
    let wrong = load(&with("leave-dbm = -75", "\tleave-dbm = -60")).unwrap_err();
    let (head, rest) = wrong.split_once('\n').unwrap();
    assert!(
        head.ends_with(":14: leave-dbm: must lie below enter-dbm, else devices move to and fro"),
        "{head}"
    );
    assert!(rest.ends_with("| \t            ^^^"), "{rest:?}");
}

#[test]
fn each_wrong_value_is_named() {
    for (old, new, expected) in [
        ("realm = \"operator.example\"", "realm = \"not a name\"", "realm: a realm is a domain name"),
        ("realm = \"operator.example\"", "", "missing field `realm`"),
        ("realm = \"operator.example\"", "realm = \"operator.example\"\nrelm = 1", "unknown field `relm`"),
        ("[portal]", "[portal]\nport = 1", "unknown field `port`"),
        ("version = 1", "version = 1\nenter_dbm = 1", "unknown field `enter_dbm`"),
        ("name = \"portal.operator.example\"", "name = \"https://portal\"", "name: must be a domain name"),
        ("\"0.0.0.0:1813\"\n#", "\"0.0.0.0:1812\"\n#", "accounting_listen: must differ"),
        ("mode = \"gateway-accounting\"\n", "mode = \"none\"\n", "unknown variant `none`"),
        ("mode = \"gateway-accounting\"\n", "mode = \"header\"\n", "proxies: mode header needs"),
        ("mode = \"gateway-accounting\"\n", "mode = \"header\"\n", "imsi_header: mode header needs"),
        ("imsi_header = \"\"", "imsi_header = \"x imsi\"", "imsi_header: must be the name of an HTTP header"),
        ("max_identities = 4", "max_identities = 0", "max_identities: must be 1 to 64"),
        ("subscriber_burst = 30", "subscriber_burst = 0", "subscriber_burst: must be 1 to"),
        ("subscribers = \"any\"", "subscribers = \"some\"", "unknown variant `some`"),
        (
            "mode = \"gateway-accounting\"\n",
            "mode = \"trusted-prefix\"\n",
            "prefixes: mode trusted-prefix needs",
        ),
        ("prefixes = []", "prefixes = [\"10.0.0.1/8\"]", "a network is written as"),
        ("max_silence_secs = 300", "max_silence_secs = 0", "max_silence_secs: must be 1 to 86400 seconds"),
        ("lifetime = \"device\"", "lifetime = 0", "a lifetime is"),
        ("lifetime = \"device\"", "lifetime = \"forever\"", "a lifetime is"),
        ("inner = \"mschapv2\"", "inner = \"pap\"", "inner: outer = \"peap\" goes with"),
        ("enter-dbm = -65", "enter-dbm = 65", "enter-dbm: must be -100 to -20 dBm"),
        ("ssid = \"operator-wifi\"", "ssid = \"\"", "ssid: an SSID has 1 to 32 octets"),
        ("networks = [", "networks = []\n#", "networks: needs 1 to 64 networks"),
        ("http://probe", "https://probe", "probe-url: must be an http:// URL"),
        ("\"down\"\n", "\"off\"\n", "unknown variant `off`"),
    ] {
        let text = template(&seed());
        assert!(text.contains(old), "{old}");
        let error = load(&text.replacen(old, new, 1)).unwrap_err();
        assert!(error.starts_with("F:") && error.contains(expected), "{new}: {error}");
    }
}

/// A file with a RadSec and a proxy table.
fn roaming(tables: &str) -> Result<Settings, String> {
    load(
        &template(&seed())
            .replace("# Why a device is believed", &format!("{tables}\n# Why a device is believed")),
    )
}

#[test]
fn the_commented_tables_are_right_once_they_are_no_comments() {
    let text = template(&seed());
    let (_, tables) = text.split_once("#[radsec]").unwrap();
    let (tables, _) = tables.split_once("# Why a device").unwrap();
    let keys = tables.lines().filter_map(|line| line.strip_prefix('#')).filter(|line| !line.starts_with(' '));
    // Of the two ways to give a secret one counts, and server_name is for the other transport.
    let keys = keys.filter(|line| !line.starts_with("secret_file") && !line.starts_with("server_name"));
    let text = format!("[radsec]\n{}", keys.collect::<Vec<_>>().join("\n"));
    let settings = roaming(&text).unwrap();
    assert_eq!(settings.radsec.unwrap().listen, Some("0.0.0.0:2083".parse().unwrap()));
    assert_eq!((settings.proxy.home_servers.len(), settings.proxy.realms.len()), (1, 1));
    assert!(!format!("{:?}", settings.proxy).contains("16 characters"), "a secret is not shown");
}

#[test]
fn home_servers_and_realms_are_understood() {
    let settings = roaming(
        "[radsec]\n[[proxy.home_server]]\nname = \"a\"\naddress = \"[2001:db8::1]:1645\"\nsecret = \"s\"\n\
         [[proxy.home_server]]\nname = \"b\"\naddress = \"radsec.example:2083\"\ntransport = \"radsec\"\n\
         [[proxy.realm]]\nrealm = \"*\"\nhome_servers = [\"b\", \"a\"]\nbalance = \"round-robin\"\n",
    )
    .unwrap();
    let proxy = settings.proxy;
    assert_eq!(
        proxy.home_servers[0].transport,
        Transport::Udp {
            address: "[2001:db8::1]:1645".parse().unwrap(),
            accounting_address: "[2001:db8::1]:1646".parse().unwrap()
        }
    );
    let (address, server_name) = ("radsec.example:2083".to_owned(), "radsec.example".to_owned());
    assert_eq!(proxy.home_servers[1].transport, Transport::RadSec { address, server_name });
    assert_eq!(proxy.realms[0].home_servers, [1, 0]);
    assert!(proxy.needs_tls() && settings.radsec.unwrap().listen.is_none());
}

#[test]
fn each_wrong_home_server_and_realm_is_named() {
    let server = "[[proxy.home_server]]\nname = \"a\"\naddress = \"192.0.2.1:1812\"\nsecret = \"s\"\n";
    let realm = "[[proxy.realm]]\nrealm = \"partner.example\"\nhome_servers = [\"a\"]\n";
    let good = format!("{server}{realm}");
    roaming(&good).unwrap();
    for (old, new, expected) in [
        ("name = \"a\"", "name = \"\"", "name: a name has letters"),
        (realm, &good, "name: a is the name of another home server"),
        ("192.0.2.1:1812", "192.0.2.1", "address: must be ADDRESS:PORT"),
        ("192.0.2.1:1812", "home.example:1812", "address: must be ADDRESS:PORT"),
        ("secret = \"s\"", "", "needs secret or secret_file"),
        ("secret = \"s\"", "secret = \"\"", "secret: a shared secret has 1 to 128"),
        ("secret = \"s\"", "secret = \"s\"\nsecret_file = \"x\"", "secret: stands here and in"),
        ("secret = \"s\"", "secret_file = \"not there\"", "secret_file: cannot be read"),
        ("secret = \"s\"", "secret = \"s\"\nserver_name = \"x\"", "server_name: belongs to"),
        ("secret = \"s\"", "transport = \"radsec\"", "transport: radsec needs a [radsec] table"),
        ("secret = \"s\"", "secret = \"s\"\ntransport = \"radsec\"", "secret: RadSec has certificates"),
        ("secret = \"s\"", "transport = \"tcp\"", "unknown variant `tcp`"),
        ("[\"a\"]", "[\"a\", \"c\"]", "home_servers: there is no [[proxy.home_server]] named c"),
        ("partner.example", "*partner", "realm: must be a realm"),
        ("partner.example", "Operator.example", "realm: is our own"),
        ("[[proxy.realm]]", "[radsec]\nlisten = \"0.0.0.0:8443\"\n[[proxy.realm]]", "listen: must differ"),
    ] {
        assert!(good.contains(old), "{old}");
        let error = roaming(&good.replacen(old, new, 1)).unwrap_err();
        assert!(error.starts_with("F:") && error.contains(expected), "{new}: {error}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let text =
        with("max_silence_secs = 300", "max_silence_secs = 0").replace("enter-dbm = -65", "enter-dbm = 0");
    let error = load(&text).unwrap_err();
    assert!(error.contains("max_silence_secs:") && error.contains("enter-dbm:"), "{error}");
}

proptest! {
    #[test]
    fn arbitrary_text_gives_a_message(text in "\\PC{0,200}", lines in "([a-z_\\[\\]]{0,12} ?=? ?[\"0-9a-z\\t]{0,9}\n){0,12}") {
        for text in [text, lines] {
            if let Err(problems) = Settings::parse(&text, Path::new("")) {
                let error = ConfigError::Invalid { path: "F".into(), text, problems };
                prop_assert!(error.to_string().starts_with("F:"));
            }
        }
    }

    #[test]
    fn a_truncated_file_gives_a_message(at in 0usize..6000) {
        let mut text = template(&seed());
        let at = (0..=at.min(text.len() - 20)).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        text.truncate(at);
        prop_assert!(load(&text).is_err());
    }
}

#[test]
fn session_rules_are_read_and_overridden_for_one_access_point() {
    let settings = load(
        &with("vlan = 0", "vlan = 20")
            .replace("max_down_kbits = 0", "max_down_kbits = 5000")
            .replace("terminate_at = \"\"", "terminate_at = \"04:30\"")
            .replace("max_sessions = 0", "max_sessions = 3")
            .replace(
                "# Usage as",
                "[session.nas.hall]\nvlan = 0\ninterim_secs = 60\nterminate_at = \"\"\n# Usage as",
            ),
    )
    .unwrap();
    let (everywhere, ends_at) = &settings.session.everywhere;
    assert_eq!((everywhere.vlan, everywhere.interim_interval_secs), (Some(20), Some(600)));
    assert_eq!((everywhere.max_down_bits, everywhere.max_up_bits), (Some(5_000_000), None));
    assert_eq!((everywhere.session_timeout_secs, &everywhere.filter_id), (None, &None));
    assert_eq!((*ends_at, settings.session.max_sessions), (Some(4 * 3600 + 1800), 3));
    assert_eq!(settings.session.assume_gone_secs, 86_400);
    let (hall, ends_at) = &settings.session.nas["hall"];
    assert_eq!((hall.vlan, hall.interim_interval_secs, *ends_at), (None, Some(60), None));
    assert_eq!(hall.max_down_bits, Some(5_000_000), "the rest is as everywhere");
}

#[test]
fn every_session_rule_that_does_not_fit_is_named() {
    let text = with("interim_secs = 600", "interim_secs = 59")
        .replace("vlan = 0", "vlan = 4095")
        .replace("idle_timeout_secs = 0", "idle_timeout_secs = 3")
        .replace("max_up_kbits = 0", "max_up_kbits = 4294968")
        .replace("terminate_at = \"\"", "terminate_at = \"4:00\"")
        .replace("filter_id = \"\"", "filter_id = \"a\\u0007\"")
        .replace("# Usage as", "[session.nas.hall]\ntimeout_secs = 1\n# Usage as");
    let said = load(&text).unwrap_err();
    for key in ["interim_secs", "vlan", "idle_timeout_secs", "max_up_kbits", "terminate_at", "filter_id"] {
        assert!(said.contains(&format!(": {key}: ")), "{key}: {said}");
    }
    assert!(said.contains("timeout_secs: must be 0 (not sent) or 60"), "{said}");
    let said = load(&with("ssids = []", "ssids = [\"ok\", \"\"]").replace("nas = []", "nas = [\" x\"]"))
        .unwrap_err();
    assert!(said.contains("1: an SSID has 1 to 32") && said.contains("0: must be a name given by"), "{said}");
    assert!(load(&with("keep_days = 0", "keep_days = -1")).is_err());
}

/// The table as the template shows it, with the signs of comment taken away.
fn sms_table() -> String {
    let text = template(&seed());
    let (_, table) = text.split_once("#[sms]\n").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let keys = table.lines().filter_map(|line| line.strip_prefix('#')).filter(|line| !line.starts_with(' '));
    keys.map(|line| format!("{line}\n")).collect()
}

fn sms(table: &str, password: &str) -> Result<crate::sms::Settings, String> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("smsc.password"), password).unwrap();
    let text = format!("{}\n[sms]\n{table}", template(&seed()));
    let settings = Settings::parse(&text, dir.path());
    settings.map(|settings| settings.sms.unwrap()).map_err(|problems| format!("{problems:?}"))
}

#[test]
fn short_messages_have_the_defaults_that_the_template_says() {
    let whole = sms(&sms_table(), "secret\n").unwrap();
    assert_eq!(whole.password.expose(), "secret");
    let least: String = sms_table()
        .lines()
        .filter(|line| {
            ["server ", "system_id ", "password_file ", "source "].iter().any(|key| line.starts_with(key))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let least = sms(&least, "secret").unwrap();
    let all = |s: &crate::sms::Settings| {
        let numbers = (s.window, s.per_second, s.receipts, s.keys.clone(), s.clock_window);
        let rest = (s.subscriber_burst, s.subscriber_refill, s.delivery, s.long, s.dest_ton, s.dest_npi);
        format!("{:?} {} {:?} {:?} {:?} {}", s, s.system_type, s.source, numbers, rest, s.server)
    };
    assert_eq!(all(&least), all(&whole));
    assert!(Settings::parse(&template(&seed()), Path::new("/x")).unwrap().sms.is_none());
}

#[test]
fn short_messages_that_cannot_work_are_refused() {
    for (old, new, expected) in [
        ("smsc.operator.example:2775", "smsc.operator.example", "HOST:PORT"),
        ("\"wifi-offload\"", "\"a name that is too long\"", "at most 15"),
        ("15550001000", "portal", "digits"),
        ("long = \"udh\"", "long = \"all\"", "unknown variant"),
        ("window = 10", "window = 0", "1 to 1000"),
        ("keys = [1]", "keys = [1, 1]", "none twice"),
        ("keys = [1]", "keys = [300]", "300"),
        ("clock_window_secs = 900", "clock_window_secs = 5", "60 to 86400"),
        ("smsc.password", "absent", "cannot be read"),
    ] {
        let table = sms_table();
        assert!(table.contains(old), "{old}");
        let problem = sms(&table.replacen(old, new, 1), "secret").unwrap_err();
        assert!(problem.contains(expected), "{problem}");
    }
    assert!(sms(&sms_table(), "longer than eight").unwrap_err().contains("at most 8"));
}
