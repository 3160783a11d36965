//! `<credential-report>`, read as strictly as a request, and `<report-accepted>`, the portal's answer.

use super::{
    XmlError,
    read::{Node, Space, parse},
    request::MAX_AGENT,
    text::{ascii, line, number},
    write::{Document, Writer},
};
use crate::report::{CredentialReport, Failure, Outcome, Proof};

pub(super) const ROOT: &str = "credential-report";
const ACCEPTED: &str = "report-accepted";
const MAX_NAME: usize = 253;

/// Writes what the device tells.
pub fn encode_report(report: &CredentialReport) -> Result<Document, XmlError> {
    Writer::document(ROOT, |w| {
        w.leaf("username", line("username", &report.username, MAX_NAME)?);
        w.leaf("outcome", report.outcome.code());
        if let Some(failure) = report.outcome.failure() {
            w.leaf("failure", failure.code());
        }
        if let Some(version) = report.policy_version {
            w.leaf("policy-version", &version.to_string());
        }
        w.leaf("agent", ascii("agent", &report.agent, MAX_AGENT)?);
        w.leaf("proof", &report.proof.text());
        Ok(())
    })
}

/// Reads what a device tells.
pub fn decode_report(octets: &[u8]) -> Result<CredentialReport, XmlError> {
    read_report(parse(octets, ROOT)?)
}

/// The same, of an element that stands in something else.
pub(super) fn read_report(root: Node) -> Result<CredentialReport, XmlError> {
    let root = root.expect(ROOT)?;
    let mut fields = root.in_order(ROOT)?;
    let username = line("username", fields.required("username")?, MAX_NAME)?.to_owned();
    let outcome = fields.required("outcome")?;
    let value = |element| XmlError::Value { element };
    let failure = fields.optional("failure")?;
    let failure = failure.map(|code| Failure::of_code(code).ok_or(value("failure"))).transpose()?;
    let policy_version = fields.optional("policy-version")?;
    let report = CredentialReport {
        username,
        outcome: Outcome::read(outcome, failure).ok_or(value("outcome"))?,
        policy_version: policy_version.map(|text| number("policy-version", text)).transpose()?,
        agent: ascii("agent", fields.required("agent")?, MAX_AGENT)?.to_owned(),
        proof: Proof::of_text(fields.required("proof")?).ok_or(value("proof"))?,
    };
    fields.end()?;
    Ok(report)
}

/// Writes that a report was taken in.
pub fn encode_accepted() -> Result<Document, XmlError> {
    Writer::document(ACCEPTED, |_| Ok(()))
}

/// Reads that a report was taken in.
pub fn decode_accepted(octets: &[u8]) -> Result<(), XmlError> {
    read_accepted(&parse(octets, ACCEPTED)?)
}

/// The same, of an element that stands in something else.
pub(super) fn read_accepted(root: &Node) -> Result<(), XmlError> {
    if root.is(Space::Ours, ACCEPTED) { Ok(()) } else { Err(XmlError::Root { expected: ACCEPTED }) }
}
