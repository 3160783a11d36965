//! What goes into the machine and what comes out.

use std::{net::Ipv4Addr, time::Duration};

use provisioning::{
    identity::{Imei, Imsi, Mac},
    message::Trigger,
};

use crate::{
    machine::{Failure, State},
    modem, provision, supplicant,
    vault::Stored,
    wispr,
    wlan::{self, links, probe},
};

/// Everything that can happen to the machine.
#[derive(Debug, Clone)]
pub enum Input {
    /// From ModemManager.
    Modem(modem::Event),
    /// From the WLAN card.
    Wlan(wlan::Event),
    /// From wpa_supplicant.
    Supplicant(supplicant::Event),
    /// From addresses and routes.
    Links(links::Event),
    /// From the portal.
    Portal(provision::Event),
    /// From the probe.
    Probe(probe::Event),
    /// From the gateway of an open network.
    Wispr(wispr::Event),
    /// The deadline that [`super::Machine::deadline`] told has come.
    Timeout,
    /// Somebody at the device says so.
    User(UserWord),
}

/// A person's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserWord {
    /// Look for Wi-Fi now, whatever the back-off.
    Join,
    /// Go back to cellular.
    Leave,
    /// Get a new credential.
    Renew,
    /// The device woke up.
    Resumed,
}

/// What the shell is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// To ModemManager.
    Modem(modem::Command),
    /// To the WLAN card.
    Wlan(wlan::Command),
    /// To wpa_supplicant.
    Supplicant(supplicant::Command),
    /// To addresses and routes.
    Links(links::Command),
    /// To the portal.
    Portal(provision::Command),
    /// To the probe.
    Probe(probe::Command),
    /// To the gateway of an open network.
    Wispr(wispr::Command),
    /// Set the system's clock to this, seconds since 1970: it is too wrong for checking certificates.
    SetClock(u64),
    /// Keep this on disk.
    Save(Box<Stored>),
    /// Tell people.
    Note(Note),
}

/// One line of the device's story: the log, the demo's timeline and `offloadctl watch` show these.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// The state changed.
    State {
        /// Before.
        from: State,
        /// After.
        to: State,
    },
    /// Cellular carries traffic (FIG. 2 step 50).
    CellularUp {
        /// Bearer's interface.
        interface: String,
        /// Its address, where the modem told it.
        address: Option<Ipv4Addr>,
        /// MCC and MNC.
        operator: Option<String>,
        /// Masked when printed.
        imsi: Option<Imsi>,
    },
    /// Step 54.
    CredentialRequested {
        /// Why.
        trigger: Trigger,
        /// By SMS, because there is no data or it is set so.
        by_sms: bool,
        /// Masked when printed.
        imsi: Option<Imsi>,
        /// Masked when printed.
        imei: Option<Imei>,
        /// WLAN card.
        mac: Mac,
    },
    /// Step 64.
    CredentialReceived {
        /// NAI; says nothing of the subscriber.
        username: String,
        /// Seconds since 1970.
        expires_at: Option<u64>,
    },
    /// Step 68.
    CredentialInstalled {
        /// NAI.
        username: String,
    },
    /// Step 67.
    NetworkSensed {
        /// Network name.
        ssid: String,
        /// dBm.
        signal_dbm: i32,
    },
    /// Association begins.
    Joining {
        /// Network name.
        ssid: String,
    },
    /// 802.1X done (step 70, seen from the device).
    Connected {
        /// Access point's radio.
        bssid: Mac,
        /// Such as `CCMP`.
        cipher: String,
        /// Of the EAP tunnel.
        tls_version: Option<String>,
    },
    /// DHCP done.
    WlanAddress {
        /// Ours.
        address: Ipv4Addr,
    },
    /// The login at an open network begins (FIG. 6 step 114).
    LoggingIn {
        /// Network name.
        ssid: String,
    },
    /// The gateway lets us through (FIG. 6 step 118).
    LoggedOn {
        /// Host of its login page.
        gateway: String,
        /// What it calls the place.
        location: Option<String>,
        /// The session ends after so long, where it was told.
        ends_in: Option<Duration>,
    },
    /// The gateway was told that we go.
    LoggedOff {
        /// It has said so.
        confirmed: bool,
    },
    /// The probe came back by Wi-Fi.
    ProbeOnline,
    /// The default route points to Wi-Fi.
    MovedToWifi,
    /// The bearer is disconnected.
    CellularDown,
    /// On the way back.
    Returning {
        /// Why.
        why: ReturnReason,
        /// dBm, where known.
        signal_dbm: Option<i32>,
    },
    /// The default route points to cellular.
    MovedToCellular,
    /// Wi-Fi is left.
    WifiLeft,
    /// Something failed.
    Failed {
        /// Stable code.
        failure: Failure,
        /// Details; no identifier, no secret.
        text: String,
    },
}

/// Why traffic goes back to cellular.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturnReason {
    /// Under the policy's leave threshold.
    SignalLow,
    /// Beacons stay away.
    BeaconLoss,
    /// Deauthenticated, or the supplicant says disconnected.
    Disconnected,
    /// The card or the supplicant went away.
    WlanGone,
    /// The probe fails.
    NoInternet,
    /// The address was lost.
    LeaseLost,
    /// The credential ends.
    Expiring,
    /// The session at the gateway of an open network ends.
    SessionEnding,
    /// The gateway has ended it, by its own limit or because the operator said so.
    SessionEnded,
    /// Somebody said so.
    User,
    /// The operator took the right away.
    Revoked,
    /// Another SIM is in the modem.
    SimChanged,
    /// The policy does not want Wi-Fi any more.
    Policy,
}

impl ReturnReason {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::SignalLow => "signal-low",
            Self::BeaconLoss => "beacon-loss",
            Self::Disconnected => "disconnected",
            Self::WlanGone => "wlan-gone",
            Self::NoInternet => "no-internet",
            Self::LeaseLost => "lease-lost",
            Self::Expiring => "expiring",
            Self::SessionEnding => "session-ending",
            Self::SessionEnded => "session-ended",
            Self::User => "user",
            Self::Revoked => "revoked",
            Self::SimChanged => "sim-changed",
            Self::Policy => "policy",
        }
    }

    /// Whether Wi-Fi can still carry packets until cellular is up.
    pub fn link_is_alive(self) -> bool {
        !matches!(self, Self::BeaconLoss | Self::Disconnected | Self::WlanGone)
    }
}
