//! What a login was made with, EAP or not, and sets of it: an account may be good for some methods only.

use std::{fmt, str::FromStr};

use eap::LoginMethod;

/// Inner and outer method of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// By EAP.
    Eap(LoginMethod),
    /// User-Password (RFC 2865 §5.2).
    Pap,
    /// CHAP-Password (RFC 2865 §5.3).
    Chap,
    /// MS-CHAP2-Response (RFC 2548 §2.3.2).
    Mschapv2,
}

/// Those that are no EAP.
const PLAIN: [(Method, &str, u16); 3] =
    [(Method::Pap, "pap", 1 << 8), (Method::Chap, "chap", 1 << 9), (Method::Mschapv2, "mschapv2", 1 << 10)];

impl Method {
    /// Stable name, as on the command line, in the log and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eap(method) => method.name(),
            Self::Pap => "pap",
            Self::Chap => "chap",
            Self::Mschapv2 => "mschapv2",
        }
    }

    /// All there are.
    pub fn all() -> impl Iterator<Item = Self> {
        LoginMethod::ALL.into_iter().map(Self::Eap).chain(PLAIN.map(|(method, ..)| method))
    }

    fn bit(self) -> u16 {
        match self {
            Self::Eap(method) => {
                LoginMethod::ALL.iter().position(|other| *other == method).map_or(0, |place| 1 << place)
            }
            plain => PLAIN.iter().find(|(method, ..)| *method == plain).map_or(0, |(.., bit)| *bit),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No method has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no method {name:?}; there are {}, and all, eap, peap, ttls for groups of them", all_names())]
pub struct UnknownMethod {
    /// What was given.
    pub name: String,
}

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(name: &str) -> Result<Self, UnknownMethod> {
        Self::all()
            .find(|method| method.name() == name)
            .ok_or_else(|| UnknownMethod { name: name.to_owned() })
    }
}

fn all_names() -> String {
    Method::all().map(Method::name).collect::<Vec<_>>().join(", ")
}

/// A set of methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Methods(u16);

impl Methods {
    /// Every method.
    pub const ALL: Self = Self(0x7FF);

    /// Is it in the set?
    pub fn contains(self, method: Method) -> bool {
        self.0 & method.bit() != 0
    }

    /// Those of EAP, as the authenticator takes them.
    pub fn eap(self) -> eap::Methods {
        LoginMethod::ALL.into_iter().filter(|method| self.contains(Method::Eap(*method))).collect()
    }
}

impl Default for Methods {
    fn default() -> Self {
        Self::ALL
    }
}

impl FromIterator<Method> for Methods {
    fn from_iter<I: IntoIterator<Item = Method>>(methods: I) -> Self {
        Self(methods.into_iter().fold(0, |bits, method| bits | method.bit()))
    }
}

/// Comma-separated names, `all` for every one.
impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL {
            return f.write_str("all");
        }
        let names: Vec<_> = Method::all().filter(|method| self.contains(*method)).map(Method::name).collect();
        f.write_str(&names.join(","))
    }
}

/// Names in any case and in the spellings that standards and other servers have (`TTLS/MS-CHAP-V2`), and groups.
impl FromStr for Methods {
    type Err = UnknownMethod;

    fn from_str(list: &str) -> Result<Self, UnknownMethod> {
        let mut methods = Vec::new();
        for name in list.split(',') {
            let spelled = spelled(name.trim());
            let named: Vec<_> = Method::all().filter(|method| is_named(*method, &spelled)).collect();
            if named.is_empty() {
                return Err(UnknownMethod { name: name.trim().to_owned() });
            }
            methods.extend(named);
        }
        Ok(methods.into_iter().collect())
    }
}

/// Is the method this one, or of this group?
fn is_named(method: Method, name: &str) -> bool {
    match name {
        "all" => true,
        "eap" => matches!(method, Method::Eap(_)),
        "peap" | "ttls" => method.name().split('-').next() == Some(name),
        name => method.name() == name,
    }
}

/// As our own names are spelled.
fn spelled(name: &str) -> String {
    let name = name.to_lowercase().replace(['/', '_', ' ', '+'], "-").replace("ms-chap", "mschap");
    let name = name.replace("mschap-v2", "mschapv2");
    name.strip_prefix("eap-")
        .filter(|rest| rest.starts_with("peap") || rest.starts_with("ttls"))
        .unwrap_or(&name)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_all_is_all() {
        for method in Method::all() {
            assert_eq!(method.name().parse(), Ok(method));
            let set: Methods = [method].into_iter().collect();
            assert!(Method::all().all(|other| set.contains(other) == (other == method)), "{method}");
            assert_eq!(set.to_string().parse(), Ok(set));
        }
        assert_eq!(Method::all().collect::<Methods>(), Methods::ALL);
        assert_eq!("all".parse(), Ok(Methods::ALL));
        assert_eq!("pap, peap-gtc".parse::<Methods>().unwrap().to_string(), "peap-gtc,pap");
        for (list, same) in [
            ("PEAP-MSCHAPv2, TTLS/PAP", "peap-mschapv2,ttls-pap"),
            ("EAP-TTLS/EAP-MSCHAPv2", "ttls-eap-mschapv2"),
            ("ttls_ms-chap-v2", "ttls-mschapv2"),
            ("MS-CHAPv2,CHAP", "chap,mschapv2"),
            ("peap", "peap-mschapv2,peap-gtc"),
            ("eap,PAP,chap,mschapv2", "all"),
        ] {
            assert_eq!(list.parse::<Methods>().unwrap().to_string(), same, "{list}");
        }
        assert!("".parse::<Methods>().is_err());
        assert!("pap,md5".parse::<Methods>().unwrap_err().to_string().contains("ttls-eap-gtc"));
    }
}
