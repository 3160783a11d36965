//! Refusals as SOAP faults: 1.1 `faultcode`, `faultstring`, `detail` (§4.4), 1.2 `Code`, `Reason`, `Detail` (part 1 §5.4).
//! The `<refusal>` element stands in the detail, so a device reads the same reason and wait in every format.

use quick_xml::escape::escape;

use super::{SoapError, Version, XmlError, element, envelope, open};
use crate::{
    document::Document,
    message::{Reason, Refusal},
    xml::{
        encode_refusal as encode_plain,
        read::{Node, Space},
        refusal::read_refusal,
    },
};

/// SOAP's own fault codes, as far as we use them (1.1 §4.4.1, 1.2 part 1 §5.4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The envelope is of another version.
    VersionMismatch,
    /// A header block that must be understood is not.
    MustUnderstand,
    /// The message is at fault: the same again will not succeed. `Client` in 1.1.
    Sender,
    /// The portal could not do it: the same may succeed later. `Server` in 1.1.
    Receiver,
}

impl Fault {
    const ALL: [Self; 4] = [Self::VersionMismatch, Self::MustUnderstand, Self::Sender, Self::Receiver];

    /// What a refusal for this reason is in SOAP.
    pub fn of(reason: Reason) -> Self {
        match reason {
            Reason::BadRequest | Reason::IdentityMismatch | Reason::NotEntitled => Self::Sender,
            Reason::NoSession
            | Reason::GatewayFeedSilent
            | Reason::RateLimited
            | Reason::TemporarilyUnavailable => Self::Receiver,
        }
    }

    /// HTTP status: 1.1 §6.2 knows 500 only; 1.2 part 2 (second edition) §7.5.2.2, table 20 has 400 for `Sender` and
    /// 500 for every other fault, `MustUnderstand` and `VersionMismatch` too.
    pub fn http_status(self, version: Version) -> u16 {
        match (version, self) {
            (Version::V12, Self::Sender) => 400,
            _ => 500,
        }
    }

    fn code(self, version: Version) -> &'static str {
        match (self, version) {
            (Self::VersionMismatch, _) => "VersionMismatch",
            (Self::MustUnderstand, _) => "MustUnderstand",
            (Self::Sender, Version::V11) => "Client",
            (Self::Sender, Version::V12) => "Sender",
            (Self::Receiver, Version::V11) => "Server",
            (Self::Receiver, Version::V12) => "Receiver",
        }
    }

    /// The code out of a qualified name; in 1.1 what follows a dot only narrows it (§4.4.1).
    fn read(version: Version, name: &str) -> Option<Self> {
        let local = name.trim().rsplit(':').next()?;
        let general = if version == Version::V11 { local.split('.').next()? } else { local };
        Self::ALL.into_iter().find(|fault| fault.code(version) == general)
    }
}

/// Writes a refusal with the fault that goes with its reason. `text` is for people, in English.
pub fn encode_refusal(version: Version, refusal: &Refusal, text: &str) -> Result<Document, SoapError> {
    let plain = encode_plain(refusal)?;
    fault(version, Fault::of(refusal.reason), text, Some(element(&plain)))
}

/// Writes a fault that is not about the body and therefore has no detail (1.1 §4.4).
pub fn encode_fault(version: Version, code: Fault, text: &str) -> Result<Document, SoapError> {
    fault(version, code, text, None)
}

/// The versions that are served (1.2 part 1 §5.4.7).
const UPGRADE: &str = "<env:Header>\n<env:Upgrade>\n\
    <env:SupportedEnvelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" qname=\"s:Envelope\"/>\n\
    <env:SupportedEnvelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" qname=\"s:Envelope\"/>\n\
    </env:Upgrade>\n</env:Header>\n";

fn fault(version: Version, code: Fault, text: &str, detail: Option<&str>) -> Result<Document, SoapError> {
    let text = escape(text);
    let name = code.code(version);
    match version {
        Version::V11 => {
            let start = format!(
                "<env:Fault>\n<faultcode>env:{name}</faultcode>\n<faultstring xml:lang=\"en\">{text}</faultstring>\n"
            );
            let (open, inner, close) = detail.map_or(("", "", ""), |d| ("<detail>\n", d, "</detail>\n"));
            envelope(version, "", &[&start, open, inner, close, "</env:Fault>\n"])
        }
        Version::V12 => {
            let start = format!(
                "<env:Fault>\n<env:Code>\n<env:Value>env:{name}</env:Value>\n</env:Code>\n\
                 <env:Reason>\n<env:Text xml:lang=\"en\">{text}</env:Text>\n</env:Reason>\n"
            );
            let (open, inner, close) =
                detail.map_or(("", "", ""), |d| ("<env:Detail>\n", d, "</env:Detail>\n"));
            let header = if code == Fault::VersionMismatch { UPGRADE } else { "" };
            envelope(version, header, &[&start, open, inner, close, "</env:Fault>\n"])
        }
    }
}

