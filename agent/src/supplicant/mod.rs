//! wpa_supplicant, through its control socket.
//!
//! | file | what |
//! |---|---|
//! | `control` | the shell: one thread that carries commands in and events out, and finds the supplicant again |
//! | `commands` | requests and answers, by the wpactrl crate in a harness |
//! | `monitor` | the event stream, by a client of our own that can be waited on |
//! | `look` | the wait for a supplicant that is away |
//! | `operations` | install, join, leave, remove as sequences of requests |
//! | `network` | a credential as network blocks; what is not safe to trust is refused here |
//! | `request`, `reply`, `line` | the text protocol, pure |
//! | `tracker` | what the lines mean for a join: pure, with its own tests |
//!
//! The supplicant must run as root, or be able to reach `run-dir`: our sockets and the CA file stand there.
//! wpa_supplicant keeps the password in memory only, unless another program has it `SAVE_CONFIG` with
//! `update_config=1`; the agent never does.

mod commands;
pub mod control;
mod line;
mod look;
mod monitor;
pub(crate) mod network;
pub(crate) mod operations;
mod reply;
mod request;
#[cfg(test)]
pub(crate) mod tests;
mod tracker;

use provisioning::message::Credential;

/// What the machine asks of the supplicant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Put the credential in as a disabled network, in place of any earlier one of ours. Never enables it.
    Install {
        /// What the portal gave; its CA certificates are written to a file in `run-dir`.
        credential: Box<Credential>,
    },
    /// Select our network: associate and authenticate.
    Join {
        /// Restrict to this network name, as policy says.
        ssid: Vec<u8>,
    },
    /// Disconnect and disable our network; it stays installed.
    Leave,
    /// Take our network out.
    Remove,
}

/// Which program owns the WLAN interface. Found out, shown, and never fought over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// Nobody but wpa_supplicant: we speak to its control socket.
    WpaSupplicant,
    /// NetworkManager: we ask it over D-Bus.
    NetworkManager,
}

/// Why a join failed, told apart because each has its own reaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinFailure {
    /// The AAA refused us (EAP-Failure after phase 2, `reason=AUTH_FAILED`).
    Rejected,
    /// The server's certificate or name is not the one the portal told (`CTRL-EVENT-EAP-TLS-CERT-ERROR`).
    ServerCertificate,
    /// By this device's clock the server's certificate has expired or is not valid yet. Either of them may be wrong.
    CertificateDate,
    /// Association or 4-way handshake failed.
    Association,
    /// EAP began and nobody answered.
    AaaSilent,
    /// The network was not found.
    NotFound,
}

/// What comes out of the supplicant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The control socket answers; nothing of ours is installed in it yet.
    Up,
    /// The supplicant is gone or silent.
    Down,
    /// The credential is in, disabled.
    Installed,
    /// Associated with an access point; authentication begins.
    Associated {
        /// Access point's radio.
        bssid: provisioning::identity::Mac,
    },
    /// The server's certificate was checked and accepted.
    ServerAccepted {
        /// `CTRL-EVENT-EAP-PEER-CERT` subject of depth 0.
        subject: String,
    },
    /// 802.1X and 4-way handshake done.
    Connected {
        /// Access point's radio.
        bssid: provisioning::identity::Mac,
        /// Such as `CCMP`.
        pairwise_cipher: String,
        /// Such as `TLSv1.2`, where told.
        tls_version: Option<String>,
        /// Such as `WPA2/IEEE 802.1X/EAP`.
        key_mgmt: String,
    },
    /// The join failed.
    JoinFailed {
        /// What went wrong.
        failure: JoinFailure,
        /// Supplicant's own line, with secrets removed.
        text: String,
    },
    /// An association that had been [`Event::Connected`] ended.
    Disconnected {
        /// IEEE 802.11 reason code.
        reason: u16,
        /// Whether our side did it.
        locally: bool,
    },
    /// A command was refused.
    Failed(String),
    /// Who owns the interface now; sent before the first [`Event::Up`] and when it changes.
    Owner(Owner),
    /// The owner (NetworkManager) has got an address on the WLAN by itself: nobody else is to ask for one.
    Addressed(crate::wlan::links::Lease),
}

/// The supplicant as the daemon sees it.
pub trait Supplicant {
    /// Asks without waiting; the answer is an [`Event`].
    fn send(&self, command: Command);
}
