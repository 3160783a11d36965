//! The messages between agent and portal: one set of types, several encodings.
//!
//! Both programs use this crate, so a field exists once. Identifiers and passwords are types that cannot be
//! printed: see [`identity`] and [`secret`]. [`format::Format`] is the door to all encodings: [`xml`], [`xml::soap`],
//! [`json`]. [`negotiate`] finds the one that a request's HTTP headers mean. [`sms`] is the sealed encoding for short
//! messages.
#![forbid(unsafe_code)]

pub mod document;
pub mod format;
pub mod identity;
pub mod json;
pub mod message;
pub mod negotiate;
pub mod passpoint;
pub mod report;
pub mod schema;
pub mod secret;
pub mod signed;
pub mod sms;
pub mod wispr;
pub mod xml;
