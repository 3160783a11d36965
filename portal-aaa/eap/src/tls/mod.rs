//! TLS carried by hand: records come in from EAP fragments and go out to them.

use std::{
    io::{Read, Write},
    sync::Arc,
};

use rustls::{
    ProtocolVersion, ServerConfig, ServerConnection,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use zeroize::Zeroizing;

use crate::{Reason, packet::Type};

/// Longest plaintext of one message inside the tunnel.
const MAX_PLAIN: usize = 16 * 1024;

/// TLS settings of an EAP server: TLS 1.2 and 1.3, no client certificates, no resumption.
pub fn server_config(
    provider: Arc<CryptoProvider>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    // A session may only be resumed after its phase 2 has succeeded (RFC 9427 §6.1); rustls stores them when the
    // handshake ends, so none is kept.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// The server's end of the tunnel.
pub(crate) struct Tls {
    connection: ServerConnection,
}

/// What a whole TLS message led to.
pub(crate) struct Progress {
    /// Records to send.
    pub(crate) out: Vec<u8>,
    /// Application data, in clear.
    pub(crate) plain: Zeroizing<Vec<u8>>,
    /// The tunnel broke; `out` may hold an alert.
    pub(crate) error: Option<Reason>,
}

impl Tls {
    pub(crate) fn new(config: &Arc<ServerConfig>) -> Result<Self, Reason> {
        let connection = ServerConnection::new(Arc::clone(config)).map_err(|_| Reason::TlsError)?;
        Ok(Self { connection })
    }

    pub(crate) fn established(&self) -> bool {
        !self.connection.is_handshaking()
    }

    /// Takes a whole message from the peer.
    pub(crate) fn receive(&mut self, mut message: &[u8]) -> Progress {
        let mut plain = Zeroizing::new(Vec::new());
        let mut error = None;
        while !message.is_empty() && error.is_none() {
            match self.connection.read_tls(&mut message) {
                Ok(0) | Err(_) => error = Some(Reason::TlsError),
                Ok(_) => error = self.process(&mut plain),
            }
        }
        Progress { out: self.flush(), plain, error }
    }

    /// Encrypts.
    pub(crate) fn seal(&mut self, plain: &[u8]) -> Result<Vec<u8>, Reason> {
        self.connection.writer().write_all(plain).map_err(|_| Reason::TlsError)?;
        Ok(self.flush())
    }

    /// The 128 octets of key material of a method (RFC 5216 §2.3, RFC 9427 §2.1). On TLS 1.3 the length goes into the
    /// derivation, so all of them are asked for at once.
    pub(crate) fn key_material(&self, label_tls12: &[u8], method: Type) -> Result<Zeroizing<[u8; 128]>, Reason> {
        let out = if self.is_tls13() {
            self.connection.export_keying_material([0; 128], b"EXPORTER_EAP_TLS_Key_Material", Some(&[method.0]))
        } else {
            // "No context" and "empty context" differ on TLS 1.2.
            self.connection.export_keying_material([0; 128], label_tls12, None)
        };
        out.map(Zeroizing::new).map_err(|_| Reason::TlsError)
    }

    /// RFC 5281 §11.1, RFC 9427 §2.4: implicit challenge of TTLS.
    pub(crate) fn ttls_challenge(&self) -> Result<[u8; 17], Reason> {
        self.connection.export_keying_material([0; 17], b"ttls challenge", None).map_err(|_| Reason::TlsError)
    }

    pub(crate) fn is_tls13(&self) -> bool {
        self.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    fn process(&mut self, plain: &mut Vec<u8>) -> Option<Reason> {
        match self.connection.process_new_packets() {
            Ok(state) => {
                let waiting = state.plaintext_bytes_to_read();
                if plain.len() + waiting > MAX_PLAIN {
                    return Some(Reason::TooMuchData);
                }
                let from = plain.len();
                plain.resize(from + waiting, 0);
                let slot = plain.get_mut(from..)?;
                self.connection.reader().read_exact(slot).err().map(|_| Reason::TlsError)
            }
            // The only thing a peer can complain of before it has said who it is.
            Err(rustls::Error::AlertReceived(_)) if self.connection.is_handshaking() => {
                Some(Reason::PeerRefusedServerCertificate)
            }
            Err(_) => Some(Reason::TlsError),
        }
    }

    fn flush(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.connection.wants_write() {
            if self.connection.write_tls(&mut out).is_err() {
                break;
            }
        }
        out
    }
}
