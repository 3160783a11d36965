//! EAP without I/O: an authenticator and a peer for PEAPv0 and TTLS over rustls.
//!
//! One call takes a packet in and gives at most one packet out. There is no clock or socket in here; time and random
//! octets come in as arguments (rustls alone draws its own). [`server`] is what a RADIUS server calls for each
//! EAP-Message, [`peer`] is its counterpart for tests and load.
//!
//! RFC 3748, 4137, 5216, 5281, 9190, 9427, 1994, 2433, 2759, 3079; MS-PEAP.
#![forbid(unsafe_code)]

mod framing;
mod key;
mod login;
pub mod mschapv2;
pub mod packet;
mod peap;
pub mod peer;
mod reason;
pub mod server;
pub mod tls;
mod ttls;

#[cfg(test)]
mod tests;

pub use key::Msk;
pub use login::{LoginMethod, Methods, UnknownMethod};
pub use reason::Reason;

/// Fills the slice with random octets from a source fit for keys.
pub type Random<'a> = dyn FnMut(&mut [u8]) + 'a;
