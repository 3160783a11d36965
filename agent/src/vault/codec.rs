//! [`Stored`] to octets and back. The credential stands in the portal's own XML, so a field exists once; around it
//! a little JSON, whose unknown members are passed over, so that an older agent can read a newer file.

use data_encoding::HEXLOWER;
use provisioning::{
    message::Trigger,
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
    subscriber: Option<String>,
    renewal_due: Option<Trigger>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.current.zeroize();
    }
}

/// To octets that hold the password in clear.
pub(super) fn encode(stored: &Stored) -> Result<Zeroizing<Vec<u8>>, CodecError> {
    let current = stored.current.as_ref().map(encode_credential).transpose()?;
    let kept = Kept {
        current: current.map(|document| document.as_str().to_owned()),
        subscriber: stored.subscriber.map(|handle| HEXLOWER.encode(&handle)),
        renewal_due: stored.renewal_due,
    };
    // Room for every escape from the start: a growing vector would leave copies of the password behind.
    let room = kept.current.as_ref().map_or(0, String::len) * 2 + 1024;
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
    let current = kept.current.as_ref().map(|text| decode_credential(text.as_bytes())).transpose()?;
    Ok(Stored { current, subscriber, renewal_due: kept.renewal_due })
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
        for kept in [Stored::default(), stored("p"), Stored { current: None, ..stored("p") }] {
            assert_eq!(decode(&encode(&kept).expect("encodes")).expect("decodes"), kept);
        }
    }

    #[test]
    fn the_buffer_never_grows() {
        let octets = encode(&stored(&"\"\\".repeat(100))).expect("encodes");
        assert!(octets.len() < octets.capacity());
    }

    #[test]
    fn a_newer_file_is_read_and_a_wrong_one_named() {
        let newer = br#"{"current":null,"subscriber":null,"renewal_due":"expiry","next":"x"}"#;
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
