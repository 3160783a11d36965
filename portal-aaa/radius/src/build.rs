//! Building packets. Nothing leaves a [`Builder`] unsigned: the kind of packet decides how.

use std::net::IpAddr;

use crate::{
    AttributeType, Code, EAP_PIECE, MAX_PACKET, MIN_PACKET, MppeError, Packet, Salt, Vendor,
    authenticator::{carries_message_authenticator, digest, message_authenticator},
    microsoft,
    mppe::{wrap_key_into, wrapped_len},
    tunnel,
};

/// Octets that an Access-Accept has behind its EAP packet, about: keys, name, class, time limits.
const AFTER_EAP: usize = 64;

/// Why a packet could not be built. A mistake of the caller, found at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// An attribute's value exceeds 253 octets (247 in a vendor attribute).
    #[error("attribute {kind:?} of {got} octets is too long")]
    Attribute {
        /// Which.
        kind: AttributeType,
        /// Octets of its value.
        got: usize,
    },
    /// All together exceed 4096 octets.
    #[error("packet of {got} octets, expected at most 4096")]
    Packet {
        /// Octets.
        got: usize,
    },
    /// A key that cannot be wrapped.
    #[error(transparent)]
    Key(#[from] MppeError),
}

/// A packet in the making. Errors are kept and come out of [`Builder::finish`].
#[derive(Debug)]
pub struct Builder {
    octets: Vec<u8>,
    signature: Signature,
    /// The first attribute is a Message-Authenticator to be filled in.
    authenticated: bool,
    error: Option<BuildError>,
}

#[derive(Debug, Clone, Copy)]
enum Signature {
    /// Request Authenticator is random; Message-Authenticator proves the sender.
    Access([u8; 16]),
    /// Request Authenticator is a digest (RFC 2866 §3).
    Accounting,
    /// The same, and Message-Authenticator over a zero authenticator (RFC 5176 §3.4).
    Dynamic,
    /// Response Authenticator over the request's (RFC 2865 §3).
    Reply([u8; 16]),
}

impl Builder {
    /// Access-Request. `authenticator` is random, fresh for every request.
    pub fn access_request(identifier: u8, authenticator: [u8; 16]) -> Self {
        Self::new(Code::ACCESS_REQUEST, identifier, Signature::Access(authenticator))
    }

    /// Status-Server (RFC 5997). `authenticator` is random.
    pub fn status_server(identifier: u8, authenticator: [u8; 16]) -> Self {
        Self::new(Code::STATUS_SERVER, identifier, Signature::Access(authenticator))
    }

    /// Accounting-Request.
    pub fn accounting_request(identifier: u8) -> Self {
        Self::new(Code::ACCOUNTING_REQUEST, identifier, Signature::Accounting)
    }

    /// Disconnect-Request (RFC 5176 §2.1): ends the session that the attributes name.
    pub fn disconnect_request(identifier: u8) -> Self {
        Self::new(Code::DISCONNECT_REQUEST, identifier, Signature::Dynamic)
    }

    /// CoA-Request (RFC 5176 §2.2): gives the session that the attributes name other terms.
    pub fn coa_request(identifier: u8) -> Self {
        Self::new(Code::COA_REQUEST, identifier, Signature::Dynamic)
    }

    /// A reply: identifier and every Proxy-State of the request come back, in order (RFC 2865 §5.33).
    pub fn reply(code: Code, request: &Packet<'_>) -> Self {
        let new = Self::new(code, request.identifier(), Signature::Reply(*request.authenticator()));
        request
            .all(AttributeType::PROXY_STATE)
            .fold(new, |reply, state| reply.attribute(AttributeType::PROXY_STATE, state.value))
    }

    fn new(code: Code, identifier: u8, signature: Signature) -> Self {
        let mut octets = Vec::with_capacity(256);
        octets.extend([code.0, identifier]);
        octets.resize(MIN_PACKET, 0);
        let authenticated = carries_message_authenticator(code);
        let new = Self { octets, signature, authenticated, error: None };
        // CVE-2024-3596: a chosen prefix attack on MD5 needs attributes of its own before this one.
        if authenticated { new.attribute(AttributeType::MESSAGE_AUTHENTICATOR, &[0; 16]) } else { new }
    }

