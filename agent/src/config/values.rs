//! Values that are checked where they are read, so that a mistake is shown at its place in the file.

use std::{path::PathBuf, time::Duration};

use provisioning::sms::PublicKey;
use serde::Deserialize;
use tracing_subscriber::filter::Targets;
use ureq::http::Uri;

use crate::modem::which::Which;

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not an `https` URL of a host.
    #[error("expected an https URL such as \"https://portal.operator.example:8443\"")]
    Url,
    /// Not absolute: the daemon's working directory is no one's business.
    #[error("expected an absolute path")]
    Path,
    /// Not a network interface's name.
    #[error("expected a network interface's name, 1 to 15 characters without / and white space")]
    Interface,
    /// Not an access point name.
    #[error("expected an access point name, at most 100 characters without white space")]
    Apn,
    /// Not a domain name.
    #[error("expected a domain name such as \"operator.example\"")]
    Domain,
    /// Names no modem.
    #[error("expected \"any\", at least 4 last digits of an IMEI, or a device path such as \"usb1/1-3\"")]
    Modem,
    /// Not a telephone number.
    #[error("expected a telephone number of 3 to 20 digits, with or without a +")]
    Number,
    /// Not a public key of a portal.
    #[error("expected the key that `portal-aaa sms key` prints, 44 characters")]
    PortalKey,
    /// Out of range.
    #[error("expected {min} to {max} seconds, got {got}")]
    Seconds {
        /// Least.
        min: u64,
        /// Most.
        max: u64,
        /// What stands there.
        got: u64,
    },
    /// Not a filter.
    #[error("expected a log level or filter such as \"info\" or \"info,agent::modem=debug\"")]
    Filter,
}

/// A `https` URL with a host, without user or password.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Url(pub(super) String);

impl TryFrom<String> for Url {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        let uri: Uri = text.parse().map_err(|_| ValueError::Url)?;
        let authority = uri.authority().ok_or(ValueError::Url)?.as_str();
        let fits =
            uri.scheme_str() == Some("https") && !authority.starts_with(':') && !authority.contains('@');
        if fits { Ok(Self(text)) } else { Err(ValueError::Url) }
    }
}

/// An absolute path.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "PathBuf")]
pub(super) struct Absolute(pub(super) PathBuf);

impl TryFrom<PathBuf> for Absolute {
    type Error = ValueError;

    fn try_from(path: PathBuf) -> Result<Self, ValueError> {
        if path.is_absolute() { Ok(Self(path)) } else { Err(ValueError::Path) }
    }
}

/// Name of a network interface, as the kernel's `dev_valid_name` takes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Interface(pub(super) String);

impl TryFrom<String> for Interface {
    type Error = ValueError;

    fn try_from(name: String) -> Result<Self, ValueError> {
        let bad = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
        let fits = (1..=15).contains(&name.len()) && name != "." && name != ".." && !name.contains(bad);
        if fits { Ok(Self(name)) } else { Err(ValueError::Interface) }
    }
}

/// Domain name (RFC 1123 §2.1).
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Domain(pub(super) String);

impl TryFrom<String> for Domain {
    type Error = ValueError;

    fn try_from(name: String) -> Result<Self, ValueError> {
        let label = |label: &str| {
            let octet = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            (1..=63).contains(&label.len()) && label.bytes().all(octet)
        };
        // Room for what is put before it.
        if name.len() <= 200 && name.split('.').all(label) { Ok(Self(name)) } else { Err(ValueError::Domain) }
    }
}

/// Access point name (3GPP TS 23.003 §9.1: at most 100 octets).
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Apn(pub(super) String);

impl TryFrom<String> for Apn {
    type Error = ValueError;

    fn try_from(name: String) -> Result<Self, ValueError> {
        let bad = |c: char| c.is_whitespace() || c.is_control();
        if name.len() <= 100 && !name.contains(bad) { Ok(Self(name)) } else { Err(ValueError::Apn) }
    }
}

/// Which program may own the WLAN interface.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum WlanOwner {
    Auto,
    WpaSupplicant,
    #[serde(rename = "networkmanager")]
    NetworkManager,
}

/// Which program may own the modem's data connection.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CellularOwner {
    Auto,
    ModemManager,
    NetworkManager,
}

/// Number that messages go to: a subscriber's, or a short code.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Number(pub(super) String);

impl TryFrom<String> for Number {
    type Error = ValueError;

    fn try_from(number: String) -> Result<Self, ValueError> {
        let digits = number.strip_prefix('+').unwrap_or(&number);
        let fits = (3..=20).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        if fits { Ok(Self(number)) } else { Err(ValueError::Number) }
    }
}

/// What requests by SMS are sealed to.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct PortalKey(pub(super) PublicKey);

impl TryFrom<String> for PortalKey {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        text.parse().map(Self).map_err(|_| ValueError::PortalKey)
    }
}

/// When the portal is asked by SMS.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SmsWhen {
    Never,
    Fallback,
    Always,
}

/// Address families of the bearer.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Ip {
    Ipv4,
    Ipv6,
    Ipv4v6,
}

/// A modem: `any`, or part of what tells it from others.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct ModemName(pub(super) Which);

impl TryFrom<String> for ModemName {
    type Error = ValueError;

    fn try_from(name: String) -> Result<Self, ValueError> {
        match name.as_str() {
            "any" => Ok(Self(Which::Any)),
            "" => Err(ValueError::Modem),
            _ if name.contains(char::is_control) => Err(ValueError::Modem),
            digits if digits.len() < 4 && digits.bytes().all(|b| b.is_ascii_digit()) => {
                Err(ValueError::Modem)
            }
            _ => Ok(Self(Which::Named(name))),
        }
    }
}

/// A time limit.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u64")]
pub(super) struct Seconds<const MIN: u64, const MAX: u64>(pub(super) Duration);

impl<const MIN: u64, const MAX: u64> TryFrom<u64> for Seconds<MIN, MAX> {
    type Error = ValueError;

    fn try_from(got: u64) -> Result<Self, ValueError> {
        if (MIN..=MAX).contains(&got) {
            Ok(Self(Duration::from_secs(got)))
        } else {
            Err(ValueError::Seconds { min: MIN, max: MAX, got })
        }
    }
}

/// What to log, targets and levels as tracing-subscriber's `Targets` takes them.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Filter(pub(super) String);

impl TryFrom<String> for Filter {
    type Error = ValueError;

    fn try_from(filter: String) -> Result<Self, ValueError> {
        if filter.parse::<Targets>().is_ok() { Ok(Self(filter)) } else { Err(ValueError::Filter) }
    }
}
