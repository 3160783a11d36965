//! EAP-MSCHAPv2 inside a tunnel (draft-kamath-pppext-eap-mschapv2): both sides prove that they know the password.

use zeroize::Zeroizing;

use super::method::Progress;
use crate::{
    Random, Reason,
    mschapv2::{
        AUTHENTICATOR_RESPONSE, CHALLENGE, Exchange, KEY, Message, PasswordHash, Response, failure_text,
    },
    packet::Identifier,
};

/// One exchange.
pub(super) struct Mschapv2 {
    challenge: [u8; CHALLENGE],
    phase: Phase,
    key: Option<Zeroizing<[u8; 2 * KEY]>>,
}

enum Phase {
    /// Challenge is out.
    Challenge,
    /// Our proof is out.
    Success([u8; AUTHENTICATOR_RESPONSE]),
    /// The error is out.
    Failure(Reason),
}

impl Mschapv2 {
    pub(super) fn new() -> Self {
        Self { challenge: [0; CHALLENGE], phase: Phase::Challenge, key: None }
    }

    /// Appends the next request, after the type. `name`: of the server, for the challenge.
    pub(super) fn request(
        &mut self,
        identifier: Identifier,
        name: &str,
        random: &mut Random<'_>,
        data: &mut Vec<u8>,
    ) {
        let text;
        let message = match &self.phase {
            Phase::Challenge => {
                random(&mut self.challenge);
                Message::Challenge { challenge: self.challenge, name: name.as_bytes() }
            }
            Phase::Success(proof) => {
                text = [&proof[..], b" M=OK"].concat();
                Message::Success(&text)
            }
            Phase::Failure(_) => {
                let mut challenge = [0; CHALLENGE];
                random(&mut challenge);
                text = failure_text(&challenge);
                Message::Failure(&text)
            }
        };
        // §2.1: MS-CHAPv2-ID need not be the EAP identifier, but all implementations take that.
        message.write(identifier.0, data);
    }

    /// Takes a response, after the type, of somebody with this identity.
    pub(super) fn process(
        &mut self,
        data: &[u8],
        identity: &str,
        password: Result<&[u8], Reason>,
    ) -> Progress {
        match (&self.phase, Message::parse(data)) {
            (Phase::Challenge, Some((Message::Response { response, name }, _))) => {
                self.phase = match self.verify(password, &response, name, identity.as_bytes()) {
                    Ok(proof) => Phase::Success(proof),
                    Err(reason) => Phase::Failure(reason),
                };
                Progress::Continue
            }
            (Phase::Success(_), Some((Message::Success(_), _))) => Progress::Done(Ok(())),
            // A peer that gives up, or that would like another password: nobody offers one here.
            (
                Phase::Challenge | Phase::Success(_),
                Some((Message::Failure(_) | Message::ChangePassword, _)),
            ) => Progress::Done(Err(Reason::PeerRefused)),
            // R=0: there is no other try, whatever the peer says to that, another response included.
            (Phase::Failure(reason), _) => Progress::Done(Err(*reason)),
            _ => Progress::Done(Err(Reason::ProtocolError)),
        }
    }

    pub(super) fn key(&self) -> &[u8] {
        self.key.as_ref().map_or(&[], |key| &key[..])
    }

    fn verify(
        &mut self,
        password: Result<&[u8], Reason>,
        response: &Response,
        name: &[u8],
        identity: &[u8],
    ) -> Result<[u8; AUTHENTICATOR_RESPONSE], Reason> {
        let exchange =
            Exchange { authenticator_challenge: &self.challenge, peer_challenge: &response.peer_challenge };
        // Who is unknown takes as long as who is wrong.
        let hash = PasswordHash::of(password.unwrap_or_default());
        let proof = hash.and_then(|hash| exchange.verify(&hash, name, identity, &response.nt_response));
        password?;
        let proof = proof.ok_or(Reason::WrongPassword)?;
        self.key = Some(proof.session_key());
        Ok(proof.authenticator_response())
    }
}
