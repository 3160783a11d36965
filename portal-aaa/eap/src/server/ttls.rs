//! TTLSv0: inside the tunnel attributes, the first ones from the peer (RFC 5281).
//!
//! The attributes are a name with a password or a proof of it (§11.2.2 to §11.2.5), or EAP (§11.2.1). A full login
//! ends with EAP-Success alone; on TLS 1.3 a resumed one has its success told inside first (RFC 9427 §6.2).

use std::sync::Arc;

use super::{
    Config,
    account::Account,
    claim::Claim,
    inner::InnerEap,
    method::{Inside, Progress, read_identity},
};
use crate::{
    LoginMethod, Msk, Random, Reason,
    key::Secret,
    packet::{Code, Identifier, Packet, Type, begin, finish},
    tls::{Challenger, Login},
    ttls::{AvpCode, Avps, write_avp},
};

/// RFC 9427 §6.2: the one octet that says inside a resumed tunnel of TLS 1.3 that this is the end of it.
const PROTECTED_SUCCESS: u8 = 0;

/// Phase 2 of one login.
pub(super) struct Ttls {
    config: Arc<Config>,
    phase: Phase,
    identity: Option<String>,
    login: Option<LoginMethod>,
    keys: Secret,
}

enum Phase {
    /// The peer has not said anything.
    Silent,
    /// It has sent its password, or a proof.
    Claimed(Claim),
    /// It has named itself in EAP.
    Named,
    /// EAP inside.
    Eap(Box<InnerEap>),
    /// The proof was right; ours is sent, and an empty packet is to come back.
    Proved { attribute: Vec<u8> },
    /// A session is being resumed.
    Resumed { protected: bool },
    /// The success is told inside.
    Told,
}

impl Ttls {
    pub(super) fn new(config: &Arc<Config>) -> Self {
        Self {
            config: Arc::clone(config),
            phase: Phase::Silent,
            identity: None,
            login: None,
            keys: Secret::default(),
        }
    }

    /// The peer's first words.
    fn first(&mut self, words: &[u8], challenger: &Challenger<'_>) -> Result<Progress, Reason> {
        let avps = Avps::parse(words).ok_or(Reason::ProtocolError)?;
        // RFC 5281 §10.1: who does not support a mandatory attribute MUST fail the negotiation.
        if avps.iter().any(|avp| avp.mandatory && !avp.code.is_known()) {
            return Err(Reason::ProtocolError);
        }
        if let Some(packet) = avps.eap() {
            let packet = Packet::parse(&packet).map_err(|_| Reason::ProtocolError)?;
            let (Code::RESPONSE, Some((Type::IDENTITY, name))) = (packet.code, packet.method()) else {
                return Err(Reason::ProtocolError);
            };
            self.identity = Some(read_identity(name)?);
            self.phase = Phase::Named;
            return Ok(Progress::Lookup);
        }
        self.identity = Some(read_identity(avps.find(AvpCode::USER_NAME).ok_or(Reason::ProtocolError)?)?);
        let claim = Claim::read(&avps, challenger)?;
        self.login = Some(claim.method());
        self.phase = Phase::Claimed(claim);
        Ok(Progress::Lookup)
    }

    fn eap(method: &mut InnerEap, words: &[u8]) -> Result<Progress, Reason> {
        let avps = Avps::parse(words).ok_or(Reason::ProtocolError)?;
        let packet = avps.eap().ok_or(Reason::ProtocolError)?;
        let packet = Packet::parse(&packet).map_err(|_| Reason::ProtocolError)?;
        match (packet.code, packet.method()) {
            (Code::RESPONSE, Some((kind, data))) => Ok(method.process(kind, data)),
            _ => Err(Reason::ProtocolError),
        }
    }
}

impl Inside for Ttls {
    const KIND: Type = Type::TTLS;
    const SPEAKS_FIRST: bool = false;

    fn established(&mut self, keys: Secret, _: bool) {
        self.keys = keys;
    }

    fn resumed(&mut self, keys: Secret, login: &Login, protected: bool) {
        self.keys = keys;
        self.identity = Some(login.identity.as_ref().to_owned());
        self.login = Some(login.method);
        self.phase = Phase::Resumed { protected };
    }