/// Reads the refusal in a fault.
pub fn decode_refusal(version: Version, octets: &[u8]) -> Result<Refusal, SoapError> {
    let body = open(version, octets)?;
    if !body.is(Space::Soap(version), "Fault") {
        return Err(XmlError::Root { expected: "refusal" }.into());
    }
    no_twins(&body)?;
    let fault = code(version, &body)?.and_then(|name| Fault::read(version, name));
    // The fault's parts have no namespace in 1.1.
    let (space, name) =
        if version == Version::V11 { (Space::None, "detail") } else { (Space::Soap(version), "Detail") };
    let refusal = match child(&body, space, name)? {
        Some(detail) => child(detail, Space::Ours, "refusal")?,
        None => None,
    };
    match read_refusal(refusal.ok_or(SoapError::Fault { fault })?) {
        Err(XmlError::Value { element: "reason" }) => Err(SoapError::Reason { fault }),
        read => Ok(read?),
    }
}

fn code(version: Version, fault: &Node) -> Result<Option<&str>, XmlError> {
    let space = Space::Soap(version);
    let node = match version {
        Version::V11 => child(fault, Space::None, "faultcode")?,
        Version::V12 => match child(fault, space, "Code")? {
            Some(code) => child(code, space, "Value")?,
            None => None,
        },
    };
    Ok(node.map(Node::text))
}

/// The one child of this name: of two nobody could say which counts.
fn child<'a>(node: &'a Node, space: Space, name: &str) -> Result<Option<&'a Node>, XmlError> {
    let mut found = node.elements().unwrap_or_default().iter().filter(|child| child.is(space, name));
    match (found.next(), found.next()) {
        (node, None) => Ok(node),
        (_, Some(_)) => Err(XmlError::Unexpected { within: "Fault" }),
    }
}

/// Each part of a fault stands in it once, those too that are not read here (1.1 §4.4, 1.2 part 1 §5.4).
fn no_twins(fault: &Node) -> Result<(), XmlError> {
    let parts = fault.elements().unwrap_or_default();
    let twin = |(at, part): (usize, &Node)| {
        parts.iter().take(at).any(|before| before.is(part.space(), part.local_name()))
    };
    if parts.iter().enumerate().any(twin) { Err(XmlError::Unexpected { within: "Fault" }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::NAMESPACE;

    #[test]
    fn a_fault_about_the_envelope_has_no_detail() {
        for version in Version::ALL {
            for code in [Fault::VersionMismatch, Fault::MustUnderstand] {
                let written = encode_fault(version, code, "a <text> & more").expect("fits");
                assert!(!written.as_str().to_lowercase().contains("detail"), "{}", written.as_str());
                assert!(written.as_str().contains("a &lt;text&gt; &amp; more"));
                let read = decode_refusal(version, written.as_bytes());
                assert_eq!(read, Err(SoapError::Fault { fault: Some(code) }));
                assert_eq!(code.http_status(version), 500);
                let upgrade = version == Version::V12 && code == Fault::VersionMismatch;
                assert_eq!(written.as_str().contains("Upgrade"), upgrade);
            }
        }
    }

    #[test]
    fn what_may_succeed_later_is_the_receivers_fault() {
        let refusal = |reason| Refusal::new(reason, None);
        for (reason, first, second, status) in [
            (Reason::BadRequest, "env:Client<", "env:Sender<", 400),
            (Reason::NotEntitled, "env:Client<", "env:Sender<", 400),
            (Reason::NoSession, "env:Server<", "env:Receiver<", 500),
            (Reason::RateLimited, "env:Server<", "env:Receiver<", 500),
        ] {
            for (version, code) in [(Version::V11, first), (Version::V12, second)] {
                let written = encode_refusal(version, &refusal(reason), "t").expect("fits");
                assert!(written.as_str().contains(code), "{}", written.as_str());
                assert_eq!(decode_refusal(version, written.as_bytes()), Ok(refusal(reason)));
            }
            assert_eq!(Fault::of(reason).http_status(Version::V11), 500);
            assert_eq!(Fault::of(reason).http_status(Version::V12), status);
        }
    }

    #[test]
    fn other_peoples_faults_are_told_apart() {
        let envelope = |version: Version, fault: &str| {
            let namespace = version.namespace();
            format!("<s:Envelope xmlns:s='{namespace}'><s:Body>{fault}</s:Body></s:Envelope>")
        };
        let refusal = format!("<refusal xmlns='{NAMESPACE}'><reason>moon-phase</reason></refusal>");
        for (version, text, error) in [
            (
                Version::V11,
                "<s:Fault><faultcode>s:Server.Moon</faultcode></s:Fault>".to_owned(),
                SoapError::Fault { fault: Some(Fault::Receiver) },
            ),
            (Version::V11, "<s:Fault/>".to_owned(), SoapError::Fault { fault: None }),
            (
                Version::V11,
                format!("<s:Fault><faultcode>Client</faultcode><detail><x/>{refusal}</detail></s:Fault>"),
                SoapError::Reason { fault: Some(Fault::Sender) },
            ),
            (
                Version::V12,
                format!(
                    "<s:Fault><s:Code><s:Value>s:Sender</s:Value></s:Code><s:Detail>{refusal}</s:Detail></s:Fault>"
                ),
                SoapError::Reason { fault: Some(Fault::Sender) },
            ),
            // The parts of a fault are qualified in 1.2.
            (
                Version::V12,
                format!("<s:Fault><detail>{refusal}</detail></s:Fault>"),
                SoapError::Fault { fault: None },
            ),
            (Version::V12, refusal.clone(), XmlError::Root { expected: "refusal" }.into()),
        ] {
            let read = decode_refusal(version, envelope(version, &text).as_bytes());
            assert_eq!(read, Err(error), "{text}");
        }
    }
}
