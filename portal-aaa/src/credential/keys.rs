//! The server's keys and what is done with them: identifiers hashed to be found, secrets sealed to be kept.
//!
//! Five purposes, five keys, so that none can be used against another: `data` seals columns of the database
//! (AES-256-SIV, RFC 5297), `identifier` hashes IMSI and IMEI (HMAC-SHA-256, RFC 2104), `token` seals usernames
//! (one key an epoch), `password` derives passwords, `signing` signs policies (Ed25519). [`super::keyfile`] keeps them on disk.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock, RwLockReadGuard},
};

use aes_siv::{KeyInit as _, siv::Aes256Siv};
use hmac::{Hmac, Mac as _};
use provisioning::{
    identity::{Imei, Imsi},
    signed::{MAX_KEYS, PolicyKey, PolicySigner},
};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use super::Msisdn;
use crate::store::{Client, ClientKind, Handle, Sealed};

/// AES-256-SIV takes two AES keys in one (RFC 5297 §2.2).
pub(super) const SIV_KEY: usize = 64;
/// HMAC-SHA-256: as long as its output (RFC 2104 §3).
pub(super) const HMAC_KEY: usize = 32;

/// Ed25519 (RFC 8032 §5.1.5).
pub(super) const SEED: usize = 32;

/// All keys of an installation. Cannot be printed; cleared from memory when it goes.
pub struct Keys {
    pub(super) data: [u8; SIV_KEY],
    pub(super) identifier: [u8; HMAC_KEY],
    pub(super) password: [u8; HMAC_KEY],
    pub(super) ring: RwLock<Ring>,
}

/// The keys that are changed from time to time, while the program runs.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Ring {
    pub(super) tokens: BTreeMap<u8, [u8; SIV_KEY]>,
    /// Which of them new usernames are sealed with. The others open old ones, or are not used yet.
    pub(super) epoch: u8,
    /// Seeds of the keys that sign policies; installations of before 0.2.0 have none until `keys rotate` makes one.
    pub(super) signing: BTreeMap<u8, [u8; SEED]>,
    /// Which of them signs. The others are announced, or were used before.
    pub(super) signs: u8,
}

/// What a sealed value is, so that one cannot be taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// IMSI of a credential; the owner is its username.
    Imsi,
    /// IMEI of a credential; the owner is its username.
    Imei,
    /// IMSI of a listed subscriber; the owner is its handle in hexadecimal.
    SubscriberImsi,
    /// MSISDN of a listed subscriber; the owner is the handle of the IMSI in hexadecimal.
    SubscriberMsisdn,
    /// Password of a credential; the owner is its username.
    Password,
    /// Password of an account; the owner is its name.
    Account,
    /// Shared secret of a NAS; the owner is its name.
    NasSecret,
    /// Shared secret of a packet gateway; the owner is its name.
    GatewaySecret,
}

/// The key file is another installation's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the keys are those of another installation: only `epoch`, `tokens`, `policy_key` and `policies` may change"
)]
pub struct OtherKeys;

/// A sealed value does not open: damaged, moved to another row, or sealed with other keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value in the database does not open with the keys of this installation")]
pub struct SealError;

impl Keys {
    /// Handle of a subscriber.
    pub fn handle_imsi(&self, imsi: &Imsi) -> Handle {
        Handle(hmac(&self.identifier, &[b"imsi\0", imsi.expose().as_bytes()]))
    }

    /// Handle of an equipment: IMEI and IMEISV of one device give the same (3GPP TS 23.003 §6.2).
    pub fn handle_imei(&self, imei: &Imei) -> Handle {
        Handle(hmac(&self.identifier, &[b"imei\0", imei.equipment().as_bytes()]))
    }

    /// Handle of a telephone number.
    pub fn handle_msisdn(&self, msisdn: &Msisdn) -> Handle {
        Handle(hmac(&self.identifier, &[b"msisdn\0", msisdn.expose().as_bytes()]))
    }

    /// The secret that the portal's key of this number for requests by SMS is made of.
    pub fn sms(&self, number: u8) -> [u8; 32] {
        self.hash(b"sms-key\0", &[number])
    }

    /// Keyed hash of something that is no identifier, under a label of its own.
    pub(super) fn hash(&self, label: &[u8], value: &[u8]) -> [u8; 32] {
        hmac(&self.identifier, &[label, value])
    }

    /// Seals `clear` for `owner`'s row. The same input gives the same octets, so a repeated write changes nothing.
    pub fn seal(&self, purpose: Purpose, owner: &str, clear: &[u8]) -> Result<Sealed, SealError> {
        siv(&self.data).encrypt([purpose.label(), owner.as_bytes()], clear).map(Sealed).map_err(|_| SealError)
    }

    /// Opens what [`Self::seal`] made of the same purpose and owner.
    pub fn open(
        &self,
        purpose: Purpose,
        owner: &str,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        siv(&self.data)
            .decrypt([purpose.label(), owner.as_bytes()], &sealed.0)
            .map(Zeroizing::new)
            .map_err(|_| SealError)
    }

    /// What signs policies; none where this installation has no key for it.
    pub fn policy_signer(&self) -> Option<PolicySigner> {
        let ring = self.ring();
        ring.signing.get(&ring.signs).and_then(|seed| PolicySigner::from_seed(seed).ok())
    }

    /// Keys that may sign the next policy: the one in use first, then those to come; see [`provisioning::signed`].
    pub fn policy_keys(&self) -> Vec<PolicyKey> {
        let ring = self.ring();
        let public = |seed| PolicySigner::from_seed(seed).map(|signer| signer.public()).ok();
        ring.signing.range(ring.signs..).filter_map(|(_, seed)| public(seed)).take(MAX_KEYS).collect()
    }

