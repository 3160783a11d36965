//! One login as an access point and a station do it: RADIUS around, the `eap` crate's peer inside.
//!
//! Everything that proves the server's work is checked in every login: both authenticators of each reply, the
//! certificate and its name, MSCHAPv2's authenticator response, and that the keys of the Access-Accept are those that
//! the peer derived. A server that skips work fails here.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use eap::peer::{Session, Step};
use radius::{
    AttributeType as A, Builder, Code, Packet, Vendor, hide_password, join_eap, microsoft, unwrap_key,
};

use super::reply::Secret;
use crate::peers::{ANONYMOUS, User};

/// What the access point says of its link.
const FRAMED_MTU: u32 = 1400;
/// Octets of EAPOL that Framed-MTU includes.
const EAPOL_HEADER: usize = 4;
/// Wireless - IEEE 802.11 (RFC 2865 §5.41).
const WIRELESS: u32 = 19;
/// Service-Type Framed.
const FRAMED: u32 = 2;
/// EAP-Request/Identity, as the access point itself asks the station.
const ASK_IDENTITY: [u8; 5] = [1, 0, 0, 5, 1];

/// A login under way.
pub(super) struct Login {
    station: String,
    outer: String,
    session: Option<Session>,
    state: Option<Vec<u8>>,
    authenticator: [u8; 16],
    request: Vec<u8>,
    resumed: bool,
    /// Access-Requests so far.
    pub(super) rounds: u32,
}

/// What a reply meant.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Send the next request.
    Next,
    /// Accepted, and everything proved.
    Accepted,
    /// Access-Reject.
    Refused,
    /// Something that a server must not do.
    Wrong(String),
    /// Not an answer to this request, or forged.
    Ignored,
}

impl Login {
    /// By EAP: `peer` has the credential.
    pub(super) fn eap(peer: Arc<eap::peer::Config>, user: &User, id: u8, secret: &Secret) -> Result<Self> {
        let mtu = usize::try_from(FRAMED_MTU)? - EAPOL_HEADER;
        let mut session = Session::new(peer, mtu);
        let Step::Send(identity) = session.handle(&ASK_IDENTITY, &mut random) else {
            anyhow::bail!("the peer does not tell its identity");
        };
        let mut login = Self::new(user, ANONYMOUS.to_owned(), Some(session))?;
        login.ask(id, secret, |request| request.eap(&identity))?;
        Ok(login)
    }

    /// By PAP.
    pub(super) fn pap(user: &User, id: u8, secret: &Secret) -> Result<Self> {
        let mut login = Self::new(user, user.name.clone(), None)?;
        let authenticator = fresh()?;
        let hidden = hide_password(user.password.as_bytes(), secret.octets(), &authenticator);
        let hidden = hidden.context("a password that PAP cannot carry")?;
        login.authenticator = authenticator;
        login.build(id, secret, |request| request.attribute(A::USER_PASSWORD, &hidden))?;
        Ok(login)
    }

    fn new(user: &User, outer: String, session: Option<Session>) -> Result<Self> {
        Ok(Self {
            station: user.station.clone(),
            outer,
            session,
            state: None,
            authenticator: [0; 16],
            request: Vec::new(),
            resumed: false,
            rounds: 0,
        })
    }

    /// With a session of before.
    pub(super) fn resumed(&self) -> bool {
        self.resumed
    }

    /// The packet to be sent now.
    pub(super) fn request(&self) -> &[u8] {
        &self.request
    }

