//! EAP-TTLS phase 2: PAP and MS-CHAP-V2 (RFC 5281 §11.2.4, §11.2.5).

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::tunnel::{Inner, Phase2};
use crate::{
    Msk, Random, Reason, avp,
    mschapv2::{NtHash, authenticator_response, nt_response, without_domain},
    packet::Type,
    tls::Tls,
};

enum Proof {
    Pap(Zeroizing<Vec<u8>>),
    MsChapV2 { id: u8, peer_challenge: [u8; 16], nt_response: [u8; 24] },
}

pub(super) struct Ttls {
    identity: Option<String>,
    proof: Option<Proof>,
    /// MS-CHAP2-Success was sent; the peer's empty answer ends it.
    proved: bool,
}

impl Ttls {
    pub(super) fn new() -> Self {
        Self { identity: None, proof: None, proved: false }
    }

    fn success(tls: &Tls) -> Inner {
        match tls.key_material(b"ttls keying material", Type::TTLS) {
            Ok(octets) => octets.first_chunk::<64>().map_or(Inner::Failure(Reason::TlsError), |m| Inner::Success(Msk::new(*m))),
            Err(reason) => Inner::Failure(reason),
        }
    }

    fn parse(&mut self, tls: &Tls, plain: &[u8]) -> Result<String, Reason> {
        let avps = avp::parse(plain).ok_or(Reason::ProtocolError)?;
        let find = |vendor, code| avps.iter().find(|a| a.vendor == vendor && a.code == code).map(|a| a.data);
        let name = find(0, avp::USER_NAME).ok_or(Reason::ProtocolError)?;
        let name = std::str::from_utf8(name).map_err(|_| Reason::ProtocolError)?.to_owned();
        self.proof = if let Some(password) = find(0, avp::USER_PASSWORD) {
            // RFC 5281 §11.2.5: padded with NULs so that its length does not show.
            let end = password.iter().rposition(|octet| *octet != 0).map_or(0, |at| at + 1);
            Some(Proof::Pap(Zeroizing::new(password.get(..end).unwrap_or_default().to_vec())))
        } else {
            let challenge = find(avp::MICROSOFT, avp::MS_CHAP_CHALLENGE).ok_or(Reason::ProtocolError)?;
            let response = find(avp::MICROSOFT, avp::MS_CHAP2_RESPONSE).ok_or(Reason::ProtocolError)?;
            let expected = tls.ttls_challenge()?;
            let ([id, _flags], rest) = response.split_first_chunk::<2>().ok_or(Reason::ProtocolError)?;
            // RFC 5281 §11.2.4: the challenge is not ours to choose; it comes out of the tunnel.
            if challenge != expected.get(..16).unwrap_or_default() || Some(id) != expected.last() {
                return Err(Reason::ProtocolError);
            }
            let (peer, rest) = rest.split_first_chunk::<16>().ok_or(Reason::ProtocolError)?;
            let nt = rest.get(8..32).and_then(|nt| nt.try_into().ok()).ok_or(Reason::ProtocolError)?;
            Some(Proof::MsChapV2 { id: *id, peer_challenge: *peer, nt_response: nt })
        };
        self.identity = Some(name.clone());
        Ok(name)
    }
}

impl Phase2 for Ttls {
    fn begin(&mut self, _tls: &Tls, _random: &mut Random<'_>) -> Inner {
        Inner::Wait
    }

    fn receive(&mut self, tls: &Tls, plain: &[u8], _identifier: u8, _random: &mut Random<'_>) -> Inner {
        if self.proof.is_some() {
            return Inner::Failure(Reason::ProtocolError);
        }
        match self.parse(tls, plain) {
            Ok(identity) => Inner::Lookup(identity),
            Err(reason) => Inner::Failure(reason),
        }
    }

    fn acknowledged(&mut self, tls: &Tls) -> Inner {
        if self.proved { Self::success(tls) } else { Inner::Failure(Reason::ProtocolError) }
    }

    fn provide(&mut self, tls: &Tls, password: Option<&[u8]>, _random: &mut Random<'_>) -> Inner {
        let (Some(proof), Some(identity)) = (&self.proof, &self.identity) else {
            return Inner::Failure(Reason::ProtocolError);
        };
        let Some(password) = password else { return Inner::Failure(Reason::RejectedByDirectory) };
        match proof {
            Proof::Pap(given) if bool::from(given.ct_eq(password)) => Self::success(tls),
            Proof::Pap(_) => Inner::Failure(Reason::WrongPassword),
            Proof::MsChapV2 { id, peer_challenge, nt_response: given } => {
                let Ok(password) = std::str::from_utf8(password) else { return Inner::Failure(Reason::WrongPassword) };
                let Ok(challenge) = tls.ttls_challenge() else { return Inner::Failure(Reason::TlsError) };
                let Some(challenge) = challenge.first_chunk::<16>() else { return Inner::Failure(Reason::TlsError) };
                let hash = NtHash::of(password);
                let name = without_domain(identity);
                if !bool::from(nt_response(challenge, peer_challenge, name, &hash).ct_eq(given)) {
                    return Inner::Failure(Reason::WrongPassword);
                }
                let proof = authenticator_response(&hash, given, peer_challenge, challenge, name);
                let hex: String = proof.iter().map(|octet| format!("{octet:02X}")).collect();
                let data = [&[*id], b"S=" as &[u8], hex.as_bytes()].concat();
                self.proved = true;
                Inner::Send(avp::write(avp::MICROSOFT, avp::MS_CHAP2_SUCCESS, &data))
            }
        }
    }

    fn identity(&self) -> Option<String> {
        self.identity.clone()
    }
}
