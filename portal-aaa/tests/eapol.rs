//! A real supplicant logs on: Debian's `eapol_test` (wpa_supplicant's EAP peer behind a RADIUS client) against the
//! real server. It checks the server's certificate and name, PEAP's crypto binding, and that the session keys
//! of the Access-Accept are its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may assume")]

mod common;

use std::{fmt::Write as _, fs, num::NonZeroU32, process::Command};

use common::{NAS_SECRET, SERVER_NAME, STATION, World};
use portal_aaa::{credential::Lifetime, store::Store as _};
use provisioning::{identity::Mac, message::Credential};

/// Somebody else's WLAN card.
const OTHER_STATION: Mac = Mac([2, 0, 0, 0, 0, 2]);

/// One run of the supplicant.
struct Attempt<'a> {
    username: &'a str,
    password: &'a str,
    station: Mac,
    method: Method,
    tls13: bool,
    extra: &'a [&'a str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    PeapMschapv2,
    TtlsPap,
}

const METHODS: [Method; 2] = [Method::PeapMschapv2, Method::TtlsPap];

impl<'a> Attempt<'a> {
    fn of(credential: &'a Credential, method: Method) -> Self {
        let (username, password) = (credential.username.as_str(), credential.password.expose());
        Self { username, password, station: STATION, method, tls13: false, extra: &[] }
    }

    /// Runs it; gives whether it succeeded, and all that it printed.
    fn run(&self, world: &World) -> (bool, String) {
        let configuration = world.path(&format!("{:?}-{}.conf", self.method, self.tls13));
        fs::write(&configuration, self.configuration(world)).unwrap();
        let server = world.running.address();
        let output = Command::new("eapol_test")
            .args(["-t", "10", "-a", &server.ip().to_string(), "-p", &server.port().to_string()])
            .args(["-s", NAS_SECRET, "-M", &self.station.to_string()])
            .args(self.extra)
            .arg("-c")
            .arg(&configuration)
            .output()
            .expect("eapol_test must be installed: apt-get install eapoltest");
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text)
    }

    fn configuration(&self, world: &World) -> String {
        let (eap, inner, binding) = match self.method {
            // 2: a server without crypto binding is refused.
            Method::PeapMschapv2 => ("PEAP", "auth=MSCHAPV2", "crypto_binding=2 "),
            Method::TtlsPap => ("TTLS", "auth=PAP", ""),
        };
        let versions = match self.tls13 {
            true => "tls_disable_tlsv1_3=0 tls_disable_tlsv1_2=1",
            false => "tls_disable_tlsv1_3=1 tls_disable_tlsv1_2=0",
        };
        let mut text = "network={\n key_mgmt=IEEE8021X\n".to_owned();
        for (key, value) in [
            ("identity", self.username),
            ("anonymous_identity", "anonymous@operator.example"),
            ("password", self.password),
            ("ca_cert", &world.path("ca.pem").display().to_string()),
            ("domain_match", SERVER_NAME),
            ("phase1", &format!("{binding}{versions} tls_disable_tlsv1_0=1 tls_disable_tlsv1_1=1")),
            ("phase2", inner),
        ] {
            writeln!(text, " {key}=\"{value}\"").unwrap();
        }
        text + " eap=" + eap + "\n}\n"
    }
}

/// Access-Reject came, and within two seconds: the supplicant gives up after that. The operator reads why.
fn assert_rejected(world: &World, what: &str, attempt: &Attempt<'_>) {
    let (accepted, log) = Attempt { extra: &["-t", "2"], ..*attempt }.run(world);
    assert!(!accepted, "{what}: accepted\n{log}");
    let server_log = common::log();
    let line = server_log.lines().rfind(|line| line.contains(attempt.username));
    let reason = format!("event=\"login-refused\" reason=\"{what}\"");
    assert!(line.is_some_and(|line| line.contains(&reason)), "{what}: {line:?}");
    assert!(!server_log.contains(attempt.password), "a password in the log");
    assert!(
        log.contains("(Access-Reject)") && !log.contains("timed out"),
        "{what}: no Access-Reject in 2 s\n{log}"
    );
}

