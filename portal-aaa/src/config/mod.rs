//! `portal-aaa.toml`: read, checked, and told apart from what the programs use.
//!
//! [`fragment`] is what may stand in the file (unknown keys are refused), [`validate`] turns it into [`Settings`]
//! or names each thing that is wrong, [`diagnostic`] shows where. [`template`] writes the commented file of
//! `portal-aaa init`. Called by every command of [`crate::cli`] through [`Settings::load`].

mod diagnostic;
mod fragment;
mod roaming;
mod session;
mod sms;
mod template;
mod validate;

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use provisioning::message::{EapSettings, InnerMethod, OuterMethod, Policy};

pub use diagnostic::{ConfigError, Problem};
pub use session::{AccountingSettings, SessionSettings};
pub use template::{Seed, template};
pub use validate::name as validate_name;

use crate::{
    credential::{Access, Lifetime, MacBinding, Terms},
    gateway::ProofSettings,
    portal, proxy,
    server::radsec,
    sms as short_messages,
    store::Entitlement,
};

/// Configuration of one installation, checked; paths are absolute or relative to the working directory.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What stands after the `@` of every username, lower case.
    pub realm: String,
    /// Holds database, keys and certificates.
    pub data_dir: PathBuf,
    /// HTTPS portal.
    pub portal: PortalSettings,
    /// RADIUS.
    pub radius: RadiusSettings,
    /// The AAA's certificate, and TLS in EAP.
    pub tls: TlsSettings,
    /// RADIUS over TLS; none where the file says nothing of it.
    pub radsec: Option<radsec::Settings>,
    /// Other realms and their home servers.
    pub proxy: proxy::Settings,
    /// What proves a device.
    pub proof: ProofSettings,
    /// Short messages; none where the file says nothing of them.
    pub sms: Option<short_messages::Settings>,
    /// What is issued.
    pub credential: CredentialSettings,
    /// Where it is good.
    pub access: Access,
    /// What access points are told.
    pub session: SessionSettings,
    /// How long usage is kept.
    pub accounting: AccountingSettings,
    /// What devices are told about the WLAN.
    pub policy: Policy,
}

/// Table `[portal]`.
#[derive(Debug, Clone)]
pub struct PortalSettings {
    /// Where devices' requests come in.
    pub listen: SocketAddr,
    /// Certificate chain, PEM, leaf first.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// DNS name that devices connect to; stands in the certificate.
    pub name: String,
    /// Who gets credentials.
    pub entitlement: Entitlement,
    /// How much of it one device, and all together, may have.
    pub limits: portal::Limits,
}

/// Table `[radius]`.
#[derive(Debug, Clone)]
pub struct RadiusSettings {
    /// Where Access-Requests come in.
    pub listen: SocketAddr,
    /// Where Accounting-Requests come in.
    pub accounting_listen: SocketAddr,
    /// Whose PEAP login is a round shorter.
    pub early_identity: EarlyIdentity,
}

/// Whether the first words inside PEAP go out together with the server's TLS Finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlyIdentity {
    /// In a packet of their own.
    Never,
    /// Together, where the outer identity is the one that the portal gives to devices.
    Issued,
    /// Together.
    Always,
}

/// Table `[tls]`.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// Certificate that the AAA shows to stations, PEM; leaf first, what follows is sent as it stands.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Certificates to be sent after those, PEM.
    pub chain: Option<PathBuf>,
    /// Which sessions may be resumed.
    pub resumption: Resumption,
    /// DNS name in that certificate; stations refuse any other.
    pub server_name: String,
    /// Certificate authority that stations are told to trust, PEM.
    pub ca: PathBuf,
}

/// TLS sessions that are kept for a quick return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resumption {
    /// From the full login on; zero: none is kept.
    pub lifetime: Duration,
    /// At most.
    pub sessions: usize,
}

/// Table `[credential]`.
#[derive(Debug, Clone, Copy)]
pub struct CredentialSettings {
    /// How long it is good.
    pub lifetime: Lifetime,
    /// For which card.
    pub mac: MacBinding,
    /// EAP method.
    pub outer: OuterMethod,
    /// Method inside its tunnel.
    pub inner: InnerMethod,
    /// Days that an expired one stays on record; 0 for ever.
    pub keep_expired_days: u32,
}

impl Settings {
    /// Reads and checks a file. The error names every problem, with its place.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
        let base = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, base).map_err(|problems| ConfigError::Invalid {
            path: path.to_owned(),
            text,
            problems,
        })
    }

    /// Checks the text of a file that stands in the folder `base`.
    pub fn parse(text: &str, base: &Path) -> Result<Self, Vec<Problem>> {
        let fragment = fragment::parse(text).map_err(|problem| vec![problem])?;
        validate::settings(fragment, base).map_err(|problems| diagnostic::locate(text, problems))
    }

    /// Database file.
    pub fn database(&self) -> PathBuf {
        self.data_dir.join("portal-aaa.db")
    }

    /// Outer identity of devices (RFC 7542 §2.4): says where to go, not who.
    pub fn anonymous_identity(&self) -> String {
        format!("anonymous@{}", self.realm)
    }

    /// Key file.
    pub fn keys(&self) -> PathBuf {
        self.data_dir.join("keys.toml")
    }

    /// What every credential has in common. Reads the CA's certificate.
    pub fn terms(&self) -> io::Result<Terms> {
        Ok(Terms {
            realm: self.realm.clone(),
            lifetime: self.credential.lifetime,
            mac: self.credential.mac,
            eap: EapSettings {
                outer: self.credential.outer,
                inner: self.credential.inner,
                anonymous_identity: self.anonymous_identity(),
                server_name: self.tls.server_name.clone(),
                ca_pem: fs::read_to_string(&self.tls.ca)?,
            },
            policy: self.policy.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
