//! The lab's one clock, and the one way to wait: for something that can be seen, with a limit.
//!
//! Everything else in this crate that needs time or waits calls it.

use std::{
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, bail};

/// How often a condition is looked at. Ten looks cost less than one frame of the simulated radio.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Monotonic time.
#[expect(clippy::disallowed_methods, reason = "the lab's one clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since 1970, the scale on which every daemon's log writes.
#[expect(clippy::disallowed_methods, reason = "the lab's one clock")]
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Looks again and again until `look` finds something, at most for `limit`.
pub(crate) fn until<T>(what: &str, limit: Duration, look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    until_every(LOOK_EVERY, what, limit, look)
}

/// The same for a look that is dear, such as a program that has to be started.
pub(crate) fn until_every<T>(
    pace: Duration,
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = now() + limit;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if now() >= end {
            bail!("waited {} s in vain: {what}", limit.as_secs());
        }
        pause(pace);
    }
}

/// A span of time that is itself what is wanted: a pace, or a silence to be endured. Never a guess at how long
/// something else takes.
pub(crate) fn pause(span: Duration) {
    thread::sleep(span);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn until_gives_what_was_found_and_names_what_was_not() {
        let mut looks = 0;
        let found = until("three looks", Duration::from_secs(5), || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(found.unwrap(), 3);
        let missed = until::<()>("a white raven", Duration::ZERO, || Ok(None));
        assert!(missed.unwrap_err().to_string().contains("a white raven"));
    }
}
