//! The thin shell around the pure parts: sockets, threads, client table, and the one real clock.
//!
//! `portal-aaa serve` calls [`radius::spawn`]; [`radius::Running`] stops everything when it goes.

mod accounting;
mod audit;
mod authentication;
mod certificate;
pub mod clients;
pub mod clock;
pub mod disconnect;
pub mod drops;
mod forward;
mod net;
mod origin;
mod outbox;
mod patient;
pub mod radius;
pub mod radsec;
pub(crate) mod random;
mod rate;
mod request;
mod shared;
mod socket;
