//! The one interface of what a peer says inside its tunnel.

use super::Reason;
use crate::{Msk, Random, key::Secret, packet::Identifier, tls::Challenger};

/// Phase 2 of one login.
pub(super) trait Inside: Send {
    /// The tunnel stands. Gives the first words, if they are the peer's.
    fn established(&mut self, tunnel: Established<'_>, random: &mut Random<'_>) -> Option<Secret>;
    /// Answers the server's words.
    fn hear(
        &mut self,
        words: &[u8],
        identifier: Identifier,
        random: &mut Random<'_>,
    ) -> Result<Secret, Reason>;
    /// The session key, once an EAP-Success would be believed.
    fn msk(&self) -> Option<Msk>;
    /// What an EAP-Failure would mean.
    fn reason(&self) -> Reason;
}

/// A tunnel that stands.
pub(super) struct Established<'a> {
    /// 128 octets of the exporter.
    pub(super) keys: Secret,
    /// A session was resumed.
    pub(super) resumed: bool,
    pub(super) tls13: bool,
    pub(super) challenger: &'a Challenger<'a>,
}
