//! The one interface of all methods on the server, outer and inner ones (RFC 4137 §5.4: m.buildReq, m.check,
//! m.process, m.isDone, m.getKey).

use crate::{
    LoginMethod, Random, Reason,
    packet::{Identifier, Type},
    tls::Exports,
};

/// RFC 7542 §2.2: longer names do not fit RADIUS.
const MAX_IDENTITY: usize = 253;

/// A method of one conversation.
///
/// The session calls [`Method::build_request`], sends the data, checks and processes the response, and so on until
/// [`Progress::Done`].
pub(super) trait Method: Send {
    /// Its number.
    fn kind(&self) -> Type;
    /// Data of the next request, after the type.
    fn build_request(&mut self, identifier: Identifier, random: &mut Random<'_>) -> Result<Vec<u8>, Reason>;
    /// Is this response worth processing? One that is not is ignored, as if it had not come (RFC 4137 §5.4).
    fn check(&self, _data: &[u8]) -> bool {
        true
    }
    /// Takes the data of a response, after the type.
    fn process(&mut self, data: &[u8], random: &mut Random<'_>) -> Progress;
    /// Goes on after [`Progress::Lookup`].
    fn provide(&mut self, password: Option<&[u8]>) -> Progress;
    /// Inner identity, once told.
    fn identity(&self) -> Option<&str> {
        None
    }
    /// What was logged in with, once that is decided.
    fn login(&self) -> Option<LoginMethod> {
        None
    }
    /// Key that the method has derived, if it derives one and is done.
    fn key(&self) -> Option<&[u8]>;
}

/// A method inside a TLS tunnel.
pub(super) trait Inside: Method {
    /// The tunnel stands.
    fn established(&mut self, exports: Exports);
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Progress {
    /// Another request.
    Continue,
    /// The password of [`Method::identity`], then [`Method::provide`].
    Lookup,
    /// The end.
    Done(Result<(), Reason>),
}

impl From<Result<Self, Reason>> for Progress {
    fn from(result: Result<Self, Reason>) -> Self {
        result.unwrap_or_else(|reason| Self::Done(Err(reason)))
    }
}

/// An identity as the peer wrote it, if it can be one: text without control characters that fits a User-Name.
pub(super) fn read_identity(octets: &[u8]) -> Result<String, Reason> {
    let text = std::str::from_utf8(octets).ok().filter(|text| !text.chars().any(char::is_control));
    let text = text.filter(|text| (1..=MAX_IDENTITY).contains(&text.len()));
    text.map(str::to_owned).ok_or(Reason::ProtocolError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_text_that_fits_a_user_name() {
        assert_eq!(read_identity("räuber@realm".as_bytes()), Ok("räuber@realm".to_owned()));
        for bad in [&b""[..], b"\xFF", b"a\0", b"a\nb", &[b'a'; 254]] {
            assert_eq!(read_identity(bad), Err(Reason::ProtocolError), "{bad:?}");
        }
        assert!(read_identity(&[b'a'; 253]).is_ok());
    }
}
