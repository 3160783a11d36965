//! Logging on at an open network: WISPr 1.0 (Best Current Practices for WISP Roaming, 2003, annex "smart client") and the
//! captive portal API (RFC 8908, its address by RFC 8910).
//!
//! | file | what |
//! |---|---|
//! | `client` | one session as a machine, `(now, input) -> outputs`; no socket, no clock; `reply` what answers mean to it |
//! | `message`, `codes` | the gateway's XML out of its pages |
//! | `page` | where an answer leads: `Location`, `<meta http-equiv=refresh>` |
//! | `form` | the login form |
//! | `api` | RFC 8908 |
//! | `shell` | HTTP by the Wi-Fi interface and no other, one request at a time |
//!
//! What is never done: the password goes to no server but one whose verified certificate is for a name that the policy
//! lists, by no redirect that repeats a form, and not twice when it was refused.

mod api;
mod client;
mod codes;
mod form;
mod message;
mod page;
mod reply;
pub mod shell;
#[cfg(test)]
mod tests;

use std::{net::IpAddr, time::Duration};

use provisioning::{secret::Password, wispr::Wispr as Rules};

/// The whole of a login, at most; the machine waits a little longer.
pub const LOGIN_LIMIT: Duration = Duration::from_secs(90);
/// The log-off, at most: the access point waits for nobody, and the gateway notices by itself.
pub const LOG_OFF_LIMIT: Duration = Duration::from_secs(4);

/// What the machine asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Log on.
    LogOn(Box<Task>),
    /// Log off, or call off the login that is under way. Answered by [`Event::LoggedOff`].
    LogOff,
    /// The link is gone: forget the session without a word. Not answered.
    Forget,
}

/// One login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Interface that the sockets are bound to (`SO_BINDTODEVICE`).
    pub interface: String,
    /// Name servers of that link.
    pub dns: Vec<IpAddr>,
    /// `http://` URL that answers 204 where the Internet is reachable.
    pub probe_url: String,
    /// Address of the network's captive portal API (RFC 8910), where DHCP told it.
    pub api_url: Option<String>,
    /// NAI.
    pub username: String,
    /// Never printed.
    pub password: Password,
    /// To whom the password may be told.
    pub rules: Rules,
    /// The operator's own authorities, PEM; trusted beside those of the device.
    pub ca_pem: String,
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The Internet answers, and nobody wanted a login.
    Online,
    /// The gateway lets us through, and the Internet answers.
    LoggedOn {
        /// Host of the login page.
        gateway: String,
        /// What it calls the place.
        location: Option<String>,
        /// The session ends after so long, where it was told.
        ends_in: Option<Duration>,
    },
    /// The AAA refused user name or password (100).
    Refused {
        /// The gateway's words.
        text: String,
    },
    /// No login.
    Failed {
        /// Stable code.
        fault: Fault,
        /// Details; no identifier, no secret.
        text: String,
    },
    /// The session is over.
    LoggedOff {
        /// The gateway has said so.
        confirmed: bool,
    },
}

/// Why there is no login, beside a refused password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// A captive portal for people: no WISPr XML in its pages.
    NoGateway,
    /// The login page is not on HTTPS, or has a name that the policy does not list.
    Name,
    /// The gateway calls itself another place than the policy says.
    Location,
    /// The certificate is not good for its name.
    Certificate,
    /// By this device's clock the certificate has expired or is not valid yet.
    CertificateDate,
    /// The gateway does not reach its RADIUS server (102), or has none for this user (105).
    Radius,
    /// Internal error of the gateway (255).
    Gateway,
    /// The AAA did not decide in time; the login was called off, by us or by the gateway (151).
    Pending,
    /// What came is no WISPr 1.0, or never ends.
    Protocol,
    /// The gateway was not reached.
    Unreachable,
    /// The gateway says yes, and the Internet does not answer.
    NotOpen,
}

impl Fault {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoGateway => "captive-portal",
            Self::Name => "wispr-login-name",
            Self::Location => "wispr-location",
            Self::Certificate => "server-certificate",
            Self::CertificateDate => "clock",
            Self::Radius => "wispr-radius",
            Self::Gateway => "wispr-gateway",
            Self::Pending => "wispr-pending",
            Self::Protocol => "wispr-protocol",
            Self::Unreachable => "wispr-unreachable",
            Self::NotOpen => "no-internet",
        }
    }
}

/// The login at open networks as the daemon sees it.
pub trait Wispr {
    /// Asks without waiting; the answer is an [`Event`].
    fn send(&self, command: Command);
}

/// What came back by HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    status: u16,
    /// Header of that name.
    location: Option<String>,
    /// As much of it as is read.
    body: Vec<u8>,
}
