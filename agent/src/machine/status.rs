//! What `offloadctl status` shows: a picture of the machine without any secret.

use provisioning::message::Trigger;
use serde::{Deserialize, Serialize};

use super::{Failure, State};
use crate::supplicant::Owner;

/// The whole picture, JSON over D-Bus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// Program's version.
    pub version: String,
    /// Where the machine is.
    pub state: State,
    /// Since when, seconds since 1970.
    #[serde(default)]
    pub since: u64,
    /// Which link carries the traffic.
    pub carrier: Carrier,
    /// The modem.
    pub cellular: CellularStatus,
    /// The card.
    pub wlan: WlanStatus,
    /// The credential, without password.
    pub credential: Option<CredentialStatus>,
    /// The last thing that went wrong since the last success.
    pub last_failure: Option<FailureStatus>,
    /// Somebody sent the device back to cellular: no join before somebody asks for one, or the device wakes up.
    #[serde(default)]
    pub held: bool,
}

/// Which link carries the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carrier {
    /// Neither of ours.
    None,
    /// The modem.
    Cellular,
    /// The WLAN card.
    Wifi,
}

impl Carrier {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Cellular => "cellular",
            Self::Wifi => "wifi",
        }
    }
}

/// The modem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CellularStatus {
    /// `no-modem`, `sim-missing`, `locked`, `failed`, `searching`, `denied`, `registered`, `roaming`.
    pub modem: String,
    /// MCC, MNC and two digits.
    pub imsi_masked: Option<String>,
    /// MCC and MNC of the network.
    pub operator: Option<String>,
    /// Percent.
    pub signal_percent: Option<u32>,
    /// Interface of the connected bearer.
    pub interface: Option<String>,
    /// `down`, `connecting`, `configuring`, `ready`.
    pub bearer: String,
}

/// The card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct WlanStatus {
    /// Name.
    pub interface: Option<String>,
    /// Address on the air now.
    pub mac: Option<String>,
    /// Whether the supplicant's control socket answers.
    pub supplicant: bool,
    /// Which program owns the interface, as soon as it is known.
    #[serde(default)]
    pub owner: Option<Owner>,
    /// Network in use or being joined.
    pub ssid: Option<String>,
    /// dBm.
    pub signal_dbm: Option<i32>,
    /// IPv4 address.
    pub address: Option<String>,
    /// The last scan for the operator's networks; none before the first one.
    #[serde(default)]
    pub heard: Option<HeardStatus>,
}

/// What a scan heard of the operator's networks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HeardStatus {
    /// The strongest, dBm; none where none was heard.
    pub signal_dbm: Option<i32>,
    /// What the policy wants of one that is to be joined, dBm.
    pub enter_dbm: i32,
}

/// The credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CredentialStatus {
    /// NAI.
    pub username: String,
    /// Seconds since 1970.
    pub expires_at: Option<u64>,
    /// Good for one login.
    pub one_time: bool,
    /// In the supplicant.
    pub installed: bool,
    /// A newer one is held that has not worked yet.
    #[serde(default)]
    pub next: bool,
    /// One-time credentials held ahead.
    #[serde(default)]
    pub reserve: usize,
    /// Why a new one is wanted.
    #[serde(default)]
    pub renewal_due: Option<Trigger>,
    /// Policy version.
    pub policy_version: u64,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FailureStatus {
    /// Stable code.
    pub code: String,
    /// Details.
    pub text: String,
    /// What a person can do.
    pub remedy: String,
    /// Seconds since 1970.
    pub at: u64,
}

impl FailureStatus {
    /// From a failure and its details.
    pub fn new(failure: Failure, text: &str, at: u64) -> Self {
        Self {
            code: failure.code().to_owned(),
            text: text.to_owned(),
            remedy: failure.remedy().to_owned(),
            at,
        }
    }
}
