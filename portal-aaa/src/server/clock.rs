//! The one real clock of portal-aaa. Everything else gets its time from here, as an argument.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::aaa::Now;

/// Reads the time. Cheap to copy; all copies agree.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts counting.
    #[expect(clippy::disallowed_methods, reason = "the one real clock of this program")]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Since the start, never going back.
    #[expect(clippy::disallowed_methods, reason = "the one real clock of this program")]
    pub fn monotonic(&self) -> Duration {
        Instant::now().saturating_duration_since(self.start)
    }

    /// Both times.
    #[expect(clippy::disallowed_methods, reason = "the one real clock of this program")]
    pub fn now(&self) -> Now {
        // Before 1970 there were no credentials either: everything that ends has not ended, nothing has begun.
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Now { monotonic: self.monotonic(), unix }
    }
}
