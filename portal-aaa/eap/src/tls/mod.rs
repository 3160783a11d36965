//! TLS as EAP needs it: settings of both sides, the engine that the tunnels turn, and the sessions that may be
//! resumed (RFC 5216, 9190, 9427).

mod engine;
mod store;
mod turn;

use std::sync::Arc;

use rustls::{
    CipherSuite, ClientConfig, NamedGroup, RootCertStore, ServerConfig, SupportedCipherSuite,
    SupportedProtocolVersion,
    client::Resumption,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer},
    version::{TLS12, TLS13},
};

pub use store::SessionStore;

pub(crate) use engine::{Challenger, Engine, TlsError};
pub(crate) use store::{Found, Login, Mark};
pub(crate) use turn::Context;

/// Key exchanges in order of preference. A post-quantum share is more than a kilobyte: it would cost each login a
/// round or two of fragments.
const GROUPS: [NamedGroup; 3] = [NamedGroup::X25519, NamedGroup::secp256r1, NamedGroup::secp384r1];

/// TLS of an EAP server: versions 1.2 and 1.3, no client certificates. Whether sessions are resumed is the business of
/// [`crate::server::Config::resumption`]; without it no session gets an id and no ticket is sent.
pub fn server_config(
    provider: Arc<CryptoProvider>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(narrow(&provider))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    // The order of `narrow` and not the peer's, which is usually that of its library.
    config.ignore_client_order = true;
    config.session_storage = Arc::new(turn::OfTheTurn);
    // One is enough: each resumed login brings the next. RFC 9427 §6.1: it is sent before phase 2, and the store sees
    // to it that it is good for nothing until phase 2 has succeeded.
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// TLS of a peer that trusts these authorities and no others. The name to expect is the conversation's
/// ([`crate::peer::Config`]).
pub fn client_config(
    provider: Arc<CryptoProvider>,
    authorities: RootCertStore,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(narrow(&provider))
        .with_protocol_versions(versions)?
        .with_root_certificates(authorities)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    // No supplicant names the server it expects on the air.
    config.enable_sni = false;
    Ok(Arc::new(config))
}

/// The same, but with a memory of its own for sessions to be resumed, at most so many: one for each identity, since
/// rustls tells sessions apart by the server's name alone.
pub fn resuming(config: &ClientConfig, sessions: usize) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.resumption = Resumption::in_memory_sessions(sessions);
    Arc::new(config)
}

/// Groups as above, and first the cipher suites with SHA-256: a login is more derivation of keys than encryption, and
/// processors have SHA-256 in hardware but not SHA-384. The air behind it has 128-bit keys anyway.
fn narrow(provider: &CryptoProvider) -> Arc<CryptoProvider> {
    let group = |name| provider.kx_groups.iter().copied().find(|group| group.name() == name);
    let mut cipher_suites = provider.cipher_suites.clone();
    let is_first = |suite: &SupportedCipherSuite| match suite.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 0,
        _ => 1,
    };
    // Stable: the others keep their order.
    cipher_suites.sort_by_key(is_first);
    let kx_groups = GROUPS.into_iter().filter_map(group).collect();
    Arc::new(CryptoProvider { cipher_suites, kx_groups, ..provider.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::server_config;

    #[test]
    fn a_server_keeps_no_session_by_itself() {
        let config = server_config().tls;
        assert!(!config.session_storage.can_cache() && !config.ticketer.enabled());
        assert_eq!((config.send_tls13_tickets, config.max_early_data_size), (1, 0));
    }

    #[test]
    fn no_key_exchange_is_longer_than_a_packet() {
        let config = server_config().tls;
        let names: Vec<_> = config.crypto_provider().kx_groups.iter().map(|group| group.name()).collect();
        assert_eq!(names, GROUPS);
    }
}
