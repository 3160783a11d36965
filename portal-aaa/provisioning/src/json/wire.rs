//! The messages as JSON has them. None of these types can be printed; secrets leave their types here, to be written.

use std::{str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error, ser::SerializeMap};
use zeroize::Zeroizing;

use super::JsonError;
use crate::{
    identity::{Imei, Imsi, Mac},
    message::{
        Credential, CredentialRequest, EapSettings, Flaw, InnerMethod, MAX_RESERVE, MacMode, OuterMethod,
        Policy, Reason, Refusal, Trigger,
    },
    report::{CredentialReport, Failure, Outcome, Proof},
    secret::Password,
    signed::SignedPolicy,
    xml::text::{mac, rfc3339, station, time},
};

/// An object with one member.
pub(super) struct Member<'a, T>(pub(super) &'static str, pub(super) &'a T);

impl<T: Serialize> Serialize for Member<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(1))?;
        object.serialize_entry(self.0, self.1)?;
        object.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct RequestOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    imsi: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    imei: Option<&'a str>,
    mac: String,
    trigger: Trigger,
    agent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_version: Option<u64>,
}

impl<'a> RequestOut<'a> {
    pub(super) fn new(request: &'a CredentialRequest) -> Self {
        Self {
            imsi: request.imsi.as_ref().map(Imsi::expose),
            imei: request.imei.as_ref().map(Imei::expose),
            mac: request.mac.to_string(),
            trigger: request.trigger,
            agent: &request.agent,
            policy_version: request.policy_version,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RequestIn {
    #[serde(default, deserialize_with = "identifier")]
    imsi: Option<Imsi>,
    #[serde(default, deserialize_with = "identifier")]
    imei: Option<Imei>,
    #[serde(deserialize_with = "address")]
    mac: Mac,
    trigger: Trigger,
    agent: String,
    #[serde(default, deserialize_with = "some_number")]
    policy_version: Option<u64>,
}

impl From<RequestIn> for CredentialRequest {
    fn from(read: RequestIn) -> Self {
        let RequestIn { imsi, imei, mac, trigger, agent, policy_version } = read;
        Self { imsi, imei, mac, trigger, agent, policy_version }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ReportOut<'a> {
    username: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_version: Option<u64>,
    agent: &'a str,
    proof: String,
}

impl<'a> ReportOut<'a> {
    pub(super) fn new(report: &'a CredentialReport) -> Self {
        Self {
            username: &report.username,
            outcome: report.outcome.code(),
            failure: report.outcome.failure(),
            policy_version: report.policy_version,
            agent: &report.agent,
            proof: report.proof.text(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct ReportIn {
    username: String,
    outcome: String,
    #[serde(default, deserialize_with = "some_failure")]
    failure: Option<Failure>,
    #[serde(default, deserialize_with = "some_number")]
    policy_version: Option<u64>,
    agent: String,
    proof: String,
}

impl ReportIn {
    pub(super) fn report(self) -> Result<CredentialReport, JsonError> {
        let Self { username, outcome, failure, policy_version, agent, proof } = self;
        let value = |field| JsonError::Value { field };
        Ok(CredentialReport {
            username,
            outcome: Outcome::read(&outcome, failure).ok_or(value("outcome"))?,
            policy_version,
            agent,
            proof: Proof::of_text(&proof).ok_or(value("proof"))?,
        })
    }
}

/// An object with nothing in it.
#[derive(Serialize, Deserialize)]
pub(super) struct Nothing {}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct CredentialOut<'a> {
    username: &'a str,
    #[serde(serialize_with = "expose")]
    password: &'a Password,
    eap: EapOut<'a>,
    mac: MacOut,
    issued: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    one_time: bool,
    policy: &'a Policy,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_policy: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct EapOut<'a> {
    outer: OuterMethod,
    inner: InnerMethod,
    anonymous_identity: &'a str,
    server_name: &'a str,
    ca: &'a str,
}

#[derive(Serialize)]
struct MacOut {
    mode: Mode,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    Permanent,
    Issued,
    Unbound,
}

impl<'a> CredentialOut<'a> {
    pub(super) fn new(credential: &'a Credential) -> Result<Self, JsonError> {
        let eap = &credential.eap;
        let expires = credential.expires_at.map(|seconds| rfc3339("expires", seconds)).transpose()?;
        Ok(Self {
            username: &credential.username,
            password: &credential.password,
            eap: EapOut {
                outer: eap.outer,
                inner: eap.inner,
                anonymous_identity: &eap.anonymous_identity,
                server_name: &eap.server_name,
                ca: &eap.ca_pem,
            },
            mac: match credential.mac_mode {
                MacMode::Permanent => MacOut { mode: Mode::Permanent, address: None },
                MacMode::Issued(address) => {
                    MacOut { mode: Mode::Issued, address: Some(station("address", address)?) }
                }
                MacMode::Unbound => MacOut { mode: Mode::Unbound, address: None },
            },
            issued: rfc3339("issued", credential.issued_at)?,
            expires,
            one_time: credential.one_time,
            policy: &credential.policy,
            signed_policy: credential.signed_policy.as_ref().map(SignedPolicy::as_str),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct CredentialIn {
    username: String,
    #[serde(deserialize_with = "password")]
    password: Password,
    eap: EapIn,
    #[serde(deserialize_with = "mac_mode")]
    mac: MacMode,
    #[serde(deserialize_with = "seconds")]
    issued: u64,
    #[serde(default, deserialize_with = "some_seconds")]
    expires: Option<u64>,
    one_time: bool,
    policy: Policy,
    #[serde(default, deserialize_with = "signed_policy")]
    signed_policy: Option<SignedPolicy>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct EapIn {
    outer: OuterMethod,
    inner: InnerMethod,
    anonymous_identity: String,
    server_name: String,
    ca: String,
}

#[derive(Deserialize)]
struct MacIn {
    mode: Mode,
    #[serde(default, deserialize_with = "some_address")]
    address: Option<Mac>,
}

impl From<CredentialIn> for Credential {
    fn from(read: CredentialIn) -> Self {
        let CredentialIn {
            username,
            password,
            eap,
            mac,
            issued,
            expires,
            one_time,
            mut policy,
            signed_policy,
        } = read;
        policy.one_time_reserve = policy.one_time_reserve.min(MAX_RESERVE);
        let EapIn { outer, inner, anonymous_identity, server_name, ca } = eap;
        Self {
            username,
            password,
            eap: EapSettings { outer, inner, anonymous_identity, server_name, ca_pem: ca },
            mac_mode: mac,
            issued_at: issued,
            expires_at: expires,
            one_time,
            policy,
            signed_policy,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct RefusalOut<'a> {
    reason: Reason,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flaw: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

impl<'a> RefusalOut<'a> {
    pub(super) fn new(refusal: &'a Refusal) -> Self {
        let whole = |wait: Duration| wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
        let retry_after = refusal.retry_after.map(|wait| u32::try_from(whole(wait)).unwrap_or(u32::MAX));
        let flaw = refusal.flaw.as_ref();
        Self {
            reason: refusal.reason,
            retry_after,
            flaw: flaw.map(Flaw::code),
            field: flaw.and_then(Flaw::field),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct RefusalIn {
    reason: Reason,
    #[serde(default)]
    retry_after: Option<u32>,
    #[serde(default)]
    flaw: Option<String>,
    #[serde(default)]
    field: Option<String>,
}

impl From<RefusalIn> for Refusal {
    fn from(read: RefusalIn) -> Self {
        let retry_after = read.retry_after.map(|seconds| Duration::from_secs(seconds.into()));
        let flaw = read.flaw.and_then(|code| Flaw::new(&code, read.field.as_deref()));
        Self { reason: read.reason, retry_after, flaw }
    }
}

fn expose<S: Serializer>(password: &Password, serializer: S) -> Result<S::Ok, S::Error> {
    // The one message whose purpose is to carry the password.
    serializer.serialize_str(password.expose())
}

fn password<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Password, D::Error> {
    String::deserialize(deserializer).map(Password::new)
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

fn identifier<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D) -> Result<Option<T>, D::Error> {
    // The message is dropped on the way; the field is what counts.
    text(deserializer)?.parse().map(Some).map_err(|_| D::Error::custom("identifier"))
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Mac, D::Error> {
    mac("mac", &text(deserializer)?).map_err(D::Error::custom)
}

fn some_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Mac>, D::Error> {
    address(deserializer).map(Some)
}

/// `null` is no number: a request says what it says, or nothing.
fn some_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    u64::deserialize(deserializer).map(Some)
}

fn some_failure<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Failure>, D::Error> {
    Failure::deserialize(deserializer).map(Some)
}

fn signed_policy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SignedPolicy>, D::Error> {
    text(deserializer)?.parse().map(Some).map_err(D::Error::custom)
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    time("issued", &text(deserializer)?).map_err(D::Error::custom)
}

fn some_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    seconds(deserializer).map(Some)
}

/// Exactly one way must be understood: a guess could put the card's own address on the air against the operator's will.
fn mac_mode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MacMode, D::Error> {
    match MacIn::deserialize(deserializer)? {
        MacIn { mode: Mode::Permanent, address: None } => Ok(MacMode::Permanent),
        MacIn { mode: Mode::Issued, address: Some(address) } => Ok(MacMode::Issued(address)),
        MacIn { mode: Mode::Unbound, address: None } => Ok(MacMode::Unbound),
        _ => Err(D::Error::custom("address")),
    }
}
