//! What the caller knew of an identity, kept until the peer has proved it or failed to.

use zeroize::Zeroizing;

use super::Known;
use crate::{LoginMethod, Methods, Reason, key::Secret, tls::Mark};

/// The answer to a look-up.
pub(super) struct Account {
    password: Option<Secret>,
    methods: Methods,
}

impl Account {
    pub(super) fn new(known: Option<Known<'_>>) -> Self {
        match known {
            Some(Known { password, methods }) => {
                Self { password: Some(Zeroizing::new(password.to_vec())), methods }
            }
            // Whoever is unknown may try everything, and fails at the end, as with a wrong password.
            None => Self { password: None, methods: Methods::ALL },
        }
    }

    /// May it log in, and by this method?
    pub(super) fn admits(&self, method: LoginMethod) -> Result<(), Reason> {
        self.password(method).map(|_| ())
    }

    /// The password to compare with.
    pub(super) fn password(&self, method: LoginMethod) -> Result<&[u8], Reason> {
        let password = self.password.as_deref().ok_or(Reason::RejectedByDirectory)?;
        if self.methods.contains(method) { Ok(password) } else { Err(Reason::MethodNotAllowed) }
    }

    /// What tells its password from another, for sessions that are to be resumed.
    pub(super) fn mark(&self) -> Mark {
        Mark::of(self.password.as_ref().map_or(&[], |password| &password[..]))
    }

    pub(super) fn allows(&self, method: LoginMethod) -> bool {
        self.methods.contains(method)
    }
}
