//! The encodings by name: one door to all of them for both programs.

use serde::{Deserialize, Serialize};

use crate::{
    document::Document,
    json::{self, JsonError},
    message::{Credential, CredentialRequest, Reason, Refusal},
    report::{CredentialReport, DeviceMessage},
    xml::{
        self, XmlError,
        soap::{self, Fault, SoapError, Version},
    },
};

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Plain XML.
    #[default]
    Xml,
    /// XML in a SOAP 1.1 envelope.
    Soap11,
    /// XML in a SOAP 1.2 envelope.
    Soap12,
    /// JSON.
    Json,
}

/// Why a message was not read or written. Names fields, never what stood in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// In plain XML.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// In SOAP.
    #[error(transparent)]
    Soap(#[from] SoapError),
    /// In JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
}

impl FormatError {
    /// Stable code for logs and documentation.
    pub fn code(self) -> &'static str {
        match self {
            Self::Xml(error) => error.code(),
            Self::Soap(error) => error.code(),
            Self::Json(error) => error.code(),
        }
    }

    /// The field that it is about, if it is about one.
    pub fn field(self) -> Option<&'static str> {
        match self {
            Self::Xml(error) => error.element(),
            Self::Soap(error) => error.element(),
            Self::Json(error) => error.field(),
        }
    }

    /// Said of a refusal: all is well but for a reason that this version does not know.
    pub fn is_unknown_reason(self) -> bool {
        matches!(
            self,
            Self::Xml(XmlError::Value { element: "reason" })
                | Self::Soap(SoapError::Reason { .. })
                | Self::Json(JsonError::Value { field: "reason" })
        )
    }

    /// Said of a refusal: the fault that it came with, where the format has faults.
    pub fn fault(self) -> Option<Fault> {
        match self {
            Self::Soap(SoapError::Reason { fault } | SoapError::Fault { fault }) => fault,
            _ => None,
        }
    }
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Xml, Self::Soap11, Self::Soap12, Self::Json];

    /// As in configuration files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xml => "xml",
            Self::Soap11 => "soap11",
            Self::Soap12 => "soap12",
            Self::Json => "json",
        }
    }

    /// Media type, without parameters.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Xml => xml::CONTENT_TYPE,
            Self::Soap11 => "text/xml",
            Self::Soap12 => "application/soap+xml",
            Self::Json => json::CONTENT_TYPE,
        }
    }

    /// `Content-Type` of a reply.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Xml => xml::CONTENT_TYPE,
            // Without it, text/* once meant US-ASCII (RFC 3023 §3.1).
            Self::Soap11 => "text/xml; charset=utf-8",
            Self::Soap12 => "application/soap+xml; charset=utf-8",
            Self::Json => json::CONTENT_TYPE,
        }
    }

    /// `Content-Type` of a request. SOAP 1.2 says here what it wants (RFC 3902 §3).
    pub const fn request_content_type(self) -> &'static str {
        match self {
            Self::Soap12 => {
                "application/soap+xml; charset=utf-8; action=\"urn:wifi-offload:provisioning:1:request\""
            }
            other => other.content_type(),
        }
    }

    /// `SOAPAction` of a request, quoted; SOAP 1.1 needs one (§6.1.1).
    pub const fn soap_action(self) -> Option<&'static str> {
        match self {
            Self::Soap11 => Some("\"urn:wifi-offload:provisioning:1:request\""),
            _ => None,
        }
    }

    /// `Content-Type` of a report.
    pub const fn report_content_type(self) -> &'static str {
        match self {
            Self::Soap12 => {
                "application/soap+xml; charset=utf-8; action=\"urn:wifi-offload:provisioning:1:report\""
            }
            other => other.content_type(),
        }
    }

    /// `SOAPAction` of a report, quoted.
    pub const fn report_soap_action(self) -> Option<&'static str> {
        match self {
            Self::Soap11 => Some("\"urn:wifi-offload:provisioning:1:report\""),
            _ => None,
        }
    }

    /// By a `Content-Type`, whatever its parameters.
    pub fn of_content_type(value: &str) -> Option<Self> {
        let essence = value.split(';').next()?.trim();
        Self::ALL.into_iter().find(|format| format.media_type().eq_ignore_ascii_case(essence))
    }

    /// HTTP status of a refusal: SOAP has its own rules.
    pub fn refusal_status(self, reason: Reason) -> u16 {
        match self.version() {
            Some(version) => Fault::of(reason).http_status(version),
            None => reason.http_status(),
        }
    }

    /// Writes what the device asks.
    pub fn encode_request(self, request: &CredentialRequest) -> Result<Document, FormatError> {
        Ok(match self {
            Self::Xml => xml::encode_request(request)?,
            Self::Soap11 => soap::encode_request(Version::V11, request)?,
            Self::Soap12 => soap::encode_request(Version::V12, request)?,
            Self::Json => json::encode_request(request)?,
        })
    }

    /// Reads what a device asks.
    pub fn decode_request(self, octets: &[u8]) -> Result<CredentialRequest, FormatError> {
        Ok(match self {
            Self::Xml => xml::decode_request(octets)?,
            Self::Soap11 => soap::decode_request(Version::V11, octets)?,
            Self::Soap12 => soap::decode_request(Version::V12, octets)?,
            Self::Json => json::decode_request(octets)?,
        })
    }

    /// Writes what the device tells.
    pub fn encode_report(self, report: &CredentialReport) -> Result<Document, FormatError> {
        Ok(match self {
            Self::Xml => xml::encode_report(report)?,
            Self::Soap11 => soap::encode_report(Version::V11, report)?,
            Self::Soap12 => soap::encode_report(Version::V12, report)?,
            Self::Json => json::encode_report(report)?,
        })
    }

    /// Reads whatever a device sends.
    pub fn decode_message(self, octets: &[u8]) -> Result<DeviceMessage, FormatError> {
        Ok(match self {
            Self::Xml => xml::decode_message(octets)?,
            Self::Soap11 => soap::decode_message(Version::V11, octets)?,
            Self::Soap12 => soap::decode_message(Version::V12, octets)?,
            Self::Json => json::decode_message(octets)?,
        })
    }

    /// Writes that a report was taken in.
    pub fn encode_accepted(self) -> Result<Document, FormatError> {
        Ok(match self {
            Self::Xml => xml::encode_accepted()?,
            Self::Soap11 => soap::encode_accepted(Version::V11)?,
            Self::Soap12 => soap::encode_accepted(Version::V12)?,
            Self::Json => json::encode_accepted()?,
        })
    }

    /// Reads that a report was taken in.
    pub fn decode_accepted(self, octets: &[u8]) -> Result<(), FormatError> {
        match self {
            Self::Xml => xml::decode_accepted(octets)?,
            Self::Soap11 => soap::decode_accepted(Version::V11, octets)?,
            Self::Soap12 => soap::decode_accepted(Version::V12, octets)?,
            Self::Json => json::decode_accepted(octets)?,
        }
        Ok(())
    }

    /// Writes what the portal gives.
    pub fn encode_credential(self, credential: &Credential) -> Result<Document, FormatError> {
        Ok(match self {
            Self::Xml => xml::encode_credential(credential)?,
            Self::Soap11 => soap::encode_credential(Version::V11, credential)?,
            Self::Soap12 => soap::encode_credential(Version::V12, credential)?,
            Self::Json => json::encode_credential(credential)?,
        })
    }

    /// Reads what the portal gives.
    pub fn decode_credential(self, octets: &[u8]) -> Result<Credential, FormatError> {
        Ok(match self {
            Self::Xml => xml::decode_credential(octets)?,
            Self::Soap11 => soap::decode_credential(Version::V11, octets)?,
            Self::Soap12 => soap::decode_credential(Version::V12, octets)?,
            Self::Json => json::decode_credential(octets)?,
        })
    }

    /// Writes a refusal.
    pub fn encode_refusal(self, refusal: &Refusal) -> Result<Document, FormatError> {
        self.encode_refusal_with(refusal, meaning(refusal.reason))
    }

    /// Writes the refusal of a message that was not read, with the HTTP status that goes with it.
    pub fn encode_unread(
        self,
        refusal: &Refusal,
        error: FormatError,
    ) -> Result<(u16, Document), FormatError> {
        let fault = match error {
            FormatError::Soap(SoapError::Version) => Some(Fault::VersionMismatch),
            FormatError::Soap(SoapError::NotUnderstood) => Some(Fault::MustUnderstand),
            _ => None,
        };
        let text = error.to_string();
        Ok(match (self.version(), fault) {
            (Some(version), Some(fault)) => {
                (fault.http_status(version), soap::encode_fault(version, fault, &text)?)
            }
            _ => (self.refusal_status(refusal.reason), self.encode_refusal_with(refusal, &text)?),
        })
    }

    fn encode_refusal_with(self, refusal: &Refusal, text: &str) -> Result<Document, FormatError> {
        Ok(match self {
            Self::Xml => xml::encode_refusal(refusal)?,
            Self::Soap11 => soap::encode_refusal(Version::V11, refusal, text)?,
            Self::Soap12 => soap::encode_refusal(Version::V12, refusal, text)?,
            Self::Json => json::encode_refusal(refusal)?,
        })
    }

    /// Reads a refusal.
    pub fn decode_refusal(self, octets: &[u8]) -> Result<Refusal, FormatError> {
        Ok(match self {
            Self::Xml => xml::decode_refusal(octets)?,
            Self::Soap11 => soap::decode_refusal(Version::V11, octets)?,
            Self::Soap12 => soap::decode_refusal(Version::V12, octets)?,
            Self::Json => json::decode_refusal(octets)?,
        })
    }

    fn version(self) -> Option<Version> {
        match self {
            Self::Soap11 => Some(Version::V11),
            Self::Soap12 => Some(Version::V12),
            Self::Xml | Self::Json => None,
        }
    }
}

