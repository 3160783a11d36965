//! The signed policy: a compact JWS ([RFC 7515 §7.1](https://www.rfc-editor.org/rfc/rfc7515#section-7.1)) under Ed25519
//! ([RFC 8037 §3.1](https://www.rfc-editor.org/rfc/rfc8037#section-3.1), named as in RFC 9864 §2.2), the same text in
//! every format and on every way.
//!
//! What is signed names the keys that may sign the next one, so a device that trusts one of them learns of a new key
//! before it is used. The portal calls [`SignedPolicy::sign`], the agent [`SignedPolicy::open`]. Pure.

use std::{fmt, str::FromStr};

use data_encoding::BASE64URL_NOPAD;
use ring::signature::{self, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{json, message::Policy, xml};

/// Most keys that a policy names: the one in use, the next one, and room for a mistake.
pub const MAX_KEYS: usize = 4;
/// Longest signed policy, octets. Half of a message: the plain policy and the certificates need the rest.
pub const MAX_SIGNED: usize = 32 * 1024;

const HEADER: &str = r#"{"alg":"Ed25519","typ":"wifi-offload-policy"}"#;

/// A policy as it was signed, verbatim.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedPolicy(String);

/// What a signed policy says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The policy.
    pub policy: Policy,
    /// Keys that may sign the next one; 1 to [`MAX_KEYS`].
    pub keys: Vec<PolicyKey>,
}

/// Public key, 32 octets (RFC 8032 §5.1.5). As text it is the `x` of its JWK (RFC 8037 §2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyKey([u8; 32]);

/// Private key.
pub struct PolicySigner(Ed25519KeyPair);

/// Why a signed policy is not obeyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignedError {
    /// Not three parts of base64url, or longer than [`MAX_SIGNED`].
    #[error("the signed policy is no compact JWS")]
    Shape,
    /// Signed in another way than with Ed25519, or with extensions that must be understood.
    #[error("the signed policy is not signed with Ed25519")]
    Algorithm,
    /// None of the trusted keys made it.
    #[error("the policy is not signed by a key that is trusted here")]
    Signature,
    /// What was signed is no policy of ours.
    #[error("what was signed is no policy")]
    Content,
}

impl SignedError {
    /// Stable code for logs and documentation.
    pub fn code(self) -> &'static str {
        match self {
            Self::Shape => "policy-shape",
            Self::Algorithm => "policy-algorithm",
            Self::Signature => "policy-signature",
            Self::Content => "policy-content",
        }
    }
}

impl SignedPolicy {
    /// Signs. Fails with [`SignedError::Content`] on a policy that no message could carry.
    pub fn sign(claims: &Claims, signer: &PolicySigner) -> Result<Self, SignedError> {
        xml::check_policy(&claims.policy).map_err(|_| SignedError::Content)?;
        if !(1..=MAX_KEYS).contains(&claims.keys.len()) {
            return Err(SignedError::Content);
        }
        let payload = serde_json::to_vec(claims).map_err(|_| SignedError::Content)?;
        let mut text =
            format!("{}.{}", BASE64URL_NOPAD.encode(HEADER.as_bytes()), BASE64URL_NOPAD.encode(&payload));
        let signature = signer.0.sign(text.as_bytes());
        text.push('.');
        text.push_str(&BASE64URL_NOPAD.encode(signature.as_ref()));
        if text.len() > MAX_SIGNED { Err(SignedError::Content) } else { Ok(Self(text)) }
    }

