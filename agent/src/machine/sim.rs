//! The SIM: unlocked once, missed aloud, and a changed one takes the credentials with it.

use super::{Failure, Machine, ReturnReason};
use crate::modem::{self, Lock, Presence, Snapshot};

/// Tries that must be left before the PIN is sent: the last one belongs to a person.
const LEAST_TRIES: u32 = 2;

/// Facts about the SIM.
#[derive(Debug, Default)]
pub(super) struct Sim {
    /// The PIN was sent for this lock, or is not to be sent.
    tried: bool,
    missing: bool,
}

impl Machine {
    pub(super) fn learn_sim(&mut self, snapshot: &Snapshot) {
        match snapshot.presence {
            // Only a usable modem ends a lock: a daemon that restarts in between must not cost another try.
            Presence::Ready => self.sim = Sim::default(),
            Presence::SimMissing => {
                if !std::mem::replace(&mut self.sim.missing, true) {
                    self.fail(Failure::SimMissing, "the modem finds no SIM");
                }
            }
            Presence::Locked => self.unlock(snapshot.lock),
            Presence::NoModem | Presence::Failed => {}
        }
        if self.credential.sim_seen(&self.settings.subscriber_key, snapshot.imsi.as_ref()) {
            self.wifi_lost(ReturnReason::SimChanged);
        }
    }

    fn unlock(&mut self, lock: Option<Lock>) {
        let Some(lock) = lock else { return };
        if self.sim.tried {
            return;
        }
        self.sim.tried = true;
        match lock {
            Lock::Pin { retries } if retries.is_none_or(|left| left >= LEAST_TRIES) => {
                self.act(super::Action::Modem(modem::Command::Unlock));
            }
            Lock::Pin { retries } => {
                let left = retries.unwrap_or_default();
                self.fail(Failure::SimLocked, format!("tries left for the PIN: {left}; it is not sent"));
            }
            Lock::Other => self.fail(Failure::SimLocked, "the SIM waits for a PUK or another code"),
        }
    }

    pub(super) fn learn_unlock_failure(&mut self, text: &str) {
        self.sim.tried = true;
        self.fail(Failure::SimLocked, text);
    }
}
