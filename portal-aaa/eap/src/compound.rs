//! PEAPv0's compound keys: what binds the inner method to the tunnel (MS-PEAP §3.1.5.5.2).

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{Msk, packet::Type, tlv::CryptoBinding};

/// IPMK and CMK.
pub(crate) struct Compound {
    ipmk: Zeroizing<[u8; 40]>,
    cmk: Zeroizing<[u8; 20]>,
}

impl Compound {
    /// From the tunnel key (its first 60 octets are used) and the inner method's session key, which is zeros where
    /// the method makes none.
    pub(crate) fn new(tunnel_key: &[u8; 128], inner: &[u8; 32]) -> Self {
        let temporary = tunnel_key.get(..40).unwrap_or_default();
        let keys = Zeroizing::new(prf_plus::<60>(temporary, b"Inner Methods Compound Keys", inner));
        let mut ipmk = Zeroizing::new([0; 40]);
        let mut cmk = Zeroizing::new([0; 20]);
        ipmk.iter_mut().chain(cmk.iter_mut()).zip(keys.iter()).for_each(|(to, from)| *to = *from);
        Self { ipmk, cmk }
    }

    /// Compound MAC of a TLV: over the TLV with its MAC zeroed, then the outer type.
    pub(crate) fn mac(&self, binding: &CryptoBinding) -> [u8; 20] {
        let blank = CryptoBinding { mac: [0; 20], ..*binding };
        hmac(&*self.cmk, &[&blank.write(), &[Type::PEAP.0]])
    }

    /// Whether a received TLV was made by a holder of the same keys.
    pub(crate) fn verifies(&self, binding: &CryptoBinding) -> bool {
        self.mac(binding).ct_eq(&binding.mac).into()
    }

    /// The MSK once the binding has been checked.
    pub(crate) fn msk(&self) -> Msk {
        let octets = Zeroizing::new(prf_plus::<128>(&*self.ipmk, b"Session Key Generating Function", &[0]));
        let mut msk = [0; 64];
        msk.iter_mut().zip(octets.iter()).for_each(|(to, from)| *to = *from);
        Msk::new(msk)
    }
}

/// T1 = HMAC-SHA1(K, S ‖ 01 ‖ 00 ‖ 00), Tn = HMAC-SHA1(K, Tn-1 ‖ S ‖ n ‖ 00 ‖ 00) with S = label ‖ seed.
fn prf_plus<const N: usize>(key: &[u8], label: &[u8], seed: &[u8]) -> [u8; N] {
    let mut octets = [0; N];
    let mut previous: Vec<u8> = Vec::new();
    for (n, chunk) in (1u8..).zip(octets.chunks_mut(20)) {
        let block = hmac(key, &[&previous, label, seed, &[n, 0, 0]]);
        chunk.iter_mut().zip(block).for_each(|(to, from)| *to = from);
        previous = block.to_vec();
    }
    octets
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    // HMAC takes keys of every length, so this cannot fail; a wrong MAC would only be refused.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key) else { return [0; 20] };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_depend_on_both_halves() {
        let binding = CryptoBinding { received_version: 0, response: false, nonce: [1; 32], mac: [0; 20] };
        let one = Compound::new(&[1; 128], &[0; 32]);
        let mut made = binding.clone();
        made.mac = one.mac(&binding);
        assert!(one.verifies(&made));
        assert!(!Compound::new(&[2; 128], &[0; 32]).verifies(&made), "another tunnel");
        assert!(!Compound::new(&[1; 128], &[1; 32]).verifies(&made), "another inner method");
        made.nonce[0] ^= 1;
        assert!(!one.verifies(&made), "a changed TLV");
    }
}
