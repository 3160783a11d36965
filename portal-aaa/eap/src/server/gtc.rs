//! EAP-GTC inside a tunnel: the password as it is (RFC 3748 §5.6).

use crate::{Reason, key::same_password};

/// What a person would be shown.
pub(super) const PROMPT: &[u8] = b"Password: ";

/// Is it the password?
pub(super) fn verify(claimed: &[u8], password: Result<&[u8], Reason>) -> Result<(), Reason> {
    // Who is unknown takes as long as who is wrong.
    let same = same_password(claimed, password.unwrap_or_default());
    password?;
    if same { Ok(()) } else { Err(Reason::WrongPassword) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_no_password() {
        assert_eq!(verify(b"secret", Ok(b"secret")), Ok(()));
        assert_eq!(verify(b"secre", Ok(b"secret")), Err(Reason::WrongPassword));
        for claimed in [&b""[..], b"secret"] {
            let refused = Err(Reason::RejectedByDirectory);
            assert_eq!(verify(claimed, refused.map(|()| &b""[..])), refused);
        }
    }
}
