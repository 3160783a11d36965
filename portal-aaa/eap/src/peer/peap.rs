//! PEAPv0 as the peer speaks it: identity, inner method, result with crypto-binding.

use std::sync::Arc;

use super::{
    Config, Reason,
    eap::InnerEap,
    inside::{Established, Inside},
};
use crate::{
    Msk, Random,
    key::Secret,
    packet::{Code, Identifier, Type},
    peap::{CompoundKeys, CryptoBinding, Inner, Outcome, Subtype, Tlvs},
};

/// Phase 2 of one login.
pub(super) struct Peap {
    config: Arc<Config>,
    method: InnerEap,
    tunnel_key: Secret,
    resumed: bool,
    msk: Option<Msk>,
    failed: Option<Reason>,
}

impl Peap {
    pub(super) fn new(config: &Arc<Config>) -> Self {
        Self {
            config: Arc::clone(config),
            method: InnerEap::new(config),
            tunnel_key: Secret::default(),
            resumed: false,
            msk: None,
            failed: None,
        }
    }

    fn result(&mut self, data: &[u8]) -> Result<Secret, Reason> {
        let tlvs = Tlvs::parse(data).ok_or(Reason::ProtocolError)?;
        let answer = match self.judge(&tlvs) {
            Ok(binding) => Tlvs { result: Some(Outcome::SUCCESS), binding, ..Tlvs::default() },
            Err(reason) => {
                self.failed.get_or_insert(reason);
                Tlvs { result: Some(Outcome::FAILURE), ..Tlvs::default() }
            }
        };
        let mut octets = Vec::with_capacity(Tlvs::LEN);
        answer.write(&mut octets);
        Ok(octets.into())
    }

    /// Is it over, and well? Gives the answer to the binding.
    fn judge(&mut self, tlvs: &Tlvs) -> Result<Option<CryptoBinding>, Reason> {
        if tlvs.result != Some(Outcome::SUCCESS) {
            return Err(self.method.refusal().unwrap_or(Reason::Refused));
        }
        // MS-PEAP §3.1.5.5.2.2: where a session is resumed and no method has begun, the tunnel's keys are all.
        let resumed = self.resumed && !self.method.has_begun();
        if !resumed && !self.method.is_content() {
            return Err(Reason::ProtocolError);
        }
        let Some(binding) = &tlvs.binding else {
            self.msk = Msk::cut(&self.tunnel_key);
            return if self.config.require_binding { Err(Reason::CryptoBindingMismatch) } else { Ok(None) };
        };
        let keys = if resumed {
            CompoundKeys::of_tunnel(&self.tunnel_key)
        } else {
            CompoundKeys::derive(&self.tunnel_key, self.method.key())
        };
        if !binding.is_genuine(&keys, Subtype::REQUEST) {
            return Err(Reason::CryptoBindingMismatch);
        }
        self.msk = keys.msk();
        Ok(Some(CryptoBinding::sign(&keys, Subtype::RESPONSE, &binding.nonce())))
    }
}

impl Inside for Peap {
    fn established(&mut self, tunnel: Established<'_>, _: &mut Random<'_>) -> Option<Secret> {
        self.tunnel_key = tunnel.keys;
        self.resumed = tunnel.resumed;
        None
    }

    fn hear(
        &mut self,
        words: &[u8],
        identifier: Identifier,
        random: &mut Random<'_>,
    ) -> Result<Secret, Reason> {
        let inner = Inner::parse(words, Code::REQUEST).ok_or(Reason::ProtocolError)?;
        let (kind, data) = match inner.kind {
            Type::TLV => (inner.kind, self.result(inner.data)?),
            kind => self.method.answer(kind, inner.data, random)?,
        };
        Ok(Inner { kind, data: &data }.encode(Code::RESPONSE, identifier).into())
    }

    fn msk(&self) -> Option<Msk> {
        if self.failed.is_some() { None } else { self.msk.clone() }
    }

    fn reason(&self) -> Reason {
        self.failed.or(self.method.refusal()).unwrap_or(Reason::Refused)
    }
}
