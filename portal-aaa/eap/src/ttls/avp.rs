//! Attribute-value pairs: code, flags, length, perhaps a vendor, data, padding to four octets (RFC 5281 §10.1).

use std::borrow::Cow;

/// V: a vendor follows the length.
const VENDOR: u8 = 0x80;
/// M: who does not know the attribute must fail the login.
const MANDATORY: u8 = 0x40;
const ALIGNMENT: usize = 4;
/// Code, flags, length and vendor.
const HEADER: usize = 12;
/// Microsoft's enterprise number (RFC 2548 §2).
const MICROSOFT: u32 = 311;

/// Vendor (0 for RADIUS's own attributes) and code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AvpCode {
    pub(crate) vendor: u32,
    pub(crate) code: u32,
}

impl AvpCode {
    /// RFC 2865 §5.1.
    pub(crate) const USER_NAME: Self = Self { vendor: 0, code: 1 };
    /// RFC 2865 §5.2; in the tunnel padded, not hidden (RFC 5281 §11.2.5).
    pub(crate) const USER_PASSWORD: Self = Self { vendor: 0, code: 2 };
    /// RFC 2865 §5.3: identifier and CHAP's proof.
    pub(crate) const CHAP_PASSWORD: Self = Self { vendor: 0, code: 3 };
    /// RFC 2865 §5.40.
    pub(crate) const CHAP_CHALLENGE: Self = Self { vendor: 0, code: 60 };
    /// RFC 2548 §2.1.3.
    pub(crate) const MS_CHAP_RESPONSE: Self = Self { vendor: MICROSOFT, code: 1 };
    /// RFC 3579 §3.1: EAP in the tunnel.
    pub(crate) const EAP_MESSAGE: Self = Self { vendor: 0, code: 79 };
    /// RFC 2548 §2.1.2.
    pub(crate) const MS_CHAP_CHALLENGE: Self = Self { vendor: MICROSOFT, code: 11 };
    /// RFC 2548 §2.3.2.
    pub(crate) const MS_CHAP2_RESPONSE: Self = Self { vendor: MICROSOFT, code: 25 };
    /// RFC 2548 §2.3.3.
    pub(crate) const MS_CHAP2_SUCCESS: Self = Self { vendor: MICROSOFT, code: 26 };

    /// Does it mean something in a peer's first words?
    pub(crate) fn is_known(self) -> bool {
        [
            Self::USER_NAME,
            Self::USER_PASSWORD,
            Self::CHAP_PASSWORD,
            Self::CHAP_CHALLENGE,
            Self::EAP_MESSAGE,
            Self::MS_CHAP_RESPONSE,
            Self::MS_CHAP_CHALLENGE,
            Self::MS_CHAP2_RESPONSE,
        ]
        .contains(&self)
    }
}

/// One attribute in somebody's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avp<'a> {
    pub(crate) code: AvpCode,
    pub(crate) mandatory: bool,
    pub(crate) data: &'a [u8],
}

/// A sequence.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Avps<'a>(Vec<Avp<'a>>);

impl<'a> Avps<'a> {
    /// Reads a sequence. `None`: broken.
    pub(crate) fn parse(octets: &'a [u8]) -> Option<Self> {
        parse(octets).map(Self)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Avp<'a>> {
        self.0.iter()
    }

    /// Data of the first one of this code.
    pub(crate) fn find(&self, code: AvpCode) -> Option<&'a [u8]> {
        self.iter().find(|avp| avp.code == code).map(|avp| avp.data)
    }

    /// The EAP packet in it, joined where it came in pieces (RFC 5281 §11.2.1, RFC 3579 §3.1).
    pub(crate) fn eap(&self) -> Option<Cow<'a, [u8]>> {
        let mut pieces = self.iter().filter(|avp| avp.code == AvpCode::EAP_MESSAGE).map(|avp| avp.data);
        let mut packet = Cow::Borrowed(pieces.next()?);
        for piece in pieces {
            packet.to_mut().extend_from_slice(piece);
        }
        Some(packet)
    }
}

