//! rustls with its bytes carried by hand, for both sides.
//!
//! A message of the other side goes in whole, what is to be sent comes out whole; cutting is the business of
//! [`crate::framing`].

use std::{
    io::{ErrorKind, Read, Write},
    sync::Arc,
};

use rustls::{
    AlertDescription, ClientConfig, ClientConnection, Connection, Error, HandshakeKind, ProtocolVersion,
    ServerConfig, ServerConnection, pki_types::ServerName,
};
use zeroize::Zeroizing;

use super::{
    store::{Found, Kept},
    turn::{Context, Turn},
};
use crate::{framing::MAX_MESSAGE, key::Secret, packet::Type};

/// MSK and EMSK together (RFC 5216 §2.3), half of it the MSK. Nobody here has a use for the EMSK, but on TLS 1.3 the length
/// goes into the derivation, so that what is asked for as half is not the first half.
const KEY_MATERIAL: usize = 128;
const MSK: usize = KEY_MATERIAL / 2;
/// What a message of ours seldom exceeds, a flight with certificates aside.
const OUTPUT: usize = 256;

/// The tunnel cannot be, or is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsError {
    /// An alert that says that the other side does not like our certificate.
    CertificateRefused,
    /// We do not trust the other side's certificate.
    CertificateUntrusted,
    /// The other side closed the tunnel.
    Closed,
    /// Anything else.
    Failed,
}

impl From<Error> for TlsError {
    fn from(error: Error) -> Self {
        use AlertDescription as Alert;
        match error {
            Error::AlertReceived(
                Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                // A signature that does not fit: an authority of the same name with another key.
                | Alert::DecryptError
                // What wpa_supplicant with OpenSSL says when the chain is good but the name is another one.
                | Alert::InternalError,
            ) => Self::CertificateRefused,
            Error::InvalidCertificate(_) | Error::NoCertificatesPresented => Self::CertificateUntrusted,
            _ => Self::Failed,
        }
    }
}

/// One end of a tunnel.
pub(crate) struct Engine {
    connection: Connection,
    /// On a server that lets sessions be resumed, as long as the handshake lasts.
    context: Option<Context>,
    turn: Turn,
}

/// Writes the implicit challenge of TTLS, as long as the slice (RFC 5281 §11.1).
pub(crate) type Challenger<'a> = dyn Fn(&mut [u8]) -> Result<(), TlsError> + 'a;

impl Engine {
    /// `context`: where sessions are kept, if they are.
    pub(crate) fn server(config: Arc<ServerConfig>, context: Option<Context>) -> Result<Self, TlsError> {
        Self::limited(ServerConnection::new(config)?.into(), context)
    }

