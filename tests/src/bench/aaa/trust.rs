//! TLS of the generator's stations: one authority, one version, and a session store a station where they resume.

use std::{fs, path::Path, sync::Arc};

use anyhow::{Context as _, Result};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    version::{TLS12, TLS13},
};

use super::shape::Shape;
use crate::peers::{
    ANONYMOUS, SERVER_NAME, User,
    eapol::{Method, Tls},
};

/// Sessions that a station remembers: its own, with room for a second ticket.
const SESSIONS: usize = 4;

/// Whom stations trust.
pub(super) struct Trust {
    name: ServerName<'static>,
    tls12: Arc<ClientConfig>,
    tls13: Arc<ClientConfig>,
}

/// What a station keeps from login to login.
pub(super) struct Station {
    tls: Arc<ClientConfig>,
}

impl Trust {
    /// The authorities of a PEM file.
    pub(super) fn load(ca: &Path) -> Result<Self> {
        let mut authorities = RootCertStore::empty();
        let text = fs::read(ca).with_context(|| ca.display().to_string())?;
        for certificate in CertificateDer::pem_slice_iter(&text) {
            authorities.add(certificate?)?;
        }
        let config = |version| {
            let provider = Arc::new(aws_lc_rs::default_provider());
            eap::tls::client_config(provider, authorities.clone(), &[version])
        };
        let (tls12, tls13) = (config(&TLS12)?, config(&TLS13)?);
        Ok(Self { name: ServerName::try_from(SERVER_NAME)?, tls12, tls13 })
    }

    /// A station that has no session yet.
    pub(super) fn station(&self, shape: Shape) -> Station {
        let tls = match shape.tls {
            Tls::V12 => &self.tls12,
            Tls::V13 => &self.tls13,
        };
        Station {
            tls: if shape.mode.resumes() { eap::tls::resuming(tls, SESSIONS) } else { Arc::clone(tls) },
        }
    }

    /// The peer for one login.
    pub(super) fn peer(&self, station: &Station, user: &User, method: Method) -> eap::peer::Config {
        eap::peer::Config {
            tls: Arc::clone(&station.tls),
            server_name: self.name.clone(),
            method,
            outer_identity: ANONYMOUS.to_owned(),
            identity: user.name.clone(),
            password: user.password.clone().into(),
            // FreeRADIUS has none.
            require_binding: false,
            hasty: false,
        }
    }
}
