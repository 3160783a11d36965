//! PEAPv0: inside the tunnel EAP again, ended by a result and a crypto-binding (MS-PEAP, draft-kamath-pppext-peapv0).
//!
//! Identity → MSCHAPv2, or GTC if the peer wants that → result. The binding is always offered; a peer that answers
//! it must answer it rightly, and then both sides take their session key from it.

use std::sync::Arc;

use super::{
    Config,
    gtc::Gtc,
    method::{Inside, Method, Progress, read_identity},
    mschapv2::Mschapv2,
};
use crate::{
    LoginMethod, Random, Reason,
    key::Secret,
    packet::{Code, Identifier, Type},
    peap::{CompoundKeys, CryptoBinding, Inner, Outcome, Subtype, Tlvs},
    tls::Exports,
};

/// Phase 2 of one login.
pub(super) struct Peap {
    config: Arc<Config>,
    phase: Phase,
    identity: Option<String>,
    tunnel_key: Secret,
    msk: Secret,
    login: Option<LoginMethod>,
}

enum Phase {
    /// EAP-Request/Identity.
    Identity,
    /// The first request of the inner method, which the peer may still refuse.
    Proposed(Box<dyn Method>),
    /// A later one.
    Method(Box<dyn Method>),
    /// Result TLV and crypto-binding.
    Result(Verdict),
}

/// What the server thinks, before the peer has agreed.
struct Verdict {
    login: Result<(), Reason>,
    keys: CompoundKeys,
    nonce: [u8; 32],
}

impl Peap {
    pub(super) fn new(config: &Arc<Config>) -> Self {
        Self {
            config: Arc::clone(config),
            phase: Phase::Identity,
            identity: None,
            tunnel_key: Secret::default(),
            msk: Secret::default(),
            login: None,
        }
    }

    fn inner(&mut self, inner: Inner<'_>, random: &mut Random<'_>) -> Result<Progress, Reason> {
        match (&mut self.phase, inner.kind) {
            (Phase::Identity, Type::IDENTITY) => {
                self.identity = Some(read_identity(inner.data)?);
                self.phase = Phase::Proposed(Box::new(Mschapv2::new(&self.config.name)));
                Ok(Progress::Continue)
            }
            (Phase::Proposed(method), Type::NAK)
                if method.kind() != Type::GTC && inner.data.contains(&Type::GTC.0) =>
            {
                self.phase = Phase::Proposed(Box::new(Gtc::default()));
                Ok(Progress::Continue)
            }
            (Phase::Proposed(_), Type::NAK) => Err(Reason::NoCommonMethod),
            (Phase::Proposed(method) | Phase::Method(method), kind) if kind == method.kind() => {
                let progress = method.process(inner.data, random);
                Ok(self.proceed(progress))
            }
            (Phase::Result(verdict), Type::TLV) => {
                let tlvs = Tlvs::parse(inner.data).ok_or(Reason::ProtocolError)?;
                let key = verdict.agree(&tlvs)?;
                self.msk = key.unwrap_or_else(|| self.tunnel_key.clone());
                Ok(Progress::Done(Ok(())))
            }
            _ => Err(Reason::ProtocolError),
        }
    }

    /// The inner method has gone a step.
    fn proceed(&mut self, progress: Progress) -> Progress {
        match (progress, std::mem::replace(&mut self.phase, Phase::Identity)) {
            (Progress::Done(login), Phase::Proposed(method) | Phase::Method(method)) => {
                let keys = CompoundKeys::derive(&self.tunnel_key, method.key().unwrap_or_default());
                let gtc = method.kind() == Type::GTC;
                self.login = Some(if gtc { LoginMethod::PeapGtc } else { LoginMethod::PeapMschapv2 });
                self.phase = Phase::Result(Verdict { login, keys, nonce: [0; 32] });
                Progress::Continue
            }
            (progress, Phase::Proposed(method)) => {
                self.phase = Phase::Method(method);
                progress
            }
            (progress, phase) => {
                self.phase = phase;
                progress
            }
        }
    }
}

impl Verdict {
    fn request(&mut self, random: &mut Random<'_>) -> Vec<u8> {
        random(&mut self.nonce);
        // A refusal has a binding too: a peer that requires one would leave a result without it unanswered, and the
        // login would end by a timeout.
        let binding = Some(CryptoBinding::sign(&self.keys, Subtype::REQUEST, &self.nonce));
        let result = Some(if self.login.is_ok() { Outcome::SUCCESS } else { Outcome::FAILURE });
        Tlvs { result, binding, unknown_mandatory: false }.encode()
    }

    /// The peer's answer: the session key, or none where it is the tunnel's.
    fn agree(&self, tlvs: &Tlvs) -> Result<Option<Secret>, Reason> {
        self.login?;
        if tlvs.result != Some(Outcome::SUCCESS) || tlvs.unknown_mandatory {
            return Err(Reason::PeerRefused);
        }
        let Some(binding) = &tlvs.binding else { return Ok(None) };
        if !binding.is_genuine(&self.keys, Subtype::RESPONSE) || binding.nonce() != self.nonce {
            return Err(Reason::CryptoBindingMismatch);
        }
        let msk = self.keys.msk().ok_or(Reason::TlsError)?;
        Ok(Some(msk.expose().to_vec().into()))
    }
}

impl Method for Peap {
    fn kind(&self) -> Type {
        Type::PEAP
    }

