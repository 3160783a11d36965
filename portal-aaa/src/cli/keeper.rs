//! The thread of `serve` that looks after what time changes: revocations and accounts read again, sessions that fell
//! silent closed, old accounting and expired credentials forgotten.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{
    aaa::Now,
    accounting::live::Live,
    config::Settings,
    credential::Authority,
    server::clock::Clock,
    store::{Pruned, Silence, Store, StoreError},
};

/// A revocation is to reach the access point within a second, and most of that is the network's.
const POLL: Duration = Duration::from_millis(100);
/// Polls between two rounds of housekeeping.
const ROUND: u32 = 10;
/// Rows closed or forgotten in one transaction, so that accounting never waits long.
const AT_ONCE: u32 = 500;
const DAY_SECS: u64 = 86_400;
/// Credentials looked at in one step: a hundredth of a second of reading, a short transaction where all have to go.
const LOOK: u32 = 1000;
/// From the end of the table to the next look at its beginning.
const REST: Duration = Duration::from_secs(3600);
/// Missing interim reports after which a session is over.
const MISSED: u64 = 3;

/// What it looks after.
pub(super) struct Charge {
    pub(super) authority: Arc<Authority>,
    pub(super) live: Arc<Live>,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Clock,
    /// After how much silence a session is over.
    pub(super) silence: Silence,
    /// The key file; read again when it has changed.
    pub(super) keys: PathBuf,
    /// How long accounting is kept; none for ever.
    pub(super) keep_secs: Option<u64>,
    /// How long an expired credential is kept; none for ever.
    pub(super) keep_expired_secs: Option<u64>,
}

/// The running thread; it ends when this goes.
pub(super) struct Keeper {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Of the configuration: as long as the least frequent reports may be missing.
pub(super) fn silence(settings: &Settings) -> Silence {
    let session = &settings.session;
    let policies = std::iter::once(&session.everywhere).chain(session.nas.values());
    let interim = policies.filter_map(|(policy, _)| policy.interim_interval_secs).max();
    let other_secs = session.assume_gone_secs;
    Silence { reporting_secs: interim.map_or(other_secs, |secs| u64::from(secs) * MISSED), other_secs }
}

impl Keeper {
    pub(super) fn start(charge: Charge) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = thread::Builder::new().name("keeper".to_owned()).spawn(move || {
            let began = charge.clock.now().monotonic;
            let (mut failing, mut unsettled) = (false, false);
            let mut sweep = Sweep::default();
            let mut keys_seen = seen(&charge.keys);
            for round in 1u32.. {
                if stopped.recv_timeout(POLL) != Err(mpsc::RecvTimeoutError::Timeout) {
                    return;
                }
                let now = charge.clock.now();
                charge.authority.refresh(now.unix);
                note(charge.authority.settle(now.unix), &mut unsettled);
                if round.is_multiple_of(ROUND) {
                    charge.reload_keys(&mut keys_seen);
                    charge.live.sweep(now.unix);
                    // Nobody could be heard while the program was down.
                    let up = now.monotonic.saturating_sub(began).as_secs();
                    let tidied = charge.tidy(now.unix, up).and_then(|()| charge.sweep(now, &mut sweep));
                    note(tidied, &mut failing);
                }
            }
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

/// What tells that a file is another.
fn seen(path: &Path) -> Option<(u64, u64, i64, i64)> {
    fs::metadata(path).ok().map(|meta| (meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
}

impl Charge {
    fn reload_keys(&self, last: &mut Option<(u64, u64, i64, i64)>) {
        let now = seen(&self.keys);
        if now == *last {
            return;
        }
        *last = now;
        match self.authority.reload_keys(&self.keys) {
            Ok(true) => tracing::info!(event = "keys-reloaded"),
            Ok(false) => {}
            Err(error) => tracing::error!(event = "keys-refused", %error, "the old keys hold"),
        }
    }

    /// Forgets expired credentials.
    fn sweep(&self, now: Now, sweep: &mut Sweep) -> Result<(), StoreError> {
        let Some(keep) = self.keep_expired_secs.filter(|_| now.monotonic >= sweep.rest_until) else {
            return Ok(());
        };
        let Pruned { gone, last } =
            self.store.prune_credentials(&sweep.after, now.unix.saturating_sub(keep), LOOK)?;
        sweep.gone += gone;
        match last {
            Some(last) => sweep.after = last,
            None => {
                if sweep.gone > 0 {
                    tracing::info!(event = "credentials-pruned", gone = sweep.gone, "expired long ago");
                }
                *sweep = Sweep { rest_until: now.monotonic + REST, ..Sweep::default() };
            }
        }
        Ok(())
    }

    fn tidy(&self, now: u64, up_secs: u64) -> Result<(), StoreError> {
        let Silence { reporting_secs, other_secs } = self.silence;
        if up_secs > reporting_secs.min(other_secs) {
            let other_secs = if up_secs > other_secs { other_secs } else { u64::MAX };
            let reporting_secs = if up_secs > reporting_secs { reporting_secs } else { u64::MAX };
            let silence = Silence { reporting_secs, other_secs };
            let closed = self.store.close_silent_sessions(now, silence, AT_ONCE)?;
            if closed > 0 {
                tracing::info!(event = "sessions-silent", closed, "ended with what was last known of them");
            }
        }
        // A day later, lest the clock was wrong.
        self.store.prune_revocations(now.saturating_sub(DAY_SECS), AT_ONCE)?;
        if let Some(keep) = self.keep_secs {
            let gone = self.store.prune_accounting(now.saturating_sub(keep), AT_ONCE)?;
            if gone > 0 {
                tracing::debug!(event = "accounting-pruned", gone);
            }
        }
        Ok(())
    }
}

/// A walk through the credentials by their usernames, a step a second.
#[derive(Default)]
struct Sweep {
    /// The username before the next step.
    after: String,
    /// Nothing before then.
    rest_until: Duration,
    gone: usize,
}

/// Seconds of a setting in days.
pub(super) fn keep_secs(keep_days: u32) -> Option<u64> {
    (keep_days > 0).then(|| u64::from(keep_days) * DAY_SECS)
}

/// Once, not every second.
fn note(done: Result<(), StoreError>, failing: &mut bool) {
    match done {
        Ok(()) if std::mem::take(failing) => tracing::info!(event = "housekeeping-again"),
        Ok(()) => {}
        Err(error) if !std::mem::replace(failing, true) => {
            tracing::warn!(event = "housekeeping-failed", %error, "it is tried again");
        }
        Err(_) => {}
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(event = "keeper-panic", "the thread had died");
        }
    }
}
