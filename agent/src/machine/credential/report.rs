//! What the portal is told of a credential: that it is installed, that it has worked, or why not.
//!
//! Only a portal that signs policies understands reports. They are no more than news: the AAA sees a login itself, so one
//! that cannot be told is given up after a few tries.

use std::{collections::VecDeque, time::Duration};

use provisioning::report::{CredentialReport, Outcome};

use crate::{
    machine::{Action, Machine, State},
    provision::{self, Route},
};

/// Reports that wait.
const MAX_WAITING: usize = 8;
/// What has been told already, of the last credentials.
const MAX_TOLD: usize = 16;
/// First pause after one was not told; doubles.
const RETRY: Duration = Duration::from_secs(30);
/// Tries.
const TRIES: u32 = 5;
/// An answer that never came. The client's own limit is shorter.
const LIMIT: Duration = Duration::from_secs(60);

/// Facts about telling.
#[derive(Debug, Default)]
pub(super) struct Reports {
    waiting: VecDeque<CredentialReport>,
    told: VecDeque<(String, Outcome)>,
    /// The first of those that wait is on its way since.
    since: Option<Duration>,
    tries: u32,
    retry_at: Duration,
}

impl super::Keeper {
    /// Once for each credential and outcome.
    pub(super) fn report(&mut self, username: &str, outcome: Outcome, agent: &str) {
        let news = (username.to_owned(), outcome);
        let held = self.stored.current.iter().chain(&self.stored.next).chain(&self.stored.reserve);
        let Some(credential) = held.into_iter().find(|held| held.username == username) else { return };
        if credential.signed_policy.is_none() || self.reports.told.contains(&news) {
            return;
        }
        let report = CredentialReport::prove(
            username.to_owned(),
            outcome,
            self.stored.policy_version,
            agent.to_owned(),
            &credential.password,
        );
        self.reports.told.push_back(news);
        if self.reports.told.len() > MAX_TOLD {
            self.reports.told.pop_front();
        }
        self.reports.waiting.push_back(report);
        if self.reports.waiting.len() > MAX_WAITING {
            self.reports.waiting.pop_front();
            // What is on its way is no longer the first one; its answer counts for nothing.
            self.reports.since = None;
        }
    }

    pub(super) fn report_deadline(&self, now: Duration) -> Option<Duration> {
        self.reports.waiting.front()?;
        Some(self.reports.since.map_or(self.reports.retry_at, |since| since + LIMIT)).filter(|at| *at > now)
    }
}

impl Machine {
    pub(in crate::machine) fn report(&mut self, username: &str, outcome: Outcome) {
        let agent = self.settings.agent.clone();
        self.credential.report(username, outcome, &agent);
    }

    /// Sends the next one, by cellular where that is up, else by the Wi-Fi that carries the traffic. A request for a
    /// credential goes first.
    pub(super) fn tell(&mut self) {
        let now = self.now.since_boot;
        if self.credential.reports.since.is_some_and(|since| now >= since + LIMIT) {
            self.credential.reports.since = None;
            self.learn_untold();
        }
        let reports = &self.credential.reports;
        if reports.since.is_some() || now < reports.retry_at || self.credential.asking() {
            return;
        }
        let Some(report) = reports.waiting.front().cloned() else { return };
        let Some(route) = self.cellular_route().or_else(|| self.wifi_route()) else { return };
        self.credential.reports.since = Some(now);
        self.act(Action::Portal(provision::Command::Report { report, route }));
    }

    fn wifi_route(&self) -> Option<Route> {
        let (wlan, lease) = (self.wlan.as_ref()?, self.lease.as_ref()?);
        let carries = self.state == State::Offloaded;
        carries.then(|| Route { interface: wlan.name.clone(), dns: lease.dns.clone(), domain: None })
    }

    pub(super) fn learn_report(&mut self, taken: bool) {
        if self.credential.reports.since.take().is_none() {
            return;
        }
        if taken {
            self.credential.reports.waiting.pop_front();
            self.credential.reports.tries = 0;
            self.credential.reports.retry_at = Duration::ZERO;
        } else {
            self.learn_untold();
        }
    }

    fn learn_untold(&mut self) {
        let reports = &mut self.credential.reports;
        let wait = RETRY.saturating_mul(2u32.saturating_pow(reports.tries.min(TRIES)));
        reports.retry_at = self.now.since_boot + wait;
        reports.tries += 1;
        if reports.tries >= TRIES {
            reports.waiting.pop_front();
            reports.tries = 0;
        }
    }
}
