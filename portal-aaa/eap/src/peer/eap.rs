//! EAP inside a tunnel as the peer speaks it: identity, Nak, MSCHAPv2 or GTC. PEAP and TTLS carry it.

use std::sync::Arc;

use super::{Config, Reason, mschapv2::Mschapv2};
use crate::{Random, key::Secret, packet::Type};

/// The inner conversation.
pub(super) struct InnerEap {
    config: Arc<Config>,
    mschapv2: Mschapv2,
    /// A password went out by GTC: all that this method knows of success.
    told: bool,
    /// The method has begun.
    begun: bool,
}

impl InnerEap {
    pub(super) fn new(config: &Arc<Config>) -> Self {
        Self { config: Arc::clone(config), mschapv2: Mschapv2::new(config), told: false, begun: false }
    }

    /// Answers a request: type, and what follows it.
    pub(super) fn answer(
        &mut self,
        kind: Type,
        data: &[u8],
        random: &mut Random<'_>,
    ) -> Result<(Type, Secret), Reason> {
        let wanted = self.config.method.inner().unwrap_or(Type::MSCHAPV2);
        let answer = match kind {
            Type::IDENTITY => self.config.identity.as_bytes().to_vec(),
            Type::NOTIFICATION => Vec::new(),
            kind if kind != wanted => return Ok((Type::NAK, vec![wanted.0].into())),
            Type::GTC => {
                (self.told, self.begun) = (true, true);
                self.config.password.as_bytes().to_vec()
            }
            _ => {
                self.begun = true;
                self.mschapv2.answer(data, random)?
            }
        };
        Ok((kind, answer.into()))
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// As far as the method can know, the server has proved what it has to.
    pub(super) fn is_content(&self) -> bool {
        self.told || !self.mschapv2.key().is_empty()
    }

    /// Key of the method; GTC has none.
    pub(super) fn key(&self) -> &[u8] {
        self.mschapv2.key()
    }

    /// What the server had against us.
    pub(super) fn refusal(&self) -> Option<Reason> {
        self.mschapv2.refusal()
    }
}
