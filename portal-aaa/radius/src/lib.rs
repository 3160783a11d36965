//! RADIUS without I/O: packets, attributes, authenticators, duplicate detection.
//!
//! Parsing borrows from the receive buffer and never fails later than [`Packet::parse`]; building goes through
//! [`Builder`], which cannot produce an unsigned packet. There is no clock, socket or random source in here:
//! the caller passes time and random octets in. Used by both sides: a server answers requests, a client
//! (test, load generator, accounting feed) makes them and checks the answers.
//!
//! RFC 2865, 2866, 2868, 2869, 2548, 3579, 5080, 5176, 5997, 6929.
#![forbid(unsafe_code)]

mod attribute;
mod authenticator;
mod build;
mod code;
mod duplicate;
mod eap;
mod extended;
mod mppe;
mod packet;
mod password;
mod rewrite;
mod tagged;
mod vendor;

pub use attribute::{Attribute, AttributeType, Attributes};
pub use authenticator::{
    MessageAuthenticator, ReplyError, accounting_request_is_genuine, check_message_authenticator,
    check_reply, check_reply_of_any, dynamic_request_is_genuine,
};
pub use build::{BuildError, Builder};
pub use code::Code;
pub use duplicate::{Duplicates, Limits, Seen, Source};
pub use eap::{EAP_PIECE, join_eap};
pub use extended::ExtendedAttribute;
pub use mppe::{MppeError, Salt, unwrap_key, wrap_key};
pub use packet::{MAX_PACKET, MIN_PACKET, Packet, ParseError};
pub use password::{hide_password, reveal_password};
pub use rewrite::{Onward, RewriteError, forward_request, return_reply};
pub use tagged::{Tagged, tunnel};
pub use vendor::{Vendor, VendorAttribute, VendorAttributes, microsoft, tgpp, wfa, wispr};
