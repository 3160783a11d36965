//! Octets to a small bounded tree of elements; the one place that touches the XML parser.
//!
//! `request`, `reply` and `refusal` take their fields out of the tree, `soap` the envelope around them. Text is cleared from memory when the tree
//! goes, because it holds identifiers and passwords.

use quick_xml::{
    NsReader, XmlVersion,
    escape::resolve_xml_entity,
    events::{BytesDecl, BytesRef, BytesStart, Event},
    name::{Namespace, NamespaceResolver, ResolveResult},
};
use zeroize::Zeroizing;

use super::{
    MAX_ATTRIBUTES, MAX_BODY, MAX_DEPTH, MAX_ELEMENTS, NAMESPACE, XmlError, soap::Version, text::is_xml_char,
};

/// Namespace of an element or attribute, as far as it means anything here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    /// [`NAMESPACE`].
    Ours,
    /// Envelope of this version.
    Soap(Version),
    /// None at all.
    None,
    /// Any other.
    Other,
}

impl Space {
    fn of(resolved: &ResolveResult<'_>) -> Self {
        match resolved {
            ResolveResult::Bound(Namespace(NAMESPACE)) => Self::Ours,
            ResolveResult::Bound(Namespace(uri)) => {
                Version::ALL.into_iter().find(|v| v.namespace() == *uri).map_or(Self::Other, Self::Soap)
            }
            ResolveResult::Unbound => Self::None,
            ResolveResult::Unknown(_) => Self::Other,
        }
    }
}

/// One element.
pub(super) struct Node {
    space: Space,
    /// Local name.
    name: String,
    /// Has attributes beside namespace declarations.
    attributes: bool,
    /// Those of SOAP's namespaces: local name and value.
    soap: Vec<(Version, String, String)>,
    /// All character data directly in it.
    text: Zeroizing<String>,
    children: Vec<Node>,
}

/// Reads a whole message whose root is `expected`.
pub(super) fn parse(octets: &[u8], expected: &'static str) -> Result<Node, XmlError> {
    parse_any(octets, Instructions::PassedOver)?.expect(expected)
}

/// What becomes of processing instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instructions {
    PassedOver,
    /// SOAP 1.1 §3, SOAP 1.2 part 1 §5.
    Refused,
}

/// Reads a whole message, whatever its root is.
pub(super) fn parse_any(octets: &[u8], instructions: Instructions) -> Result<Node, XmlError> {
    if octets.len() > MAX_BODY {
        return Err(XmlError::TooLarge);
    }
    let text = std::str::from_utf8(octets).map_err(|_| XmlError::NotUtf8)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // Most messages are ASCII, and looked at octet by octet a long one costs next to nothing.
    let good = if text.is_ascii() {
        text.bytes().fold(true, |good, b| good & (b >= b' ' || matches!(b, b'\t' | b'\r' | b'\n')))
    } else {
        text.chars().all(is_xml_char)
    };
    if !good {
        return Err(XmlError::Malformed);
    }
    tree(text, instructions)
}

fn tree(text: &str, instructions: Instructions) -> Result<Node, XmlError> {
    let mut reader = NsReader::from_str(text);
    let config = reader.config_mut();
    config.expand_empty_elements = true;
    config.check_comments = true;
    let mut open: Vec<Node> = Vec::new();
    let mut root: Option<Node> = None;
    let mut elements = 0usize;
    let mut first = true;
    loop {
        let (namespace, event) = reader.read_resolved_event().map_err(|_| XmlError::Malformed)?;
        let space = Space::of(&namespace);
        match event {
            Event::Start(start) => {
                elements += 1;
                if root.is_some() {
                    return Err(XmlError::Malformed);
                }
                if open.len() >= MAX_DEPTH {
                    return Err(XmlError::TooDeep);
                }
                if elements > MAX_ELEMENTS {
                    return Err(XmlError::TooMany);
                }
                open.push(Node::begin(space, &start, reader.resolver())?);
            }
            Event::End(_) => {
                let node = open.pop().ok_or(XmlError::Malformed)?;
                match open.last_mut() {
                    Some(parent) => parent.children.push(node),
                    None => root = Some(node),
                }
            }
            Event::Text(part) => append(&mut open, &part.xml10_content())?,
            Event::CData(part) if !open.is_empty() => append(&mut open, &part.xml10_content())?,
            Event::GeneralRef(reference) if !open.is_empty() => {
                let mut buffer = [0u8; 4];
                append(&mut open, resolve(&reference)?.encode_utf8(&mut buffer))?;
            }
            Event::Decl(declaration) if first => check_declaration(&declaration)?,
            Event::PI(_) if instructions == Instructions::Refused => return Err(XmlError::Instruction),
            Event::Comment(_) | Event::PI(_) => {}
            Event::DocType(_) => return Err(XmlError::Doctype),
            Event::Eof if open.is_empty() => return root.ok_or(XmlError::Malformed),
            Event::Empty(_) | Event::CData(_) | Event::GeneralRef(_) | Event::Decl(_) | Event::Eof => {
                return Err(XmlError::Malformed);
            }
        }
        first = false;
    }
}

