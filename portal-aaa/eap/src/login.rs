//! What somebody logs in with: an outer method and the one inside it.
//!
//! Logs, accounts and the session store name it; both sides' machines decide by it.

use std::{fmt, str::FromStr};

use crate::packet::Type;

/// Outer and inner method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LoginMethod {
    /// PEAPv0 with EAP-MSCHAPv2.
    PeapMschapv2,
    /// PEAPv0 with EAP-GTC, the password as it is.
    PeapGtc,
    /// TTLS with the password as an attribute (RFC 5281 §11.2.5).
    TtlsPap,
    /// TTLS with CHAP (RFC 5281 §11.2.2).
    TtlsChap,
    /// TTLS with MS-CHAP, the first version (RFC 5281 §11.2.3).
    TtlsMschap,
    /// TTLS with MS-CHAP-V2 attributes (RFC 5281 §11.2.4).
    TtlsMschapv2,
    /// TTLS with EAP-MSCHAPv2 (RFC 5281 §11.2.1).
    TtlsEapMschapv2,
    /// TTLS with EAP-GTC, the password as it is.
    TtlsEapGtc,
}

impl LoginMethod {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::PeapMschapv2,
        Self::PeapGtc,
        Self::TtlsPap,
        Self::TtlsChap,
        Self::TtlsMschap,
        Self::TtlsMschapv2,
        Self::TtlsEapMschapv2,
        Self::TtlsEapGtc,
    ];

    /// Stable name for logs, statistics and configuration; [`FromStr`] reads the same.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PeapMschapv2 => "peap-mschapv2",
            Self::PeapGtc => "peap-gtc",
            Self::TtlsPap => "ttls-pap",
            Self::TtlsChap => "ttls-chap",
            Self::TtlsMschap => "ttls-mschap",
            Self::TtlsMschapv2 => "ttls-mschapv2",
            Self::TtlsEapMschapv2 => "ttls-eap-mschapv2",
            Self::TtlsEapGtc => "ttls-eap-gtc",
        }
    }

    pub(crate) const fn outer(self) -> Type {
        match self {
            Self::PeapMschapv2 | Self::PeapGtc => Type::PEAP,
            Self::TtlsPap
            | Self::TtlsChap
            | Self::TtlsMschap
            | Self::TtlsMschapv2
            | Self::TtlsEapMschapv2
            | Self::TtlsEapGtc => Type::TTLS,
        }
    }

    /// The EAP type inside, where there is EAP inside.
    pub(crate) const fn inner(self) -> Option<Type> {
        match self {
            Self::PeapMschapv2 | Self::TtlsEapMschapv2 => Some(Type::MSCHAPV2),
            Self::PeapGtc | Self::TtlsEapGtc => Some(Type::GTC),
            Self::TtlsPap | Self::TtlsChap | Self::TtlsMschap | Self::TtlsMschapv2 => None,
        }
    }
}

impl fmt::Display for LoginMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no method has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no login method is called {0:?}")]
pub struct UnknownMethod(pub String);

impl FromStr for LoginMethod {
    type Err = UnknownMethod;

    fn from_str(name: &str) -> Result<Self, UnknownMethod> {
        let found = Self::ALL.into_iter().find(|method| method.name() == name);
        found.ok_or_else(|| UnknownMethod(name.to_owned()))
    }
}

/// A set of login methods: those that an account may log in with.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Methods(u8);

impl Methods {
    /// Every method.
    pub const ALL: Self = Self(u8::MAX);
    /// No method at all.
    pub const NONE: Self = Self(0);

    /// Is the method in it?
    pub const fn contains(self, method: LoginMethod) -> bool {
        self.0 & Self::bit(method) != 0
    }

    /// The set with this method in it, too.
    #[must_use]
    pub const fn with(self, method: LoginMethod) -> Self {
        Self(self.0 | Self::bit(method))
    }

    /// Those in it, in the order of [`LoginMethod::ALL`].
    pub fn iter(self) -> impl Iterator<Item = LoginMethod> {
        LoginMethod::ALL.into_iter().filter(move |method| self.contains(*method))
    }

    /// Is nothing in it?
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    const fn bit(method: LoginMethod) -> u8 {
        1 << method as u8
    }
}

impl Default for Methods {
    fn default() -> Self {
        Self::ALL
    }
}

impl FromIterator<LoginMethod> for Methods {
    fn from_iter<I: IntoIterator<Item = LoginMethod>>(methods: I) -> Self {
        methods.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(LoginMethod::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for method in LoginMethod::ALL {
            assert_eq!(method.name().parse(), Ok(method));
            assert_eq!(method.to_string(), method.name());
            assert!(method.name().starts_with(if method.outer() == Type::PEAP { "peap-" } else { "ttls-" }));
        }
        assert!("PEAP".parse::<LoginMethod>().is_err());
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        assert_eq!(Methods::default(), Methods::ALL);
        assert_eq!(LoginMethod::ALL.into_iter().collect::<Methods>(), Methods::ALL);
        assert!(Methods::NONE.is_empty());
        for method in LoginMethod::ALL {
            let one = Methods::from_iter([method]);
            assert!(Methods::ALL.contains(method) && !Methods::NONE.contains(method));
            assert_eq!(one.iter().collect::<Vec<_>>(), [method]);
        }
        let two = Methods::from_iter([LoginMethod::TtlsPap, LoginMethod::PeapGtc]);
        assert_eq!(format!("{two:?}"), r#"{"peap-gtc", "ttls-pap"}"#);
    }
}
