//! The credential: when the portal is asked, what is kept, what stands in the supplicant.

use std::{net::IpAddr, time::Duration};

use provisioning::{
    identity::Imsi,
    message::{Credential, CredentialRequest, Policy, Reason, Trigger},
};
use sha2::{Digest, Sha256};

use super::{Action, Failure, Machine, Note, State};
use crate::{
    modem::{Bearer, Ipv4Config, Ipv6Config},
    provision,
    supplicant::{self, JoinFailure},
    vault::Stored,
};

/// First wait after the portal refused or was not reached; doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_secs(2);
/// Longest wait between requests.
const RETRY_MAX: Duration = Duration::from_secs(900);
/// A portal's Retry-After is obeyed up to this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// Wait after the supplicant refused the credential.
const INSTALL_RETRY: Duration = Duration::from_secs(10);
/// A request that nobody answered; the client's own limit is shorter.
const FETCH_LIMIT: Duration = Duration::from_secs(60);

/// Facts about the credential.
#[derive(Debug)]
pub(super) struct Keeper {
    stored: Stored,
    asking_since: Option<Duration>,
    failures: u32,
    retry_at: Duration,
    /// Username that stands in the supplicant.
    installed: Option<String>,
    installing: bool,
    /// The supplicant refused the last installation; no other before this.
    install_at: Duration,
    pub(super) supplicant_up: bool,
    jitter: u64,
    dirty: bool,
    /// When the current credential came, for periodic renewal.
    fetched_at: Option<Duration>,
}

impl Keeper {
    pub(super) fn new(stored: Stored, jitter: u64) -> Self {
        Self {
            stored,
            asking_since: None,
            failures: 0,
            retry_at: Duration::ZERO,
            installed: None,
            installing: false,
            install_at: Duration::ZERO,
            supplicant_up: false,
            jitter,
            dirty: false,
            fetched_at: None,
        }
    }

    pub(super) fn current(&self) -> Option<&Credential> {
        self.stored.current.as_ref()
    }

    pub(super) fn policy(&self) -> Option<&Policy> {
        self.stored.current.as_ref().map(|credential| &credential.policy)
    }

    /// There is a credential that may be used for a join now.
    pub(super) fn usable(&self, unix: u64) -> bool {
        let alive = self.current().is_some_and(|c| c.expires_at.is_none_or(|end| unix < end));
        // After a return to cellular and after use the policy wants a new password first (B6, B7); a renewal for
        // any other reason does not stop the device from using what it has.
        let blocked = matches!(
            self.stored.renewal_due,
            Some(Trigger::ReturnedToCellular | Trigger::Used | Trigger::Rejected)
        );
        alive && !blocked
    }

    pub(super) fn asking(&self) -> bool {
        self.asking_since.is_some()
    }

    pub(super) fn installed(&self) -> bool {
        self.installed.is_some() && self.installed.as_deref() == self.current().map(|c| c.username.as_str())
    }

    /// Asks for a renewal, unless one for a stronger reason is due already.
    pub(super) fn want(&mut self, trigger: Trigger) {
        if self.stored.renewal_due.is_none() || trigger == Trigger::Rejected {
            self.stored.renewal_due = Some(trigger);
            self.dirty = true;
        }
    }

    /// A credential belongs to the SIM it was given for: another SIM drops it.
    pub(super) fn sim_seen(&mut self, key: &[u8; 32], imsi: Option<&Imsi>) {
        let Some(imsi) = imsi else { return };
        let handle = subscriber_handle(key, imsi);
        if self.stored.subscriber.is_some_and(|known| known != handle) {
            self.stored = Stored::default();
            self.dirty = true;
        }
        if self.stored.subscriber != Some(handle) {
            self.stored.subscriber = Some(handle);
            self.dirty = true;
        }
    }

    /// The way to the portal is gone; its answer will not come.
    pub(super) fn link_lost(&mut self) {
        self.asking_since = None;
    }

    fn back_off(&mut self, now: Duration, least: Option<Duration>) {
        let doubled = RETRY_FIRST.saturating_mul(2u32.saturating_pow(self.failures.min(12))).min(RETRY_MAX);
        self.failures = self.failures.saturating_add(1);
        let wait = doubled.max(least.unwrap_or_default().min(RETRY_AFTER_MAX));
        // Up to a quarter more, so that a fleet that failed together does not return together.
        self.jitter =
            self.jitter.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let spread = wait / 4 * u32::from((self.jitter >> 56) as u8) / 255;
        self.retry_at = now + wait + spread;
    }
}

