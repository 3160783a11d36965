//! The portal, over HTTPS by the cellular interface and no other.
//!
//! [`https`] is the shell (a thread of its own), `fetch` reads what came back, [`http`] makes clients whose
//! sockets leave by one interface, [`dns`] looks names up through that link's own name servers,
//! [`discovery`] says which, where the portal's URL is not configured.

use std::{net::IpAddr, time::Duration};

use provisioning::{
    message::{Credential, CredentialRequest, Reason},
    report::CredentialReport,
};

pub mod discovery;
pub mod dns;
mod fetch;
pub mod http;
pub mod https;

/// The step at which a certificate was refused only because its dates do not fit this device's clock.
pub const DATE: &str = "date";

/// Over which link to reach the portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Interface that the socket is bound to (`SO_BINDTODEVICE`).
    pub interface: String,
    /// Name servers of that link.
    pub dns: Vec<IpAddr>,
    /// Domain to find the portal in where its URL is not configured: the SIM's operator's; none where it is not known, or
    /// may not be asked for by this link.
    pub domain: Option<String>,
}

/// What the machine asks of the portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Ask for a credential.
    Fetch {
        /// Who we are.
        request: CredentialRequest,
        /// By which way.
        route: Route,
    },
    /// Tell of one.
    Report {
        /// What became of it.
        report: CredentialReport,
        /// By which way.
        route: Route,
    },
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A credential.
    Granted(Box<Credential>),
    /// A report was sent.
    Reported {
        /// It need not be sent again: the portal took it, or will never.
        taken: bool,
    },
    /// The portal refused, with its stable code.
    Refused {
        /// Stable reason code.
        reason: Reason,
        /// How long the portal asks us to wait.
        retry_after: Option<Duration>,
    },
    /// The portal was not reached, or what answered was not our portal.
    Unreachable {
        /// Which step: `dns`, `connect`, `tls`, [`DATE`], `http`, `message`.
        step: &'static str,
        /// For the log; no identifier in it.
        text: String,
    },
}

/// The portal as the daemon sees it.
pub trait Portal {
    /// Asks without waiting; the answer is an [`Event`].
    fn send(&self, command: Command);
}
