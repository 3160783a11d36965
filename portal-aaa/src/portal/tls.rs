//! The portal's side of TLS: 1.2 and 1.3, one certificate, no client certificates.

use std::{path::Path, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
    version::{TLS12, TLS13},
};

use crate::pem::{self, PemError};

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is of no use.
    #[error(transparent)]
    File(#[from] PemError),
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("certificate {path}: {source}")]
    Certificate {
        /// Which.
        path: String,
        /// Why.
        source: rustls::Error,
    },
}

/// Reads certificate chain and key, both PEM.
pub fn load(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let refused = |source| TlsError::Certificate { path: certificate.display().to_string(), source };
    configure(pem::chain(certificate)?, pem::key(key)?).map_err(refused)
}

fn configure(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