impl Machine {
    pub(super) fn learn_portal(&mut self, event: provision::Event) {
        if self.credential.asking_since.take().is_none() {
            return;
        }
        let now = self.now.since_boot;
        match event {
            provision::Event::Granted(credential) => {
                self.note(Note::CredentialReceived {
                    username: credential.username.clone(),
                    expires_at: credential.expires_at,
                });
                self.credential.failures = 0;
                self.credential.retry_at = Duration::ZERO;
                self.credential.fetched_at = Some(now);
                self.credential.stored.current = Some(*credential);
                self.credential.stored.renewal_due = None;
                self.credential.dirty = true;
                self.last_failure =
                    self.last_failure.take().filter(|(failure, _)| !failure.is_before_credential());
                self.join.scan_now();
            }
            provision::Event::Refused { reason, retry_after } => {
                self.credential.back_off(now, retry_after);
                if reason == Reason::NotEntitled {
                    // The operator took the right away: what is held is not to be used any more.
                    self.credential.stored.current = None;
                    self.credential.dirty = true;
                }
                self.fail(Failure::PortalRefused(reason), "the portal refused");
            }
            provision::Event::Unreachable { step, text } => {
                self.credential.back_off(now, None);
                self.fail(Failure::PortalUnreachable, format!("{step}: {text}"));
            }
        }
    }

    pub(super) fn learn_supplicant(&mut self, event: supplicant::Event) {
        match event {
            supplicant::Event::Up => {
                self.credential.supplicant_up = true;
                self.credential.installed = None;
                self.credential.installing = false;
                self.join.scan_now();
            }
            supplicant::Event::Down => {
                self.credential.supplicant_up = false;
                self.credential.installed = None;
                self.credential.installing = false;
                self.wifi_lost(super::ReturnReason::WlanGone);
            }
            supplicant::Event::Installed => {
                self.credential.installing = false;
                let username = self.credential.current().map(|c| c.username.clone());
                if let Some(username) = username {
                    self.credential.installed = Some(username.clone());
                    self.note(Note::CredentialInstalled { username });
                }
            }
            supplicant::Event::Failed(text) => {
                if self.credential.installing {
                    self.credential.installing = false;
                    self.credential.install_at = self.now.since_boot + INSTALL_RETRY;
                }
                self.fail(Failure::Supplicant, text);
            }
            supplicant::Event::JoinFailed { failure, text } => {
                if failure == JoinFailure::Rejected && self.state == State::Joining {
                    self.credential.want(Trigger::Rejected);
                    self.credential.back_off(self.now.since_boot, None);
                }
                self.learn_join_failure(failure.into(), &text);
            }
            supplicant::Event::Connected { bssid, pairwise_cipher, tls_version, key_mgmt: _ } => {
                self.note(Note::Connected { bssid, cipher: pairwise_cipher, tls_version });
                self.learn_connected();
            }
            supplicant::Event::Disconnected { .. } => self.wifi_lost(super::ReturnReason::Disconnected),
            supplicant::Event::Owner(_) | supplicant::Event::Addressed(_) => {}
            supplicant::Event::Associated { .. } | supplicant::Event::ServerAccepted { .. } => {}
        }
    }

    /// Asks the portal when a credential is missing or due, saves what changed, installs what is new.
    pub(super) fn tend_credential(&mut self) {
        let now = self.now.since_boot;
        if self.credential.asking_since.is_some_and(|since| now >= since + FETCH_LIMIT) {
            self.credential.asking_since = None;
            self.credential.back_off(now, None);
        }
        self.notice_age();
        if let Some(trigger) = self.trigger() {
            self.ask(trigger);
        }
        if std::mem::take(&mut self.credential.dirty) {
            self.act(Action::Save(Box::new(self.credential.stored.clone())));
        }
        self.install();
    }

    /// The state while the portal's answer is awaited.
    pub(super) fn decide_provisioning(&mut self) {
        if !self.credential.asking() {
            self.decide_waiting();
        }
    }

    /// When the credential wants attention next.
    pub(super) fn credential_deadline(&self) -> Option<Duration> {
        let keeper = &self.credential;
        let asked = keeper.asking_since.map(|since| since + FETCH_LIMIT);
        let retry =
            [keeper.retry_at, keeper.install_at].into_iter().filter(|at| *at > self.now.since_boot).min();
        let renewal = keeper
            .current()
            .and_then(renew_at)
            .filter(|_| keeper.stored.renewal_due.is_none())
            .map(|at| self.now.since_boot + Duration::from_secs(at.saturating_sub(self.now.unix).max(1)));
        let end = keeper
            .current()
            .and_then(|credential| credential.expires_at)
            .filter(|end| *end > self.now.unix)
            .map(|end| self.now.since_boot + Duration::from_secs(end - self.now.unix));
        [asked, retry, renewal, end, self.periodic_at()].into_iter().flatten().min()
    }

