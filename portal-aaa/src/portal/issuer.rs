//! What the portal asks the credential maker for.

use provisioning::{message::Credential, report::CredentialReport};

use crate::credential::{Authority, IssueError, IssueRequest, ReportError, system_random};

/// Makes a credential and records it, and what becomes of it. Blocks on the database.
pub trait Issuer: Send + Sync + 'static {
    /// `now` is seconds since 1970. When it returns `Ok` the record is on disk.
    fn issue(&self, now: u64, request: &IssueRequest) -> Result<Credential, IssueError>;

    /// The same for those who ask at the same time: an answer each, in their order. What one does to the disk it does
    /// for all.
    fn issue_each(&self, now: u64, requests: &[IssueRequest]) -> Vec<Result<Credential, IssueError>> {
        requests.iter().map(|request| self.issue(now, request)).collect()
    }

    /// Keeps what a device tells of a credential, if it proves that it holds it.
    fn tell(&self, now: u64, report: &CredentialReport) -> Result<(), ReportError>;
}

impl Issuer for Authority {
    fn issue(&self, now: u64, request: &IssueRequest) -> Result<Credential, IssueError> {
        self.issue_entitled(now, request, &mut system_random, self.entitlement())
    }

    fn issue_each(&self, now: u64, requests: &[IssueRequest]) -> Vec<Result<Credential, IssueError>> {
        self.issue_each_entitled(now, requests, &mut system_random, self.entitlement())
    }

    fn tell(&self, now: u64, report: &CredentialReport) -> Result<(), ReportError> {
        self.told(now, report)
    }
}
