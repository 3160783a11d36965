//! Whether a reply comes from a holder of the secret. More lenient than the `radius` crate, which insists on
//! Message-Authenticator being first: the other servers put it elsewhere, and leave it out of PAP.

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use radius::{AttributeType, Packet};

/// A shared secret, and what is expected of replies made with it.
pub(super) struct Secret {
    octets: Vec<u8>,
    keyed: Option<Hmac<Md5>>,
    /// Message-Authenticator first in every reply (CVE-2024-3596).
    strict: bool,
}

impl Secret {
    /// `strict` for our own server.
    pub(super) fn new(secret: &str, strict: bool) -> Self {
        let keyed = Hmac::new_from_slice(secret.as_bytes()).ok();
        Self { octets: secret.as_bytes().to_vec(), keyed, strict }
    }

    /// As it is.
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Response Authenticator (RFC 2865 §3).
    pub(super) fn answers(&self, reply: &Packet<'_>, request: &[u8; 16]) -> bool {
        let (header, attributes) = reply.octets().split_at(20);
        let digest = Md5::new()
            .chain_update(header.get(..4).unwrap_or_default())
            .chain_update(request)
            .chain_update(attributes)
            .chain_update(&self.octets)
            .finalize();
        digest.as_slice() == reply.authenticator()
    }

    /// Message-Authenticator (RFC 3579 §3.2), which has to be there with EAP.
    pub(super) fn proves(
        &self,
        reply: &Packet<'_>,
        request: &[u8; 16],
        eap: bool,
    ) -> Result<(), &'static str> {
        let kind = AttributeType::MESSAGE_AUTHENTICATOR;
        let first = reply.attributes().next().is_some_and(|attribute| attribute.kind == kind);
        if self.strict && !first {
            return Err("Message-Authenticator is not first");
        }
        let Some(given) = reply.get(kind) else {
            return if eap || self.strict { Err("no Message-Authenticator") } else { Ok(()) };
        };
        let Some(mut mac) = self.keyed.clone() else { return Err("no key") };
        mac.update(reply.octets().get(..4).unwrap_or_default());
        mac.update(request);
        for attribute in reply.attributes() {
            let length = u8::try_from(attribute.value.len() + 2).unwrap_or(u8::MAX);
            mac.update(&[attribute.kind.0, length]);
            mac.update(if attribute.kind == kind { &[0; 16] } else { attribute.value });
        }
        mac.verify_slice(given).map_err(|_| "Message-Authenticator is wrong")
    }
}

#[cfg(test)]
mod tests {
    use radius::{Builder, Code};

    use super::*;

    #[test]
    fn ours_is_held_to_more_than_others() {
        let request = Builder::access_request(7, [3; 16]).finish(b"secret").unwrap();
        let request = Packet::parse(&request).unwrap();
        let octets = Builder::reply(Code::ACCESS_ACCEPT, &request)
            .integer(AttributeType::CLASS, 1)
            .finish(b"secret")
            .unwrap();
        let reply = Packet::parse(&octets).unwrap();
        for strict in [false, true] {
            let secret = Secret::new("secret", strict);
            assert!(secret.answers(&reply, &[3; 16]) && !secret.answers(&reply, &[4; 16]));
            assert_eq!(secret.proves(&reply, &[3; 16], true), Ok(()));
            assert!(secret.proves(&reply, &[4; 16], true).is_err());
            assert!(!Secret::new("other", strict).answers(&reply, &[3; 16]));
        }
        let bare = [&octets[..2], &[0, 26], &octets[4..20], &octets[38..]].concat();
        let bare = Packet::parse(&bare).unwrap();
        assert_eq!(Secret::new("secret", false).proves(&bare, &[3; 16], false), Ok(()));
        assert!(Secret::new("secret", false).proves(&bare, &[3; 16], true).is_err());
        assert!(Secret::new("secret", true).proves(&bare, &[3; 16], false).is_err());
    }
}