    /// The credential has so little life left that Wi-Fi must be left before it ends.
    pub(super) fn credential_is_ending(&self) -> bool {
        self.credential.current().is_some_and(|credential| {
            credential.expires_at.is_some_and(|end| {
                let life = end.saturating_sub(credential.issued_at);
                self.now.unix.saturating_add((life / 10).clamp(5, 120)) >= end
            })
        })
    }

    fn periodic_at(&self) -> Option<Duration> {
        let every =
            self.credential.policy().map(|policy| policy.renew_every_secs).filter(|secs| *secs > 0)?;
        Some(self.credential.fetched_at? + Duration::from_secs(every)).filter(|at| *at > self.now.since_boot)
    }

    /// Turns the age of the credential into a wish (triggers B3, B5).
    fn notice_age(&mut self) {
        let Some(credential) = self.credential.current() else { return };
        let every = credential.policy.renew_every_secs;
        if renew_at(credential).is_some_and(|at| self.now.unix >= at) {
            self.credential.want(Trigger::Expiry);
        }
        let age = self.credential.fetched_at.map(|at| self.now.since_boot.saturating_sub(at));
        if every > 0 && age.is_some_and(|age| age >= Duration::from_secs(every)) {
            self.credential.want(Trigger::Periodic);
        }
    }

    fn trigger(&self) -> Option<Trigger> {
        let keeper = &self.credential;
        let quiet = matches!(
            self.state,
            State::NoModem
                | State::Locked
                | State::Searching
                | State::Attached
                | State::Armed
                | State::Provisioning
        );
        let may_ask = quiet && keeper.asking_since.is_none() && self.now.since_boot >= keeper.retry_at;
        if !may_ask || !self.cellular.ready() || self.wlan.is_none() {
            return None;
        }
        match keeper.stored.renewal_due {
            Some(trigger) => Some(trigger),
            None if keeper.current().is_none() => Some(Trigger::Attach),
            None => None,
        }
    }

    fn ask(&mut self, trigger: Trigger) {
        let (Some(bearer), Some(modem), Some(wlan)) =
            (self.cellular.bearer(), self.cellular.modem.as_ref(), self.wlan.as_ref())
        else {
            return;
        };
        if modem.imsi.is_none() && modem.imei.is_none() {
            return;
        }
        let request = CredentialRequest {
            imsi: modem.imsi.clone(),
            imei: modem.imei.clone(),
            mac: wlan.permanent_mac,
            trigger,
            agent: self.settings.agent.clone(),
        };
        let route = provision::Route { interface: bearer.interface.clone(), dns: name_servers(bearer) };
        self.note(Note::CredentialRequested {
            trigger,
            imsi: request.imsi.clone(),
            imei: request.imei.clone(),
            mac: request.mac,
        });
        self.credential.asking_since = Some(self.now.since_boot);
        self.act(Action::Portal(provision::Command::Fetch { request, route }));
        if !self.credential.usable(self.now.unix) && !matches!(self.state, State::Provisioning) {
            self.enter(State::Provisioning);
        }
    }

    /// A network block is never replaced while it is in use: that would break the association.
    fn install(&mut self) {
        let free =
            !matches!(self.state, State::Joining | State::Verifying | State::Offloaded | State::Returning);
        let keeper = &self.credential;
        if !free || !keeper.supplicant_up || keeper.installing || keeper.installed() {
            return;
        }
        if self.now.since_boot < keeper.install_at {
            return;
        }
        if let Some(credential) = keeper.current().cloned() {
            self.credential.installing = true;
            let credential = Box::new(credential);
            self.act(Action::Supplicant(supplicant::Command::Install { credential }));
        }
    }
}

/// Renewal begins when four fifths of the life are over (DESIGN: renews at 50–80 % of life).
fn renew_at(credential: &Credential) -> Option<u64> {
    let end = credential.expires_at?;
    Some(end.saturating_sub(end.saturating_sub(credential.issued_at) / 5))
}

/// Which SIM a stored credential belongs to, without keeping the IMSI.
fn subscriber_handle(key: &[u8; 32], imsi: &Imsi) -> [u8; 32] {
    // The key has the digest's block structure to itself and the IMSI is bounded: a prefix key is enough here.
    let mut digest = Sha256::new();
    digest.update(key);
    digest.update(imsi.expose().as_bytes());
    digest.finalize().into()
}

fn name_servers(bearer: &Bearer) -> Vec<IpAddr> {
    let mut servers = Vec::new();
    if let Some(Ipv4Config::Static { dns, .. }) = &bearer.ipv4 {
        servers.extend(dns.iter().copied().map(IpAddr::V4));
    }
    if let Some(Ipv6Config::Static { dns, .. }) = &bearer.ipv6 {
        servers.extend(dns.iter().copied().map(IpAddr::V6));
    }
    servers
}
