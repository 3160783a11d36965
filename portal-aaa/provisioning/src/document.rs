//! A finished message, in whatever format.

use std::fmt;

use zeroize::Zeroizing;

/// Text under way that may hold a password: growing leaves no copy behind.
pub(crate) struct Secretive(Zeroizing<String>);

/// Most messages fit.
const FIRST: usize = 8 * 1024;

impl Secretive {
    pub(crate) fn new() -> Self {
        Self(Zeroizing::new(String::with_capacity(FIRST)))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn push(&mut self, text: &str) {
        let needed = self.0.len() + text.len();
        if needed > self.0.capacity() {
            // The old one is cleared as it goes, which a vector that grows by itself does not do.
            let mut larger = Zeroizing::new(String::with_capacity(needed.max(2 * self.0.capacity())));
            larger.push_str(&self.0);
            self.0 = larger;
        }
        self.0.push_str(text);
    }

    pub(crate) fn finish(self) -> Document {
        Document(self.0)
    }
}

/// A finished message. `Debug` shows its length only; memory is cleared when it goes, because replies hold a password.
pub struct Document(Zeroizing<String>);

impl Document {
    /// The message, to be sent.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The message, to be sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({} octets)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_content() {
        let mut text = Secretive::new();
        text.push("hunter2");
        assert_eq!(format!("{:?}", text.finish()), "Document(7 octets)");
    }

    #[test]
    fn nothing_is_lost_while_it_grows() {
        let mut text = Secretive::new();
        let pieces = ["é", &"x".repeat(FIRST), "", &"y".repeat(5 * FIRST), "z"];
        for piece in pieces {
            text.push(piece);
        }
        assert_eq!(text.len(), pieces.concat().len());
        assert_eq!(text.finish().as_str(), pieces.concat());
    }
}
