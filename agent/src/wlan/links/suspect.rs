//! When the WLAN in use seems not to deliver: hints for a probe, from the kernel's own signs. Pure; fed by `task`.
//!
//! Nothing here wakes up on an idle device. Packet counters and TCP's acknowledgements are looked at each second while
//! packets leave, and after a second without one not any more; `alarm` tells of the next one. Where there can be no
//! alarm, the gateway's neighbour entry is it: the kernel tells when it is asked for, becomes reachable or goes stale
//! (`RTM_NEWNEIGH`), within 5 s of the first packet after a silence (`delay_first_probe_time`), and by 45 s after the
//! last one (1.5 × `base_reachable_time`); until then there are looks, less and less often.

use std::time::Duration;

use tokio::time::Instant;

use super::neighbour::Neighbour;

/// While packets leave.
const EVERY: Duration = Duration::from_secs(1);
/// While none does and there is no alarm, doubling up to this.
const SELDOM: Duration = Duration::from_secs(8);
/// `delay_first_probe_time`: after so long without a packet the next one wakes the neighbour's entry.
const FIRST_PROBE: Duration = Duration::from_secs(5);
/// Without an alarm, no packet for this long: the neighbour's entry has gone stale, whether or not that was heard.
const QUIET: Duration = Duration::from_secs(45);
/// Least time between two hints; it doubles while the same trouble lasts and the machine finds nothing wrong.
const HINT_EVERY: Duration = Duration::from_secs(1);
const HINT_SELDOM: Duration = Duration::from_secs(60);
/// Looks in a row without an answer: one may fall between question and answer.
const LOOKS: u32 = 2;
/// Packets that left in these looks; fewer may want no answer.
const FEW: u64 = 4;
/// Packets a second that are a flow; below is what a network says by itself.
const FLOW: u64 = 10;

/// What was seen in one look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sample {
    /// Packets sent by the interface, ever.
    pub(super) sent: u64,
    /// Packets received by it, ever.
    pub(super) received: u64,
    /// TCP connections of this link that repeat what nobody acknowledges.
    pub(super) stalled: usize,
    /// TCP connections of this link that heard from the other end in the last second.
    pub(super) heard: usize,
    /// All of them.
    pub(super) open: usize,
}

/// The watch on one link.
#[derive(Debug)]
pub(super) struct Watch {
    /// The next packet after a silence will be told.
    alarmed: bool,
    next_look: Option<Instant>,
    pause: Duration,
    last_sent: Instant,
    before: Option<Sample>,
    silent_looks: u32,
    sent_in_silence: u64,
    /// Packets a second that came before the silence.
    flow: u64,
    next_hint: Instant,
    hint_pause: Duration,
}

impl Watch {
    /// Begins with looks: traffic has just been moved here. `alarmed`: [`Watch::packet`] will be called.
    pub(super) fn new(now: Instant, alarmed: bool) -> Self {
        Self {
            alarmed,
            next_look: Some(now + EVERY),
            pause: EVERY,
            last_sent: now,
            before: None,
            silent_looks: 0,
            sent_in_silence: 0,
            flow: 0,
            next_hint: now,
            hint_pause: HINT_EVERY,
        }
    }

    /// The first packet after a silence has left.
    pub(super) fn packet(&mut self, now: Instant) {
        if self.next_look.is_none() {
            self.last_sent = now;
            self.before = None;
            self.pause = EVERY;
            self.next_look = Some(now);
        }
    }

