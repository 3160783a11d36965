//! What the bus shows of the machine, made anew by the daemon's loop after each input.

use std::{collections::VecDeque, sync::Arc};

use provisioning::message::Policy;

use crate::{
    daemon::{Entry, metrics::Counts},
    machine::Status,
};

/// All of it. No secret and no identifier in clear.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct View {
    /// The machine's picture; none before the loop has begun.
    pub status: Option<Status>,
    /// The policy that is obeyed.
    pub policy: Option<Policy>,
    /// Moves with reasons, oldest first.
    pub log: Arc<VecDeque<Entry>>,
    /// Entries ever written.
    pub logged: u64,
    /// What has happened, for metrics.
    pub counts: Counts,
}

impl View {
    /// JSON of the picture.
    pub(super) fn status_json(&self) -> String {
        json(&self.status)
    }

    /// JSON of the policy; `null` where there is none.
    pub(super) fn policy_json(&self) -> String {
        json(&self.policy)
    }

    /// JSON of the last `most` entries, oldest first.
    pub(super) fn log_json(&self, most: u32) -> String {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let skipped = self.log.len().saturating_sub(most);
        json(&self.log.iter().skip(skipped).collect::<Vec<_>>())
    }

    pub(super) fn state(&self) -> String {
        self.status.as_ref().map(|status| status.state.to_string()).unwrap_or_default()
    }

    pub(super) fn carrier(&self) -> &'static str {
        self.status.as_ref().map(|status| status.carrier.word()).unwrap_or_default()
    }

    pub(super) fn ssid(&self) -> String {
        self.status.as_ref().and_then(|status| status.wlan.ssid.clone()).unwrap_or_default()
    }
}

/// These types have no map with keys that are no strings, which is all that could fail.
fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}
