//! The credentials that are held: the one in use, the next one, a reserve; which of them the next join uses.
//!
//! `renew` says when the portal is asked for more and `ask` asks it; `install` carries the chosen one into the supplicant
//! and learns how it fared. A new one never takes the place of one that works: it is `next` until the AAA has accepted
//! it.

mod ask;
mod install;
mod policy;
mod renew;
mod report;

use std::time::Duration;

use provisioning::{
    identity::Imsi,
    message::{Credential, MAX_RESERVE, Policy, Trigger, UseCredential},
};
use sha2::{Digest, Sha256};

use crate::vault::Stored;

/// Facts about the credentials.
#[derive(Debug)]
pub(super) struct Keeper {
    stored: Stored,
    /// What is kept differs from what is on disk.
    dirty: bool,
    renew: renew::Renewal,
    install: install::Installation,
    reports: report::Reports,
    /// Since when a renewal is due and the portal could not be asked.
    offline_since: Option<Duration>,
}

impl Keeper {
    pub(super) fn new(mut stored: Stored, jitter: u64) -> Self {
        stored.reserve.truncate(MAX_RESERVE.into());
        Self {
            stored,
            dirty: false,
            renew: renew::Renewal::new(jitter),
            install: install::Installation::default(),
            reports: report::Reports::default(),
            offline_since: None,
        }
    }

    /// What must be on disk before anything else is done with it; once for each change.
    pub(super) fn unsaved(&mut self) -> Option<Stored> {
        std::mem::take(&mut self.dirty).then(|| self.stored.clone())
    }

    /// The one that the next join uses, alive or not allowed as it may be: [`Keeper::usable`] says whether.
    pub(super) fn chosen(&self, unix: u64) -> Option<&Credential> {
        let current =
            self.stored.current.as_ref().filter(|current| alive(current, unix) && !self.stored.spent);
        let next = self.stored.next.as_ref().filter(|next| alive(next, unix));
        let oldest = self.policy().is_some_and(|policy| policy.use_credential == UseCredential::Oldest);
        match current {
            Some(current) if oldest && !ending(current, unix) => Some(current),
            _ => next.or(current),
        }
    }

    /// The one whose password is used, or would be; its policy holds even after its end.
    pub(super) fn current(&self, unix: u64) -> Option<&Credential> {
        self.chosen(unix).or(self.stored.current.as_ref()).or(self.stored.next.as_ref())
    }

    /// The policy that came last.
    pub(super) fn policy(&self) -> Option<&Policy> {
        self.newest().map(|credential| &credential.policy)
    }

    fn newest(&self) -> Option<&Credential> {
        self.stored.next.as_ref().or(self.stored.current.as_ref())
    }

    pub(super) fn reserve(&self) -> usize {
        self.stored.reserve.len()
    }

    pub(super) fn has_next(&self) -> bool {
        self.stored.next.is_some()
    }

    pub(super) fn renewal_due(&self) -> Option<Trigger> {
        self.stored.renewal_due
    }

    /// There is a credential that may be used for a join now.
    pub(super) fn usable(&self, now: Duration, unix: u64) -> bool {
        self.chosen(unix).is_some_and(|chosen| {
            let grace = self.grace_until(chosen).is_some_and(|at| now >= at);
            grace || !(self.blocked() || ending(chosen, unix))
        })
    }

    /// After a return to cellular and before a move the policy wants a new password first (B4, B7); a renewal for any
    /// other reason does not stop the device from using what it has.
    fn blocked(&self) -> bool {
        matches!(self.stored.renewal_due, Some(Trigger::ReturnedToCellular | Trigger::BeforeMove))
    }

    /// When what is held may be used although it is due for renewal, because the portal is out of reach.
    fn grace_until(&self, chosen: &Credential) -> Option<Duration> {
        let grace = chosen.policy.offline_grace_secs;
        (grace > 0).then_some(())?;
        Some(self.offline_since? + Duration::from_secs(grace.into()))
    }

    /// Asks for a renewal, unless one for a stronger reason is due already.
    pub(super) fn want(&mut self, trigger: Trigger) {
        let strength = |trigger| match trigger {
            Trigger::ReturnedToCellular | Trigger::BeforeMove => 2,
            Trigger::Rejected | Trigger::Used | Trigger::User => 1,
            Trigger::Attach | Trigger::Periodic | Trigger::Expiry => 0,
        };
        if self.stored.renewal_due.is_none_or(|due| strength(trigger) > strength(due)) {
            self.stored.renewal_due = Some(trigger);
            self.dirty = true;
        }
    }

    /// Traffic came back to cellular and the policy wants a new password before Wi-Fi is used again (B7). One that
    /// has never been used is new.
    pub(super) fn returned(&mut self) {
        let renew = self.policy().is_some_and(|policy| policy.renew_after_return);
        if renew && self.stored.next.is_none() && self.stored.reserve.is_empty() {
            self.want(Trigger::ReturnedToCellular);
        }
    }

