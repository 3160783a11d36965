//! The network's time (NITZ, 3GPP TS 22.042), as ModemManager tells it once, kept running until it tells it again.

use std::time::Duration;

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};

/// A time that was told, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    /// Seconds since 1970.
    unix: u64,
    /// By [`since_boot`].
    at: Duration,
}

impl Told {
    /// From ISO 8601 text, as `Modem.Time` gives it. Without an offset it is somebody's local time, hence nobody's.
    pub(super) fn parse(text: &str, at: Duration) -> Option<Self> {
        let time: Timestamp = text.parse().ok()?;
        Some(Self { unix: u64::try_from(time.as_second()).ok()?, at })
    }

    /// Seconds since 1970 now.
    pub(super) fn now(self, since_boot: Duration) -> u64 {
        self.unix.saturating_add(since_boot.saturating_sub(self.at).as_secs())
    }
}

/// Goes on while the device sleeps.
pub(super) fn since_boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_networks_time_goes_on() {
        let at = Duration::from_secs(100);
        for text in [
            "2026-11-28T13:00:00Z",
            "2026-11-28T14:00:00+01",
            "2026-11-28T14:00:00+01:00",
            "2026-11-28T08:00:00-05:00",
        ] {
            let told = Told::parse(text, at).unwrap();
            assert_eq!(told.now(at), 1_795_870_800, "{text}");
            assert_eq!(told.now(at + Duration::from_millis(3_600_900)), 1_795_874_400);
        }
        for text in ["", "2026-11-28T13:00:00", "yesterday", "1969-01-01T00:00:00Z"] {
            assert!(Told::parse(text, at).is_none(), "{text}");
        }
    }
}