    /// When to look next; none while nothing is sent.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.next_look
    }

    /// The state of the link's gateway; whether that is a hint.
    pub(super) fn gateway(&mut self, now: Instant, neighbour: Neighbour) -> bool {
        if self.alarmed {
            // It is in use, or not, also by what is no traffic.
        } else if neighbour.in_use() {
            self.packet(now);
        } else if !neighbour.failed() && now.saturating_duration_since(self.last_sent) >= FIRST_PROBE {
            // The link may have two gateways, one a family: the other may be in use.
            self.next_look = None;
        }
        neighbour.failed() && self.hint(now)
    }

    /// One look; whether it is a hint.
    pub(super) fn look(&mut self, now: Instant, sample: Sample) -> bool {
        let Some(before) = self.before.replace(sample) else {
            self.look_soon(now);
            return false;
        };
        let sent = sample.sent.saturating_sub(before.sent);
        let received = sample.received.saturating_sub(before.received);
        let seconds = self.pause.as_secs().max(1);
        if sent > 0 {
            self.last_sent = now;
        }
        // A flow that comes down to a tenth is a silence as well: other stations' broadcasts are always heard.
        let silent = received == 0 && sent > 0 || self.flow >= FLOW && received / seconds <= self.flow / 10;
        if !silent {
            self.silent_looks = 0;
            self.sent_in_silence = 0;
            self.flow = received / seconds;
            if received > 0 && (sample.stalled == 0 || sample.heard > 0) {
                self.hint_pause = HINT_EVERY;
            }
        } else {
            self.silent_looks = self.silent_looks.saturating_add(1);
            self.sent_in_silence = self.sent_in_silence.saturating_add(sent);
        }
        let unanswered = self.sent_in_silence >= FEW;
        let stopped = self.flow >= FLOW && (sample.open > 0 || sent > 0);
        let silence = self.silent_looks >= LOOKS && (unanswered || stopped);
        if self.silent_looks >= LOOKS {
            // A download that ended is asked about once.
            self.flow = 0;
        }
        if sent > 0 || self.silent_looks > 0 {
            self.look_soon(now);
        } else if self.alarmed || now.saturating_duration_since(self.last_sent) >= QUIET {
            self.next_look = None;
        } else {
            self.pause = (self.pause * 2).min(SELDOM);
            self.next_look = Some(now + self.pause);
        }
        let stall = sample.stalled > 0 && sample.heard == 0;
        (silence || stall) && self.hint(now)
    }

    fn look_soon(&mut self, now: Instant) {
        self.pause = EVERY;
        self.next_look = Some(now + EVERY);
    }

    fn hint(&mut self, now: Instant) -> bool {
        if now < self.next_hint {
            return false;
        }
        self.next_hint = now + self.hint_pause;
        self.hint_pause = (self.hint_pause * 2).min(HINT_SELDOM);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Life {
        watch: Watch,
        now: Instant,
        sample: Sample,
    }

    impl Life {
        fn new() -> Self {
            Self::with(true)
        }

        fn with(alarmed: bool) -> Self {
            let now = Instant::now();
            let mut life = Self { watch: Watch::new(now, alarmed), now, sample: Sample::default() };
            assert!(!life.look(5, 5));
            life
        }

        /// Lets the pause pass and looks.
        fn look(&mut self, sent: u64, received: u64) -> bool {
            self.now = self.watch.next_look().expect("a look");
            self.sample.sent += sent;
            self.sample.received += received;
            self.watch.look(self.now, self.sample)
        }

        fn gateway(&mut self, state: u16) -> bool {
            self.watch.gateway(self.now, Neighbour::in_state(state))
        }
    }

    const REACHABLE: u16 = 0x02;
    const STALE: u16 = 0x04;
    const FAILED: u16 = 0x20;

    #[test]
    fn questions_without_answers_are_a_hint_within_two_looks() {
        let mut life = Life::new();
        assert!(!life.look(50, 50));
        let begun = life.now;
        assert!(!life.look(50, 0));
        assert!(life.look(50, 0));
        assert_eq!(life.now - begun, 2 * EVERY);
        // The machine found nothing wrong: it is asked less and less often, and never more than once a second.
        let mut hints = Vec::new();
        for _ in 0..120 {
            if life.look(50, 0) {
                hints.push(life.now);
            }
        }
        assert!((4..10).contains(&hints.len()), "{}", hints.len());
        assert!(hints.windows(2).all(|two| two[1] - two[0] >= HINT_EVERY));
        // An answer ends that.
        assert!(!life.look(50, 50));
        for _ in 0..60 {
            life.look(50, 50);
        }
        assert!(!life.look(50, 0));
        assert!(life.look(50, 0));
    }

    #[test]
    fn a_flow_that_stops_among_broadcasts_is_asked_about_once() {
        let mut life = Life::new();
        life.sample.open = 1;
        assert!(!life.look(20, 400));
        assert!(!life.look(0, 3));
        assert!(life.look(0, 2));
        while life.watch.next_look().is_some() {
            assert!(!life.look(0, 3));
        }
    }

    #[test]
    fn repetitions_are_a_hint_unless_others_are_heard() {
        let mut life = Life::new();
        life.sample = Sample { stalled: 1, heard: 1, open: 2, ..life.sample };
        assert!(!life.look(3, 2));
        life.sample = Sample { stalled: 2, heard: 0, ..life.sample };
        assert!(life.look(3, 1));
    }

    #[test]
    fn an_idle_device_is_left_alone() {
        for (alarmed, longest) in [(true, EVERY), (false, QUIET + SELDOM)] {
            let mut life = Life::with(alarmed);
            let begun = life.now;
            let mut looks = 0;
            while life.watch.next_look().is_some() {
                assert!(!life.look(0, 1));
                looks += 1;
                assert!(looks < 20);
            }
            assert!(life.now - begun <= longest);
        }
    }

    #[test]
    fn the_next_packet_begins_the_looks_again() {
        let mut life = Life::new();
        while life.watch.next_look().is_some() {
            life.look(0, 0);
        }
        life.gateway(REACHABLE);
        assert_eq!(life.watch.next_look(), None, "it answers what is no traffic");
        life.watch.packet(life.now);
        assert_eq!(life.watch.next_look(), Some(life.now));
        // What was asked when the link was dead already is a hint two looks later.
        assert!(!life.look(1, 0) && !life.look(3, 0));
        assert!(life.look(3, 0));
        life.watch.packet(life.now);
        assert!(life.watch.next_look() > Some(life.now), "looks under way go on as they are");
    }

    #[test]
    fn without_an_alarm_the_gateway_is_one() {
        let mut life = Life::with(false);
        while life.watch.next_look().is_some() {
            life.look(0, 0);
        }
        assert!(!life.gateway(REACHABLE));
        assert_eq!(life.watch.next_look(), Some(life.now));
        life.look(0, 0);
        assert!(!life.gateway(STALE));
        assert!(life.watch.next_look().is_some());
        life.now += FIRST_PROBE;
        assert!(!life.gateway(STALE));
        assert_eq!(life.watch.next_look(), None);
    }

    #[test]
    fn a_gateway_that_does_not_answer_is_a_hint_once_a_second_at_most() {
        let mut life = Life::new();
        assert!(life.gateway(FAILED));
        assert!(!life.gateway(FAILED));
        life.now += HINT_EVERY;
        assert!(life.gateway(FAILED));
    }
}