fn parse(mut octets: &[u8]) -> Option<Vec<Avp<'_>>> {
    let mut avps = Vec::with_capacity(4);
    while !octets.is_empty() {
        let (code, rest) = octets.split_first_chunk()?;
        let (&[flags, high, middle, low], rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes([0, high, middle, low])).ok()?;
        let has_vendor = flags & VENDOR != 0;
        let (vendor, body) = if has_vendor { rest.split_first_chunk()? } else { (&[0; 4], rest) };
        let data = body.get(..length.checked_sub(octets.len() - body.len())?)?;
        let code = AvpCode { vendor: u32::from_be_bytes(*vendor), code: u32::from_be_bytes(*code) };
        avps.push(Avp { code, mandatory: flags & MANDATORY != 0, data });
        // Some peers leave the padding of the last one out.
        octets = octets.get(length.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
    }
    Some(avps)
}

/// Writes a sequence.
pub(crate) fn encode(avps: &[(AvpCode, &[u8])]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(avps.iter().map(|(_, data)| HEADER + ALIGNMENT + data.len()).sum());
    for (code, data) in avps {
        write_avp(&mut octets, *code, data);
    }
    octets
}

/// Appends one, mandatory (RFC 5281 §11.2: every attribute that logs somebody in is).
pub(crate) fn write_avp(octets: &mut Vec<u8>, code: AvpCode, data: &[u8]) {
    let vendor = (code.vendor != 0).then(|| code.vendor.to_be_bytes());
    let vendor = vendor.as_ref().map_or(&[][..], |vendor| &vendor[..]);
    let flags = MANDATORY | if vendor.is_empty() { 0 } else { VENDOR };
    let length = u32::try_from(8 + vendor.len() + data.len()).unwrap_or(u32::MAX);
    let [_, high, middle, low] = length.to_be_bytes();
    octets.extend_from_slice(&code.code.to_be_bytes());
    octets.extend_from_slice(&[flags, high, middle, low]);
    octets.extend_from_slice(vendor);
    octets.extend_from_slice(data);
    octets.resize(octets.len().next_multiple_of(ALIGNMENT), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_rfc_5281_draws() {
        let octets =
            [0, 0, 0, 1, 0x40, 0, 0, 10, b'm', b'e', 0, 0, 0, 0, 0, 26, 0xC0, 0, 0, 13, 0, 0, 1, 55, 7];
        let avps = parse(&octets).unwrap();
        assert_eq!(avps[0], Avp { code: AvpCode::USER_NAME, mandatory: true, data: b"me" });
        assert_eq!(avps[1], Avp { code: AvpCode::MS_CHAP2_SUCCESS, mandatory: true, data: &[7] });
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        for broken in [
            &[0, 0, 0, 1][..],
            &[0, 0, 0, 1, 0, 0, 0, 7],
            &[0, 0, 0, 1, 0, 0, 0, 9],
            &[0, 0, 0, 1, 0x80, 0, 0, 11, 0, 0, 0, 0],
            &[0, 0, 0, 1, 0x80, 0, 0, 12, 0, 0],
            &[0, 0, 0, 1, 0, 0xFF, 0xFF, 0xFF, 0],
        ] {
            assert_eq!(parse(broken), None, "{broken:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(list in proptest::collection::vec(
            (any::<u32>(), any::<u32>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..5,
        )) {
            let avps: Vec<_> = list
                .iter()
                .map(|(vendor, code, data)| (AvpCode { vendor: *vendor, code: *code }, data.as_slice()))
                .collect();
            let octets = encode(&avps);
            prop_assert_eq!(octets.len() % ALIGNMENT, 0);
            let read: Vec<_> = parse(&octets).unwrap().iter().map(|avp| (avp.code, avp.data)).collect();
            prop_assert_eq!(read, avps);
        }

        #[test]
        fn any_octets_are_avps_or_none(octets in proptest::collection::vec(any::<u8>(), 0..99)) {
            let _ = parse(&octets);
        }
    }
}