    fn request(
        &mut self,
        identifier: Identifier,
        random: &mut Random<'_>,
        words: &mut Vec<u8>,
    ) -> Result<(), Reason> {
        match &mut self.phase {
            Phase::Proved { attribute } => write_avp(words, AvpCode::MS_CHAP2_SUCCESS, attribute),
            Phase::Eap(method) => {
                let mut packet = begin(Code::REQUEST, identifier, method.kind(), 96);
                method.request(identifier, random, &mut packet);
                write_avp(words, AvpCode::EAP_MESSAGE, &finish(packet));
            }
            Phase::Told => words.push(PROTECTED_SUCCESS),
            // Nothing: on TLS 1.3, where the peer's Finished is the last one, it is the peer's turn again.
            Phase::Silent | Phase::Claimed(_) | Phase::Named | Phase::Resumed { .. } => {}
        }
        Ok(())
    }

    fn process(&mut self, words: &[u8], challenger: &Challenger<'_>) -> Progress {
        match (&mut self.phase, words) {
            // Some peers acknowledge our Finished before they speak.
            (Phase::Silent, []) => Progress::Continue,
            (Phase::Silent, words) => self.first(words, challenger).into(),
            (Phase::Eap(method), words) => {
                let progress = Self::eap(method, words).into();
                self.login = method.login();
                progress
            }
            (Phase::Proved { .. } | Phase::Told, []) => Progress::Done(Ok(())),
            _ => Progress::Done(Err(Reason::ProtocolError)),
        }
    }

    fn provide(&mut self, account: Account) -> Progress {
        match (std::mem::replace(&mut self.phase, Phase::Silent), self.login, &self.identity) {
            (Phase::Claimed(claim), _, Some(identity)) => match claim.verify(&account, identity) {
                Ok(None) => Progress::Done(Ok(())),
                Ok(Some(attribute)) => {
                    self.phase = Phase::Proved { attribute };
                    Progress::Continue
                }
                // RFC 5281 §11.2.4: the server may say so inside, or end at once.
                Err(reason) => Progress::Done(Err(reason)),
            },
            (Phase::Named, _, Some(identity)) => {
                let config = Arc::clone(&self.config);
                let method = InnerEap::new(config, Type::TTLS, identity.clone(), account);
                self.phase = Phase::Eap(Box::new(method));
                Progress::Continue
            }
            (Phase::Resumed { protected }, Some(method), _) => match account.admits(method) {
                Ok(()) if protected => {
                    self.phase = Phase::Told;
                    Progress::Continue
                }
                end => Progress::Done(end),
            },
            _ => Progress::Done(Err(Reason::ProtocolError)),
        }
    }

    fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    fn login(&self) -> Option<LoginMethod> {
        self.login
    }

