//! [`Stored`] to octets and back. The credential stands in the portal's own XML, so a field exists once; around it
//! a little JSON, whose unknown members are passed over, so that an older agent can read a newer file.

use data_encoding::HEXLOWER;
use provisioning::{
    message::{Credential, MAX_RESERVE, Trigger},
    signed::{MAX_KEYS, PolicyKey},
    xml::{XmlError, decode_credential, encode_credential},
};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::Stored;

/// Why plain octets are no [`Stored`], or cannot become octets.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The JSON around it. Line and column only: the text holds a password.
    #[error("not the expected JSON, line {0} column {1}")]
    Json(usize, usize),
    /// The credential in it.
    #[error("credential: {0}")]
    Credential(#[from] XmlError),
    /// The subscriber's handle in it.
    #[error("the subscriber's handle is not 32 octets in hexadecimal")]
    Subscriber,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    current: Option<String>,
    /// Agents of version 0.1.0 wrote none and told it by `renewal_due`.
    #[serde(default)]
    spent: Option<bool>,
    #[serde(default)]
    next: Option<String>,
    #[serde(default)]
    reserve: Vec<String>,
    subscriber: Option<String>,
    renewal_due: Option<Trigger>,
    #[serde(default)]
    policy_version: Option<u64>,
    #[serde(default)]
    policy_keys: Vec<PolicyKey>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.current.zeroize();
        self.next.zeroize();
        self.reserve.zeroize();
    }
}

/// To octets that hold the password in clear.
pub(super) fn encode(stored: &Stored) -> Result<Zeroizing<Vec<u8>>, CodecError> {
    let kept = Kept {
        current: stored.current.as_ref().map(document).transpose()?,
        spent: Some(stored.spent),
        next: stored.next.as_ref().map(document).transpose()?,
        reserve: stored.reserve.iter().take(MAX_RESERVE.into()).map(document).collect::<Result<_, _>>()?,
        subscriber: stored.subscriber.map(|handle| HEXLOWER.encode(&handle)),
        renewal_due: stored.renewal_due,
        policy_version: stored.policy_version,
        policy_keys: stored.policy_keys.iter().take(MAX_KEYS).copied().collect(),
    };
    // Room for every escape from the start: a growing vector would leave copies of the password behind.
    let documents = kept.current.iter().chain(&kept.next).chain(&kept.reserve);
    let room = documents.map(|document| document.len() * 2 + 16).sum::<usize>() + 1024;
    let mut octets = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(&mut *octets, &kept).map_err(|error| json(&error))?;
    Ok(octets)
}

/// Back.
pub(super) fn decode(octets: &[u8]) -> Result<Stored, CodecError> {
    let kept: Kept = serde_json::from_slice(octets).map_err(|error| json(&error))?;
    let subscriber = match &kept.subscriber {
        Some(text) => {
            let octets = HEXLOWER.decode(text.as_bytes()).map_err(|_| CodecError::Subscriber)?;
            Some(octets.try_into().map_err(|_| CodecError::Subscriber)?)
        }
        None => None,
    };
    let credential = |text: &String| decode_credential(text.as_bytes());
    Ok(Stored {
        current: kept.current.as_ref().map(credential).transpose()?,
        spent: kept.spent.unwrap_or(matches!(kept.renewal_due, Some(Trigger::Used | Trigger::Rejected))),
        next: kept.next.as_ref().map(credential).transpose()?,
        reserve: kept.reserve.iter().take(MAX_RESERVE.into()).map(credential).collect::<Result<_, _>>()?,
        subscriber,
        renewal_due: kept.renewal_due,
        policy_version: kept.policy_version,
        policy_keys: kept.policy_keys.iter().take(MAX_KEYS).copied().collect(),
    })
}

fn document(credential: &Credential) -> Result<String, XmlError> {
    encode_credential(credential).map(|document| document.as_str().to_owned())
}

fn json(error: &serde_json::Error) -> CodecError {
    CodecError::Json(error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::sample::stored;
    use proptest::prelude::*;

    #[test]
    fn all_of_it_comes_back() {
        let one = || stored("q").current.expect("the sample has one");
        let key = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".parse().expect("a key");
        let full = Stored {
            policy_version: Some(7),
            policy_keys: vec![key; MAX_KEYS],
            spent: true,
            next: Some(one()),
            reserve: vec![one(); MAX_RESERVE.into()],
            ..stored("p")
        };
        for kept in [Stored::default(), stored("p"), Stored { current: None, ..stored("p") }, full] {
            assert_eq!(decode(&encode(&kept).expect("encodes")).expect("decodes"), kept);
        }
    }

    #[test]
    fn the_reserve_is_bounded() {
        let one = stored("q").current.expect("the sample has one");
        let many = Stored { reserve: vec![one; 50], ..Stored::default() };
        let back = decode(&encode(&many).expect("encodes")).expect("decodes");
        assert_eq!(back.reserve.len(), usize::from(MAX_RESERVE));
    }

    #[test]
    fn a_file_of_0_1_0_is_read() {
        let current = document(&stored("p").current.expect("the sample has one")).expect("encodes");
        for (due, spent) in
            [("null", false), ("\"used\"", true), ("\"rejected\"", true), ("\"expiry\"", false)]
        {
            let text = serde_json::to_string(&current).expect("a string");
            let old = format!("{{\"current\":{text},\"subscriber\":null,\"renewal_due\":{due}}}");
            let read = decode(old.as_bytes()).expect("decodes");
            assert_eq!(read.current, stored("p").current);
            assert_eq!((read.spent, read.next, read.reserve), (spent, None, vec![]));
        }
    }

    #[test]
    fn the_buffer_never_grows() {
        let octets = encode(&stored(&"\"\\".repeat(100))).expect("encodes");
        assert!(octets.len() < octets.capacity());
    }

    #[test]
    fn a_newer_file_is_read_and_a_wrong_one_named() {
        let newer = br#"{"current":null,"subscriber":null,"renewal_due":"expiry","after":"x"}"#;
        assert_eq!(decode(newer).map(|stored| stored.renewal_due).ok(), Some(Some(Trigger::Expiry)));
        assert!(matches!(decode(br#"{"subscriber":"zz"}"#), Err(CodecError::Subscriber)));
        assert!(matches!(decode(br#"{"subscriber":"00"}"#), Err(CodecError::Subscriber)));
        assert!(matches!(decode(br#"{"current":"<x/>"}"#), Err(CodecError::Credential(_))));
        assert!(matches!(decode(b"["), Err(CodecError::Json(..))));
    }

    proptest! {
        #[test]
        fn arbitrary_octets_do_not_panic(octets: Vec<u8>) {
            let _ = decode(&octets);
        }

        #[test]
        fn truncations_are_refused(cut in 0usize..400) {
            let octets = encode(&stored("p")).expect("encodes");
            prop_assert!(decode(&octets[..cut.min(octets.len() - 1)]).is_err());
        }

        #[test]
        fn passwords_survive(password in "[!-~]{1,60}") {
            let kept = stored(&password);
            prop_assert_eq!(decode(&encode(&kept).expect("encodes")).expect("decodes"), kept);
        }
    }
}
