//! What a device tells of a credential that it was given: installed, first login, or why not.
//!
//! The report is proved by the credential's own secret, so it may come by any way, over Wi-Fi too, and only who holds the
//! credential can speak of it. Saying it twice changes nothing, so a repeated report needs no defence.

use data_encoding::BASE64URL_NOPAD;
use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::{message::CredentialRequest, secret::Password};

/// Separates this use of a password from every other.
const LABEL: &[u8] = b"wifi-offload-report-1";

/// One report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialReport {
    /// The credential's.
    pub username: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Version of the signed policy that the device obeys.
    pub policy_version: Option<u64>,
    /// `name/version` of the agent, at most 64 octets.
    pub agent: String,
    /// HMAC-SHA-256 under the password; see [`CredentialReport::prove`].
    pub proof: Proof,
}

/// What a device sends to the portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceMessage {
    /// It wants a credential.
    Request(CredentialRequest),
    /// It tells of one.
    Report(CredentialReport),
}

/// What became of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It stands in the supplicant.
    Installed,
    /// The AAA accepted a login.
    FirstSuccess,
    /// It could not be used.
    Failed(Failure),
}

/// Why a credential could not be used; the codes are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The supplicant does not take it.
    Supplicant,
    /// The AAA refused username, password or MAC.
    RejectedByAaa,
    /// The AAA's certificate is not the one that came with it.
    ServerCertificate,
    /// 802.1X began and nobody answered.
    AaaSilent,
    /// Association or 4-way handshake failed.
    AssociationFailed,
    /// The card does not take the address that it is bound to.
    MacRefused,
    /// Its policy is not obeyed: not signed by a known key, or older than the one that is obeyed.
    PolicyRefused,
}

/// 32 octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof(pub [u8; 32]);

impl CredentialReport {
    /// A report with its proof.
    pub fn prove(
        username: String,
        outcome: Outcome,
        policy_version: Option<u64>,
        agent: String,
        password: &Password,
    ) -> Self {
        let mut report = Self { username, outcome, policy_version, agent, proof: Proof([0; 32]) };
        // The password's purpose: to prove that it is held.
        let tag = hmac::sign(&report.key(password), &report.statement());
        report.proof.0.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        report
    }

    /// Whether who wrote it holds this password.
    pub fn is_proved_by(&self, password: &Password) -> bool {
        hmac::verify(&self.key(password), &self.statement(), &self.proof.0).is_ok()
    }

    fn key(&self, password: &Password) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, password.expose().as_bytes())
    }

    /// Parts with a zero between them; none of them can hold one.
    fn statement(&self) -> Vec<u8> {
        let version = self.policy_version.map(|version| version.to_string()).unwrap_or_default();
        let username = self.username.to_ascii_lowercase();
        let failure = self.outcome.failure().map_or("", Failure::code);
        [LABEL, username.as_bytes(), self.outcome.code().as_bytes(), failure.as_bytes(), version.as_bytes()]
            .join(&0)
    }
}

impl Outcome {
    /// As it stands in messages.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::FirstSuccess => "first-success",
            Self::Failed(_) => "failed",
        }
    }

    /// Why it failed, if it did.
    pub const fn failure(self) -> Option<Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Installed | Self::FirstSuccess => None,
        }
    }

    /// Of its two parts.
    pub fn read(code: &str, failure: Option<Failure>) -> Option<Self> {
        match (code, failure) {
            ("installed", None) => Some(Self::Installed),
            ("first-success", None) => Some(Self::FirstSuccess),
            ("failed", Some(failure)) => Some(Self::Failed(failure)),
            _ => None,
        }
    }
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Supplicant,
        Self::RejectedByAaa,
        Self::ServerCertificate,
        Self::AaaSilent,
        Self::AssociationFailed,
        Self::MacRefused,
        Self::PolicyRefused,
    ];

    /// As it stands in messages.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Supplicant => "supplicant",
            Self::RejectedByAaa => "rejected-by-aaa",
            Self::ServerCertificate => "server-certificate",
            Self::AaaSilent => "aaa-silent",
            Self::AssociationFailed => "association-failed",
            Self::MacRefused => "mac-refused",
            Self::PolicyRefused => "policy-refused",
        }
    }

    /// Back.
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| failure.code() == code)
    }
}

impl Proof {
    /// As it stands in messages: base64url without padding.
    pub fn text(self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    /// Back.
    pub fn of_text(text: &str) -> Option<Self> {
        BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    #[test]
    fn only_the_holder_can_speak_and_every_word_counts() {
        let report = |outcome, version| {
            CredentialReport::prove("A@x".to_owned(), outcome, version, "a/1".to_owned(), &password("p"))
        };
        let good = report(Outcome::Installed, Some(3));
        assert!(good.is_proved_by(&password("p")) && !good.is_proved_by(&password("q")));
        assert!(CredentialReport { username: "a@x".to_owned(), ..good.clone() }.is_proved_by(&password("p")));
        for changed in [
            CredentialReport { username: "b@x".to_owned(), ..good.clone() },
            CredentialReport { outcome: Outcome::FirstSuccess, ..good.clone() },
            CredentialReport { outcome: Outcome::Failed(Failure::AaaSilent), ..good.clone() },
            CredentialReport { policy_version: Some(4), ..good.clone() },
            CredentialReport { policy_version: None, ..good.clone() },
        ] {
            assert!(!changed.is_proved_by(&password("p")), "{changed:?}");
        }
        assert_eq!(Proof::of_text(&good.proof.text()), Some(good.proof));
    }

    #[test]
    fn codes_are_those_of_serde() {
        for failure in Failure::ALL {
            assert_eq!(Failure::of_code(failure.code()), Some(failure));
            assert_eq!(serde_json::to_string(&failure).ok(), Some(format!("\"{}\"", failure.code())));
            assert_eq!(Outcome::read("failed", Some(failure)), Some(Outcome::Failed(failure)));
            assert_eq!(Outcome::read("installed", Some(failure)), None);
        }
        assert_eq!(Outcome::read("failed", None), None);
    }
}
