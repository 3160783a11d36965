//! EAP-MSCHAPv2 as the peer speaks it, and what TTLS needs of it.

use std::sync::Arc;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Config, Reason};
use crate::{
    Random,
    mschapv2::{
        AUTHENTICATOR_RESPONSE, CHALLENGE, Exchange, KEY, Message, PasswordHash, Response, read_failure,
        without_domain,
    },
};

/// RFC 2759 §6: ERROR_AUTHENTICATION_FAILURE.
const AUTHENTICATION_FAILURE: u32 = 691;

/// One exchange.
pub(super) struct Mschapv2 {
    config: Arc<Config>,
    /// The server's proof to come, and the key that it unlocks.
    expected: Option<([u8; AUTHENTICATOR_RESPONSE], Zeroizing<[u8; 2 * KEY]>)>,
    proved: bool,
    refusal: Option<Reason>,
}

impl Mschapv2 {
    pub(super) fn new(config: &Arc<Config>) -> Self {
        Self { config: Arc::clone(config), expected: None, proved: false, refusal: None }
    }

    /// Answers an EAP-MSCHAPv2 packet, after the type.
    pub(super) fn answer(&mut self, data: &[u8], random: &mut Random<'_>) -> Result<Vec<u8>, Reason> {
        match Message::parse(data).ok_or(Reason::ProtocolError)? {
            (Message::Challenge { challenge, .. }, id) => {
                let response = self.respond(&challenge, random)?;
                Ok(Message::Response { response, name: self.config.identity.as_bytes() }.encode(id))
            }
            (Message::Success(text), id) => {
                self.check(text)?;
                Ok(Message::Success(&[]).encode(id))
            }
            (Message::Failure(text), id) => {
                let wrong = read_failure(text) == Some(AUTHENTICATION_FAILURE);
                self.refusal = Some(if wrong { Reason::WrongPassword } else { Reason::Refused });
                Ok(Message::Failure(&[]).encode(id))
            }
            (Message::Response { .. } | Message::ChangePassword, _) => Err(Reason::ProtocolError),
        }
    }

    /// The proof for a challenge.
    pub(super) fn respond(
        &mut self,
        challenge: &[u8; CHALLENGE],
        random: &mut Random<'_>,
    ) -> Result<Response, Reason> {
        let mut peer_challenge = [0; CHALLENGE];
        random(&mut peer_challenge);
        let exchange = Exchange { authenticator_challenge: challenge, peer_challenge: &peer_challenge };
        // A password that MS-CHAP-V2 cannot take is as wrong as any other.
        let hash = PasswordHash::of(self.config.password.as_bytes()).ok_or(Reason::WrongPassword)?;
        let proof = exchange.prove(&hash, without_domain(self.config.identity.as_bytes()));
        self.expected = Some((proof.authenticator_response(), proof.session_key()));
        Ok(Response { peer_challenge, nt_response: proof.nt_response })
    }

    /// The server's proof (RFC 2759 §8.8); text may follow it.
    pub(super) fn check(&mut self, text: &[u8]) -> Result<(), Reason> {
        let (expected, _) = self.expected.as_ref().ok_or(Reason::ProtocolError)?;
        let proof = text.get(..AUTHENTICATOR_RESPONSE).unwrap_or_default();
        self.proved = expected.ct_eq(proof).into();
        if self.proved { Ok(()) } else { Err(Reason::UnprovenServer) }
    }

    /// Key of the method, nothing before the server has proved itself.
    pub(super) fn key(&self) -> &[u8] {
        self.expected.as_ref().filter(|_| self.proved).map_or(&[], |(_, key)| &key[..])
    }

    /// What the server had against us.
    pub(super) fn refusal(&self) -> Option<Reason> {
        self.refusal
    }
}
