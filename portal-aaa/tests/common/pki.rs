//! An authority for RadSec, and what a peer needs to speak it.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use portal_aaa::server::radsec::Settings;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    server::WebPkiClientVerifier,
};

/// A private authority.
pub(crate) struct Pki {
    ca: CertifiedIssuer<'static, KeyPair>,
}

pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;

impl Pki {
    pub(crate) fn new() -> Self {
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, "RadSec CA");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { ca: CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap() }
    }

    /// Certificate and key of `name`, PEM.
    pub(crate) fn issue(&self, name: &str) -> (String, String) {
        let mut leaf = CertificateParams::new([name.to_owned()]).unwrap();
        leaf.distinguished_name.push(DnType::CommonName, "somebody");
        let key = KeyPair::generate().unwrap();
        (leaf.signed_by(&key, &self.ca).unwrap().pem(), key.serialize_pem())
    }

    /// `[radsec]` of a server of this name, its files in `folder`.
    pub(crate) fn settings(&self, folder: &Path, name: &str) -> Settings {
        let (certificate, key) = self.issue(name);
        let path = |file: &str| folder.join(format!("radsec-{file}"));
        fs::write(path("ca.pem"), self.ca.pem()).unwrap();
        fs::write(path("own.pem"), certificate).unwrap();
        fs::write(path("own.key"), key).unwrap();
        Settings {
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            certificate: path("own.pem"),
            key: path("own.key"),
            ca: path("ca.pem"),
        }
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.der().clone()).unwrap();
        Arc::new(roots)
    }

    /// Connects with a certificate of `name`, or with none. The handshake is done by the first octets.
    pub(crate) fn connect(&self, to: SocketAddr, server: &str, name: Option<&str>) -> Stream {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots());
        let config = match name.map(|name| self.issue(name)) {
            Some((certificate, key)) => {
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        let server = ServerName::try_from(server.to_owned()).unwrap();
        let socket = TcpStream::connect(to).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        StreamOwned::new(ClientConnection::new(Arc::new(config), server).unwrap(), socket)
    }

    /// For a home server of this name.
    pub(crate) fn server(&self, name: &str) -> Arc<ServerConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (certificate, key) = self.issue(name);
        let verifier =
            WebPkiClientVerifier::builder_with_provider(self.roots(), Arc::clone(&provider)).build().unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            );
        Arc::new(config.unwrap())
    }
}
