//! The authenticator: what a RADIUS server runs for each EAP conversation (RFC 4137 §6).

mod account;
mod claim;
mod gtc;
mod inner;
mod method;
mod mschapv2;
mod peap;
mod session;
mod ttls;
mod tunnel;

use std::sync::Arc;

use crate::{LoginMethod, Methods, Msk, Reason, packet::Type, tls::SessionStore};

pub use session::Session;

/// Outer methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// PEAPv0 with EAP inside (MS-PEAP).
    Peap,
    /// TTLS with attributes, or EAP, inside (RFC 5281).
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
    /// Where sessions wait to be resumed; without it every login is a full one.
    pub resumption: Option<Arc<SessionStore>>,
    /// Whether to save a round of PEAP.
    pub early: Early,
}

/// When the first words inside PEAP go out together with the server's Finished of TLS 1.2. RFC 5246 allows it, and
/// wpa_supplicant answers it; whoever does not gets them again, a round later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Early {
    /// When the peer has acknowledged the Finished, as most servers do.
    #[default]
    Never,
    /// Always.
    Always,
    /// Where the outer identity is this one, in whatever case: peers that are known to be ours.
    Outer(String),
}

/// What the caller knows of an identity.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// Clear password.
    pub password: &'a [u8],
    /// Methods that the account may log in with.
    pub methods: Methods,
}

/// What the caller does next.
#[derive(Debug)]
pub enum Step {
    /// Send this EAP-Request and wait for the response.
    Send(Vec<u8>),
    /// Find out what is known of this inner identity and hand it to [`Session::provide`].
    Lookup {
        /// As the peer wrote it inside the tunnel, now or in the login that is being resumed.
        identity: String,
        /// A session of this identity is being resumed, and its full login was by this method. There will be no
        /// password: may it go on?
        resumed: Option<LoginMethod>,
    },
    /// Logged in: send EAP-Success with the keys.
    Success {
        /// EAP-Success.
        packet: Vec<u8>,
        /// Session keys for the access point.
        msk: Msk,
        /// Inner identity, the one that was proved.
        identity: String,
        /// How it was proved, now or in the login that was resumed.
        method: LoginMethod,
        /// There was no phase 2.
        resumed: bool,
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
