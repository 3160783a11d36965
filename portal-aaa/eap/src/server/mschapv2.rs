//! EAP-MSCHAPv2 inside PEAP (draft-kamath-pppext-eap-mschapv2): both sides prove that they know the password.

use super::method::{Method, Progress};
use crate::{
    Random, Reason,
    key::Secret,
    mschapv2::{CHALLENGE, Exchange, Message, PasswordHash, Response, failure_text, session_keys},
    packet::{Identifier, Type},
};

/// One exchange.
pub(super) struct Mschapv2 {
    name: String,
    challenge: [u8; CHALLENGE],
    phase: Phase,
    key: Option<Secret>,
}

enum Phase {
    /// Challenge is out.
    Challenge,
    /// The proof is here, the password is not.
    Lookup { response: Response, name: Vec<u8> },
    /// Our proof is out.
    Success { text: Vec<u8> },
    /// The error is out.
    Failure(Reason),
}

impl Mschapv2 {
    /// `name`: of the server, for the challenge.
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), challenge: [0; CHALLENGE], phase: Phase::Challenge, key: None }
    }

    fn verify(
        &mut self,
        password: Option<&[u8]>,
        response: &Response,
        name: &[u8],
    ) -> Result<Vec<u8>, Reason> {
        let exchange = Exchange {
            authenticator_challenge: &self.challenge,
            peer_challenge: &response.peer_challenge,
            user: name,
        };
        // Who is unknown takes as long as who is wrong.
        let hash = PasswordHash::of(password.unwrap_or_default());
        let hash = hash.filter(|hash| exchange.proves(hash, &response.nt_response));
        let hash = match (password, hash) {
            (None, _) => return Err(Reason::RejectedByDirectory),
            (Some(_), None) => return Err(Reason::WrongPassword),
            (Some(_), Some(hash)) => hash,
        };
        self.key = Some(session_keys(&hash, &response.nt_response));
        Ok([&exchange.authenticator_response(&hash, &response.nt_response)[..], b" M=OK"].concat())
    }
}

impl Method for Mschapv2 {
    fn kind(&self) -> Type {
        Type::MSCHAPV2
    }

    fn build_request(&mut self, identifier: Identifier, random: &mut Random<'_>) -> Result<Vec<u8>, Reason> {
        let text;
        let message = match &self.phase {
            Phase::Challenge => {
                random(&mut self.challenge);
                Message::Challenge { challenge: self.challenge, name: self.name.as_bytes() }
            }
            Phase::Success { text } => Message::Success(text),
            Phase::Failure(_) => {
                let mut challenge = [0; CHALLENGE];
                random(&mut challenge);
                text = failure_text(&challenge);
                Message::Failure(&text)
            }
            Phase::Lookup { .. } => return Err(Reason::ProtocolError),
        };
        // §2.1: MS-CHAPv2-ID need not be the EAP identifier, but all implementations take that.
        Ok(message.encode(identifier.0))
    }

    fn process(&mut self, data: &[u8], _: &mut Random<'_>) -> Progress {
        match (&self.phase, Message::parse(data)) {
            (Phase::Challenge, Some((Message::Response { response, name }, _))) => {
                self.phase = Phase::Lookup { response, name: name.to_vec() };
                Progress::Lookup
            }
            (Phase::Success { .. }, Some((Message::Success(_), _))) => Progress::Done(Ok(())),
            (Phase::Success { .. }, Some((Message::Failure(_), _))) => {
                Progress::Done(Err(Reason::PeerRefused))
            }
            (Phase::Failure(reason), Some((Message::Failure(_), _))) => Progress::Done(Err(*reason)),
            _ => Progress::Done(Err(Reason::ProtocolError)),
        }
    }

    fn provide(&mut self, password: Option<&[u8]>) -> Progress {
        let Phase::Lookup { response, name } = std::mem::replace(&mut self.phase, Phase::Challenge) else {
            return Progress::Done(Err(Reason::ProtocolError));
        };
        self.phase = match self.verify(password, &response, &name) {
            Ok(text) => Phase::Success { text },
            Err(reason) => Phase::Failure(reason),
        };
        Progress::Continue
    }

    fn key(&self) -> Option<&[u8]> {
        self.key.as_ref().map(|key| &key[..])
    }
}
