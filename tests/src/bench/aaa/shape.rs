//! What a login looks like, the same for every server that is measured.

use serde::Serialize;

use crate::peers::{
    certificate::Kind,
    eapol::{Method, Tls},
};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mode {
    /// PEAPv0 with EAP-MSCHAPv2, a full handshake each time.
    Peap,
    /// TTLS with PAP, a full handshake each time.
    Ttls,
    /// PEAP, each login a resumption.
    PeapResume,
    /// TTLS, each login a resumption.
    TtlsResume,
    /// PAP in one Access-Request.
    Pap,
}

impl Mode {
    /// For tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Peap => "peap",
            Self::Ttls => "ttls",
            Self::PeapResume => "peap-resume",
            Self::TtlsResume => "ttls-resume",
            Self::Pap => "pap",
        }
    }

    /// EAP inside.
    pub(super) fn method(self) -> Option<Method> {
        match self {
            Self::Peap | Self::PeapResume => Some(Method::PeapMschapv2),
            Self::Ttls | Self::TtlsResume => Some(Method::TtlsPap),
            Self::Pap => None,
        }
    }

    /// Sessions are resumed.
    pub(super) fn resumes(self) -> bool {
        matches!(self, Self::PeapResume | Self::TtlsResume)
    }

    /// TTLS is what the client wants, so the server proposes it.
    pub(super) fn is_ttls(self) -> bool {
        matches!(self, Self::Ttls | Self::TtlsResume)
    }

    /// Logins of a measured run: a second or more of the server's time, so that a tick of the kernel's clock is little.
    pub(super) fn logins(self) -> u64 {
        match self {
            Self::Peap | Self::Ttls => 4000,
            Self::PeapResume | Self::TtlsResume => 8000,
            Self::Pap => 80_000,
        }
    }
}

/// A mode on a version of TLS with a kind of certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// What is measured.
    pub(super) mode: Mode,
    /// The client offers no other.
    pub(super) tls: Tls,
    /// Of the server's certificate.
    pub(super) certificate: Kind,
}
