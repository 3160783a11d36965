//! What a TTLS peer logs in with where that is no EAP: a password, or one of three proofs (RFC 5281 §11.2.2–§11.2.5).

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::account::Account;
use crate::{
    LoginMethod, Reason,
    key::{Secret, same_password},
    mschapv2::{CHALLENGE, Exchange, PasswordHash, Response, verify_chap, verify_mschap},
    tls::Challenger,
    ttls::{AvpCode, Avps},
};

/// A claim that is well formed, its challenge this tunnel's.
pub(super) enum Claim {
    Pap(Secret),
    Chap { ident: u8, challenge: [u8; 16], response: [u8; 16] },
    Mschap { challenge: [u8; 8], nt_response: [u8; 24] },
    Mschapv2 { ident: u8, challenge: [u8; CHALLENGE], response: Response },
}

impl Claim {
    /// Finds the claim among the attributes: exactly one.
    pub(super) fn read(avps: &Avps<'_>, challenger: &Challenger<'_>) -> Result<Self, Reason> {
        let kinds = [
            AvpCode::USER_PASSWORD,
            AvpCode::CHAP_PASSWORD,
            AvpCode::MS_CHAP_RESPONSE,
            AvpCode::MS_CHAP2_RESPONSE,
        ];
        let mut claims = kinds.into_iter().filter_map(|code| avps.find(code).map(|value| (code, value)));
        match (claims.next(), claims.next()) {
            (Some((code, value)), None) => {
                Self::parse(code, value, avps, challenger).ok_or(Reason::ProtocolError)
            }
            (None, _) => Err(Reason::NoCommonMethod),
            (Some(_), Some(_)) => Err(Reason::ProtocolError),
        }
    }

    fn parse(code: AvpCode, value: &[u8], avps: &Avps<'_>, challenger: &Challenger<'_>) -> Option<Self> {
        match code {
            AvpCode::USER_PASSWORD => {
                // RFC 5281 §11.2.5: padded with NUL to a multiple of 16, so that its length does not show.
                let end = value.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
                Some(Self::Pap(Zeroizing::new(value.get(..end)?.to_vec())))
            }
            AvpCode::CHAP_PASSWORD => {
                let (&ident, response) = value.split_first()?;
                let challenge = own(avps.find(AvpCode::CHAP_CHALLENGE)?, ident, challenger)?;
                Some(Self::Chap { ident, challenge, response: response.try_into().ok()? })
            }
            AvpCode::MS_CHAP_RESPONSE => {
                // RFC 2548 §2.1.3: identifier, flags, the LAN Manager's proof, which nobody should look at, and ours.
                let (&[ident, _], proofs) = value.split_first_chunk()?;
                let challenge = own(avps.find(AvpCode::MS_CHAP_CHALLENGE)?, ident, challenger)?;
                let (_, nt_response) = proofs.split_first_chunk::<24>()?;
                Some(Self::Mschap { challenge, nt_response: nt_response.try_into().ok()? })
            }
            _ => {
                // RFC 2548 §2.3.2: identifier and flags stand before the challenge.
                let (&[ident, _], fields) = value.split_first_chunk()?;
                let challenge = own(avps.find(AvpCode::MS_CHAP_CHALLENGE)?, ident, challenger)?;
                Some(Self::Mschapv2 { ident, challenge, response: Response::parse(fields)? })
            }
        }
    }

    pub(super) fn method(&self) -> LoginMethod {
        match self {
            Self::Pap(_) => LoginMethod::TtlsPap,
            Self::Chap { .. } => LoginMethod::TtlsChap,
            Self::Mschap { .. } => LoginMethod::TtlsMschap,
            Self::Mschapv2 { .. } => LoginMethod::TtlsMschapv2,
        }
    }

    /// Is it right? Gives the value of MS-CHAP2-Success where the server has to prove itself, too.
    pub(super) fn verify(&self, account: &Account, identity: &str) -> Result<Option<Vec<u8>>, Reason> {
        let known = account.password(self.method());
        // Who is unknown takes as long as who is wrong.
        let password = known.unwrap_or_default();
        let mut attribute = None;
        let right = match self {
            Self::Pap(claimed) => same_password(claimed, password),
            Self::Chap { ident, challenge, response } => verify_chap(*ident, password, challenge, response),
            Self::Mschap { challenge, nt_response } => verify_mschap(password, challenge, nt_response),
            Self::Mschapv2 { ident, challenge, response } => {
                let exchange =
                    Exchange { authenticator_challenge: challenge, peer_challenge: &response.peer_challenge };
                let proof = PasswordHash::of(password).and_then(|hash| {
                    exchange.verify(&hash, identity.as_bytes(), identity.as_bytes(), &response.nt_response)
                });
                attribute = proof.map(|proof| [&[*ident], &proof.authenticator_response()[..]].concat());
                attribute.is_some()
            }
        };
        known?;
        if right { Ok(attribute) } else { Err(Reason::WrongPassword) }
    }
}

