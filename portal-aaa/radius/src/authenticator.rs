//! Who made this packet: Request and Response Authenticators (RFC 2865 §3, RFC 2866 §3) and
//! Message-Authenticator (RFC 3579 §3.2, RFC 5080 §2.2.2). All comparisons take constant time.

use std::cell::RefCell;

use hmac::{Hmac, KeyInit, Mac, digest::Key};
use md5::{Digest, Md5};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{AttributeType, Code, Packet};

type HmacMd5 = Hmac<Md5>;

/// What a request's Message-Authenticator says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageAuthenticator {
    /// There is none.
    Missing,
    /// Made by a holder of the secret.
    Valid,
    /// Wrong, of a wrong size, or more than one (RFC 3579 §3.3).
    Invalid,
}

/// Why a reply was refused by the client that asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// Answers another request.
    #[error("reply has identifier {got}, expected {expected}")]
    Identifier {
        /// The request's.
        expected: u8,
        /// The reply's.
        got: u8,
    },
    /// Response Authenticator is wrong: forged, or another secret.
    #[error("Response Authenticator does not match")]
    ResponseAuthenticator,
    /// An access reply whose Message-Authenticator is wrong, missing or not the first attribute
    /// (CVE-2024-3596).
    #[error("Message-Authenticator of an access reply is wrong, missing or not first")]
    MessageAuthenticator,
}

/// Checks the Message-Authenticator of an Access-Request or Status-Server.
pub fn check_message_authenticator(request: &Packet<'_>, secret: &[u8]) -> MessageAuthenticator {
    check(request, request.authenticator(), secret)
}

/// Checks the Request Authenticator of an Accounting-Request: MD5 over the packet with sixteen zero octets in its
/// place, then the secret (RFC 2866 §3).
pub fn accounting_request_is_genuine(request: &Packet<'_>, secret: &[u8]) -> bool {
    digest(request.octets(), &[0; 16], secret).ct_eq(request.authenticator()).into()
}

/// Checks a Disconnect- or CoA-Request: Request Authenticator as of accounting (RFC 5176 §2.3), and
/// Message-Authenticator, where there is one, over sixteen zero octets in that place (RFC 5176 §3.4).
pub fn dynamic_request_is_genuine(request: &Packet<'_>, secret: &[u8]) -> bool {
    accounting_request_is_genuine(request, secret)
        && check(request, &[0; 16], secret) != MessageAuthenticator::Invalid
}

/// Checks a reply on the client's side: identifier, Response Authenticator and, where the reply decides on access,
/// that Message-Authenticator comes first and is right.
pub fn check_reply(reply: &Packet<'_>, request: &Packet<'_>, secret: &[u8]) -> Result<(), ReplyError> {
    let proof = check_reply_of_any(reply, request, secret)?;
    let first = reply.attributes().next().map(|attribute| attribute.kind);
    let proved = proof == MessageAuthenticator::Valid && first == Some(AttributeType::MESSAGE_AUTHENTICATOR);
    if reply.code().is_access_reply() && !proved {
        return Err(ReplyError::MessageAuthenticator);
    }
    Ok(())
}

/// Checks a reply of a server that need not know of CVE-2024-3596: Message-Authenticator may stand anywhere or be missing,
/// and the caller decides what that is worth. What it says is right: never [`MessageAuthenticator::Invalid`].
pub fn check_reply_of_any(
    reply: &Packet<'_>,
    request: &Packet<'_>,
    secret: &[u8],
) -> Result<MessageAuthenticator, ReplyError> {
    let (expected, got) = (request.identifier(), reply.identifier());
    if expected != got {
        return Err(ReplyError::Identifier { expected, got });
    }
    let genuine = digest(reply.octets(), request.authenticator(), secret).ct_eq(reply.authenticator());
    if !bool::from(genuine) {
        return Err(ReplyError::ResponseAuthenticator);
    }
    match check(reply, request.authenticator(), secret) {
        MessageAuthenticator::Invalid => Err(ReplyError::MessageAuthenticator),
        proof => Ok(proof),
    }
}

/// MD5 over `octets` with `authenticator` in the header, then the secret: Response Authenticator, and Request
/// Authenticator of accounting.
pub(crate) fn digest(octets: &[u8], authenticator: &[u8; 16], secret: &[u8]) -> [u8; 16] {
    let (header, attributes) = parts(octets);
    let md5 = Md5::new().chain_update(header).chain_update(authenticator).chain_update(attributes);
    md5.chain_update(secret).finalize().into()
}

