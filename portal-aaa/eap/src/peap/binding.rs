//! Crypto-binding: proof that the ends of the tunnel and of the inner method are the same two
//! (MS-PEAP §2.2.8.1.1, §3.1.5.5.2; on TLS 1.3 with the tunnel key of RFC 9427 §2.5).

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{key::Msk, packet::Type};

/// Octets of the TLV with its header.
const TLV: usize = 60;
const MAC: usize = 20;
const NONCE: usize = 32;
/// Octets of tunnel key material of which the keys are made.
const TEMP_KEY: usize = 40;
const IPMK: usize = 40;
const CMK: usize = 20;
/// Octets of the inner key that go in, padded with zeros.
const INNER_KEY: usize = 32;

// MS-PEAP §3.1.5.5.2.2: one label goes in as it is, the other with a NUL behind it.
const COMPOUND_LABEL: &[u8] = b"Inner Methods Compound Keys";
const SESSION_LABEL: &[u8] = b"Session Key Generating Function\0";

/// Fourth octet of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subtype(pub(crate) u8);

impl Subtype {
    pub(crate) const REQUEST: Self = Self(0);
    pub(crate) const RESPONSE: Self = Self(1);
}

/// The TLV as it is on the wire: type 12, length 56, reserved, version, received version, subtype, nonce, MAC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CryptoBinding([u8; TLV]);

impl CryptoBinding {
    /// Takes the octets over.
    pub(crate) fn new(octets: [u8; TLV]) -> Self {
        Self(octets)
    }

    /// A TLV of version 0 with its MAC.
    pub(crate) fn sign(keys: &CompoundKeys, subtype: Subtype, nonce: &[u8; NONCE]) -> Self {
        let mut octets = [0; TLV];
        let start = [0, 12, 0, 56, 0, 0, 0, subtype.0];
        for (place, octet) in octets.iter_mut().zip(start.iter().chain(nonce)) {
            *place = *octet;
        }
        let mac = keys.mac(&octets);
        for (place, octet) in octets.iter_mut().rev().zip(mac.iter().rev()) {
            *place = *octet;
        }
        Self(octets)
    }

    /// Is it what the holder of the same keys would write?
    pub(crate) fn is_genuine(&self, keys: &CompoundKeys, subtype: Subtype) -> bool {
        let [_, _, _, _, _, version, _, kind, ..] = self.0;
        // The third octet, the version that the sender received, is of no use where there is only one version.
        version == 0 && Subtype(kind) == subtype && bool::from(keys.mac(&self.0).ct_eq(self.mac()))
    }

    pub(crate) fn nonce(&self) -> [u8; NONCE] {
        self.0.get(8..8 + NONCE).and_then(|nonce| nonce.try_into().ok()).unwrap_or([0; NONCE])
    }

    pub(crate) fn octets(&self) -> &[u8] {
        &self.0
    }

    fn mac(&self) -> &[u8] {
        self.0.split_at(TLV - MAC).1
    }
}

/// Keys that follow from tunnel and inner method: IPMK, then CMK.
pub(crate) struct CompoundKeys(Zeroizing<[u8; IPMK + CMK]>);

impl CompoundKeys {
    /// `tunnel`: key material of the TLS exporter, 60 octets or more. `inner`: key of the inner method, empty if it
    /// has none.
    pub(crate) fn derive(tunnel: &[u8], inner: &[u8]) -> Self {
        let mut padded = Zeroizing::new([0; INNER_KEY]);
        for (place, octet) in padded.iter_mut().zip(inner) {
            *place = *octet;
        }
        let temp_key = tunnel.get(..TEMP_KEY).unwrap_or(tunnel);
        Self(prf_plus(temp_key, &[COMPOUND_LABEL, &*padded]))
    }

    /// Of a session that is resumed, where there is no inner method: the tunnel key itself.
    pub(crate) fn of_tunnel(tunnel: &[u8]) -> Self {
        let mut keys = Zeroizing::new([0; IPMK + CMK]);
        for (place, octet) in keys.iter_mut().zip(tunnel) {
            *place = *octet;
        }
        Self(keys)
    }