    /// Adds an attribute.
    pub fn attribute(mut self, kind: AttributeType, value: &[u8]) -> Self {
        match u8::try_from(value.len() + 2) {
            Ok(length) => {
                self.octets.extend([kind.0, length]);
                self.octets.extend(value);
                self
            }
            Err(_) => self.fail(BuildError::Attribute { kind, got: value.len() }),
        }
    }

    /// Adds a text.
    pub fn text(self, kind: AttributeType, value: &str) -> Self {
        self.attribute(kind, value.as_bytes())
    }

    /// Adds an integer, address or time.
    pub fn integer(self, kind: AttributeType, value: u32) -> Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Adds an IPv4 or IPv6 address to the one of the two attributes that takes it.
    pub fn address(self, v4: AttributeType, v6: AttributeType, value: IpAddr) -> Self {
        match value.to_canonical() {
            IpAddr::V4(address) => self.attribute(v4, &address.octets()),
            IpAddr::V6(address) => self.attribute(v6, &address.octets()),
        }
    }

    /// Adds a tagged integer, of which RFC 2868 §3.1 leaves the lower three octets.
    pub fn tagged_integer(self, kind: AttributeType, tag: u8, value: u32) -> Self {
        let [_, high, middle, low] = value.to_be_bytes();
        self.attribute(kind, &[tag, high, middle, low])
    }

    /// Adds a tagged text (RFC 2868 §3.6).
    pub fn tagged_text(mut self, kind: AttributeType, tag: u8, value: &str) -> Self {
        match u8::try_from(value.len() + 3) {
            Ok(length) => {
                self.octets.extend([kind.0, length, tag]);
                self.octets.extend(value.as_bytes());
                self
            }
            Err(_) => self.fail(BuildError::Attribute { kind, got: value.len() + 1 }),
        }
    }

    /// Adds the three attributes that put a station into a VLAN (RFC 3580 §3.31): a number, or a name that the
    /// access point knows.
    pub fn vlan(self, tag: u8, name: &str) -> Self {
        self.tagged_integer(AttributeType::TUNNEL_TYPE, tag, tunnel::VLAN)
            .tagged_integer(AttributeType::TUNNEL_MEDIUM_TYPE, tag, tunnel::IEEE_802)
            .tagged_text(AttributeType::TUNNEL_PRIVATE_GROUP_ID, tag, name)
    }

    /// Adds a vendor attribute, alone in its Vendor-Specific attribute.
    pub fn vendor(self, vendor: Vendor, kind: u8, value: &[u8]) -> Self {
        let mut builder = self.vendor_header(vendor, kind, value.len());
        if builder.error.is_none() {
            builder.octets.extend(value);
        }
        builder
    }

    /// Adds a vendor attribute that is an integer.
    pub fn vendor_integer(self, vendor: Vendor, kind: u8, value: u32) -> Self {
        self.vendor(vendor, kind, &value.to_be_bytes())
    }

    /// All but the value, of which there will be `length` octets.
    fn vendor_header(mut self, vendor: Vendor, kind: u8, length: usize) -> Self {
        match u8::try_from(length + 2).ok().filter(|length| *length <= 249) {
            Some(inner) => {
                self.octets.extend([AttributeType::VENDOR_SPECIFIC.0, inner + 6]);
                self.octets.extend(vendor.0.to_be_bytes());
                self.octets.extend([kind, inner]);
                self
            }
            None => self.fail(BuildError::Attribute { kind: AttributeType::VENDOR_SPECIFIC, got: length }),
        }
    }

