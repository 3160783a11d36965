//! JSON encoding of the messages: one object with one member, named as XML's root element is, and in it the same fields
//! under the same names. The contract is `schema/wifi-offload-1.schema.json`.
//!
//! `read` makes octets a small bounded tree, `fields` lets serde take the types of `wire` and
//! [`crate::message::Policy`] out of it and keeps track of the field. Requests are strict: every field known, once.
//! Replies are lenient: unknown fields are passed over at every level. What a value may be is the same as in XML, and
//! checked by the same code: what XML could not carry, JSON does not either.

mod fields;
mod read;
mod wire;

use std::io;

use crate::{
    document::{Document, Secretive},
    message::{Credential, CredentialRequest, MAX_RESERVE, Refusal},
    report::{CredentialReport, DeviceMessage},
    signed::Claims,
    xml::{self, MAX_BODY, MAX_DEPTH, MAX_ELEMENTS, XmlError},
};
use serde::{Serialize, de::DeserializeOwned};

/// What `Content-Type` says.
pub const CONTENT_TYPE: &str = "application/json";

const REQUEST: &str = "credential-request";
const CREDENTIAL: &str = "credential";
const REFUSAL: &str = "refusal";
const REPORT: &str = "credential-report";
const ACCEPTED: &str = "report-accepted";

/// Why a message was not read or written. Names fields of the schema, never what stood in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// More than [`MAX_BODY`] octets.
    #[error("the message is longer than {MAX_BODY} octets")]
    TooLarge,
    /// Not UTF-8.
    #[error("the message is not UTF-8")]
    NotUtf8,
    /// Not JSON (RFC 8259).
    #[error("the message is not well-formed JSON")]
    Malformed,
    /// Nested beyond [`MAX_DEPTH`].
    #[error("the message is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// More than [`MAX_ELEMENTS`] values, or too many networks.
    #[error("the message has too many values")]
    TooMany,
    /// A name stands twice in one object (RFC 8259 §4 leaves open which one would count).
    #[error("a name stands twice in one object")]
    Twice,
    /// Not an object with the one member `expected`.
    #[error("the message is not an object with \"{expected}\" in it")]
    Root {
        /// What it should be.
        expected: &'static str,
    },
    /// Something unknown.
    #[error("unexpected content in \"{within}\"")]
    Unexpected {
        /// Where.
        within: &'static str,
    },
    /// A needed field is not there.
    #[error("\"{field}\" is missing")]
    Missing {
        /// Which.
        field: &'static str,
    },
    /// Neither IMSI nor IMEI.
    #[error("neither \"imsi\" nor \"imei\" is there")]
    NoIdentifier,
    /// A value is of another type, or outside of what the schema allows.
    #[error("the value of \"{field}\" is not allowed")]
    Value {
        /// Of which field.
        field: &'static str,
    },
}

impl JsonError {
    /// Stable code for logs and documentation.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::NotUtf8 => "not-utf8",
            Self::Malformed => "malformed",
            Self::TooDeep => "too-deep",
            Self::TooMany => "too-many",
            Self::Twice => "repeated-field",
            Self::Root { .. } => "wrong-root",
            Self::Unexpected { .. } => "unexpected-field",
            Self::Missing { .. } => "missing-field",
            Self::NoIdentifier => "no-identifier",
            Self::Value { .. } => "bad-value",
        }
    }

    /// The field that it is about, if it is about one.
    pub fn field(self) -> Option<&'static str> {
        match self {
            Self::Unexpected { within: field }
            | Self::Root { expected: field }
            | Self::Missing { field }
            | Self::Value { field } => Some(field),
            _ => None,
        }
    }
}

/// What the checks that are shared with XML say.
impl From<XmlError> for JsonError {
    fn from(error: XmlError) -> Self {
        match error {
            XmlError::TooLarge => Self::TooLarge,
            XmlError::NotUtf8 => Self::NotUtf8,
            XmlError::TooDeep => Self::TooDeep,
            XmlError::TooMany => Self::TooMany,
            XmlError::Root { expected } => Self::Root { expected },
            XmlError::Unexpected { within } => Self::Unexpected { within },
            XmlError::Missing { element } => Self::Missing { field: element },
            XmlError::NoIdentifier => Self::NoIdentifier,
            XmlError::Value { element } => Self::Value { field: element },
            XmlError::Malformed | XmlError::Doctype | XmlError::Instruction | XmlError::Entity => {
                Self::Malformed
            }
        }
    }
}

/// Writes what the device asks.
pub fn encode_request(request: &CredentialRequest) -> Result<Document, JsonError> {
    xml::encode_request(request)?;
    document(REQUEST, &wire::RequestOut::new(request))
}