#[test]
fn each_method_succeeds_on_each_tls_version_with_keys_matching() {
    let world = World::start();
    let credential = world.issue(Lifetime::Device, 0);
    for method in METHODS {
        for (tls13, version) in [(false, "TLSv1.2"), (true, "TLSv1.3")] {
            let (accepted, log) = Attempt { tls13, ..Attempt::of(&credential, method) }.run(&world);
            assert!(accepted, "{method:?} {version}\n{log}");
            assert!(log.contains(&format!("Using TLS version {version}")), "{method:?} {version}\n{log}");
            assert!(log.contains("MPPE keys OK: 1  mismatch: 0"), "{method:?} {version}\n{log}");
            if method == Method::PeapMschapv2 {
                assert!(log.contains("Valid cryptobinding TLV received"), "{method:?} {version}\n{log}");
            }
        }
    }
}

#[test]
fn the_station_is_known_in_any_notation() {
    let world = World::start();
    let credential = world.issue(Lifetime::Device, 0);
    for notation in ["02:00:00:00:00:01", "020000000001", "0200.0000.0001", "02-00-00-00-00-01"] {
        let extra = ["-N", &format!("31:s:{notation}")];
        let (accepted, log) =
            Attempt { extra: &extra, ..Attempt::of(&credential, Method::TtlsPap) }.run(&world);
        assert!(accepted, "{notation}\n{log}");
    }
}

#[test]
fn what_is_wrong_is_rejected_within_two_seconds() {
    let world = World::start();
    let good = world.issue(Lifetime::Device, 0);
    let expired = world.issue(Lifetime::Seconds(NonZeroU32::new(60).unwrap()), 61);
    let revoked = world.issue(Lifetime::Device, 0);
    world.store.revoke_credential(&revoked.username, world.clock.now().unix).unwrap();
    // The server asks another process's database for news once a second.
    let until_refused = (0..100).position(|_| !Attempt::of(&revoked, Method::TtlsPap).run(&world).0);
    assert!(until_refused.is_some(), "a revoked credential is refused soon");
    for method in METHODS {
        for tls13 in [false, true] {
            let of = |credential| Attempt { tls13, ..Attempt::of(credential, method) };
            assert_rejected(&world, "wrong-password", &Attempt { password: "not it", ..of(&good) });
            assert_rejected(&world, "wrong-mac", &Attempt { station: OTHER_STATION, ..of(&good) });
            assert_rejected(&world, "expired", &of(&expired));
            assert_rejected(&world, "revoked", &of(&revoked));
            assert_rejected(
                &world,
                "bad-token",
                &Attempt { username: "nobody@operator.example", ..of(&good) },
            );
        }
        assert!(Attempt::of(&good, method).run(&world).0, "the same server accepts what is right");
    }
}

#[test]
fn the_accept_names_the_user_and_ends_with_the_credential() {
    let world = World::start();
    let credential = world.issue(Lifetime::Seconds(NonZeroU32::new(600).unwrap()), 100);
    let (accepted, log) = Attempt::of(&credential, Method::TtlsPap).run(&world);
    assert!(accepted, "{log}");
    let (_, accept) = log.rsplit_once("(Access-Accept)").unwrap();
    let value = |name: &str| {
        let (_, after) = accept.split_once(name)?;
        after.lines().nth(1)?.trim().strip_prefix("Value: ")
    };
    let session: u32 = value("(Session-Timeout)").unwrap().parse().unwrap();
    assert!((490..=500).contains(&session), "{session}");
    assert_eq!(value("(User-Name)"), Some(format!("'{}'", credential.username).as_str()));
    assert!(value("(Class)").is_some());
}

#[test]
fn a_one_time_credential_is_good_once() {
    let world = World::start();
    let credential = world.issue(Lifetime::OneTime, 0);
    let attempt = Attempt::of(&credential, Method::PeapMschapv2);
    let wrong = Attempt { password: "not it", ..Attempt::of(&credential, Method::PeapMschapv2) };
    assert_rejected(&world, "wrong-password", &wrong);
    let (accepted, log) = attempt.run(&world);
    assert!(accepted, "a failed login does not use it up\n{log}");
    assert_rejected(&world, "already-used", &attempt);
}

#[test]
fn another_certificate_is_taken_over_while_serving() {
    let world = World::start();
    let credential = world.issue(Lifetime::Device, 0);
    assert!(Attempt::of(&credential, Method::PeapMschapv2).run(&world).0);
    // A new authority, and a leaf from it: stations that trust it get in as soon as the server shows the new one.
    world.renew_certificates();
    let until_accepted = (0..100).position(|_| Attempt::of(&credential, Method::PeapMschapv2).run(&world).0);
    assert!(until_accepted.is_some(), "the new certificate is shown");
    assert!(common::log().contains("event=\"certificate-changed\""));
}
