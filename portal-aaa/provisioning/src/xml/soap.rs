//! The XML messages in SOAP envelopes, 1.1 ([W3C Note of 8 May 2000](https://www.w3.org/TR/2000/NOTE-SOAP-20000508/)) and
//! 1.2 ([W3C Recommendation, part 1](https://www.w3.org/TR/soap12-part1/)), document/literal: the body holds the same
//! elements that plain XML has as its root, and is read with the same rules.
//!
//! The node here is the ultimate receiver and knows no header block: one that it would have to understand is a fault,
//! others are passed over. Faults are in `fault`; the contract is `schema/wifi-offload-1.wsdl`.

mod fault;

pub use self::fault::{Fault, decode_refusal, encode_fault, encode_refusal};
use super::{
    Document, MAX_BODY, XmlError,
    read::{Instructions, Node, Space, parse_any},
    reply, report, request,
    write::DECLARATION,
};
use crate::{
    document::Secretive,
    message::{Credential, CredentialRequest},
    report::{CredentialReport, DeviceMessage},
};

/// What `SOAPAction` (1.1) and the parameter `action` (1.2) say; without the quotes.
pub const ACTION: &str = "urn:wifi-offload:provisioning:1:request";
/// The same, of a report.
pub const REPORT_ACTION: &str = "urn:wifi-offload:provisioning:1:report";

/// Version of the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// SOAP 1.1.
    V11,
    /// SOAP 1.2.
    V12,
}

impl Version {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V11, Self::V12];

    /// Namespace of the envelope.
    pub const fn namespace(self) -> &'static str {
        match self {
            Self::V11 => "http://schemas.xmlsoap.org/soap/envelope/",
            Self::V12 => "http://www.w3.org/2003/05/soap-envelope",
        }
    }
}

/// Why a message in an envelope was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SoapError {
    /// What stands in the body, or the XML as such.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// Not an envelope with at most one header, one body and one element in the body.
    #[error("the message is not a SOAP envelope with one element in its body")]
    Envelope,
    /// An envelope of another version (1.1 §4.1.2, 1.2 §5.4.7).
    #[error("the SOAP envelope is not of the version that the content type names")]
    Version,
    /// A header block that must be understood (1.1 §4.2.3, 1.2 §5.4.8).
    #[error("the SOAP envelope has a header block that must be understood and is not known")]
    NotUnderstood,
    /// It says that it wants something else than a credential.
    #[error("the SOAP action is missing, or neither {ACTION} nor {REPORT_ACTION}")]
    Action,
    /// A fault that holds no refusal of ours.
    #[error("a SOAP fault without a refusal in it")]
    Fault {
        /// Its code, if that is one of SOAP's own.
        fault: Option<Fault>,
    },
    /// A refusal whose reason is not known here: go by the fault.
    #[error("a refusal with an unknown reason")]
    Reason {
        /// Its code, if that is one of SOAP's own.
        fault: Option<Fault>,
    },
}

impl SoapError {
    /// Stable code for logs and documentation.
    pub fn code(self) -> &'static str {
        match self {
            Self::Xml(error) => error.code(),
            Self::Envelope => "soap-envelope",
            Self::Version => "soap-version",
            Self::NotUnderstood => "soap-must-understand",
            Self::Action => "soap-action",
            Self::Fault { .. } => "soap-fault",
            Self::Reason { .. } => "bad-value",
        }
    }

    /// The element that it is about, if it is about one.
    pub fn element(self) -> Option<&'static str> {
        match self {
            Self::Xml(error) => error.element(),
            Self::Reason { .. } => Some("reason"),
            _ => None,
        }
    }
}

/// Writes what the device asks.
pub fn encode_request(version: Version, request: &CredentialRequest) -> Result<Document, SoapError> {
    envelope(version, "", &[element(&super::encode_request(request)?)])
}

/// Reads what a device asks.
pub fn decode_request(version: Version, octets: &[u8]) -> Result<CredentialRequest, SoapError> {
    Ok(request::read_request(open(version, octets)?)?)
}

/// Writes what the portal gives.
pub fn encode_credential(version: Version, credential: &Credential) -> Result<Document, SoapError> {
    envelope(version, "", &[element(&super::encode_credential(credential)?)])
}

/// Reads what the portal gives.
pub fn decode_credential(version: Version, octets: &[u8]) -> Result<Credential, SoapError> {
    Ok(reply::read_credential(open(version, octets)?)?)
}

/// Writes what the device tells.
pub fn encode_report(version: Version, report: &CredentialReport) -> Result<Document, SoapError> {
    envelope(version, "", &[element(&super::encode_report(report)?)])
}

/// Reads whatever a device sends.
pub fn decode_message(version: Version, octets: &[u8]) -> Result<DeviceMessage, SoapError> {
    Ok(super::read_message(open(version, octets)?)?)
}

