//! Decides a login: EAP conversation, credential, station, and the Access-Accept, -Challenge or -Reject that
//! follows (feature-spec E2–E6, E15; RFC 3579 §2).
//!
//! Called by [`crate::server`] with requests that [`super::guard`] has let pass and that are no repetitions.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use eap::{
    Msk, Random, Reason,
    server::{Config, Session, Step},
};
use provisioning::identity::Mac;
use radius::{AttributeType as A, BuildError, Builder, Code, Packet, join_eap};

use super::{
    Now,
    directory::{Asked, Directory, Login, Reject},
    log,
    sessions::{Limits, Sessions, State},
};

/// Half-open conversations, some ten kilobytes of TLS each. A program types the password, not a person: half a minute
/// between two packets is long.
const HALF_OPEN: Limits = Limits { open: 4096, idle: Duration::from_secs(30) };
/// What a link carries when the access point does not tell (RFC 3748 §3.1).
const DEFAULT_MTU: usize = 1020;
/// Version, type and length of EAPOL, which Framed-MTU includes and an EAP packet does not (RFC 3579 §2.4).
const EAPOL_HEADER: usize = 4;

/// An Access-Request and whose it is.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The packet.
    pub packet: &'a Packet<'a>,
    /// The client's name.
    pub client: &'a str,
    /// The client's shared secret.
    pub secret: &'a [u8],
    /// Where the packet came from.
    pub source: IpAddr,
}

/// What to send back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The packet.
    pub octets: Vec<u8>,
    /// It ends the conversation of a station that has logged on.
    pub settled: bool,
}

/// Takes logins. Any number of threads may call it.
pub struct Engine {
    eap: Arc<Config>,
    directory: Arc<dyn Directory>,
    waiting: Mutex<Sessions<Conversation>>,
}

/// One EAP conversation between two requests.
struct Conversation {
    eap: Session,
    client: String,
    /// Names it towards the directory.
    name: String,
    login: Option<Login>,
    /// What the directory said. The peer hears of it at the end only, as of a wrong password.
    refusal: Option<Reject>,
}

impl Engine {
    /// An engine without conversations.
    pub fn new(eap: Arc<Config>, directory: Arc<dyn Directory>) -> Self {
        Self { eap, directory, waiting: Mutex::new(Sessions::new(HALF_OPEN)) }
    }

    /// Answers an Access-Request: the only place where a login is decided. None means silence: an EAP packet out of
    /// order. An error is an answer that could not be built.
    pub fn handle(
        &self,
        now: Now,
        random: &mut Random<'_>,
        request: &Request<'_>,
    ) -> Result<Option<Answer>, BuildError> {
        let Some(response) = join_eap(request.packet) else {
            return reject(request, &[], None, Reject::NoCredentials, "no EAP-Message").map(Some);
        };
        let state = request.packet.get(A::STATE);
        let (mut conversation, step) = match state {
            Some(state) => match self.resume(now, state, request.client) {
                Some(mut conversation) => {
                    let step = conversation.eap.handle(&response, random);
                    (conversation, step)
                }
                None => {
                    let failure = failure(&response);
                    return reject(request, &failure, None, Reject::EapFailed, "unknown-state").map(Some);
                }
            },
            None => self.begin(&response, random, request),
        };
        match self.answer_lookup(now, random, request, &mut conversation, step) {
            Step::Send(packet) => self.challenge(now, random, request, &packet, conversation).map(Some),
            Step::Success { packet, msk, .. } => match self.admit(now, request, &conversation) {
                Ok(login) => accept(now, random, request, &packet, &msk, login).map(Some),
                Err(why) => {
                    let claimed = conversation.login.as_ref().map(|login| login.username.as_str());
                    reject(request, &failure(&response), claimed, why, "after EAP").map(Some)
                }
            },
            Step::Failure { packet, reason, identity } => {
                let why = conversation.refusal.unwrap_or(match reason {
                    Reason::WrongPassword => Reject::WrongPassword,
                    _ => Reject::EapFailed,
                });
                reject(request, &packet, identity.as_deref(), why, reason.code()).map(Some)
            }
            // A second look-up is no part of any method.
            Step::Ignore | Step::Lookup { .. } => {
                if let Some(state) = state.and_then(|state| State::try_from(state).ok()) {
                    self.waiting().put(now.monotonic, state, conversation);
                }
                Ok(None)
            }
        }
    }

    /// Drops conversations that nobody goes on with.
    pub fn expire(&self, now: Duration) {
        self.waiting().expire(now);
    }

    /// A new conversation. An empty EAP-Message is EAP-Start: nobody has asked for the identity yet (RFC 3579 §2.1).
    fn begin(&self, response: &[u8], random: &mut Random<'_>, request: &Request<'_>) -> (Conversation, Step) {
        let framed = request.packet.integer(A::FRAMED_MTU).and_then(|mtu| usize::try_from(mtu).ok());
        let mtu = framed.map_or(DEFAULT_MTU, |framed| framed.saturating_sub(EAPOL_HEADER));
        let name = data_encoding::HEXLOWER.encode(&draw::<16>(random));
        let mut eap = Session::new(Arc::clone(&self.eap), mtu);
        let step = if response.is_empty() { eap.start(random) } else { eap.handle(response, random) };
        let client = request.client.to_owned();
        (Conversation { eap, client, name, login: None, refusal: None }, step)
    }

    /// A State is good for the client that got it, once.
    fn resume(&self, now: Now, state: &[u8], client: &str) -> Option<Conversation> {
        let state = State::try_from(state).ok()?;
        self.waiting().take(now.monotonic, &state).filter(|conversation| conversation.client == client)
    }

