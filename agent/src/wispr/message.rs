//! The gateway's XML out of its HTML page: pure, bounded, lenient where real gateways need it.
//!
//! The XML stands in a comment of a page, of any status. Only what lies between the root's tags is parsed; a document
//! type is refused, in it and before it. Elements are taken in any order and unknown ones passed over: real gateways
//! write another order (RouterOS), elements of WISPr 2.0 under the 1.0 root and `CDATA[[…]]` as plain text (CoovaChilli),
//! and URLs whose `&` is not escaped.

use std::borrow::Cow;

use quick_xml::{
    Reader,
    escape::resolve_xml_entity,
    events::{BytesRef, Event},
};

use super::codes::{MessageType, ResponseCode};

/// Longest page that is looked at, octets.
pub(super) const MAX_PAGE: usize = 128 * 1024;
/// Longest XML in it, octets.
const MAX_XML: usize = 16 * 1024;
/// Elements of it; the largest message of the schema has nine.
const MAX_ELEMENTS: usize = 64;
/// Root, child, field.
const MAX_DEPTH: usize = 3;
/// Longest URL, octets.
const MAX_URL: usize = 2048;
/// Longest text that is kept for people, characters.
const MAX_TEXT: usize = 200;

const ROOT: &str = "WISPAccessGatewayParam";

/// One message of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// Which element it is. `MessageType` does not decide: gateways write the wrong one.
    pub(super) kind: Kind,
    /// For people.
    pub(super) message_type: Option<MessageType>,
    /// How it went.
    pub(super) code: ResponseCode,
    /// Where to log on.
    pub(super) login_url: Option<String>,
    /// Where to call a login off.
    pub(super) abort_url: Option<String>,
    /// Where to ask how a login went.
    pub(super) results_url: Option<String>,
    /// Where to log off.
    pub(super) logoff_url: Option<String>,
    /// Where to go on.
    pub(super) next_url: Option<String>,
    /// Wait so long before, seconds.
    pub(super) delay: Option<u32>,
    /// Of the gateway to people.
    pub(super) reply: Option<String>,
    /// `OPERATOR,Place`.
    pub(super) location_name: Option<String>,
    /// `isocc=,cc=,ac=,network=`.
    pub(super) access_location: Option<String>,
    /// Of WISPr 2.0: longest session, seconds.
    pub(super) max_session: Option<u32>,
}

/// The child of the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Redirect,
    Proxy,
    /// `AuthenticationReply` or `AuthenticationPollReply`: each comes in place of the other.
    Authentication,
    Logoff,
    Abort,
    /// Of a later version, or of nobody.
    Other,
}

/// Why XML of a gateway is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum MessageError {
    #[error("the XML does not end, or is longer than {MAX_XML} octets")]
    Size,
    #[error("a document type is not accepted")]
    Doctype,
    #[error("not well-formed XML")]
    Malformed,
    #[error("more elements than any message has")]
    TooMany,
    #[error("no message in the XML")]
    Empty,
    #[error("no ResponseCode, or one that is no number")]
    Code,
    #[error("a URL that is empty or longer than {MAX_URL} octets")]
    Url,
}

/// The message of a page; none where there is none in it.
pub(super) fn find(page: &[u8]) -> Option<Result<Message, MessageError>> {
    let page = page.get(..page.len().min(MAX_PAGE)).unwrap_or_default();
    let page = String::from_utf8_lossy(page);
    let start = start(&page)?;
    Some(cut(&page, start).and_then(parse))
}

/// Where the root begins; a namespace prefix may stand before its name.
fn start(page: &str) -> Option<usize> {
    for (at, _) in page.match_indices(ROOT).take(8) {
        let before = page.get(..at).unwrap_or_default();
        let tag = before.rfind('<')?;
        let prefix = before.get(tag + 1..).unwrap_or_default();
        let name_only = prefix.is_empty()
            || (prefix.len() <= 16
                && prefix.ends_with(':')
                && prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b == b':'));
        if name_only {
            return Some(tag);
        }
    }
    None
}

fn cut(page: &str, start: usize) -> Result<&str, MessageError> {
    let before = page.get(..start).unwrap_or_default();
    // The page's own document type stands before the comment; one of the XML would stand behind its declaration.
    let prolog = before.rfind("<?xml").and_then(|at| before.get(at..)).unwrap_or_default();
    if prolog.contains("<!DOCTYPE") || prolog.contains("<!ENTITY") {
        return Err(MessageError::Doctype);
    }
    let rest = page.get(start..).unwrap_or_default();
    let end = rest.match_indices(ROOT).find_map(|(at, _)| {
        let tag = rest.get(..at)?.rfind('<')?;
        rest.get(tag..)?.starts_with("</").then_some(())?;
        Some(at + rest.get(at..)?.find('>')? + 1)
    });
    let xml = end.and_then(|end| rest.get(..end)).ok_or(MessageError::Size)?;
    if xml.len() > MAX_XML { Err(MessageError::Size) } else { Ok(xml) }
}

