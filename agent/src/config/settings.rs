//! The configuration as the daemon uses it: complete, checked, with the defaults filled in.

use std::{path::PathBuf, time::Duration};

use provisioning::{format::Format, signed::PolicyKey, sms::PublicKey};

use super::{
    fragment::Fragment,
    values::{CellularOwner, Ip, SmsWhen, WlanOwner},
};
use crate::{
    daemon::metrics,
    machine::SmsUse,
    manager::owner::Choice,
    modem::{self, dbus, family::Family, which::Which},
    provision::{http::Limits, https},
};

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// `[portal]`.
    pub portal: Portal,
    /// `[cellular]`.
    pub cellular: Cellular,
    /// `[sms]`.
    pub sms: Sms,
    /// `[wlan]`.
    pub wlan: Wlan,
    /// `[supplicant]`.
    pub supplicant: Supplicant,
    /// `[state]`.
    pub state: State,
    /// `[offload]`.
    pub offload: Offload,
    /// `[log]`.
    pub log: Log,
    /// `[metrics]`.
    pub metrics: metrics::Settings,
}

/// Where credentials come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portal {
    /// None to look for it in the operator's domain.
    pub url: Option<String>,
    /// That domain, in place of the one that the SIM gives.
    pub domain: Option<String>,
    /// PEM file of its certificate authorities.
    pub ca: PathBuf,
    /// What is spoken with it.
    pub format: Format,
    /// Key of its policies; none to learn it from the first reply.
    pub policy_key: Option<PolicyKey>,
    /// For the name, and again for TCP and TLS together.
    pub connect_limit: Duration,
    /// For a whole request.
    pub total_limit: Duration,
}

impl Default for Portal {
    fn default() -> Self {
        Self {
            url: None,
            domain: None,
            ca: PathBuf::from("/etc/wifi-offload/portal-ca.pem"),
            format: Format::Xml,
            policy_key: None,
            connect_limit: Duration::from_secs(15),
            total_limit: Duration::from_secs(45),
        }
    }
}

impl Portal {
    /// As the portal's client takes it.
    pub fn client(&self) -> https::Settings {
        let limits = Limits { connect: self.connect_limit, total: self.total_limit };
        https::Settings { url: self.url.clone(), ca: self.ca.clone(), format: self.format, limits }
    }
}

/// The data bearer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cellular {
    /// Access point name; empty for the network's default.
    pub apn: String,
    /// Whether to connect while roaming.
    pub allow_roaming: bool,
    /// Whether to ask the portal while roaming.
    pub provision_while_roaming: bool,
    /// Which modem of several.
    pub modem: Which,
    /// What the bearer is asked to carry.
    pub ip: Family,
    /// File with the SIM's PIN.
    pub pin_file: Option<PathBuf>,
    /// Which program may own the data connection.
    pub owner: modem::Owner,
}

impl Default for Cellular {
    fn default() -> Self {
        Self {
            apn: String::new(),
            allow_roaming: true,
            provision_while_roaming: true,
            modem: Which::Any,
            ip: Family::Ipv4v6,
            pin_file: None,
            owner: modem::Owner::Auto,
        }
    }
}

impl Cellular {
    /// As the modem's task takes it.
    pub fn modem(&self) -> dbus::Settings {
        dbus::Settings {
            bus: None,
            which: self.modem.clone(),
            family: self.ip,
            pin_file: self.pin_file.clone(),
            owner: self.owner,
        }
    }
}

/// The portal by SMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sms {
    /// The portal's number, and the key that requests are sealed to; none while the device is not set up for it.
    pub portal: Option<(String, PublicKey)>,
    /// When it is used.
    pub when: SmsUse,
}

impl Default for Sms {
    fn default() -> Self {
        Self { portal: None, when: SmsUse::Fallback(Duration::from_secs(60)) }
    }
}

impl Sms {
    /// As the machine takes it.
    pub fn used(&self) -> SmsUse {
        if self.portal.is_some() { self.when } else { SmsUse::Never }
    }
}

/// The WLAN card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wlan {
    /// None for the first one in station mode.
    pub interface: Option<String>,
    /// Which program may own it.
    pub owner: Choice,
    /// Authorities of login pages, PEM.
    pub login_ca: PathBuf,
}

impl Default for Wlan {
    fn default() -> Self {
        let login_ca = PathBuf::from("/etc/ssl/certs/ca-certificates.crt");
        Self { interface: None, owner: Choice::default(), login_ca }
    }
}

/// wpa_supplicant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supplicant {
    /// Directory of its control sockets.
    pub control_dir: PathBuf,
}

impl Default for Supplicant {
    fn default() -> Self {
        Self { control_dir: PathBuf::from("/run/wpa_supplicant") }
    }
}

/// Directories of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Outlives a restart.
    pub dir: PathBuf,
    /// Does not.
    pub run_dir: PathBuf,
}

