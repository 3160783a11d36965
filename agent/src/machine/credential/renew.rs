//! When the portal is asked for a credential (triggers B1–B8 of the patent's life of a credential), and what its
//! answer means.
//!
//! | trigger | when |
//! |---|---|
//! | B1, B2 `Attach` | cellular is up and nothing usable is held, or the policy wants a new one each time |
//! | B3 `Periodic` | `renew_every_secs` after the newest was issued |
//! | B4 `BeforeMove` | a network is to be joined and the newest is not fresh |
//! | B5 `Expiry` | 50–80 % of the life are over, a point of each device's own |
//! | B6 `Used` | a one-time one was used, or the reserve is not full |
//! | B7 `ReturnedToCellular` | traffic came back to cellular |
//! | B8 never | a credential without end and a policy without any of these |

use std::time::Duration;

use provisioning::{
    message::{Credential, MAX_RESERVE, Reason, Trigger},
    report::{self, Outcome},
};

use super::{alive, ask::Way, ending, ending_at};
use crate::{
    machine::{Failure, Machine, Note, ReturnReason, State},
    provision,
};

/// First wait after the portal refused or was not reached; doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_secs(2);
/// Longest wait between requests.
const RETRY_MAX: Duration = Duration::from_secs(900);
/// A portal's Retry-After is obeyed up to this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// A request that nobody answered; the client's own limit is shorter.
const FETCH_LIMIT: Duration = Duration::from_secs(60);
/// The same by SMS: messages wait where the radio is bad, and a credential is several of them.
const SMS_LIMIT: Duration = Duration::from_secs(300);
/// Between two requests by SMS: each costs the operator some seven messages.
const SMS_PAUSE: Duration = Duration::from_secs(120);
/// A credential that came within this before the move counts as fetched before it (B4).
const FRESH: Duration = Duration::from_secs(60);
/// A policy cannot ask for more than one a minute, seconds.
pub(super) const LEAST_PERIOD: u64 = 60;
/// A wrong server certificate asks for new trust at most this often: a rogue access point can make one at will.
const TRUST_EVERY: Duration = Duration::from_secs(3600);

/// Facts about asking.
#[derive(Debug)]
pub(super) struct Renewal {
    /// Since when, and how.
    pub(super) asking: Option<(Duration, Way)>,
    /// See [`Machine::watch_data`].
    pub(super) no_data_since: Option<Duration>,
    failures: u32,
    pub(super) retry_at: Duration,
    fetched_at: Option<Duration>,
    trust_asked_at: Option<Duration>,
    /// Of this device, never changing: where in the middle of a life it renews.
    seed: u64,
    jitter: u64,
}

impl Renewal {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            asking: None,
            no_data_since: None,
            failures: 0,
            retry_at: Duration::ZERO,
            fetched_at: None,
            trust_asked_at: None,
            seed,
            jitter: seed,
        }
    }

    pub(super) fn back_off(&mut self, now: Duration, least: Option<Duration>) {
        let doubled = RETRY_FIRST.saturating_mul(2u32.saturating_pow(self.failures.min(12))).min(RETRY_MAX);
        self.failures = self.failures.saturating_add(1);
        let wait = doubled.max(least.unwrap_or_default().min(RETRY_AFTER_MAX));
        // Up to a quarter more, so that a fleet that failed together does not return together.
        self.jitter = scramble(self.jitter);
        let spread = wait / 4 * u32::from((self.jitter >> 56) as u8) / 255;
        self.retry_at = now + wait + spread;
    }
}

impl super::Keeper {
    pub(in crate::machine) fn asking(&self) -> bool {
        self.renew.asking.is_some()
    }

    /// What made the portal's answers bad is mended.
    pub(in crate::machine) fn retry_now(&mut self) {
        self.renew.failures = 0;
        self.renew.retry_at = Duration::ZERO;
    }

    /// Data is gone; an answer over it will not come.
    pub(in crate::machine) fn link_lost(&mut self) {
        self.renew.asking.take_if(|(_, way)| *way == Way::Data);
    }

    /// The policy wants a new one before each move, and none has come just now (B4).
    pub(in crate::machine) fn stale_for_move(&self, now: Duration) -> bool {
        let before_move = self.policy().is_some_and(|policy| policy.renew_before_move);
        let fresh = self.has_next() && self.renew.fetched_at.is_some_and(|at| now < at + FRESH);
        before_move && !fresh
    }