/// Outside the root element only white space may stand (XML 1.0 §2.8).
fn append(open: &mut [Node], part: &str) -> Result<(), XmlError> {
    match open.last_mut() {
        Some(node) => node.text.push_str(part),
        None if is_blank(part) => {}
        None => return Err(XmlError::Malformed),
    }
    Ok(())
}

/// Character references and XML's own five entities (XML 1.0 §4.6), nothing else.
fn resolve(reference: &BytesRef<'_>) -> Result<char, XmlError> {
    let character = match reference.resolve_char_ref().map_err(|_| XmlError::Malformed)? {
        Some(character) => character,
        None => resolve_xml_entity(&reference.xml10_content())
            .and_then(|text| text.chars().next())
            .ok_or(XmlError::Entity)?,
    };
    if is_xml_char(character) { Ok(character) } else { Err(XmlError::Malformed) }
}

fn check_declaration(declaration: &BytesDecl<'_>) -> Result<(), XmlError> {
    if declaration.version().map_err(|_| XmlError::Malformed)? != "1.0" {
        return Err(XmlError::Malformed);
    }
    match declaration.encoding() {
        None => Ok(()),
        Some(Ok(name)) if name.eq_ignore_ascii_case("utf-8") => Ok(()),
        Some(Ok(_)) => Err(XmlError::NotUtf8),
        Some(Err(_)) => Err(XmlError::Malformed),
    }
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
}