    fn build_request(&mut self, identifier: Identifier, random: &mut Random<'_>) -> Result<Vec<u8>, Reason> {
        let (kind, data) = match &mut self.phase {
            Phase::Identity => (Type::IDENTITY, Vec::new()),
            Phase::Proposed(method) | Phase::Method(method) => {
                (method.kind(), method.build_request(identifier, random)?)
            }
            Phase::Result(verdict) => (Type::TLV, verdict.request(random)),
        };
        Ok(Inner { kind, data: &data }.encode(Code::REQUEST, identifier))
    }

    fn process(&mut self, data: &[u8], random: &mut Random<'_>) -> Progress {
        match Inner::parse(data, Code::RESPONSE) {
            Some(inner) => self.inner(inner, random).into(),
            // Also an empty packet: in PEAPv0 every request inside has an answer inside.
            None => Progress::Done(Err(Reason::ProtocolError)),
        }
    }

    fn provide(&mut self, password: Option<&[u8]>) -> Progress {
        let progress = match &mut self.phase {
            Phase::Proposed(method) | Phase::Method(method) => method.provide(password),
            Phase::Identity | Phase::Result(_) => Progress::Done(Err(Reason::ProtocolError)),
        };
        self.proceed(progress)
    }

    fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    fn login(&self) -> Option<LoginMethod> {
        self.login
    }

    fn key(&self) -> Option<&[u8]> {
        Some(&self.msk)
    }
}

impl Inside for Peap {
    fn established(&mut self, exports: Exports) {
        self.tunnel_key = exports.keys;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::server_config;

    /// A conversation whose tunnel stands; `words` of the peer so far, all of which went well.
    fn after(words: &[&[u8]]) -> Peap {
        let mut peap = Peap::new(&Arc::new(server_config()));
        peap.established(Exports { keys: Secret::new(vec![0; 128]), challenge: [0; 17] });
        for words in words {
            assert_eq!(hear(&mut peap, words), Progress::Continue);
        }
        peap
    }

    fn hear(peap: &mut Peap, words: &[u8]) -> Progress {
        peap.process(words, &mut |_: &mut [u8]| {})
    }

    /// Type of the next request.
    fn request(peap: &mut Peap) -> u8 {
        peap.build_request(Identifier(9), &mut |_: &mut [u8]| {}).unwrap()[0]
    }

    #[test]
    fn asks_for_the_name_and_proposes_mschapv2() {
        let mut peap = after(&[]);
        assert_eq!(
            peap.build_request(Identifier(9), &mut |_: &mut [u8]| {}),
            Ok(vec![1]),
            "a type without a header"
        );
        assert_eq!(hear(&mut peap, b"\x01me"), Progress::Continue);
        assert_eq!((request(&mut peap), peap.identity()), (26, Some("me")));
    }

    #[test]
    fn the_peer_may_ask_for_gtc_and_for_nothing_else() {
        assert_eq!(request(&mut after(&[b"\x01me", &[3, 13, 6]])), 6);
        for nak in [&[3, 13][..], &[3, 0], &[3]] {
            assert_eq!(hear(&mut after(&[b"\x01me"]), nak), Progress::Done(Err(Reason::NoCommonMethod)));
        }
        let again = hear(&mut after(&[b"\x01me", &[3, 6]]), &[3, 6]);
        assert_eq!(again, Progress::Done(Err(Reason::NoCommonMethod)));
    }

    #[test]
    fn nothing_comes_before_its_time() {
        let result = &[2, 9, 0, 11, 33, 0x80, 3, 0, 2, 0, 1][..];
        for words in [&[][..], result, &[26, 3], &[6, b'x'], &[3, 6]] {
            assert_eq!(hear(&mut after(&[]), words), Progress::Done(Err(Reason::ProtocolError)), "{words:?}");
        }
        for words in [&[][..], result, b"\x01me", &[6, b'x']] {
            assert_eq!(
                hear(&mut after(&[b"\x01me"]), words),
                Progress::Done(Err(Reason::ProtocolError)),
                "{words:?}"
            );
        }
    }

    #[test]
    fn a_refusal_is_answered_whatever_the_peer_says() {
        for answer in [&[0x80, 3, 0, 2, 0, 1][..], &[0x80, 3, 0, 2, 0, 2], &[]] {
            let mut peap = after(&[b"\x01me", &[3, 6]]);
            assert_eq!(hear(&mut peap, b"\x06wrong"), Progress::Lookup);
            assert_eq!(peap.provide(Some(b"right")), Progress::Continue);
            let words = Inner { kind: Type::TLV, data: answer }.encode(Code::RESPONSE, Identifier(9));
            assert_eq!(hear(&mut peap, &words), Progress::Done(Err(Reason::WrongPassword)));
        }
    }

    #[test]
    fn an_answer_to_another_binding_is_none_to_this() {
        let keys = CompoundKeys::derive(&[1; 128], &[]);
        let answer = |nonce: u8, subtype| Tlvs {
            result: Some(Outcome::SUCCESS),
            binding: Some(CryptoBinding::sign(&keys, subtype, &[nonce; 32])),
            unknown_mandatory: false,
        };
        let keys = CompoundKeys::derive(&[1; 128], &[]);
        let verdict = Verdict { login: Ok(()), keys, nonce: [7; 32] };
        assert!(verdict.agree(&answer(7, Subtype::RESPONSE)).unwrap().is_some());
        for wrong in [answer(8, Subtype::RESPONSE), answer(7, Subtype::REQUEST)] {
            assert_eq!(verdict.agree(&wrong).err(), Some(Reason::CryptoBindingMismatch));
        }
        let strange = Tlvs { unknown_mandatory: true, ..answer(7, Subtype::RESPONSE) };
        assert_eq!(verdict.agree(&strange).err(), Some(Reason::PeerRefused));
    }
}
