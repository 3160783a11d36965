//! The login form (`application/x-www-form-urlencoded`, WHATWG URL §5.2), cleared from memory when it goes.

use std::fmt;

use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

/// What is posted to the login page.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Form(Zeroizing<String>);

impl Form {
    /// The five fields that smart clients send; gateways look for these names.
    pub(super) fn login(username: &str, password: &str, probe_url: &str) -> Self {
        // No second copy of the password stays behind: three octets for one at most, and no growth.
        let most = 128 + 3 * (username.len() + password.len() + probe_url.len());
        let mut form = Zeroizing::new(String::with_capacity(most));
        for (name, value) in [
            ("button", "Login"),
            ("UserName", username),
            ("Password", password),
            ("FNAME", "0"),
            ("OriginatingServer", probe_url),
        ] {
            if !form.is_empty() {
                form.push('&');
            }
            form.push_str(name);
            form.push('=');
            byte_serialize(value.as_bytes()).for_each(|piece| form.push_str(piece));
        }
        Self(form)
    }

    /// The body of the one request that is to carry it.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Form(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_arrives_and_none_is_printed() {
        let form = Form::login("a+b@x", "p&= \u{e9}/%", "http://probe.example/?a=1&b");
        assert_eq!(
            form.expose(),
            "button=Login&UserName=a%2Bb%40x&Password=p%26%3D+%C3%A9%2F%25&FNAME=0&\
             OriginatingServer=http%3A%2F%2Fprobe.example%2F%3Fa%3D1%26b"
        );
        let read: Vec<_> = url::form_urlencoded::parse(form.expose().as_bytes()).collect();
        assert_eq!(read[2], ("Password".into(), "p&= \u{e9}/%".into()));
        assert_eq!(format!("{form:?}"), "Form(…)");
    }
}