    /// Where the inner identity has become known: who is it? A refusal is kept for the end, so that from outside a
    /// revoked name, another's station and a wrong password look the same.
    fn answer_lookup(
        &self,
        now: Now,
        random: &mut Random<'_>,
        request: &Request<'_>,
        conversation: &mut Conversation,
        step: Step,
    ) -> Step {
        let Step::Lookup { identity } = step else { return step };
        match self.directory.check(now.unix, &identity, &asked(request)) {
            Ok(login) => {
                // MSCHAPv2 and PAP both need the clear password on this side.
                let step = conversation.eap.provide(Some(login.password.expose().as_bytes()), random);
                conversation.login = Some(login);
                step
            }
            Err(why) => {
                conversation.refusal = Some(why);
                conversation.eap.provide(None, random)
            }
        }
    }

    /// EAP has succeeded: last checks before the Access-Accept.
    fn admit<'a>(
        &self,
        now: Now,
        request: &Request<'_>,
        conversation: &'a Conversation,
    ) -> Result<&'a Login, Reject> {
        let login = match (&conversation.login, conversation.refusal) {
            (Some(login), None) => login,
            (_, why) => return Err(why.unwrap_or(Reject::EapFailed)),
        };
        if login.expires_at.is_some_and(|end| end <= now.unix) {
            return Err(Reject::Expired);
        }
        let session = request.packet.text(A::ACCT_MULTI_SESSION_ID).filter(|session| !session.is_empty());
        self.directory.consume(now.unix, login, session.unwrap_or(&conversation.name))?;
        Ok(login)
    }

    fn challenge(
        &self,
        now: Now,
        random: &mut Random<'_>,
        request: &Request<'_>,
        packet: &[u8],
        conversation: Conversation,
    ) -> Result<Answer, BuildError> {
        let state: State = draw(random);
        let octets = Builder::reply(Code::ACCESS_CHALLENGE, request.packet)
            .attribute(A::STATE, &state)
            .eap(packet)
            .finish(request.secret)?;
        self.waiting().put(now.monotonic, state, conversation);
        Ok(Answer { octets, settled: false })
    }

    fn waiting(&self) -> MutexGuard<'_, Sessions<Conversation>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn accept(
    now: Now,
    random: &mut Random<'_>,
    request: &Request<'_>,
    success: &[u8],
    msk: &Msk,
    login: &Login,
) -> Result<Answer, BuildError> {
    let remaining = login.expires_at.map(|end| end.saturating_sub(now.unix));
    let mut accept = Builder::reply(Code::ACCESS_ACCEPT, request.packet)
        .eap(success)
        // The access point derives the air's keys from it.
        .mppe_keys(msk.expose(), draw(random), request.secret)
        // RFC 2865 §5.1: what accounting shall call the user; the outer identity is anonymous.
        .text(A::USER_NAME, &login.username)
        .attribute(A::CLASS, &draw::<16>(random));
    if let Some(secs) = remaining {
        // Never past the credential's end; without Termination-Action the session is over then (RFC 3580 §3.17).
        accept = accept.integer(A::SESSION_TIMEOUT, u32::try_from(secs).unwrap_or(u32::MAX));
    }
    let octets = accept.finish(request.secret)?;
    log::accepted(request.client, station(request.packet), login, remaining);
    Ok(Answer { octets, settled: true })
}

/// The access point learns that it is no, the operator's log learns why.
fn reject(
    request: &Request<'_>,
    failure: &[u8],
    claimed: Option<&str>,
    why: Reject,
    detail: &str,
) -> Result<Answer, BuildError> {
    // Before the tunnel stands there is only the outer identity.
    let claimed = claimed.or_else(|| request.packet.text(A::USER_NAME));
    log::refused(request.client, station(request.packet), claimed, why, detail);
    let octets = Builder::reply(Code::ACCESS_REJECT, request.packet).eap(failure).finish(request.secret)?;
    Ok(Answer { octets, settled: false })
}

/// An Access-Reject, with EAP-Failure where the request is of EAP, and the reason in the log.
pub fn refuse(request: &Request<'_>, why: Reject, detail: &str) -> Result<Answer, BuildError> {
    match join_eap(request.packet) {
        Some(response) => reject(request, &failure(&response), None, why, detail),
        None => reject(request, &[], None, why, detail),
    }
}

/// EAP-Failure for this response, with its identifier (RFC 3748 §4.2).
fn failure(response: &[u8]) -> [u8; 4] {
    [4, response.get(1).copied().unwrap_or(0), 0, 4]
}

/// Where and from which station it comes.
fn asked<'a>(request: &Request<'a>) -> Asked<'a> {
    // RFC 3580 §3.20: the access point's address, a colon, the network's name.
    let called = request.packet.text(A::CALLED_STATION_ID);
    let ssid = called.and_then(|called| called.rsplit_once(':')).map(|(_, ssid)| ssid);
    Asked { mac: station(request.packet), client: request.client, ssid }
}

/// The station's address, as the access point tells it (RFC 3580 §3.21), in any notation.
fn station(packet: &Packet<'_>) -> Option<Mac> {
    packet.text(A::CALLING_STATION_ID).and_then(|text| text.parse().ok())
}

fn draw<const N: usize>(random: &mut Random<'_>) -> [u8; N] {
    let mut octets = [0; N];
    random(&mut octets);
    octets
}

#[cfg(test)]
mod tests;
