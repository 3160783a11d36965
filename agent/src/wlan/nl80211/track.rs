//! What the card's events mean: which of them is news, and when the signal is to be read.
//!
//! Pure. The kernel tells one loss of association twice (the frame and the state), and a threshold that is crossed
//! during a ramp several times; the machine hears the first of the former and all of the latter.

use std::time::Duration;

use super::parse::Notice;
use crate::wlan::Event;

/// While CQM works, the signal is read this often as well where the threshold is near and the signal moves, so that a
/// trend is seen and not only the crossing.
const WITH_CQM: Duration = Duration::from_secs(2);
/// Readings in a row within [`STILL_DB`]: it does not move. The driver tells when it does.
const STILL: u32 = 5;
/// dB; less than from one threshold to the next.
const STILL_DB: u32 = 3;
/// dB between the thresholds of a watch: a walk of some seconds each.
const STEP_DB: i32 = 4;
/// dB. cfg80211 takes it off each of several thresholds on the way down (unlike off a single one) and adds it on the
/// way up: the machine has its own, and must not hear of the one that matters so much later.
pub(crate) const LADDER_HYSTERESIS_DB: u32 = 1;
/// Thresholds above the one that matters. Farther up than the last there is nothing to see, and nothing wakes.
const STEPS: i32 = 3;
/// Where the driver refuses CQM, reading is all there is: a walk through a door takes two or three seconds.
const WITHOUT_CQM: Duration = Duration::from_secs(1);

/// Threshold and hysteresis of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Thresholds {
    /// dBm.
    pub(crate) leave_dbm: i32,
    /// dB.
    pub(crate) hysteresis_db: u32,
}

/// What the driver has taken of a watch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Cqm {
    /// Nothing: the signal is read.
    #[default]
    Refused,
    /// The one threshold.
    One,
    /// All of [`Thresholds::ladder`].
    Ladder,
}

impl Thresholds {
    /// The threshold, and some above it: crossings on the way down tell the slope before it is reached. With
    /// [`LADDER_HYSTERESIS_DB`] the lowest one tells as soon as the signal is less than `leave_dbm`.
    pub(crate) fn ladder(self) -> Vec<i32> {
        (0..=STEPS)
            .map(|step| self.rung(step))
            // The kernel refuses what is not negative.
            .take_while(|dbm| *dbm < 0)
            .collect()
    }

    fn rung(self, step: i32) -> i32 {
        self.leave_dbm
            .saturating_add(LADDER_HYSTERESIS_DB.cast_signed())
            .saturating_add(STEP_DB.saturating_mul(step))
    }

    fn far(self, dbm: i32) -> bool {
        dbm >= self.rung(STEPS)
    }
}

/// What the task does about a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Tell the machine.
    Tell(Event),
    /// Look which interfaces there are.
    ReadInterfaces,
    /// Read the scan results.
    ReadScan,
    /// Read the signal.
    ReadSignal,
    /// Set CQM again: a new association may have lost it, or the supplicant may have set its own.
    SetCqm(Thresholds),
}

/// Memory of one card.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    watch: Option<Thresholds>,
    cqm: Cqm,
    /// As it was heard last, dBm.
    level: Option<i32>,
    /// Where it has been since, dBm, and for how many readings.
    still: (i32, u32),
    /// None until something is known.
    associated: Option<bool>,
}

impl Tracker {
    /// The watch that is wanted.
    pub(crate) fn watched(&self) -> Option<Thresholds> {
        self.watch
    }

    /// Begins or changes a watch.
    pub(crate) fn watch(&mut self, thresholds: Thresholds) {
        self.watch = Some(thresholds);
    }

    /// Ends it.
    pub(crate) fn unwatch(&mut self) {
        *self = Self { associated: self.associated, ..Self::default() };
    }

    /// What the driver took of the thresholds.
    pub(crate) fn cqm_set(&mut self, taken: Cqm) {
        self.cqm = taken;
    }

