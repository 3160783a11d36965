//! Parts of long messages joined. Pure, told the time, and bounded: a sender who never sends the last part costs a
//! little memory for a while.
//!
//! A request of ours is one part, but a message centre or an older modem may cut it.

use std::{collections::BTreeMap, time::Duration};

use provisioning::sms::{MAX_MESSAGE, udh::Part};

use crate::store::Handle;

/// Messages that wait for more parts.
const MAX_WAITING: usize = 1024;
/// Of one sender.
const MAX_OF_ONE: usize = 2;
/// A part that has not come by then does not come.
const LIFE: Duration = Duration::from_secs(300);
/// More than that is no request.
const MAX_PARTS: u8 = 10;

#[derive(Debug)]
struct Waiting {
    total: u8,
    parts: BTreeMap<u8, Vec<u8>>,
    since: Duration,
}

/// Messages that are not whole yet, by sender and reference.
#[derive(Debug, Default)]
pub struct Joiner {
    waiting: BTreeMap<(Handle, u16), Waiting>,
}

impl Joiner {
    /// Takes a part in; gives the whole message with the last one.
    pub fn take(
        &mut self,
        now: Duration,
        from: Handle,
        part: Part,
        data: Vec<u8>,
    ) -> Result<Option<Vec<u8>>, &'static str> {
        if part.total == 1 {
            return Ok(Some(data));
        }
        if part.total > MAX_PARTS {
            return Err("sms-too-large");
        }
        self.waiting.retain(|_, waiting| now < waiting.since + LIFE);
        let key = (from, part.reference);
        if self.waiting.get(&key).is_some_and(|waiting| waiting.total != part.total) {
            // The reference has come round: a new message.
            self.waiting.remove(&key);
        }
        if !self.waiting.contains_key(&key) {
            self.make_room(from);
        }
        let waiting = self.waiting.entry(key).or_insert(Waiting {
            total: part.total,
            parts: BTreeMap::new(),
            since: now,
        });
        waiting.parts.entry(part.number).or_insert(data);
        if waiting.parts.len() < usize::from(part.total) {
            return Ok(None);
        }
        let whole: Vec<u8> = self
            .waiting
            .remove(&key)
            .map(|waiting| waiting.parts.into_values().flatten().collect())
            .unwrap_or_default();
        if whole.len() > MAX_MESSAGE { Err("sms-too-large") } else { Ok(Some(whole)) }
    }

    /// The oldest of the same sender goes first, then the oldest of all.
    fn make_room(&mut self, from: Handle) {
        let of_one = self.waiting.range((from, 0)..=(from, u16::MAX));
        let oldest_of_one = of_one.clone().min_by_key(|(_, waiting)| waiting.since).map(|(key, _)| *key);
        if of_one.count() >= MAX_OF_ONE {
            oldest_of_one.and_then(|key| self.waiting.remove(&key));
        } else if self.waiting.len() >= MAX_WAITING {
            let oldest = self.waiting.iter().min_by_key(|(_, waiting)| waiting.since).map(|(key, _)| *key);
            oldest.and_then(|key| self.waiting.remove(&key));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use provisioning::sms::udh::{cut, split};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const A: Handle = Handle([1; 32]);

    fn part(number: u8, total: u8) -> Part {
        Part { reference: 7, total, number }
    }

    #[test]
    fn parts_come_in_any_order_and_twice() {
        let mut joiner = Joiner::default();
        let mut take = |number, text: &str| joiner.take(SECOND, A, part(number, 3), text.as_bytes().to_vec());
        assert_eq!(take(3, "c"), Ok(None));
        assert_eq!(take(1, "a"), Ok(None));
        assert_eq!(take(1, "x"), Ok(None));
        assert_eq!(take(2, "b"), Ok(Some(b"abc".to_vec())));
        assert_eq!(take(2, "b"), Ok(None), "the message is done");
    }

    #[test]
    fn what_does_not_become_whole_is_forgotten() {
        let mut joiner = Joiner::default();
        assert_eq!(joiner.take(SECOND, A, part(1, 2), vec![1]), Ok(None));
        assert_eq!(joiner.take(SECOND + LIFE, A, part(2, 2), vec![2]), Ok(None));
        assert_eq!(joiner.take(SECOND, A, part(1, MAX_PARTS + 1), vec![1]), Err("sms-too-large"));
        assert_eq!(joiner.take(SECOND, A, part(1, 1), vec![1]), Ok(Some(vec![1])));
    }

    proptest! {
        #[test]
        fn every_message_comes_out_as_it_was_cut(message in vec(any::<u8>(), 141..1300), turn in 0usize..10) {
            let mut joiner = Joiner::default();
            let mut parts = cut(&message, 9);
            let by = turn % parts.len();
            parts.rotate_left(by);
            let mut whole = None;
            for user_data in &parts {
                let (part, data) = split(user_data).unwrap();
                whole = joiner.take(SECOND, A, part.unwrap(), data.to_vec()).unwrap();
            }
            prop_assert_eq!(whole, Some(message));
        }

        #[test]
        fn never_more_than_the_bounds(takes in vec((0u8..40, any::<u16>(), 2u8..12, 1u8..12), 0..400)) {
            let mut joiner = Joiner::default();
            for (who, reference, total, number) in takes {
                let part = Part { reference, total, number: number.min(total) };
                let _ = joiner.take(SECOND, Handle([who; 32]), part, vec![0; 134]);
                prop_assert!(joiner.waiting.len() <= MAX_WAITING);
                let of_one = joiner.waiting.keys().filter(|(from, _)| from.0[0] == who).count();
                prop_assert!(of_one <= MAX_OF_ONE);
            }
        }
    }
}
