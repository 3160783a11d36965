//! Where the signal of the access point in use is going: Wi-Fi is left before it is gone, not after.
//! Pure arithmetic on `now`.

use std::{collections::VecDeque, time::Duration};

/// Readings older than this say nothing of where it goes.
const WINDOW: Duration = Duration::from_secs(3);
/// Readings that are kept.
const MOST: usize = 8;
/// Fewer readings, or a shorter time between first and last, are noise.
const FEWEST: usize = 4;
const SHORTEST: Duration = Duration::from_millis(600);
/// How far it looks ahead: a bearer that is up takes the traffic in less.
const AHEAD: Duration = Duration::from_secs(1);
/// A fall slower than this reaches the leave threshold by itself soon enough, dB a second. Who stands at the edge of a
/// cell sees falls of nearly 5 that turn round before the threshold.
const LEAST_FALL_DB_S: i64 = 6;

/// The last readings.
#[derive(Debug, Default)]
pub(super) struct Trend {
    readings: VecDeque<(Duration, i32)>,
}

impl Trend {
    /// One more reading, dBm.
    pub(super) fn push(&mut self, now: Duration, dbm: i32) {
        self.readings.retain(|(at, _)| now.saturating_sub(*at) <= WINDOW);
        if self.readings.len() == MOST {
            self.readings.pop_front();
        }
        self.readings.push_back((now, dbm));
    }

    /// It falls so fast that it will be under `dbm` within a second.
    pub(super) fn falls_below(&self, dbm: i32) -> bool {
        let (Some((begin, _)), Some((end, last))) = (self.readings.front(), self.readings.back()) else {
            return false;
        };
        let lowest = self.readings.iter().all(|(_, reading)| reading >= last);
        if self.readings.len() < FEWEST || end.saturating_sub(*begin) < SHORTEST || !lowest {
            return false;
        }
        let slope = self.slope_mdb_s(*begin);
        let ahead = i64::try_from(AHEAD.as_millis()).unwrap_or(i64::MAX);
        slope <= -LEAST_FALL_DB_S * 1000
            && i64::from(*last) * 1000 + slope * ahead / 1000 < i64::from(dbm) * 1000
    }

    /// Least squares through the readings, thousandths of a dB a second.
    fn slope_mdb_s(&self, begin: Duration) -> i64 {
        let (mut n, mut t, mut x, mut tt, mut tx) = (0i64, 0i64, 0i64, 0i64, 0i64);
        for (at, dbm) in &self.readings {
            let ms = i64::try_from(at.saturating_sub(begin).as_millis()).unwrap_or(0);
            let dbm = i64::from(*dbm);
            n += 1;
            t += ms;
            x += dbm;
            tt += ms * ms;
            tx += ms * dbm;
        }
        // dB a millisecond, times a million.
        ((n * tx - t * x) * 1_000_000).checked_div(n * tt - t * t).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn falls(levels: &[i32], every_ms: u64) -> Option<i32> {
        let mut trend = Trend::default();
        for (step, dbm) in (0u64..).zip(levels) {
            trend.push(Duration::from_millis(step * every_ms), *dbm);
            if trend.falls_below(-75) {
                return Some(*dbm);
            }
        }
        None
    }

    #[test]
    fn a_fast_fade_is_seen_before_the_threshold() {
        // 10 dB a second, as in -50 to -90 in 4 s.
        let seen = falls(&[-50, -52, -54, -56, -58, -60, -62, -64, -66, -68, -70, -72, -74], 200);
        assert!(seen.is_some_and(|dbm| (-74..=-64).contains(&dbm)), "{seen:?}");
    }

    #[test]
    #[expect(clippy::cast_possible_truncation, reason = "dBm, -74 to -62")]
    fn hovering_is_no_fade() {
        // -68 ± 6 dBm, a wave in 8 s, in whole dBm as the kernel tells it: -74 is the lowest of it.
        for every_ms in [100, 200, 250, 300, 500] {
            for phase in 0..8 {
                let level = |step: u64| {
                    let secs = (step * every_ms) as f64 / 1000.0 + f64::from(phase);
                    (-68.0 + 6.0 * (secs * std::f64::consts::TAU / 8.0).sin()).round() as i32
                };
                let levels: Vec<i32> = (0..60_000 / every_ms).map(level).collect();
                assert_eq!(
                    falls(&levels, every_ms),
                    None,
                    "a reading in {every_ms} ms, {phase} s into the wave"
                );
            }
        }
    }

    #[test]
    fn noise_and_a_walk_are_no_fade() {
        assert_eq!(falls(&[-68, -74, -62, -66, -70, -64, -73, -67, -69, -72, -65], 500), None);
        assert_eq!(falls(&[-60, -61, -62, -63, -64, -65, -66, -67, -68, -69, -70, -71], 1000), None);
        assert_eq!(falls(&[-50, -74], 100), None, "two readings are none");
    }
}