    /// The signal was read.
    pub(crate) fn level(&mut self, dbm: i32) {
        self.level = Some(dbm);
        let (place, readings) = &mut self.still;
        if place.abs_diff(dbm) < STILL_DB {
            *readings = readings.saturating_add(1);
        } else {
            self.still = (dbm, 1);
        }
    }

    /// How often to read the signal; never where the driver will tell of the next crossing, and none is near or the
    /// signal keeps still.
    pub(crate) fn read_every(&self) -> Option<Duration> {
        let watch = self.watch?;
        let still = self.still.1 >= STILL;
        match self.cqm {
            Cqm::Refused => Some(WITHOUT_CQM),
            Cqm::Ladder if still || self.level.is_some_and(|dbm| watch.far(dbm)) => None,
            Cqm::One if still => None,
            Cqm::One | Cqm::Ladder => Some(WITH_CQM),
        }
    }

    /// Where the driver takes one threshold only: the next one below the signal, so that it tells of a fall in time.
    pub(crate) fn single(&self, watch: Thresholds) -> i32 {
        let level = self.level.unwrap_or(watch.leave_dbm);
        let rungs = (1..=STEPS).map(|step| watch.rung(step)).take_while(|dbm| *dbm < 0);
        rungs
            .filter(|rung| level >= rung.saturating_add(STILL_DB.cast_signed()))
            .max()
            .unwrap_or(watch.leave_dbm)
    }

    /// What the driver took of the thresholds.
    pub(crate) fn cqm(&self) -> Cqm {
        self.cqm
    }

    /// An event of the card.
    pub(crate) fn notice(&mut self, notice: Notice) -> Option<Step> {
        match notice {
            Notice::Interfaces => Some(Step::ReadInterfaces),
            Notice::ScanDone => Some(Step::ReadScan),
            Notice::ScanAborted => Some(Step::Tell(Event::ScanFailed("the scan was given up".to_owned()))),
            Notice::Crossed { level: Some(dbm) } if dbm < 0 => {
                self.level = Some(dbm);
                self.still = (dbm, 0);
                self.watch.map(|_| Step::Tell(Event::Signal { dbm }))
            }
            Notice::Crossed { .. } => {
                self.still.1 = 0;
                self.watch.map(|_| Step::ReadSignal)
            }
            Notice::BeaconLoss => Some(Step::Tell(Event::BeaconLoss)),
            Notice::Connected => {
                self.associated = Some(true);
                self.watch.map(Step::SetCqm)
            }
            Notice::Disconnected { reason } => self.ended(reason).map(Step::Tell),
        }
    }

    /// Everything was read anew after events were lost: is there still an access point?
    pub(crate) fn peer_seen(&mut self, there: bool) -> Option<Event> {
        if there {
            self.associated = Some(true);
            return None;
        }
        self.ended(None)
    }

    /// The card is gone, and all that was known of it.
    pub(crate) fn forget(&mut self) {
        *self = Self { watch: self.watch, ..Self::default() };
    }

