//! This folder against the real NetworkManager with its wpa_supplicant, and hostapd as authenticator and EAP server, over
//! a virtual wire: 802.1X over Ethernet is the same EAP conversation as over Wi-Fi; the radio is the virtual machine's
//! suite. Needs root, and says so and passes where a program is missing (`cargo lab test` installs them).

mod bench;
mod life;
mod owners;

use std::time::Duration;

/// Longest wait for anything in these tests; generous, because it is only reached by a failure.
const PATIENCE: Duration = Duration::from_secs(60);
