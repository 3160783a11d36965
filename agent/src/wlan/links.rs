//! Addresses, routes, rules and resolver: who carries the traffic.
//!
//! Only what we set is ever removed: every route, rule and (Linux 5.18) address of ours carries protocol number
//! [`RTPROT_WIFI_OFFLOAD`].
//!
//! `plan` says what should be there and `change` what has to be sent for it (both pure, on the types of `model`),
//! `rt` speaks rtnetlink and `mptcp` the path manager's netlink, `keeper` sends the difference, `ledger` remembers on
//! disk what the kernel cannot mark. `task` carries orders, leases, events and the clock, `setup` and `nic` are the
//! steps of each order, `drain` counts connections, `suspect` weighs signs of trouble and `alarm` ends its sleep,
//! `resolver` keeps `/etc/resolv.conf` or lets `resolved` tell systemd-resolved. The route is moved in `change::changes`: one
//! RTM_NEWROUTE that replaces our default route.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use crate::modem::Bearer;

mod advertised;
mod alarm;
mod change;
mod drain;
mod keeper;
mod ledger;
mod model;
mod mptcp;
mod neighbour;
mod nic;
mod plan;
mod resolved;
mod resolver;
mod rt;
mod setup;
mod suspect;
mod task;

/// Longer than a daemon takes to start and to find modem and card.
const KEEP_LEFTOVERS: Duration = Duration::from_secs(30);
/// Orders that wait for the task; the machine waits for the answer of each.
const QUEUE: usize = 32;

/// `rtm_protocol` of everything we put into the kernel, so that it can be found and removed after a crash.
pub const RTPROT_WIFI_OFFLOAD: u8 = 0xc5;

/// Which link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Link {
    /// The modem's bearer.
    Cellular,
    /// The WLAN card.
    Wlan,
}

/// What DHCP gave on the WLAN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Our address.
    pub address: Ipv4Addr,
    /// Prefix length, bits.
    pub prefix: u8,
    /// Next hop.
    pub router: Option<Ipv4Addr>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// Octets.
    pub mtu: Option<u32>,
    /// Address of the captive portal API (RFC 8910 §2.1), where it was told.
    pub captive_api: Option<String>,
}

/// What the machine asks of the links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Set up the bearer's interface: link up, address, its own table with a source rule, name servers.
    ConfigureCellular(Bearer),
    /// Take address, routes and rule of the bearer away again.
    ReleaseCellular,
    /// Get an address on this WLAN interface and set it, without a default route in the main table.
    AcquireWlan {
        /// Such as `wlan0`.
        interface: String,
    },
    /// Another program (NetworkManager) has set this address on the interface and keeps the lease: add only our own
    /// routes and rules, take only them away. Answered by [`Event::WlanReady`].
    AdoptWlan {
        /// Such as `wlan0`.
        interface: String,
        /// What that program got.
        lease: Lease,
    },
    /// Take address and routes of the WLAN away, stop DHCP.
    ReleaseWlan,
    /// Move the main table's default route and the name servers to this link, in one netlink transaction.
    /// Connections that began on the other link keep their source address and interface by rule.
    Prefer(Link),
    /// Whether MPTCP uses the bearer only when the WLAN does not deliver (RFC 8684 §3.3.8, backup).
    CellularBackup(bool),
    /// Tell [`Event::Drained`] when no TCP connection with this link's source address is left.
    WatchDrain(Link),
}

/// What comes out of the links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The bearer's interface carries traffic.
    CellularReady {
        /// Name servers of the bearer: told by the modem, by DHCP or by router advertisement.
        dns: Vec<IpAddr>,
    },
    /// The WLAN has an address.
    WlanReady(Lease),
    /// DHCP got no answer in time, or the lease was lost.
    NoLease(String),
    /// The default route now points here.
    Moved(Link),
    /// No connection is left on it.
    Drained(Link),
    /// A hint that this link does not deliver (neighbour unreachable, sent data not acknowledged): worth a probe.
    Suspect(Link),
    /// A command failed; the text names command, object and the kernel's error.
    Failed {
        /// Which link it was about.
        link: Link,
        /// For the log and `offloadctl status`.
        text: String,
    },
}

/// Links as the daemon sees them.
pub trait Links {
    /// Asks without waiting; the answer is an [`Event`].
    fn send(&self, command: Command);
}

/// What the device's configuration decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Metric of our default route. Other programs' routes with a lower one are preferred to it.
    pub metric: u32,
    /// The resolver's file; none to leave name servers to somebody else.
    pub resolv_conf: Option<PathBuf>,
    /// Address of the bus on which systemd-resolved is, where `resolv_conf` is a link to its file; none for the
    /// system's bus.
    pub bus: Option<String>,
    /// Where what the kernel cannot mark as ours is remembered, so that the next run knows it after a crash; none to
    /// remember nothing. Its folder must be there, and must outlive the program.
    pub state: Option<PathBuf>,
    /// How long what a former run left is kept for an order about its link, so that a restart breaks no connection.
    /// Then it is taken away; at once with zero.
    pub keep_leftovers: Duration,
}

impl Default for Settings {
    /// Better than NetworkManager's Wi-Fi (600) and cellular (700), worse than its cable (100).
    fn default() -> Self {
        Self {
            metric: 500,
            resolv_conf: Some(PathBuf::from("/etc/resolv.conf")),
            bus: None,
            state: Some(PathBuf::from("/run/wifi-offload/links.json")),
            keep_leftovers: KEEP_LEFTOVERS,
        }
    }
}

/// The links' end that the daemon holds. Dropping it ends the task and leaves addresses and routes in place, so that
/// a restart breaks no connection; [`Handle::cleanup`] is the orderly end.
#[derive(Debug, Clone)]
pub struct Handle {
    orders: mpsc::Sender<task::Order>,
}

/// Starts the links' task. Must be called inside a tokio runtime.
pub fn spawn(settings: Settings, events: mpsc::Sender<Event>) -> Handle {
    let (orders, inbox) = mpsc::channel(QUEUE);
    tokio::spawn(task::run(settings, inbox, events));
    Handle { orders }
}

impl Handle {
    /// Takes away everything of ours: leases, addresses, routes, rules, name servers. Ends when that is done.
    pub async fn cleanup(&self) {
        let (done, waits) = oneshot::channel();
        if self.orders.send(task::Order::CleanUp(done)).await.is_ok() {
            // An error means that the task has ended, which is as good.
            let _ = waits.await;
        }
    }
}

impl Links for Handle {
    fn send(&self, command: Command) {
        if let Err(error) = self.orders.try_send(task::Order::Do(command)) {
            tracing::error!(%error, "the links' task does not listen");
        }
    }
}
