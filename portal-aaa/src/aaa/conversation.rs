//! Logins by EAP: Access-Requests joined to their conversation, and what each step of it asks of the directory
//! (RFC 3579 §2).
//!
//! Called by [`super::engine`]. The EAP itself is the `eap` crate's; here identities meet credentials.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use eap::{
    LoginMethod, Random, Reason,
    server::{Known, Session, Step},
};
use radius::{AttributeType as A, BuildError, Builder, Code};

use super::{
    Now, answer,
    directory::{Login, Reject},
    engine::{Answer, Engine, Request, asked, draw, draw_name, failure, refuse},
    method::Method,
    sessions::{self, Limits, State},
};

/// Half-open conversations, some ten kilobytes of TLS each. A program types the password, not a person: half a minute
/// between two packets is long.
pub(super) const HALF_OPEN: Limits = Limits { open: 4096, idle: Duration::from_secs(30) };
/// What a link carries when the access point does not tell (RFC 3748 §3.1).
pub(super) const DEFAULT_MTU: usize = 1020;
/// Version, type and length of EAPOL, which Framed-MTU includes and an EAP packet does not (RFC 3579 §2.4).
const EAPOL_HEADER: usize = 4;

/// All that wait for their next request.
pub(super) struct Conversations(Mutex<sessions::Sessions<Box<Conversation>>>);

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

/// How EAP has ended well.
struct Ended<'a> {
    packet: &'a [u8],
    msk: &'a eap::Msk,
    method: LoginMethod,
    resumed: bool,
}

impl Default for Conversations {
    fn default() -> Self {
        Self(Mutex::new(sessions::Sessions::new(HALF_OPEN)))
    }
}

impl Conversations {
    pub(super) fn expire(&self, now: Duration) {
        self.lock().expire(now);
    }

    /// Does none wait?
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, sessions::Sessions<Box<Conversation>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A State is good for the client that got it, once.
    fn resume(&self, now: Now, state: &[u8], client: &str) -> Option<Box<Conversation>> {
        let state = State::try_from(state).ok()?;
        self.lock().take(now.monotonic, &state).filter(|conversation| conversation.client == client)
    }
}

impl Engine {
    /// A request of EAP.
    pub(super) fn converse(
        &self,
        now: Now,
        random: &mut Random<'_>,
        request: &Request<'_>,
        response: &[u8],
    ) -> Result<Option<Answer>, BuildError> {
        let state = request.packet.get(A::STATE);
        let (mut conversation, step) = match state {
            Some(state) => match self.conversations.resume(now, state, request.client) {
                Some(mut conversation) => {
                    let step = conversation.eap.handle(response, random);
                    (conversation, step)
                }
                None => return refuse(request, Reject::EapFailed, "unknown-state").map(Some),
            },
            None => self.begin(now, response, random, request),
        };
        match self.answer_lookups(now, random, request, &mut conversation, step) {
            Step::Send(packet) => self.challenge(now, random, request, &packet, conversation).map(Some),
            Step::Success { packet, msk, method, resumed, .. } => {
                let ended = Ended { packet: &packet, msk: &msk, method, resumed };
                self.admit_conversation(now, random, request, &conversation, &ended, response).map(Some)
            }
            Step::Failure { packet, reason, identity } => {
                let why = conversation.refusal.unwrap_or(match reason {
                    Reason::WrongPassword => Reject::WrongPassword,
                    Reason::MethodNotAllowed => Reject::MethodNotAllowed,
                    _ => Reject::EapFailed,
                });
                let say = |reject: Builder| reject.eap(&packet);
                answer::reject(request, identity.as_deref(), why, reason.code(), say).map(Some)
            }
            Step::Ignore | Step::Lookup { .. } => {
                if let Some(state) = state.and_then(|state| State::try_from(state).ok()) {
                    self.conversations.lock().put(now.monotonic, state, conversation);
                }
                Ok(None)
            }
        }
    }

    /// A new conversation. An empty EAP-Message is EAP-Start: nobody has asked for the identity yet (RFC 3579 §2.1).
    fn begin(
        &self,
        now: Now,
        response: &[u8],
        random: &mut Random<'_>,
        request: &Request<'_>,
    ) -> (Box<Conversation>, Step) {
        let framed = request.packet.integer(A::FRAMED_MTU).and_then(|mtu| usize::try_from(mtu).ok());
        let mtu = framed.map_or(DEFAULT_MTU, |framed| framed.saturating_sub(EAPOL_HEADER));
        let mut eap = Session::new(self.eap(), mtu, now.monotonic);
        let step = if response.is_empty() { eap.start(random) } else { eap.handle(response, random) };
        let (client, name) = (request.client.to_owned(), draw_name(random));
        (Box::new(Conversation { eap, client, name, login: None, refusal: None }), step)
    }

    /// Where the inner identity has become known: who is it? A refusal is kept for the end, so that from outside a
    /// revoked name, another's station and a wrong password look the same.
    fn answer_lookups(
        &self,
        now: Now,
        random: &mut Random<'_>,
        request: &Request<'_>,
        conversation: &mut Conversation,
        step: Step,
    ) -> Step {
        let Step::Lookup { identity, .. } = step else { return step };
        match self.directory.check(now.unix, &identity, &asked(request)) {
            Ok(login) => {
                let known =
                    Known { password: login.password.expose().as_bytes(), methods: login.methods.eap() };
                let step = conversation.eap.provide(Some(known), random);
                conversation.login = Some(login);
                step
            }
            Err(why) => {
                conversation.refusal = Some(why);
                conversation.eap.provide(None, random)
            }
        }
    }

    fn admit_conversation(
        &self,
        now: Now,
        random: &mut Random<'_>,
        request: &Request<'_>,
        conversation: &Conversation,
        ended: &Ended<'_>,
        response: &[u8],
    ) -> Result<Answer, BuildError> {
        let login = match (&conversation.login, conversation.refusal) {
            (Some(login), None) => Ok(login),
            (_, why) => Err(why.unwrap_or(Reject::EapFailed)),
        };
        let session = request.packet.text(A::ACCT_MULTI_SESSION_ID).filter(|session| !session.is_empty());
        // Coming back by a session of TLS is no new use of a one-time credential.
        let use_as = (!ended.resumed).then(|| session.unwrap_or(&conversation.name));
        let admitted = login
            .and_then(|login| Ok((login, self.admit(now, random, request, login, use_as)?)))
            .map(|(login, class)| {
                self.success(request, login, class, Method::Eap(ended.method).name(), ended.resumed)
            });
        match admitted {
            Ok(success) => {
                let salt = draw(random);
                answer::accept(now, request, &success, |accept| {
                    // The access point derives the air's keys from the MSK.
                    accept.eap(ended.packet).mppe_keys(ended.msk.expose(), salt, request.secret)
                })
            }
            Err(why) => {
                let claimed = conversation.login.as_ref().map(|login| login.username.as_str());
                let failure = failure(response);
                answer::reject(request, claimed, why, "after EAP", |reject| reject.eap(&failure))
            }
        }
    }

    fn challenge(
        &self,
        now: Now,
        random: &mut Random<'_>,
        request: &Request<'_>,
        packet: &[u8],
        conversation: Box<Conversation>,
    ) -> Result<Answer, BuildError> {
        let state: State = draw(random);
        let octets = Builder::reply(Code::ACCESS_CHALLENGE, request.packet)
            .attribute(A::STATE, &state)
            .eap(packet)
            .finish(request.secret)?;
        self.conversations.lock().put(now.monotonic, state, conversation);
        Ok(Answer { octets, settled: false })
    }
}
