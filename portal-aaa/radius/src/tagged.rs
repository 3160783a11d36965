//! Tagged attributes (RFC 2868 §3): the tunnel attributes that put a station into a VLAN (RFC 3580 §3.31).

use crate::{AttributeType, Packet};

/// Largest tag; a first octet above it belongs to the text (RFC 2868 §3.3).
const MAX_TAG: u8 = 0x1f;

/// Numbers of RFC 3580 §3.31.
pub mod tunnel {
    /// Tunnel-Type.
    pub const VLAN: u32 = 13;
    /// Tunnel-Medium-Type.
    pub const IEEE_802: u32 = 6;
}

/// A tag and what it stands before. Attributes of one tag belong together; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tagged<T> {
    /// 0 to 31.
    pub tag: u8,
    /// The rest.
    pub value: T,
}

impl<'a> Packet<'a> {
    /// First attribute of this number as tagged integer (RFC 2868 §3.1).
    pub fn tagged_integer(&self, kind: AttributeType) -> Option<Tagged<u32>> {
        let [tag, high, middle, low] = self.integer(kind)?.to_be_bytes();
        (tag <= MAX_TAG).then(|| Tagged { tag, value: u32::from_be_bytes([0, high, middle, low]) })
    }

    /// First attribute of this number as tagged text (RFC 2868 §3.6); without a tag where its first octet is none.
    pub fn tagged_text(&self, kind: AttributeType) -> Option<Tagged<&'a str>> {
        let value = self.get(kind)?;
        let (tag, text) = match value.split_first() {
            Some((&tag, text)) if tag <= MAX_TAG => (tag, text),
            _ => (0, value),
        };
        std::str::from_utf8(text).ok().map(|value| Tagged { tag, value })
    }

    /// The VLAN that these attributes put a station into.
    pub fn vlan(&self) -> Option<&'a str> {
        let kind = self.tagged_integer(AttributeType::TUNNEL_TYPE)?;
        let medium = self.tagged_integer(AttributeType::TUNNEL_MEDIUM_TYPE)?;
        let group = self.tagged_text(AttributeType::TUNNEL_PRIVATE_GROUP_ID)?;
        (kind.value == tunnel::VLAN && medium.value == tunnel::IEEE_802).then_some(group.value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Builder;

    #[test]
    fn a_vlan_is_three_attributes_of_one_tag() {
        let octets = Builder::accounting_request(1).vlan(1, "42").finish(b"s").unwrap();
        assert_eq!(&octets[20..], b"\x40\x06\x01\x00\x00\x0d\x41\x06\x01\x00\x00\x06\x51\x05\x0142");
        let packet = Packet::parse(&octets).unwrap();
        assert_eq!(packet.vlan(), Some("42"));
        assert_eq!(packet.tagged_integer(AttributeType::TUNNEL_TYPE), Some(Tagged { tag: 1, value: 13 }));
        let long = Builder::accounting_request(1).vlan(1, &"x".repeat(253)).finish(b"s");
        assert!(long.is_err());
    }

    #[test]
    fn a_text_without_tag_is_whole() {
        let octets = Builder::accounting_request(1)
            .text(AttributeType::TUNNEL_PRIVATE_GROUP_ID, "guests")
            .finish(b"s")
            .unwrap();
        let packet = Packet::parse(&octets).unwrap();
        let group = packet.tagged_text(AttributeType::TUNNEL_PRIVATE_GROUP_ID);
        assert_eq!(group, Some(Tagged { tag: 0, value: "guests" }));
        assert_eq!(packet.vlan(), None);
    }

    proptest! {
        #[test]
        fn round_trip(tag in 0u8..=31, name in "[a-z0-9]{0,20}", value in 0u32..1 << 24) {
            let octets = Builder::accounting_request(1).vlan(tag, &name)
                .tagged_integer(AttributeType::TUNNEL_PASSWORD, tag, value).finish(b"s").unwrap();
            let packet = Packet::parse(&octets).unwrap();
            prop_assert_eq!(packet.vlan(), Some(name.as_str()));
            prop_assert_eq!(packet.tagged_integer(AttributeType::TUNNEL_PASSWORD), Some(Tagged { tag, value }));
        }
    }
}
