//! TTLSv0: inside the tunnel attributes, the first ones from the peer (RFC 5281).
//!
//! PAP (§11.2.5) and MS-CHAP-V2 (§11.2.4). A login with PAP ends with EAP-Success alone: TLS 1.3 adds no protected
//! result to a full login (RFC 9427 §6.2).

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::method::{Inside, Method, Progress, read_identity};
use crate::{
    LoginMethod, Random, Reason,
    key::Secret,
    mschapv2::{CHALLENGE, Exchange, PasswordHash, Response},
    packet::{Identifier, Type},
    tls::Exports,
    ttls::{Avp, AvpCode, encode, parse},
};

/// Phase 2 of one login.
pub(super) struct Ttls {
    phase: Phase,
    identity: Option<String>,
    exports: Option<Exports>,
}

enum Phase {
    /// The peer has not said anything.
    Silent,
    /// It has sent its password.
    Pap(Secret),
    /// It has sent a proof.
    Mschapv2 { challenge: [u8; CHALLENGE], ident: u8, response: Response },
    /// The proof was right; ours is sent, and an empty packet is to come back.
    Proved { attribute: Vec<u8> },
}

impl Ttls {
    pub(super) fn new() -> Self {
        Self { phase: Phase::Silent, identity: None, exports: None }
    }

    fn attributes(&mut self, avps: &[Avp<'_>]) -> Result<Progress, Reason> {
        let find = |code| avps.iter().find(|avp| avp.code == code).map(|avp| avp.data);
        if find(AvpCode::EAP_MESSAGE).is_some() {
            return Err(Reason::NoCommonMethod);
        }
        // RFC 5281 §10.1: who does not support a mandatory attribute MUST fail the negotiation.
        if avps.iter().any(|avp| avp.mandatory && !is_known(avp.code)) {
            return Err(Reason::ProtocolError);
        }
        self.identity = Some(read_identity(find(AvpCode::USER_NAME).ok_or(Reason::ProtocolError)?)?);
        self.phase = match (find(AvpCode::USER_PASSWORD), find(AvpCode::MS_CHAP2_RESPONSE)) {
            (Some(password), None) => {
                // RFC 5281 §11.2.5: padded with NUL to a multiple of 16, so that its length does not show.
                let end = password.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
                Phase::Pap(Zeroizing::new(password.get(..end).unwrap_or_default().to_vec()))
            }
            (None, Some(response)) => {
                let challenge = find(AvpCode::MS_CHAP_CHALLENGE).ok_or(Reason::ProtocolError)?;
                self.mschapv2(challenge, response)?
            }
            (None, None) => return Err(Reason::NoCommonMethod),
            (Some(_), Some(_)) => return Err(Reason::ProtocolError),
        };
        Ok(Progress::Lookup)
    }

    fn mschapv2(&self, challenge: &[u8], value: &[u8]) -> Result<Phase, Reason> {
        let exports = self.exports.as_ref().ok_or(Reason::ProtocolError)?;
        // RFC 2548 §2.3.2: identifier and flags stand before the challenge.
        let (&[ident, _], fields) = value.split_first_chunk().ok_or(Reason::ProtocolError)?;
        let response = Response::parse(fields).ok_or(Reason::ProtocolError)?;
        let claimed: &[u8; CHALLENGE] = challenge.try_into().map_err(|_| Reason::ProtocolError)?;
        // RFC 5281 §11.2.4: challenge and identifier MUST be those of this tunnel, or the proof is somebody else's.
        let same = exports.challenge.ct_eq(&[&claimed[..], &[ident]].concat());
        if !bool::from(same) {
            return Err(Reason::ProtocolError);
        }
        Ok(Phase::Mschapv2 { challenge: *claimed, ident, response })
    }
}

impl Method for Ttls {
    fn kind(&self) -> Type {
        Type::TTLS
    }

    fn build_request(&mut self, _: Identifier, _: &mut Random<'_>) -> Result<Vec<u8>, Reason> {
        Ok(match &self.phase {
            Phase::Proved { attribute } => encode(&[(AvpCode::MS_CHAP2_SUCCESS, attribute)]),
            // An empty packet: on TLS 1.3, where the peer's Finished is the last one, it is the peer's turn again.
            Phase::Silent | Phase::Pap(_) | Phase::Mschapv2 { .. } => Vec::new(),
        })
    }

    fn process(&mut self, data: &[u8], _: &mut Random<'_>) -> Progress {
        match (&self.phase, data) {
            // Some peers acknowledge our Finished before they speak.
            (Phase::Silent, []) => Progress::Continue,
            (Phase::Silent, _) => {
                parse(data).ok_or(Reason::ProtocolError).and_then(|avps| self.attributes(&avps)).into()
            }
            (Phase::Proved { .. }, []) => Progress::Done(Ok(())),
            _ => Progress::Done(Err(Reason::ProtocolError)),
        }
    }

