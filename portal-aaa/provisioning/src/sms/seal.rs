//! Who can read a message: HPKE (RFC 9180) in base mode from the device to the portal; the reply under a secret that
//! both export from the same context (§5.3), so that nobody but this device reads it and nobody but the portal made it.
//!
//! DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305 (RFC 9180 §7).

use std::{fmt, str::FromStr};

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit as _,
    aead::{Aead as _, Payload},
};
use data_encoding::BASE64URL_NOPAD;
use hpke::{
    Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _,
    aead::{AeadCtxS, ChaCha20Poly1305 as HpkeCipher},
    kdf::HkdfSha256,
    kem::X25519HkdfSha256 as Kem,
    setup_receiver, setup_sender,
};
use zeroize::{Zeroize, Zeroizing};

use super::{MAX_MESSAGE, PREFIX, REPLY, REQUEST, Reply, Request, SINGLE, SmsError};

/// Binds a context to this use of the keys, and to version 1.
const INFO: &[u8] = b"wifi-offload sms 1";
/// Exporter context of the reply's key.
const REPLY_KEY: &[u8] = b"reply";
/// X25519 public key.
const KEY: usize = 32;
/// RFC 8439 §2.8.
const NONCE: usize = 12;
const TAG: usize = 16;

type Sender = AeadCtxS<HpkeCipher, HkdfSha256, Kem>;

/// One of the portal's keys, to open requests with.
pub struct PortalKey {
    number: u8,
    private: <Kem as hpke::Kem>::PrivateKey,
    public: <Kem as hpke::Kem>::PublicKey,
}

/// What a device knows of it; as text 44 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey {
    number: u8,
    key: [u8; KEY],
}

/// What the device made of it for one request; as text like [`PublicKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Encapsulated {
    number: u8,
    key: [u8; KEY],
}

/// One request and its reply, at the device. Cannot be printed.
pub struct DeviceExchange {
    context: Sender,
    encapsulated: Encapsulated,
    reply: ReplyKey,
}

/// One request and its reply, at the portal. Cannot be printed.
pub struct PortalExchange {
    encapsulated: Encapsulated,
    reply: ReplyKey,
}

struct ReplyKey([u8; 32]);

impl Drop for ReplyKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl PortalKey {
    /// The key of this number from a secret of 32 octets or more that is used for nothing else (RFC 9180 §7.1.3).
    pub fn derive(number: u8, secret: &[u8; 32]) -> Self {
        let (private, public) = Kem::derive_keypair(secret);
        Self { number, private, public }
    }

    /// For the devices' configuration.
    pub fn public(&self) -> PublicKey {
        PublicKey { number: self.number, key: self.public.to_bytes().into() }
    }

    /// Takes part in an exchange of which only the key came, by a way of its own.
    pub fn accept(keys: &[Self], encapsulated: Encapsulated) -> Result<PortalExchange, SmsError> {
        receive(keys, encapsulated).map(|(_, exchange)| exchange)
    }

    /// Opens a request.
    pub fn open(keys: &[Self], message: &[u8]) -> Result<(Request, PortalExchange), SmsError> {
        let (header, rest) = kind(message, REQUEST)?;
        if message.len() > SINGLE {
            return Err(SmsError::TooLarge);
        }
        let (number, rest) = rest.split_first().ok_or(SmsError::Short("key"))?;
        let (key, sealed) = rest.split_first_chunk::<KEY>().ok_or(SmsError::Short("key"))?;
        let encapsulated = Encapsulated { number: *number, key: *key };
        let (mut context, exchange) = receive(keys, encapsulated)?;
        let clear = context.open(sealed, &[header, &[*number]].concat()).map_err(|_| SmsError::Seal)?;
        Ok((Request::read(&Zeroizing::new(clear))?, exchange))
    }
}

fn receive(
    keys: &[PortalKey],
    encapsulated: Encapsulated,
) -> Result<(hpke::aead::AeadCtxR<HpkeCipher, HkdfSha256, Kem>, PortalExchange), SmsError> {
    let ours = keys.iter().find(|key| key.number == encapsulated.number).ok_or(SmsError::Key)?;
    let key = <Kem as hpke::Kem>::EncappedKey::from_bytes(&encapsulated.key).map_err(|_| SmsError::Seal)?;
    let context = setup_receiver(&OpModeR::Base, &ours.private, &key, INFO).map_err(|_| SmsError::Seal)?;
    let mut reply = ReplyKey([0; 32]);
    context.export(REPLY_KEY, &mut reply.0).map_err(|_| SmsError::Seal)?;
    Ok((context, PortalExchange { encapsulated, reply }))
}

