//! What may stand in the file, as it stands there. Defaults are here; [`super::template`] documents them.

use std::{net::SocketAddr, path::PathBuf};

use provisioning::message::{InnerMethod, OuterMethod, Policy};
use serde::Deserialize;

use super::{
    Problem,
    roaming::{ProxyFragment, RadsecFragment},
    session,
    sms::SmsFragment,
};
use crate::{
    credential::{Lifetime, MacBinding},
    gateway::Prefix,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fragment {
    pub realm: String,
    #[serde(default = "here")]
    pub data_dir: PathBuf,
    #[serde(default)]
    pub portal: Portal,
    #[serde(default)]
    pub radius: Radius,
    #[serde(default)]
    pub tls: Tls,
    pub radsec: Option<RadsecFragment>,
    #[serde(default)]
    pub proxy: ProxyFragment,
    #[serde(default)]
    pub proof: Proof,
    pub sms: Option<SmsFragment>,
    #[serde(default)]
    pub credential: Credential,
    #[serde(default)]
    pub access: session::AccessFragment,
    #[serde(default)]
    pub session: session::SessionFragment,
    #[serde(default)]
    pub accounting: session::AccountingSettings,
    pub policy: Policy,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Portal {
    pub listen: SocketAddr,
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Else `portal.REALM`.
    pub name: Option<String>,
    pub subscribers: Subscribers,
    pub address_burst: u32,
    pub address_refill_secs: u32,
    pub subscriber_burst: u32,
    pub subscriber_refill_secs: u32,
    pub max_rate: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Subscribers {
    Any,
    Listed,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Radius {
    pub listen: SocketAddr,
    pub accounting_listen: SocketAddr,
    pub early_identity: EarlyIdentity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum EarlyIdentity {
    Never,
    Issued,
    Always,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub chain: Option<PathBuf>,
    /// Else `aaa.REALM`.
    pub server_name: Option<String>,
    pub ca: PathBuf,
    pub resumption_secs: u32,
    pub resumption_sessions: u32,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Proof {
    pub mode: Mode,
    pub prefixes: Vec<Prefix>,
    pub max_silence_secs: u64,
    pub max_identities: u32,
    pub proxies: Vec<Prefix>,
    pub imsi_header: String,
    pub msisdn_header: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mode {
    GatewayAccounting,
    TrustedPrefix,
    Header,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Credential {
    pub lifetime: Lifetime,
    pub mac: MacBinding,
    pub outer: OuterMethod,
    pub inner: InnerMethod,
    pub keep_expired_days: u32,
}

pub(super) fn parse(text: &str) -> Result<Fragment, Problem> {
    toml::from_str(text).map_err(|error| Problem {
        span: error.span(),
        // Some messages of the parser are of two lines: what is wrong, and what was expected.
        message: error.message().replace('\n', ", "),
    })
}

fn here() -> PathBuf {
    PathBuf::from(".")
}

fn any(port: u16) -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], port))
}

impl Default for Portal {
    fn default() -> Self {
        Self {
            listen: any(8443),
            certificate: "tls/portal.pem".into(),
            key: "tls/portal.key".into(),
            name: None,
            subscribers: Subscribers::Any,
            address_burst: 20,
            address_refill_secs: 2,
            subscriber_burst: 30,
            subscriber_refill_secs: 10,
            max_rate: 5000,
        }
    }
}

impl Default for Radius {
    fn default() -> Self {
        Self { listen: any(1812), accounting_listen: any(1813), early_identity: EarlyIdentity::Issued }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificate: "tls/aaa.pem".into(),
            key: "tls/aaa.key".into(),
            chain: None,
            server_name: None,
            ca: "tls/ca.pem".into(),
            resumption_secs: 28_800,
            resumption_sessions: 32_768,
        }
    }
}

impl Default for Proof {
    fn default() -> Self {
        Self {
            mode: Mode::GatewayAccounting,
            prefixes: Vec::new(),
            max_silence_secs: 300,
            max_identities: 4,
            proxies: Vec::new(),
            imsi_header: String::new(),
            msisdn_header: String::new(),
        }
    }
}

impl Default for Credential {
    fn default() -> Self {
        Self {
            lifetime: Lifetime::Device,
            mac: MacBinding::Permanent,
            outer: OuterMethod::Peap,
            inner: InnerMethod::Mschapv2,
            keep_expired_days: 28,
        }
    }
}
