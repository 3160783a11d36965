//! The peer: a supplicant without a radio, for tests and load (RFC 4137 §4).
//!
//! It trusts one set of authorities and one server name, never asks a person, and speaks the method it was told.

mod eap;
mod inside;
mod mschapv2;
mod peap;
mod reason;
mod session;
mod ttls;
mod tunnel;

use std::sync::Arc;

use rustls::pki_types::ServerName;
use zeroize::Zeroizing;

use crate::Msk;

pub use crate::LoginMethod as Method;

pub use reason::Reason;
pub use session::Session;

/// A credential and whom to show it to. Shared by all conversations with it.
#[derive(Clone)]
pub struct Config {
    /// Authorities and versions; make it with [`crate::tls::client_config`], and with [`crate::tls::resuming`] where
    /// sessions are to be resumed.
    pub tls: Arc<rustls::ClientConfig>,
    /// The name that the server's certificate must have.
    pub server_name: ServerName<'static>,
    /// What to log in with.
    pub method: Method,
    /// Identity outside the tunnel, for all to see (RFC 7542 §2.4).
    pub outer_identity: String,
    /// Identity inside.
    pub identity: String,
    /// Clear password.
    pub password: Zeroizing<String>,
    /// PEAP: refuse a server without crypto-binding.
    pub require_binding: bool,
    /// TTLS on TLS 1.3: put the first attributes into the packet of the TLS Finished, as some supplicants do
    /// (RFC 9427 §3), instead of waiting for the server's next one.
    pub hasty: bool,
}

/// What the caller does next.
#[derive(Debug)]
pub enum Step {
    /// Send this EAP-Response.
    Send(Vec<u8>),
    /// Logged in.
    Success {
        /// Session keys, the same as the access point gets.
        msk: Msk,
        /// A session was resumed; there was no phase 2.
        resumed: bool,
    },
    /// Refused, by either side. The conversation is over.
    Failure(Reason),
    /// Nothing; the packet was not for this conversation.
    Ignore,
}