/// Writes that a report was taken in.
pub fn encode_accepted(version: Version) -> Result<Document, SoapError> {
    envelope(version, "", &[element(&super::encode_accepted()?)])
}

/// Reads that a report was taken in.
pub fn decode_accepted(version: Version, octets: &[u8]) -> Result<(), SoapError> {
    Ok(report::read_accepted(&open(version, octets)?)?)
}

/// A document without its XML declaration, to stand in another.
fn element(document: &Document) -> &str {
    document.as_str().strip_prefix(DECLARATION).unwrap_or(document.as_str())
}

/// `header` is markup of the whole header element, or nothing; `body` is what stands in the body, as markup.
fn envelope(version: Version, header: &str, body: &[&str]) -> Result<Document, SoapError> {
    let start = ["<env:Envelope xmlns:env=\"", version.namespace(), "\">\n", header, "<env:Body>\n"];
    let parts = || [DECLARATION].into_iter().chain(start).chain(body.iter().copied()).chain([END]);
    if parts().map(str::len).sum::<usize>() > MAX_BODY {
        return Err(XmlError::TooLarge.into());
    }
    let mut text = Secretive::new();
    for part in parts() {
        text.push(part);
    }
    Ok(text.finish())
}

const END: &str = "</env:Body>\n</env:Envelope>\n";

/// The one element in the body, after all that SOAP wants checked.
fn open(version: Version, octets: &[u8]) -> Result<Node, SoapError> {
    let root = parse_any(octets, Instructions::Refused)?;
    if root.local_name() != "Envelope" {
        return Err(SoapError::Envelope);
    }
    let space = Space::Soap(version);
    if root.space() != space {
        return Err(SoapError::Version);
    }
    let mut parts = root.into_elements().ok_or(SoapError::Envelope)?.into_iter();
    let mut part = parts.next().ok_or(SoapError::Envelope)?;
    if part.is(space, "Header") {
        check_header(version, &part)?;
        part = parts.next().ok_or(SoapError::Envelope)?;
    }
    if !part.is(space, "Body") || parts.next().is_some() {
        return Err(SoapError::Envelope);
    }
    let mut content = part.into_elements().ok_or(SoapError::Envelope)?.into_iter();
    match (content.next(), content.next()) {
        (Some(node), None) => Ok(node),
        _ => Err(SoapError::Envelope),
    }
}

fn check_header(version: Version, header: &Node) -> Result<(), SoapError> {
    for block in header.elements().ok_or(SoapError::Envelope)? {
        let must = match (version, block.soap_attribute(version, "mustUnderstand")) {
            (_, None | Some("0")) | (Version::V12, Some("false")) => false,
            (_, Some("1")) | (Version::V12, Some("true")) => true,
            _ => return Err(SoapError::Envelope),
        };
        if must && is_for_us(version, block) {
            return Err(SoapError::NotUnderstood);
        }
    }
    Ok(())
}