    /// Adds an EAP packet in pieces of 253 octets (RFC 3579 §3.1).
    pub fn eap(mut self, packet: &[u8]) -> Self {
        // The largest part of most packets: one growth, and no more memory than the duplicate cache has to keep.
        self.octets.reserve_exact(packet.len() + 2 * packet.len().div_ceil(EAP_PIECE) + AFTER_EAP);
        packet
            .chunks(EAP_PIECE)
            .fold(self, |builder, piece| builder.attribute(AttributeType::EAP_MESSAGE, piece))
    }

    /// Adds both session keys of an Access-Accept. MS-MPPE-Recv-Key is the first half of the MSK's first 64 octets,
    /// MS-MPPE-Send-Key the second (RFC 3580 §3.16, RFC 2548 §2.4). `salt` is random.
    pub fn mppe_keys(self, msk: &[u8; 64], salt: [u8; 2], secret: &[u8]) -> Self {
        let Signature::Reply(request_authenticator) = self.signature else {
            return self;
        };
        let (receive, send) = msk.split_at(32);
        let (send_salt, receive_salt) = Salt::pair(salt);
        [(microsoft::MPPE_SEND_KEY, send, send_salt), (microsoft::MPPE_RECV_KEY, receive, receive_salt)]
            .into_iter()
            .fold(self, |builder, (kind, key, salt)| {
                let mut builder = builder.vendor_header(Vendor::MICROSOFT, kind, wrapped_len(key.len()));
                match wrap_key_into(key, salt, secret, &request_authenticator, &mut builder.octets) {
                    Ok(()) => builder,
                    Err(error) => builder.fail(error.into()),
                }
            })
    }

    /// Signs the packet: it is ready to be sent.
    pub fn finish(mut self, secret: &[u8]) -> Result<Vec<u8>, BuildError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let got = self.octets.len();
        let length =
            u16::try_from(got).ok().filter(|_| got <= MAX_PACKET).ok_or(BuildError::Packet { got })?;
        put(&mut self.octets, 2, &length.to_be_bytes());
        let authenticator = match self.signature {
            Signature::Access(random) => random,
            Signature::Accounting | Signature::Dynamic => [0; 16],
            Signature::Reply(request_authenticator) => request_authenticator,
        };
        // RFC 3579 §3.2: a reply's Message-Authenticator is made over the request's authenticator, and before the
        // Response Authenticator.
        if self.authenticated {
            let sum = message_authenticator(&self.octets, &authenticator, secret);
            put(&mut self.octets, MIN_PACKET + 2, &sum);
        }
        let header = match self.signature {
            Signature::Access(random) => random,
            _ => digest(&self.octets, &authenticator, secret),
        };
        put(&mut self.octets, 4, &header);
        Ok(self.octets)
    }

    fn fail(mut self, error: BuildError) -> Self {
        self.error.get_or_insert(error);
        self
    }
}

