//! The TLVs of EAP type 33 inside PEAPv0 (MS-PEAP §2.2.8).

/// Result TLV, mandatory bit set.
const RESULT: u16 = 0x8003;
/// Crypto-Binding TLV; the mandatory bit is not part of the number.
const CRYPTO_BINDING: u16 = 12;
/// Type field without mandatory and reserved bits.
const TYPE_MASK: u16 = 0x3fff;

/// Crypto-Binding TLV (MS-PEAP §2.2.8.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CryptoBinding {
    /// PEAP version that the sender of the TLV received.
    pub(crate) received_version: u8,
    /// From the peer.
    pub(crate) response: bool,
    /// The server's, copied by the peer.
    pub(crate) nonce: [u8; 32],
    /// Compound MAC.
    pub(crate) mac: [u8; 20],
}

impl CryptoBinding {
    /// The whole TLV, 60 octets.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(60);
        octets.extend(CRYPTO_BINDING.to_be_bytes());
        octets.extend(56u16.to_be_bytes());
        octets.extend([0, 0, self.received_version, u8::from(self.response)]);
        octets.extend(self.nonce);
        octets.extend(self.mac);
        octets
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let ([_reserved, _version, received_version, subtype], rest) = value.split_first_chunk::<4>()?;
        let (nonce, rest) = rest.split_first_chunk::<32>()?;
        let mac = rest.try_into().ok()?;
        let response = match subtype {
            0 => false,
            1 => true,
            _ => return None,
        };
        Some(Self { received_version: *received_version, response, nonce: *nonce, mac })
    }
}

/// What a TLV packet said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tlvs {
    pub(crate) result: Option<bool>,
    pub(crate) binding: Option<CryptoBinding>,
}

impl Tlvs {
    /// Type-data of EAP type 33. None when it is malformed.
    pub(crate) fn parse(mut octets: &[u8]) -> Option<Self> {
        let mut tlvs = Self::default();
        while !octets.is_empty() {
            let ([a, b, c, d], rest) = octets.split_first_chunk::<4>()?;
            let length = usize::from(u16::from_be_bytes([*c, *d]));
            let (value, rest) = rest.split_at_checked(length)?;
            match u16::from_be_bytes([*a, *b]) & TYPE_MASK {
                number if number == RESULT & TYPE_MASK => {
                    tlvs.result = Some(match u16::from_be_bytes(value.try_into().ok()?) {
                        1 => true,
                        2 => false,
                        _ => return None,
                    });
                }
                CRYPTO_BINDING => tlvs.binding = Some(CryptoBinding::parse(value)?),
                // Others are answered by nobody here; optional ones may be ignored (MS-PEAP §2.2.8.1).
                _ => {}
            }
            octets = rest;
        }
        Some(tlvs)
    }

    /// Type-data.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        if let Some(good) = self.result {
            octets.extend(RESULT.to_be_bytes());
            octets.extend(2u16.to_be_bytes());
            octets.extend(if good { 1u16 } else { 2 }.to_be_bytes());
        }
        if let Some(binding) = &self.binding {
            octets.extend(binding.write());
        }
        octets
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn arbitrary_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Tlvs::parse(&octets);
        }

        #[test]
        fn round_trip(result: Option<bool>, nonce: [u8; 32], mac: [u8; 20], response: bool, with: bool) {
            let binding = with.then_some(CryptoBinding { received_version: 0, response, nonce, mac });
            let tlvs = Tlvs { result, binding };
            prop_assert_eq!(Tlvs::parse(&tlvs.write()), Some(tlvs));
        }
    }
}