/// RFC 5281 §11.1: challenge and identifier MUST be those of this tunnel, or the proof is somebody else's. As many
/// octets are asked of the exporter as the method has, because on TLS 1.3 the length goes into the derivation.
fn own<const N: usize>(claimed: &[u8], ident: u8, challenger: &Challenger<'_>) -> Option<[u8; N]> {
    let claimed: [u8; N] = claimed.try_into().ok()?;
    let mut implicit = [0; CHALLENGE + 1];
    let implicit = implicit.get_mut(..=N)?;
    challenger(implicit).ok()?;
    let (expected_ident, expected) = implicit.split_last()?;
    let same = expected.ct_eq(&claimed) & expected_ident.ct_eq(&ident);
    bool::from(same).then_some(claimed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Methods,
        mschapv2::{respond_chap, respond_mschap, respond_mschapv2},
        server::Known,
        tls::TlsError,
        ttls::encode,
    };

    /// Another challenge for each length, as on TLS 1.3.
    fn challenger(octets: &mut [u8]) -> Result<(), TlsError> {
        let length = u8::try_from(octets.len()).unwrap();
        octets.fill(length);
        Ok(())
    }

    fn read(avps: &[(AvpCode, &[u8])]) -> Result<Claim, Reason> {
        let words = encode(avps);
        Claim::read(&Avps::parse(&words).unwrap(), &challenger)
    }

    fn verify(claim: &Claim, password: &[u8]) -> Result<Option<Vec<u8>>, Reason> {
        let known = Known { password, methods: Methods::ALL };
        claim.verify(&Account::new(Some(known)), "LAB\\me")
    }

    #[test]
    fn three_proofs() {
        let chap = [&[17], &respond_chap(17, b"secret", &[17; 16])[..]].concat();
        let mschap = [&[9, 1], &[0; 24][..], &respond_mschap(b"secret", &[9; 8]).unwrap()].concat();
        let (proof, expected) = respond_mschapv2(b"secret", b"me", &[17; 16], &[3; 16]).unwrap();
        let response = Response { peer_challenge: [3; 16], nt_response: proof };
        let mschapv2 = [&[17, 0], &response.value()[..48]].concat();
        let challenges = [
            (AvpCode::CHAP_CHALLENGE, &[17; 16][..]),
            (AvpCode::MS_CHAP_CHALLENGE, &[9; 8]),
            (AvpCode::MS_CHAP_CHALLENGE, &[17; 16]),
        ];
        let proofs = [
            (AvpCode::CHAP_PASSWORD, &chap[..]),
            (AvpCode::MS_CHAP_RESPONSE, &mschap),
            (AvpCode::MS_CHAP2_RESPONSE, &mschapv2),
        ];
        for (proof, challenge) in proofs.into_iter().zip(challenges) {
            let claim = read(&[proof, challenge]).ok().unwrap();
            assert!(verify(&claim, b"secret").is_ok());
            assert_eq!(verify(&claim, b"Secret"), Err(Reason::WrongPassword));
            let unknown = claim.verify(&Account::new(None), "LAB\\me");
            assert_eq!(unknown, Err(Reason::RejectedByDirectory));
            let none = Known { password: b"secret", methods: Methods::NONE };
            let not_allowed = claim.verify(&Account::new(Some(none)), "LAB\\me");
            assert_eq!(not_allowed, Err(Reason::MethodNotAllowed));

            // The challenge must be this tunnel's, and of the right length; so must the identifier and the proof.
            assert!(read(&[proof]).is_err());
            let mut wrong = challenge.1.to_vec();
            wrong[0] ^= 1;
            assert!(read(&[proof, (challenge.0, &wrong)]).is_err());
            assert!(read(&[proof, (challenge.0, &challenge.1[1..])]).is_err());
            let mut wrong = proof.1.to_vec();
            wrong[0] ^= 1;
            assert!(read(&[(proof.0, &wrong), challenge]).is_err());
            for cut in 0..proof.1.len() - 1 {
                assert!(read(&[(proof.0, &proof.1[..cut]), challenge]).is_err());
            }
        }
        let claim = read(&[proofs[2], challenges[2]]).ok().unwrap();
        assert_eq!(verify(&claim, b"secret"), Ok(Some([&[17], &expected[..]].concat())));
    }

    #[test]
    fn one_claim_and_no_more() {
        assert_eq!(read(&[]).err(), Some(Reason::NoCommonMethod));
        let two = [(AvpCode::USER_PASSWORD, &b"x"[..]), (AvpCode::CHAP_PASSWORD, &[0; 17])];
        assert_eq!(read(&two).err(), Some(Reason::ProtocolError));
    }
}
