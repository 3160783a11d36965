//! The chosen credential in the supplicant, and what the supplicant tells of it.

use std::time::Duration;

use provisioning::report::{self, Outcome};

use crate::{
    machine::{Action, Failure, Machine, Note, ReturnReason, State},
    supplicant::{self, JoinFailure, Owner},
};

/// Wait after the supplicant refused the credential.
const INSTALL_RETRY: Duration = Duration::from_secs(10);

/// Facts about the supplicant.
#[derive(Debug, Default)]
pub(super) struct Installation {
    up: bool,
    owner: Option<Owner>,
    /// Username that stands in the supplicant, or is on its way there.
    username: Option<String>,
    installing: bool,
    /// The supplicant refused the last installation; no other before this.
    retry_at: Duration,
}

impl super::Keeper {
    pub(in crate::machine) fn supplicant_up(&self) -> bool {
        self.install.up
    }

    pub(in crate::machine) fn owner(&self) -> Option<Owner> {
        self.install.owner
    }

    /// The credential that the next join uses stands in the supplicant.
    pub(in crate::machine) fn installed(&self, unix: u64) -> bool {
        let chosen = self.chosen(unix).map(|chosen| chosen.username.as_str());
        !self.install.installing && chosen.is_some() && self.install.username.as_deref() == chosen
    }

    pub(super) fn install_deadline(&self) -> Option<Duration> {
        (self.install.retry_at > Duration::ZERO).then_some(self.install.retry_at)
    }

    fn supplicant_restarted(&mut self, up: bool) {
        let owner = self.install.owner;
        self.install = Installation { up, owner, ..Installation::default() };
    }
}

impl Machine {
    pub(in crate::machine) fn learn_supplicant(&mut self, event: supplicant::Event) {
        match event {
            supplicant::Event::Up => {
                self.credential.supplicant_restarted(true);
                self.scanner.now();
            }
            supplicant::Event::Down => {
                self.credential.supplicant_restarted(false);
                self.wifi_lost(ReturnReason::WlanGone);
            }
            supplicant::Event::Installed => {
                self.credential.install.installing = false;
                if let Some(username) = self.credential.install.username.clone() {
                    self.report(&username, Outcome::Installed);
                    self.note(Note::CredentialInstalled { username });
                }
            }
            supplicant::Event::Failed(text) => {
                if std::mem::take(&mut self.credential.install.installing) {
                    self.report_failure(report::Failure::Supplicant);
                    self.credential.install.username = None;
                    self.credential.install.retry_at = self.now.since_boot + INSTALL_RETRY;
                }
                self.fail(Failure::Supplicant, text);
            }
            supplicant::Event::JoinFailed { failure, text } => self.learn_refusal(failure, &text),
            supplicant::Event::Connected { bssid, pairwise_cipher, tls_version, key_mgmt: _ } => {
                self.note(Note::Connected { bssid, cipher: pairwise_cipher, tls_version });
                // An open network has asked nobody yet.
                if self.state == State::Joining
                    && !self.join.is_hotspot()
                    && let Some(username) = self.credential.install.username.clone()
                {
                    self.credential.accepted(&username);
                    self.report(&username, Outcome::FirstSuccess);
                }
                self.learn_connected();
            }
            supplicant::Event::Disconnected { .. } => self.wifi_lost(ReturnReason::Disconnected),
            supplicant::Event::Owner(owner) => self.credential.install.owner = Some(owner),
            supplicant::Event::Addressed(lease) => self.learn_addressed(lease),
            supplicant::Event::Associated { .. } | supplicant::Event::ServerAccepted { .. } => {}
        }
    }

    pub(in crate::machine) fn learn_refusal(&mut self, failure: JoinFailure, text: &str) {
        let joining = matches!(self.state, State::Joining | State::LoggingIn);
        let seen = match failure {
            JoinFailure::CertificateDate if !self.clock.confirmed() => Failure::Clock,
            other => other.into(),
        };
        self.learn_join_failure(seen, text);
        if !joining {
            return;
        }
        match failure {
            JoinFailure::Rejected => self.report_failure(report::Failure::RejectedByAaa),
            JoinFailure::ServerCertificate | JoinFailure::CertificateDate => {
                self.report_failure(report::Failure::ServerCertificate);
            }
            JoinFailure::AaaSilent => self.report_failure(report::Failure::AaaSilent),
            JoinFailure::Association => self.report_failure(report::Failure::AssociationFailed),
            JoinFailure::NotFound => {}
        }
        match failure {
            JoinFailure::Rejected => {
                if let Some(username) = self.credential.install.username.clone() {
                    self.credential.refused(&username, self.now.unix);
                }
                self.credential.renew.back_off(self.now.since_boot, None);
            }
            JoinFailure::ServerCertificate | JoinFailure::CertificateDate => {
                self.credential.doubt_trust(self.now.since_boot);
            }
            // The network's fault, not the credential's.
            JoinFailure::Association | JoinFailure::AaaSilent | JoinFailure::NotFound => {}
        }
    }

    /// Of the one that stands in the supplicant.
    pub(in crate::machine) fn report_failure(&mut self, failure: report::Failure) {
        if let Some(username) = self.credential.install.username.clone() {
            self.report(&username, Outcome::Failed(failure));
        }
    }

    /// A network block is never replaced while it is in use: that would break the association.
    pub(super) fn install(&mut self) {
        let keeper = &self.credential;
        if self.on_wifi() || !keeper.install.up || keeper.install.installing {
            return;
        }
        if self.now.since_boot < keeper.install.retry_at || keeper.installed(self.now.unix) {
            return;
        }
        match keeper.chosen(self.now.unix).cloned() {
            Some(credential) => {
                self.credential.install.installing = true;
                self.credential.install.username = Some(credential.username.clone());
                let credential = Box::new(credential);
                self.act(Action::Supplicant(supplicant::Command::Install { credential }));
            }
            // Ended, used up, refused or taken away: it is not left lying in another program.
            None if keeper.install.username.is_some() => {
                self.credential.install.username = None;
                self.act(Action::Supplicant(supplicant::Command::Remove));
            }
            None => {}
        }
    }
}
