//! PEAPv0: inside the tunnel EAP again, ended by a result and a crypto-binding (MS-PEAP, draft-kamath-pppext-peapv0).
//!
//! Identity → look-up → a method that the account allows → result. Where a session is resumed: look-up → result. The
//! binding is always offered; a peer that answers it must answer it rightly, and then both sides take their session
//! key from it.

use std::sync::Arc;

use super::{
    Config,
    account::Account,
    inner::InnerEap,
    method::{Inside, Progress, read_identity},
};
use crate::{
    LoginMethod, Msk, Random, Reason,
    key::Secret,
    packet::{Code, Identifier, Type, begin, finish},
    peap::{CompoundKeys, CryptoBinding, Inner, Outcome, Subtype, Tlvs},
    tls::{Challenger, Login},
};

/// Phase 2 of one login.
pub(super) struct Peap {
    config: Arc<Config>,
    phase: Phase,
    identity: Option<String>,
    login: Option<LoginMethod>,
    tunnel_key: Secret,
    msk: Option<Msk>,
}

enum Phase {
    /// EAP-Request/Identity. Early: it is in the packet of our Finished.
    Identity { early: bool },
    /// The identity is told, or known from the session that is being resumed.
    Lookup { resumed: bool },
    /// Proposal or request of the inner method.
    Method(Box<InnerEap>),
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
            phase: Phase::Identity { early: false },
            identity: None,
            login: None,
            tunnel_key: Secret::default(),
            msk: None,
        }
    }

    fn inner(&mut self, inner: Inner<'_>) -> Result<Progress, Reason> {
        match (&mut self.phase, inner.kind) {
            (Phase::Identity { .. }, Type::IDENTITY) => {
                self.identity = Some(read_identity(inner.data)?);
                self.phase = Phase::Lookup { resumed: false };
                Ok(Progress::Lookup)
            }
            (Phase::Method(method), kind) => match method.process(kind, inner.data) {
                Progress::Done(login) => {
                    self.login = method.login();
                    let keys = CompoundKeys::derive(&self.tunnel_key, method.key());
                    self.phase = Phase::Result(Verdict { login, keys, nonce: [0; 32] });
                    match login {
                        // What is no protocol gets no result, as it would get no answer to anything else.
                        Err(Reason::ProtocolError | Reason::NoCommonMethod) => Ok(Progress::Done(login)),
                        _ => Ok(Progress::Continue),
                    }
                }
                progress => Ok(progress),
            },
            (Phase::Result(verdict), Type::TLV) => {
                let tlvs = Tlvs::parse(inner.data).ok_or(Reason::ProtocolError)?;
                let bound = verdict.agree(&tlvs)?;
                self.msk = if bound { verdict.keys.msk() } else { Msk::cut(&self.tunnel_key) };
                Ok(Progress::Done(Ok(())))
            }
            // A refusal is answered, however the peer takes it.
            (Phase::Result(Verdict { login: Err(reason), .. }), _) => Err(*reason),
            _ => Err(Reason::ProtocolError),
        }
    }
}

impl Verdict {
    fn request(&mut self, random: &mut Random<'_>, data: &mut Vec<u8>) {
        random(&mut self.nonce);
        // A refusal has a binding too: a peer that requires one would leave a result without it unanswered, and the
        // login would end by a timeout.
        let binding = Some(CryptoBinding::sign(&self.keys, Subtype::REQUEST, &self.nonce));
        let result = Some(if self.login.is_ok() { Outcome::SUCCESS } else { Outcome::FAILURE });
        Tlvs { result, binding, unknown_mandatory: false }.write(data);
    }

    /// The peer's answer: is the session key that of the binding, or the tunnel's?
    fn agree(&self, tlvs: &Tlvs) -> Result<bool, Reason> {
        self.login?;
        if tlvs.result != Some(Outcome::SUCCESS) || tlvs.unknown_mandatory {
            return Err(Reason::PeerRefused);
        }
        let Some(binding) = &tlvs.binding else { return Ok(false) };
        if !binding.is_genuine(&self.keys, Subtype::RESPONSE) || binding.nonce() != self.nonce {
            return Err(Reason::CryptoBindingMismatch);
        }
        Ok(true)
    }
}

impl Inside for Peap {
    const KIND: Type = Type::PEAP;
    const SPEAKS_FIRST: bool = true;

    fn established(&mut self, keys: Secret, early: bool) {
        self.tunnel_key = keys;
        self.phase = Phase::Identity { early };
    }

