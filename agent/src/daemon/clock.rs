//! The one clock of the program.

use std::time::{Duration, SystemTime};

use nix::time::{ClockId, clock_gettime};

use crate::machine::Now;

/// Reads both clocks.
pub(super) fn now() -> Now {
    Now { since_boot: since_boot(), unix: unix().as_secs() }
}

/// `CLOCK_BOOTTIME`: counts while the device sleeps, so that limits and penalties end although nobody was awake.
fn since_boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}

/// Since 1970.
#[expect(clippy::disallowed_methods, reason = "the one place where the agent reads the wall clock")]
pub(super) fn unix() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