/// HMAC-MD5 over `octets` with `authenticator` in the header and every Message-Authenticator zeroed.
pub(crate) fn message_authenticator(octets: &[u8], authenticator: &[u8; 16], secret: &[u8]) -> [u8; 16] {
    let (header, attributes) = parts(octets);
    let mut mac = keyed(secret);
    mac.update(header);
    mac.update(authenticator);
    // In as few pieces as there are: everything up to a value that counts as zeros, and so on.
    let (mut done, mut end) = (0, 0);
    for attribute in crate::Attributes::new(attributes) {
        end += attribute.value.len() + 2;
        if attribute.kind == AttributeType::MESSAGE_AUTHENTICATOR {
            let value = end - attribute.value.len();
            mac.update(attributes.get(done..value).unwrap_or_default());
            mac.update(&[0; 16]);
            done = end;
        }
    }
    mac.update(attributes.get(done..end).unwrap_or_default());
    mac.finalize().into_bytes().into()
}

fn check(packet: &Packet<'_>, authenticator: &[u8; 16], secret: &[u8]) -> MessageAuthenticator {
    let mut all = packet.all(AttributeType::MESSAGE_AUTHENTICATOR);
    let Some(attribute) = all.next() else { return MessageAuthenticator::Missing };
    let Ok(got) = <[u8; 16]>::try_from(attribute.value) else { return MessageAuthenticator::Invalid };
    let expected = message_authenticator(packet.octets(), authenticator, secret);
    if all.next().is_none() && bool::from(expected.ct_eq(&got)) {
        MessageAuthenticator::Valid
    } else {
        MessageAuthenticator::Invalid
    }
}

/// Code, Identifier and Length; attributes. The authenticator between them is left out.
fn parts(octets: &[u8]) -> (&[u8], &[u8]) {
    (octets.get(..4).unwrap_or_default(), octets.get(20..).unwrap_or_default())
}

thread_local! {
    /// A secret's block, and the state of HMAC behind it. A request and its answer have one secret, and so have those of
    /// a whole login: half of the work for a short packet is done once.
    static LAST: RefCell<Option<(Zeroizing<[u8; 64]>, HmacMd5)>> = const { RefCell::new(None) };
}

/// HMAC takes keys of any length; going through its block (RFC 2104 §2) leaves no error to handle.
fn keyed(secret: &[u8]) -> HmacMd5 {
    let mut block = Key::<HmacMd5>::default();
    let hashed: [u8; 16];
    let key = if secret.len() > block.len() {
        hashed = Md5::digest(secret).into();
        &hashed[..]
    } else {
        secret
    };
    block.iter_mut().zip(key).for_each(|(octet, key)| *octet = *key);
    LAST.with_borrow_mut(|last| {
        if let Some((of, mac)) = last
            && **of == *block
        {
            return mac.clone();
        }
        let mac = HmacMd5::new(&block);
        *last = Some((Zeroizing::new(block.into()), mac.clone()));
        mac
    })
}

/// Whether a packet of this code gets a Message-Authenticator when we build it.
pub(crate) fn carries_message_authenticator(code: Code) -> bool {
    code.is_access_reply() || code.is_dynamic() || matches!(code, Code::ACCESS_REQUEST | Code::STATUS_SERVER)
}

#[cfg(test)]
mod tests {
    use data::*;
    use proptest::prelude::*;

    use super::*;
    use crate::Builder;

    /// RFC 2865 §7.1: Access-Request of nemo and its Accept, secret "xyzzy5461".
    mod data {
        pub(super) const SECRET: &[u8] = b"xyzzy5461";
        pub(super) const REQUEST: &[u8] = b"\x01\x00\x00\x38\x0f\x40\x3f\x94\x73\x97\x80\x57\xbd\x83\xd5\xcb\
            \x98\xf4\x22\x7a\x01\x06\x6e\x65\x6d\x6f\x02\x12\x0d\xbe\x70\x8d\x93\xd4\x13\xce\x31\x96\xe4\x3f\
            \x78\x2a\x0a\xee\x04\x06\xc0\xa8\x01\x10\x05\x06\x00\x00\x00\x03";
        pub(super) const ACCEPT: &[u8] = b"\x02\x00\x00\x26\x86\xfe\x22\x0e\x76\x24\xba\x2a\x10\x05\xf6\xbf\
            \x9b\x55\xe0\xb2\x06\x06\x00\x00\x00\x01\x0f\x06\x00\x00\x00\x00\x0e\x06\xc0\xa8\x01\x03";
    }

    #[test]
    fn rfc_2865_section_7_1() {
        let request = Packet::parse(REQUEST).unwrap();
        let accept = Packet::parse(ACCEPT).unwrap();
        assert_eq!(digest(ACCEPT, request.authenticator(), SECRET), *accept.authenticator());
        // Right by RFC 2865 alone, and refused all the same: it has no Message-Authenticator.
        assert_eq!(check_reply(&accept, &request, SECRET), Err(ReplyError::MessageAuthenticator));
        assert_eq!(check_reply(&accept, &request, b"other"), Err(ReplyError::ResponseAuthenticator));
        assert_eq!(check_message_authenticator(&request, SECRET), MessageAuthenticator::Missing);
    }