impl Node {
    fn begin(space: Space, start: &BytesStart<'_>, resolver: &NamespaceResolver) -> Result<Self, XmlError> {
        let name = start.local_name().into_inner().to_owned();
        let mut attributes = false;
        let mut soap = Vec::new();
        for (number, attribute) in start.attributes().enumerate() {
            // Each is compared with those before it, and each name in the element with each declaration.
            if number >= MAX_ATTRIBUTES {
                return Err(XmlError::TooMany);
            }
            let attribute = attribute.map_err(|_| XmlError::Malformed)?;
            attributes |= attribute.key.as_namespace_binding().is_none();
            let (namespace, name) = resolver.resolve_attribute(attribute.key);
            if let Space::Soap(version) = Space::of(&namespace) {
                let value =
                    attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| XmlError::Malformed)?;
                soap.push((version, name.into_inner().to_owned(), value.into_owned()));
            }
        }
        Ok(Self { space, name, attributes, soap, text: Zeroizing::new(String::new()), children: Vec::new() })
    }

    /// Itself, if it is the element `expected` of our namespace.
    pub(super) fn expect(self, expected: &'static str) -> Result<Self, XmlError> {
        if self.is(Space::Ours, expected) { Ok(self) } else { Err(XmlError::Root { expected }) }
    }

    /// The element `name` of this namespace.
    pub(super) fn is(&self, space: Space, name: &str) -> bool {
        self.space == space && self.name == name
    }

    /// Its namespace.
    pub(super) fn space(&self) -> Space {
        self.space
    }

    /// Its local name.
    pub(super) fn local_name(&self) -> &str {
        &self.name
    }

    /// The attribute `name` of this SOAP version's namespace.
    pub(super) fn soap_attribute(&self, version: Version, name: &str) -> Option<&str> {
        self.soap.iter().find(|(v, n, _)| *v == version && n == name).map(|(_, _, value)| value.as_str())
    }

    /// All children, of whatever namespace; none if text stands between them.
    pub(super) fn elements(&self) -> Option<&[Node]> {
        is_blank(&self.text).then_some(&self.children)
    }

    /// As [`Node::elements`], taken out of it.
    pub(super) fn into_elements(self) -> Option<Vec<Node>> {
        is_blank(&self.text).then_some(self.children)
    }

    /// All character data directly in it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Character data of an element that has no children; white space counts.
    pub(super) fn leaf(&self, element: &'static str) -> Result<&str, XmlError> {
        if self.children.is_empty() { Ok(&self.text) } else { Err(XmlError::Unexpected { within: element }) }
    }

    /// Lenient reading: the one child called `element`, wherever it stands.
    pub(super) fn optional(&self, element: &'static str) -> Result<Option<&Node>, XmlError> {
        let mut found = self.all(element);
        match (found.next(), found.next()) {
            (node, None) => Ok(node),
            (_, Some(_)) => Err(XmlError::Unexpected { within: element }),
        }
    }

    /// As [`Node::optional`], for what must be there.
    pub(super) fn required(&self, element: &'static str) -> Result<&Node, XmlError> {
        self.optional(element)?.ok_or(XmlError::Missing { element })
    }

    /// Lenient reading: all children called `element`, in order.
    pub(super) fn all(&self, element: &'static str) -> impl Iterator<Item = &Node> {
        self.children.iter().filter(move |child| child.is(Space::Ours, element))
    }

    /// Strict reading: children one after the other, nothing between them, nothing left over.
    pub(super) fn in_order(&self, within: &'static str) -> Result<InOrder<'_>, XmlError> {
        if self.attributes || !is_blank(&self.text) {
            return Err(XmlError::Unexpected { within });
        }
        Ok(InOrder { rest: &self.children, within })
    }
}

/// Cursor over the children of a strictly read element. All of them are leaves.
pub(super) struct InOrder<'a> {
    rest: &'a [Node],
    within: &'static str,
}

