//! TTLSv0 as the peer speaks it: attributes with the password or a proof of it, or with EAP.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{
    Config, Method, Reason,
    eap::InnerEap,
    inside::{Established, Inside},
    mschapv2::Mschapv2,
};
use crate::{
    Msk, Random,
    key::Secret,
    mschapv2::{CHALLENGE, respond_chap, respond_mschap},
    packet::{Code, Identifier, Packet, Type, response},
    tls::Challenger,
    ttls::{AvpCode, Avps, encode},
};

/// RFC 5281 §11.2.5: the password is padded to a multiple of this.
const PASSWORD_BLOCK: usize = 16;
/// RFC 9427 §6.2.
const PROTECTED_SUCCESS: &[u8] = &[0];

/// Phase 2 of one login.
pub(super) struct Ttls {
    config: Arc<Config>,
    mschapv2: Mschapv2,
    eap: InnerEap,
    ident: u8,
    keys: Secret,
    established: bool,
    resumed: bool,
    /// An EAP-Success is due.
    done: bool,
}

impl Ttls {
    pub(super) fn new(config: &Arc<Config>) -> Self {
        Self {
            config: Arc::clone(config),
            mschapv2: Mschapv2::new(config),
            eap: InnerEap::new(config),
            ident: 0,
            keys: Secret::default(),
            established: false,
            resumed: false,
            done: false,
        }
    }

    fn first_words(&mut self, challenger: &Challenger<'_>, random: &mut Random<'_>) -> Option<Secret> {
        match self.config.method {
            Method::TtlsChap => self.chap(challenger),
            Method::TtlsMschap => self.mschap(challenger),
            Method::TtlsMschapv2 => self.mschapv2(challenger, random),
            Method::TtlsEapMschapv2 | Method::TtlsEapGtc => {
                let name = response(Identifier(0), Type::IDENTITY, self.config.identity.as_bytes());
                Some(encode(&[(AvpCode::EAP_MESSAGE, &name)]).into())
            }
            Method::TtlsPap | Method::PeapMschapv2 | Method::PeapGtc => Some(self.pap()),
        }
    }

    fn named(&self, avps: &[(AvpCode, &[u8])]) -> Secret {
        let name = [(AvpCode::USER_NAME, self.config.identity.as_bytes())];
        encode(&[&name[..], avps].concat()).into()
    }

    fn pap(&mut self) -> Secret {
        let mut password = Zeroizing::new(self.config.password.as_bytes().to_vec());
        let padded = password.len().next_multiple_of(PASSWORD_BLOCK);
        password.resize(padded, 0);
        self.done = true;
        self.named(&[(AvpCode::USER_PASSWORD, &password)])
    }

    fn chap(&mut self, challenger: &Challenger<'_>) -> Option<Secret> {
        let (challenge, ident) = implicit::<16>(challenger)?;
        let proof = respond_chap(ident, self.config.password.as_bytes(), &challenge);
        self.done = true;
        let value = [&[ident], &proof[..]].concat();
        Some(self.named(&[(AvpCode::CHAP_CHALLENGE, &challenge), (AvpCode::CHAP_PASSWORD, &value)]))
    }

    fn mschap(&mut self, challenger: &Challenger<'_>) -> Option<Secret> {
        let (challenge, ident) = implicit::<8>(challenger)?;
        let proof = respond_mschap(self.config.password.as_bytes(), &challenge)?;
        self.done = true;
        // RFC 2548 §2.1.3: flags 1, the second of the two proofs counts.
        let value = [&[ident, 1], &[0; 24][..], &proof].concat();
        Some(self.named(&[(AvpCode::MS_CHAP_CHALLENGE, &challenge), (AvpCode::MS_CHAP_RESPONSE, &value)]))
    }

    fn mschapv2(&mut self, challenger: &Challenger<'_>, random: &mut Random<'_>) -> Option<Secret> {
        let (challenge, ident) = implicit::<CHALLENGE>(challenger)?;
        self.ident = ident;
        let response = self.mschapv2.respond(&challenge, random).ok()?;
        // RFC 2548 §2.3.2: identifier, flags, then the fields without flags of their own.
        let value = response.value();
        let (fields, _) = value.split_last_chunk::<1>()?;
        let value = [&[ident, 0], fields].concat();
        Some(self.named(&[(AvpCode::MS_CHAP_CHALLENGE, &challenge), (AvpCode::MS_CHAP2_RESPONSE, &value)]))
    }

    fn hear_eap(&mut self, packet: &[u8], random: &mut Random<'_>) -> Result<Secret, Reason> {
        let packet = Packet::parse(packet).map_err(|_| Reason::ProtocolError)?;
        let (Code::REQUEST, Some((kind, data))) = (packet.code, packet.method()) else {
            return Err(Reason::ProtocolError);
        };
        let (kind, data) = self.eap.answer(kind, data, random)?;
        self.done = self.eap.is_content();
        let answer = Zeroizing::new(response(packet.identifier, kind, &data));
        Ok(encode(&[(AvpCode::EAP_MESSAGE, &answer)]).into())
    }
}

/// The challenge that the tunnel itself gives, and its identifier.
fn implicit<const N: usize>(challenger: &Challenger<'_>) -> Option<([u8; N], u8)> {
    let mut octets = [0; CHALLENGE + 1];
    let octets = octets.get_mut(..=N)?;
    challenger(octets).ok()?;
    let (ident, challenge) = octets.split_last()?;
    Some((challenge.first_chunk().copied()?, *ident))
}

impl Inside for Ttls {
    fn established(&mut self, tunnel: Established<'_>, random: &mut Random<'_>) -> Option<Secret> {
        self.keys = tunnel.keys;
        self.established = true;
        self.resumed = tunnel.resumed;
        if tunnel.resumed {
            // RFC 5281 §7.5: no phase 2. On TLS 1.3 the server says inside that this is all.
            self.done = !tunnel.tls13;
            return None;
        }
        self.first_words(tunnel.challenger, random)
    }

    fn hear(&mut self, words: &[u8], _: Identifier, random: &mut Random<'_>) -> Result<Secret, Reason> {
        if self.resumed && words == PROTECTED_SUCCESS {
            self.done = true;
            return Ok(Secret::default());
        }
        let avps = Avps::parse(words).ok_or(Reason::ProtocolError)?;
        if let Some(packet) = avps.eap() {
            return self.hear_eap(&packet, random);
        }
        let success = avps.find(AvpCode::MS_CHAP2_SUCCESS).and_then(<[u8]>::split_first);
        let (ident, text) = success.ok_or(Reason::ProtocolError)?;
        if *ident != self.ident {
            return Err(Reason::ProtocolError);
        }
        self.mschapv2.check(text)?;
        self.done = true;
        // RFC 5281 §11.2.4: the server's proof is answered with an empty packet.
        Ok(Secret::default())
    }

    fn msk(&self) -> Option<Msk> {
        Msk::cut(&self.keys).filter(|_| self.done)
    }

    fn reason(&self) -> Reason {
        // Inside there is nothing but the password that the server could refuse.
        let wrong = self.established && !self.resumed;
        self.eap.refusal().unwrap_or(if wrong { Reason::WrongPassword } else { Reason::Refused })
    }
}
