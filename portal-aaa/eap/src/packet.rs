//! EAP packets (RFC 3748 §4): the header that every method shares.
//!
//! Parsing borrows and refuses; nothing later has to check a length again. Called by both sides' sessions.

/// Octets of a packet before its type.
const HEADER: usize = 4;
/// The most data after the type that the length field can say.
const MAX_TYPE_DATA: usize = u16::MAX as usize - HEADER - 1;

/// First octet (RFC 3748 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub u8);

impl Code {
    /// From the authenticator.
    pub const REQUEST: Self = Self(1);
    /// From the peer.
    pub const RESPONSE: Self = Self(2);
    /// The end: in.
    pub const SUCCESS: Self = Self(3);
    /// The end: out.
    pub const FAILURE: Self = Self(4);
}

/// Second octet: which request a response belongs to (RFC 3748 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identifier(pub u8);

impl Identifier {
    /// That of the request after this one.
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// Fifth octet of requests and responses: identity, notification, nak, or an authentication method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Type(pub u8);

impl Type {
    /// RFC 3748 §5.1.
    pub const IDENTITY: Self = Self(1);
    /// RFC 3748 §5.2.
    pub const NOTIFICATION: Self = Self(2);
    /// RFC 3748 §5.3.1; only in responses.
    pub const NAK: Self = Self(3);
    /// Generic Token Card, here a password (RFC 3748 §5.6).
    pub const GTC: Self = Self(6);
    /// RFC 5281.
    pub const TTLS: Self = Self(21);
    /// MS-PEAP.
    pub const PEAP: Self = Self(25);
    /// draft-kamath-pppext-eap-mschapv2.
    pub const MSCHAPV2: Self = Self(26);
    /// RFC 3748 §5.7: vendors' types, and a Nak in the same form.
    pub const EXPANDED: Self = Self(254);
    /// TLVs that end a PEAP conversation (MS-PEAP §2.2.8).
    pub const TLV: Self = Self(33);
}

/// Octets that are no EAP packet. RFC 3748 §4.1: dropped in silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Fewer octets than the header, or than its length field says.
    #[error("the packet ends before its end")]
    Truncated,
    /// A length that its code cannot have.
    #[error("the length field does not fit the code")]
    Length,
    /// Not one of the four codes.
    #[error("unknown code")]
    UnknownCode,
}

/// A packet in somebody's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is.
    pub code: Code,
    /// Whose answer it is, or is to be.
    pub identifier: Identifier,
    body: Option<(Type, &'a [u8])>,
}