    /// What it says, if one of `trusted` signed it. With none trusted yet, one of the keys that it names itself must
    /// have: who calls so must have got it from the portal on a way that proves the portal.
    pub fn open(&self, trusted: &[PolicyKey]) -> Result<Claims, SignedError> {
        let (signed, signature) = self.0.rsplit_once('.').ok_or(SignedError::Shape)?;
        let (header, payload) = signed.split_once('.').ok_or(SignedError::Shape)?;
        let octets = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| SignedError::Shape);
        let (header, payload, signature) = (octets(header)?, octets(payload)?, octets(signature)?);
        let header: Header = serde_json::from_slice(&header).map_err(|_| SignedError::Algorithm)?;
        if header.alg != "Ed25519" || header.crit.is_some() {
            return Err(SignedError::Algorithm);
        }
        let by = |key: &PolicyKey| {
            UnparsedPublicKey::new(&signature::ED25519, key.0).verify(signed.as_bytes(), &signature).is_ok()
        };
        if !trusted.is_empty() && !trusted.iter().any(by) {
            return Err(SignedError::Signature);
        }
        let claims = json::decode_claims(&payload).map_err(|_| SignedError::Content)?;
        if !(1..=MAX_KEYS).contains(&claims.keys.len()) {
            return Err(SignedError::Content);
        }
        if trusted.is_empty() && !claims.keys.iter().any(by) {
            return Err(SignedError::Signature);
        }
        Ok(claims)
    }

    /// Payload and signature as octets, for encodings that are not text; none where the header is another than ours.
    pub(crate) fn octets(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut parts = self.0.split('.');
        let mut octets = || BASE64URL_NOPAD.decode(parts.next()?.as_bytes()).ok();
        let (header, payload, signature) = (octets()?, octets()?, octets()?);
        (header == HEADER.as_bytes()).then_some((payload, signature))
    }

    /// The same back. As with text, what it says counts for nothing before [`SignedPolicy::open`].
    pub(crate) fn of_octets(payload: &[u8], signature: &[u8]) -> Result<Self, SignedError> {
        let [header, payload, signature] =
            [HEADER.as_bytes(), payload, signature].map(|part| BASE64URL_NOPAD.encode(part));
        format!("{header}.{payload}.{signature}").parse()
    }

    /// The text, as it stands in messages.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

/// Looks at the shape only: what it says counts for nothing before [`SignedPolicy::open`].
impl FromStr for SignedPolicy {
    type Err = SignedError;

    fn from_str(text: &str) -> Result<Self, SignedError> {
        let octet = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let parts = text.split('.').filter(|part| !part.is_empty()).count();
        let dots = text.bytes().filter(|b| *b == b'.').count();
        let fits = text.len() <= MAX_SIGNED && parts == 3 && dots == 2 && text.bytes().all(octet);
        if fits { Ok(Self(text.to_owned())) } else { Err(SignedError::Shape) }
    }
}

impl fmt::Debug for SignedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedPolicy({} octets)", self.0.len())
    }
}

impl PolicySigner {
    /// From its secret seed (RFC 8032 §5.1.5), which the caller keeps.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, SignedError> {
        Ed25519KeyPair::from_seed_unchecked(seed).map(Self).map_err(|_| SignedError::Algorithm)
    }

    /// The key that proves its signatures.
    pub fn public(&self) -> PolicyKey {
        let mut key = [0; 32];
        key.iter_mut().zip(self.0.public_key().as_ref()).for_each(|(to, from)| *to = *from);
        PolicyKey(key)
    }
}

impl fmt::Debug for PolicySigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicySigner({})", self.public())
    }
}

impl FromStr for PolicyKey {
    type Err = SignedError;

    fn from_str(text: &str) -> Result<Self, SignedError> {
        let octets = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| SignedError::Shape)?;
        octets.try_into().map(Self).map_err(|_| SignedError::Shape)
    }
}