    /// The session key that takes the tunnel's place once the binding is proved: the first half of 128 octets.
    pub(crate) fn msk(&self) -> Option<Msk> {
        // The other half of the 128 octets would be for an EMSK, which MS-PEAP does not have.
        Msk::cut(&*prf_plus::<{ Msk::LEN }>(self.0.get(..IPMK)?, &[SESSION_LABEL, &[]]))
    }

    /// Compound MAC: over the TLV, its MAC zero, and the octet of the outer type.
    fn mac(&self, tlv: &[u8; TLV]) -> [u8; MAC] {
        let signed = tlv.split_at(TLV - MAC).0;
        let cmk = self.0.get(IPMK..).unwrap_or_default();
        hmac_sha1(cmk, &[signed, &[0; MAC], &[Type::PEAP.0]])
    }
}

/// MS-PEAP §3.1.5.5.2.1 PRF+: T1 = HMAC(key, seed ‖ 01 00 00), Tn = HMAC(key, Tn-1 ‖ seed ‖ n 00 00).
fn prf_plus<const N: usize>(key: &[u8], seed: &[&[u8]; 2]) -> Zeroizing<[u8; N]> {
    let [first, second] = *seed;
    let mut output = Zeroizing::new([0; N]);
    let mut block = Zeroizing::new([0; MAC]);
    for (counter, places) in (1..=u8::MAX).zip(output.chunks_mut(MAC)) {
        let previous: &[u8] = if counter == 1 { &[] } else { &*block };
        *block = hmac_sha1(key, &[previous, first, second, &[counter, 0, 0]]);
        for (place, octet) in places.iter_mut().zip(&*block) {
            *place = *octet;
        }
    }
    output
}

fn hmac_sha1(key: &[u8], parts: &[&[u8]]) -> [u8; MAC] {
    // HMAC takes keys of any length; the constructor's error cannot come up.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key) else { return [0; MAC] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prf_plus_is_the_written_rule() {
        let t1 = hmac_sha1(b"key", &[b"seed\x01\0\0"]);
        let t2 = hmac_sha1(b"key", &[&t1, b"seed\x02\0\0"]);
        assert_eq!(prf_plus::<30>(b"key", &[b"se", b"ed"])[..], [&t1[..], &t2[..10]].concat());
        assert_eq!(*prf_plus::<20>(b"key", &[b"seed", b""]), t1);
    }

    #[test]
    fn every_octet_of_the_tlv_is_protected() {
        let keys = CompoundKeys::derive(&[1; 128], &[2; 32]);
        let binding = CryptoBinding::sign(&keys, Subtype::REQUEST, &[3; NONCE]);
        assert_eq!(binding.nonce(), [3; NONCE]);
        assert!(binding.is_genuine(&keys, Subtype::REQUEST));
        assert!(!binding.is_genuine(&keys, Subtype::RESPONSE));
        for place in 0..TLV {
            let mut octets = binding.0;
            octets[place] ^= 1;
            assert!(!CryptoBinding(octets).is_genuine(&keys, Subtype::REQUEST), "octet {place}");
        }
    }

    #[test]
    fn another_tunnel_or_another_inner_key_does_not_fit() {
        let keys = CompoundKeys::derive(&[1; 128], &[2; 32]);
        let binding = CryptoBinding::sign(&keys, Subtype::RESPONSE, &[3; NONCE]);
        for (tunnel, inner) in [([9; 128], &[2; 32][..]), ([1; 128], &[9; 32]), ([1; 128], &[])] {
            let other = CompoundKeys::derive(&tunnel, inner);
            assert!(!binding.is_genuine(&other, Subtype::RESPONSE));
            assert_ne!(other.msk(), keys.msk());
        }
        let resumed = CompoundKeys::of_tunnel(&[1; 128]);
        assert_eq!(*resumed.0, [1; 60]);
        assert!(!binding.is_genuine(&resumed, Subtype::RESPONSE));
        // A method without a key counts as zeros.
        assert_eq!(CompoundKeys::derive(&[1; 60], &[]).msk(), CompoundKeys::derive(&[1; 60], &[0; 32]).msk());
    }
}