    /// RFC 5997 §6.1: minimal Status-Server and its Access-Accept, secret "xyzzy5461".
    #[test]
    fn rfc_5997_section_6_1() {
        let octets = b"\x0c\xda\x00\x26\x8a\x54\xf4\x68\x6f\xb3\x94\xc5\x28\x66\xe3\x02\x18\x5d\x06\x23\
            \x50\x12\x5a\x66\x5e\x2e\x1e\x84\x11\xf3\xe2\x43\x82\x20\x97\xc8\x4f\xa3";
        let request = Packet::parse(octets).unwrap();
        assert_eq!(request.code(), Code::STATUS_SERVER);
        assert_eq!(check_message_authenticator(&request, SECRET), MessageAuthenticator::Valid);
        let answer = b"\x02\xda\x00\x14\xef\x0d\x55\x2a\x4b\xf2\xd6\x93\xec\x2b\x6f\xe8\xb5\x41\x1d\x66";
        assert_eq!(digest(answer, request.authenticator(), SECRET)[..], answer[4..]);
    }

    /// RFC 2202 §2: HMAC-MD5 with a short key and with one longer than a block.
    #[test]
    fn rfc_2202_keys() {
        let hex =
            |mac: HmacMd5| mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect::<String>();
        let mut short = keyed(b"Jefe");
        short.update(b"what do ya want for nothing?");
        assert_eq!(hex(short), "750c783e6ab0b503eaa86e310a5db738");
        let mut long = keyed(&[0xaa; 80]);
        long.update(b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(hex(long), "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd");
    }

    #[test]
    fn two_message_authenticators_are_invalid() {
        let octets =
            Builder::access_request(1, [4; 16]).text(AttributeType::USER_NAME, "a").finish(b"s").unwrap();
        let mut twice = octets.clone();
        twice.extend(&octets[20..38]);
        twice[3] += 18;
        let sum = message_authenticator(&twice, &[4; 16], b"s");
        for at in [22, octets.len() + 2] {
            twice[at..at + 16].copy_from_slice(&sum);
        }
        let packet = Packet::parse(&twice).unwrap();
        assert_eq!(check_message_authenticator(&packet, b"s"), MessageAuthenticator::Invalid);
    }

    proptest! {
        #[test]
        fn a_changed_access_request_is_refused(at in 0usize..60, bit in 0u8..8, authenticator: [u8; 16]) {
            let octets = Builder::access_request(9, authenticator)
                .text(AttributeType::USER_NAME, "somebody@operator.example").finish(b"secret").unwrap();
            let mut changed = octets.clone();
            let at = at % octets.len();
            changed[at] ^= 1 << bit;
            if let Ok(packet) = Packet::parse(&changed) {
                prop_assert_ne!(check_message_authenticator(&packet, b"secret"), MessageAuthenticator::Valid);
            }
            let packet = Packet::parse(&octets).unwrap();
            prop_assert_eq!(check_message_authenticator(&packet, b"secret"), MessageAuthenticator::Valid);
            prop_assert_eq!(check_message_authenticator(&packet, b"Secret"), MessageAuthenticator::Invalid);
        }

        #[test]
        fn a_changed_accounting_request_is_refused(at in 0usize..60, bit in 0u8..8) {
            let octets = Builder::accounting_request(9)
                .integer(AttributeType::ACCT_STATUS_TYPE, 1).text(AttributeType::ACCT_SESSION_ID, "12345678")
                .finish(b"secret").unwrap();
            prop_assert!(accounting_request_is_genuine(&Packet::parse(&octets).unwrap(), b"secret"));
            let mut changed = octets.clone();
            let at = at % octets.len();
            changed[at] ^= 1 << bit;
            if let Ok(packet) = Packet::parse(&changed) {
                prop_assert!(!accounting_request_is_genuine(&packet, b"secret"));
            }
        }

        #[test]
        fn a_changed_reply_is_refused(at in 0usize..60, bit in 0u8..8) {
            let octets = Builder::access_request(9, [3; 16]).finish(b"secret").unwrap();
            let request = Packet::parse(&octets).unwrap();
            let reply = Builder::reply(Code::ACCESS_ACCEPT, &request)
                .text(AttributeType::USER_NAME, "x").finish(b"secret").unwrap();
            prop_assert_eq!(check_reply(&Packet::parse(&reply).unwrap(), &request, b"secret"), Ok(()));
            let mut changed = reply.clone();
            let at = at % reply.len();
            changed[at] ^= 1 << bit;
            if let Ok(packet) = Packet::parse(&changed) {
                prop_assert!(check_reply(&packet, &request, b"secret").is_err());
            }
        }
    }
}
