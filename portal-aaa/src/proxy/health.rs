//! What we think of a home server (RFC 5997 §4.2, RFC 3539 §3.4): alive until a request stays unanswered, then suspect and
//! probed by Status-Server, then dead until it answers again. Pure: told the time.

use std::time::Duration;

/// How long a probe may take.
const PROBE_WAIT: Duration = Duration::from_secs(3);
/// So many without an answer in a row: dead.
const UNANSWERED: u32 = 3;
/// How often a dead one is probed.
const DEAD_PROBE: Duration = Duration::from_secs(10);
/// One that does not answer Status-Server gets a request again after so long.
const REVIVE: Duration = Duration::from_secs(60);

/// States, as in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// It answers.
    Alive,
    /// It has left a request unanswered; used where no other is alive.
    Suspect,
    /// Not used.
    Dead,
}

/// One home server's port.
#[derive(Debug)]
pub(super) struct Health {
    state: State,
    unanswered: u32,
    /// It answers Status-Server.
    probes: bool,
    /// A connection that is quiet for so long is probed: else nobody would notice that it is gone.
    watch: Option<Duration>,
    next: Option<Duration>,
}

impl Health {
    /// Alive until it shows otherwise.
    pub(super) fn new(probes: bool, watch: Option<Duration>) -> Self {
        Self { state: State::Alive, unanswered: 0, probes, watch, next: None }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Something genuine came from it, or a connection was made. The new state, if it is one.
    pub(super) fn answered(&mut self, now: Duration) -> Option<State> {
        self.unanswered = 0;
        self.next = self.watch.filter(|_| self.probes).map(|watch| now.saturating_add(watch));
        self.change(State::Alive)
    }

    /// A request was given up.
    pub(super) fn unanswered(&mut self, now: Duration) -> Option<State> {
        match self.state {
            State::Alive | State::Suspect if !self.probes => self.lost(now),
            State::Alive => {
                // At once: the probe tells a server that is down from a request that it does not like.
                self.next = Some(now);
                self.change(State::Suspect)
            }
            State::Suspect | State::Dead => None,
        }
    }

    /// Whether a probe is to be sent; notes that it is.
    pub(super) fn probe(&mut self, now: Duration) -> Probe {
        if self.next.is_none_or(|next| next > now) {
            return Probe::No;
        }
        if !self.probes {
            // No way to ask: the next request finds out.
            self.next = None;
            self.unanswered = UNANSWERED - 1;
            return Probe::Changed(self.change(State::Suspect));
        }
        self.next = Some(now.saturating_add(if self.state == State::Dead { DEAD_PROBE } else { PROBE_WAIT }));
        Probe::Send
    }

    /// The last probe was not answered.
    pub(super) fn probe_lost(&mut self, now: Duration) -> Option<State> {
        self.lost(now)
    }

    /// When it wants to be asked next.
    pub(super) fn next(&self) -> Option<Duration> {
        self.next
    }

    fn lost(&mut self, now: Duration) -> Option<State> {
        self.unanswered = self.unanswered.saturating_add(1);
        if self.unanswered < UNANSWERED {
            return self.change(State::Suspect);
        }
        if !self.probes {
            self.next = Some(now.saturating_add(REVIVE));
        }
        self.change(State::Dead)
    }

    fn change(&mut self, to: State) -> Option<State> {
        (std::mem::replace(&mut self.state, to) != to).then_some(to)
    }
}

/// What [`Health::probe`] wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Probe {
    /// Nothing.
    No,
    /// A Status-Server.
    Send,
    /// Nothing, but its state may be another now.
    Changed(Option<State>),
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn three_lost_probes_kill_and_an_answer_revives() {
        let mut health = Health::new(true, None);
        assert_eq!(health.probe(at(0)), Probe::No);
        assert_eq!(health.unanswered(at(1)), Some(State::Suspect));
        assert_eq!(health.unanswered(at(1)), None);
        for (time, expected) in [(1, None), (4, None), (7, Some(State::Dead))] {
            assert_eq!(health.probe(at(time)), Probe::Send);
            assert_eq!(health.probe(at(time)), Probe::No);
            assert_eq!(health.probe_lost(at(time + 3)), expected);
        }
        assert_eq!(health.probe(at(10)), Probe::Send);
        assert_eq!(health.next(), Some(at(20)));
        assert_eq!(health.answered(at(11)), Some(State::Alive));
        assert_eq!(health.next(), None);
        assert_eq!(health.answered(at(12)), None);
    }

    #[test]
    fn without_status_server_requests_tell_and_time_heals() {
        let mut health = Health::new(false, None);
        assert_eq!(health.unanswered(at(0)), Some(State::Suspect));
        assert_eq!(health.unanswered(at(1)), None);
        assert_eq!(health.unanswered(at(2)), Some(State::Dead));
        assert_eq!(health.probe(at(61)), Probe::No);
        assert_eq!(health.probe(at(62)), Probe::Changed(Some(State::Suspect)));
        assert_eq!(health.unanswered(at(70)), Some(State::Dead), "one more is enough");
        assert_eq!(health.answered(at(71)), Some(State::Alive));
    }

    #[test]
    fn a_quiet_connection_is_probed() {
        let mut health = Health::new(true, Some(at(30)));
        health.answered(at(0));
        assert_eq!(health.probe(at(29)), Probe::No);
        assert_eq!(health.probe(at(30)), Probe::Send);
        assert_eq!(health.state(), State::Alive);
    }
}
