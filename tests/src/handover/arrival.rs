//! From "the access point is heard" to "the first packet by Wi-Fi", in two parts: until the association, where the
//! waiting for a scan counts, and after it, where login, address and route do.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};

use super::ground;
use crate::{clock, text::Follower, traffic::Echo, world::World};

/// How long the two parts took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    /// From audible to associated.
    pub(super) associated: Duration,
    /// From there to the first packet at the server.
    pub(super) packet: Duration,
    /// No EAP in between: a key of an earlier login was used (IEEE 802.11 §12.6.10.3, PMKSA caching).
    pub(super) cached: bool,
}

/// The moment at which the access point becomes audible, and a supplicant's log from there on.
pub(super) struct Watch {
    log: Follower,
    began: Instant,
    began_ms: u64,
}

impl Watch {
    /// Now; `log` is the supplicant's.
    pub(super) fn begin(log: &Path) -> Self {
        Self { log: Follower::from_now(log), began: clock::now(), began_ms: clock::unix_ms() }
    }

    /// Waits for the first packet of this flow by Wi-Fi.
    pub(super) fn end(mut self, world: &World, echo: &Echo, limit: Duration) -> Result<Arrival> {
        let packet = ground::forward(world, echo, self.began, limit)?;
        let lines = self.log.lines()?;
        let at = lines.iter().position(|line| line.contains(": Associated with "));
        let at = at.ok_or_else(|| anyhow!("on Wi-Fi without an association:\n{}", lines.join("\n")))?;
        let stamp = lines.get(at).and_then(|line| seconds(line)).context("a line without a time")?;
        let associated = stamp.saturating_sub(Duration::from_millis(self.began_ms));
        let cached = !lines.iter().skip(at).any(|line| line.contains("CTRL-EVENT-EAP-STARTED"));
        Ok(Arrival { associated, packet: packet.saturating_sub(associated), cached })
    }
}

/// The time since 1970 that wpa_supplicant's option -t puts first, such as `1795884652.253184: …`.
fn seconds(line: &str) -> Option<Duration> {
    let (secs, micros) = line.split_once(':')?.0.split_once('.')?;
    Some(Duration::from_secs(secs.parse().ok()?) + Duration::from_micros(micros.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read() {
        assert_eq!(seconds("17.000250: wlan1: Associated"), Some(Duration::from_micros(17_000_250)));
        assert_eq!(seconds("wlan1: Associated"), None);
    }
}