fn put(octets: &mut [u8], at: usize, value: &[u8]) {
    octets.iter_mut().skip(at).zip(value).for_each(|(octet, value)| *octet = *value);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{check_reply, join_eap, unwrap_key};

    const SECRET: &[u8] = b"shared secret";

    #[test]
    fn every_access_reply_has_message_authenticator_first() {
        let octets = Builder::access_request(5, [1; 16])
            .attribute(AttributeType::PROXY_STATE, b"one")
            .text(AttributeType::USER_NAME, "x")
            .attribute(AttributeType::PROXY_STATE, b"two")
            .finish(SECRET)
            .unwrap();
        let request = Packet::parse(&octets).unwrap();
        for code in [Code::ACCESS_ACCEPT, Code::ACCESS_REJECT, Code::ACCESS_CHALLENGE] {
            let octets = Builder::reply(code, &request).eap(&[4, 1, 0, 4]).finish(SECRET).unwrap();
            let reply = Packet::parse(&octets).unwrap();
            let kinds: Vec<u8> = reply.attributes().map(|attribute| attribute.kind.0).collect();
            assert_eq!(kinds, [80, 33, 33, 79], "{code:?}");
            let states: Vec<&[u8]> = reply.all(AttributeType::PROXY_STATE).map(|a| a.value).collect();
            assert_eq!(states, [b"one", b"two"]);
            assert_eq!(check_reply(&reply, &request, SECRET), Ok(()));
        }
        let accounting = Builder::accounting_request(6).finish(SECRET).unwrap();
        let request = Packet::parse(&accounting).unwrap();
        let octets = Builder::reply(Code::ACCOUNTING_RESPONSE, &request).finish(SECRET).unwrap();
        assert_eq!(check_reply(&Packet::parse(&octets).unwrap(), &request, SECRET), Ok(()));
    }

    #[test]
    fn a_reply_without_message_authenticator_first_is_refused() {
        let octets = Builder::access_request(5, [1; 16]).finish(SECRET).unwrap();
        let request = Packet::parse(&octets).unwrap();
        let mut without = Builder::reply(Code::ACCOUNTING_RESPONSE, &request);
        put(&mut without.octets, 0, &[Code::ACCESS_ACCEPT.0]);
        let octets = without.text(AttributeType::USER_NAME, "x").finish(SECRET).unwrap();
        let refused = check_reply(&Packet::parse(&octets).unwrap(), &request, SECRET);
        assert_eq!(refused, Err(crate::ReplyError::MessageAuthenticator));
    }

    #[test]
    fn session_keys_are_halves_of_the_msk() {
        let octets = Builder::access_request(5, [1; 16]).finish(SECRET).unwrap();
        let request = Packet::parse(&octets).unwrap();
        let mut msk = [0u8; 64];
        msk.iter_mut().zip(0..).for_each(|(octet, n)| *octet = n);
        let reply = Builder::reply(Code::ACCESS_ACCEPT, &request)
            .mppe_keys(&msk, [5, 6], SECRET)
            .finish(SECRET)
            .unwrap();
        let reply = Packet::parse(&reply).unwrap();
        for (kind, half) in [(microsoft::MPPE_RECV_KEY, &msk[..32]), (microsoft::MPPE_SEND_KEY, &msk[32..])] {
            let wrapped = reply.vendor(Vendor::MICROSOFT, kind).unwrap();
            assert_eq!(&unwrap_key(wrapped, SECRET, request.authenticator()).unwrap()[..], half);
        }
    }

    #[test]
    fn limits_are_errors_not_truncations() {
        let long = Builder::accounting_request(1).attribute(AttributeType::CLASS, &[0; 254]).finish(SECRET);
        assert_eq!(long, Err(BuildError::Attribute { kind: AttributeType::CLASS, got: 254 }));
        let vendor = Builder::accounting_request(1).vendor(Vendor::TGPP, 1, &[0; 248]).finish(SECRET);
        assert!(matches!(vendor, Err(BuildError::Attribute { got: 248, .. })));
        let packet = Builder::accounting_request(1).eap(&[0; 4090]).finish(SECRET);
        assert!(matches!(packet, Err(BuildError::Packet { .. })));
    }

    proptest! {
        #[test]
        fn attributes_round_trip(list in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..=253)), 0..12)) {
            let built = list.iter().fold(Builder::accounting_request(3), |b, (kind, value)| b.attribute(AttributeType(*kind), value));
            let octets = built.finish(SECRET).unwrap();
            let packet = Packet::parse(&octets).unwrap();
            let got: Vec<(u8, Vec<u8>)> = packet.attributes().map(|a| (a.kind.0, a.value.to_vec())).collect();
            prop_assert_eq!(got, list);
        }

        #[test]
        fn eap_round_trip(eap in proptest::collection::vec(any::<u8>(), 1..1500)) {
            let octets = Builder::access_request(1, [0; 16]).eap(&eap).finish(SECRET).unwrap();
            prop_assert_eq!(join_eap(&Packet::parse(&octets).unwrap()), Some(eap));
        }

        #[test]
        fn every_truncation_is_refused(cut in 0usize..200) {
            let octets = Builder::access_request(1, [0; 16]).eap(&[7; 300]).finish(SECRET).unwrap();
            let cut = cut % octets.len();
            prop_assert!(Packet::parse(&octets[..cut]).is_err());
        }
    }
}