impl fmt::Display for PolicyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for PolicyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for PolicyKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PolicyKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::Network;

    fn signer(seed: u8) -> PolicySigner {
        PolicySigner::from_seed(&[seed; 32]).expect("a key")
    }

    fn claims(version: u64, keys: &[&PolicySigner]) -> Claims {
        let policy = Policy {
            version,
            networks: vec![Network::new("Operator", 1)],
            probe_url: "http://x/".to_owned(),
            ..Policy::default()
        };
        Claims { policy, keys: keys.iter().map(|key| key.public()).collect() }
    }

    #[test]
    fn what_was_signed_is_read_by_who_trusts_the_key() {
        let (one, two) = (signer(1), signer(2));
        let claims = claims(7, &[&one, &two]);
        let signed = SignedPolicy::sign(&claims, &one).expect("signs");
        assert_eq!(signed.as_str().parse(), Ok(signed.clone()));
        for trusted in [vec![], vec![one.public()], vec![two.public(), one.public()]] {
            assert_eq!(signed.open(&trusted), Ok(claims.clone()));
        }
        assert_eq!(signed.open(&[two.public()]), Err(SignedError::Signature));
        // Nobody is trusted yet, but it does not vouch for itself.
        let strange = SignedPolicy::sign(&claims, &signer(3)).expect("signs");
        assert_eq!(strange.open(&[]), Err(SignedError::Signature));
    }

    /// The key pair of RFC 8037 appendix A.1 and A.2: the text of a key is its JWK's `x`.
    #[test]
    fn keys_are_written_as_in_a_jwk() {
        let seed = BASE64URL_NOPAD.decode(b"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").expect("base64url");
        let signer = PolicySigner::from_seed(&seed.try_into().expect("32 octets")).expect("a key");
        let public = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        assert_eq!(signer.public().to_string(), public);
        assert_eq!(public.parse(), Ok(signer.public()));
        assert!(!format!("{signer:?}").contains("nWGxne"));
    }

    #[test]
    fn another_algorithm_or_an_extension_is_refused() {
        let one = signer(1);
        let signed = SignedPolicy::sign(&claims(1, &[&one]), &one).expect("signs");
        let (_, rest) = signed.as_str().split_once('.').expect("three parts");
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"HS256"}"#,
            r#"{"alg":"Ed25519","crit":["b64"],"b64":false}"#,
            r"{}",
            "[]",
            "x",
        ] {
            let text = format!("{}.{rest}", BASE64URL_NOPAD.encode(header.as_bytes()));
            let read = text.parse::<SignedPolicy>().expect("the shape").open(&[one.public()]);
            assert_eq!(read, Err(SignedError::Algorithm), "{header}");
        }
    }

    #[test]
    fn a_newer_portals_fields_are_passed_over() {
        let one = signer(1);
        let ours = claims(3, &[&one]);
        let text = serde_json::to_string(&ours).expect("JSON");
        let newer = text.replacen("{\"policy\":{", "{\"more\":[1],\"policy\":{\"moon-phase\":\"new\",", 1);
        let signed = format!(
            "{}.{}",
            BASE64URL_NOPAD.encode(HEADER.as_bytes()),
            BASE64URL_NOPAD.encode(newer.as_bytes())
        );
        let signature = BASE64URL_NOPAD.encode(one.0.sign(signed.as_bytes()).as_ref());
        let signed: SignedPolicy = format!("{signed}.{signature}").parse().expect("the shape");
        assert_eq!(signed.open(&[one.public()]), Ok(ours));
    }

    #[test]
    fn what_no_message_could_carry_is_not_signed() {
        let one = signer(1);
        let good = claims(1, &[&one]);
        let none = Claims { keys: vec![], ..good.clone() };
        let many = Claims { keys: vec![one.public(); MAX_KEYS + 1], ..good.clone() };
        let bad = Claims { policy: Policy { probe_url: "a\nb".to_owned(), ..good.policy.clone() }, ..good };
        for claims in [none, many, bad] {
            assert_eq!(SignedPolicy::sign(&claims, &one), Err(SignedError::Content));
        }
    }

    proptest! {
        #[test]
        fn one_changed_character_is_noticed(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_-]") {
            let one = signer(1);
            let signed = SignedPolicy::sign(&claims(1, &[&one]), &one).expect("signs");
            let at = at.index(signed.0.len());
            prop_assume!(signed.0.get(at..=at) != Some(".") && signed.0.get(at..=at) != Some(to.as_str()));
            let mut text = signed.0.clone();
            text.replace_range(at..=at, &to);
            prop_assert!(text.parse::<SignedPolicy>().is_ok_and(|s| s.open(&[one.public()]).is_err()));
        }

        #[test]
        fn arbitrary_text_does_not_panic(text in "[-A-Za-z0-9_.]{0,200}") {
            if let Ok(signed) = text.parse::<SignedPolicy>() {
                prop_assert!(signed.open(&[]).is_err());
            }
        }
    }
}
