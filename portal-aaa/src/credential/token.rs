//! The username: a sealed token `epoch ‖ AES-SIV(subscriber, MAC, time, lifetime, class, nonce)` in base32, so
//! that any node with the keys can tell a genuine one, and whose and until when, without a database (DESIGN §6).
//!
//! 39 octets are 63 characters, which everything between device and AAA bears
//! ([RFC 2865 §5.1](https://www.rfc-editor.org/rfc/rfc2865#section-5.1)); lower-case base32
//! ([RFC 4648 §6](https://www.rfc-editor.org/rfc/rfc4648#section-6)) survives whoever changes the case. Pure:
//! [`super::issue`] makes tokens, [`super::check`] reads them.

use data_encoding::{BASE32_NOPAD, BASE32_NOPAD_NOCASE};
use provisioning::{identity::Mac, secret::Password};
use zeroize::Zeroizing;

use super::{
    Keys, Lifetime,
    keys::{hmac, siv},
};

/// Octets of a token: epoch, SIV, and what is sealed.
pub const TOKEN: usize = 1 + 16 + CLEAR;
/// Characters of a token in a username.
pub const OPAQUE: usize = 63;
/// Characters of a password: five bits each, 130 in all.
pub const PASSWORD: usize = 26;

const CLEAR: usize = 22;

/// Good for one login.
const ONE_TIME: u8 = 0x01;
/// For any WLAN card; the MAC field is more nonce.
const UNBOUND: u8 = 0x02;
/// Lifetime counts hours instead of seconds; 0 is none.
const HOURS: u8 = 0x04;
const KNOWN_FLAGS: u8 = ONE_TIME | UNBOUND | HOURS;

const MAX_LIFETIME_FIELD: u64 = 0x00ff_ffff;
const HOUR_SECS: u64 = 3600;

/// What a username says once it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// First octets of the subscriber's handle, to find its records without the username.
    pub subscriber: [u8; 6],
    /// The WLAN card that it is good for; none for any.
    pub mac: Option<Mac>,
    /// Seconds since 1970.
    pub issued_at: u32,
    /// Seconds; none until revoked.
    pub lifetime_secs: Option<u64>,
    /// Good for one login.
    pub one_time: bool,
}

/// Not a token of these keys and this realm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadToken;

/// Names a token: its synthetic initialization vector, which no two tokens share.
pub type TokenId = [u8; 16];

/// Which token a username is, in any case, without asking whether it is genuine. None if it cannot be one.
pub fn id(username: &str) -> Option<TokenId> {
    let (opaque, _) = username.rsplit_once('@')?;
    raw(opaque).as_ref().and_then(id_of)
}

/// The epoch of a username's key.
pub fn epoch(username: &str) -> Option<u8> {
    let (opaque, _) = username.rsplit_once('@')?;
    raw(opaque).map(|[epoch, ..]| epoch)
}

/// A token with what follows from it.
pub struct Opened {
    /// Which one.
    pub id: TokenId,
    /// What it says.
    pub token: Token,
    /// The password that goes with it.
    pub password: Password,
}

impl Token {
    /// `lifetime` as a token can say it: in seconds up to half a year, rounded up to whole hours above.
    pub fn lifetime_secs(lifetime: Lifetime) -> Option<u64> {
        match lifetime {
            Lifetime::Device | Lifetime::OneTime => None,
            Lifetime::Seconds(seconds) => match u64::from(seconds.get()) {
                seconds if seconds <= MAX_LIFETIME_FIELD => Some(seconds),
                seconds => Some(seconds.div_ceil(HOUR_SECS) * HOUR_SECS),
            },
        }
    }

    /// First second in which it is no longer good.
    pub fn expires_at(&self) -> Option<u64> {
        self.lifetime_secs.map(|secs| u64::from(self.issued_at) + secs)
    }

    /// Username and password. `nonce` makes both new each time (claims 1 and 7): two octets, eight when
    /// no card is named.
    pub fn seal(&self, keys: &Keys, realm: &str, nonce: [u8; 8]) -> Result<(String, Password), BadToken> {
        let ring = keys.ring();
        let epoch = ring.epoch;
        let key = ring.tokens.get(&epoch).ok_or(BadToken)?;
        let sealed = siv(key).encrypt(headers(&epoch, realm), &*self.encode(nonce)?).map_err(|_| BadToken)?;
        let mut octets = vec![epoch];
        octets.extend_from_slice(&sealed);
        let mut username = BASE32_NOPAD.encode(&octets);
        username.make_ascii_lowercase();
        username.push('@');
        username.push_str(realm);
        Ok((username, password(keys, &octets)))
    }

