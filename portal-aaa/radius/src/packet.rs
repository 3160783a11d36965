//! One packet, borrowed from the datagram it came in (RFC 2865 §3).

use std::{fmt, net::Ipv4Addr, net::Ipv6Addr};

use crate::{Attribute, AttributeType, Attributes, Code, Vendor, VendorAttributes};

/// Header alone.
pub const MIN_PACKET: usize = 20;
/// Largest packet that may be sent or received.
pub const MAX_PACKET: usize = 4096;

/// Why a datagram is no RADIUS packet. All of these are dropped silently on the wire (RFC 2865 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Fewer octets than a header.
    #[error("datagram of {got} octets, expected at least 20")]
    Short {
        /// Octets received.
        got: usize,
    },
    /// The Length field is out of bounds.
    #[error("Length field says {got}, expected 20 to 4096")]
    Length {
        /// What it says.
        got: usize,
    },
    /// The Length field promises more than came.
    #[error("Length field says {expected}, datagram has {got} octets")]
    Truncated {
        /// What the field says.
        expected: usize,
        /// Octets received.
        got: usize,
    },
    /// An attribute is shorter than its header or longer than the packet.
    #[error("attribute at octet {at} does not fit the packet")]
    Attribute {
        /// Offset from the start of the packet.
        at: usize,
    },
}

/// A well-formed packet; nothing is said yet about who made it (see [`crate::check_message_authenticator`],
/// [`crate::accounting_request_is_genuine`]).
#[derive(Clone, Copy)]
pub struct Packet<'a> {
    code: Code,
    identifier: u8,
    authenticator: [u8; 16],
    octets: &'a [u8],
    attributes: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Checks lengths, of the packet and of every attribute.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let short = ParseError::Short { got: datagram.len() };
        let (&[code, identifier, high, low], after) = datagram.split_first_chunk::<4>().ok_or(short)?;
        let (&authenticator, _) = after.split_first_chunk::<16>().ok_or(short)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if !(MIN_PACKET..=MAX_PACKET).contains(&length) {
            return Err(ParseError::Length { got: length });
        }
        // RFC 2865 §3: octets outside the range of the Length field are padding and are ignored.
        let truncated = ParseError::Truncated { expected: length, got: datagram.len() };
        let octets = datagram.get(..length).ok_or(truncated)?;
        let attributes = octets.get(MIN_PACKET..).ok_or(truncated)?;
        let mut walk = Attributes::new(attributes);
        walk.by_ref().for_each(drop);
        if !walk.remainder().is_empty() {
            return Err(ParseError::Attribute { at: length - walk.remainder().len() });
        }
        Ok(Self { code: Code(code), identifier, authenticator, octets, attributes })
    }

    /// What the packet is.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Matches replies to requests.
    pub fn identifier(&self) -> u8 {
        self.identifier
    }

    /// Request or Response Authenticator.
    pub fn authenticator(&self) -> &[u8; 16] {
        &self.authenticator
    }

    /// The packet without padding.
    pub fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// All attributes in order.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.attributes)
    }

    /// All attributes of one number, in order.
    pub fn all(&self, kind: AttributeType) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        self.attributes().filter(move |attribute| attribute.kind == kind)
    }

    /// First attribute of this number.
    pub fn get(&self, kind: AttributeType) -> Option<&'a [u8]> {
        self.all(kind).next().map(|attribute| attribute.value)
    }

    /// First attribute of this number as text (RFC 2865 §5: UTF-8); none when it is not UTF-8.
    pub fn text(&self, kind: AttributeType) -> Option<&'a str> {
        self.get(kind).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// First attribute of this number as integer or time; none when it is not four octets.
    pub fn integer(&self, kind: AttributeType) -> Option<u32> {
        self.get(kind).and_then(|value| value.try_into().ok()).map(u32::from_be_bytes)
    }

    /// First attribute of this number as IPv4 address; none when it is not four octets.
    pub fn ipv4(&self, kind: AttributeType) -> Option<Ipv4Addr> {
        self.integer(kind).map(Ipv4Addr::from_bits)
    }

    /// First attribute of this number as IPv6 prefix (RFC 3162 §2.3): reserved octet, length, then only as many
    /// octets as are needed. Bits outside the length are cleared.
    pub fn ipv6_prefix(&self, kind: AttributeType) -> Option<(Ipv6Addr, u8)> {
        let (&[_reserved, bits], octets) = self.get(kind)?.split_first_chunk::<2>()?;
        let missing = 16usize.checked_sub(octets.len())?;
        if bits > 128 || octets.len() < usize::from(bits).div_ceil(8) {
            return None;
        }
        let whole = octets.iter().copied().chain(std::iter::repeat_n(0, missing));
        let address = whole.fold(0u128, |sum, octet| (sum << 8) | u128::from(octet));
        let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
        Some((Ipv6Addr::from_bits(address & mask), bits))
    }

    /// First vendor attribute of this number.
    pub fn vendor(&self, vendor: Vendor, kind: u8) -> Option<&'a [u8]> {
        self.attributes()
            .filter_map(VendorAttributes::of)
            .flatten()
            .find(|inner| inner.vendor == vendor && inner.kind == kind)
            .map(|inner| inner.value)
    }

    /// First vendor attribute of this number as text.
    pub fn vendor_text(&self, vendor: Vendor, kind: u8) -> Option<&'a str> {
        self.vendor(vendor, kind).and_then(|value| std::str::from_utf8(value).ok())
    }
}