    /// Takes what came; on [`Verdict::Next`] there is a new [`Login::request`], with identifier `id`.
    pub(super) fn reply(&mut self, octets: &[u8], id: u8, secret: &Secret) -> Result<Verdict> {
        let Ok(reply) = Packet::parse(octets) else {
            return Ok(Verdict::Wrong("malformed reply".to_owned()));
        };
        let identifier = self.request.get(1).copied();
        if identifier != Some(reply.identifier()) || !secret.answers(&reply, &self.authenticator) {
            return Ok(Verdict::Ignored);
        }
        if let Err(why) = secret.proves(&reply, &self.authenticator, self.session.is_some()) {
            return Ok(Verdict::Wrong(why.to_owned()));
        }
        let verdict = match reply.code() {
            Code::ACCESS_REJECT => Verdict::Refused,
            Code::ACCESS_ACCEPT => self.accepted(&reply, secret),
            Code::ACCESS_CHALLENGE => return self.challenged(&reply, id, secret),
            other => Verdict::Wrong(format!("{other:?}")),
        };
        Ok(verdict)
    }

    fn challenged(&mut self, reply: &Packet<'_>, id: u8, secret: &Secret) -> Result<Verdict> {
        self.state = reply.get(A::STATE).map(<[u8]>::to_vec);
        let Some(session) = &mut self.session else {
            return Ok(Verdict::Wrong("a challenge to PAP".to_owned()));
        };
        let packet = join_eap(reply).unwrap_or_default();
        Ok(match session.handle(&packet, &mut random) {
            Step::Send(response) => {
                self.ask(id, secret, |request| request.eap(&response))?;
                Verdict::Next
            }
            Step::Failure(reason) => Verdict::Wrong(format!("the peer gives up: {reason}")),
            step => Verdict::Wrong(format!("the peer does not answer: {step:?}")),
        })
    }

    fn accepted(&mut self, reply: &Packet<'_>, secret: &Secret) -> Verdict {
        let Some(session) = &mut self.session else { return Verdict::Accepted };
        let packet = join_eap(reply).unwrap_or_default();
        let msk = match session.handle(&packet, &mut random) {
            Step::Success { msk, resumed } => {
                self.resumed = resumed;
                msk
            }
            step => {
                return Verdict::Wrong(format!("an Access-Accept that the peer does not believe: {step:?}"));
            }
        };
        let key = |kind| {
            let value = reply.vendor(Vendor::MICROSOFT, kind)?;
            unwrap_key(value, secret.octets(), &self.authenticator).ok()
        };
        let same = key(microsoft::MPPE_RECV_KEY).is_some_and(|key| &key[..] == msk.recv_key())
            && key(microsoft::MPPE_SEND_KEY).is_some_and(|key| &key[..] == msk.send_key());
        if same { Verdict::Accepted } else { Verdict::Wrong("MPPE keys are not the peer's".to_owned()) }
    }

    fn ask(&mut self, id: u8, secret: &Secret, more: impl FnOnce(Builder) -> Builder) -> Result<()> {
        self.authenticator = fresh()?;
        self.build(id, secret, more)
    }

    fn build(&mut self, id: u8, secret: &Secret, more: impl FnOnce(Builder) -> Builder) -> Result<()> {
        let mut request = Builder::access_request(id, self.authenticator)
            .text(A::USER_NAME, &self.outer)
            .integer(A::NAS_IP_ADDRESS, 0x7f00_0001)
            .text(A::CALLING_STATION_ID, &self.station)
            .integer(A::FRAMED_MTU, FRAMED_MTU)
            .integer(A::NAS_PORT_TYPE, WIRELESS)
            .integer(A::SERVICE_TYPE, FRAMED);
        if let Some(state) = &self.state {
            request = request.attribute(A::STATE, state);
        }
        self.request = more(request).finish(secret.octets())?;
        self.rounds += 1;
        Ok(())
    }
}

fn fresh() -> Result<[u8; 16]> {
    let mut octets = [0; 16];
    getrandom::fill(&mut octets).map_err(|error| anyhow::anyhow!("no random octets: {error}"))?;
    Ok(octets)
}

/// A generator without random octets makes logins that fail, which is what is wanted then.
fn random(octets: &mut [u8]) {
    let _ = getrandom::fill(octets);
}