fn parse(xml: &str) -> Result<Message, MessageError> {
    let xml = mend(xml);
    let mut reader = Reader::from_str(&xml);
    reader.config_mut().expand_empty_elements = true;
    let mut message = None;
    let mut path: Vec<String> = Vec::new();
    let mut text = String::new();
    let mut elements = 0usize;
    let mut fields = Fields::default();
    loop {
        match reader.read_event().map_err(|_| MessageError::Malformed)? {
            Event::Start(start) => {
                elements += 1;
                if elements > MAX_ELEMENTS || path.len() >= MAX_DEPTH {
                    return Err(MessageError::TooMany);
                }
                let name = start.local_name().as_ref().to_owned();
                if path.len() == 1 && message.is_none() {
                    message = Some(Kind::of(&name));
                }
                path.push(name);
                text.clear();
            }
            Event::End(_) => {
                if let [_, _, field] = path.as_slice() {
                    fields.put(field, text.trim());
                }
                path.pop();
                text.clear();
            }
            Event::Text(part) => text.push_str(&part.xml10_content()),
            Event::CData(part) => text.push_str(&part.xml10_content()),
            Event::GeneralRef(reference) => text.push(resolve(&reference)?),
            Event::DocType(_) => return Err(MessageError::Doctype),
            Event::Eof => break,
            _ => {}
        }
    }
    if !path.is_empty() {
        return Err(MessageError::Malformed);
    }
    fields.message(message.ok_or(MessageError::Empty)?)
}

/// Gateways write `&` as it is: what is no reference of XML becomes one.
fn mend(xml: &str) -> Cow<'_, str> {
    if !xml.contains('&') {
        return Cow::Borrowed(xml);
    }
    let mut mended = String::with_capacity(xml.len() + 64);
    let mut parts = xml.split('&');
    mended.push_str(parts.next().unwrap_or_default());
    let mut cdata = inside_cdata(&mended, false);
    for part in parts {
        let name = part.split_once(';').map(|(name, _)| name).unwrap_or_default();
        let number = name.strip_prefix('#').is_some_and(|digits| {
            let hexadecimal = digits.strip_prefix('x');
            match hexadecimal {
                Some(digits) => !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit()),
                None => !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()),
            }
        });
        let known = number || resolve_xml_entity(name).is_some();
        // In a CDATA section `&` is itself (XML 1.0 §2.7).
        mended.push_str(if known || cdata { "&" } else { "&amp;" });
        mended.push_str(part);
        cdata = inside_cdata(part, cdata);
    }
    Cow::Owned(mended)
}

fn inside_cdata(part: &str, before: bool) -> bool {
    match (part.rfind("<![CDATA["), part.rfind("]]>")) {
        (Some(open), Some(close)) => open > close,
        (Some(_), None) => true,
        (None, Some(_)) => false,
        (None, None) => before,
    }
}

fn resolve(reference: &BytesRef<'_>) -> Result<char, MessageError> {
    if let Some(character) = reference.resolve_char_ref().map_err(|_| MessageError::Malformed)? {
        return Ok(character);
    }
    resolve_xml_entity(&reference.xml10_content())
        .and_then(|text| text.chars().next())
        .ok_or(MessageError::Malformed)
}

impl Kind {
    /// The number that such an element has, where it is left out.
    fn number(self) -> Option<MessageType> {
        match self {
            Self::Redirect => Some(MessageType::REDIRECT),
            Self::Proxy => Some(MessageType::PROXY),
            Self::Authentication => Some(MessageType::AUTHENTICATION),
            Self::Logoff => Some(MessageType::LOGOFF),
            Self::Abort => Some(MessageType::ABORT),
            Self::Other => None,
        }
    }

    fn of(name: &str) -> Self {
        match name {
            "Redirect" => Self::Redirect,
            "Proxy" => Self::Proxy,
            "AuthenticationReply" | "AuthenticationPollReply" => Self::Authentication,
            "LogoffReply" => Self::Logoff,
            "AbortLoginReply" => Self::Abort,
            _ => Self::Other,
        }
    }
}

/// The fields as they stand there; of several of one name the first counts.
#[derive(Debug, Default)]
struct Fields(Vec<(String, String)>);

