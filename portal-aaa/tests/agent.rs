//! The agent's own client against the real portal, in every format: over loopback, whose devices the portal is told to
//! believe.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may assume"
)]

#[path = "portal/bench.rs"]
#[allow(dead_code, reason = "shared with tests/portal.rs, which uses all of it")]
mod bench;

use std::time::Duration;

use agent::provision::{Command, Event, Portal as _, Route, http, https};
use bench::{Bench, IMEI, IMSI, MAC, Never, logged, terms};
use portal_aaa::{gateway::ProofMode, portal::Limits, store::Store};
use provisioning::{
    format::Format,
    message::{CredentialRequest, Reason, Trigger},
    report::{CredentialReport, Failure, Outcome},
    secret::Password,
};
use tokio::{sync::mpsc, time::timeout};

fn request() -> CredentialRequest {
    CredentialRequest {
        imsi: Some(IMSI.parse().unwrap()),
        imei: Some(IMEI.parse().unwrap()),
        mac: MAC,
        trigger: Trigger::Attach,
        agent: http::USER_AGENT.to_owned(),
        policy_version: None,
    }
}

/// What the agent's client says of one request in this format.
async fn fetch(bench: &Bench, format: Format) -> Event {
    let route = Route { interface: "lo".to_owned(), dns: Vec::new(), domain: None };
    send(bench, format, Command::Fetch { request: request(), route }).await
}

/// The same, of one report.
async fn tell(bench: &Bench, format: Format, report: CredentialReport) -> Event {
    let route = Route { interface: "lo".to_owned(), dns: Vec::new(), domain: None };
    send(bench, format, Command::Report { report, route }).await
}

async fn send(bench: &Bench, format: Format, command: Command) -> Event {
    let limits = http::Limits { connect: Duration::from_secs(5), total: Duration::from_secs(10) };
    let url = Some(format!("https://{}", bench.address));
    let settings = https::Settings { url, ca: bench.ca_file(), format, limits };
    let (sender, mut events) = mpsc::channel(4);
    let client = https::spawn(settings, sender).expect("a thread");
    client.send(command);
    timeout(Duration::from_secs(20), events.recv()).await.expect("in bounded time").expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_fetches_a_credential_in_every_format() {
    let loopback = ProofMode::TrustedPrefix(vec!["127.0.0.1/32".parse().unwrap()]);
    let bench = Bench::with(loopback, Limits::default(), None::<Never>).await;
    for format in Format::ALL {
        let Event::Granted(credential) = fetch(&bench, format).await else { panic!("{format:?}") };
        assert_eq!((&credential.eap, &credential.policy), (&terms().eap, &terms().policy));
        assert!(bench.store.credential(&credential.username).unwrap().is_some(), "{format:?}");
        assert!(logged("127.0.0.1").contains(&credential.username), "{format:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_tells_in_every_format_what_became_of_a_credential() {
    let loopback = ProofMode::TrustedPrefix(vec!["127.0.0.1/32".parse().unwrap()]);
    let bench = Bench::with(loopback, Limits { burst: 100, ..Limits::default() }, None::<Never>).await;
    for format in Format::ALL {
        let Event::Granted(credential) = fetch(&bench, format).await else { panic!("{format:?}") };
        let signed = credential.signed_policy.as_ref().expect("signed");
        assert_eq!(signed.open(&bench.keys.policy_keys()).unwrap().policy, credential.policy);
        let report = |outcome, password: &Password| {
            let (username, agent) = (credential.username.clone(), http::USER_AGENT.to_owned());
            CredentialReport::prove(username, outcome, Some(1), agent, password)
        };
        let progress = || bench.store.credential(&credential.username).unwrap().unwrap().progress;
        let failed = Outcome::Failed(Failure::ServerCertificate);
        for outcome in [Outcome::Installed, Outcome::Installed, failed, Outcome::FirstSuccess] {
            let event = tell(&bench, format, report(outcome, &credential.password)).await;
            assert_eq!(event, Event::Reported { taken: true }, "{format:?}");
        }
        let found = progress();
        assert!(found.installed_at.is_some() && found.worked_at.is_some() && found.failed_at.is_some());
        assert_eq!((found.failure.as_deref(), found.runs_policy), (Some("server-certificate"), Some(1)));
        // Who does not hold it has no say; the agent does not try again.
        let forged = report(Outcome::Installed, &Password::new("another".to_owned()));
        assert_eq!(tell(&bench, format, forged).await, Event::Reported { taken: true });
        assert_eq!(progress(), found);
        assert!(logged("127.0.0.1").contains("report-unproved"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_understands_a_refusal_in_every_format() {
    let elsewhere = ProofMode::TrustedPrefix(vec!["127.0.50.0/24".parse().unwrap()]);
    let bench = Bench::with(elsewhere, Limits::default(), None::<Never>).await;
    for format in Format::ALL {
        let expected = Event::Refused { reason: Reason::IdentityMismatch, retry_after: None };
        assert_eq!(fetch(&bench, format).await, expected, "{format:?}");
    }
    // With a wait.
    let bench = Bench::start().await;
    for format in Format::ALL {
        let Event::Refused { reason, retry_after } = fetch(&bench, format).await else {
            panic!("{format:?}")
        };
        assert_eq!(reason, Reason::NoSession);
        assert_eq!(retry_after, Some(Duration::from_secs(5)));
    }
}
