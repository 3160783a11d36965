//! What both sides of PEAPv0 write inside the tunnel (MS-PEAP §2.2, draft-kamath-pppext-peapv0).

mod binding;
mod tlv;

use crate::packet::{Code, Identifier, Packet, Type, request, response};

pub(crate) use binding::{CompoundKeys, CryptoBinding, Subtype};
pub(crate) use tlv::{Outcome, Tlvs};

/// Octets of the header that most inner packets go without.
const HEADER: usize = 4;

/// An inner EAP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inner<'a> {
    pub(crate) kind: Type,
    pub(crate) data: &'a [u8],
}

impl<'a> Inner<'a> {
    /// Reads what came out of the tunnel: type and data without a header, but the whole packet where it carries TLVs
    /// (draft-kamath-pppext-peapv0 §1.1). `code` tells which direction it came from. Some servers ask for the identity
    /// with a header, too.
    pub(crate) fn parse(octets: &'a [u8], code: Code) -> Option<Self> {
        if let Ok(packet) = Packet::parse(octets)
            && packet.code == code
            && let Some((kind @ (Type::TLV | Type::IDENTITY), data)) = packet.method()
            && (kind == Type::TLV || code == Code::REQUEST)
        {
            return Some(Self { kind, data });
        }
        let (&kind, data) = octets.split_first()?;
        Some(Self { kind: Type(kind), data })
    }

    /// Writes it. The identifier, that of the outer packet, is needed only where there is a header.
    pub(crate) fn encode(&self, code: Code, identifier: Identifier) -> Vec<u8> {
        let write = if code == Code::REQUEST { request } else { response };
        let mut packet = write(identifier, self.kind, self.data);
        if self.kind != Type::TLV {
            packet.drain(..HEADER);
        }
        packet
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_tlvs_keep_their_header() {
        let identity = Inner { kind: Type::IDENTITY, data: b"user" };
        assert_eq!(identity.encode(Code::RESPONSE, Identifier(9)), b"\x01user");
        let tlvs = Inner { kind: Type::TLV, data: &[0x80, 3, 0, 2, 0, 1] };
        let octets = tlvs.encode(Code::REQUEST, Identifier(9));
        assert_eq!(octets, [1, 9, 0, 11, 33, 0x80, 3, 0, 2, 0, 1]);
        assert_eq!(Inner::parse(&octets, Code::REQUEST), Some(tlvs));
        assert_eq!(Inner::parse(&octets, Code::RESPONSE).map(|inner| inner.kind), Some(Type(1)));
        assert_eq!(Inner::parse(&[], Code::REQUEST), None);
        let asked = Some(Inner { kind: Type::IDENTITY, data: &[] });
        assert_eq!(Inner::parse(&[1, 9, 0, 5, 1], Code::REQUEST), asked);
        assert_eq!(Inner::parse(&[1], Code::REQUEST), asked);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(kind in 4_u8.., data in proptest::collection::vec(any::<u8>(), 0..99), id: u8) {
            let inner = Inner { kind: Type(kind), data: &data };
            for code in [Code::REQUEST, Code::RESPONSE] {
                let octets = inner.encode(code, Identifier(id));
                prop_assert_eq!(Inner::parse(&octets, code), Some(inner));
            }
        }
    }
}