    /// Opens the part of a username before the `@`, in any case.
    pub fn open(keys: &Keys, realm: &str, opaque: &str) -> Result<Opened, BadToken> {
        let octets = raw(opaque).ok_or(BadToken)?;
        let id = id_of(&octets).ok_or(BadToken)?;
        let (&epoch, sealed) = octets.split_first().ok_or(BadToken)?;
        let ring = keys.ring();
        let key = ring.tokens.get(&epoch).ok_or(BadToken)?;
        let clear =
            siv(key).decrypt(headers(&epoch, realm), sealed).map(Zeroizing::new).map_err(|_| BadToken)?;
        let token = Self::decode(clear.as_slice().try_into().map_err(|_| BadToken)?)?;
        Ok(Opened { id, token, password: password(keys, &octets) })
    }

    fn encode(&self, nonce: [u8; 8]) -> Result<Zeroizing<[u8; CLEAR]>, BadToken> {
        let [n0, n1, rest @ ..] = nonce;
        let mut flags = 0;
        let mac = self.mac.map_or(rest, |mac| mac.0);
        if self.mac.is_none() {
            flags |= UNBOUND;
        }
        if self.one_time {
            flags |= ONE_TIME;
        }
        let field = match self.lifetime_secs {
            Some(0) => return Err(BadToken),
            Some(secs) if secs > MAX_LIFETIME_FIELD => {
                flags |= HOURS;
                if secs % HOUR_SECS != 0 || secs / HOUR_SECS > MAX_LIFETIME_FIELD {
                    return Err(BadToken);
                }
                secs / HOUR_SECS
            }
            secs => secs.unwrap_or(0),
        };
        let [_, _, _, _, _, l0, l1, l2] = field.to_be_bytes();
        let [s0, s1, s2, s3, s4, s5] = self.subscriber;
        let [m0, m1, m2, m3, m4, m5] = mac;
        let [i0, i1, i2, i3] = self.issued_at.to_be_bytes();
        Ok(Zeroizing::new([
            s0, s1, s2, s3, s4, s5, m0, m1, m2, m3, m4, m5, i0, i1, i2, i3, l0, l1, l2, flags, n0, n1,
        ]))
    }

    fn decode(clear: &[u8; CLEAR]) -> Result<Self, BadToken> {
        let [s0, s1, s2, s3, s4, s5, m0, m1, m2, m3, m4, m5, i0, i1, i2, i3, l0, l1, l2, flags, _, _] =
            *clear;
        if flags & !KNOWN_FLAGS != 0 {
            return Err(BadToken);
        }
        let unit = if flags & HOURS == 0 { 1 } else { HOUR_SECS };
        let lifetime = u64::from(u32::from_be_bytes([0, l0, l1, l2])) * unit;
        Ok(Self {
            subscriber: [s0, s1, s2, s3, s4, s5],
            mac: (flags & UNBOUND == 0).then_some(Mac([m0, m1, m2, m3, m4, m5])),
            issued_at: u32::from_be_bytes([i0, i1, i2, i3]),
            lifetime_secs: (lifetime != 0).then_some(lifetime),
            one_time: flags & ONE_TIME != 0,
        })
    }
}

/// The octets of a username's part before the `@`.
fn raw(opaque: &str) -> Option<[u8; TOKEN]> {
    let mut octets = [0; TOKEN];
    // 63 characters have three bits more than the octets need, so the length is that of the decoder, no other.
    if opaque.len() != OPAQUE || BASE32_NOPAD_NOCASE.decode_len(opaque.len()) != Ok(TOKEN) {
        return None;
    }
    BASE32_NOPAD_NOCASE.decode_mut(opaque.as_bytes(), &mut octets).ok().map(|_| octets)
}

fn id_of(octets: &[u8; TOKEN]) -> Option<TokenId> {
    octets.get(1..17)?.try_into().ok()
}

/// Bound into the seal, so that a token of one realm or epoch is none of another.
fn headers<'a>(epoch: &'a u8, realm: &'a str) -> [&'a [u8]; 2] {
    [std::slice::from_ref(epoch), realm.as_bytes()]
}

