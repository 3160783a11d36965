//! Is the Internet behind this link? One small HTTP request bound to it.

use std::net::IpAddr;

/// What the machine asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// One probe by this interface.
    Probe {
        /// Interface that the socket is bound to.
        interface: String,
        /// Name servers of that link.
        dns: Vec<IpAddr>,
        /// `http://` URL that answers 204 with no body.
        url: String,
    },
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The probe's own answer came: online.
    Online,
    /// Something else answered: a captive portal.
    Captive {
        /// HTTP status.
        status: u16,
    },
    /// Nothing came.
    Offline(String),
}

/// The probe as the daemon sees it.
pub trait Probe {
    /// Asks without waiting; the answer is an [`Event`].
    fn send(&self, command: Command);
}
