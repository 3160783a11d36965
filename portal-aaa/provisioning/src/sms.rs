//! The messages by SMS: compact, sealed end to end, cut into parts (patent claims 14 and 24; feature-spec D4, D5).
//!
//! Everybody on the operator's message path could read a short message, and store it. So the request is sealed to the
//! portal's public key, which the device has in its configuration, and the reply to a key that only this device and
//! the portal know: both come from one HPKE context (RFC 9180, base mode), made new by the device for each request.
//!
//! | octets of a request | what |
//! |---|---|
//! | 2 | [`PREFIX`] |
//! | 1 | version 1, kind 1: `0x11` |
//! | 1 | which of the portal's keys |
//! | 32 | the encapsulated key: new for each request, so it is the nonce that replays are known by |
//! | rest | sealed: see [`request`] |
//!
//! | octets of a reply | what |
//! |---|---|
//! | 2 | [`PREFIX`] |
//! | 1 | version 1, kind 2: `0x12` |
//! | 12 | nonce |
//! | rest | sealed: see [`reply`] |
//!
//! A request fits one message of 140 octets. A reply is sent as data of 8 bits in parts of 134 octets, joined by the
//! standard header ([`udh`]); [`MAX_PARTS`] at most. ModemManager joins and cuts them by itself.
//!
//! With delivery out of band only, the request goes by HTTPS and its header [`DELIVERY_HEADER`] carries the
//! encapsulated key; the reply is the same as above.

mod policy;
mod reply;
mod request;
mod seal;
pub mod udh;
mod wire;

pub use reply::Reply;
pub use request::Request;
pub use seal::{DeviceExchange, Encapsulated, PortalExchange, PortalKey, PublicKey};

use crate::xml::XmlError;

/// First octets of each message: what tells ours from others in the same inbox.
pub const PREFIX: [u8; 2] = *b"WO";
/// Most octets of a single short message of 8-bit data (3GPP TS 23.040 §9.2.3.24).
pub const SINGLE: usize = 140;
/// Most parts of a reply.
pub const MAX_PARTS: usize = 12;
/// Most octets of a message of ours.
pub const MAX_MESSAGE: usize = MAX_PARTS * udh::PART;
/// HTTP header by which a device asks for delivery by SMS; its value is an [`Encapsulated`] key.
pub const DELIVERY_HEADER: &str = "wifi-offload-sms-key";

const REQUEST: u8 = 0x11;
const REPLY: u8 = 0x12;

/// Why a message was not read or written. Names what it is about, never what stood in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SmsError {
    /// Not one of ours.
    #[error("not a message of ours")]
    Foreign,
    /// Of another version, or a reply where a request is expected.
    #[error("a message of another version or kind")]
    Version,
    /// Longer than a message may be.
    #[error("the message is longer than {MAX_PARTS} short messages")]
    TooLarge,
    /// Sealed to a key that is not known here.
    #[error("sealed to an unknown key of the portal")]
    Key,
    /// It does not open: damaged, or not for us.
    #[error("the seal does not open")]
    Seal,
    /// It ends too early.
    #[error("the message ends within \"{0}\"")]
    Short(&'static str),
    /// A value is outside of what is allowed.
    #[error("the value of \"{0}\" is not allowed")]
    Value(&'static str),
    /// Neither IMSI nor IMEI.
    #[error("neither IMSI nor IMEI is there")]
    NoIdentifier,
    /// No randomness to make a key of.
    #[error("the operating system gives no random octets")]
    Random,
}

impl SmsError {
    /// Stable code for logs and documentation.
    pub fn code(self) -> &'static str {
        match self {
            Self::Foreign => "sms-foreign",
            Self::Version => "sms-version",
            Self::TooLarge => "sms-too-large",
            Self::Key => "sms-key",
            Self::Seal => "sms-seal",
            Self::Short(_) => "sms-short",
            Self::Value(_) => "sms-value",
            Self::NoIdentifier => "no-identifier",
            Self::Random => "random",
        }
    }
}

/// What XML could not carry, SMS does not either.
impl From<XmlError> for SmsError {
    fn from(error: XmlError) -> Self {
        match error {
            XmlError::TooLarge => Self::TooLarge,
            XmlError::NoIdentifier => Self::NoIdentifier,
            XmlError::Value { element } | XmlError::Missing { element } => Self::Value(element),
            _ => Self::Value("message"),
        }
    }
}

/// Whether these octets are a message of ours, of whatever version.
pub fn is_ours(message: &[u8]) -> bool {
    message.starts_with(&PREFIX)
}
