//! The offload state machine: pure, no clock, no I/O.
//!
//! [`Machine::handle`] takes the time and one [`Input`] and returns [`Action`]s; [`Machine::deadline`] tells when
//! it wants [`Input::Timeout`] at the latest. Inputs only update facts; then one pass over the state decides
//! ([`Machine::decide`]), so that the order in which worlds report does not matter and a repeated report costs
//! nothing. One file a concern:
//!
//! | file | decides |
//! |---|---|
//! | `cellular` | when the bearer is wanted, connected, set up, released |
//! | `sim` | when the PIN is sent, what a changed SIM means |
//! | `credential` | which credential is used; in its folder: when the portal is asked, what is installed |
//! | `scan`, `signal` | when to look, on which channels; whether a network is good enough |
//! | `links` | what card and links tell; which of them gets the default route |
//! | `join` | `Armed`, `Joining` |
//! | `hotspot` | `LoggingIn`; when the gateway of an open network is told that we go |
//! | `verify` | `Verifying` |
//! | `offload`, `trend` | `Offloaded`; whether the signal is on its way out |
//! | `back` | `Returning` |
//! | `clock` | what time it is when the system's clock is wrong |
//! | `picture` | what `offloadctl status` shows |

mod back;
mod cellular;
mod clock;
mod credential;
mod failure;
mod hotspot;
mod input;
mod join;
mod links;
mod offload;
mod picture;
mod scan;
mod settings;
mod signal;
mod sim;
mod state;
mod status;
#[cfg(test)]
mod tests;
mod trend;
mod verify;

use std::time::Duration;

use provisioning::message::Offload;

pub(crate) use clock::FLOOR;
pub use failure::Failure;
pub use input::{Action, Input, Note, ReturnReason, UserWord};
pub use settings::{Settings, SmsUse};
pub use state::{Now, State};
pub use status::{Carrier, CellularStatus, CredentialStatus, FailureStatus, HeardStatus, Status, WlanStatus};

use crate::{
    modem,
    vault::Stored,
    wlan::{
        self,
        links::{Lease, Link},
    },
};

/// Decisions one input can lead to; a longer chain would be a loop.
const MAX_STEPS: usize = 16;

/// The agent's mind.
#[derive(Debug)]
pub struct Machine {
    settings: Settings,
    /// Time to be relied on; `system` is what the shell said.
    now: Now,
    system: Now,
    clock: clock::Clock,
    state: State,
    entered: Duration,
    /// The same by the calendar, seconds since 1970.
    entered_unix: u64,
    actions: Vec<Action>,
    cellular: cellular::Cellular,
    credential: credential::Keeper,
    sim: sim::Sim,
    scanner: scan::Scanner,
    join: join::Join,
    hotspot: hotspot::Hotspot,
    verify: verify::Verify,
    offload: offload::Offload,
    /// How often in a row Wi-Fi has lost its Internet.
    internet_losses: u32,
    judge: signal::Judge,
    wlan: Option<wlan::Interface>,
    /// Which link the default route points to, as the kernel confirmed.
    carrier: Option<Link>,
    /// A move that was asked and not yet confirmed.
    moving: Option<Link>,
    /// The kernel refused a move to this link; it is not asked again before then.
    refused: Option<(Link, Duration)>,
    lease: Option<Lease>,
    signal_dbm: Option<i32>,
    last_failure: Option<(Failure, FailureStatus)>,
    /// A person sent us back to cellular: no join until a person asks or the device wakes up.
    held: bool,
    /// A person asked for Wi-Fi, and has not said otherwise since.
    asked: bool,
}

impl Machine {
    /// A machine that has just started; `stored` is what the vault held.
    pub fn new(settings: Settings, now: Now, stored: Option<Stored>) -> Self {
        let jitter = settings.jitter_seed;
        Self {
            settings,
            now,
            system: now,
            clock: clock::Clock::new(now),
            state: State::NoModem,
            entered: now.since_boot,
            entered_unix: now.unix,
            actions: Vec::new(),
            cellular: cellular::Cellular::default(),
            credential: credential::Keeper::new(stored.unwrap_or_default(), jitter),
            sim: sim::Sim::default(),
            scanner: scan::Scanner::default(),
            join: join::Join::default(),
            hotspot: hotspot::Hotspot::default(),
            verify: verify::Verify::default(),
            offload: offload::Offload::default(),
            internet_losses: 0,
            judge: signal::Judge::default(),
            wlan: None,
            carrier: None,
            moving: None,
            refused: None,
            lease: None,
            signal_dbm: None,
            last_failure: None,
            held: false,
            asked: false,
        }
    }

    /// Where the machine is.
    pub fn state(&self) -> State {
        self.state
    }

    /// Takes one input, decides, and says what to do, in this order.
    pub fn handle(&mut self, now: Now, input: Input) -> Vec<Action> {
        self.system = now;
        self.now = Now { unix: self.clock.unix(now), ..now };
        self.learn(input);
        // Before anything that looks at a certificate.
        if let Some(unix) = self.clock.correction(now) {
            self.act(Action::SetClock(unix));
            self.clock_mended();
        }
        for _ in 0..MAX_STEPS {
            if !self.decide() {
                break;
            }
        }
        let mut actions = std::mem::take(&mut self.actions);
        if let Some(stored) = self.credential.unsaved() {
            // Before everything that relies on it: a kill between two actions finds it on disk.
            actions.insert(0, Action::Save(Box::new(stored)));
        }
        actions
    }

