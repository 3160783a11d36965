//! What becomes of a request that came by SMS: the order of checks, and what the device is told.
//!
//! Rate of the sender → rate of all → seal → whose number → whose claim → form → time and novelty → rate of the
//! subscriber → issue. Up to "whose claim" nothing is proved and nothing is answered. What comes after is answered,
//! sealed, to the number that it came from, but for repetitions and what is too often: an answer to those would cost
//! the operator a message each time that somebody sends an old one again.
//!
//! Blocks on the database; [`super::service`] calls it on threads of their own.

use std::{
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use provisioning::{
    message::{Credential, Reason, Refusal},
    sms::{PortalExchange, PortalKey, Reply, Request, is_ours},
};

use super::{
    Settings, portal_keys,
    replay::{Replays, Stale},
};
use crate::{
    aaa::Now,
    credential::{IssueRequest, Keys, Msisdn},
    gateway::Prover,
    portal::{Issuer, decide, rate::Rates},
    store::Handle,
};

/// Requests of one number at once, whatever is in them, before anything is computed.
const SENDER_BURST: u32 = 20;
const SENDER_REFILL: Duration = Duration::from_secs(15);
/// Requests of all together a second.
const TOTAL_PER_SECOND: u32 = 200;
/// Numbers and subscribers whose rate is remembered.
const REMEMBERED: usize = 65_536;
/// A device whose clock was wrong knows better with the answer.
const CLOCK_RETRY: Duration = Duration::from_secs(5);

/// Serves requests.
pub struct Desk {
    keys: Vec<PortalKey>,
    handles: Arc<Keys>,
    prover: Arc<Prover>,
    issuer: Arc<dyn Issuer>,
    replays: Mutex<Replays>,
    senders: Mutex<Rates<Handle>>,
    subscribers: Mutex<Rates<Handle>>,
    total: Mutex<Rates<()>>,
}

/// Why there is no credential.
#[derive(Debug)]
struct Refused {
    /// Stable code for the operator.
    detail: &'static str,
    /// What the device is told, where it is told anything.
    answer: Option<(Reason, Option<Duration>)>,
}

fn silent(detail: &'static str) -> Refused {
    Refused { detail, answer: None }
}

impl From<decide::Rejection> for Refused {
    fn from(rejection: decide::Rejection) -> Self {
        Self { detail: rejection.detail, answer: Some((rejection.reason, rejection.retry_after)) }
    }
}

impl Desk {
    /// Of an installation with these keys.
    pub fn new(
        settings: &Settings,
        handles: Arc<Keys>,
        prover: Arc<Prover>,
        issuer: Arc<dyn Issuer>,
        now: u64,
    ) -> Self {
        let second = Duration::from_secs(1) / TOTAL_PER_SECOND;
        let (burst, refill) = (settings.subscriber_burst, settings.subscriber_refill);
        Self {
            keys: portal_keys(&handles, &settings.keys),
            handles,
            prover,
            issuer,
            replays: Mutex::new(Replays::new(now, settings.clock_window.as_secs())),
            senders: Mutex::new(Rates::new(SENDER_BURST, SENDER_REFILL, REMEMBERED)),
            subscribers: Mutex::new(Rates::new(burst, refill, REMEMBERED)),
            total: Mutex::new(Rates::new(TOTAL_PER_SECOND, second, 1)),
        }
    }

    /// The keys that it opens requests with.
    pub fn keys(&self) -> &[PortalKey] {
        &self.keys
    }

    /// Serves a message from this number; the answer is to go to the same, where there is one.
    pub fn serve(&self, now: Now, from: &Msisdn, message: &[u8]) -> Option<Vec<u8>> {
        let mut seen = None;
        let refused = match self.credential(now, from, message, &mut seen) {
            Ok(answer) => return Some(answer),
            Err(refused) => refused,
        };
        let request = seen.as_ref().map(|(request, _): &(Request, PortalExchange)| &request.request);
        tracing::warn!(
            event = "credential-refused",
            reason = refused.answer.map_or("none", |(reason, _)| reason.code()),
            detail = refused.detail,
            via = "sms",
            sender = %from,
            mac = request.map(|r| tracing::field::display(r.mac)),
            imsi = request.and_then(|r| r.imsi.as_ref()).map(tracing::field::display),
            "credential refused"
        );
        let (reason, retry_after) = refused.answer?;
        let refusal = Refusal { reason, retry_after, flaw: None };
        let (_, exchange) = seen?;
        exchange.seal(&Reply::Refused { made_at: seconds(now.unix), refusal }).ok()
    }

    fn credential(
        &self,
        now: Now,
        from: &Msisdn,
        message: &[u8],
        seen: &mut Option<(Request, PortalExchange)>,
    ) -> Result<Vec<u8>, Refused> {
        if !is_ours(message) {
            return Err(silent("sms-foreign"));
        }
        ask(&self.senders, now, self.handles.handle_msisdn(from)).map_err(|()| silent("sms-sender-rate"))?;
        ask(&self.total, now, ()).map_err(|()| silent("sms-total-rate"))?;
        let opened = PortalKey::open(&self.keys, message).map_err(|error| silent(error.code()))?;
        let (Request { request, made_at, authority }, exchange) = &*seen.insert(opened);
        let owner = self.prover.subscriber_of(now.unix, from).map_err(|denial| silent(denial.detail()))?;
        let owner = owner.ok_or(silent("sms-sender-unknown"))?;
        // Of the equipment the number says nothing, so an IMEI is neither believed nor needed.
        let claimed = request.imsi.as_ref().map(|imsi| self.handles.handle_imsi(imsi));
        if claimed.is_some_and(|claimed| claimed != owner) {
            return Err(silent("sms-wrong-sender"));
        }
        decide::sane(request)?;
        let fresh = locked(&self.replays).fresh(now.unix, (*made_at).into(), exchange.encapsulated());
        fresh.map_err(|stale| match stale {
            Stale::Time => Refused {
                detail: "sms-clock",
                answer: Some((Reason::TemporarilyUnavailable, Some(CLOCK_RETRY))),
            },
            Stale::Again => silent("sms-replayed"),
            Stale::Full => silent("sms-replay-memory-full"),
        })?;
        ask(&self.subscribers, now, owner).map_err(|()| silent("sms-subscriber-rate"))?;
        tracing::info!(
            event = "identity-proved",
            via = "sms",
            sender = %from,
            mac = %request.mac,
            imsi = request.imsi.as_ref().map(tracing::field::display),
            trigger = ?request.trigger,
        );
        let issue = IssueRequest {
            imsi: request.imsi.clone(),
            imei: None,
            subscriber: Some(owner),
            mac: request.mac,
            lifetime: None,
            runs_policy: request.policy_version,
            source: None,
        };
        let credential = self.issuer.issue(now.unix, &issue).map_err(|error| {
            let rejection = decide::Rejection::from(&error);
            if rejection.reason != Reason::NotEntitled {
                tracing::error!(event = "issue-failed", %error, "a credential could not be issued");
            }
            Refused::from(rejection)
        })?;
        let username = credential.username.clone();
        let sealed = seal(exchange, now.unix, credential, *authority).map_err(Refused::from)?;
        tracing::info!(
            event = "credential-issued",
            via = "sms",
            username,
            sender = %from,
            mac = %request.mac,
            imsi = request.imsi.as_ref().map(tracing::field::display),
            trigger = ?request.trigger,
            agent = request.agent,
            octets = sealed.len(),
            "credential issued"
        );
        Ok(sealed)
    }
}

/// The credential as a message, without the authority where the device holds it.
pub(super) fn seal(
    exchange: &PortalExchange,
    now: u64,
    mut credential: Credential,
    held: Option<[u8; 8]>,
) -> Result<Vec<u8>, decide::Rejection> {
    if held.is_some() && held == Reply::authority(&credential.eap.ca_pem) {
        credential.eap.ca_pem.clear();
    }
    let reply = Reply::Granted { made_at: seconds(now), credential: Box::new(credential) };
    exchange.seal(&reply).map_err(|error| {
        tracing::error!(event = "sms-encode", %error, "a credential cannot be sent by SMS");
        decide::Rejection::failed(error.code())
    })
}

fn seconds(unix: u64) -> u32 {
    u32::try_from(unix).unwrap_or(u32::MAX)
}

fn ask<K: Copy + Ord + Hash>(rates: &Mutex<Rates<K>>, now: Now, who: K) -> Result<(), ()> {
    locked(rates).ask(now.monotonic, who).map_err(|_| ())
}

/// A panic leaves none of these half changed in a way that matters.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