    /// The device has attached to cellular, and the policy wants a new password each time (B2). One that has never been
    /// used is new.
    pub(super) fn attached(&mut self, unix: u64) {
        let wanted = self.policy().is_some_and(|policy| policy.renew_on_attach);
        let fresh = self.newest().is_some_and(|newest| unix < newest.issued_at + renew::LEAST_PERIOD);
        if wanted && !fresh && self.stored.next.is_none() && self.stored.reserve.is_empty() {
            self.want(Trigger::Attach);
        }
    }

    /// The portal gave this one.
    fn take_in(&mut self, credential: Credential, unix: u64) {
        let wanted = usize::from(credential.policy.one_time_reserve.min(MAX_RESERVE));
        let spare = self.stored.renewal_due.is_none() && self.chosen(unix).is_some_and(|c| c.one_time);
        if spare && credential.one_time && self.stored.reserve.len() < wanted {
            self.stored.reserve.push(credential);
        } else {
            self.stored.next = Some(credential);
            self.stored.renewal_due = None;
        }
        self.offline_since = None;
        self.dirty = true;
    }

    /// The AAA accepted the login of this user name: the old one dies, and a one-time one is used up.
    pub(super) fn accepted(&mut self, username: &str) {
        if let Some(next) = self.stored.next.take_if(|next| next.username == username) {
            self.stored.current = Some(next);
            self.stored.spent = false;
            self.dirty = true;
        }
        let used = self.stored.current.as_ref().is_some_and(|c| c.one_time && c.username == username);
        if used && !self.stored.spent {
            self.stored.spent = true;
            self.dirty = true;
            self.want(Trigger::Used);
        }
    }

    /// The AAA refused the login of this user name. The other one, where it still lives, is used.
    fn refused(&mut self, username: &str, unix: u64) {
        if let Some(next) = self.stored.next.take_if(|next| next.username == username) {
            if self.chosen(unix).is_none() {
                // Of no use but for its policy.
                self.stored.current = Some(next);
                self.stored.spent = true;
            }
        } else if self.stored.current.as_ref().is_some_and(|current| current.username == username) {
            self.stored.spent = true;
        }
        self.dirty = true;
        self.want(Trigger::Rejected);
    }

    /// Nothing unused is left: one of the reserve steps in.
    fn call_reserve(&mut self, unix: u64) {
        let before = self.stored.reserve.len();
        self.stored.reserve.retain(|credential| alive(credential, unix));
        self.dirty |= before != self.stored.reserve.len();
        if self.chosen(unix).is_none() && !self.stored.reserve.is_empty() {
            self.stored.next = Some(self.stored.reserve.remove(0));
            if matches!(self.stored.renewal_due, Some(Trigger::Used | Trigger::Rejected | Trigger::Expiry)) {
                self.stored.renewal_due = None;
            }
            self.dirty = true;
        }
    }

    /// All credentials go: the operator took the right away, or they belong to another SIM. Whose word on the policy
    /// counts stays with the SIM.
    fn drop_all(&mut self) {
        let Stored { subscriber, policy_version, .. } = self.stored;
        let policy_keys = std::mem::take(&mut self.stored.policy_keys);
        self.stored = Stored { subscriber, policy_version, policy_keys, ..Stored::default() };
        self.offline_since = None;
        self.dirty = true;
    }

    /// A credential belongs to the SIM it was given for: another SIM drops it. True when something was dropped.
    pub(super) fn sim_seen(&mut self, key: &[u8; 32], imsi: Option<&Imsi>) -> bool {
        let Some(imsi) = imsi else { return false };
        let handle = subscriber_handle(key, imsi);
        let mut dropped = false;
        if self.stored.subscriber.is_some_and(|known| known != handle) {
            dropped = self.newest().is_some();
            self.drop_all();
            // Perhaps another operator's.
            self.stored.policy_version = None;
            self.stored.policy_keys.clear();
        }
        if self.stored.subscriber != Some(handle) {
            self.stored.subscriber = Some(handle);
            self.dirty = true;
        }
        dropped
    }
}

/// Before its end.
fn alive(credential: &Credential, unix: u64) -> bool {
    credential.expires_at.is_none_or(|end| unix < end)
}

/// It has so little life left that Wi-Fi must be left before it ends, and is not worth a join.
pub(super) fn ending(credential: &Credential, unix: u64) -> bool {
    ending_at(credential).is_some_and(|at| unix >= at)
}

fn ending_at(credential: &Credential) -> Option<u64> {
    let end = credential.expires_at?;
    let life = end.saturating_sub(credential.issued_at);
    Some(end.saturating_sub((life / 10).clamp(5, 120)))
}

/// Which SIM a stored credential belongs to, without keeping the IMSI.
fn subscriber_handle(key: &[u8; 32], imsi: &Imsi) -> [u8; 32] {
    // The key has the digest's block structure to itself and the IMSI is bounded: a prefix key is enough here.
    let mut digest = Sha256::new();
    digest.update(key);
    digest.update(imsi.expose().as_bytes());
    digest.finalize().into()
}
