//! The cellular modem, as ModemManager tells it over D-Bus.
//!
//! The world is level-triggered: every change, whatever signal announced it, gives one whole [`Snapshot`], so
//! a lost signal costs time and never truth. No object path leaves this folder and none is stored.
//!
//! [`messaging`] sends and receives short messages beside it.
//!
//! [`dbus`] is the task, `signals`, `read` and `calls` what it does on the bus; `snapshot`, `bearer`, `properties`,
//! `family`, `which`, `time` and `failure` are pure and make sense of what comes back; `pin` reads the SIM's PIN.

use std::net::{Ipv4Addr, Ipv6Addr};

use provisioning::identity::{Imei, Imsi};

mod bearer;
mod calls;
pub mod dbus;
pub(crate) mod failure;
pub mod family;
pub mod messaging;
mod pin;
pub(crate) mod properties;
mod proxies;
mod read;
mod signals;
mod snapshot;
mod time;
pub mod which;

/// What the modem is right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// How far the modem has come.
    pub presence: Presence,
    /// From the SIM; none while it is locked or missing.
    pub imsi: Option<Imsi>,
    /// From the equipment.
    pub imei: Option<Imei>,
    /// `Modem3gpp.RegistrationState`.
    pub registration: Registration,
    /// The network takes short messages: registered, be it for nothing but these.
    pub messaging: bool,
    /// MCC and MNC of the serving network.
    pub operator_code: Option<String>,
    /// MCC and MNC of the SIM's own network (`Sim.OperatorIdentifier`).
    pub home_operator: Option<String>,
    /// Percent, as ModemManager gives it.
    pub signal_percent: Option<u32>,
    /// The connected data bearer.
    pub bearer: Option<Bearer>,
    /// Seconds since 1970, as the network told (NITZ, `Modem.Time`); none where it does not.
    pub network_time: Option<u64>,
    /// What a locked SIM waits for.
    pub lock: Option<Lock>,
}

/// `Modem.State` reduced to what decides anything here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// ModemManager is not on the bus, or shows no modem.
    NoModem,
    /// `StateFailedReason` sim-missing.
    SimMissing,
    /// The SIM waits for its PIN or PUK.
    Locked,
    /// Any other failure of the modem.
    Failed,
    /// Usable, whatever the registration.
    Ready,
}

/// `Modem.UnlockRequired` and `UnlockRetries`, reduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// PIN1, and how many tries are left where the modem tells.
    Pin {
        /// Tries left.
        retries: Option<u32>,
    },
    /// PUK or a lock of another kind: only a person can help.
    Other,
}

/// `Modem3gpp.RegistrationState` (3GPP TS 27.007 §10.1.20 +CGREG), reduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Not registered, searching, or unknown.
    Searching,
    /// The network refused.
    Denied,
    /// Registered at home.
    Home,
    /// Registered in another network.
    Roaming,
}

/// A connected bearer and how its link is to be set up (`Bearer.Ip4Config`, `Ip6Config`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// Network interface that carries it, such as `wwan0`.
    pub interface: String,
    /// IPv4 set-up, where the bearer has it.
    pub ipv4: Option<Ipv4Config>,
    /// IPv6 set-up, where the bearer has it.
    pub ipv6: Option<Ipv6Config>,
    /// Octets; none where the modem does not say.
    pub mtu: Option<u32>,
    /// Another program (NetworkManager) has set the interface up and keeps it so: add only our own routes and rules.
    pub managed: bool,
}

/// `Bearer.Ip4Config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ipv4Config {
    /// The modem told the address.
    Static {
        /// Our address.
        address: Ipv4Addr,
        /// Prefix length, bits.
        prefix: u8,
        /// Next hop; raw-IP links have none.
        gateway: Option<Ipv4Addr>,
        /// Name servers reachable over this bearer.
        dns: Vec<Ipv4Addr>,
    },
    /// The address comes by DHCP over the interface.
    Dhcp,
}

/// `Bearer.Ip6Config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ipv6Config {
    /// The modem told the address.
    Static {
        /// Our address.
        address: Ipv6Addr,
        /// Prefix length, bits.
        prefix: u8,
        /// Next hop.
        gateway: Option<Ipv6Addr>,
        /// Name servers reachable over this bearer.
        dns: Vec<Ipv6Addr>,
    },
    /// Addresses come by router advertisement; this link-local address is to be set first, when given.
    Slaac {
        /// Interface identifier that the network chose.
        link_local: Option<Ipv6Addr>,
    },
}

/// What the machine asks of the modem. Answers come as snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Enable, register, connect the default bearer (`Modem.Simple.Connect`).
    Connect {
        /// Access point name; empty for the network's default.
        apn: String,
        /// Whether to connect while roaming.
        allow_roaming: bool,
    },
    /// Disconnect every bearer (`Modem.Simple.Disconnect`).
    Disconnect,
    /// Send the PIN that agent.toml names (`Sim.SendPin`), once. The machine never asks with fewer than two tries left.
    Unlock,
}

/// Which program may own the modem's data connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Owner {
    /// NetworkManager where it manages the modem, else ModemManager is asked directly.
    #[default]
    Auto,
    /// ModemManager, whatever else runs.
    ModemManager,
    /// NetworkManager; without it there is no cellular.
    NetworkManager,
}

/// Why a [`Command::Connect`] failed; the D-Bus error name is kept for `offloadctl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectFailure {
    /// D-Bus error name, such as `…Error.MobileEquipment.NetworkTimeout`.
    pub error: String,
    /// ModemManager's text, with identifiers removed.
    pub text: String,
}

/// What comes out of this world.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "nearly every event is the large one")]
pub enum Event {
    /// The modem as it is now; sent at start, at each change, and after each command.
    Snapshot(Snapshot),
    /// The last connect failed.
    ConnectFailed(ConnectFailure),
    /// The PIN was refused, or none is configured; it is not sent again for this SIM.
    UnlockFailed(String),
}

/// The modem as the daemon sees it; [`dbus::spawn`] makes the real one, a simulated one stands in the machine's tests.
pub trait Modem {
    /// Asks without waiting; the answer is an [`Event`].
    fn send(&self, command: Command);
}