    /// Epoch that new usernames are sealed in, and all whose usernames are understood.
    pub fn epochs(&self) -> (u8, Vec<u8>) {
        let ring = self.ring();
        (ring.epoch, ring.tokens.keys().copied().collect())
    }

    /// Takes over what `newer` has of the keys that change. Refused where the others differ: it is another installation's.
    /// True when something changed.
    pub fn take_over(&self, newer: &Self) -> Result<bool, OtherKeys> {
        let same =
            self.data == newer.data && self.identifier == newer.identifier && self.password == newer.password;
        if !same {
            return Err(OtherKeys);
        }
        let new = newer.ring().clone();
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        let changed = *ring != new;
        *ring = new;
        Ok(changed)
    }

    pub(super) fn ring(&self) -> RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seals the shared secret of a RADIUS client.
    pub fn seal_secret(&self, kind: ClientKind, name: &str, secret: &[u8]) -> Result<Sealed, SealError> {
        self.seal(Purpose::secret(kind), name, secret)
    }

    /// Opens the shared secret of a RADIUS client.
    pub fn open_secret(&self, client: &Client) -> Result<Zeroizing<Vec<u8>>, SealError> {
        self.open(Purpose::secret(client.kind), &client.name, &client.secret)
    }
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Imsi => b"imsi",
            Self::Imei => b"imei",
            Self::SubscriberImsi => b"subscriber-imsi",
            Self::SubscriberMsisdn => b"subscriber-msisdn",
            Self::Password => b"password",
            Self::Account => b"account",
            Self::NasSecret => b"nas-secret",
            Self::GatewaySecret => b"gateway-secret",
        }
    }

    fn secret(kind: ClientKind) -> Self {
        match kind {
            ClientKind::Nas => Self::NasSecret,
            ClientKind::Gateway => Self::GatewaySecret,
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.data.zeroize();
        self.identifier.zeroize();
        self.password.zeroize();
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.tokens.values_mut().for_each(Zeroize::zeroize);
        self.signing.values_mut().for_each(Zeroize::zeroize);
    }
}

pub(super) fn siv(key: &[u8; SIV_KEY]) -> Aes256Siv {
    Aes256Siv::new(key.into())
}

/// HMAC-SHA-256 over the parts, one after the other.
pub(super) fn hmac(key: &[u8; HMAC_KEY], parts: &[&[u8]]) -> [u8; 32] {
    // RFC 2104 §2: a key shorter than the hash's block is filled up with zeros. Done here, nothing can fail.
    let mut block = Zeroizing::new([0u8; 64]);
    for (slot, octet) in block.iter_mut().zip(key) {
        *slot = *octet;
    }
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
impl Keys {
    /// Keys that are the same in each run; `seed` makes different ones.
    pub(crate) fn fixed(seed: u8) -> Self {
        Self {
            data: [seed; SIV_KEY],
            identifier: [seed.wrapping_add(1); HMAC_KEY],
            password: [seed.wrapping_add(2); HMAC_KEY],
            ring: RwLock::new(Ring {
                tokens: BTreeMap::from([(1, [seed.wrapping_add(3); SIV_KEY])]),
                epoch: 1,
                signing: BTreeMap::from([(1, [seed.wrapping_add(4); SEED])]),
                signs: 1,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hmac_is_that_of_the_standard() {
        // RFC 4231 §4.2 has a key of 20 octets; zeros after it are the same key.
        let mut key = [0; HMAC_KEY];
        key[..20].fill(0x0b);
        let hex = data_encoding::HEXLOWER.encode(&hmac(&key, &[b"Hi ", b"There"]));
        assert_eq!(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    }

    #[test]
    fn imei_and_imeisv_have_one_handle_and_imsi_another() {
        let keys = Keys::fixed(7);
        let imei = keys.handle_imei(&"490154203237518".parse().unwrap());
        assert_eq!(imei, keys.handle_imei(&"4901542032375101".parse().unwrap()));
        assert_ne!(imei, keys.handle_imei(&"490154203237618".parse().unwrap()));
        assert_ne!(imei, keys.handle_imsi(&"490154203237518".parse().unwrap()));
        assert_ne!(imei, Keys::fixed(8).handle_imei(&"490154203237518".parse().unwrap()));
    }

    #[test]
    fn sealed_values_stay_in_their_row() {
        let keys = Keys::fixed(7);
        let sealed = keys.seal(Purpose::Imsi, "a@x", b"001010123456789").unwrap();
        assert_eq!(**keys.open(Purpose::Imsi, "a@x", &sealed).unwrap(), *b"001010123456789");
        assert_eq!(keys.open(Purpose::Imei, "a@x", &sealed), Err(SealError));
        assert_eq!(keys.open(Purpose::Imsi, "b@x", &sealed), Err(SealError));
        assert_eq!(Keys::fixed(8).open(Purpose::Imsi, "a@x", &sealed), Err(SealError));
    }

    proptest! {
        #[test]
        fn seal_round_trips(clear in proptest::collection::vec(any::<u8>(), 0..80), owner in ".{0,20}") {
            let keys = Keys::fixed(1);
            let sealed = keys.seal(Purpose::Password, &owner, &clear).unwrap();
            prop_assert_eq!(&**keys.open(Purpose::Password, &owner, &sealed).unwrap(), &clear);
        }

        #[test]
        fn arbitrary_octets_do_not_open(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(Keys::fixed(1).open(Purpose::Password, "o", &Sealed(octets)), Err(SealError));
        }
    }
}
