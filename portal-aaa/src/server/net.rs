//! The one thread of the listeners that waits instead of computing: connections of RadSec, and the
//! proxy.

use std::{io, num::NonZero, sync::Arc, thread};

use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
};

use super::{
    forward::{self, Ticket},
    radsec::{self, Acceptor},
    shared::Shared,
};
use crate::proxy::driver::Driver;

/// Most threads that work on logins.
pub(super) const MAX_THREADS: usize = 16;

/// As many as there are cores, and no fewer than two: one may wait for the disk.
pub(super) fn workers() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).clamp(2, MAX_THREADS)
}

/// Its runtime: one thread, and the workers for what computes.
pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().max_blocking_threads(workers()).build()
}

/// What it does.
pub(super) struct Work {
    /// RadSec from access points.
    pub(super) acceptor: Option<Acceptor>,
    /// Requests to home servers.
    pub(super) driver: Option<Driver<Ticket>>,
}

/// Runs until `stop` changes or its other end goes.
pub(super) fn run(shared: &Arc<Shared>, runtime: &Runtime, work: Work, mut stop: watch::Receiver<()>) {
    runtime.block_on(async {
        if let Some(acceptor) = work.acceptor {
            let shared = Arc::clone(shared);
            tokio::spawn(async move {
                if let Err(error) = radsec::listen::serve(shared, acceptor).await {
                    tracing::error!(event = "radsec-failed", %error);
                }
            });
        }
        if let Some(driver) = work.driver {
            let shared = Arc::clone(shared);
            tokio::spawn(async move {
                let done = |ticket, finished| forward::finished(&shared, ticket, finished);
                if let Err(error) = driver.run(done).await {
                    tracing::error!(event = "proxy-failed", %error);
                }
            });
        }
        let _ = stop.changed().await;
    });
}
