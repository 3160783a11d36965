//! Passwords and keys as types that cannot be printed or serialised by accident.

use std::fmt;

use zeroize::Zeroize;

/// A password. No `Display`; `Debug` hides it; memory is cleared when it goes.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// Takes ownership of the text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text. Name the reason where you call it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Constant time.
impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Password {}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
