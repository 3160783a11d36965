//! What the portal answers, in few octets: a credential takes five parts or six, most of them its certificate
//! authority; one part or two where the device has said that it holds that already.
//!
//! | octets | what |
//! |---|---|
//! | 1 | 1 credential, 2 refusal |
//! | 4 | when it was made, seconds since 1970 |
//!
//! Refusal: number of the reason, seconds to wait plus one (0: none given).
//!
//! Credential: flags (1 one-time, 2 ends, 4 authority is the one held, 8 address issued, 16 unbound, 32 policy signed),
//! methods,
//! issued-at, seconds to the end, issued address; then text: realm, username, password, anonymous identity, server
//! name, each without the realm where it ends with it; then the [`super::policy`] as a block, or what was signed and its
//! signature as two, and the authorities.
//! What follows is passed over, so that version 1 may grow.

use std::time::Duration;

use data_encoding::BASE64;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{
    SmsError, policy,
    wire::{Reader, Writer},
};
use crate::{
    identity::Mac,
    json,
    message::{Credential, EapSettings, InnerMethod, MacMode, OuterMethod, Reason, Refusal},
    secret::Password,
    signed::SignedPolicy,
    xml,
};

const CREDENTIAL: u8 = 1;
const REFUSAL: u8 = 2;

const ONE_TIME: u8 = 1;
const ENDS: u8 = 2;
const AUTHORITY_HELD: u8 = 4;
const ISSUED: u8 = 8;
const UNBOUND: u8 = 16;
const SIGNED: u8 = 32;

/// Most authorities of one credential.
const MAX_AUTHORITIES: u64 = 8;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

const REASONS: [Reason; 7] = [
    Reason::BadRequest,
    Reason::IdentityMismatch,
    Reason::NoSession,
    Reason::GatewayFeedSilent,
    Reason::NotEntitled,
    Reason::RateLimited,
    Reason::TemporarilyUnavailable,
];
const OUTER: [OuterMethod; 2] = [OuterMethod::Peap, OuterMethod::Ttls];
const INNER: [InnerMethod; 3] = [InnerMethod::Mschapv2, InnerMethod::Pap, InnerMethod::Gtc];

/// What goes back to the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A credential.
    Granted {
        /// When it was sent, seconds since 1970.
        made_at: u32,
        /// Its `ca_pem` is empty where the device holds that authority already.
        credential: Box<Credential>,
    },
    /// None.
    Refused {
        /// When it was sent, seconds since 1970: a device whose clock is wrong learns it by this.
        made_at: u32,
        /// Why.
        refusal: Refusal,
    },
}

impl Reply {
    /// What names a set of authorities, PEM: the first octets of a SHA-256. It saves octets and proves nothing; the
    /// device puts in what it holds itself.
    pub fn authority(ca_pem: &str) -> Option<[u8; 8]> {
        let mut digest = Sha256::new();
        for authority in certificates(ca_pem).ok()? {
            digest.update(&authority);
        }
        digest.finalize().first_chunk().copied()
    }

    pub(super) fn write(&self) -> Result<Zeroizing<Vec<u8>>, SmsError> {
        let mut writer = Writer::new();
        match self {
            Self::Granted { made_at, credential } => {
                writer.octet(CREDENTIAL);
                writer.octets(&made_at.to_be_bytes());
                write_credential(&mut writer, credential)?;
            }
            Self::Refused { made_at, refusal } => {
                writer.octet(REFUSAL);
                writer.octets(&made_at.to_be_bytes());
                writer.octet(number(&REASONS, &refusal.reason, "reason")?);
                let seconds = |wait: Duration| (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1);
                writer.number(refusal.retry_after.map_or(0, |wait| seconds(wait).saturating_add(1)));
            }
        }
        Ok(writer.done())
    }

    pub(super) fn read(octets: &[u8]) -> Result<Self, SmsError> {
        let mut reader = Reader::new(octets);
        let kind = reader.octet("kind")?;
        let made_at = u32::from_be_bytes(reader.array("made-at")?);
        match kind {
            CREDENTIAL => Ok(Self::Granted { made_at, credential: Box::new(read_credential(&mut reader)?) }),
            REFUSAL => {
                let reason = reader.octet("reason")?;
                // A newer portal's reason is at least a refusal that may pass.
                let reason =
                    REASONS.get(usize::from(reason)).copied().unwrap_or(Reason::TemporarilyUnavailable);
                let retry_after = reader.number("retry-after")?.checked_sub(1).map(Duration::from_secs);
                Ok(Self::Refused { made_at, refusal: Refusal { reason, retry_after, flaw: None } })
            }
            _ => Err(SmsError::Value("kind")),
        }
    }
}

