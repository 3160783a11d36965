//! `portal-aaa check`: everything that can be known to be wrong before a device finds out, each with its remedy.
//!
//! Exit status 1 when devices or logins will be refused for it; what is merely not set up yet is a note.

use std::{fmt, io::Write, path::Path, process::ExitCode, time::Duration};

use anyhow::Result;
use serde::Serialize;

use super::{Config, installation::open_store};
use crate::{
    config::Settings,
    credential::{self, Keys},
    gateway::ProofMode,
    server::clock::Clock,
    sms,
    store::{ClientKind, Entitlement, Store as _, SubscriberState, Subscribers as _, sqlite::SqliteStore},
};

mod accounts;
mod certificate;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// Not set up yet, or soon to be looked at.
    Note,
    /// Devices or logins are refused for it.
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) what: String,
    /// What helps; none where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
}

/// What was found.
#[derive(Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    pub(super) fn good(&mut self, what: impl Into<String>) {
        self.0.push(Finding { verdict: Verdict::Ok, what: what.into(), remedy: None });
    }

    pub(super) fn note(&mut self, what: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Finding { verdict: Verdict::Note, what: what.into(), remedy: Some(remedy.into()) });
    }

    pub(super) fn problem(&mut self, what: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Finding { verdict: Verdict::Problem, what: what.into(), remedy: Some(remedy.into()) });
    }

    /// The first problem; what comes after it may follow from it.
    pub(super) fn broken(&self) -> Option<&Finding> {
        self.0.iter().find(|finding| finding.verdict == Verdict::Problem)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Note => "note",
            Verdict::Problem => "PROBLEM",
        };
        write!(f, "{word:<9}{}", self.what)?;
        self.remedy.iter().try_for_each(|remedy| write!(f, "\n         → {remedy}"))
    }
}

pub(super) fn run(config: &Config, out: &mut dyn Write) -> Result<ExitCode> {
    let mut findings = Findings::default();
    match Settings::load(&config.path) {
        Ok(settings) => {
            findings.good(format!("configuration {}", config.path.display()));
            let now = Duration::from_secs(Clock::start().now().unix);
            installation(&config.path, &settings, now, &mut findings);
        }
        Err(error) => findings.problem(
            format!("the configuration cannot be used\n{error}"),
            "correct the file; the one that `portal-aaa init` writes explains each key",
        ),
    }
    for finding in &findings.0 {
        writeln!(out, "{finding}")?;
    }
    Ok(if findings.broken().is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

pub(super) fn installation(config: &Path, settings: &Settings, now: Duration, findings: &mut Findings) {
    let keys = match credential::load(&settings.keys()) {
        Ok(keys) => {
            findings.good(format!("keys {}", settings.keys().display()));
            Some(keys)
        }
        Err(error) => {
            let remedy =
                "every node of this realm needs the keys that `init` made once; restore them from your copy";
            findings.problem(error.to_string(), remedy);
            None
        }
    };
    certificate::check(settings, now, findings);
    if let Some(radsec) = &settings.radsec {
        match radsec.check() {
            Ok(()) => findings.good("certificate of RadSec"),
            Err(error) => findings.problem(
                format!("RadSec cannot start: {error}"),
                "set [radsec] certificate, key and ca to PEM files that belong together",
            ),
        }
    }
    if let Some(sms) = &settings.sms {
        short_messages(settings, &sms.server, findings);
    }
    match open_store(settings) {
        Ok(store) => database(config, settings, &store, keys.as_ref(), findings),
        Err(error) => {
            findings.problem(format!("{error:#}"), "restore it from a copy, or make another with `init`")
        }
    }
}

fn database(
    config: &Path,
    settings: &Settings,
    store: &SqliteStore,
    keys: Option<&Keys>,
    findings: &mut Findings,
) {
    let path = settings.database();
    match store.verify() {
        Ok(()) => findings.good(format!("database {}", path.display())),
        Err(error) => findings
            .problem(format!("{}: {error}", path.display()), "stop `serve` and restore it from a copy"),
    }
    let clients = match store.clients() {
        Ok(clients) => clients,
        Err(error) => {
            return findings
                .problem(error.to_string(), "add the client again with `nas add` or `gateway add`");
        }
    };
    let count = |kind| clients.iter().filter(|client| client.kind == kind).count();
    let (nas, gateways) = (count(ClientKind::Nas), count(ClientKind::Gateway));
    findings.good(format!("clients: {nas} access points or controllers, {gateways} packet gateways"));
    for client in &clients {
        if keys.is_some_and(|keys| keys.open_secret(client).is_err()) {
            let remedy = format!(
                "the keys are not those it was added with; add {} again, or restore keys.toml",
                client.name
            );
            findings.problem(format!("the secret of {} does not open", client.name), remedy);
        }
    }
    accounts::check(settings, store, keys, &clients, findings);
    if settings.portal.entitlement == Entitlement::Listed {
        let mut allowed = 0u64;
        let counted = store.subscribers(&mut |record| {
            allowed += u64::from(record.state == SubscriberState::Allow);
        });
        match counted {
            Ok(()) if allowed == 0 => findings.note(
                "only listed subscribers are served, and none is listed as allowed",
                format!("portal-aaa subscriber import FILE.csv --config {}", config.display()),
            ),
            Ok(()) => findings.good(format!("subscribers: {allowed} allowed")),
            Err(error) => {
                findings.problem(error.to_string(), "stop `serve` and restore the database from a copy");
            }
        }
    }
    if nas == 0 {
        findings.note("no access point may ask for logins", add(config, "nas"));
    }
    if gateways == 0 && settings.proof.mode == ProofMode::GatewayAccounting {
        findings.note(
            "no packet gateway may report sessions, so no device gets a credential",
            add(config, "gateway"),
        );
    }
}

fn short_messages(settings: &Settings, server: &str, findings: &mut Findings) {
    // What cannot be read of the terms has been told.
    let Ok(terms) = settings.terms() else { return };
    match sms::parts(&terms) {
        Ok(parts) => findings.good(format!("SMS by {server}: a credential takes {parts} messages")),
        Err(error) => findings.problem(
            format!("no credential can be sent by SMS: {error}"),
            "set [tls] ca to a file with one authority, of a short key such as P-256; or list fewer networks",
        ),
    }
}

fn add(config: &Path, what: &str) -> String {
    format!("portal-aaa {what} add NAME --network ADDRESS/BITS --secret SECRET --config {}", config.display())
}
