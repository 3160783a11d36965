//! The agent: reads the device's identifiers, gets a credential from the operator's portal over cellular,
//! and moves traffic between LTE and Wi-Fi without losing a packet.
//!
//! One folder an outside world (`modem`, `wlan`, `supplicant`, `manager`, `provision`, `wispr`, `vault`); `machine` decides and
//! touches none of them; `daemon` is the shell that carries inputs in and actions out.
#![forbid(unsafe_code)]

pub mod bus;
pub mod config;
pub mod ctl;
pub mod daemon;
pub mod machine;
pub mod manager;
pub mod modem;
pub mod provision;
pub mod supplicant;
pub mod vault;
pub mod wispr;
pub mod wlan;
