//! The one clock of the program.

use std::time::{Duration, SystemTime};

use nix::{
    sys::time::TimeSpec,
    time::{ClockId, clock_gettime, clock_settime},
};

use crate::machine::Now;

/// Reads both clocks.
pub(super) fn now() -> Now {
    Now { since_boot: since_boot(), unix: unix() }
}

/// `CLOCK_BOOTTIME`: counts while the device sleeps, so that limits and penalties end although nobody was awake.
fn since_boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}

/// How long the device has slept since it was started: `CLOCK_BOOTTIME` counts sleep and `CLOCK_MONOTONIC` does not.
pub(super) fn slept() -> Duration {
    let awake = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    since_boot().saturating_sub(awake)
}

/// Seconds since 1970.
pub(crate) fn unix() -> u64 {
    unix_time().as_secs()
}

/// Since 1970.
#[expect(clippy::disallowed_methods, reason = "the one place where the agent reads the wall clock")]
pub(super) fn unix_time() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Sets the system's clock. Without the right to do so (`CAP_SYS_TIME`) it stays wrong, and only the agent knows better.
pub(super) fn set(unix: u64) {
    let wanted = TimeSpec::from_duration(Duration::from_secs(unix));
    match clock_settime(ClockId::CLOCK_REALTIME, wanted) {
        Ok(()) => tracing::warn!(event = "clock-set", unix, "the system's clock was wrong and has been set"),
        Err(error) => {
            tracing::warn!(event = "clock-wrong", unix, %error, "the system's clock is wrong and cannot be set")
        }
    }
}