/// A reason in words, for the text that a SOAP fault must have. Says no more than the code does.
fn meaning(reason: Reason) -> &'static str {
    match reason {
        Reason::BadRequest => "the message does not fit its schema",
        Reason::IdentityMismatch => "the identifiers are not those of the session that the request came by",
        Reason::NoSession => "the request came by no cellular session that is known, yet",
        Reason::GatewayFeedSilent => "the portal has no current view of the cellular sessions",
        Reason::NotEntitled => "this subscriber may not have Wi-Fi",
        Reason::RateLimited => "too many requests",
        Reason::TemporarilyUnavailable => "the portal cannot work now",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_types_are_different_and_found_again() {
        for format in Format::ALL {
            assert_eq!(Format::of_content_type(format.content_type()), Some(format));
            assert_eq!(Format::of_content_type(format.request_content_type()), Some(format));
            assert_eq!(Format::of_content_type(&format.media_type().to_uppercase()), Some(format));
            let name = serde_json::to_string(&format).expect("a name");
            assert_eq!(name, format!("\"{}\"", format.name()));
        }
        assert_eq!(Format::of_content_type("text/html"), None);
        assert!(Format::Soap12.request_content_type().contains(&format!("action=\"{}\"", soap::ACTION)));
        let (action, report) = (soap::REPORT_ACTION, Format::Soap12.report_content_type());
        assert!(report.contains(&format!("action=\"{action}\"")));
        assert_eq!(Format::Soap11.report_soap_action(), Some(format!("\"{action}\"")).as_deref());
        assert_eq!(Format::Soap11.soap_action(), Some(format!("\"{}\"", soap::ACTION)).as_deref());
    }
}