/// Names and sizes, never values.
impl fmt::Debug for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} ", self.code, self.identifier)?;
        f.debug_list().entries(self.attributes()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Header of `length` (as the field says), then `rest`.
    fn datagram(length: u16, rest: &[u8]) -> Vec<u8> {
        let mut octets = vec![1, 7];
        octets.extend(length.to_be_bytes());
        octets.extend([9; 16]);
        octets.extend(rest);
        octets
    }

    #[test]
    fn bounds_of_rfc_2865_section_3() {
        assert_eq!(Packet::parse(&[1; 19]).unwrap_err(), ParseError::Short { got: 19 });
        assert_eq!(Packet::parse(&datagram(19, &[])).unwrap_err(), ParseError::Length { got: 19 });
        assert_eq!(Packet::parse(&datagram(4097, &[0; 5000])).unwrap_err(), ParseError::Length { got: 4097 });
        assert_eq!(
            Packet::parse(&datagram(21, &[])).unwrap_err(),
            ParseError::Truncated { expected: 21, got: 20 }
        );
        let padded = datagram(20, &[1, 0, 0xff]);
        let packet = Packet::parse(&padded).unwrap();
        assert_eq!((packet.octets().len(), packet.attributes().count()), (20, 0));
    }

    #[test]
    fn attribute_lengths() {
        for bad in [&[1u8][..], &[1, 0], &[1, 1], &[1, 3], &[1, 2, 5]] {
            let octets = datagram(u16::try_from(20 + bad.len()).unwrap(), bad);
            assert!(matches!(Packet::parse(&octets), Err(ParseError::Attribute { .. })), "{bad:?}");
        }
        let octets = datagram(24, &[1, 2, 250, 2]);
        let packet = Packet::parse(&octets).unwrap();
        let kinds: Vec<u8> = packet.attributes().map(|attribute| attribute.kind.0).collect();
        assert_eq!(kinds, [1, 250], "an unknown number survives");
    }

    #[test]
    fn typed_views() {
        let octets = datagram(
            20 + 6 + 12 + 13,
            &[
                &[8, 6, 10, 64, 0, 2][..],
                &[97, 12, 0, 60, 0x20, 1, 0x0d, 0xb8, 0, 1, 0, 0xff],
                &[26, 13, 0, 0, 0x28, 0xaf, 9, 2, 1, 5, b'0', b'0', b'1'],
            ]
            .concat(),
        );
        let packet = Packet::parse(&octets).unwrap();
        assert_eq!(packet.ipv4(AttributeType::FRAMED_IP_ADDRESS), Some(Ipv4Addr::new(10, 64, 0, 2)));
        let prefix = packet.ipv6_prefix(AttributeType::FRAMED_IPV6_PREFIX);
        assert_eq!(prefix, Some(("2001:db8:1:f0::".parse().unwrap(), 60)));
        assert_eq!(packet.vendor_text(Vendor::TGPP, tgpp_imsi()), Some("001"));
        assert_eq!(packet.vendor(Vendor::MICROSOFT, tgpp_imsi()), None);
        assert_eq!(packet.integer(AttributeType::USER_NAME), None);
    }

    fn tgpp_imsi() -> u8 {
        crate::tgpp::IMSI
    }

    #[test]
    fn debug_shows_no_value() {
        let octets = datagram(28, &[1, 8, b's', b'e', b'c', b'r', b'e', b't']);
        let shown = format!("{:?}", Packet::parse(&octets).unwrap());
        assert_eq!(shown, "Access-Request 7 [User-Name[6]]");
    }

    proptest! {
        #[test]
        fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(packet) = Packet::parse(&octets) {
                let _ = packet.vendor(Vendor::TGPP, 1);
                let _ = packet.ipv6_prefix(AttributeType::FRAMED_IPV6_PREFIX);
                let _ = crate::join_eap(&packet);
                prop_assert_eq!(packet.attributes().map(|a| a.value.len() + 2).sum::<usize>() + 20, packet.octets().len());
            }
        }

        #[test]
        fn plausible_headers_never_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Packet::parse(&datagram(u16::try_from(20 + body.len()).unwrap(), &body));
        }
    }
}