/// The roles that an ultimate receiver acts in (1.1 §4.2.2, 1.2 part 1 §2.2).
fn is_for_us(version: Version, block: &Node) -> bool {
    match version {
        Version::V11 => matches!(
            block.soap_attribute(version, "actor"),
            None | Some("" | "http://schemas.xmlsoap.org/soap/actor/next")
        ),
        Version::V12 => matches!(
            block.soap_attribute(version, "role"),
            None | Some(
                "" | "http://www.w3.org/2003/05/soap-envelope/role/next"
                    | "http://www.w3.org/2003/05/soap-envelope/role/ultimateReceiver"
            )
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::NAMESPACE;

    const REQUEST: &str =
        "<imsi>001010123456789</imsi><mac>02:00:00:00:00:01</mac><trigger>attach</trigger><agent>a/1</agent>";

    fn request() -> String {
        format!("<credential-request xmlns='{NAMESPACE}'>{REQUEST}</credential-request>")
    }

    fn decode(version: Version, inner: &str) -> Result<CredentialRequest, SoapError> {
        let namespace = version.namespace();
        decode_request(version, format!("<s:Envelope xmlns:s='{namespace}'>{inner}</s:Envelope>").as_bytes())
    }

    fn with_header(version: Version, block: &str) -> Result<CredentialRequest, SoapError> {
        decode(version, &format!("<s:Header>{block}</s:Header><s:Body>{}</s:Body>", request()))
    }

    #[test]
    fn an_envelope_has_at_most_one_header_and_one_body_with_one_element() {
        let body = format!("<s:Body>{}</s:Body>", request());
        for version in Version::ALL {
            assert!(decode(version, &body).is_ok());
            assert!(decode(version, &format!("\n<s:Header/>\n<!-- c -->{body}\n")).is_ok());
            for bad in [
                "",
                "<s:Header/>",
                "<s:Body/>",
                "<s:Body>text</s:Body>",
                &format!("{body}{body}"),
                &format!("{body}<s:Header/>"),
                &format!("<s:Header/><s:Header/>{body}"),
                &format!("text{body}"),
                &format!("{body}<x/>"),
                &body.replace("<s:Body>", "<s:Body>text"),
                &body.replace("</s:Body>", "<x/></s:Body>"),
                &body.replace("s:Body", "Body"),
                &body.replace("s:Body", "s:body"),
            ] {
                assert_eq!(decode(version, bad), Err(SoapError::Envelope), "{bad}");
            }
        }
        let naked = decode_request(Version::V11, request().as_bytes());
        assert_eq!(naked, Err(SoapError::Envelope));
    }

    #[test]
    fn another_version_is_told() {
        for (version, other) in [(Version::V11, Version::V12), (Version::V12, Version::V11)] {
            let namespace = other.namespace();
            for namespace in [namespace, "urn:x", "http://www.w3.org/2001/12/soap-envelope"] {
                let text =
                    format!("<s:Envelope xmlns:s='{namespace}'><s:Body>{}</s:Body></s:Envelope>", request());
                assert_eq!(decode_request(version, text.as_bytes()), Err(SoapError::Version));
            }
            assert_eq!(decode_request(version, b"<Envelope/>"), Err(SoapError::Version));
        }
    }

    #[test]
    fn what_must_be_understood_is_not_passed_over() {
        let block = |attributes: &str| format!("<x:y xmlns:x='urn:x' {attributes}><x:z/>t</x:y>");
        let not_understood = Err(SoapError::NotUnderstood);
        for version in Version::ALL {
            assert!(with_header(version, &block("")).is_ok());
            assert!(with_header(version, &block("s:mustUnderstand='0'")).is_ok());
            assert!(with_header(version, &block("mustUnderstand='1'")).is_ok(), "no attribute of SOAP's");
            assert_eq!(with_header(version, &block("s:mustUnderstand='1'")), not_understood);
            assert_eq!(with_header(version, &block("s:mustUnderstand='&#x31;'")), not_understood);
            assert_eq!(with_header(version, &block("s:mustUnderstand='yes'")), Err(SoapError::Envelope));
            let second = format!("{}{}", block(""), block("s:mustUnderstand='1'"));
            assert_eq!(with_header(version, &second), not_understood);
        }
        assert_eq!(with_header(Version::V12, &block("s:mustUnderstand='true'")), not_understood);
        let next = "s:mustUnderstand='1' s:actor='http://schemas.xmlsoap.org/soap/actor/next'";
        assert_eq!(with_header(Version::V11, &block(next)), not_understood);
        assert!(with_header(Version::V11, &block("s:mustUnderstand='1' s:actor='urn:somebody'")).is_ok());
        for (role, ours) in [("next", true), ("ultimateReceiver", true), ("none", false)] {
            let role =
                format!("s:mustUnderstand='1' s:role='http://www.w3.org/2003/05/soap-envelope/role/{role}'");
            assert_eq!(with_header(Version::V12, &block(&role)) == not_understood, ours, "{role}");
        }
    }

    #[test]
    fn document_types_entities_and_instructions_are_refused() {
        for version in Version::ALL {
            let whole = format!(
                "<s:Envelope xmlns:s='{}'><s:Body>{}</s:Body></s:Envelope>",
                version.namespace(),
                request()
            );
            let bomb = "<!DOCTYPE s [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;&a;'>]>";
            let external = "<!DOCTYPE s SYSTEM 'http://example.com/x.dtd'>";
            for doctype in [bomb, external, "<!DOCTYPE s [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"] {
                let text = format!("{doctype}{}", whole.replace("attach", "&x;"));
                assert_eq!(decode_request(version, text.as_bytes()), Err(XmlError::Doctype.into()));
            }
            let entity = whole.replace("attach", "&b;");
            assert_eq!(decode_request(version, entity.as_bytes()), Err(XmlError::Entity.into()));
            for instruction in [format!("<?x y?>{whole}"), whole.replace("<s:Body>", "<s:Body><?x y?>")] {
                let read = decode_request(version, instruction.as_bytes());
                assert_eq!(read, Err(XmlError::Instruction.into()));
            }
            let deep = whole.replace("<imsi>", &format!("{}{}<imsi>", "<a>".repeat(20), "</a>".repeat(20)));
            assert_eq!(decode_request(version, deep.as_bytes()), Err(XmlError::TooDeep.into()));
        }
    }

    #[test]
    fn the_request_in_the_body_is_read_strictly() {
        for version in Version::ALL {
            for (from, to, error) in [
                ("<mac>", "<more/><mac>", XmlError::Unexpected { within: "credential-request" }),
                ("001010123456789", "0010101234567890", XmlError::Value { element: "imsi" }),
                ("02:", "03:", XmlError::Value { element: "mac" }),
                (NAMESPACE, "urn:x", XmlError::Root { expected: "credential-request" }),
            ] {
                let body = format!("<s:Body>{}</s:Body>", request().replacen(from, to, 1));
                assert_eq!(decode(version, &body), Err(error.into()));
            }
        }
    }
}
