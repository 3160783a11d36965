//! XML encoding of the messages: what the device posts to the portal and what comes back, over HTTPS.
//!
//! The contract with other implementations is `schema/wifi-offload-1.xsd`. Requests are read strictly: every
//! element known, once, in the schema's order, no attributes. Replies are read leniently: unknown elements and
//! attributes are passed over, so that an older agent understands a newer portal.
//!
//! The agent calls [`encode_request`], [`decode_credential`] and [`decode_refusal`]; the portal the other three.
//! All of it is bounded: [`MAX_BODY`] octets, [`MAX_DEPTH`] levels, [`MAX_ELEMENTS`] elements, [`MAX_ATTRIBUTES`] each; a document type
//! declaration is refused, so no entity but XML's own five exists.

mod names;
mod read;
mod refusal;
mod reply;
mod report;
mod request;
pub mod soap;
pub(crate) mod text;
mod write;

pub use refusal::{decode_refusal, encode_refusal};
pub(crate) use reply::check_policy;
pub use reply::{decode_credential, encode_credential};
pub use report::{decode_accepted, decode_report, encode_accepted, encode_report};
pub use request::{decode_request, encode_request};

pub use crate::document::Document;
use crate::report::DeviceMessage;

/// Namespace of every element. A change that an older reader would misunderstand gets another number.
pub const NAMESPACE: &str = "urn:wifi-offload:provisioning:1";
/// What `Content-Type` says.
pub const CONTENT_TYPE: &str = "application/xml";
/// Longest message, octets. Nothing longer is written, nor read.
pub const MAX_BODY: usize = 64 * 1024;
/// Deepest nesting of elements; the schema needs four.
pub const MAX_DEPTH: usize = 8;
/// Most elements in a message; a reply with the most of everything has about 420.
pub const MAX_ELEMENTS: usize = 512;
/// Most attributes and namespace declarations of one element; envelopes of other tools have a dozen.
pub const MAX_ATTRIBUTES: usize = 32;
/// Most networks in a policy.
pub const MAX_NETWORKS: usize = 64;

/// Why a message was not read or written. Names elements of the schema, never what stood in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// More than [`MAX_BODY`] octets.
    #[error("the message is longer than {MAX_BODY} octets")]
    TooLarge,
    /// Not UTF-8, or declared to be something else.
    #[error("the message is not UTF-8")]
    NotUtf8,
    /// Not well-formed XML 1.0.
    #[error("the message is not well-formed XML")]
    Malformed,
    /// There is a document type declaration.
    #[error("the message has a document type declaration")]
    Doctype,
    /// There is a processing instruction where none may be (SOAP).
    #[error("the message has a processing instruction")]
    Instruction,
    /// There is a reference to an entity other than XML's five.
    #[error("the message refers to an entity")]
    Entity,
    /// Nested beyond [`MAX_DEPTH`].
    #[error("the message is nested deeper than {MAX_DEPTH} elements")]
    TooDeep,
    /// More than [`MAX_ELEMENTS`] elements, [`MAX_ATTRIBUTES`] attributes of one, or [`MAX_NETWORKS`] networks.
    #[error("the message has too many elements or attributes")]
    TooMany,
    /// The root element or its namespace is another.
    #[error("the root element is not <{expected}> of {NAMESPACE}")]
    Root {
        /// What it should be.
        expected: &'static str,
    },
    /// Something unknown, repeated or out of order.
    #[error("unexpected content in <{within}>")]
    Unexpected {
        /// Where.
        within: &'static str,
    },
    /// A needed element is not there.
    #[error("<{element}> is missing")]
    Missing {
        /// Which.
        element: &'static str,
    },
    /// Neither IMSI nor IMEI.
    #[error("neither <imsi> nor <imei> is there")]
    NoIdentifier,
    /// A value is outside of what the schema allows.
    #[error("the value of <{element}> is not allowed")]
    Value {
        /// Of which element.
        element: &'static str,
    },
}

/// Reads whatever a device sends.
pub fn decode_message(octets: &[u8]) -> Result<DeviceMessage, XmlError> {
    read_message(read::parse_any(octets, read::Instructions::PassedOver)?)
}

/// The same, of an element that stands in something else. What is neither is refused as a request.
fn read_message(root: read::Node) -> Result<DeviceMessage, XmlError> {
    if root.is(read::Space::Ours, report::ROOT) {
        report::read_report(root).map(DeviceMessage::Report)
    } else {
        request::read_request(root).map(DeviceMessage::Request)
    }
}

impl XmlError {
    /// Stable code for logs and documentation.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::NotUtf8 => "not-utf8",
            Self::Malformed => "malformed",
            Self::Doctype => "doctype",
            Self::Instruction => "processing-instruction",
            Self::Entity => "entity",
            Self::TooDeep => "too-deep",
            Self::TooMany => "too-many",
            Self::Root { .. } => "wrong-root",
            Self::Unexpected { .. } => "unexpected-element",
            Self::Missing { .. } => "missing-element",
            Self::NoIdentifier => "no-identifier",
            Self::Value { .. } => "bad-value",
        }
    }
    /// The element that it is about, if it is about one.
    pub fn element(self) -> Option<&'static str> {
        match self {
            Self::Unexpected { within: element }
            | Self::Root { expected: element }
            | Self::Missing { element }
            | Self::Value { element } => Some(element),
            _ => None,
        }
    }
}
