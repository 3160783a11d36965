//! The states of one offload, by the names that `agent/README.md`'s diagram and `offloadctl status` use.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// Where the device is in its life between cellular and Wi-Fi.
///
/// `NoModem → Locked | Searching → Attached → Provisioning → Armed → Joining → (LoggingIn →) Verifying → Offloaded →
/// Returning → Armed`. A device that holds a usable credential comes to `Armed` also without cellular
/// (patent: "may still be able to use the provided login credentials when it cannot reach the cellular network").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// No usable modem and no usable credential.
    NoModem,
    /// The SIM waits for its PIN.
    Locked,
    /// Modem there, no bearer that carries traffic yet.
    Searching,
    /// Cellular carries traffic; no credential, and the portal is not to be asked before a while.
    Attached,
    /// The portal has been asked.
    Provisioning,
    /// A credential waits in the supplicant, disabled; the radio looks for policy networks.
    Armed,
    /// Associating, authenticating, getting an address. Cellular still carries the traffic.
    Joining,
    /// An address is there, on an open network; its gateway is asked to let us through.
    LoggingIn,
    /// An address is there; the probe bound to the WLAN has not answered yet.
    Verifying,
    /// Wi-Fi carries the traffic.
    Offloaded,
    /// Cellular is being brought up, then the route goes back, then Wi-Fi is left.
    Returning,
}

impl State {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 11] = [
        Self::NoModem,
        Self::Locked,
        Self::Searching,
        Self::Attached,
        Self::Provisioning,
        Self::Armed,
        Self::Joining,
        Self::LoggingIn,
        Self::Verifying,
        Self::Offloaded,
        Self::Returning,
    ];

    /// On the way from the choice of a network to the proof of it.
    pub(super) fn is_arriving(self) -> bool {
        matches!(self, Self::Joining | Self::LoggingIn | Self::Verifying)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoModem => "no-modem",
            Self::Locked => "locked",
            Self::Searching => "searching",
            Self::Attached => "attached",
            Self::Provisioning => "provisioning",
            Self::Armed => "armed",
            Self::Joining => "joining",
            Self::LoggingIn => "logging-in",
            Self::Verifying => "verifying",
            Self::Offloaded => "offloaded",
            Self::Returning => "returning",
        })
    }
}

/// Time as the shell passes it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Since some start, never going back; every time limit uses it. Counts while suspended (`CLOCK_BOOTTIME`).
    pub since_boot: Duration,
    /// Seconds since 1970; only a credential's end uses it.
    pub unix: u64,
}
