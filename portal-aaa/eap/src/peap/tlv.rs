//! The TLVs that end a PEAP conversation: result and crypto-binding (MS-PEAP §2.2.8).

use super::CryptoBinding;

/// Type field without its two flag bits.
const TYPE_MASK: u16 = 0x3FFF;
/// Who does not know the type must refuse the packet.
const MANDATORY: u16 = 0x8000;
const RESULT: u16 = 3;
const CRYPTO_BINDING: u16 = 12;

/// Value of the Result TLV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome(pub(crate) u16);

impl Outcome {
    pub(crate) const SUCCESS: Self = Self(1);
    pub(crate) const FAILURE: Self = Self(2);
}

/// The TLVs of a packet that mean something here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tlvs {
    pub(crate) result: Option<Outcome>,
    pub(crate) binding: Option<CryptoBinding>,
    /// There was a mandatory one of an unknown type.
    pub(crate) unknown_mandatory: bool,
}

impl Tlvs {
    /// Octets of both together.
    pub(crate) const LEN: usize = 66;

    /// Reads the data of an EAP packet of type 33. `None`: broken.
    pub(crate) fn parse(mut data: &[u8]) -> Option<Self> {
        let mut tlvs = Self::default();
        while !data.is_empty() {
            let (&[kind_high, kind_low, high, low], rest) = data.split_first_chunk()?;
            let kind = u16::from_be_bytes([kind_high, kind_low]);
            let length = usize::from(u16::from_be_bytes([high, low]));
            let (value, rest) = rest.split_at_checked(length)?;
            match kind & TYPE_MASK {
                RESULT => tlvs.result = Some(Outcome(u16::from_be_bytes(*value.first_chunk()?))),
                // The MAC covers the header too, flags as they came.
                CRYPTO_BINDING => {
                    tlvs.binding = Some(CryptoBinding::new(data.get(..4 + length)?.try_into().ok()?))
                }
                _ => tlvs.unknown_mandatory |= kind & MANDATORY != 0,
            }
            data = rest;
        }
        Some(tlvs)
    }

    /// Appends result, then crypto-binding.
    pub(crate) fn write(&self, octets: &mut Vec<u8>) {
        if let Some(Outcome(result)) = self.result {
            for field in [MANDATORY | RESULT, 2, result] {
                octets.extend_from_slice(&field.to_be_bytes());
            }
        }
        if let Some(binding) = &self.binding {
            octets.extend_from_slice(binding.octets());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn broken_tlvs_are_refused() {
        for broken in [&[0x80, 3][..], &[0x80, 3, 0, 2, 0], &[0x80, 3, 0, 1, 0], &[0, 12, 0, 1, 0]] {
            assert_eq!(Tlvs::parse(broken), None, "{broken:?}");
        }
        assert_eq!(Tlvs::parse(&[]), Some(Tlvs::default()));
    }

    #[test]
    fn only_mandatory_strangers_matter() {
        assert!(!Tlvs::parse(&[0, 99, 0, 1, 7]).unwrap().unknown_mandatory);
        assert!(Tlvs::parse(&[0x80, 99, 0, 0]).unwrap().unknown_mandatory);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(result: u16, binding: [u8; 28], nonce: [u8; 28]) {
            let mut octets = [&[0, 12, 0, 56], &binding[..], &nonce[..]].concat();
            octets[0] = 0;
            let binding = CryptoBinding::new(octets.try_into().unwrap());
            let tlvs = Tlvs { result: Some(Outcome(result)), binding: Some(binding), unknown_mandatory: false };
            let mut octets = Vec::new();
            tlvs.write(&mut octets);
            prop_assert_eq!((Tlvs::parse(&octets), octets.len()), (Some(tlvs), Tlvs::LEN));
            for cut in (1..6).chain(7..octets.len()) {
                prop_assert_eq!(Tlvs::parse(&octets[..cut]), None);
            }
        }

        #[test]
        fn any_octets_are_tlvs_or_none(octets in proptest::collection::vec(any::<u8>(), 0..99)) {
            let _ = Tlvs::parse(&octets);
        }
    }
}
