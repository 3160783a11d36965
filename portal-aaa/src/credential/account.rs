//! Making an account by hand: what may be a name and a password, and its record. For `portal-aaa user`.

use provisioning::{identity::Mac, secret::Password};

use super::{Keys, Purpose, SealError, token};
use crate::{aaa::method::Methods, store::AccountRecord};

/// RFC 7542 §2.3: what gets through RADIUS everywhere.
pub const MAX_NAME: usize = 253;
/// Characters; Windows and MS-CHAP take no more (RFC 2759 §8.1: 0 to 256 unicode characters).
pub const MAX_PASSWORD: usize = 256;
/// RFC 2865 §5.2: User-Password holds at most 128 octets.
pub const MAX_PAP: usize = 128;

/// What `user add` was told.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Exactly as it will be typed.
    pub name: String,
    /// Any text.
    pub password: Password,
    /// The one station.
    pub mac: Option<Mac>,
    /// Methods it may be used with.
    pub methods: Methods,
    /// Network names; none for any.
    pub ssids: Vec<String>,
    /// RADIUS clients by name; none for any.
    pub nas: Vec<String>,
    /// Instead of the configured one.
    pub vlan: Option<u16>,
    /// Instead of the configured number.
    pub max_sessions: Option<u32>,
}

/// Why an account cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// Length or characters of the name.
    #[error("a name has 1 to {MAX_NAME} octets and no control characters")]
    Name,
    /// A device's credential could have it.
    #[error("this name looks like an issued credential; choose another")]
    TokenName,
    /// Length of the password.
    #[error("a password has 1 to {MAX_PASSWORD} characters")]
    Password,
    /// The keys do not seal.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl NewAccount {
    /// Checked and sealed. `now` is seconds since 1970.
    pub fn record(&self, keys: &Keys, realm: &str, now: u64) -> Result<AccountRecord, AccountError> {
        name(&self.name, realm)?;
        // Name the reason: it is sealed here, to be kept.
        let password = self.password.expose();
        if !(1..=MAX_PASSWORD).contains(&password.chars().count()) {
            return Err(AccountError::Password);
        }
        Ok(AccountRecord {
            name: self.name.clone(),
            password: keys.seal(Purpose::Account, &self.name, password.as_bytes())?,
            mac: self.mac,
            methods: self.methods.to_string(),
            ssids: self.ssids.clone(),
            nas: self.nas.clone(),
            vlan: self.vlan,
            max_sessions: self.max_sessions,
            disabled: false,
            created_at: now,
            changed_at: now,
        })
    }
}

fn name(name: &str, realm: &str) -> Result<(), AccountError> {
    if !(1..=MAX_NAME).contains(&name.len()) || name.chars().any(char::is_control) {
        return Err(AccountError::Name);
    }
    let ours = |(_, of): &(&str, &str)| of.eq_ignore_ascii_case(realm);
    if name.rsplit_once('@').filter(ours).is_some() && token::id(name).is_some() {
        return Err(AccountError::TokenName);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REALM: &str = "operator.example";

    fn make(name: &str, password: &str) -> Result<AccountRecord, AccountError> {
        let account = NewAccount {
            name: name.to_owned(),
            password: Password::new(password.to_owned()),
            mac: None,
            methods: Methods::ALL,
            ssids: Vec::new(),
            nas: Vec::new(),
            vlan: None,
            max_sessions: None,
        };
        account.record(&Keys::fixed(1), REALM, 5)
    }

    #[test]
    fn any_name_and_password_that_can_be_typed() {
        let long = "n".repeat(MAX_NAME);
        for name in ["probe", "a b c", "CORP\\jürgen", "ö@operator.example", "x@y@z", "@", &long] {
            assert!(make(name, "p").is_ok(), "{name}");
        }
        for name in ["", "a\nb", "\u{7f}", "tab\t", &"n".repeat(MAX_NAME + 1), &"ö".repeat(127)] {
            assert_eq!(make(name, "p").unwrap_err(), AccountError::Name, "{name:?}");
        }
        assert!(make("a", &"ö".repeat(MAX_PASSWORD)).is_ok());
        assert!(make("a", "line\nfeed").is_ok());
        for password in ["", &"p".repeat(MAX_PASSWORD + 1)] {
            assert_eq!(make("a", password).unwrap_err(), AccountError::Password);
        }
    }

    #[test]
    fn no_account_of_a_credentials_name() {
        let opaque = "ai".repeat(31) + "a";
        assert_eq!(opaque.len(), token::OPAQUE);
        for name in [format!("{opaque}@{REALM}"), format!("{}@OPERATOR.example", opaque.to_uppercase())] {
            assert_eq!(make(&name, "p").unwrap_err(), AccountError::TokenName, "{name}");
        }
        assert!(make(&opaque, "p").is_ok());
        assert!(make(&format!("{opaque}@other.example"), "p").is_ok());
    }

    #[test]
    fn the_password_is_sealed_to_its_name() {
        let record = make("a", "secret word").unwrap();
        let keys = Keys::fixed(1);
        assert_eq!(**keys.open(Purpose::Account, "a", &record.password).unwrap(), *b"secret word");
        assert!(keys.open(Purpose::Account, "b", &record.password).is_err());
        assert!(keys.open(Purpose::Password, "a", &record.password).is_err());
        assert_eq!(record, make("a", "secret word").unwrap(), "the same input, the same record");
    }
}
