//! Requests and answers over the control socket: the wpactrl crate in a harness. Called by `operations`, `control`.
//!
//! What wpactrl 0.5.1 does, and how it is contained; `tests` shows each against the real supplicant:
//!
//! - a second client takes the socket path of the first away: every client has a directory of its own;
//! - after a time-out the late answer is taken for the next one's: a client that failed once is closed, and the
//!   late answer goes to a path that no longer exists;
//! - `FD_SET` cannot name descriptors from 1024 on: not opened when the process is near that;
//! - a signal ends its wait with an error: the thread that uses it blocks signals (`control`);
//! - events that come during a request are given in the wrong order, and an attached client cannot be waited on: this
//!   one is never attached, and the event stream has a client of our own (`monitor`).

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::{fd::AsRawFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use super::{network::Unfit, request::Request};

/// `FD_SETSIZE` less room for the descriptors that other threads open meanwhile.
const MAX_DESCRIPTOR: i32 = 1000;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The socket cannot be opened, or the supplicant did not answer: this client is of no more use.
    #[error("supplicant-socket: {0}")]
    Socket(#[from] io::Error),
    /// The same, as wpactrl says it.
    #[error("supplicant-silent: {0}")]
    Silent(#[from] wpactrl::Error),
    /// A request after one that failed.
    #[error("supplicant-closed")]
    Closed,
    /// wpactrl cannot wait on descriptors this high.
    #[error("supplicant-descriptors: too many open files for wpactrl")]
    TooManyFiles,
    /// The supplicant said `FAIL`.
    #[error("supplicant-refused: {0}")]
    Refused(String),
    /// The answer is not what the request is answered with.
    #[error("supplicant-unreadable: answer of {0}")]
    Unreadable(String),
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error("ca-file: {0}")]
    CaFile(io::Error),
}

impl Error {
    /// Whether the supplicant has to be taken for gone.
    pub(super) fn ends_session(&self) -> bool {
        match self {
            Self::Socket(_) | Self::Silent(_) | Self::Closed | Self::TooManyFiles => true,
            Self::Refused(_) | Self::Unreadable(_) | Self::Unfit(_) | Self::CaFile(_) => false,
        }
    }
}

/// A client for requests; never attached.
pub(super) struct Commands {
    client: Option<wpactrl::Client>,
    _directory: SocketDirectory,
}

impl Commands {
    /// Opens a client of the supplicant whose socket is `control`.
    pub(super) fn open(control: &Path, run_dir: &Path) -> Result<Self, Error> {
        let (client, directory) = open_client(control, run_dir)?;
        Ok(Self { client: Some(client), _directory: directory })
    }

    /// Sends one request and waits for its answer, 10 s at the longest.
    pub(super) fn ask(&mut self, request: &Request) -> Result<String, Error> {
        let client = self.client.as_mut().ok_or(Error::Closed)?;
        match client.request(&request.wire()) {
            Ok(reply) => {
                tracing::trace!(%request, "supplicant answered");
                Ok(reply)
            }
            Err(error) => {
                self.client = None;
                Err(error.into())
            }
        }
    }
}

/// In a directory of its own, which is to outlive the client.
fn open_client(control: &Path, run_dir: &Path) -> Result<(wpactrl::Client, SocketDirectory), Error> {
    // The kernel gives the lowest free number: the client's own will be next to this one's.
    if File::open("/dev/null")?.as_raw_fd() > MAX_DESCRIPTOR {
        return Err(Error::TooManyFiles);
    }
    let directory = SocketDirectory::create(run_dir)?;
    let client = wpactrl::Client::builder().cli_path(directory.path()).ctrl_path(control).open()?;
    Ok((client, directory))
}

/// A directory in `run-dir` for one socket of ours, which nobody else enters; removed with it.
pub(super) struct SocketDirectory(PathBuf);

impl SocketDirectory {
    pub(super) fn create(run_dir: &Path) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = run_dir.join(format!("{PREFIX}{}-{count}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SocketDirectory {
    fn drop(&mut self) {
        // What stays is removed by the next start.
        let _ = fs::remove_dir_all(&self.0);
    }
}

const PREFIX: &str = "supplicant-";

/// Removes what a killed agent left in `run-dir`.
pub(super) fn remove_leftovers(run_dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(run_dir)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            match fs::remove_dir_all(entry.path()) {
                // A thread of ours that is just ending removes its own.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}
