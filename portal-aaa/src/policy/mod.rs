//! Which policy a device gets (patent: "WLAN policies 99", "specific to the WLAN MAC address"): what the configuration
//! says, over it what the database says for all devices, for the group of its subscriber, for its WLAN card. Each of
//! these says only what differs.
//!
//! [`document`] is what may be said, [`fit`] what cannot work, [`shelf`] puts the layers together and signs the
//! result. [`crate::credential`] asks the shelf at each issue; `portal-aaa policy` writes the layers.

pub mod document;
mod fit;
mod shelf;

pub use fit::{Unfit, methods, unfit};
pub use shelf::{Effective, Layer, Shelf};
