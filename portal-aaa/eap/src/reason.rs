//! Why a conversation failed, with codes that logs and statistics may rely on.

/// Why a login did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The peer's proof does not fit the password.
    #[error("the password is wrong")]
    WrongPassword,
    /// The caller had no password for the identity.
    #[error("the directory refuses the identity")]
    RejectedByDirectory,
    /// A TLS alert about our certificate, or silence where only a trusted server is answered.
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
    /// The peer said no after the password was right.
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
