//! An open network with a WISPr 1.0 gateway (Wi-Fi Alliance, Best Current Practices for WISP Roaming, 2003), as a policy
//! names it: to whom the password may be told there.

use serde::{Deserialize, Serialize};

/// Most names of a network.
pub const MAX_LOGIN_NAMES: usize = 4;
/// Most such networks of a policy.
pub const MAX_HOTSPOTS: usize = 4;
/// Longest [`Wispr::location`], octets.
pub const MAX_LOCATION: usize = 64;
/// Longest name, octets: DNS has longer ones (RFC 1035 §2.3.4), but all of a policy must fit into one message.
pub const MAX_LOGIN_NAME: usize = 128;

/// How one logs on at an open network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Wispr {
    /// Host names of the login pages that get the password, 1 to [`MAX_LOGIN_NAMES`]: the gateway's certificate must be for
    /// one of them. `*.example.org` stands for one label before `.example.org`.
    pub login_names: Vec<String>,
    /// What the gateway's LocationName must begin with, such as `OPERATOR,`; at most [`MAX_LOCATION`] octets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Leave the session at the gateway to its end in place of a log-off on leaving.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stay_logged_on: bool,
}

impl Wispr {
    /// Whether the password may be told to this host.
    pub fn allows(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        self.login_names.iter().any(|name| match name.strip_prefix("*.") {
            Some(parent) => host
                .split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent)),
            None => host.eq_ignore_ascii_case(name),
        })
    }
}

/// A host name of two labels or more, the first of which may be `*`: what stands for a whole top-level domain, or for an
/// address, is no name to trust.
pub fn is_login_name(name: &str) -> bool {
    let bare = name.strip_prefix("*.").unwrap_or(name);
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let last = bare.rsplit('.').next().unwrap_or_default();
    name.len() <= MAX_LOGIN_NAME
        && bare.contains('.')
        && bare.split('.').all(label)
        && last.starts_with(|c: char| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_goes_to_listed_names_only() {
        let login_names = vec!["login.partner.example".to_owned(), "*.operator.example".to_owned()];
        let wispr = Wispr { login_names, ..Wispr::default() };
        for good in [
            "login.partner.example",
            "LOGIN.partner.example",
            "hs1.operator.example",
            "login.partner.example.",
        ] {
            assert!(wispr.allows(good), "{good}");
        }
        for bad in [
            "partner.example",
            "x.login.partner.example",
            "operator.example",
            ".operator.example",
            "a.b.operator.example",
            "hs1.operator.example.evil.test",
            "evil-operator.example",
            "",
        ] {
            assert!(!wispr.allows(bad), "{bad}");
        }
    }

    #[test]
    fn a_login_name_is_a_whole_host_name() {
        for good in ["login.example.org", "*.example.org", "a-1.b.example"] {
            assert!(is_login_name(good), "{good}");
        }
        let long = format!("{}.example", "a".repeat(64));
        for bad in [
            "",
            "org",
            "*",
            "*.org",
            "*.*.org",
            "192.0.2.1",
            "a..b",
            "-a.example",
            "a b.example",
            "a.example.",
            &long,
        ] {
            assert!(!is_login_name(bad), "{bad}");
        }
    }
}
