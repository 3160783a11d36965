//! Requests of other realms go to their home servers (RFC 2865 §2.3, RFC 7542 §3), and the answers come back.
//!
//! [`realm`] says where a name belongs, [`core`] does the rest without I/O: which home server of a pool, identifiers,
//! retransmission and fail-over, what [`health`] thinks of each; [`driver`] is the shell with the sockets, [`connect`] its
//! RadSec connections. The rewriting of packets is in the `radius` crate. Called by [`crate::server`] after it knows that
//! a request is genuine and no repetition.
//!
//! What it promises: a conversation stays with the home server that began it (by State); a request that nobody answers
//! is answered by Access-Reject after 12 seconds at most, so that access points do not think that *we* are dead;
//! accounting is kept on our disk first and then offered to the home servers for ten minutes, and acknowledged when one
//! of them has taken it.

mod connect;
mod core;
pub(crate) mod driver;
mod health;
mod lane;
pub mod realm;
mod sticky;

use std::{fmt, net::SocketAddr};

use zeroize::Zeroizing;

pub use self::realm::{Pattern, Route, Routes};

/// A request that has come through so many proxies goes round in a circle.
pub(crate) const MAX_HOPS: usize = 10;

/// Tables `[[proxy.home_server]]` and `[[proxy.realm]]`.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// All home servers.
    pub home_servers: Vec<HomeServer>,
    /// Which realm goes where.
    pub realms: Vec<Realm>,
}

impl Settings {
    /// Whether a home server is reached by RadSec.
    pub fn needs_tls(&self) -> bool {
        self.home_servers.iter().any(|server| matches!(server.transport, Transport::RadSec { .. }))
    }
}

/// One home server.
#[derive(Debug, Clone)]
pub struct HomeServer {
    /// For the log.
    pub name: String,
    /// How it is reached.
    pub transport: Transport,
    /// Shared with it.
    pub secret: Secret,
    /// It answers Status-Server (RFC 5997).
    pub status_server: bool,
    /// Answers about access without Message-Authenticator are as good as none (CVE-2024-3596).
    pub require_message_authenticator: bool,
}

/// How a home server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// Two ports.
    Udp {
        /// Access-Requests.
        address: SocketAddr,
        /// Accounting-Requests.
        accounting_address: SocketAddr,
    },
    /// One connection.
    RadSec {
        /// `host:port`, looked up at each connection.
        address: String,
        /// Name in its certificate.
        server_name: String,
    },
}

/// One realm and its pool.
#[derive(Debug, Clone)]
pub struct Realm {
    /// Which names.
    pub pattern: Pattern,
    /// Places in [`Settings::home_servers`], in order of preference. None: the realm is ours too.
    pub home_servers: Vec<usize>,
    /// User-Name goes without `@realm`.
    pub strip: bool,
    /// Which one of them.
    pub balance: Balance,
}

/// How a pool shares its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    /// The first that lives.
    FailOver,
    /// One after the other, of those that live.
    RoundRobin,
}

/// A shared secret that does not show itself.
#[derive(Clone)]
pub struct Secret(pub Zeroizing<Vec<u8>>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•••")
    }
}