    fn provide(&mut self, password: Option<&[u8]>) -> Progress {
        let known = password.ok_or(Reason::RejectedByDirectory);
        match &self.phase {
            Phase::Pap(claimed) => Progress::Done(known.and_then(|password| {
                if claimed.ct_eq(password).into() { Ok(()) } else { Err(Reason::WrongPassword) }
            })),
            Phase::Mschapv2 { challenge, ident, response } => {
                let exchange = Exchange {
                    authenticator_challenge: challenge,
                    peer_challenge: &response.peer_challenge,
                    user: self.identity.as_deref().unwrap_or_default().as_bytes(),
                };
                let proof = known.and_then(|password| {
                    PasswordHash::of(password)
                        .filter(|hash| exchange.proves(hash, &response.nt_response))
                        .map(|hash| exchange.authenticator_response(&hash, &response.nt_response))
                        .ok_or(Reason::WrongPassword)
                });
                match proof {
                    Ok(proof) => {
                        self.phase = Phase::Proved { attribute: [&[*ident], &proof[..]].concat() };
                        Progress::Continue
                    }
                    // RFC 5281 §11.2.4: the server may say so inside, or end at once.
                    Err(reason) => Progress::Done(Err(reason)),
                }
            }
            Phase::Silent | Phase::Proved { .. } => Progress::Done(Err(Reason::ProtocolError)),
        }
    }

    fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    fn login(&self) -> Option<LoginMethod> {
        match self.phase {
            Phase::Silent => None,
            Phase::Pap(_) => Some(LoginMethod::TtlsPap),
            Phase::Mschapv2 { .. } | Phase::Proved { .. } => Some(LoginMethod::TtlsMschapv2),
        }
    }

    fn key(&self) -> Option<&[u8]> {
        self.exports.as_ref().map(|exports| &exports.keys[..])
    }
}

impl Inside for Ttls {
    fn established(&mut self, exports: Exports) {
        self.exports = Some(exports);
    }
}

fn is_known(code: AvpCode) -> bool {
    [AvpCode::USER_NAME, AvpCode::USER_PASSWORD, AvpCode::MS_CHAP_CHALLENGE, AvpCode::MS_CHAP2_RESPONSE]
        .contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Secret;

    const CHALLENGE_AND_IDENT: [u8; 17] = *b"0123456789abcdefI";

    /// What an established tunnel makes of the peer's first words.
    fn hear(words: &[u8]) -> (Progress, Ttls) {
        let mut ttls = Ttls::new();
        ttls.established(Exports { keys: Secret::new(vec![0; 128]), challenge: CHALLENGE_AND_IDENT });
        (ttls.process(words, &mut |_: &mut [u8]| {}), ttls)
    }

    fn refused(reason: Reason) -> Progress {
        Progress::Done(Err(reason))
    }

    const NAME: (AvpCode, &[u8]) = (AvpCode::USER_NAME, b"me");
    const PAP: (AvpCode, &[u8]) = (AvpCode::USER_PASSWORD, b"secret\0\0");

    #[test]
    fn the_padding_of_a_password_goes() {
        let (progress, mut ttls) = hear(&encode(&[NAME, PAP]));
        assert_eq!((progress, ttls.identity()), (Progress::Lookup, Some("me")));
        assert_eq!(ttls.provide(Some(b"secret")), Progress::Done(Ok(())));
        let (_, mut ttls) = hear(&encode(&[NAME, PAP]));
        assert_eq!(ttls.provide(Some(b"secre")), refused(Reason::WrongPassword));
    }

    #[test]
    fn the_challenge_must_be_this_tunnels() {
        let response = |ident| [&[ident, 0], &[0; 48][..]].concat();
        let words = |challenge: &[u8], ident| {
            let response = response(ident);
            encode(&[NAME, (AvpCode::MS_CHAP_CHALLENGE, challenge), (AvpCode::MS_CHAP2_RESPONSE, &response)])
        };
        assert_eq!(hear(&words(b"0123456789abcdef", b'I')).0, Progress::Lookup);
        for (challenge, ident) in
            [(&b"0123456789abcdeX"[..], b'I'), (b"0123456789abcdef", b'J'), (b"0", b'I')]
        {
            assert_eq!(hear(&words(challenge, ident)).0, refused(Reason::ProtocolError));
        }
        let response = response(b'I');
        let without = encode(&[NAME, (AvpCode::MS_CHAP2_RESPONSE, &response)]);
        assert_eq!(hear(&without).0, refused(Reason::ProtocolError));
    }

    #[test]
    fn attributes_that_do_not_make_a_login() {
        let unknown = (AvpCode { vendor: 0, code: 99 }, &b"x"[..]);
        let eap = (AvpCode::EAP_MESSAGE, &b"\x02\0\0\x05\x01"[..]);
        for (avps, reason) in [
            (&[PAP][..], Reason::ProtocolError),
            (&[NAME], Reason::NoCommonMethod),
            (&[NAME, eap], Reason::NoCommonMethod),
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
        assert_eq!(progress, Progress::Continue);
        assert_eq!(ttls.build_request(Identifier(1), &mut |_: &mut [u8]| {}), Ok(Vec::new()));
    }
}