impl<'a> Packet<'a> {
    /// Reads a packet.
    pub fn parse(octets: &'a [u8]) -> Result<Self, ParseError> {
        let Some((&[code, identifier, high, low], _)) = octets.split_first_chunk::<HEADER>() else {
            return Err(ParseError::Truncated);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        // RFC 3748 §4.1: octets beyond the length are padding of the link layer and are ignored.
        let body = octets.get(..length).ok_or(ParseError::Truncated)?;
        let body = body.get(HEADER..).ok_or(ParseError::Length)?;
        let code = Code(code);
        let body = match (code, body.split_first()) {
            (Code::REQUEST | Code::RESPONSE, Some((&kind, data))) => Some((Type(kind), data)),
            (Code::SUCCESS | Code::FAILURE, None) => None,
            (Code::REQUEST | Code::RESPONSE | Code::SUCCESS | Code::FAILURE, _) => {
                return Err(ParseError::Length);
            }
            _ => return Err(ParseError::UnknownCode),
        };
        Ok(Self { code, identifier: Identifier(identifier), body })
    }

    /// Type and what follows it, if it is a request or a response.
    pub fn method(&self) -> Option<(Type, &'a [u8])> {
        self.body
    }
}

/// EAP-Request. `data` beyond what the length field can say is left out; framing keeps it far below.
pub fn request(identifier: Identifier, kind: Type, data: &[u8]) -> Vec<u8> {
    encode(Code::REQUEST, identifier, kind, data)
}

/// EAP-Response.
pub fn response(identifier: Identifier, kind: Type, data: &[u8]) -> Vec<u8> {
    encode(Code::RESPONSE, identifier, kind, data)
}

/// EAP-Success with the identifier of the response that it answers (RFC 3748 §4.2).
pub fn success(identifier: Identifier) -> Vec<u8> {
    vec![Code::SUCCESS.0, identifier.0, 0, 4]
}

/// EAP-Failure with the identifier of the response that it answers (RFC 3748 §4.2).
pub fn failure(identifier: Identifier) -> Vec<u8> {
    vec![Code::FAILURE.0, identifier.0, 0, 4]
}

fn encode(code: Code, identifier: Identifier, kind: Type, data: &[u8]) -> Vec<u8> {
    let data = data.get(..MAX_TYPE_DATA).unwrap_or(data);
    let mut packet = begin(code, identifier, kind, data.len());
    packet.extend_from_slice(data);
    finish(packet)
}

/// A packet up to its type, with room for so much data, which is then appended.
pub(crate) fn begin(code: Code, identifier: Identifier, kind: Type, room: usize) -> Vec<u8> {
    let mut packet = Vec::with_capacity(HEADER + 1 + room);
    packet.extend_from_slice(&[code.0, identifier.0, 0, 0, kind.0]);
    packet
}

/// Puts the length where it belongs.
pub(crate) fn finish(mut packet: Vec<u8>) -> Vec<u8> {
    packet.truncate(HEADER + 1 + MAX_TYPE_DATA);
    let length = u16::try_from(packet.len()).unwrap_or(u16::MAX).to_be_bytes();
    if let Some(field) = packet.get_mut(2..HEADER) {
        field.copy_from_slice(&length);
    }
    packet
}

/// The types that a Nak asks for instead of what was proposed, best first; none where it knows no other. `None`: not
/// a Nak.
pub(crate) fn nak(kind: Type, data: &[u8]) -> Option<Vec<Type>> {
    match kind {
        // RFC 3748 §5.3.1: a zero says that there is no other.
        Type::NAK => Some(data.iter().copied().filter(|kind| *kind != 0).map(Type).collect()),
        // RFC 3748 §5.3.2: vendor 0 and type 3, then eight octets for each type. Only for proposals of vendors'
        // types, which are not made here, but some peers use it for all.
        Type::EXPANDED => {
            let list = data.strip_prefix(&[0, 0, 0, 0, 0, 0, Type::NAK.0])?;
            let (types, _) = list.as_chunks::<8>();
            let ietf = types.iter().filter_map(|kind| match *kind {
                [254, 0, 0, 0, 0, 0, 0, kind] => Some(Type(kind)),
                _ => None,
            });
            Some(ietf.filter(|kind| *kind != Type(0)).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_rfc_3748_shows() {
        let packet = Packet::parse(&[2, 7, 0, 9, 1, b'u', b's', b'e', b'r', 0, 0]).unwrap();
        assert_eq!(
            (packet.code, packet.identifier, packet.method()),
            (Code::RESPONSE, Identifier(7), Some((Type::IDENTITY, &b"user"[..])))
        );
        assert_eq!(Packet::parse(&success(Identifier(9))).unwrap().code, Code::SUCCESS);
        assert_eq!(Packet::parse(&failure(Identifier(9))).unwrap().method(), None);
    }

    #[test]
    fn refuses_lengths_that_lie() {
        for (octets, error) in [
            (&[][..], ParseError::Truncated),
            (&[1, 0, 0], ParseError::Truncated),
            (&[1, 0, 0, 6, 1], ParseError::Truncated),
            (&[1, 0, 0, 3, 1], ParseError::Length),
            (&[1, 0, 0, 4], ParseError::Length),
            (&[3, 0, 0, 5, 0], ParseError::Length),
            (&[5, 0, 0, 5, 1], ParseError::UnknownCode),
            (&[0, 0, 0, 4], ParseError::UnknownCode),
        ] {
            assert_eq!(Packet::parse(octets), Err(error), "{octets:?}");
        }
    }

    #[test]
    fn identifiers_wrap() {
        assert_eq!(Identifier(255).next(), Identifier(0));
    }

    #[test]
    fn never_says_more_than_its_length_field_can() {
        let packet = request(Identifier(1), Type::PEAP, &vec![0; 70_000]);
        assert_eq!(packet.len(), usize::from(u16::MAX));
        assert!(Packet::parse(&packet).is_ok());
    }

    #[test]
    fn naks_of_both_kinds() {
        assert_eq!(nak(Type::NAK, &[21, 13]), Some(vec![Type::TTLS, Type(13)]));
        assert_eq!((nak(Type::NAK, &[0]), nak(Type::NAK, &[])), (Some(vec![]), Some(vec![])));
        let head = [0, 0, 0, 0, 0, 0, 3];
        let list = [[254, 0, 0, 0, 0, 0, 0, 25], [254, 0, 1, 55, 0, 0, 0, 1], [254, 0, 0, 0, 0, 0, 0, 0]];
        assert_eq!(nak(Type::EXPANDED, &[&head[..], list.as_flattened()].concat()), Some(vec![Type::PEAP]));
        assert_eq!(nak(Type::EXPANDED, &head), Some(vec![]));
        assert_eq!((nak(Type::EXPANDED, &head[1..]), nak(Type::PEAP, &[0])), (None, None));
    }

    proptest! {
        #[test]
        fn any_octets_are_a_packet_or_an_error(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(packet) = Packet::parse(&octets) {
                let held = packet.method().map_or(0, |(_, data)| 1 + data.len());
                prop_assert!(HEADER + held <= octets.len());
            }
        }

        #[test]
        fn what_is_written_is_read(id: u8, kind: u8, data in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let octets = response(Identifier(id), Type(kind), &data);
            let packet = Packet::parse(&octets).unwrap();
            prop_assert_eq!(packet.identifier, Identifier(id));
            prop_assert_eq!(packet.method(), Some((Type(kind), data.as_slice())));
            for cut in 0..octets.len() {
                prop_assert_eq!(Packet::parse(&octets[..cut]), Err(ParseError::Truncated));
            }
        }
    }
}
