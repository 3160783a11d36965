//! Usage reports: parsed ([`record`]), written durably ([`writer`]), and only then acknowledged (RFC 2866 §2).
//!
//! Written with each report is what it means for its session ([`fold`]); [`intake`] then hands it on: reports of packet
//! gateways say whose address is whose ([`feed::GatewayFeed`]), those of access points who is on ([`live`]). Sessions
//! that must end are told by [`ending`]. The sockets are in [`crate::server::radius`].

pub mod ending;
pub mod feed;
pub mod fold;
pub mod intake;
pub mod live;
pub mod record;
pub mod standing;
pub mod writer;
