//! An authenticator under the operator's name whose certificate is nearly right: no octet of username or password
//! leaves the device. The authenticator's own debug log is the witness: it tells every state of its EAP server and
//! every identity that it was given (RFC 3748 §5.1; PEAP's second phase carries the inner one).

use super::{
    super::{Command, Event, JoinFailure},
    bench::{Authority, Bench, NOW, SERVER_NAME},
    life::{Daemon, PASSWORD, right_password},
};

/// What the server shows, and what the device thinks of it.
struct Shown {
    what: &'static str,
    by: &'static str,
    name: &'static str,
    years: (i32, i32),
    /// None where the device logs on.
    refused: Option<JoinFailure>,
}

/// The device trusts `operator`, and while the operator changes its authority, `next` as well.
const SHOWN: [Shown; 9] = [
    Shown { what: "the operator's", by: "operator", name: SERVER_NAME, years: NOW, refused: None },
    Shown {
        what: "another authority's, for the right name",
        by: "stranger",
        name: SERVER_NAME,
        years: NOW,
        refused: Some(JoinFailure::ServerCertificate),
    },
    Shown {
        what: "an authority's that calls itself as the operator's",
        by: "namesake",
        name: SERVER_NAME,
        years: NOW,
        refused: Some(JoinFailure::ServerCertificate),
    },
    Shown {
        what: "the operator's, for another server",
        by: "operator",
        name: "portal.operator.example",
        years: NOW,
        refused: Some(JoinFailure::ServerCertificate),
    },
    Shown {
        what: "the operator's, for a name below the right one",
        by: "operator",
        name: "evil.aaa.operator.example",
        years: NOW,
        refused: Some(JoinFailure::ServerCertificate),
    },
    Shown {
        what: "expired",
        by: "operator",
        name: SERVER_NAME,
        years: (1999, 2001),
        refused: Some(JoinFailure::CertificateDate),
    },
    Shown {
        what: "not valid yet",
        by: "operator",
        name: SERVER_NAME,
        years: (2190, 2200),
        refused: Some(JoinFailure::CertificateDate),
    },
    Shown {
        what: "expired, and another authority's",
        by: "stranger",
        name: SERVER_NAME,
        years: (1999, 2001),
        refused: Some(JoinFailure::ServerCertificate),
    },
    Shown {
        what: "the next authority's, which is told",
        by: "next",
        name: SERVER_NAME,
        years: NOW,
        refused: None,
    },
];

#[test]
fn only_the_right_certificate_gets_a_password() {
    let Some(mut bench) = Bench::with_supplicant() else { return };
    let [operator, stranger, namesake, next] =
        ["Operator CA", "Another CA", "Operator CA", "Operator CA 2"].map(Authority::new);
    bench.ca_pem = format!("{}{}", operator.pem, next.pem);
    for shown in &SHOWN {
        let by = match shown.by {
            "operator" => &operator,
            "stranger" => &stranger,
            "namesake" => &namesake,
            _ => &next,
        };
        by.sign(bench.directory(), shown.name, shown.years);
        let (outcome, told) = log_on(&mut bench);
        assert_eq!(outcome, shown.refused, "{}", shown.what);
        judge(&told, shown.refused.is_none(), shown.what);
    }
}

#[test]
fn an_authority_that_was_changed_without_a_word_is_a_stranger() {
    let Some(mut bench) = Bench::with_supplicant() else { return };
    let [operator, next] = ["Operator CA", "Operator CA 2"].map(Authority::new);
    bench.ca_pem.clone_from(&operator.pem);
    next.sign(bench.directory(), SERVER_NAME, NOW);
    let (outcome, told) = log_on(&mut bench);
    assert_eq!(outcome, Some(JoinFailure::ServerCertificate));
    judge(&told, false, "the next authority's, of which the device knows nothing");
}

/// One login; why it failed, and what the authenticator was told.
fn log_on(bench: &mut Bench) -> (Option<JoinFailure>, String) {
    let username = bench.credential().username;
    bench.start_authenticator(&username, PASSWORD);
    let mut daemon = Daemon::start(bench);
    daemon.expect(Event::Up);
    daemon.install(bench, right_password);
    daemon.join();
    let outcome = loop {
        match daemon.next() {
            Event::ServerAccepted { .. } => {}
            Event::Connected { .. } => break None,
            Event::JoinFailed { failure, .. } => break Some(failure),
            other => panic!("{other:?}"),
        }
    };
    daemon.supplicant.send(Command::Leave);
    (outcome, bench.end_authenticator())
}

/// What was told and what was not. The good login shows that the words are the right ones to look for.
fn judge(told: &str, good: bool, what: &str) {
    assert!(told.contains("anonymous@"), "{what}: it was not even asked who is there\n{told}");
    // The outer identity is told in clear and in octets; of the inner one each octet counts.
    let identity = "74 6f 6b 65 6e 40";
    for word in ["PHASE2_ID", "token@", identity, "MSCHAPV2"] {
        assert_eq!(told.contains(word), good, "{what}: {word}\n{told}");
    }
}
