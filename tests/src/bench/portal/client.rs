//! The device's side of one exchange: TCP from its own address, a full TLS handshake, one request, the reply to its end.
//!
//! Threads and blocking sockets, all bounded in time. Sessions are never resumed.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use provisioning::{
    format::Format,
    message::{Credential, Refusal},
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use socket2::{Domain, Protocol, Socket, Type};

use super::PORTAL_NAME;
use crate::peers::eapol::Tls;

/// A connection that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(30);

/// Who connects, and whom it trusts.
pub(super) struct Client {
    tls: Arc<ClientConfig>,
    name: ServerName<'static>,
    server: SocketAddr,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    /// HTTP status; 0 where there was no answer.
    pub(super) status: u16,
    /// What follows the headers.
    pub(super) body: Vec<u8>,
}

impl Reply {
    fn new(octets: &[u8]) -> Self {
        let end = octets.windows(4).position(|four| four == b"\r\n\r\n").map_or(octets.len(), |at| at + 4);
        let (head, body) = octets.split_at(end);
        let head = String::from_utf8_lossy(head);
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Self { status, body: body.to_vec() }
    }

    /// The credential that it must be.
    pub(super) fn credential(&self, format: Format) -> Result<Credential> {
        if self.status != 200 {
            bail!("no credential: {} {}", self.status, String::from_utf8_lossy(&self.body));
        }
        format.decode_credential(&self.body).context("the credential cannot be read")
    }

    /// The refusal that it must be.
    pub(super) fn refusal(&self, format: Format) -> Result<Refusal> {
        format
            .decode_refusal(&self.body)
            .with_context(|| format!("no refusal: {} {}", self.status, String::from_utf8_lossy(&self.body)))
    }
}

impl Client {
    /// Of `server`, which must show a certificate of the authority in the file `ca`.
    pub(super) fn new(server: SocketAddr, ca: &Path, tls: Tls) -> Result<Self> {
        let mut authorities = RootCertStore::empty();
        authorities.add(CertificateDer::from_pem_file(ca).with_context(|| ca.display().to_string())?)?;
        let version = match tls {
            Tls::V12 => &TLS12,
            Tls::V13 => &TLS13,
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[version])?
            .with_root_certificates(authorities)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Self { tls: Arc::new(config), name: ServerName::try_from(PORTAL_NAME)?, server })
    }

    /// TCP from this address.
    pub(super) fn dial(&self, from: Ipv4Addr) -> Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.bind(&SocketAddr::from((from, 0)).into())?;
        socket.connect_timeout(&self.server.into(), LIMIT)?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// A finished handshake from this address.
    pub(super) fn connect(&self, from: Ipv4Addr) -> Result<StreamOwned<ClientConnection, TcpStream>> {
        let mut stream = self.dial(from)?;
        let mut tls = ClientConnection::new(Arc::clone(&self.tls), self.name.clone())?;
        while tls.is_handshaking() {
            tls.complete_io(&mut stream).context("TLS handshake")?;
        }
        Ok(StreamOwned::new(tls, stream))
    }

    /// A handshake and nothing else: says goodbye and waits for the other side's.
    pub(super) fn handshake(&self, from: Ipv4Addr) -> Result<()> {
        let mut stream = self.connect(from)?;
        stream.conn.send_close_notify();
        stream.conn.complete_io(&mut stream.sock)?;
        stream.sock.shutdown(Shutdown::Write)?;
        rest(&mut stream).map(drop)
    }

    /// Sends octets as they are and reads what comes, to the end. Where the server hangs up before all is sent, what
    /// it said counts.
    pub(super) fn exchange(&self, from: Ipv4Addr, octets: &[u8]) -> Result<Reply> {
        let mut stream = self.connect(from)?;
        let _ = stream.write_all(octets).and_then(|()| stream.flush());
        Ok(Reply::new(&rest(&mut stream)?))
    }
}

/// Everything until the other side ends, however it ends; but it must.
pub(super) fn rest(stream: &mut StreamOwned<ClientConnection, TcpStream>) -> Result<Vec<u8>> {
    let mut octets = Vec::new();
    match stream.read_to_end(&mut octets) {
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            bail!("the server does not end the connection")
        }
        _ => Ok(octets),
    }
}
