//! Diameter-like AVPs inside EAP-TTLS (RFC 5281 §10.1).

/// RADIUS User-Name.
pub(crate) const USER_NAME: u32 = 1;
/// RADIUS User-Password.
pub(crate) const USER_PASSWORD: u32 = 2;
/// Microsoft, RFC 2548.
pub(crate) const MICROSOFT: u32 = 311;
/// MS-CHAP-Challenge.
pub(crate) const MS_CHAP_CHALLENGE: u32 = 11;
/// MS-CHAP2-Response.
pub(crate) const MS_CHAP2_RESPONSE: u32 = 25;
/// MS-CHAP2-Success.
pub(crate) const MS_CHAP2_SUCCESS: u32 = 26;

const VENDOR: u8 = 0x80;
const MANDATORY: u8 = 0x40;
/// More are nobody's login.
const MAX_AVPS: usize = 32;

/// One AVP, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avp<'a> {
    pub(crate) vendor: u32,
    pub(crate) code: u32,
    pub(crate) mandatory: bool,
    pub(crate) data: &'a [u8],
}

/// All AVPs of a message; none when it is malformed.
pub(crate) fn parse(mut octets: &[u8]) -> Option<Vec<Avp<'_>>> {
    let mut avps = Vec::new();
    while !octets.is_empty() {
        if avps.len() == MAX_AVPS {
            return None;
        }
        let ([a, b, c, d, flags, x, y, z], rest) = octets.split_first_chunk::<8>()?;
        let code = u32::from_be_bytes([*a, *b, *c, *d]);
        let length = usize::try_from(u32::from_be_bytes([0, *x, *y, *z])).ok()?;
        let mut data = rest.get(..length.checked_sub(8)?)?;
        let mut vendor = 0;
        if flags & VENDOR != 0 {
            let (id, rest) = data.split_first_chunk::<4>()?;
            vendor = u32::from_be_bytes(*id);
            data = rest;
        }
        avps.push(Avp { vendor, code, mandatory: flags & MANDATORY != 0, data });
        // RFC 5281 §10.1: padded to four octets; the last one's padding may be missing in what peers send.
        octets = octets.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(avps)
}

/// Writes one AVP, mandatory, with padding.
pub(crate) fn write(vendor: u32, code: u32, data: &[u8]) -> Vec<u8> {
    let header = if vendor == 0 { 8 } else { 12 };
    let length = u32::try_from(data.len() + header).unwrap_or(0).to_be_bytes();
    let mut octets = code.to_be_bytes().to_vec();
    octets.push(MANDATORY | if vendor == 0 { 0 } else { VENDOR });
    octets.extend(length.get(1..).unwrap_or_default());
    if vendor != 0 {
        octets.extend(vendor.to_be_bytes());
    }
    octets.extend(data);
    octets.resize(octets.len().next_multiple_of(4), 0);
    octets
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn arbitrary_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&octets);
        }

        #[test]
        fn round_trip(list in prop::collection::vec((prop_oneof![Just(0u32), any::<u32>()], any::<u32>(), prop::collection::vec(any::<u8>(), 0..60)), 0..8)) {
            let octets: Vec<u8> = list.iter().flat_map(|(vendor, code, data)| write(*vendor, *code, data)).collect();
            let avps = parse(&octets).unwrap();
            let got: Vec<_> = avps.iter().map(|avp| (avp.vendor, avp.code, avp.data.to_vec())).collect();
            prop_assert_eq!(got, list);
        }

        #[test]
        fn a_length_beyond_the_end_is_refused(data in prop::collection::vec(any::<u8>(), 1..60)) {
            let octets = write(0, 1, &data);
            prop_assert_eq!(parse(&octets[..7 + data.len()]), None);
        }
    }
}