    fn ended(&mut self, reason: Option<u16>) -> Option<Event> {
        let news = self.associated != Some(false);
        self.associated = Some(false);
        news.then_some(Event::Disassociated { reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLDS: Thresholds = Thresholds { leave_dbm: -75, hysteresis_db: 4 };

    #[test]
    fn one_loss_is_told_once() {
        let mut tracker = Tracker::default();
        let lost = Step::Tell(Event::Disassociated { reason: Some(3) });
        assert_eq!(tracker.notice(Notice::Disconnected { reason: Some(3) }), Some(lost.clone()));
        assert_eq!(tracker.notice(Notice::Disconnected { reason: Some(3) }), None);
        tracker.notice(Notice::Connected);
        assert_eq!(tracker.notice(Notice::Disconnected { reason: Some(3) }), Some(lost));
    }

    #[test]
    fn a_loss_among_lost_events_is_found() {
        let mut tracker = Tracker::default();
        tracker.notice(Notice::Connected);
        assert_eq!(tracker.peer_seen(true), None);
        assert_eq!(tracker.peer_seen(false), Some(Event::Disassociated { reason: None }));
        assert_eq!(tracker.peer_seen(false), None);
    }

    #[test]
    fn crossings_count_only_while_watched() {
        let mut tracker = Tracker::default();
        assert_eq!(tracker.notice(Notice::Crossed { level: Some(-80) }), None);
        tracker.watch(THRESHOLDS);
        assert_eq!(
            tracker.notice(Notice::Crossed { level: Some(-80) }),
            Some(Step::Tell(Event::Signal { dbm: -80 }))
        );
        assert_eq!(tracker.notice(Notice::Crossed { level: None }), Some(Step::ReadSignal));
        tracker.unwatch();
        assert_eq!(tracker.notice(Notice::Crossed { level: Some(-80) }), None);
    }

    #[test]
    fn nothing_is_read_while_the_threshold_is_far() {
        assert_eq!(THRESHOLDS.ladder(), [-74, -70, -66, -62]);
        assert_eq!(Thresholds { leave_dbm: -5, ..THRESHOLDS }.ladder(), [-4]);
        let mut tracker = Tracker::default();
        tracker.watch(THRESHOLDS);
        tracker.cqm_set(Cqm::Ladder);
        assert_eq!(tracker.read_every(), Some(WITH_CQM));
        tracker.level(-50);
        assert_eq!(tracker.read_every(), None);
        tracker.notice(Notice::Crossed { level: Some(-64) });
        assert_eq!(tracker.read_every(), Some(WITH_CQM));
        tracker.cqm_set(Cqm::Refused);
        tracker.level(-50);
        assert_eq!(tracker.read_every(), Some(WITHOUT_CQM));
    }

    #[test]
    fn a_signal_that_keeps_still_is_not_read_until_the_driver_tells() {
        for taken in [Cqm::Ladder, Cqm::One] {
            let mut tracker = Tracker::default();
            tracker.watch(THRESHOLDS);
            tracker.cqm_set(taken);
            for dbm in [-66, -67, -66, -65] {
                tracker.level(dbm);
                assert_eq!(tracker.read_every(), Some(WITH_CQM));
            }
            tracker.level(-67);
            assert_eq!(tracker.read_every(), None);
            tracker.notice(Notice::Crossed { level: Some(-70) });
            for dbm in [-71, -74, -71, -74, -71, -74] {
                assert_eq!(tracker.read_every(), Some(WITH_CQM), "it moves");
                tracker.level(dbm);
            }
            tracker.cqm_set(Cqm::Refused);
            assert_eq!(tracker.read_every(), Some(WITHOUT_CQM));
        }
    }

    #[test]
    fn a_single_threshold_follows_the_signal_down() {
        let mut tracker = Tracker::default();
        tracker.watch(THRESHOLDS);
        let single = |tracker: &Tracker| tracker.single(THRESHOLDS);
        assert_eq!(single(&tracker), -75, "nothing is known yet");
        for (dbm, threshold) in [(-50, -62), (-60, -66), (-66, -70), (-69, -75), (-74, -75), (-80, -75)] {
            tracker.level(dbm);
            assert_eq!(single(&tracker), threshold, "{dbm}");
        }
    }

    #[test]
    fn polling_is_quicker_where_the_driver_refuses_cqm() {
        let mut tracker = Tracker::default();
        assert_eq!(tracker.read_every(), None);
        tracker.watch(THRESHOLDS);
        assert_eq!(tracker.read_every(), Some(WITHOUT_CQM));
        tracker.cqm_set(Cqm::One);
        assert_eq!(tracker.read_every(), Some(WITH_CQM));
        assert_eq!(tracker.notice(Notice::Connected), Some(Step::SetCqm(THRESHOLDS)));
        tracker.forget();
        assert_eq!((tracker.watched(), tracker.read_every()), (Some(THRESHOLDS), Some(WITHOUT_CQM)));
    }
}