    /// When [`Input::Timeout`] is wanted at the latest, in [`Now::since_boot`].
    pub fn deadline(&self) -> Option<Duration> {
        let refused = self.refused.map(|(_, until)| until);
        let parts = [self.credential_deadline(), self.join_deadline(), self.offload_deadline(), refused];
        parts
            .into_iter()
            .chain([self.cellular.deadline(), self.hotspot.deadline()])
            .flatten()
            // What was due has been decided by `handle`; waking up for it again would be a busy loop.
            .filter(|at| *at > self.now.since_boot)
            .min()
    }

    /// Updates facts; decides nothing that is not the direct meaning of the input.
    fn learn(&mut self, input: Input) {
        match input {
            Input::Modem(modem::Event::Snapshot(snapshot)) => self.learn_modem(snapshot),
            Input::Modem(modem::Event::ConnectFailed(failure)) => self.learn_connect_failure(&failure),
            Input::Modem(modem::Event::UnlockFailed(text)) => self.learn_unlock_failure(&text),
            Input::Wlan(event) => self.learn_wlan(event),
            Input::Supplicant(event) => self.learn_supplicant(event),
            Input::Links(event) => self.learn_links(event),
            Input::Portal(event) => self.learn_portal(event),
            Input::Probe(event) => self.learn_probe(event),
            Input::Wispr(event) => self.learn_wispr(event),
            Input::User(word) => self.learn_user(word),
            Input::Timeout => {}
        }
    }

    /// One decision; true when something changed and another pass may find more to do.
    fn decide(&mut self) -> bool {
        let before = (self.state, self.actions.len());
        self.tend_cellular();
        self.tend_carrier();
        self.tend_leaving();
        self.tend_credential();
        match self.state {
            State::NoModem | State::Locked | State::Searching | State::Attached => self.decide_waiting(),
            State::Provisioning => self.decide_provisioning(),
            State::Armed => self.decide_armed(),
            State::Joining => self.decide_joining(),
            State::LoggingIn => self.decide_logging_in(),
            State::Verifying => self.decide_verifying(),
            State::Offloaded => self.decide_offloaded(),
            State::Returning => self.decide_returning(),
        }
        before != (self.state, self.actions.len())
    }

    /// The four states before there is anything to join with: they only mirror the facts.
    fn decide_waiting(&mut self) {
        let target = if self.credential.usable(self.now.since_boot, self.now.unix) {
            State::Armed
        } else if self.credential.asking() {
            State::Provisioning
        } else if self.cellular.ready() {
            State::Attached
        } else {
            match self.cellular.presence() {
                modem::Presence::NoModem | modem::Presence::SimMissing | modem::Presence::Failed => {
                    State::NoModem
                }
                modem::Presence::Locked => State::Locked,
                modem::Presence::Ready => State::Searching,
            }
        };
        self.enter(target);
    }

    /// Nothing that a person or the policy says keeps the device from Wi-Fi.
    fn may_join(&self) -> bool {
        let policy = self.credential.policy().map(|policy| policy.offload).unwrap_or_default();
        !self.held
            && match policy {
                Offload::Automatic => true,
                Offload::OnRequest => self.asked,
                Offload::Never => false,
            }
    }

    /// The supplicant works with the credential: it is joining, or joined.
    fn on_wifi(&self) -> bool {
        self.state.is_arriving()
            || matches!(self.state, State::Offloaded | State::Returning)
            || self.hotspot.is_leaving()
    }

    /// What the clock stood in the way of is tried again at once.
    fn clock_mended(&mut self) {
        if self.last_failure.as_ref().is_some_and(|(failure, _)| *failure == Failure::Clock) {
            self.last_failure = None;
            self.judge.forgive();
            self.scanner.now();
            self.credential.retry_now();
        }
    }

    fn learn_user(&mut self, word: UserWord) {
        match word {
            UserWord::Join | UserWord::Resumed => {
                self.held = false;
                self.asked |= word == UserWord::Join;
                self.judge.forgive();
                self.scanner.now();
                self.probe_now();
            }
            UserWord::Leave => {
                self.held = true;
                self.asked = false;
                self.wifi_lost(ReturnReason::User);
            }
            UserWord::Renew => self.credential.want(provisioning::message::Trigger::User),
        }
    }

    fn enter(&mut self, to: State) {
        if self.state == to {
            return;
        }
        let from = std::mem::replace(&mut self.state, to);
        self.entered = self.now.since_boot;
        self.entered_unix = self.now.unix;
        self.note(Note::State { from, to });
    }

    /// How long the machine has been in this state.
    fn age(&self) -> Duration {
        self.now.since_boot.saturating_sub(self.entered)
    }

    fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn note(&mut self, note: Note) {
        self.actions.push(Action::Note(note));
    }

    fn fail(&mut self, failure: Failure, text: impl Into<String>) {
        let text = text.into();
        self.last_failure = Some((failure, FailureStatus::new(failure, &text, self.now.unix)));
        self.note(Note::Failed { failure, text });
    }
}
