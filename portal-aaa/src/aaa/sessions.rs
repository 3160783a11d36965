//! Conversations that wait for their next Access-Request, found by State (RFC 2865 §5.24).
//!
//! Bounded in number and time. An entry leaves the table while it is worked on, so no lock is held during
//! cryptography and no State is good twice; retransmissions are answered from the duplicate cache.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use foldhash::fast::RandomState;

/// Value of the State attribute: random, so that nobody can guess another's conversation.
pub type State = [u8; 16];

/// Bounds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most conversations. The oldest goes when one more comes.
    pub open: usize,
    /// Longest wait for the next request.
    pub idle: Duration,
}

/// The table. `T` is the conversation.
#[derive(Debug)]
pub struct Sessions<T> {
    limits: Limits,
    waiting: HashMap<State, T, RandomState>,
    order: VecDeque<(State, Duration)>,
}

impl<T> Sessions<T> {
    /// An empty table.
    pub fn new(limits: Limits) -> Self {
        Self { limits, waiting: HashMap::default(), order: VecDeque::new() }
    }

    /// Keeps a conversation until a request with `state` comes.
    pub fn put(&mut self, now: Duration, state: State, conversation: T) {
        self.expire(now);
        self.waiting.insert(state, conversation);
        self.order.push_back((state, now.saturating_add(self.limits.idle)));
        // The order holds places of conversations that went on, too; dropping the front keeps both bounded.
        while self.order.len() > self.limits.open.max(1) {
            if let Some((oldest, _)) = self.order.pop_front() {
                self.waiting.remove(&oldest);
            }
        }
    }

    /// Takes the conversation out; none when it never was, was taken, or timed out.
    pub fn take(&mut self, now: Duration, state: &State) -> Option<T> {
        self.expire(now);
        self.waiting.remove(state)
    }

    /// Drops those that waited too long.
    pub fn expire(&mut self, now: Duration) {
        while let Some((state, _)) = self.order.pop_front_if(|(_, until)| *until <= now) {
            self.waiting.remove(&state);
        }
    }

    /// Conversations that wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { open: 3, idle: Duration::from_secs(30) };

    #[test]
    fn a_state_is_good_once_and_not_for_ever() {
        let mut sessions = Sessions::new(LIMITS);
        sessions.put(Duration::ZERO, [1; 16], 'a');
        assert_eq!(sessions.take(Duration::ZERO, &[2; 16]), None);
        assert_eq!(sessions.take(Duration::ZERO, &[1; 16]), Some('a'));
        assert_eq!(sessions.take(Duration::ZERO, &[1; 16]), None);
        sessions.put(Duration::ZERO, [3; 16], 'b');
        assert_eq!(sessions.take(LIMITS.idle, &[3; 16]), None);
        assert!(sessions.is_empty());
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut sessions = Sessions::new(LIMITS);
        for n in 1..=4 {
            sessions.put(Duration::from_secs(n.into()), [n; 16], n);
        }
        let now = Duration::from_secs(5);
        assert_eq!([1, 2, 3, 4].map(|n| sessions.take(now, &[n; 16])), [None, Some(2), Some(3), Some(4)]);
    }

    proptest! {
        #[test]
        fn bounded_whatever_happens(steps in proptest::collection::vec((any::<bool>(), 0u8..9, 0u64..9), 0..200)) {
            let mut sessions = Sessions::new(LIMITS);
            let mut now = Duration::ZERO;
            for (put, state, wait) in steps {
                now += Duration::from_secs(wait);
                if put { sessions.put(now, [state; 16], ()); } else { sessions.take(now, &[state; 16]); }
                prop_assert!(sessions.len() <= LIMITS.open && sessions.order.len() <= LIMITS.open);
            }
        }
    }
}
