//! PEAPv0 as the peer speaks it: identity, inner method, result with crypto-binding.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Config, Reason, inside::Inside, mschapv2::Mschapv2};
use crate::{
    Msk, Random,
    key::Secret,
    packet::{Code, Identifier, Type},
    peap::{CompoundKeys, CryptoBinding, Inner, Outcome, Subtype, Tlvs},
    tls::Exports,
};

/// Phase 2 of one login.
pub(super) struct Peap {
    config: Arc<Config>,
    mschapv2: Mschapv2,
    tunnel_key: Secret,
    /// A password went out by GTC: all that this method knows of success.
    told: bool,
    msk: Option<Msk>,
    failed: Option<Reason>,
}

impl Peap {
    pub(super) fn new(config: &Arc<Config>) -> Self {
        Self {
            config: Arc::clone(config),
            mschapv2: Mschapv2::new(config),
            tunnel_key: Secret::default(),
            told: false,
            msk: None,
            failed: None,
        }
    }

    fn result(&mut self, data: &[u8]) -> Result<Vec<u8>, Reason> {
        let tlvs = Tlvs::parse(data).ok_or(Reason::ProtocolError)?;
        let answer = match self.judge(&tlvs) {
            Ok(binding) => Tlvs { result: Some(Outcome::SUCCESS), binding, ..Tlvs::default() },
            Err(reason) => {
                self.failed.get_or_insert(reason);
                Tlvs { result: Some(Outcome::FAILURE), ..Tlvs::default() }
            }
        };
        Ok(answer.encode())
    }

    /// Is it over, and well? Gives the answer to the binding.
    fn judge(&mut self, tlvs: &Tlvs) -> Result<Option<CryptoBinding>, Reason> {
        if tlvs.result != Some(Outcome::SUCCESS) {
            return Err(self.mschapv2.refusal().unwrap_or(Reason::Refused));
        }
        if !self.told && self.mschapv2.key().is_none() {
            return Err(Reason::ProtocolError);
        }
        let Some(binding) = &tlvs.binding else {
            self.msk = Msk::cut(&self.tunnel_key);
            return if self.config.require_binding { Err(Reason::CryptoBindingMismatch) } else { Ok(None) };
        };
        let keys = CompoundKeys::derive(&self.tunnel_key, self.mschapv2.key().unwrap_or_default());
        if !binding.is_genuine(&keys, Subtype::REQUEST) {
            return Err(Reason::CryptoBindingMismatch);
        }
        self.msk = keys.msk();
        Ok(Some(CryptoBinding::sign(&keys, Subtype::RESPONSE, &binding.nonce())))
    }
}

impl Inside for Peap {
    fn established(&mut self, exports: Exports, _: &mut Random<'_>) -> Option<Secret> {
        self.tunnel_key = exports.keys;
        None
    }

    fn hear(
        &mut self,
        words: &[u8],
        identifier: Identifier,
        random: &mut Random<'_>,
    ) -> Result<Secret, Reason> {
        let inner = Inner::parse(words, Code::REQUEST).ok_or(Reason::ProtocolError)?;
        let wanted = self.config.method.inner().unwrap_or(Type::MSCHAPV2);
        let (kind, data) = match inner.kind {
            Type::IDENTITY => (inner.kind, self.config.identity.as_bytes().to_vec()),
            Type::TLV => (inner.kind, self.result(inner.data)?),
            kind if kind != wanted => (Type::NAK, vec![wanted.0]),
            Type::GTC => {
                self.told = true;
                (inner.kind, self.config.password.as_bytes().to_vec())
            }
            _ => (inner.kind, self.mschapv2.answer(inner.data, random)?),
        };
        let data = Zeroizing::new(data);
        Ok(Inner { kind, data: &data }.encode(Code::RESPONSE, identifier).into())
    }

    fn msk(&self) -> Option<Msk> {
        if self.failed.is_some() { None } else { self.msk.clone() }
    }

    fn reason(&self) -> Reason {
        self.failed.or(self.mschapv2.refusal()).unwrap_or(Reason::Refused)
    }
}