/// Reads what a device asks.
pub fn decode_request(octets: &[u8]) -> Result<CredentialRequest, JsonError> {
    let request: wire::RequestIn = parse(octets, REQUEST, fields::Unknown::Refused)?;
    let request = CredentialRequest::from(request);
    xml::encode_request(&request)?;
    Ok(request)
}

/// Writes what the device tells.
pub fn encode_report(report: &CredentialReport) -> Result<Document, JsonError> {
    xml::encode_report(report)?;
    document(REPORT, &wire::ReportOut::new(report))
}

/// Reads what a device tells.
pub fn decode_report(octets: &[u8]) -> Result<CredentialReport, JsonError> {
    let report: wire::ReportIn = parse(octets, REPORT, fields::Unknown::Refused)?;
    let report = report.report()?;
    xml::encode_report(&report)?;
    Ok(report)
}

/// Reads whatever a device sends. What is neither is refused as a request.
pub fn decode_message(octets: &[u8]) -> Result<DeviceMessage, JsonError> {
    if read::parse(octets)?.only_member(REPORT, false).is_some() {
        decode_report(octets).map(DeviceMessage::Report)
    } else {
        decode_request(octets).map(DeviceMessage::Request)
    }
}

/// Writes that a report was taken in.
pub fn encode_accepted() -> Result<Document, JsonError> {
    document(ACCEPTED, &wire::Nothing {})
}

/// Reads that a report was taken in.
pub fn decode_accepted(octets: &[u8]) -> Result<(), JsonError> {
    parse::<wire::Nothing>(octets, ACCEPTED, fields::Unknown::PassedOver).map(drop)
}

/// Writes what the portal gives.
pub fn encode_credential(credential: &Credential) -> Result<Document, JsonError> {
    xml::encode_credential(credential)?;
    document(CREDENTIAL, &wire::CredentialOut::new(credential)?)
}

/// Reads what the portal gives.
pub fn decode_credential(octets: &[u8]) -> Result<Credential, JsonError> {
    let credential: wire::CredentialIn = parse(octets, CREDENTIAL, fields::Unknown::PassedOver)?;
    let credential = Credential::from(credential);
    xml::encode_credential(&credential)?;
    Ok(credential)
}

/// Reads what was signed (see [`crate::signed`]), as leniently as a reply.
pub(crate) fn decode_claims(octets: &[u8]) -> Result<Claims, JsonError> {
    let mut claims: Claims =
        fields::take(&read::parse(octets)?, "signed-policy", fields::Unknown::PassedOver)?;
    claims.policy.one_time_reserve = claims.policy.one_time_reserve.min(MAX_RESERVE);
    xml::check_policy(&claims.policy)?;
    Ok(claims)
}

/// Writes a refusal. A part of a second counts as a whole one: coming early would be refused again.
pub fn encode_refusal(refusal: &Refusal) -> Result<Document, JsonError> {
    document(REFUSAL, &wire::RefusalOut::new(refusal))
}

/// Reads a refusal. A reason that this version does not know is [`JsonError::Value`]: go by the HTTP status then.
pub fn decode_refusal(octets: &[u8]) -> Result<Refusal, JsonError> {
    let refusal: wire::RefusalIn = parse(octets, REFUSAL, fields::Unknown::PassedOver)?;
    Ok(Refusal::from(refusal))
}

fn parse<T: DeserializeOwned>(
    octets: &[u8],
    root: &'static str,
    unknown: fields::Unknown,
) -> Result<T, JsonError> {
    let value = read::parse(octets)?;
    let content = value.only_member(root, unknown == fields::Unknown::PassedOver);
    fields::take(content.ok_or(JsonError::Root { expected: root })?, root, unknown)
}

fn document(root: &'static str, content: &impl Serialize) -> Result<Document, JsonError> {
    let mut buffer = Bounded(Secretive::new());
    let written = serde_json::to_writer_pretty(&mut buffer, &wire::Member(root, content));
    written.and_then(|()| io::Write::write_all(&mut buffer, b"\n").map_err(serde_json::Error::io)).map_err(
        |_| JsonError::TooLarge, // Nothing else can go wrong: all names are text and all values are finite.
    )?;
    Ok(buffer.0.finish())
}

/// At most [`MAX_BODY`] octets.
struct Bounded(Secretive);

impl io::Write for Bounded {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.0.len() + octets.len() > MAX_BODY {
            return Err(io::ErrorKind::StorageFull.into());
        }
        // serde_json writes whole pieces of text.
        self.0.push(str::from_utf8(octets).map_err(|_| io::ErrorKind::InvalidData)?);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
