//! What all cases share: an installation of portal-aaa a kind of certificate, and names that nobody else uses.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    clock,
    peers::{
        SERVER_NAME, User,
        certificate::{Certificate, Kind},
        eapol::{Attempt, Method, Outcome, Tls},
        portal::PortalAaa,
        private_folder,
    },
    text::tail,
};

/// How long the server may take to hear of what another process wrote into its database (it says: a second).
const NEWS: Duration = Duration::from_secs(10);

/// The servers, running.
pub(super) struct Bed {
    p256: PortalAaa,
    rsa: PortalAaa,
    folder: PathBuf,
    logs: PathBuf,
    counter: AtomicUsize,
}

impl Bed {
    /// Makes and starts them; logs and all files go into `out`.
    pub(super) fn make(out: &Path) -> Result<Self> {
        let logs = out.join("log");
        let folder = out.join("work");
        fs::create_dir_all(&logs)?;
        private_folder(&folder)?;
        let mut p256 = PortalAaa::init("portal-aaa-p256", &folder.join("p256"), &logs)?;
        p256.serve()?;
        let mut rsa = PortalAaa::init("portal-aaa-rsa", &folder.join("rsa"), &logs)?;
        let certificates = folder.join("rsa-certificates");
        private_folder(&certificates)?;
        rsa.use_certificate(&Certificate::make(&certificates, Kind::Rsa, SERVER_NAME)?)?;
        rsa.serve()?;
        Ok(Self { p256, rsa, folder, logs, counter: AtomicUsize::new(0) })
    }

    /// They must have lived until now, and end when asked to.
    pub(super) fn end(&mut self) -> Result<()> {
        self.p256.stop()?;
        self.rsa.stop()
    }

    /// The server with this kind of certificate.
    pub(super) fn server(&self, kind: Kind) -> &PortalAaa {
        match kind {
            Kind::P256 => &self.p256,
            Kind::Rsa => &self.rsa,
        }
    }

    /// Where logs go.
    pub(super) fn logs(&self) -> &Path {
        &self.logs
    }

    /// A number that was never given before.
    pub(super) fn number(&self) -> usize {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    /// A folder for a program's configuration.
    pub(super) fn new_folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(format!("{name}-{}", self.number()));
        private_folder(&path)?;
        Ok(path)
    }

    /// A station that nobody else is.
    pub(super) fn station(&self) -> String {
        let [.., high, low] = self.number().to_be_bytes();
        format!("02:00:5e:00:{high:02x}:{low:02x}")
    }

    /// A credential for a new station.
    pub(super) fn issue(&self, kind: Kind, lifetime: &str) -> Result<User> {
        self.server(kind).issue(&self.station(), lifetime)
    }

    /// A static account, known to the P-256 server.
    pub(super) fn account(&self, name: &str, password: &str, more: &[&str]) -> Result<User> {
        let words = ["user", "add", name, "--password", password];
        self.server(Kind::P256).admin(&[&words[..], more].concat())?;
        let user = User { name: name.to_owned(), password: password.to_owned(), station: self.station() };
        let probe = User { password: format!("not {password}"), ..user.clone() };
        let probe = self.attempt(Kind::P256, &probe, Method::TtlsPap, Tls::V12);
        clock::until_every(Duration::from_millis(200), "the server knows a new account", NEWS, || {
            self.run(&probe)?;
            let last = self.reasons(Kind::P256, name)?.pop();
            Ok(last.filter(|reason| reason != "unknown-user" && reason != "unknown-realm").map(drop))
        })?;
        Ok(user)
    }

    /// A login at that server.
    pub(super) fn attempt(&self, kind: Kind, user: &User, method: Method, tls: Tls) -> Attempt {
        let server = self.server(kind);
        Attempt::new(server.radius(), &server.certificate().ca, user, method, tls)
    }

    /// Runs eapol_test.
    pub(super) fn run(&self, attempt: &Attempt) -> Result<Outcome> {
        let number = self.number();
        let outcome = attempt.run(&self.folder.join(format!("eapol-{number}.conf")))?;
        // The whole of it, for whoever looks into a failure.
        fs::write(self.logs.join(format!("eapol-{number}.log")), &outcome.text)?;
        Ok(outcome)
    }

    /// An Access-Reject must come, and the operator must read this reason.
    pub(super) fn must_refuse(&self, kind: Kind, attempt: &Attempt, reason: &str) -> Result<()> {
        let before = self.reasons(kind, &attempt.user.name)?.len();
        let outcome = self.run(attempt)?;
        ensure!(!outcome.accepted, "{reason}: accepted\n{}", outcome.evidence());
        ensure!(outcome.rejected(), "{reason}: no Access-Reject\n{}", outcome.evidence());
        let reasons = self.reasons(kind, &attempt.user.name)?;
        let new = reasons.get(before..).unwrap_or_default();
        ensure!(new == [reason], "expected the reason {reason} once in the log, got {new:?}");
        let log = fs::read_to_string(self.server(kind).log())?;
        ensure!(!log.contains(&attempt.user.password), "a password stands in the log");
        Ok(())
    }

    /// Waits until a login is refused for this reason: what an administrator wrote, or a clock.
    pub(super) fn until_refused(&self, kind: Kind, attempt: &Attempt, reason: &str) -> Result<()> {
        let pace = Duration::from_millis(200);
        clock::until_every(pace, &format!("a login is refused as {reason}"), NEWS, || {
            let accepted = self.run(attempt)?.accepted;
            let last = self.reasons(kind, &attempt.user.name)?.pop();
            Ok((!accepted && last.as_deref() == Some(reason)).then_some(()))
        })
        .with_context(|| tail(self.server(kind).log(), 5))
    }

    /// Waits until a login of this user resumed a session.
    pub(super) fn until_resumed(&self, kind: Kind, name: &str) -> Result<()> {
        clock::until("a session is resumed", NEWS, || {
            let resumed = |line: &Value| line.get("resumed").and_then(Value::as_bool) == Some(true);
            Ok(self.logins(kind, name)?.iter().any(resumed).then_some(()))
        })
    }

    /// What came of this user's logins, in order: `accepted`, or the reason of the refusal.
    pub(super) fn verdicts(&self, kind: Kind, name: &str) -> Result<Vec<String>> {
        let reason = |line: &Value| line.get("reason").and_then(Value::as_str).map(str::to_owned);
        let logins = self.logins(kind, name)?;
        Ok(logins.iter().map(|line| reason(line).unwrap_or_else(|| "accepted".to_owned())).collect())
    }

    /// Reasons of this user's refusals, in order.
    pub(super) fn reasons(&self, kind: Kind, name: &str) -> Result<Vec<String>> {
        let mut verdicts = self.verdicts(kind, name)?;
        verdicts.retain(|verdict| verdict != "accepted");
        Ok(verdicts)
    }

    fn logins(&self, kind: Kind, name: &str) -> Result<Vec<Value>> {
        let lines = self.server(kind).log_lines()?;
        let events = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let of = |line: &Value, key: &str, value: &str| line.get(key).and_then(Value::as_str) == Some(value);
        Ok(events
            .filter(|line| of(line, "event", "login-accepted") || of(line, "event", "login-refused"))
            .filter(|line| of(line, "username", name))
            .collect())
    }
}