fn write_credential(writer: &mut Writer, credential: &Credential) -> Result<(), SmsError> {
    let Credential {
        username,
        password,
        eap,
        mac_mode,
        issued_at,
        expires_at,
        one_time,
        policy,
        signed_policy,
    } = credential;
    let EapSettings { outer, inner, anonymous_identity, server_name, ca_pem } = eap;
    let flag = |there: bool, flag: u8| if there { flag } else { 0 };
    let mode = match mac_mode {
        MacMode::Permanent => 0,
        MacMode::Issued(_) => ISSUED,
        MacMode::Unbound => UNBOUND,
    };
    let held = ca_pem.is_empty();
    let signed = signed_policy.as_ref().map(|signed| signed.octets().ok_or(SmsError::Value("signed-policy")));
    let signed = signed.transpose()?;
    writer.octet(
        flag(*one_time, ONE_TIME)
            | flag(expires_at.is_some(), ENDS)
            | flag(held, AUTHORITY_HELD)
            | flag(signed.is_some(), SIGNED)
            | mode,
    );
    writer.octet(number(&OUTER, outer, "outer")? << 4 | number(&INNER, inner, "inner")?);
    writer.number(*issued_at);
    if let Some(expires_at) = expires_at {
        writer.number(expires_at.checked_sub(*issued_at).ok_or(SmsError::Value("expires"))?);
    }
    if let MacMode::Issued(mac) = mac_mode {
        writer.octets(&mac.0);
    }
    let realm = username.rsplit_once('@').map_or("", |(_, realm)| realm);
    writer.block(realm.as_bytes());
    for text in [username, password.expose(), anonymous_identity, server_name] {
        writer.text(text, realm);
    }
    match &signed {
        Some((payload, signature)) => {
            writer.block(payload);
            writer.block(signature);
        }
        None => writer.block(&policy::write(policy, realm)),
    }
    if !held {
        let authorities = certificates(ca_pem)?;
        writer.number(authorities.len() as u64);
        for authority in &authorities {
            writer.block(authority);
        }
    }
    Ok(())
}

fn read_credential(reader: &mut Reader<'_>) -> Result<Credential, SmsError> {
    let flags = reader.octet("flags")?;
    let methods = reader.octet("methods")?;
    let issued_at = reader.number("issued")?;
    let mut expires_at = None;
    if flags & ENDS != 0 {
        expires_at =
            Some(issued_at.checked_add(reader.number("expires")?).ok_or(SmsError::Value("expires"))?);
    }
    let mac_mode = match flags & (ISSUED | UNBOUND) {
        0 => MacMode::Permanent,
        ISSUED => MacMode::Issued(Mac(reader.array("mac")?)),
        UNBOUND => MacMode::Unbound,
        _ => return Err(SmsError::Value("mac")),
    };
    let realm = std::str::from_utf8(reader.block("realm")?).map_err(|_| SmsError::Value("realm"))?;
    let username = reader.text(realm, "username")?;
    let password = Password::new(reader.text(realm, "password")?);
    let anonymous_identity = reader.text(realm, "anonymous-identity")?;
    let server_name = reader.text(realm, "server-name")?;
    let (policy, signed_policy) = if flags & SIGNED == 0 {
        (policy::read(reader.block("policy")?, realm)?, None)
    } else {
        let wrong = SmsError::Value("signed-policy");
        let (payload, signature) = (reader.block("signed-policy")?, reader.block("signed-policy")?);
        let claims = json::decode_claims(payload).map_err(|_| wrong)?;
        (claims.policy, Some(SignedPolicy::of_octets(payload, signature).map_err(|_| wrong)?))
    };
    let held = flags & AUTHORITY_HELD != 0;
    let ca_pem = if held { String::new() } else { read_authorities(reader)? };
    let eap = EapSettings {
        outer: OUTER.get(usize::from(methods >> 4)).copied().ok_or(SmsError::Value("outer"))?,
        inner: INNER.get(usize::from(methods & 0xf)).copied().ok_or(SmsError::Value("inner"))?,
        anonymous_identity,
        server_name,
        ca_pem,
    };
    let one_time = flags & ONE_TIME != 0;
    let credential = Credential {
        username,
        password,
        eap,
        mac_mode,
        issued_at,
        expires_at,
        one_time,
        policy,
        signed_policy,
    };
    // What a credential may hold is the same in every encoding.
    if held {
        let mut whole = credential.clone();
        whole.eap.ca_pem = format!("{BEGIN}\n{END}\n");
        xml::encode_credential(&whole)?;
    } else {
        xml::encode_credential(&credential)?;
    }
    Ok(credential)
}

fn read_authorities(reader: &mut Reader<'_>) -> Result<String, SmsError> {
    let count = reader.number("ca")?;
    if !(1..=MAX_AUTHORITIES).contains(&count) {
        return Err(SmsError::Value("ca"));
    }
    let mut pem = String::new();
    for _ in 0..count {
        let text = BASE64.encode(reader.block("ca")?);
        pem.extend([BEGIN, "\n"]);
        for line in text.as_bytes().chunks(64) {
            pem.extend([std::str::from_utf8(line).unwrap_or_default(), "\n"]);
        }
        pem.extend([END, "\n"]);
    }
    Ok(pem)
}

/// The DER of each certificate; text around the blocks is left out.
fn certificates(pem: &str) -> Result<Vec<Vec<u8>>, SmsError> {
    let wrong = SmsError::Value("ca");
    let mut found = Vec::new();
    let mut rest = pem;
    while let Some((_, block)) = rest.split_once(BEGIN) {
        let (text, after) = block.split_once(END).ok_or(wrong)?;
        let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        found.push(BASE64.decode(text.as_bytes()).map_err(|_| wrong)?);
        rest = after;
    }
    if (1..=MAX_AUTHORITIES).contains(&(found.len() as u64)) { Ok(found) } else { Err(wrong) }
}

/// Position in a list that never changes but at its end.
fn number<T: PartialEq>(known: &[T], value: &T, what: &'static str) -> Result<u8, SmsError> {
    let at = known.iter().position(|known| known == value);
    at.and_then(|at| u8::try_from(at).ok()).ok_or(SmsError::Value(what))
}
