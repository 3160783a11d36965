//! RADIUS over TLS (RFC 6614): mutual certificates instead of shared secrets, packets one after the other on TCP 2083.
//!
//! Who connects must show a certificate of the configured authority that carries the name of an access point in the
//! client table, and must come from that one's network. All that is behind the connection is the same as for UDP.
//! The other direction, to home servers, is in [`crate::proxy`].

pub(crate) mod frame;
pub(super) mod listen;
mod names;
pub(crate) mod tls;

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
};

use tokio::sync::mpsc;

/// RFC 6614 §2.3: what MD5 is fed with where TLS has proved everything already.
pub(crate) const SECRET: &[u8] = b"radsec";

/// Table `[radsec]`, paths resolved.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where connections come in; none: we only connect to others.
    pub listen: Option<SocketAddr>,
    /// Our certificate chain, PEM, leaf first.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Who signs the certificates of those that connect, and of home servers.
    pub ca: PathBuf,
}

impl Settings {
    /// Whether certificates and key can be used; for `portal-aaa check`.
    pub fn check(&self) -> Result<(), tls::TlsError> {
        tls::server(self)?;
        tls::client(self).map(drop)
    }
}

/// What is listened with.
pub(super) struct Acceptor {
    pub(super) listener: TcpListener,
    pub(super) tls: Arc<rustls::ServerConfig>,
}

/// One connection of an access point.
pub(super) struct Link {
    /// No other connection has it.
    pub(super) number: u64,
    pub(super) from: SocketAddr,
    /// Name in the client table.
    pub(super) client: String,
    /// Answers on their way to the connection's writer.
    pub(super) answers: mpsc::Sender<Vec<u8>>,
}
