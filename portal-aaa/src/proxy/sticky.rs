//! Which home server began an EAP conversation: the next request of it carries the State that this one gave
//! (RFC 2865 §5.24) and means nothing to any other.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

/// Between two packets of a conversation.
const LIFETIME: Duration = Duration::from_secs(60);
/// Conversations remembered; the oldest goes first.
const CAPACITY: usize = 16_384;

/// States of the last minute.
#[derive(Debug, Default)]
pub(super) struct Sticky {
    of: HashMap<(usize, Vec<u8>), (usize, Duration)>,
    order: VecDeque<(Duration, (usize, Vec<u8>))>,
}

impl Sticky {
    /// `peer` of `pool` has given this State.
    pub(super) fn put(&mut self, now: Duration, pool: usize, state: &[u8], peer: usize) {
        let until = now.saturating_add(LIFETIME);
        let key = (pool, state.to_vec());
        self.order.push_back((until, key.clone()));
        self.of.insert(key, (peer, until));
        while self.order.front().is_some_and(|(until, _)| *until <= now) || self.order.len() > CAPACITY {
            let Some((until, key)) = self.order.pop_front() else { break };
            if self.of.get(&key).is_some_and(|(_, latest)| *latest == until) {
                self.of.remove(&key);
            }
        }
    }

    /// Who has given it.
    pub(super) fn get(&self, now: Duration, pool: usize, state: &[u8]) -> Option<usize> {
        self.of.get(&(pool, state.to_vec())).filter(|(_, until)| *until > now).map(|(peer, _)| *peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembered_for_a_minute_and_within_bounds() {
        let mut sticky = Sticky::default();
        let now = Duration::from_secs(5);
        sticky.put(now, 1, b"state", 7);
        assert_eq!(sticky.get(now, 1, b"state"), Some(7));
        assert_eq!(sticky.get(now, 2, b"state"), None, "another realm");
        assert_eq!(sticky.get(now + LIFETIME, 1, b"state"), None);
        sticky.put(now + LIFETIME / 2, 1, b"state", 8);
        for n in 0..20_000u32 {
            sticky.put(now + LIFETIME, 1, &n.to_be_bytes(), 1);
        }
        assert!(sticky.of.len() <= CAPACITY && sticky.order.len() <= CAPACITY);
        sticky.put(now + LIFETIME * 3, 1, b"new", 1);
        assert_eq!((sticky.of.len(), sticky.order.len()), (1, 1));
    }
}
