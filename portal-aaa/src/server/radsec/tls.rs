//! Certificates of RadSec, ours and whom we trust (RFC 6614 §2.3): TLS 1.2 and 1.3, both sides prove themselves.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{VerifierBuilderError, WebPkiClientVerifier},
    version::{TLS12, TLS13},
};

use super::Settings;
use crate::pem::{self, PemError};

/// Why RadSec has no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is of no use.
    #[error(transparent)]
    File(#[from] PemError),
    /// Key and certificate do not belong together, or are of a kind that TLS does not take.
    #[error("certificate and key cannot be used: {0}")]
    Pair(#[from] rustls::Error),
    /// The authority's certificate is none.
    #[error("the authority's certificate cannot be used: {0}")]
    Authority(#[from] VerifierBuilderError),
}

/// For who connects to us.
pub(in crate::server) fn server(settings: &Settings) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = provider();
    let roots = Arc::new(roots(&settings.ca)?);
    // Nobody gets in without a certificate.
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build()?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(pem::chain(&settings.certificate)?, pem::key(&settings.key)?)?;
    Ok(Arc::new(config))
}

/// For home servers that we connect to.
pub(crate) fn client(settings: &Settings) -> Result<Arc<ClientConfig>, TlsError> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_root_certificates(roots(&settings.ca)?)
        .with_client_auth_cert(pem::chain(&settings.certificate)?, pem::key(&settings.key)?)?;
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in pem::chain(path)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}
