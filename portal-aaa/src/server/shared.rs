//! What all threads of the listeners see, and what is done about it once a second.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::AtomicBool,
        mpsc::{self, SyncSender, TrySendError},
    },
    time::Duration,
};

use ::radius::{Duplicates, Limits};

use super::{
    accounting::Ticket,
    audit::Audit,
    certificate::Watch,
    clients::{Clients, Known},
    clock::Clock,
    drops::{Drops, Why},
    forward::Forwarding,
    radius::Parts,
    rate::Rates,
};
use crate::{aaa::engine::Engine, accounting::writer::Job};

/// How often the database is asked whether the client table has changed, and what is too old is dropped.
const TICK: Duration = Duration::from_secs(1);
/// Dropped packets are reported once in this many ticks.
const REPORT_EVERY: u32 = 10;
/// RFC 5080 §2.2.2: no less than 5 seconds, no more than 30.
const DUPLICATES: Limits = Limits { lifetime: Duration::from_secs(20), open: 16_384, settled: 16_384 };

/// All of it.
pub(super) struct Shared {
    pub(super) engine: Engine,
    pub(super) clock: Clock,
    pub(super) drops: Drops,
    pub(super) audit: Audit,
    pub(super) logins: Mutex<Duplicates>,
    pub(super) reports: Mutex<Duplicates>,
    pub(super) stop: AtomicBool,
    pub(super) parts: Parts,
    pub(super) forwarding: Forwarding,
    rates: Mutex<Rates>,
    clients: RwLock<Arc<Clients>>,
    /// Goes when the listeners have stopped, and that ends the writer.
    writer: RwLock<Option<SyncSender<Job<Ticket>>>>,
}

/// A poisoned lock's content is as good as it was: nothing here is left half done by a panic.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(
        engine: Engine,
        parts: Parts,
        forwarding: Forwarding,
        writer: SyncSender<Job<Ticket>>,
    ) -> Self {
        Self {
            engine,
            clock: parts.clock,
            drops: Drops::default(),
            audit: Audit::default(),
            logins: Mutex::new(Duplicates::new(DUPLICATES)),
            reports: Mutex::new(Duplicates::new(DUPLICATES)),
            stop: AtomicBool::new(false),
            parts,
            forwarding,
            rates: Mutex::default(),
            clients: RwLock::default(),
            writer: RwLock::new(Some(writer)),
        }
    }

    /// The client table as of now.
    pub(super) fn clients(&self) -> Arc<Clients> {
        Arc::clone(&self.clients.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts a genuine request against the client's limit; a forged one must not use it up.
    pub(super) fn within_rate(&self, now: Duration, client: &Known) -> Result<(), Why> {
        match client.max_rate {
            Some(rate) if !locked(&self.rates).take(now, &client.name, rate) => Err(Why::RateLimited),
            _ => Ok(()),
        }
    }

    /// Hands a report to the writer.
    pub(super) fn write(&self, job: Job<Ticket>) -> Result<(), TrySendError<()>> {
        match &*self.writer.read().unwrap_or_else(PoisonError::into_inner) {
            Some(writer) => writer.try_send(job).map_err(|error| match error {
                TrySendError::Full(_) => TrySendError::Full(()),
                TrySendError::Disconnected(_) => TrySendError::Disconnected(()),
            }),
            None => Err(TrySendError::Disconnected(())),
        }
    }

    /// No more reports: the writer ends when it has written those that wait.
    pub(super) fn close_writer(&self) {
        self.writer.write().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Once a tick, and at once when somebody sends, until the other end goes.
    pub(super) fn housekeeping(
        &self,
        ticks: &mpsc::Receiver<()>,
        mut generation: Option<u64>,
        mut certificate: Watch,
    ) {
        for tick in 1u32.. {
            if ticks.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Disconnected) {
                return;
            }
            self.reload(&mut generation);
            if let Some(eap) = certificate.poll() {
                self.engine.renew(eap);
            }
            let now = self.clock.now().monotonic;
            self.engine.expire(now);
            locked(&self.logins).expire(now);
            locked(&self.reports).expire(now);
            locked(&self.rates).expire(now);
            if tick.is_multiple_of(REPORT_EVERY) {
                self.drops.report();
                self.audit.report();
            }
        }
    }

    /// Reads the client table when it has changed. While the database is away the last one holds.
    pub(super) fn reload(&self, generation: &mut Option<u64>) {
        let store = &*self.parts.store;
        let news = store.generation().and_then(|newer| {
            if *generation == Some(newer) {
                return Ok(None);
            }
            Ok(Some((newer, Clients::load(store, &self.parts.keys)?)))
        });
        match news {
            Ok(None) => {}
            Ok(Some((newer, clients))) => {
                tracing::info!(event = "clients-loaded", count = clients.len());
                *generation = Some(newer);
                *self.clients.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(clients);
            }
            Err(error) => tracing::warn!(event = "clients-stale", %error),
        }
    }
}