/// Follows from the token: who holds the keys can check a password that was never stored for him.
fn password(keys: &Keys, token: &[u8]) -> Password {
    let derived = Zeroizing::new(hmac(&keys.password, &[b"password\0", token]));
    let mut text = BASE32_NOPAD.encode(&*derived);
    text.truncate(PASSWORD);
    text.make_ascii_lowercase();
    Password::new(text)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    const REALM: &str = "operator.example";

    prop_compose! {
        fn tokens()(
            subscriber: [u8; 6],
            mac in proptest::option::of(any::<[u8; 6]>()),
            issued_at: u32,
            seconds in proptest::option::of(1u32..),
            one_time: bool,
        ) -> Token {
            let lifetime = seconds.map_or(Lifetime::Device, |s| Lifetime::Seconds(NonZeroU32::new(s).unwrap()));
            Token { subscriber, mac: mac.map(Mac), issued_at, lifetime_secs: Token::lifetime_secs(lifetime), one_time }
        }
    }

    fn opaque(username: &str) -> &str {
        username.split_once('@').unwrap().0
    }

    fn sample() -> (Keys, Token, String) {
        let keys = Keys::fixed(1);
        let token = Token {
            subscriber: [1; 6],
            mac: Some(Mac([2; 6])),
            issued_at: 1_800_000_000,
            lifetime_secs: Some(60),
            one_time: false,
        };
        let (username, _) = token.seal(&keys, REALM, [9; 8]).unwrap();
        (keys, token, username)
    }

    #[test]
    fn a_period_is_never_shortened() {
        let secs = |n: u32| Token::lifetime_secs(Lifetime::Seconds(NonZeroU32::new(n).unwrap())).unwrap();
        assert_eq!((secs(1), secs(16_777_215)), (1, 16_777_215));
        assert_eq!(secs(16_777_216), 16_779_600);
        assert_eq!(secs(u32::MAX), 4_294_969_200);
    }

    #[test]
    fn another_realm_or_key_opens_nothing() {
        let (keys, _, username) = sample();
        assert!(Token::open(&keys, REALM, opaque(&username)).is_ok());
        assert!(Token::open(&keys, "other.example", opaque(&username)).is_err());
        assert!(Token::open(&Keys::fixed(2), REALM, opaque(&username)).is_err());
    }

    #[test]
    fn every_other_length_is_refused() {
        let (keys, _, username) = sample();
        let whole = format!("{}{}", opaque(&username), opaque(&username));
        for length in (0..whole.len()).filter(|length| *length != OPAQUE) {
            assert!(Token::open(&keys, REALM, &whole[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn one_spelling_a_token() {
        // 63 characters have three bits more than 39 octets; set, they must not make a second username.
        let (keys, _, username) = sample();
        let (head, last) = opaque(&username).split_at(OPAQUE - 1);
        for letter in "abcdefghijklmnopqrstuvwxyz234567".chars().filter(|c| !last.starts_with(*c)) {
            assert!(Token::open(&keys, REALM, &format!("{head}{letter}")).is_err(), "{letter}");
        }
    }

    proptest! {
        #[test]
        fn round_trip_in_any_case(token in tokens(), nonce: [u8; 8], upper: u64) {
            let keys = Keys::fixed(1);
            let (username, password) = token.seal(&keys, REALM, nonce).unwrap();
            prop_assert_eq!(opaque(&username).len(), OPAQUE);
            prop_assert_eq!(&username, &username.to_ascii_lowercase());
            prop_assert_eq!(password.expose().len(), PASSWORD);
            let mixed: String = opaque(&username)
                .chars()
                .enumerate()
                .map(|(i, c)| if upper >> (i % 64) & 1 == 1 { c.to_ascii_uppercase() } else { c })
                .collect();
            let opened = Token::open(&keys, REALM, &mixed).map_err(|_| TestCaseError::fail("does not open"))?;
            prop_assert_eq!(opened.token, token);
            prop_assert!(opened.password == password);
        }

        #[test]
        fn one_bit_changed_and_it_is_no_token(token in tokens(), nonce: [u8; 8], bit in 0..TOKEN * 8) {
            let keys = Keys::fixed(1);
            let (username, _) = token.seal(&keys, REALM, nonce).unwrap();
            let mut octets = BASE32_NOPAD_NOCASE.decode(opaque(&username).as_bytes()).unwrap();
            octets[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Token::open(&keys, REALM, &BASE32_NOPAD.encode(&octets)).is_err());
        }

        #[test]
        fn arbitrary_text_is_no_token(text in "\\PC{0,80}", base32 in "[a-z2-7]{63}") {
            let keys = Keys::fixed(1);
            prop_assert!(Token::open(&keys, REALM, &text).is_err());
            prop_assert!(Token::open(&keys, REALM, &base32).is_err());
        }

        #[test]
        fn another_nonce_another_username_and_password(token in tokens(), a: [u8; 8], b: [u8; 8]) {
            prop_assume!(a[..2] != b[..2]);
            let keys = Keys::fixed(1);
            let (first, second) = (token.seal(&keys, REALM, a).unwrap(), token.seal(&keys, REALM, b).unwrap());
            prop_assert_ne!(first.0, second.0);
            prop_assert!(first.1 != second.1);
        }
    }
}
