//! What a device tells of its credential: proved by the password, which the username gives, so no device can speak of
//! another's.

use provisioning::report::{self, CredentialReport};

use super::Authority;
use crate::store::{
    StoreError,
    rotation::{Outcome, Told},
};

/// Why a report is not taken in.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Not issued here, or by somebody who does not hold it.
    #[error("the report is not proved by the credential that it is about")]
    Unproved,
    /// It could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Authority {
    /// Keeps what a device tells. Telling it again changes nothing.
    pub fn told(&self, now: u64, report: &CredentialReport) -> Result<(), ReportError> {
        let opened = self.open(&report.username).map_err(|_| ReportError::Unproved)?;
        if !report.is_proved_by(&opened.password) {
            return Err(ReportError::Unproved);
        }
        let outcome = match report.outcome {
            report::Outcome::Installed => Outcome::Installed,
            report::Outcome::FirstSuccess => Outcome::Worked,
            report::Outcome::Failed(failure) => Outcome::Failed(failure.code()),
        };
        let username = report.username.clone();
        self.store.tell(&Told { username, outcome, runs_policy: report.policy_version }, now)?;
        Ok(())
    }
}
