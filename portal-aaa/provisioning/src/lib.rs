//! The messages between agent and portal: one set of types, several encodings (`xml` first).
//!
//! Both programs use this crate, so a field exists once. Identifiers and passwords are types that cannot be
//! printed: see [`identity`] and [`secret`].
#![forbid(unsafe_code)]

pub mod identity;
pub mod message;
pub mod secret;
pub mod xml;