impl PortalExchange {
    /// The key that the device made for it: new with each request, so that one that comes again is known by it.
    pub fn encapsulated(&self) -> Encapsulated {
        self.encapsulated
    }

    /// The reply as one message, to be cut into parts.
    pub fn seal(&self, reply: &Reply) -> Result<Vec<u8>, SmsError> {
        let clear = reply.write()?;
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| SmsError::Random)?;
        let header = [PREFIX[0], PREFIX[1], REPLY];
        let sealed = self
            .reply
            .cipher()
            .encrypt(&nonce.into(), Payload { msg: &clear, aad: &header })
            .map_err(|_| SmsError::Seal)?;
        let message = [&header[..], &nonce, &sealed].concat();
        if message.len() <= MAX_MESSAGE { Ok(message) } else { Err(SmsError::TooLarge) }
    }
}

impl DeviceExchange {
    /// A new one, with keys of its own.
    pub fn new(portal: &PublicKey) -> Result<Self, SmsError> {
        // The library would panic where there is none.
        getrandom::fill(&mut [0; 1]).map_err(|_| SmsError::Random)?;
        let key = <Kem as hpke::Kem>::PublicKey::from_bytes(&portal.key).map_err(|_| SmsError::Key)?;
        let made = setup_sender::<HpkeCipher, HkdfSha256, Kem>(&OpModeS::Base, &key, INFO);
        let (encapsulated, context) = made.map_err(|_| SmsError::Key)?;
        let mut reply = ReplyKey([0; 32]);
        context.export(REPLY_KEY, &mut reply.0).map_err(|_| SmsError::Seal)?;
        let encapsulated = Encapsulated { number: portal.number, key: encapsulated.to_bytes().into() };
        Ok(Self { context, encapsulated, reply })
    }

    /// What the portal needs to take part.
    pub fn encapsulated(&self) -> Encapsulated {
        self.encapsulated
    }

    /// The request as one short message.
    pub fn seal(&mut self, request: &Request) -> Result<Vec<u8>, SmsError> {
        let header = [PREFIX[0], PREFIX[1], REQUEST, self.encapsulated.number];
        let room = SINGLE - header.len() - KEY - TAG;
        let clear = request.write(room)?;
        let sealed = self.context.seal(&clear, &header).map_err(|_| SmsError::Seal)?;
        Ok([&header[..], &self.encapsulated.key, &sealed].concat())
    }

    /// Opens a reply to this exchange; [`SmsError::Seal`] where it is one to another.
    pub fn open(&self, message: &[u8]) -> Result<Reply, SmsError> {
        let (header, rest) = kind(message, REPLY)?;
        if message.len() > MAX_MESSAGE {
            return Err(SmsError::TooLarge);
        }
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>().ok_or(SmsError::Short("nonce"))?;
        let clear = self
            .reply
            .cipher()
            .decrypt(&(*nonce).into(), Payload { msg: sealed, aad: header })
            .map_err(|_| SmsError::Seal)?;
        Reply::read(&Zeroizing::new(clear))
    }
}

impl ReplyKey {
    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new(&self.0.into())
    }
}

/// Prefix and kind, and what follows.
fn kind(message: &[u8], expected: u8) -> Result<(&[u8], &[u8]), SmsError> {
    if !super::is_ours(message) {
        return Err(SmsError::Foreign);
    }
    let (header, rest) = message.split_at_checked(PREFIX.len() + 1).ok_or(SmsError::Short("kind"))?;
    if header.last() == Some(&expected) { Ok((header, rest)) } else { Err(SmsError::Version) }
}

macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut octets = [0; 1 + KEY];
                octets[0] = self.number;
                octets[1..].copy_from_slice(&self.key);
                f.write_str(&BASE64URL_NOPAD.encode(&octets))
            }
        }

        impl FromStr for $name {
            type Err = SmsError;

            fn from_str(text: &str) -> Result<Self, SmsError> {
                let octets = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| SmsError::Key)?;
                match octets.as_slice() {
                    [number, key @ ..] => {
                        let key = key.try_into().map_err(|_| SmsError::Key)?;
                        Ok(Self { number: *number, key })
                    }
                    [] => Err(SmsError::Key),
                }
            }
        }
    )*};
}
as_text!(PublicKey, Encapsulated);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