impl Default for State {
    fn default() -> Self {
        Self { dir: PathBuf::from("/var/lib/wifi-offload"), run_dir: PathBuf::from("/run/wifi-offload") }
    }
}

/// Time limits of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offload {
    /// Association and 802.1X together.
    pub join_limit: Duration,
    /// From the address to the probe's first answer.
    pub verify_limit: Duration,
    /// Between probes while Wi-Fi carries the traffic and no connection of one stands.
    pub probe_every: Duration,
    /// Wait for Wi-Fi's connections on the way back.
    pub return_drain: Duration,
}

impl Default for Offload {
    fn default() -> Self {
        Self {
            join_limit: Duration::from_secs(20),
            verify_limit: Duration::from_secs(12),
            probe_every: Duration::from_secs(60),
            return_drain: Duration::from_secs(3),
        }
    }
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// As in `RUST_LOG`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned() }
    }
}

impl From<Fragment> for Settings {
    fn from(given: Fragment) -> Self {
        let Fragment { portal, cellular, sms, wlan, supplicant, state, offload, log, metrics } = given;
        let default = Self::default();
        Self {
            portal: Portal {
                url: portal.url.map(|url| url.0),
                domain: portal.domain.map(|domain| domain.0),
                ca: portal.ca.map_or(default.portal.ca, |path| path.0),
                format: portal.format.unwrap_or(default.portal.format),
                policy_key: portal.policy_key,
                connect_limit: portal
                    .connect_limit_secs
                    .map_or(default.portal.connect_limit, |limit| limit.0),
                total_limit: portal.total_limit_secs.map_or(default.portal.total_limit, |limit| limit.0),
            },
            cellular: Cellular {
                apn: cellular.apn.map_or(default.cellular.apn, |apn| apn.0),
                allow_roaming: cellular.allow_roaming.unwrap_or(default.cellular.allow_roaming),
                provision_while_roaming: cellular
                    .provision_while_roaming
                    .unwrap_or(default.cellular.provision_while_roaming),
                modem: cellular.modem.map_or(default.cellular.modem, |name| name.0),
                ip: cellular.ip.map_or(default.cellular.ip, Family::from),
                pin_file: cellular.pin_file.map(|path| path.0),
                owner: cellular.owner.map_or(default.cellular.owner, modem::Owner::from),
            },
            sms: Sms {
                portal: sms.number.map(|number| number.0).zip(sms.portal_key.map(|key| key.0)),
                when: match sms.when.unwrap_or(SmsWhen::Fallback) {
                    SmsWhen::Never => SmsUse::Never,
                    SmsWhen::Fallback => {
                        SmsUse::Fallback(sms.after_secs.map_or(Duration::from_secs(60), |after| after.0))
                    }
                    SmsWhen::Always => SmsUse::Always,
                },
            },
            wlan: Wlan {
                interface: wlan.interface.map(|name| name.0),
                owner: wlan.owner.map_or(default.wlan.owner, Choice::from),
                login_ca: wlan.login_ca.map_or(default.wlan.login_ca, |path| path.0),
            },
            supplicant: Supplicant {
                control_dir: supplicant.control_dir.map_or(default.supplicant.control_dir, |path| path.0),
            },
            state: State {
                dir: state.dir.map_or(default.state.dir, |path| path.0),
                run_dir: state.run_dir.map_or(default.state.run_dir, |path| path.0),
            },
            offload: Offload {
                join_limit: offload.join_limit_secs.map_or(default.offload.join_limit, |limit| limit.0),
                verify_limit: offload.verify_limit_secs.map_or(default.offload.verify_limit, |limit| limit.0),
                probe_every: offload.probe_every_secs.map_or(default.offload.probe_every, |limit| limit.0),
                return_drain: offload.return_drain_secs.map_or(default.offload.return_drain, |limit| limit.0),
            },
            log: Log { filter: log.filter.map_or(default.log.filter, |filter| filter.0) },
            metrics: metrics::Settings {
                file: metrics.file.map(|path| path.0),
                every: metrics.every_secs.map_or(default.metrics.every, |every| every.0),
            },
        }
    }
}

impl From<WlanOwner> for Choice {
    fn from(given: WlanOwner) -> Self {
        match given {
            WlanOwner::Auto => Self::Auto,
            WlanOwner::WpaSupplicant => Self::WpaSupplicant,
            WlanOwner::NetworkManager => Self::NetworkManager,
        }
    }
}

impl From<Ip> for Family {
    fn from(given: Ip) -> Self {
        match given {
            Ip::Ipv4 => Self::Ipv4,
            Ip::Ipv6 => Self::Ipv6,
            Ip::Ipv4v6 => Self::Ipv4v6,
        }
    }
}

impl From<CellularOwner> for modem::Owner {
    fn from(given: CellularOwner) -> Self {
        match given {
            CellularOwner::Auto => Self::Auto,
            CellularOwner::ModemManager => Self::ModemManager,
            CellularOwner::NetworkManager => Self::NetworkManager,
        }
    }
}