    /// An access point showed another certificate than the credential tells: the trust may have been renewed, so a
    /// new credential is asked for. The old one stays in use and no check becomes weaker.
    pub(super) fn doubt_trust(&mut self, now: Duration) {
        if self.renew.trust_asked_at.is_none_or(|at| now >= at + TRUST_EVERY) {
            self.renew.trust_asked_at = Some(now);
            self.want(Trigger::Rejected);
        }
    }

    /// Turns the age of the newest into a wish (B3, B5).
    fn notice_age(&mut self, unix: u64) {
        let Some(newest) = self.newest() else { return };
        let reached = |at: Option<u64>| at.is_some_and(|at| unix >= at);
        if reached(self.renew_at(newest)) {
            self.want(Trigger::Expiry);
        } else if reached(periodic_at(newest)) {
            self.want(Trigger::Periodic);
        } else if matches!(self.stored.renewal_due, Some(Trigger::Expiry | Trigger::Periodic)) {
            // The clock was wrong when it seemed due.
            self.stored.renewal_due = None;
            self.dirty = true;
        }
    }

    /// Somewhere between 50 and 80 % of the life, so that a fleet that began together does not come together.
    fn renew_at(&self, credential: &Credential) -> Option<u64> {
        let life = credential.expires_at?.saturating_sub(credential.issued_at);
        let part = 50 + scramble(self.renew.seed ^ credential.issued_at) % 31;
        Some(credential.issued_at.saturating_add(life / 100 * part + life % 100 * part / 100))
    }

    fn reserve_wanted(&self, unix: u64) -> bool {
        self.chosen(unix).is_some_and(|chosen| {
            chosen.one_time
                && self.stored.reserve.len() < usize::from(chosen.policy.one_time_reserve.min(MAX_RESERVE))
        })
    }

    pub(super) fn wish(&self, unix: u64) -> Option<Trigger> {
        match self.stored.renewal_due {
            Some(trigger) => Some(trigger),
            None if self.chosen(unix).is_none() => Some(Trigger::Attach),
            None => self.reserve_wanted(unix).then_some(Trigger::Used),
        }
    }
}

impl Machine {
    pub(in crate::machine) fn learn_portal(&mut self, event: provision::Event) {
        let now = self.now.since_boot;
        match event {
            provision::Event::Reported { taken } => {
                self.learn_report(taken);
                return;
            }
            provision::Event::UnderWay => {
                if let Some((_, way)) = &mut self.credential.renew.asking {
                    *way = Way::Sms;
                }
                return;
            }
            provision::Event::Time(unix) => {
                self.clock.portal_told(now, unix);
                self.now.unix = self.clock.unix(self.system);
                return;
            }
            _ => {}
        }
        let Some((_, way)) = self.credential.renew.asking.take() else { return };
        let least = (way == Way::Sms).then_some(SMS_PAUSE);
        match event {
            provision::Event::Reported { .. } | provision::Event::UnderWay | provision::Event::Time(_) => {}
            provision::Event::Granted(mut credential) => {
                let obeyed = self.credential.obey(&mut credential, &self.settings.policy_keys);
                if let Err(disobeyed) = obeyed {
                    self.fail(Failure::Policy, disobeyed.to_string());
                    if self.credential.policy().is_none() {
                        self.credential.renew.back_off(now, least);
                        return;
                    }
                }
                self.note(Note::CredentialReceived {
                    username: credential.username.clone(),
                    expires_at: credential.expires_at,
                });
                self.clock.portal_told(now, credential.issued_at);
                self.now.unix = self.clock.unix(self.system);
                self.credential.renew.failures = 0;
                self.credential.renew.retry_at = Duration::ZERO;
                self.credential.renew.fetched_at = Some(now);
                if !alive(&credential, self.now.unix) {
                    // It would be asked for again at once.
                    self.credential.renew.back_off(now, None);
                }
                let username = credential.username.clone();
                self.credential.take_in(*credential, self.now.unix);
                if obeyed.is_err() {
                    self.report(&username, Outcome::Failed(report::Failure::PolicyRefused));
                }
                self.last_failure =
                    self.last_failure.take().filter(|(failure, _)| !failure.is_before_credential());
                if self.state != State::Offloaded {
                    self.scanner.now();
                }
            }
            provision::Event::Refused { reason, retry_after } => {
                self.credential.renew.back_off(now, retry_after.max(least));
                // The portal can be reached: what it does not give is not to be had by waiting.
                self.credential.offline_since = None;
                if reason == Reason::NotEntitled {
                    // The operator took the right away: what is held is not to be used any more.
                    self.credential.drop_all();
                    self.wifi_lost(ReturnReason::Revoked);
                }
                self.fail(Failure::PortalRefused(reason), "the portal refused");
            }
            provision::Event::Unreachable { step, text } => {
                self.credential.renew.back_off(now, least);
                let failure = match step {
                    provision::DATE if !self.clock.confirmed() => Failure::Clock,
                    _ => Failure::PortalUnreachable,
                };
                self.fail(failure, format!("{step}: {text}"));
            }
        }
    }

