//! The one thread of the listeners that waits instead of computing: connections of RadSec.

use std::{io, num::NonZero, sync::Arc, thread};

use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
};

use super::{
    radsec::{self, Acceptor},
    shared::Shared,
};

/// Most threads that work on logins.
pub(super) const MAX_THREADS: usize = 16;

/// As many as there are cores.
pub(super) fn workers() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS)
}

/// Its runtime: one thread, and the workers for what computes.
pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().max_blocking_threads(workers()).build()
}

/// Runs until `stop` changes or its other end goes.
pub(super) fn run(
    shared: &Arc<Shared>,
    runtime: &Runtime,
    acceptor: Option<Acceptor>,
    mut stop: watch::Receiver<()>,
) {
    runtime.block_on(async {
        if let Some(acceptor) = acceptor {
            let shared = Arc::clone(shared);
            tokio::spawn(async move {
                if let Err(error) = radsec::listen::serve(shared, acceptor).await {
                    tracing::error!(event = "radsec-failed", %error);
                }
            });
        }
        let _ = stop.changed().await;
    });
}
