//! The device's moves with their reasons, for `offloadctl log`: the last [`MOST`] of them, in memory.
//!
//! Pure: the machine's notes in, entries out. No identifier and no secret is in a note that is kept. The log has all of
//! them, and outlives a restart.

use std::{collections::VecDeque, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::machine::Note;

/// Entries that are kept; the oldest goes first.
const MOST: usize = 200;

/// One line of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// Seconds since 1970; the last time, where it came several times in a row.
    pub at: u64,
    /// Stable name, of those in `daemon/story.rs`.
    pub event: String,
    /// Stable code: why a move came (`ReturnReason`), what failed (`Failure`).
    pub reason: Option<String>,
    /// For people.
    pub text: String,
    /// How often in a row.
    pub times: u64,
}

/// All of them, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    entries: Arc<VecDeque<Entry>>,
    /// Entries ever written, repetitions counted.
    written: u64,
    /// The network that was sensed last, and how strong; dBm.
    sensed: Option<(String, i32)>,
    /// Why the way back was begun.
    why: Option<&'static str>,
}

impl Journal {
    /// Takes what belongs into it.
    pub fn take(&mut self, unix: u64, note: &Note) {
        let (event, reason, text) = match note {
            Note::NetworkSensed { ssid, signal_dbm } => {
                self.sensed = Some((ssid.clone(), *signal_dbm));
                return;
            }
            Note::Returning { why, .. } => {
                self.why = Some(why.code());
                return;
            }
            Note::MovedToWifi => {
                let text = match &self.sensed {
                    Some((ssid, dbm)) => format!("to Wi-Fi \"{ssid}\", sensed at {dbm} dBm"),
                    None => "to Wi-Fi".to_owned(),
                };
                ("moved-to-wifi", None, text)
            }
            Note::MovedToCellular => ("moved-to-cellular", self.why.take(), "to cellular".to_owned()),
            Note::CellularUp { interface, .. } => {
                ("cellular-up", None, format!("cellular data by {interface}"))
            }
            Note::CellularDown => ("cellular-down", None, "cellular is disconnected".to_owned()),
            Note::CredentialReceived { .. } => {
                ("credential-received", None, "the portal gave a credential".to_owned())
            }
            Note::Failed { failure, text } => ("failed", Some(failure.code()), text.clone()),
            _ => return,
        };
        self.add(Entry {
            at: unix,
            event: event.to_owned(),
            reason: reason.map(str::to_owned),
            text,
            times: 1,
        });
    }

    /// What is kept, oldest first.
    pub fn entries(&self) -> Arc<VecDeque<Entry>> {
        self.entries.clone()
    }

    /// Entries ever written, repetitions counted: whoever sees it grow asks for the entries anew.
    pub fn written(&self) -> u64 {
        self.written
    }

    fn add(&mut self, entry: Entry) {
        self.written += 1;
        let entries = Arc::make_mut(&mut self.entries);
        // The same failure each minute must not push the moves out.
        if let Some(last) = entries.back_mut()
            && (&last.event, &last.reason, &last.text) == (&entry.event, &entry.reason, &entry.text)
        {
            last.at = entry.at;
            last.times += 1;
            return;
        }
        if entries.len() == MOST {
            entries.pop_front();
        }
        entries.push_back(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Failure, ReturnReason};

    fn failed(text: &str) -> Note {
        Note::Failed { failure: Failure::NoDhcp, text: text.to_owned() }
    }

    #[test]
    fn a_move_has_its_reason() {
        let mut journal = Journal::default();
        journal.take(1, &Note::NetworkSensed { ssid: "corp".to_owned(), signal_dbm: -60 });
        journal.take(2, &Note::MovedToWifi);
        journal.take(8, &Note::Returning { why: ReturnReason::SignalLow, signal_dbm: Some(-76) });
        journal.take(9, &Note::MovedToCellular);
        journal.take(20, &Note::MovedToCellular);
        let entries = journal.entries();
        let told: Vec<_> = entries.iter().map(|e| (e.at, e.event.as_str(), e.reason.as_deref())).collect();
        assert_eq!(
            told,
            [
                (2, "moved-to-wifi", None),
                (9, "moved-to-cellular", Some("signal-low")),
                (20, "moved-to-cellular", None)
            ]
        );
        assert_eq!(entries[0].text, "to Wi-Fi \"corp\", sensed at -60 dBm");
    }

    #[test]
    fn repetitions_are_one_entry() {
        let mut journal = Journal::default();
        (0..1000).for_each(|at| journal.take(at, &failed("no answer")));
        let entries = journal.entries();
        assert_eq!((entries.len(), entries[0].times, entries[0].at, journal.written()), (1, 1000, 999, 1000));
    }

    #[test]
    fn it_is_bounded() {
        let mut journal = Journal::default();
        (0..1000).for_each(|at| journal.take(at, &failed(&at.to_string())));
        let entries = journal.entries();
        assert_eq!((entries.len(), entries[0].at, journal.written()), (MOST, 800, 1000));
    }
}
