//! The WLAN card through nl80211, and the kernel's links through rtnetlink.
//!
//! [`nl80211`] tells MAC, scan results, station signal and CQM events; `links` sets addresses, routes and
//! rules; `dhcp` gets the WLAN address where nobody else manages the link; `probe` asks whether the Internet is
//! behind it, and `standing` lets the kernel ask on.

mod dhcp;
pub mod links;
mod netlink;
pub mod nl80211;
pub mod probe;
mod standing;

use provisioning::identity::Mac;

/// `SO_MARK` of what we send to see whether a link delivers: it is no traffic that a link would be watched for.
pub(crate) const OWN_MARK: u32 = 0xc5;

/// A WLAN interface in station mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Name, such as `wlan0`.
    pub name: String,
    /// Kernel's index.
    pub index: u32,
    /// `IFLA_PERM_ADDRESS`; falls back to the current one where the driver has none.
    pub permanent_mac: Mac,
    /// What the interface uses now.
    pub current_mac: Mac,
}

/// One entry of a scan (`NL80211_CMD_GET_SCAN`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bss {
    /// The access point's radio.
    pub bssid: Mac,
    /// Network name; octets, not always UTF-8.
    pub ssid: Vec<u8>,
    /// `NL80211_BSS_SIGNAL_MBM` / 100.
    pub signal_dbm: i32,
    /// MHz.
    pub frequency_mhz: u32,
    /// Milliseconds since it was last heard (`NL80211_BSS_SEEN_MS_AGO`).
    pub seen_ms_ago: u32,
}

/// What comes out of the WLAN card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The interface is there (at start, when it comes, when its address changes).
    Interface(Interface),
    /// The interface is gone.
    Gone,
    /// A scan ended, ours or another program's.
    Scan(Vec<Bss>),
    /// The scan could not be done.
    ScanFailed(String),
    /// The address could not be set.
    MacRefused(String),
    /// Signal of the access point we are associated with, dBm, smoothed by the driver.
    Signal {
        /// dBm.
        dbm: i32,
    },
    /// CQM: beacons stay away.
    BeaconLoss,
    /// The kernel says the association is over (`NL80211_CMD_DISCONNECT`, `DEAUTHENTICATE`).
    Disassociated {
        /// IEEE 802.11 §9.4.1.7 reason code, where told.
        reason: Option<u16>,
    },
}

/// What the machine asks of the card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Scan for these networks once.
    Scan {
        /// Wanted SSIDs; hidden ones are asked for by name.
        ssids: Vec<Vec<u8>>,
        /// Only these channels, MHz: a tenth of a second each, where all of them take seconds. Empty for all.
        frequencies: Vec<u32>,
    },
    /// Watch the signal while associated: CQM around these thresholds, polling where the driver refuses CQM.
    Watch {
        /// Signal under which traffic should leave, dBm.
        leave_dbm: i32,
        /// dB.
        hysteresis_db: u32,
    },
    /// Stop watching.
    Unwatch,
    /// Use this address; only while not associated. The answer is an [`Event::Interface`] with it, or
    /// [`Event::MacRefused`].
    SetMac(Mac),
}

/// The WLAN card as the daemon sees it.
pub trait Wlan {
    /// Asks without waiting; the answer is an [`Event`].
    fn send(&self, command: Command);
}
