//! A finished message, in whatever format.

use std::fmt;

use zeroize::Zeroizing;

/// A finished message. `Debug` shows its length only; memory is cleared when it goes, because replies hold a password.
pub struct Document(Zeroizing<String>);

impl Document {
    pub(crate) fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

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
        let document = Document::new(Zeroizing::new("hunter2".to_owned()));
        assert_eq!(format!("{document:?}"), "Document(7 octets)");
    }
}
