//! Which part the message centre calls how, until its receipt has come. Pure and bounded: the oldest are forgotten.

use std::collections::{BTreeMap, HashMap};

/// Messages whose receipts are awaited.
const MAX_MESSAGES: usize = 1024;

/// What a receipt has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// All parts of this message have arrived at the device.
    Delivered(u64),
    /// One has not, and with it none of it is of use.
    Failed(u64, String),
    /// More are to come, or nobody knows what it is about.
    Nothing,
}

#[derive(Debug, Default)]
struct Message {
    /// What the message centre calls its parts.
    ids: Vec<String>,
    /// Parts that are not there yet.
    missing: usize,
}

/// The ledger.
#[derive(Debug, Default)]
pub struct Ledger {
    messages: BTreeMap<u64, Message>,
    by_id: HashMap<String, u64>,
}

impl Ledger {
    /// A message of so many parts goes out.
    pub fn sent(&mut self, message: u64, parts: usize) {
        self.messages.insert(message, Message { ids: Vec::new(), missing: parts });
        while self.messages.len() > MAX_MESSAGES {
            let Some(oldest) = self.messages.keys().next().copied() else { break };
            self.forget(oldest);
        }
    }

    /// The message centre took one of its parts.
    pub fn taken(&mut self, message: u64, id: String) {
        if let Some(known) = self.messages.get_mut(&message) {
            known.ids.push(id.clone());
            self.by_id.insert(id, message);
        }
    }

    /// It says what became of one.
    pub fn receipt(&mut self, id: &str, state: &str) -> Told {
        let Some(message) = self.by_id.remove(id) else { return Told::Nothing };
        // SMPP 3.4 §5.2.28 and appendix B.
        if !matches!(state, "DELIVRD" | "2") {
            self.forget(message);
            return Told::Failed(message, state.to_owned());
        }
        let Some(known) = self.messages.get_mut(&message) else { return Told::Nothing };
        known.missing = known.missing.saturating_sub(1);
        if known.missing > 0 {
            return Told::Nothing;
        }
        self.forget(message);
        Told::Delivered(message)
    }

    /// No more is to be heard of it.
    pub fn forget(&mut self, message: u64) {
        for id in self.messages.remove(&message).map(|known| known.ids).unwrap_or_default() {
            self.by_id.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_arrived_with_its_last_part() {
        let mut ledger = Ledger::default();
        ledger.sent(1, 2);
        for id in ["a", "b"] {
            ledger.taken(1, id.to_owned());
        }
        assert_eq!(ledger.receipt("b", "DELIVRD"), Told::Nothing);
        assert_eq!(ledger.receipt("b", "DELIVRD"), Told::Nothing, "told twice");
        assert_eq!(ledger.receipt("a", "2"), Told::Delivered(1));
        ledger.sent(2, 2);
        ledger.taken(2, "c".to_owned());
        assert_eq!(ledger.receipt("c", "UNDELIV"), Told::Failed(2, "UNDELIV".to_owned()));
        assert_eq!(ledger.receipt("c", "DELIVRD"), Told::Nothing);
        assert!(ledger.messages.is_empty() && ledger.by_id.is_empty());
    }

    #[test]
    fn it_does_not_grow() {
        let mut ledger = Ledger::default();
        for message in 0..3000 {
            ledger.sent(message, 1);
            ledger.taken(message, message.to_string());
        }
        assert_eq!((ledger.messages.len(), ledger.by_id.len()), (MAX_MESSAGES, MAX_MESSAGES));
    }
}
