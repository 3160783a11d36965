//! Credential portal and AAA server of wifi-offload: the library behind the one binary `portal-aaa`.
//!
//! A credential is made in [`credential`] when [`portal`] has found in [`gateway`]'s table that the device is
//! who it says; a login is decided in [`aaa`], which asks [`credential`] again. [`server`] holds the RADIUS
//! sockets, [`accounting`] what access points and packet gateways report, [`store`] the database. Start
//! reading at the README of this folder, which walks through one login file by file.
#![forbid(unsafe_code)]

pub mod aaa;
pub mod accounting;
pub mod cli;
pub mod config;
pub mod credential;
pub mod gateway;
pub mod pem;
pub mod policy;
pub mod portal;
pub mod proxy;
pub mod server;
pub mod sms;
pub mod store;
