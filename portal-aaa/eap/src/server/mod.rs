//! The authenticator: what a RADIUS server runs for each EAP conversation (RFC 4137 §6).

mod gtc;
mod method;
mod mschapv2;
mod peap;
mod session;
mod ttls;
mod tunnel;

use std::sync::Arc;

use crate::{Msk, Reason, packet::Type};

pub use session::Session;

/// Outer methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// PEAPv0 with EAP-MSCHAPv2 or EAP-GTC inside (MS-PEAP).
    Peap,
    /// TTLS with PAP or MS-CHAP-V2 inside (RFC 5281).
    Ttls,
}

impl Method {
    /// The method of this number.
    fn of(kind: Type) -> Option<Self> {
        match kind {
            Type::PEAP => Some(Self::Peap),
            Type::TTLS => Some(Self::Ttls),
            _ => None,
        }
    }
}

/// What all conversations of a server share.
#[derive(Clone)]
pub struct Config {
    /// Certificate, versions and cipher suites; make it with [`crate::tls::server_config`].
    pub tls: Arc<rustls::ServerConfig>,
    /// The method to propose; the peer may ask for another one of [`Config::methods`] with a Nak.
    pub default_method: Method,
    /// Methods that a peer may have, [`Config::default_method`] among them.
    pub methods: Vec<Method>,
    /// The server's name in the MSCHAPv2 challenge. No secret, and not checked by peers.
    pub name: String,
}

/// What the caller does next.
#[derive(Debug)]
pub enum Step {
    /// Send this EAP-Request and wait for the response.
    Send(Vec<u8>),
    /// Find the clear password of this inner identity and hand it to [`Session::provide`].
    Lookup {
        /// As the peer wrote it inside the tunnel.
        identity: String,
    },
    /// Logged in: send EAP-Success with the keys.
    Success {
        /// EAP-Success.
        packet: Vec<u8>,
        /// Session keys for the access point.
        msk: Msk,
        /// Inner identity, the one that was proved.
        identity: String,
    },
    /// Refused: send EAP-Failure.
    Failure {
        /// EAP-Failure.
        packet: Vec<u8>,
        /// For the log, not for the peer.
        reason: Reason,
        /// Inner identity, as far as it was told. Not proved.
        identity: Option<String>,
    },
    /// No answer to this packet (RFC 3748 §4.1: wrong or repeated identifiers are dropped in silence). The
    /// conversation stays as it was; repeat the last request only if the peer is known to have missed it.
    Ignore,
}
