//! Requests that were served although nothing proves who sent them (CVE-2024-3596): what an operator must know before
//! setting `require`. One line a client and period, not one a packet.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Unproved requests by client.
#[derive(Debug, Default)]
pub(super) struct Audit {
    since: Mutex<HashMap<String, Count>>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    requests: u64,
    /// Of these, with Proxy-State: room for the attacker's collision, and a proxy that should be mended first.
    with_proxy_state: u64,
}

impl Audit {
    /// Counts one; the first of a period is logged at once.
    pub(super) fn note(&self, client: &str, proxy_state: bool) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = since.get_mut(client) {
            count.add(proxy_state);
            return;
        }
        // Bounded by the client table: nobody else comes this far.
        since.entry(client.to_owned()).or_default().add(proxy_state);
        drop(since);
        tracing::warn!(
            event = "no-message-authenticator",
            nas = client,
            proxy_state,
            "served because of `audit`"
        );
    }

    /// A line for every client that sent more than the one that was logged.
    pub(super) fn report(&self) {
        let since = std::mem::take(&mut *self.since.lock().unwrap_or_else(PoisonError::into_inner));
        for (nas, count) in since.into_iter().filter(|(_, count)| count.requests > 1) {
            let Count { requests, with_proxy_state } = count;
            tracing::warn!(
                event = "no-message-authenticator",
                nas,
                requests,
                with_proxy_state,
                "served because of `audit`"
            );
        }
    }
}

impl Count {
    fn add(&mut self, proxy_state: bool) {
        self.requests += 1;
        self.with_proxy_state += u64::from(proxy_state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_by_client_and_cleared_by_the_report() {
        let audit = Audit::default();
        [false, true, true].into_iter().for_each(|proxied| audit.note("ap-1", proxied));
        audit.note("ap-2", false);
        let of = |name: &str| audit.since.lock().unwrap().get(name).copied();
        assert_eq!(of("ap-1"), Some(Count { requests: 3, with_proxy_state: 2 }));
        assert_eq!(of("ap-2"), Some(Count { requests: 1, with_proxy_state: 0 }));
        audit.report();
        assert_eq!(of("ap-1"), None);
    }
}
