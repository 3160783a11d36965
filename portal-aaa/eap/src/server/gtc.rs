//! EAP-GTC inside PEAP: the password as it is (RFC 3748 §5.6).

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::method::{Method, Progress};
use crate::{
    Random, Reason,
    key::Secret,
    packet::{Identifier, Type},
};

/// What a person would be shown.
const PROMPT: &[u8] = b"Password: ";

/// One exchange.
#[derive(Default)]
pub(super) struct Gtc {
    claimed: Option<Secret>,
}

impl Method for Gtc {
    fn kind(&self) -> Type {
        Type::GTC
    }

    fn build_request(&mut self, _: Identifier, _: &mut Random<'_>) -> Result<Vec<u8>, Reason> {
        Ok(PROMPT.to_vec())
    }

    fn process(&mut self, data: &[u8], _: &mut Random<'_>) -> Progress {
        self.claimed = Some(Zeroizing::new(data.to_vec()));
        Progress::Lookup
    }

    fn provide(&mut self, password: Option<&[u8]>) -> Progress {
        Progress::Done(match (self.claimed.take(), password) {
            (Some(claimed), Some(password)) if claimed.ct_eq(password).into() => Ok(()),
            (Some(_), Some(_)) => Err(Reason::WrongPassword),
            (Some(_), None) => Err(Reason::RejectedByDirectory),
            (None, _) => Err(Reason::ProtocolError),
        })
    }

    /// GTC derives no key; crypto-binding takes zeros for it.
    fn key(&self) -> Option<&[u8]> {
        None
    }
}
