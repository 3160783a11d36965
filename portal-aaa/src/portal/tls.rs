//! The portal's side of TLS: 1.2 and 1.3, one certificate, no client certificates.

use std::{path::Path, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing or no PEM.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// The file holds no certificate.
    #[error("{path}: no certificate in it")]
    Empty {
        /// Which.
        path: String,
    },
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
    let name = |path: &Path| path.display().to_string();
    let file = |path: &Path, source| TlsError::File { path: name(path), source };
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|source| file(certificate, source))?;
    if chain.is_empty() {
        return Err(TlsError::Empty { path: name(certificate) });
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|source| file(key, source))?;
    configure(chain, key).map_err(|source| TlsError::Certificate { path: name(certificate), source })
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
