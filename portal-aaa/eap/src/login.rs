//! What somebody logged in with: outer and inner method, and sets of them.

use std::str::FromStr;

/// Outer and inner method of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoginMethod {
    /// PEAPv0 with EAP-MSCHAPv2.
    PeapMschapv2,
    /// PEAPv0 with EAP-GTC.
    PeapGtc,
    /// TTLS with the password as an attribute.
    TtlsPap,
    /// TTLS with CHAP attributes.
    TtlsChap,
    /// TTLS with MS-CHAP attributes.
    TtlsMschap,
    /// TTLS with MS-CHAP-V2 attributes.
    TtlsMschapv2,
    /// TTLS with EAP-MSCHAPv2.
    TtlsEapMschapv2,
    /// TTLS with EAP-GTC.
    TtlsEapGtc,
}

impl LoginMethod {
    /// Every one.
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

    /// Stable name.
    pub fn name(self) -> &'static str {
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

    fn bit(self) -> u8 {
        Self::ALL.iter().position(|other| *other == self).map_or(0, |place| 1 << place)
    }
}

/// No method has this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no EAP method of this name")]
pub struct UnknownLoginMethod;

impl FromStr for LoginMethod {
    type Err = UnknownLoginMethod;

    fn from_str(name: &str) -> Result<Self, UnknownLoginMethod> {
        Self::ALL.into_iter().find(|method| method.name() == name).ok_or(UnknownLoginMethod)
    }
}

/// A set of methods; every one by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Methods(u8);

impl Methods {
    /// Every one.
    pub const ALL: Self = Self(0xFF);

    /// Is it in the set?
    pub fn contains(self, method: LoginMethod) -> bool {
        self.0 & method.bit() != 0
    }
}

impl Default for Methods {
    fn default() -> Self {
        Self::ALL
    }
}

impl FromIterator<LoginMethod> for Methods {
    fn from_iter<I: IntoIterator<Item = LoginMethod>>(methods: I) -> Self {
        Self(methods.into_iter().fold(0, |bits, method| bits | method.bit()))
    }
}