    fn msk(&self) -> Option<Msk> {
        Msk::cut(&self.keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Methods, server::Known, tests::server_config, tls::TlsError, ttls::encode};

    const CHALLENGE_AND_IDENT: [u8; 17] = *b"0123456789abcdefI";

    /// What an established tunnel makes of the peer's first words.
    fn hear(words: &[u8]) -> (Progress, Ttls) {
        let mut ttls = Ttls::new(&Arc::new(server_config()));
        ttls.established(Secret::new(vec![0; 128]), false);
        (ttls.process(words, &challenger), ttls)
    }

    fn challenger(octets: &mut [u8]) -> Result<(), TlsError> {
        octets.copy_from_slice(&CHALLENGE_AND_IDENT[..octets.len()]);
        Ok(())
    }

    fn refused(reason: Reason) -> Progress {
        Progress::Done(Err(reason))
    }

    fn known(password: &'static [u8]) -> Account {
        Account::new(Some(Known { password, methods: Methods::ALL }))
    }

    const NAME: (AvpCode, &[u8]) = (AvpCode::USER_NAME, b"me");
    const PAP: (AvpCode, &[u8]) = (AvpCode::USER_PASSWORD, b"secret\0\0");

    #[test]
    fn the_padding_of_a_password_goes() {
        let (progress, mut ttls) = hear(&encode(&[NAME, PAP]));
        assert_eq!((progress, ttls.identity()), (Progress::Lookup, Some("me")));
        assert_eq!(ttls.provide(known(b"secret")), Progress::Done(Ok(())));
        assert_eq!(ttls.login(), Some(LoginMethod::TtlsPap));
        let (_, mut ttls) = hear(&encode(&[NAME, PAP]));
        assert_eq!(ttls.provide(known(b"secre")), refused(Reason::WrongPassword));
        let (_, mut ttls) = hear(&encode(&[NAME, PAP]));
        let methods = Methods::from_iter([LoginMethod::TtlsChap]);
        let account = Account::new(Some(Known { password: b"secret", methods }));
        assert_eq!(ttls.provide(account), refused(Reason::MethodNotAllowed));
    }

    #[test]
    fn attributes_that_do_not_make_a_login() {
        let unknown = (AvpCode { vendor: 0, code: 99 }, &b"x"[..]);
        let eap = (AvpCode::EAP_MESSAGE, &b"\x02\0\0\x05\x01"[..]);
        let request = (AvpCode::EAP_MESSAGE, &b"\x01\0\0\x06\x01m"[..]);
        for (avps, reason) in [
            (&[PAP][..], Reason::ProtocolError),
            (&[NAME], Reason::NoCommonMethod),
            (&[NAME, eap], Reason::ProtocolError),
            (&[request], Reason::ProtocolError),
            (&[NAME, PAP, unknown], Reason::ProtocolError),
            (&[NAME, PAP, (AvpCode::MS_CHAP2_RESPONSE, &[0; 50])], Reason::ProtocolError),
        ] {
            assert_eq!(hear(&encode(avps)).0, refused(reason), "{avps:?}");
        }
        assert_eq!(hear(&[0]).0, refused(Reason::ProtocolError));
    }

    #[test]
    fn strangers_that_are_not_mandatory_do_no_harm() {
        let mut words = encode(&[NAME, PAP, (AvpCode { vendor: 0, code: 99 }, b"x")]);
        let flags = words.len() - 8;
        words[flags] = 0;
        assert_eq!(hear(&words).0, Progress::Lookup);
    }

    #[test]
    fn who_says_nothing_is_asked_again() {
        let (progress, mut ttls) = hear(&[]);
        let mut words = Vec::new();
        ttls.request(Identifier(1), &mut |_: &mut [u8]| {}, &mut words).unwrap();
        assert_eq!((progress, words), (Progress::Continue, Vec::new()));
    }

    #[test]
    fn eap_may_come_in_pieces() {
        let pieces = [(AvpCode::EAP_MESSAGE, &b"\x02\0\0\x07"[..]), (AvpCode::EAP_MESSAGE, b"\x01me")];
        let (progress, mut ttls) = hear(&encode(&pieces));
        assert_eq!((progress, ttls.identity()), (Progress::Lookup, Some("me")));
        assert_eq!(ttls.provide(known(b"secret")), Progress::Continue);
        let mut words = Vec::new();
        ttls.request(Identifier(9), &mut |_: &mut [u8]| {}, &mut words).unwrap();
        let avps = Avps::parse(&words).unwrap();
        assert_eq!(avps.eap().unwrap()[..5], [1, 9, 0, 29, 26]);
        let gtc = |data: &[u8]| encode(&[(AvpCode::EAP_MESSAGE, data)]);
        assert_eq!(ttls.process(&gtc(b"\x02\x09\0\x06\x03\x06"), &challenger), Progress::Continue);
        let end = ttls.process(&gtc(b"\x02\x0A\0\x0B\x06secret"), &challenger);
        assert_eq!((end, ttls.login()), (Progress::Done(Ok(())), Some(LoginMethod::TtlsEapGtc)));
    }

    #[test]
    fn a_resumed_session_ends_with_or_without_a_word() {
        let login = Login {
            identity: "me".into(),
            method: LoginMethod::TtlsChap,
            expires: std::time::Duration::MAX,
            mark: crate::tls::Mark::of(b""),
        };
        for protected in [false, true] {
            let mut ttls = Ttls::new(&Arc::new(server_config()));
            ttls.resumed(Secret::new(vec![0; 128]), &login, protected);
            let mut words = Vec::new();
            if protected {
                assert_eq!(ttls.provide(known(b"")), Progress::Continue);
                ttls.request(Identifier(1), &mut |_: &mut [u8]| {}, &mut words).unwrap();
                assert_eq!((words, ttls.process(&[], &challenger)), (vec![0], Progress::Done(Ok(()))));
            } else {
                assert_eq!(ttls.provide(known(b"")), Progress::Done(Ok(())));
            }
            ttls.resumed(Secret::new(vec![0; 128]), &login, protected);
            assert_eq!(ttls.provide(Account::new(None)), refused(Reason::RejectedByDirectory));
        }
    }
}