    pub(crate) fn client(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Self, TlsError> {
        Self::limited(ClientConnection::new(config, name)?.into(), None)
    }

    fn limited(mut connection: Connection, context: Option<Context>) -> Result<Self, TlsError> {
        connection.set_buffer_limit(Some(2 * MAX_MESSAGE));
        Ok(Self { connection, context, turn: Turn::default() })
    }

    /// Takes a message of the other side and gives what it said inside the tunnel, usually nothing.
    ///
    /// After an error there may be an alert to send.
    pub(crate) fn receive(&mut self, message: &[u8]) -> Result<Secret, TlsError> {
        let Some(context) = self.context.clone() else { return self.process(message) };
        let (said, turn) = Turn::run(context, || self.process(message));
        // What was found with the first flight is told with the last one.
        self.turn =
            Turn { kept: turn.kept.or(self.turn.kept.take()), found: turn.found.or(self.turn.found.take()) };
        if self.is_established() {
            self.context = None;
        }
        said
    }

    fn process(&mut self, message: &[u8]) -> Result<Secret, TlsError> {
        let mut inside = Zeroizing::new(Vec::new());
        let mut rest = message;
        while !rest.is_empty() {
            // Zero octets taken from something that is not empty: the other side has closed the tunnel before.
            if self.connection.read_tls(&mut rest).map_err(|_| TlsError::Failed)? == 0 {
                return Err(TlsError::Closed);
            }
            let state = self.connection.process_new_packets()?;
            self.read(state.plaintext_bytes_to_read(), &mut inside)?;
            if state.peer_has_closed() {
                return Err(TlsError::Closed);
            }
        }
        Ok(inside)
    }

    /// Moves what was said inside out of rustls. The message that it came in was bounded, so this is.
    fn read(&mut self, length: usize, inside: &mut Secret) -> Result<(), TlsError> {
        if length == 0 {
            return Ok(());
        }
        let mut octets = Zeroizing::new(vec![0; length]);
        match self.connection.reader().read_exact(&mut octets) {
            Ok(()) => inside.extend_from_slice(&octets),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Err(TlsError::Failed),
        }
        Ok(())
    }

    /// Says something inside the tunnel; it goes out with [`Engine::output`].
    pub(crate) fn write(&mut self, inside: &[u8]) -> Result<(), TlsError> {
        self.connection.writer().write_all(inside).map_err(|_| TlsError::Failed)
    }

    /// All that is to be sent now.
    pub(crate) fn output(&mut self) -> Vec<u8> {
        let mut output = Vec::new();
        if self.connection.wants_write() {
            output.reserve(OUTPUT);
        }
        while self.connection.wants_write() {
            // Writing into memory does not fail; should it, what is there goes out.
            if self.connection.write_tls(&mut output).is_err() {
                break;
            }
        }
        output
    }

    /// The handshake is over: keys are there.
    pub(crate) fn is_established(&self) -> bool {
        !self.connection.is_handshaking()
    }

    pub(crate) fn is_tls13(&self) -> bool {
        self.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    /// An earlier session goes on.
    pub(crate) fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The session that goes on, if one does.
    pub(crate) fn found(&mut self) -> Option<Found> {
        self.turn.found.take()
    }

    /// The session to be kept when phase 2 has succeeded.
    pub(crate) fn kept(&mut self) -> Option<Kept> {
        self.turn.kept.take()
    }

    /// The keys that the methods are made of: the MSK, on TLS 1.3 with the EMSK after it; their first 60 octets are PEAP's
    /// tunnel key. An error before the handshake is over.
    pub(crate) fn keys(&self, method: Type) -> Result<Secret, TlsError> {
        let (label, context): (&[u8], _) = match (self.is_tls13(), method) {
            // RFC 9427 §2.1: one label for all, the context tells the methods apart.
            (true, Type(kind)) => (b"EXPORTER_EAP_TLS_Key_Material", Some([kind])),
            // RFC 5281 §8. No context is not the same as an empty one on TLS 1.2.
            (false, Type::TTLS) => (b"ttls keying material", None),
            // RFC 5216 §2.3.
            (false, _) => (b"client EAP encryption", None),
        };
        let length = if self.is_tls13() { KEY_MATERIAL } else { MSK };
        let mut keys = Zeroizing::new(vec![0; length]);
        self.connection.export_keying_material(
            &mut *keys,
            label,
            context.as_ref().map(|context| &context[..]),
        )?;
        Ok(keys)
    }

    /// See [`Challenger`]. RFC 9427 §2.4: without a context on either version.
    pub(crate) fn challenge(&self, challenge: &mut [u8]) -> Result<(), TlsError> {
        self.connection.export_keying_material(challenge, b"ttls challenge", None)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        peer::Method,
        tests::{VERSIONS, peer_config, server_config},
    };

    /// Both ends, the handshake over.
    fn pair(version: usize) -> [Engine; 2] {
        let peer = peer_config(Method::TtlsPap, VERSIONS[version]);
        let mut client = Engine::client(peer.tls, peer.server_name).unwrap();
        let mut server = Engine::server(server_config().tls, None).unwrap();
        assert!(client.keys(Type::PEAP).is_err(), "no early keys");
        while client.connection.wants_write() || server.connection.wants_write() {
            assert!(server.receive(&client.output()).unwrap().is_empty());
            assert!(client.receive(&server.output()).unwrap().is_empty());
        }
        [client, server]
    }

    fn raw(engine: &Engine, label: &[u8], context: Option<&[u8]>) -> Vec<u8> {
        engine.connection.export_keying_material([0; 128], label, context).unwrap().to_vec()
    }

    #[test]
    fn keys_of_tls_1_2_have_a_label_a_method() {
        let [client, server] = pair(0);
        assert!(!client.is_tls13());
        for (kind, label) in
            [(Type::PEAP, &b"client EAP encryption"[..]), (Type::TTLS, b"ttls keying material")]
        {
            assert_eq!(*client.keys(kind).unwrap(), raw(&server, label, None)[..MSK]);
            assert_ne!(*client.keys(kind).unwrap(), raw(&server, label, Some(&[]))[..MSK]);
        }
    }

    #[test]
    fn keys_of_tls_1_3_have_a_context_a_method() {
        let [client, server] = pair(1);
        assert!(server.is_tls13());
        for kind in [Type::PEAP, Type::TTLS] {
            let expected = raw(&server, b"EXPORTER_EAP_TLS_Key_Material", Some(&[kind.0]));
            assert_eq!(*client.keys(kind).unwrap(), expected);
        }
    }

    #[test]
    fn the_implicit_challenge_has_no_context() {
        for version in 0..2 {
            let [client, server] = pair(version);
            for length in [9, 17] {
                let expected = vec![0; length];
                let expected = server.connection.export_keying_material(expected, b"ttls challenge", None);
                let mut challenge = vec![0; length];
                client.challenge(&mut challenge).unwrap();
                assert_eq!(challenge, expected.unwrap());
            }
        }
    }

    #[test]
    fn a_closed_tunnel_is_told_from_a_broken_one() {
        let [mut client, mut server] = pair(1);
        client.connection.send_close_notify();
        assert_eq!(server.receive(&client.output()).err(), Some(TlsError::Closed));
        let [mut client, mut server] = pair(1);
        client.write(b"words").unwrap();
        let mut message = client.output();
        *message.last_mut().unwrap() ^= 1;
        assert_eq!(server.receive(&message).err(), Some(TlsError::Failed));
        assert!(!server.output().is_empty(), "an alert");
    }
}