    fn resumed(&mut self, keys: Secret, login: &Login, _: bool) {
        self.tunnel_key = keys;
        self.identity = Some(login.identity.as_ref().to_owned());
        self.login = Some(login.method);
        self.phase = Phase::Lookup { resumed: true };
    }

    fn request(
        &mut self,
        identifier: Identifier,
        random: &mut Random<'_>,
        words: &mut Vec<u8>,
    ) -> Result<(), Reason> {
        match &mut self.phase {
            Phase::Identity { early: false } => words.push(Type::IDENTITY.0),
            // With a header: wpa_supplicant reads words that come with the handshake as a whole packet, and takes
            // this one with its header at any time.
            Phase::Identity { early: true } => {
                *words = finish(begin(Code::REQUEST, identifier, Type::IDENTITY, 0));
            }
            Phase::Method(method) => {
                words.push(method.kind().0);
                method.request(identifier, random, words);
            }
            Phase::Result(verdict) => {
                let mut packet = begin(Code::REQUEST, identifier, Type::TLV, Tlvs::LEN);
                verdict.request(random, &mut packet);
                *words = finish(packet);
            }
            Phase::Lookup { .. } => return Err(Reason::ProtocolError),
        }
        Ok(())
    }

    fn process(&mut self, words: &[u8], _: &Challenger<'_>) -> Progress {
        match (&mut self.phase, Inner::parse(words, Code::RESPONSE)) {
            (_, Some(inner)) => self.inner(inner).into(),
            // It has overheard what came early: once more, alone.
            (Phase::Identity { early: early @ true }, None) => {
                *early = false;
                Progress::Continue
            }
            (Phase::Result(Verdict { login: Err(reason), .. }), None) => Progress::Done(Err(*reason)),
            // In PEAPv0 every request inside has an answer inside.
            _ => Progress::Done(Err(Reason::ProtocolError)),
        }
    }

    fn provide(&mut self, account: Account) -> Progress {
        self.phase = match (&self.phase, self.login, &self.identity) {
            // MS-PEAP §3.1.5.5.2.2, fast reconnect: IPMK and CMK are the tunnel key itself.
            (Phase::Lookup { resumed: true }, Some(method), _) => {
                let keys = CompoundKeys::of_tunnel(&self.tunnel_key);
                Phase::Result(Verdict { login: account.admits(method), keys, nonce: [0; 32] })
            }
            (Phase::Lookup { resumed: false }, _, Some(identity)) => {
                let config = Arc::clone(&self.config);
                Phase::Method(Box::new(InnerEap::new(config, Type::PEAP, identity.clone(), account)))
            }
            _ => return Progress::Done(Err(Reason::ProtocolError)),
        };
        Progress::Continue
    }

    fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    fn login(&self) -> Option<LoginMethod> {
        self.login
    }

    fn msk(&self) -> Option<Msk> {
        self.msk.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Methods, server::Known, tests::server_config};

    /// A conversation whose tunnel stands; `words` of the peer so far, all of which went well.
    fn after(words: &[&[u8]]) -> Peap {
        let mut peap = Peap::new(&Arc::new(server_config()));
        peap.established(Secret::new(vec![0; 128]), false);
        for words in words {
            assert_eq!(hear(&mut peap, words), Progress::Continue);
        }
        peap
    }

    /// The progress after a look-up that finds an account.
    fn hear(peap: &mut Peap, words: &[u8]) -> Progress {
        match peap.process(words, &|_: &mut [u8]| Ok(())) {
            Progress::Lookup => peap.provide(known()),
            progress => progress,
        }
    }

    fn known() -> Account {
        Account::new(Some(Known { password: b"right", methods: Methods::ALL }))
    }

    fn words(peap: &mut Peap) -> Vec<u8> {
        let mut words = Vec::new();
        peap.request(Identifier(9), &mut |_: &mut [u8]| {}, &mut words).unwrap();
        words
    }

    const OK: &[u8] = &[2, 9, 0, 11, 33, 0x80, 3, 0, 2, 0, 1];

    #[test]
    fn asks_for_the_name_and_proposes_mschapv2() {
        let mut peap = after(&[]);
        assert_eq!(words(&mut peap), [1], "a type without a header");
        assert_eq!(peap.process(b"\x01me", &|_: &mut [u8]| Ok(())), Progress::Lookup);
        assert_eq!(peap.provide(known()), Progress::Continue);
        assert_eq!((words(&mut peap)[0], peap.identity()), (26, Some("me")));
    }

