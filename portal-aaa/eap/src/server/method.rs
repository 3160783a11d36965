//! The interface of the methods on the server (RFC 4137 §5.4: m.buildReq, m.check, m.process, m.isDone, m.getKey):
//! [`Method`] for what the session proposes, [`Inside`] for what is said in its tunnel.

use super::account::Account;
use crate::{
    LoginMethod, Msk, Random, Reason,
    key::Secret,
    packet::{Identifier, Type},
    tls::{Challenger, Login},
};

/// RFC 7542 §2.2: longer names do not fit RADIUS.
const MAX_IDENTITY: usize = 253;

/// A method of one conversation.
///
/// The session calls [`Method::build_request`], sends the packet, checks and processes the response, and so on until
/// [`Progress::Done`].
pub(super) trait Method: Send {
    /// Is it of this type?
    fn is(&self, kind: Type) -> bool;
    /// The next request, a whole packet.
    fn build_request(&mut self, identifier: Identifier, random: &mut Random<'_>) -> Result<Vec<u8>, Reason>;
    /// Is this response worth processing? One that is not is ignored, as if it had not come (RFC 4137 §5.4).
    fn check(&self, data: &[u8]) -> bool;
    /// Takes the data of a response, after the type.
    fn process(&mut self, data: &[u8], random: &mut Random<'_>) -> Progress;
    /// Goes on after [`Progress::Lookup`].
    fn provide(&mut self, account: Account) -> Progress;
    /// Inner identity, once told.
    fn identity(&self) -> Option<&str>;
    /// What is being logged in with, once that is known.
    fn login(&self) -> Option<LoginMethod>;
    /// A session is being resumed.
    fn is_resumed(&self) -> bool;
    /// Key that the method has derived, if it is done.
    fn msk(&self) -> Option<Msk>;
}

/// A method inside a TLS tunnel.
pub(super) trait Inside: Send {
    /// Number of the outer method.
    const KIND: Type;
    /// The server speaks first, so that its first words may come early.
    const SPEAKS_FIRST: bool;

    /// The tunnel stands. `keys`: 128 octets of the exporter. `early`: the first words go out with the server's
    /// Finished.
    fn established(&mut self, keys: Secret, early: bool);
    /// A tunnel stands again, and who had logged in in it. The look-up is next. `protected`: the success is to be
    /// told inside, as on TLS 1.3.
    fn resumed(&mut self, keys: Secret, login: &Login, protected: bool);
    /// Appends what the server says next, if anything.
    fn request(
        &mut self,
        identifier: Identifier,
        random: &mut Random<'_>,
        words: &mut Vec<u8>,
    ) -> Result<(), Reason>;
    /// Takes what the peer says; nothing, where it only acknowledges.
    fn process(&mut self, words: &[u8], challenger: &Challenger<'_>) -> Progress;
    /// See [`Method::provide`].
    fn provide(&mut self, account: Account) -> Progress;
    /// See [`Method::identity`].
    fn identity(&self) -> Option<&str>;
    /// See [`Method::login`].
    fn login(&self) -> Option<LoginMethod>;
    /// See [`Method::msk`].
    fn msk(&self) -> Option<Msk>;
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Progress {
    /// Another request.
    Continue,
    /// What is known of [`Method::identity`], then [`Method::provide`].
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
        assert_eq!(read_identity(b"LAB\\two words"), Ok("LAB\\two words".to_owned()));
        for bad in [&b""[..], b"\xFF", b"a\0", b"a\nb", &[b'a'; 254]] {
            assert_eq!(read_identity(bad), Err(Reason::ProtocolError), "{bad:?}");
        }
        assert!(read_identity(&[b'a'; 253]).is_ok());
    }
}
