//! Why the server refused a login, with codes that logs and statistics may rely on.

use crate::{framing::FramingError, tls::TlsError};

/// Why a login did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The peer's proof does not fit the password.
    #[error("the password is wrong")]
    WrongPassword,
    /// The account may not log in with this method.
    #[error("the account may not use this method")]
    MethodNotAllowed,
    /// The caller had no password for the identity.
    #[error("the directory refuses the identity")]
    RejectedByDirectory,
    /// A TLS alert about our certificate: the device trusts another authority, or expects another name.
    #[error("the peer does not trust the server certificate")]
    PeerRefusedServerCertificate,
    /// The TLS handshake or a TLS record failed.
    #[error("TLS failed")]
    TlsError,
    /// The peer's Nak names no method that is configured.
    #[error("no method that both sides know")]
    NoCommonMethod,
    /// A packet that the method does not allow here.
    #[error("the peer broke the protocol")]
    ProtocolError,
    /// The two sides do not see the same tunnel: somebody may be between them.
    #[error("the crypto-binding does not fit")]
    CryptoBindingMismatch,
    /// The peer said no although its password was right.
    #[error("the peer ended the login")]
    PeerRefused,
    /// More rounds than a login takes.
    #[error("too many rounds")]
    TooManyRounds,
    /// A message longer than a login takes.
    #[error("a message is too long")]
    TooMuchData,
}

impl Reason {
    /// Stable name for logs and statistics.
    pub fn code(self) -> &'static str {
        match self {
            Self::WrongPassword => "wrong-password",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::RejectedByDirectory => "rejected-by-directory",
            Self::PeerRefusedServerCertificate => "peer-refused-server-certificate",
            Self::TlsError => "tls-error",
            Self::NoCommonMethod => "no-common-method",
            Self::ProtocolError => "protocol-error",
            Self::CryptoBindingMismatch => "crypto-binding-mismatch",
            Self::PeerRefused => "peer-refused",
            Self::TooManyRounds => "too-many-rounds",
            Self::TooMuchData => "too-much-data",
        }
    }
}

impl From<TlsError> for Reason {
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::CertificateRefused => Self::PeerRefusedServerCertificate,
            TlsError::Closed => Self::PeerRefused,
            TlsError::CertificateUntrusted | TlsError::Failed => Self::TlsError,
        }
    }
}

impl From<FramingError> for Reason {
    fn from(error: FramingError) -> Self {
        match error {
            FramingError::TooLong => Self::TooMuchData,
            FramingError::WrongLength | FramingError::OutOfTurn => Self::ProtocolError,
        }
    }
}