    #[test]
    fn an_early_question_has_a_header_and_may_be_overheard_once() {
        let mut peap = after(&[]);
        peap.established(Secret::new(vec![0; 128]), true);
        assert_eq!(words(&mut peap), [1, 9, 0, 5, 1]);
        assert_eq!(hear(&mut peap, &[]), Progress::Continue);
        assert_eq!(words(&mut peap), [1]);
        assert_eq!(hear(&mut peap, &[]), Progress::Done(Err(Reason::ProtocolError)));
    }

    #[test]
    fn the_peer_may_ask_for_gtc() {
        assert_eq!(words(&mut after(&[b"\x01me", &[3, 13, 6]]))[0], 6);
        for nak in [&[3, 13][..], &[3, 0], &[3]] {
            assert_eq!(hear(&mut after(&[b"\x01me"]), nak), Progress::Done(Err(Reason::NoCommonMethod)));
        }
    }

    #[test]
    fn nothing_comes_before_its_time() {
        for words in [&[][..], OK, &[26, 3], &[6, b'x'], &[3, 6]] {
            assert_eq!(hear(&mut after(&[]), words), Progress::Done(Err(Reason::ProtocolError)), "{words:?}");
        }
        for words in [&[][..], OK, b"\x01me", &[6, b'x']] {
            let progress = hear(&mut after(&[b"\x01me"]), words);
            assert_eq!(progress, Progress::Done(Err(Reason::ProtocolError)), "{words:?}");
        }
    }

    #[test]
    fn a_refusal_is_answered_whatever_the_peer_says() {
        for answer in [OK, &[2, 9, 0, 11, 33, 0x80, 3, 0, 2, 0, 2], &[2, 9, 0, 5, 33], &[], b"\x06wrong"] {
            let mut peap = after(&[b"\x01me", &[3, 6], b"\x06wrong"]);
            assert_eq!(words(&mut peap)[4..11], [33, 0x80, 3, 0, 2, 0, 2]);
            assert_eq!(hear(&mut peap, answer), Progress::Done(Err(Reason::WrongPassword)), "{answer:?}");
        }
    }

    #[test]
    fn a_resumed_session_is_looked_up_and_bound_to_the_tunnel() {
        let login = |method| Login {
            identity: "me".into(),
            method,
            expires: std::time::Duration::MAX,
            mark: crate::tls::Mark::of(b""),
        };
        let resume = |account| {
            let mut peap = Peap::new(&Arc::new(server_config()));
            peap.resumed(Secret::new(vec![7; 128]), &login(LoginMethod::PeapGtc), true);
            assert_eq!(peap.provide(account), Progress::Continue);
            assert_eq!(peap.identity(), Some("me"));
            let request = words(&mut peap);
            let tlvs = Tlvs::parse(&request[5..]).unwrap();
            let keys = CompoundKeys::of_tunnel(&[7; 128]);
            let binding = tlvs.binding.unwrap();
            assert!(binding.is_genuine(&keys, Subtype::REQUEST));
            let binding = Some(CryptoBinding::sign(&keys, Subtype::RESPONSE, &binding.nonce()));
            let mut answer = begin(Code::RESPONSE, Identifier(9), Type::TLV, 0);
            Tlvs { result: tlvs.result, binding, unknown_mandatory: false }.write(&mut answer);
            let progress = hear(&mut peap, &finish(answer));
            (progress, peap.msk() == keys.msk())
        };
        assert_eq!(resume(known()), (Progress::Done(Ok(())), true));
        assert_eq!(resume(Account::new(None)), (Progress::Done(Err(Reason::RejectedByDirectory)), false));
        let other = Known { password: b"", methods: Methods::from_iter([LoginMethod::PeapMschapv2]) };
        let refused = (Progress::Done(Err(Reason::MethodNotAllowed)), false);
        assert_eq!(resume(Account::new(Some(other))), refused);
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
        assert_eq!(verdict.agree(&answer(7, Subtype::RESPONSE)), Ok(true));
        for wrong in [answer(8, Subtype::RESPONSE), answer(7, Subtype::REQUEST)] {
            assert_eq!(verdict.agree(&wrong), Err(Reason::CryptoBindingMismatch));
        }
        let strange = Tlvs { unknown_mandatory: true, ..answer(7, Subtype::RESPONSE) };
        assert_eq!(verdict.agree(&strange), Err(Reason::PeerRefused));
    }
}
