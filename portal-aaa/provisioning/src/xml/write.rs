//! Elements to text. The buffer leaves no copy behind and is cleared when it goes, because replies hold a password.

use super::{MAX_BODY, NAMESPACE, XmlError};
pub(super) use crate::document::Document;
use crate::document::Secretive;

/// How every document begins.
pub(super) const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// Writes one message.
pub(super) struct Writer {
    buffer: Secretive,
    overflow: bool,
    depth: usize,
}

impl Writer {
    /// Writes `root` with what `fill` puts into it.
    pub(super) fn document(
        root: &'static str,
        fill: impl FnOnce(&mut Self) -> Result<(), XmlError>,
    ) -> Result<Document, XmlError> {
        let mut writer = Self { buffer: Secretive::new(), overflow: false, depth: 1 };
        writer.push(DECLARATION);
        writer.push("<");
        writer.push(root);
        writer.push(" xmlns=\"");
        writer.push(NAMESPACE);
        writer.push("\">\n");
        fill(&mut writer)?;
        writer.push("</");
        writer.push(root);
        writer.push(">\n");
        if writer.overflow { Err(XmlError::TooLarge) } else { Ok(writer.buffer.finish()) }
    }

    /// `<element>text</element>`.
    pub(super) fn leaf(&mut self, element: &'static str, text: &str) {
        self.open(element);
        self.escaped(text);
        self.close(element);
    }

    /// `<element>…</element>` around what `fill` writes.
    pub(super) fn parent(
        &mut self,
        element: &'static str,
        fill: impl FnOnce(&mut Self) -> Result<(), XmlError>,
    ) -> Result<(), XmlError> {
        self.open(element);
        self.push("\n");
        self.depth += 1;
        fill(self)?;
        self.depth -= 1;
        self.indent();
        self.close(element);
        Ok(())
    }

    /// `<element/>`.
    pub(super) fn empty(&mut self, element: &'static str) {
        self.indent();
        self.push("<");
        self.push(element);
        self.push("/>\n");
    }

    fn open(&mut self, element: &'static str) {
        self.indent();
        self.push("<");
        self.push(element);
        self.push(">");
    }

    fn close(&mut self, element: &'static str) {
        self.push("</");
        self.push(element);
        self.push(">\n");
    }

    fn indent(&mut self) {
        for _ in 0..self.depth {
            self.push("  ");
        }
    }

    /// Readers turn a bare carriage return into a line feed (XML 1.0 §2.11), so it goes as a reference.
    fn escaped(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'', '\r']) {
            let (before, from) = rest.split_at(at);
            let (special, after) = from.split_at(1);
            self.push(before);
            self.push(match special {
                "&" => "&amp;",
                "<" => "&lt;",
                ">" => "&gt;",
                "\"" => "&quot;",
                "'" => "&apos;",
                _ => "&#13;",
            });
            rest = after;
        }
        self.push(rest);
    }

    fn push(&mut self, text: &str) {
        if self.buffer.len() + text.len() > MAX_BODY {
            self.overflow = true;
        } else {
            self.buffer.push(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::read;

    #[test]
    fn markup_in_text_is_escaped() {
        let written = Writer::document("r", |w| {
            w.leaf("a", "<&>\"'\r\n]]>");
            w.parent("b", |w| {
                w.empty("c");
                Ok(())
            })
        })
        .expect("fits");
        let root = read::parse(written.as_bytes(), "r").expect("well-formed");
        assert_eq!(
            root.required("a").and_then(|a| a.leaf("a").map(str::to_owned)).as_deref(),
            Ok("<&>\"'\r\n]]>")
        );
        assert!(root.required("b").and_then(|b| b.required("c").map(|_| ())).is_ok());
    }

    #[test]
    fn nothing_longer_than_the_limit_is_written() {
        let long = |length| {
            Writer::document("r", |w| {
                w.leaf("a", &"x".repeat(length));
                Ok(())
            })
        };
        let frame = long(0).expect("fits").as_bytes().len();
        assert_eq!(long(MAX_BODY - frame).map(|d| d.as_bytes().len()), Ok(MAX_BODY));
        assert_eq!(long(MAX_BODY - frame + 1).err(), Some(XmlError::TooLarge));
    }
}
