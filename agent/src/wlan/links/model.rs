//! Addresses, routes and rules as this program sees them, and their names in error texts.

use std::{fmt, net::IpAddr};

/// `RT_TABLE_MAIN`.
pub(crate) const MAIN: u32 = 254;
/// An address on an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    /// Kernel's index.
    pub(crate) interface: u32,
    /// Ours.
    pub(crate) ip: IpAddr,
    /// Bits.
    pub(crate) prefix: u8,
    /// Rest of the lease, seconds: the kernel takes the address away even if we are dead by then.
    pub(crate) valid: Option<u32>,
    /// Set by us and not by another program.
    pub(crate) ours: bool,
}

/// A network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Net {
    /// First address.
    pub(crate) ip: IpAddr,
    /// Bits.
    pub(crate) prefix: u8,
}

/// A route of ours. Without a destination it is the default route of its family, without a gateway the destination
/// is on the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    /// Number of the table.
    pub(crate) table: u32,
    /// IPv6.
    pub(crate) v6: bool,
    /// None for everything.
    pub(crate) destination: Option<Net>,
    /// Next hop.
    pub(crate) gateway: Option<IpAddr>,
    /// Kernel's index.
    pub(crate) interface: u32,
    /// Source address of packets that have none yet.
    pub(crate) source: Option<IpAddr>,
    /// Less is better.
    pub(crate) metric: u32,
}

/// What a rule looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selector {
    /// The source address.
    From(IpAddr),
    /// The interface that the socket is bound to.
    Bound {
        /// Such as `wlan0`.
        interface: String,
        /// IPv6.
        v6: bool,
    },
}

/// A policy rule of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// For which packets.
    pub(crate) selector: Selector,
    /// Where to look them up.
    pub(crate) table: u32,
    /// Less comes first.
    pub(crate) preference: u32,
}

/// What is in the kernel, or should be: all addresses, but of routes and rules only ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Kernel {
    pub(crate) addresses: Vec<Address>,
    pub(crate) routes: Vec<Route>,
    pub(crate) rules: Vec<Rule>,
}

impl Rule {
    /// Whether it is about IPv6.
    pub(crate) fn v6(&self) -> bool {
        match &self.selector {
            Selector::From(ip) => ip.is_ipv6(),
            Selector::Bound { v6, .. } => *v6,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} on interface {}", self.ip, self.prefix, self.interface)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.destination {
            Some(net) => write!(f, "{}/{}", net.ip, net.prefix)?,
            None => write!(f, "default{}", if self.v6 { " (IPv6)" } else { "" })?,
        }
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        write!(f, " on interface {} in table {}", self.interface, self.table)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.selector {
            Selector::From(ip) => write!(f, "from {ip}")?,
            Selector::Bound { interface, .. } => write!(f, "bound to {interface}")?,
        }
        write!(f, " lookup {}", self.table)
    }
}
