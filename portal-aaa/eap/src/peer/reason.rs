//! Why the peer did not get in.

use crate::{framing::FramingError, tls::TlsError};

/// Why a login did not succeed, as the peer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The server says that the password is wrong.
    #[error("the server refuses the password")]
    WrongPassword,
    /// The certificate is from another authority, for another name, or out of its time.
    #[error("the server's certificate is not trusted")]
    UntrustedServer,
    /// The server did not prove that it knows the password.
    #[error("the server does not know the password")]
    UnprovenServer,
    /// The two sides do not see the same tunnel, or the server offers no proof that they do.
    #[error("the crypto-binding does not fit")]
    CryptoBindingMismatch,
    /// The TLS handshake or a TLS record failed.
    #[error("TLS failed")]
    TlsError,
    /// A packet that the method does not allow here.
    #[error("the server broke the protocol")]
    ProtocolError,
    /// EAP-Failure without another explanation.
    #[error("the server refuses")]
    Refused,
}

impl From<TlsError> for Reason {
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::CertificateUntrusted => Self::UntrustedServer,
            TlsError::Closed => Self::Refused,
            TlsError::CertificateRefused | TlsError::Failed => Self::TlsError,
        }
    }
}

impl From<FramingError> for Reason {
    fn from(_: FramingError) -> Self {
        Self::ProtocolError
    }
}