impl<'a> InOrder<'a> {
    /// The next child's text, if it is called `element`.
    pub(super) fn optional(&mut self, element: &'static str) -> Result<Option<&'a str>, XmlError> {
        match self.rest.split_first() {
            Some((node, rest)) if node.is(Space::Ours, element) => {
                self.rest = rest;
                if node.attributes {
                    return Err(XmlError::Unexpected { within: element });
                }
                node.leaf(element).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The next child's text; it must be called `element`.
    pub(super) fn required(&mut self, element: &'static str) -> Result<&'a str, XmlError> {
        let later = self.rest.iter().any(|node| node.is(Space::Ours, element));
        match self.optional(element)? {
            Some(text) => Ok(text),
            None if later => Err(XmlError::Unexpected { within: self.within }),
            None => Err(XmlError::Missing { element }),
        }
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), XmlError> {
        if self.rest.is_empty() { Ok(()) } else { Err(XmlError::Unexpected { within: self.within }) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn root(inner: &str) -> String {
        format!("<r xmlns='{NAMESPACE}'>{inner}</r>")
    }

    fn refused(text: &str) -> XmlError {
        parse(text.as_bytes(), "r").err().expect("must be refused")
    }

    #[test]
    fn text_is_taken_exactly() {
        let text = root("<a> x&amp;&#x41;<![CDATA[<&]]><!-- no -->\r\ny </a>");
        let node = parse(text.as_bytes(), "r").expect("well-formed");
        let a = node.required("a").and_then(|a| a.leaf("a").map(str::to_owned));
        assert_eq!(a.as_deref(), Ok(" x&A<&\ny "));
    }

    #[test]
    fn document_types_and_entities_are_refused() {
        let doctype = format!("<!DOCTYPE r [<!ENTITY a 'b'>]>{}", root("<a>&a;</a>"));
        assert_eq!(refused(&doctype), XmlError::Doctype);
        assert_eq!(refused(&root("<a>&a;</a>")), XmlError::Entity);
        assert_eq!(refused(&root("<a>&nbsp;</a>")), XmlError::Entity);
        assert_eq!(refused(&root("<a>&#0;</a>")), XmlError::Malformed);
        assert_eq!(refused(&root("<a>&#xFFFF;</a>")), XmlError::Malformed);
    }

    #[test]
    fn size_depth_and_number_are_bounded() {
        let nested = |depth: usize| root(&format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth)));
        assert!(parse(nested(MAX_DEPTH - 1).as_bytes(), "r").is_ok());
        assert_eq!(refused(&nested(MAX_DEPTH)), XmlError::TooDeep);
        assert!(parse(root(&"<a/>".repeat(MAX_ELEMENTS - 1)).as_bytes(), "r").is_ok());
        assert_eq!(refused(&root(&"<a/>".repeat(MAX_ELEMENTS))), XmlError::TooMany);
        assert_eq!(refused(&root(&" ".repeat(MAX_BODY))), XmlError::TooLarge);
        fn attributes(count: usize) -> String {
            (0..count).map(|n| format!(" a{n}=''")).collect()
        }
        fn declarations(count: usize) -> String {
            (0..count).map(|n| format!(" xmlns:a{n}='u'")).collect()
        }
        for many in [attributes as fn(usize) -> String, declarations] {
            assert!(parse(root(&format!("<a{}/>", many(MAX_ATTRIBUTES))).as_bytes(), "r").is_ok());
            assert_eq!(refused(&root(&format!("<a{}/>", many(MAX_ATTRIBUTES + 1)))), XmlError::TooMany);
        }
    }

    #[test]
    fn only_one_well_formed_utf8_root_of_our_namespace() {
        assert_eq!(refused("<r/>"), XmlError::Root { expected: "r" });
        assert_eq!(refused("<r xmlns='urn:wifi-offload:provisioning:2'/>"), XmlError::Root { expected: "r" });
        assert_eq!(refused(&root("").replace('r', "q")), XmlError::Root { expected: "r" });
        assert_eq!(parse(b"\xff\xfe<\0r\0/\0>\0", "r").err(), Some(XmlError::NotUtf8));
        let declared = format!("<?xml version='1.0' encoding='iso-8859-1'?>{}", root(""));
        assert_eq!(refused(&declared), XmlError::NotUtf8);
        let late = format!(" <?xml version='1.0'?>{}", root(""));
        for bad in ["", "x", "<", "<r", &late, &root("<a>"), &root("</a>"), &root("<a></b>"), &root("\u{1}")]
        {
            assert_eq!(refused(bad), XmlError::Malformed, "{bad}");
        }
        for (before, after) in [("x", ""), ("", "x"), ("", "<r/>"), ("", "&amp;"), ("<![CDATA[ ]]>", "")] {
            assert_eq!(refused(&format!("{before}{}{after}", root(""))), XmlError::Malformed);
        }
        let decorated =
            format!("\u{feff}<?xml version='1.0' encoding='utf-8'?>\n<!-- c -->{} <!-- d -->\n", root(""));
        assert!(parse(decorated.as_bytes(), "r").is_ok());
    }

    #[test]
    fn prefixes_are_resolved() {
        let text = format!("<p:r xmlns:p='{NAMESPACE}'><p:a>1</p:a><a>2</a></p:r>");
        let node = parse(text.as_bytes(), "r").expect("well-formed");
        assert_eq!(node.required("a").and_then(|a| a.leaf("a").map(str::to_owned)).as_deref(), Ok("1"));
    }

    proptest! {
        #[test]
        fn arbitrary_octets_do_not_panic(octets in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = parse(&octets, "r");
        }

        #[test]
        fn arbitrary_markup_does_not_panic(
            parts in proptest::collection::vec(
                proptest::sample::select(vec![
                    "<", ">", "</", "/>", "a", "r", " ", "=", "'", "\"", "&", ";", "#", "x41", "<!--", "-->", "<?xml ",
                    "?>", "<![CDATA[", "]]>", "<!DOCTYPE ", "xmlns", ":", "urn:wifi-offload:provisioning:1", "&amp;",
                    "<r xmlns='urn:wifi-offload:provisioning:1'>", "</r>",
                ]),
                0..60,
            )
        ) {
            let _ = parse(parts.concat().as_bytes(), "r");
        }
    }
}
