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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_it() {
        let password = Password::new("hunter2".to_owned());
        for printed in
            [format!("{password:?}"), format!("{:#?}", Some(&password)), format!("{:?}", [&password])]
        {
            assert!(!printed.contains("hunter"), "{printed}");
            assert!(!printed.contains('7'), "not even its length: {printed}");
        }
    }

    #[test]
    fn equal_means_equal_text() {
        let password = |text: &str| Password::new(text.to_owned());
        assert_eq!(password("a"), password("a"));
        assert_ne!(password("a"), password("b"));
        assert_ne!(password("a"), password("aa"));
        assert_ne!(password(""), password("a"));
    }
}
