//! Usage reports: parsed ([`record`]), written durably ([`writer`]), and only then acknowledged (RFC 2866 §2).
//!
//! Reports of packet gateways also say whose address is whose; they go on to the table behind
//! [`feed::GatewayFeed`]. The sockets are in [`crate::server::radius`].

pub mod ending;
pub mod feed;
pub mod record;
pub mod standing;
pub mod writer;
