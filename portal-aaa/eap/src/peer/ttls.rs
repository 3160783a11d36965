//! TTLSv0 as the peer speaks it: attributes with the password, or with a proof of it.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Config, Method, Reason, inside::Inside, mschapv2::Mschapv2};
use crate::{
    Msk, Random,
    key::Secret,
    mschapv2::CHALLENGE,
    packet::Identifier,
    tls::Exports,
    ttls::{AvpCode, encode, parse},
};

/// RFC 5281 §11.2.5: the password is padded to a multiple of this.
const PASSWORD_BLOCK: usize = 16;

/// Phase 2 of one login.
pub(super) struct Ttls {
    config: Arc<Config>,
    mschapv2: Mschapv2,
    ident: u8,
    exports: Option<Exports>,
    /// An EAP-Success is due.
    done: bool,
}

impl Ttls {
    pub(super) fn new(config: &Arc<Config>) -> Self {
        let mschapv2 = Mschapv2::new(config);
        Self { config: Arc::clone(config), mschapv2, ident: 0, exports: None, done: false }
    }

    fn pap(&mut self) -> Secret {
        let mut password = Zeroizing::new(self.config.password.as_bytes().to_vec());
        let padded = password.len().next_multiple_of(PASSWORD_BLOCK);
        password.resize(padded, 0);
        self.done = true;
        let name = (AvpCode::USER_NAME, self.config.identity.as_bytes());
        encode(&[name, (AvpCode::USER_PASSWORD, &password)]).into()
    }

    fn mschapv2(&mut self, implicit: &[u8], random: &mut Random<'_>) -> Option<Secret> {
        let (challenge, ident) = implicit.split_first_chunk::<CHALLENGE>()?;
        self.ident = *ident.first()?;
        let response = self.mschapv2.respond(challenge, random).ok()?;
        // RFC 2548 §2.3.2: identifier, flags, then the fields.
        let value = [&[self.ident, 0], &response.encode()[..]].concat();
        let name = (AvpCode::USER_NAME, self.config.identity.as_bytes());
        let avps = [name, (AvpCode::MS_CHAP_CHALLENGE, challenge), (AvpCode::MS_CHAP2_RESPONSE, &value)];
        Some(encode(&avps).into())
    }
}

impl Inside for Ttls {
    fn established(&mut self, exports: Exports, random: &mut Random<'_>) -> Option<Secret> {
        let implicit = exports.challenge;
        self.exports = Some(exports);
        match self.config.method {
            Method::TtlsMschapv2 => self.mschapv2(&implicit, random),
            _ => Some(self.pap()),
        }
    }

    fn hear(&mut self, words: &[u8], _: Identifier, _: &mut Random<'_>) -> Result<Secret, Reason> {
        let avps = parse(words).ok_or(Reason::ProtocolError)?;
        let success = avps.iter().find(|avp| avp.code == AvpCode::MS_CHAP2_SUCCESS);
        let (ident, text) = success.and_then(|avp| avp.data.split_first()).ok_or(Reason::ProtocolError)?;
        if *ident != self.ident {
            return Err(Reason::ProtocolError);
        }
        self.mschapv2.check(text)?;
        self.done = true;
        // RFC 5281 §11.2.4: the server's proof is answered with an empty packet.
        Ok(Secret::default())
    }

    fn msk(&self) -> Option<Msk> {
        self.exports.as_ref().filter(|_| self.done).and_then(|exports| Msk::cut(&exports.keys))
    }

    fn reason(&self) -> Reason {
        // Inside there is nothing but the password that the server could refuse.
        if self.exports.is_some() { Reason::WrongPassword } else { Reason::Refused }
    }
}
