//! The portal, over HTTPS by the cellular interface and no other; [`Ways`] joins the two ways.
//!
//! Where there is no data, or the portal wants it so, by SMS: [`sms`].
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
pub mod sms;

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
    /// Ask for one by a short message.
    FetchBySms {
        /// Who we are.
        request: CredentialRequest,
        /// Seconds since 1970.
        made_at: u64,
        /// The certificate authorities that are held, PEM: the portal need not send them again.
        held: Option<String>,
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
    /// Not an answer yet: the portal sends it by SMS.
    UnderWay,
    /// Not an answer either: what time it is at the portal, seconds since 1970.
    Time(u64),
    /// The portal was not reached, or what answered was not our portal.
    Unreachable {
        /// Which step: `dns`, `connect`, `tls`, [`DATE`], `http`, `message`, `sms`.
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

/// Both ways to the portal.
pub struct Ways {
    /// Over data.
    pub https: Box<dyn Portal>,
    /// By SMS, where the device is set up for it.
    pub sms: Option<Box<dyn Portal>>,
}

impl Portal for Ways {
    fn send(&self, command: Command) {
        match (&command, &self.sms) {
            (Command::Fetch { .. } | Command::Report { .. }, _) => self.https.send(command),
            (Command::FetchBySms { .. }, Some(sms)) => sms.send(command),
            (Command::FetchBySms { .. }, None) => tracing::error!("SMS is not set up, and was to be used"),
        }
    }
}
