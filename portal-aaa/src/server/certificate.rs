//! The certificate that stations see inside EAP, from its PEM files.

use std::{path::Path, path::PathBuf, sync::Arc};

use eap::server::{Config, Method};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject as _},
};

/// Why the AAA has no certificate to show.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read, or is no PEM.
    #[error("cannot read {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// The certificate file holds none.
    #[error("{path} holds no certificate")]
    Empty {
        /// Which.
        path: PathBuf,
    },
    /// Key and certificate do not belong together, or are of a kind that TLS does not take.
    #[error("certificate and key cannot be used: {0}")]
    Pair(#[from] rustls::Error),
}

/// Reads chain (leaf first) and key.
pub(super) fn load(certificate: &Path, key: &Path) -> Result<Arc<Config>, CertificateError> {
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| CertificateError::File { path, source }
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(|pems| pems.collect())
        .map_err(file(certificate))?;
    if chain.is_empty() {
        return Err(CertificateError::Empty { path: certificate.to_owned() });
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(file(key))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(Arc::new(Config {
        tls: eap::tls::server_config(provider, chain, key)?,
        // What the portal tells devices to use; a peer that wants TTLS says so (RFC 3748 §5.3.1).
        default_method: Method::Peap,
        methods: vec![Method::Peap, Method::Ttls],
        name: "portal-aaa".to_owned(),
    }))
}