    /// Asks the portal when a credential is missing or due, installs what is new.
    pub(in crate::machine) fn tend_credential(&mut self) {
        let now = self.now.since_boot;
        if let Some((_, way)) = self.credential.renew.asking.take_if(|asking| now >= answer_by(*asking)) {
            let least = (way == Way::Sms).then_some(SMS_PAUSE);
            self.credential.renew.back_off(now, least);
            if way == Way::Sms {
                self.fail(Failure::PortalUnreachable, "sms: no answer came");
            }
        }
        if !self.on_wifi() {
            self.credential.call_reserve(self.now.unix);
        }
        self.credential.notice_age(self.now.unix);
        match self.credential.renewal_due() {
            // While Wi-Fi carries the traffic cellular is away by choice, not out of reach.
            Some(_) if self.state == State::Offloaded => {}
            Some(_) => _ = self.credential.offline_since.get_or_insert(now),
            None => self.credential.offline_since = None,
        }
        self.watch_data();
        if let Some((trigger, way)) = self.trigger() {
            self.ask(trigger, way);
        }
        self.install();
        self.tell();
    }

    /// The state while the portal's answer is awaited.
    pub(in crate::machine) fn decide_provisioning(&mut self) {
        if !self.credential.asking() {
            self.decide_waiting();
        }
    }

    /// When the credential wants attention next.
    pub(in crate::machine) fn credential_deadline(&self) -> Option<Duration> {
        let (keeper, now, unix) = (&self.credential, self.now.since_boot, self.now.unix);
        let wall = |at: u64| (at > unix).then(|| now + Duration::from_secs(at - unix));
        let asked = keeper.renew.asking.map(answer_by);
        let later = |at: Duration| (at > now).then_some(at);
        let chosen = keeper.chosen(unix);
        let ends = keeper.stored.current.iter().chain(&keeper.stored.next);
        let ends = ends.flat_map(|credential| [credential.expires_at, ending_at(credential)]).flatten();
        [
            asked,
            later(keeper.renew.retry_at),
            self.fallback_at().and_then(later),
            keeper.install_deadline().and_then(later),
            chosen.and_then(|chosen| keeper.grace_until(chosen)).and_then(later),
            keeper.newest().and_then(|newest| keeper.renew_at(newest)).and_then(wall),
            keeper.newest().and_then(periodic_at).and_then(wall),
            ends.filter_map(wall).min(),
            keeper.report_deadline(now),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Wi-Fi must be left, because the credential that it was joined with ends; with the offline grace only at the
    /// very end, and nothing is left for a cellular that does not come.
    pub(in crate::machine) fn credential_is_ending(&self) -> bool {
        let (keeper, unix) = (&self.credential, self.now.unix);
        keeper.stored.current.as_ref().is_some_and(|current| {
            let grace = keeper.grace_until(current).is_some_and(|at| self.now.since_boot >= at);
            if grace { !alive(current, unix) } else { ending(current, unix) }
        })
    }
}

fn answer_by((since, way): (Duration, Way)) -> Duration {
    since
        + match way {
            Way::Data => FETCH_LIMIT,
            Way::Sms => SMS_LIMIT,
        }
}

fn periodic_at(credential: &Credential) -> Option<u64> {
    let every = credential.policy.renew_every_secs;
    (every > 0).then(|| credential.issued_at.saturating_add(every.max(LEAST_PERIOD)))
}

/// One step of a linear congruential generator (Knuth's MMIX): spreads, hides nothing.
fn scramble(number: u64) -> u64 {
    let next = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    // The low bits of such a generator repeat soon.
    next ^ (next >> 32)
}
