//! Addresses, routes, rules and resolver: who carries the traffic.
//!
//! Only what we set is ever removed: every route and rule of ours carries protocol number
//! [`RTPROT_WIFI_OFFLOAD`], and every address is remembered.

use std::net::Ipv4Addr;

use crate::modem::Bearer;

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
    pub dns: Vec<Ipv4Addr>,
    /// Octets.
    pub mtu: Option<u32>,
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
    /// Take address and routes of the WLAN away, stop DHCP.
    ReleaseWlan,
    /// Move the main table's default route and the name servers to this link, in one netlink transaction.
    /// Connections that began on the other link keep their source address and interface by rule.
    Prefer(Link),
    /// Tell [`Event::Drained`] when no TCP connection with this link's source address is left.
    WatchDrain(Link),
}

/// What comes out of the links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The bearer's interface carries traffic.
    CellularReady,
    /// The WLAN has an address.
    WlanReady(Lease),
    /// DHCP got no answer in time, or the lease was lost.
    NoLease(String),
    /// The default route now points here.
    Moved(Link),
    /// No connection is left on it.
    Drained(Link),
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
