//! Logins without EAP: one Access-Request with a password or a proof of it, as WISPr gateways send them
//! (feature-spec E7; RFC 2865 §5.2–5.3, RFC 2548 §2.3).
//!
//! Called by [`super::engine`]. The password never leaves this file in clear.

use eap::mschapv2::{Mschapv2Success, verify_chap, verify_mschapv2};
use radius::{AttributeType as A, Builder, Packet, Vendor, microsoft, reveal_password};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{directory::Reject, method::Method};

/// RFC 2865 §5.40: without CHAP-Challenge the Request Authenticator is the challenge.
const CHAP_PASSWORD: usize = 17;
/// RFC 2548 §2.3.2: ident, flags, peer challenge, reserved, NT-Response.
const RESPONSE: usize = 50;

/// What the station claims to know, as the request carries it.
pub(super) enum Proof<'a> {
    Pap(Zeroizing<Vec<u8>>),
    Chap { ident: u8, challenge: &'a [u8], response: [u8; 16] },
    Mschapv2 { ident: u8, challenge: [u8; 16], peer_challenge: [u8; 16], nt_response: [u8; 24] },
}

/// What is said beside yes.
pub(super) enum Proved {
    Nothing,
    Mschapv2 { ident: u8, success: Mschapv2Success },
}

impl<'a> Proof<'a> {
    /// Reads it. `Err` where there is none, or none that is whole.
    pub(super) fn of(packet: &Packet<'a>, secret: &[u8]) -> Result<Self, Reject> {
        if let Some(hidden) = packet.get(A::USER_PASSWORD) {
            let password = reveal_password(hidden, secret, packet.authenticator());
            return password.map(Self::Pap).ok_or(Reject::NoCredentials);
        }
        if let Some(value) = packet.get(A::CHAP_PASSWORD) {
            let value: &[u8; CHAP_PASSWORD] = value.try_into().map_err(|_| Reject::NoCredentials)?;
            let [ident, response @ ..] = *value;
            let challenge = packet.get(A::CHAP_CHALLENGE);
            return Ok(match challenge {
                Some(challenge) => Self::Chap { ident, challenge, response },
                None => {
                    Self::Chap { ident, challenge: packet.octets().get(4..20).unwrap_or_default(), response }
                }
            });
        }
        Self::mschapv2(packet).ok_or(Reject::NoCredentials)
    }

    fn mschapv2(packet: &Packet<'a>) -> Option<Self> {
        let challenge = packet.vendor(Vendor::MICROSOFT, microsoft::CHAP_CHALLENGE)?.try_into().ok()?;
        let value: &[u8; RESPONSE] =
            packet.vendor(Vendor::MICROSOFT, microsoft::CHAP2_RESPONSE)?.try_into().ok()?;
        let (&[ident, _flags], rest) = value.split_first_chunk()?;
        let (&peer_challenge, rest) = rest.split_first_chunk()?;
        let (_reserved, rest) = rest.split_first_chunk::<8>()?;
        let nt_response = rest.try_into().ok()?;
        Some(Self::Mschapv2 { ident, challenge, peer_challenge, nt_response })
    }

    pub(super) fn method(&self) -> Method {
        match self {
            Self::Pap(_) => Method::Pap,
            Self::Chap { .. } => Method::Chap,
            Self::Mschapv2 { .. } => Method::Mschapv2,
        }
    }

    /// Does it fit the password? `user` is the name as the station wrote it.
    pub(super) fn verify(&self, user: &str, password: &[u8]) -> Option<Proved> {
        match self {
            Self::Pap(claimed) => bool::from(claimed.ct_eq(password)).then_some(Proved::Nothing),
            Self::Chap { ident, challenge, response } => {
                verify_chap(*ident, password, challenge, response).then_some(Proved::Nothing)
            }
            Self::Mschapv2 { ident, challenge, peer_challenge, nt_response } => {
                verify_mschapv2(password, user.as_bytes(), challenge, peer_challenge, nt_response)
                    .map(|success| Proved::Mschapv2 { ident: *ident, success })
            }
        }
    }

    /// What an Access-Reject owes the station (RFC 2548 §2.1.5: the error; RFC 2759 §6: 691, no retry).
    pub(super) fn refusal(&self, reject: Builder, challenge: [u8; 16]) -> Builder {
        match self {
            Self::Pap(_) | Self::Chap { .. } => reject,
            Self::Mschapv2 { ident, .. } => {
                let digits = data_encoding::HEXUPPER.encode(&challenge);
                let text = format!("E=691 R=0 C={digits} V=3 M=Authentication failed");
                let value = [&[*ident], text.as_bytes()].concat();
                reject.vendor(Vendor::MICROSOFT, microsoft::CHAP_ERROR, &value)
            }
        }
    }
}

impl Proved {
    /// What an Access-Accept says of it (RFC 2548 §2.3.3). Keys for PPP encryption are not sent: no WISPr gateway
    /// encrypts.
    pub(super) fn answer(&self, accept: Builder) -> Builder {
        match self {
            Self::Nothing => accept,
            Self::Mschapv2 { ident, success } => {
                let value = [&[*ident], &success.authenticator_response[..]].concat();
                accept.vendor(Vendor::MICROSOFT, microsoft::CHAP2_SUCCESS, &value)
            }
        }
    }
}
