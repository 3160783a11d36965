//! Parts that wait to be sent, and when the next may go. Pure; it outlives a session, so that what was not answered goes
//! again in the next.

use std::{collections::VecDeque, time::Duration};

use super::pdu::Body;
use crate::{credential::Msisdn, portal::rate::Rates};

/// Most parts that wait: some hundred credentials.
const MAX_PARTS: usize = 2048;
/// A credential that has not been sent by then is of no use: the device has asked again.
const TOO_LATE: Duration = Duration::from_secs(600);
/// The message centre is overloaded: first pause, doubling up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How often one part is tried.
const TRIES: u8 = 8;

/// One part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which message it is of.
    pub message: u64,
    /// To whom.
    pub to: Msisdn,
    /// What.
    pub body: Body,
    tries: u8,
    late_at: Duration,
}

/// Parts in the order in which they go.
#[derive(Debug)]
pub struct Queue {
    parts: VecDeque<Part>,
    rate: Rates<()>,
    /// None before this.
    paused_until: Duration,
    pause: Duration,
    messages: u64,
}

impl Queue {
    /// With at most so many parts a second.
    pub fn new(per_second: u32) -> Self {
        let per_second = per_second.max(1);
        // A tenth of a second's may go at once: more would be a burst that message centres refuse.
        let rate = Rates::new(per_second.div_ceil(10), Duration::from_secs(1) / per_second, 1);
        Self { parts: VecDeque::new(), rate, paused_until: Duration::ZERO, pause: PAUSE_FIRST, messages: 0 }
    }

    /// Takes in all parts of a message and gives its number; none where there is no room for all of them.
    pub fn put(&mut self, now: Duration, to: &Msisdn, bodies: Vec<Body>) -> Option<u64> {
        if self.parts.len() + bodies.len() > MAX_PARTS {
            return None;
        }
        self.messages += 1;
        let (message, late_at) = (self.messages, now + TOO_LATE);
        self.parts.extend(bodies.into_iter().map(|body| Part {
            message,
            to: to.clone(),
            body,
            tries: 0,
            late_at,
        }));
        Some(message)
    }

    /// The next that may go now. Those that are too late are dropped, and their messages told by `late`.
    pub fn next(&mut self, now: Duration, late: &mut Vec<u64>) -> Option<Part> {
        while let Some(part) = self.parts.front() {
            if now < part.late_at {
                break;
            }
            let message = part.message;
            late.push(message);
            self.forget(message);
        }
        if now < self.paused_until || self.parts.is_empty() {
            return None;
        }
        if let Err(wait) = self.rate.ask(now, ()) {
            self.paused_until = now + wait;
            return None;
        }
        let mut part = self.parts.pop_front()?;
        part.tries += 1;
        Some(part)
    }

    /// One that was not answered, or not now: it goes first again. False where it has been tried often enough.
    pub fn again(&mut self, part: Part) -> bool {
        let more = part.tries < TRIES;
        if more {
            self.parts.push_front(part);
        }
        more
    }

    /// The message centre wants us to wait.
    pub fn throttled(&mut self, now: Duration) {
        self.paused_until = now + self.pause;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    /// It takes messages.
    pub fn flows(&mut self) {
        self.pause = PAUSE_FIRST;
    }

    /// The rest of a message is of no use without one of its parts.
    pub fn forget(&mut self, message: u64) {
        self.parts.retain(|part| part.message != message);
    }

    /// When to look again.
    pub fn deadline(&self) -> Option<Duration> {
        self.parts.front().map(|part| self.paused_until.min(part.late_at))
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn bodies(count: usize) -> Vec<Body> {
        (0..count).map(|at| Body::Plain(at.to_string().into_bytes())).collect()
    }

    fn to() -> Msisdn {
        "+15551234567".parse().unwrap()
    }

    #[test]
    fn parts_go_in_order_and_not_too_fast() {
        let mut queue = Queue::new(2);
        let mut late = Vec::new();
        assert_eq!(queue.put(SECOND, &to(), bodies(3)), Some(1));
        let mut now = SECOND;
        let mut sent = Vec::new();
        while let Some(at) = queue.deadline() {
            now = now.max(at);
            while let Some(part) = queue.next(now, &mut late) {
                sent.push((now, part.body));
            }
        }
        let expected: Vec<_> = (2..5u32).map(|half| SECOND / 2 * half).zip(bodies(3)).collect();
        assert_eq!((sent, late), (expected, vec![]));
    }

    #[test]
    fn a_full_queue_takes_no_half_message() {
        let mut queue = Queue::new(1);
        assert!(queue.put(SECOND, &to(), bodies(MAX_PARTS - 1)).is_some());
        assert_eq!(queue.put(SECOND, &to(), bodies(2)), None);
        assert_eq!(queue.len(), MAX_PARTS - 1);
    }

    #[test]
    fn overload_pauses_longer_each_time_and_tries_end() {
        let mut queue = Queue::new(1000);
        queue.put(SECOND, &to(), bodies(1));
        let (mut now, mut waits) = (SECOND, Vec::new());
        loop {
            let part = queue.next(now, &mut Vec::new()).unwrap();
            if !queue.again(part) {
                break;
            }
            queue.throttled(now);
            let at = queue.deadline().unwrap();
            waits.push((at - now).as_secs());
            now = at;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60]);
        assert!(queue.is_empty());
    }

    #[test]
    fn what_is_late_goes_with_all_its_parts() {
        let mut queue = Queue::new(1000);
        queue.put(SECOND, &to(), bodies(3));
        queue.put(SECOND * 500, &to(), bodies(1));
        let mut late = Vec::new();
        let part = queue.next(SECOND + TOO_LATE, &mut late).unwrap();
        assert_eq!((part.message, late), (2, vec![1]));
    }
}
