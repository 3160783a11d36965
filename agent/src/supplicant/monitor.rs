//! The event stream of the control socket: an attached wpactrl client with a thread that polls it. Started by
//! `control`.
//!
//! wpactrl 0.5.1 gives events that came during a request in the wrong order: nothing is requested after `ATTACH`.
//! It cannot be waited on, so it is polled; nothing is lost meanwhile, because the kernel bounds the queue of a
//! reader that is connected to its writer by the writer's buffer only, and wpa_supplicant holds events back when
//! that is half full (`ctrl_iface_unix.c`). `tests` shows it against the real supplicant.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use nix::sys::signal::SigSet;

use super::commands::{Error, SocketDirectory, open_client};

/// How long an event may lie there.
const POLL_EVERY: Duration = Duration::from_millis(50);

/// What the reader hands over.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Line(String),
    /// An event was lost: look at `STATUS`.
    Gap,
    /// No events any more.
    Ended,
}

/// An attached client; its thread ends when this is dropped.
pub(super) struct Monitor {
    stop: Arc<AtomicBool>,
}

impl Monitor {
    /// Attaches to the supplicant whose socket is `control`. `hear` runs on the reader's thread, which ends when it
    /// returns false.
    pub(super) fn attach(
        control: &Path,
        run_dir: &Path,
        hear: impl FnMut(Heard) -> bool + Send + 'static,
    ) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut reader = Reader {
            client: Attached::open(control, run_dir)?,
            control: control.to_owned(),
            run_dir: run_dir.to_owned(),
            hear,
        };
        let stopped = Arc::clone(&stop);
        thread::Builder::new().name("supplicant-events".into()).spawn(move || {
            // The process's signals are for the threads that expect them.
            let _ = SigSet::all().thread_block();
            while !stopped.load(Ordering::Relaxed) && reader.drain() {
                thread::sleep(POLL_EVERY);
            }
        })?;
        Ok(Self { stop })
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The client and the directory of its socket, dropped in this order.
struct Attached {
    client: wpactrl::ClientAttached,
    _directory: SocketDirectory,
}

impl Attached {
    fn open(control: &Path, run_dir: &Path) -> Result<Self, Error> {
        let (client, directory) = open_client(control, run_dir)?;
        Ok(Self { client: client.attach()?, _directory: directory })
    }
}

struct Reader<F> {
    client: Attached,
    control: PathBuf,
    run_dir: PathBuf,
    hear: F,
}

impl<F: FnMut(Heard) -> bool> Reader<F> {
    /// Everything that lies there. False when there is nothing more to come.
    fn drain(&mut self) -> bool {
        loop {
            let go_on = match self.client.client.recv() {
                Ok(None) => return true,
                Ok(Some(event)) if event.starts_with('<') => (self.hear)(Heard::Line(event)),
                Ok(Some(_)) => true,
                // The event is gone, the client is sound: somebody on the air chose a name that is no text.
                Err(wpactrl::Error::Utf8ToStr(_)) => (self.hear)(Heard::Gap),
                Err(error) => self.reopen(&error),
            };
            if !go_on {
                return false;
            }
        }
    }

    fn reopen(&mut self, error: &wpactrl::Error) -> bool {
        tracing::debug!(%error, "supplicant's event stream broke");
        match Attached::open(&self.control, &self.run_dir) {
            Ok(client) => {
                self.client = client;
                (self.hear)(Heard::Gap)
            }
            Err(error) => {
                tracing::debug!(%error, "supplicant's event stream ended");
                (self.hear)(Heard::Ended);
                false
            }
        }
    }
}
