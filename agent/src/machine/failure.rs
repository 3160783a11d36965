//! What can go wrong, told apart because each has its own reaction; the codes are stable.

use std::fmt;

use provisioning::message::Reason;
use serde::{Deserialize, Serialize};

use crate::{supplicant::JoinFailure, wispr::Fault};

/// One failure, as `offloadctl status` and the log name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The bearer could not be connected.
    CellularConnect,
    /// The bearer's interface could not be set up.
    CellularLink,
    /// The portal was not reached, or it was not our portal.
    PortalUnreachable,
    /// The portal refused; its own code goes with it.
    PortalRefused(Reason),
    /// The supplicant does not take the credential.
    Supplicant,
    /// The AAA refused username, password or MAC.
    Rejected,
    /// The AAA's certificate is not the one that came with the credential.
    ServerCertificate,
    /// A certificate seems to have expired, or to be of the future, and nobody has confirmed this device's clock.
    Clock,
    /// Association or 4-way handshake failed.
    Association,
    /// 802.1X began and nobody answered.
    AaaSilent,
    /// The network was not found, or the join took too long.
    NotFound,
    /// No address on the WLAN.
    NoDhcp,
    /// A captive portal is in the way.
    Captive,
    /// Address, but no Internet.
    NoInternet,
    /// A route or address could not be set.
    Route,
    /// The SIM waits for a PIN or PUK.
    SimLocked,
    /// There is no SIM.
    SimMissing,
    /// The policy that came is not obeyed: not signed by a key that is trusted, or older.
    Policy,
    /// The card does not take the MAC address that the credential is bound to.
    Mac,
    /// The login at an open network's gateway failed, by no fault of the credential.
    Hotspot(Fault),
}

impl Failure {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::CellularConnect => "cellular-connect",
            Self::CellularLink => "cellular-link",
            Self::PortalUnreachable => "portal-unreachable",
            Self::PortalRefused(reason) => reason.code(),
            Self::Supplicant => "supplicant",
            Self::Rejected => "rejected-by-aaa",
            Self::ServerCertificate => "server-certificate",
            Self::Clock => "clock",
            Self::Association => "association-failed",
            Self::AaaSilent => "aaa-silent",
            Self::NotFound => "network-not-found",
            Self::NoDhcp => "no-dhcp",
            Self::Captive => "captive-portal",
            Self::NoInternet => "no-internet",
            Self::Route => "route",
            Self::SimLocked => "sim-locked",
            Self::SimMissing => "sim-missing",
            Self::Policy => "policy-refused",
            Self::Mac => "mac-refused",
            Self::Hotspot(fault) => fault.code(),
        }
    }

    /// It stood between the device and a credential; over as soon as one has come.
    pub(super) fn is_before_credential(self) -> bool {
        matches!(
            self,
            Self::CellularConnect
                | Self::CellularLink
                | Self::PortalUnreachable
                | Self::PortalRefused(_)
                | Self::SimLocked
                | Self::SimMissing
                | Self::Clock
        )
    }

    /// What a person can do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::CellularConnect => "check the SIM, the APN in agent.toml and the coverage (mmcli -m any)",
            Self::CellularLink => "look for another program that manages the modem's interface (ip address)",
            Self::PortalUnreachable => "check [portal] url and ca in agent.toml, and that the portal is up",
            Self::PortalRefused(Reason::IdentityMismatch) => {
                "the network says that this address belongs to another SIM; tell the operator"
            }
            Self::PortalRefused(Reason::NoSession | Reason::GatewayFeedSilent) => {
                "the operator's gateway does not tell the portal of this session; the agent tries again by itself"
            }
            Self::PortalRefused(_) => "the operator's log says more under this code",
            Self::Supplicant => "look at wpa_supplicant: is its control socket where agent.toml says?",
            Self::Rejected => "a new credential is being fetched; the operator's log has the reason",
            Self::ServerCertificate => {
                "this access point does not belong to the operator, or its certificate was changed"
            }
            Self::Clock => {
                "set this device's clock (timedatectl); the agent does it by itself when the network tells the time"
            }
            Self::Association => "the access point refused or is too far away",
            Self::AaaSilent => "the access point does not reach its RADIUS server; tell the operator",
            Self::NotFound => "the network went out of range",
            Self::NoDhcp => "the access point's network gives no address; tell the operator",
            Self::Captive => "the network wants a login page; the agent stays on cellular",
            Self::NoInternet => "the access point has no Internet; the agent stays on cellular",
            Self::Route => "look for another program that changes routes (ip monitor)",
            Self::SimLocked => {
                "unlock the SIM (mmcli -i any --pin=…, or --puk=… --pin=…), or mend its PIN in agent.toml"
            }
            Self::SimMissing => "put the SIM in; some modems see it only after a restart",
            Self::Policy => {
                "the device keeps the policy it has; look whether the portal's key is the one of [portal] policy-key"
            }
            Self::Mac => {
                "look whether the card's driver and its owner (wpa_supplicant, NetworkManager) let it change"
            }
            Self::Hotspot(fault) => fault.remedy(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl From<JoinFailure> for Failure {
    fn from(failure: JoinFailure) -> Self {
        match failure {
            JoinFailure::Rejected => Self::Rejected,
            JoinFailure::ServerCertificate | JoinFailure::CertificateDate => Self::ServerCertificate,
            JoinFailure::Association => Self::Association,
            JoinFailure::AaaSilent => Self::AaaSilent,
            JoinFailure::NotFound => Self::NotFound,
        }
    }
}
