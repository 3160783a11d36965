//! Decides a login: EAP conversation or plain password, credential, station, and the Access-Accept, -Challenge or
//! -Reject that follows (feature-spec E2–E7, E15; RFC 3579 §2).
//!
//! Called by [`crate::server`] with requests that [`super::guard`] has let pass and that are no repetitions. EAP is in
//! [`super::conversation`], plain passwords in [`super::plain`], what the answers say in [`super::answer`].

use std::{
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use eap::{Random, server::Config};
use provisioning::identity::Mac;
use radius::{AttributeType as A, BuildError, Packet, join_eap};

use super::{
    Now,
    answer::{self, Success},
    conversation::Conversations,
    directory::{Admitted, Asked, Directory, Login, Reject, Sessions},
    plain::Proof,
};
use crate::accounting::record;

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
    eap: RwLock<Arc<Config>>,
    pub(super) directory: Arc<dyn Directory>,
    sessions: Arc<dyn Sessions>,
    pub(super) conversations: Conversations,
}

impl Engine {
    /// An engine without conversations.
    pub fn new(eap: Arc<Config>, directory: Arc<dyn Directory>, sessions: Arc<dyn Sessions>) -> Self {
        Self { eap: RwLock::new(eap), directory, sessions, conversations: Conversations::default() }
    }

    /// From now on conversations begin with this certificate; those that have begun end with theirs.
    pub fn renew(&self, eap: Arc<Config>) {
        *self.eap.write().unwrap_or_else(PoisonError::into_inner) = eap;
    }

    pub(super) fn eap(&self) -> Arc<Config> {
        Arc::clone(&self.eap.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Answers an Access-Request: the only place where a login is decided. None means silence: an EAP packet out of
    /// order. An error is an answer that could not be built.
    pub fn handle(
        &self,
        now: Now,
        random: &mut Random<'_>,
        request: &Request<'_>,
    ) -> Result<Option<Answer>, BuildError> {
        match join_eap(request.packet) {
            Some(response) => self.converse(now, random, request, &response),
            None => self.plain(now, random, request).map(Some),
        }
    }

    /// Drops conversations that nobody goes on with.
    pub fn expire(&self, now: Duration) {
        self.conversations.expire(now);
    }

    /// A login in one packet.
    fn plain(&self, now: Now, random: &mut Random<'_>, request: &Request<'_>) -> Result<Answer, BuildError> {
        let name = request.packet.text(A::USER_NAME).unwrap_or_default();
        let proof = match Proof::of(request.packet, request.secret) {
            Ok(proof) => proof,
            Err(why) => {
                return answer::reject(request, None, why, "neither EAP nor a password", |reject| reject);
            }
        };
        let method = proof.method();
        let proved = self.directory.check(now.unix, name, &asked(request)).and_then(|login| {
            if !login.methods.contains(method) {
                return Err(Reject::MethodNotAllowed);
            }
            let proved =
                proof.verify(name, login.password.expose().as_bytes()).ok_or(Reject::WrongPassword)?;
            Ok((login, proved))
        });
        // A gateway that repeats a request with a new authenticator means the same session.
        let session = [A::ACCT_MULTI_SESSION_ID, A::ACCT_SESSION_ID].map(|kind| request.packet.text(kind));
        let session = session.into_iter().flatten().find(|session| !session.is_empty());
        let admitted = proved.and_then(|(login, proved)| {
            // Only what is good for one use has uses that need names.
            let name = login.one_time.then(|| session.map_or_else(|| draw_name(random), str::to_owned));
            Ok((self.admit(now, random, request, &login, name.as_deref())?, login, proved))
        });
        match admitted {
            Ok((class, login, proved)) => {
                let success = self.success(request, &login, class, method.name(), false);
                answer::accept(now, request, &success, |accept| proved.answer(accept))
            }
            Err(why) => {
                let challenge = draw(random);
                answer::reject(request, Some(name), why, method.name(), |reject| {
                    proof.refusal(reject, challenge)
                })
            }
        }
    }

    /// The password was proved: last checks before the Access-Accept. Gives the Class that joins the session's
    /// accounting to it. `use_as` names the use of a one-time credential, where this is a new one.
    pub(super) fn admit(
        &self,
        now: Now,
        random: &mut Random<'_>,
        request: &Request<'_>,
        login: &Login,
        use_as: Option<&str>,
    ) -> Result<[u8; 16], Reject> {
        if login.expires_at.is_some_and(|end| end <= now.unix) {
            return Err(Reject::Expired);
        }
        let class = draw(random);
        let session = Admitted {
            client: request.client,
            address: request.source,
            class,
            mac: station(request.packet),
            packet: request.packet,
        };
        self.sessions.admit(now, login, &session)?;
        let used = use_as.map_or(Ok(()), |session| self.directory.consume(now.unix, login, session));
        used.inspect_err(|_| self.sessions.withdraw(&class))?;
        Ok(class)
    }

    pub(super) fn success<'a>(
        &self,
        request: &Request<'_>,
        login: &'a Login,
        class: [u8; 16],
        method: &'static str,
        resumed: bool,
    ) -> Success<'a> {
        let chargeable =
            answer::asks_for_identity(request).then(|| self.directory.chargeable_identity(login.subscriber));
        Success { login, class, method, resumed, chargeable }
    }
}

/// An Access-Reject, with EAP-Failure where the request is of EAP, and the reason in the log.
pub fn refuse(request: &Request<'_>, why: Reject, detail: &str) -> Result<Answer, BuildError> {
    let failure = join_eap(request.packet).map(|response| failure(&response));
    answer::reject(request, None, why, detail, |reject| match failure {
        Some(failure) => reject.eap(&failure),
        None => reject,
    })
}

/// EAP-Failure for this response, with its identifier (RFC 3748 §4.2).
pub(super) fn failure(response: &[u8]) -> [u8; 4] {
    [4, response.get(1).copied().unwrap_or(0), 0, 4]
}

/// Where and from which station it comes.
pub(super) fn asked<'a>(request: &Request<'a>) -> Asked<'a> {
    let called = request.packet.text(A::CALLED_STATION_ID);
    Asked { mac: station(request.packet), client: request.client, ssid: called.and_then(record::ssid) }
}

/// The station's address, as the access point tells it (RFC 3580 §3.21), in any notation.
pub(super) fn station(packet: &Packet<'_>) -> Option<Mac> {
    packet.text(A::CALLING_STATION_ID).and_then(|text| text.parse().ok())
}

pub(super) fn draw<const N: usize>(random: &mut Random<'_>) -> [u8; N] {
    let mut octets = [0; N];
    random(&mut octets);
    octets
}

/// Names a session that the access point does not name.
pub(super) fn draw_name(random: &mut Random<'_>) -> String {
    data_encoding::HEXLOWER.encode(&draw::<16>(random))
}

#[cfg(test)]
mod tests;