impl Fields {
    fn put(&mut self, name: &str, text: &str) {
        if !self.0.iter().any(|(known, _)| known == name) {
            self.0.push((name.to_owned(), text.to_owned()));
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
    }

    fn number(&self, name: &str) -> Option<u32> {
        self.get(name)?.parse().ok()
    }

    fn url(&self, name: &str) -> Result<Option<String>, MessageError> {
        match self.get(name) {
            None | Some("") => Ok(None),
            Some(url) if url.len() > MAX_URL => Err(MessageError::Url),
            Some(url) => Ok(Some(url.to_owned())),
        }
    }

    /// One line for people, and for the rule about locations.
    fn text(&self, name: &str) -> Option<String> {
        let text = self.get(name)?;
        let text = text.strip_prefix("CDATA[[").and_then(|text| text.strip_suffix("]]")).unwrap_or(text);
        let line: String = text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect();
        (!line.is_empty()).then_some(line)
    }

    fn message(&self, kind: Kind) -> Result<Message, MessageError> {
        let code = self.number("ResponseCode").map(ResponseCode);
        let code = if kind == Kind::Other { code.or(Some(ResponseCode::NO_ERROR)) } else { code };
        Ok(Message {
            kind,
            message_type: self.number("MessageType").map(MessageType).or(kind.number()),
            code: code.ok_or(MessageError::Code)?,
            login_url: self.url("LoginURL")?,
            abort_url: self.url("AbortLoginURL")?,
            results_url: self.url("LoginResultsURL")?,
            logoff_url: self.url("LogoffURL")?,
            next_url: self.url("NextURL")?,
            delay: self.number("Delay"),
            reply: self.text("ReplyMessage"),
            location_name: self.text("LocationName"),
            access_location: self.text("AccessLocation"),
            max_session: self.number("MaxSessionTime").filter(|secs| *secs > 0),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(child: &str) -> Vec<u8> {
        format!("<!DOCTYPE html><html><!--\r\n<?xml version=\"1.0\"?>\r\n<{ROOT} xmlns:x=\"y\">{child}</{ROOT}>\r\n--></html>")
            .into_bytes()
    }

    fn found(child: &str) -> Result<Message, MessageError> {
        find(&page(child)).expect("there is XML in it")
    }

    #[test]
    fn a_redirect_is_found_in_its_comment() {
        let message = found(
            "<Redirect><MessageType>100</MessageType><LoginURL>https://a.example/l?x=1&amp;y=2</LoginURL>\
             <ResponseCode> 0 </ResponseCode><LocationName>OP,Caf\u{e9}</LocationName></Redirect>",
        )
        .unwrap();
        assert_eq!((message.kind, message.code), (Kind::Redirect, ResponseCode::NO_ERROR));
        assert_eq!(message.login_url.as_deref(), Some("https://a.example/l?x=1&y=2"));
        assert_eq!(message.location_name.as_deref(), Some("OP,Caf\u{e9}"));
        assert_eq!(message.message_type, Some(MessageType::REDIRECT));
    }

    #[test]
    fn an_ampersand_may_stand_as_it_is() {
        for (written, meant) in [
            ("http://g/?a=1&b=2&amp;c=3&lt;", "http://g/?a=1&b=2&c=3<"),
            ("<![CDATA[http://g/?a=1&b=2]]>", "http://g/?a=1&b=2"),
            ("<![CDATA[http://g/?a=1&amp;b=2]]>", "http://g/?a=1&amp;b=2"),
            ("http://g/?a=&#x41;&#66;&#;&nbsp;", "http://g/?a=AB&#;&nbsp;"),
        ] {
            let reply = format!(
                "<LogoffReply><ResponseCode>150</ResponseCode><LogoffURL>{written}</LogoffURL></LogoffReply>"
            );
            assert_eq!(found(&reply).unwrap().logoff_url.as_deref(), Some(meant), "{written}");
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let code = "<ResponseCode>0</ResponseCode>";
        let long = format!("<Redirect>{code}<LoginURL>https://{}</LoginURL></Redirect>", "x".repeat(MAX_URL));
        let huge = format!("<Redirect>{code}<LoginURL>{}</LoginURL></Redirect>", "x".repeat(MAX_XML));
        let many = format!("<Redirect>{code}{}</Redirect>", "<a/>".repeat(MAX_ELEMENTS));
        for (child, error) in [
            ("", MessageError::Empty),
            ("<Redirect></Redirect>", MessageError::Code),
            ("<Redirect><ResponseCode>many</ResponseCode></Redirect>", MessageError::Code),
            ("<Redirect><ResponseCode>0</Redirect></ResponseCode>", MessageError::Malformed),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]><Redirect/>", MessageError::Doctype),
            ("<Redirect><a><b/></a></Redirect>", MessageError::TooMany),
            (&many, MessageError::TooMany),
            (&long, MessageError::Url),
            (&huge, MessageError::Size),
        ] {
            assert_eq!(found(child), Err(error), "{child:.80}");
        }
        let doctype =
            format!("<?xml version=\"1.0\"?><!DOCTYPE a SYSTEM \"file:///etc/passwd\"><{ROOT}></{ROOT}>");
        assert_eq!(find(doctype.as_bytes()), Some(Err(MessageError::Doctype)));
        assert_eq!(find(format!("<{ROOT}><Redirect>").as_bytes()), Some(Err(MessageError::Size)));
        assert_eq!(find(b"<html>WISPAccessGatewayParam is a word</html>"), None);
    }

    proptest! {
        #[test]
        fn any_page_is_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = find(&octets);
        }

        #[test]
        fn any_child_is_read_or_refused(child in "[<>/&;#a-zA-Z0-9! \\[\\]=\"?-]{0,200}") {
            let _ = find(&page(&child));
        }
    }
}
