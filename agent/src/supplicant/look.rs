//! Looking for a supplicant that is away, without asking again and again: the kernel tells of a new socket
//! (`inotify(7)`). Called by `control`.

use std::{os::fd::OwnedFd, path::Path, time::Duration};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

/// Pause after a failed look; doubles. A socket may be there before its owner answers.
const FIRST: Duration = Duration::from_millis(500);
/// Longest pause, in case a change was not told.
const LONGEST: Duration = Duration::from_secs(120);
/// The same where the kernel does not tell of changes: too many programs watch something.
const UNWATCHED: Duration = Duration::from_secs(2);

/// A look that goes on.
#[derive(Default)]
pub(super) struct Look {
    changes: Option<OwnedFd>,
    pause: Option<Duration>,
}

impl Look {
    /// To be called before each try, so that no change after it is missed.
    pub(super) fn begin(&mut self, directory: &Path) {
        self.changes = watch(directory).map_err(|error| tracing::debug!(%error, "no inotify")).ok();
    }

    /// Becomes readable when something has changed where the socket will be.
    pub(super) fn changes(&self) -> Option<&OwnedFd> {
        self.changes.as_ref()
    }

    /// Something has changed: the next tries are soon again.
    pub(super) fn changed(&mut self) {
        self.pause = None;
    }

    /// How long to wait for a change after a try that failed.
    pub(super) fn pause(&mut self) -> Duration {
        let longest = if self.changes.is_some() { LONGEST } else { UNWATCHED };
        let pause = self.pause.map_or(FIRST, |pause| pause * 2).min(longest);
        self.pause = Some(pause);
        pause
    }
}

/// The directory, or the nearest above it that is there.
fn watch(directory: &Path) -> rustix::io::Result<OwnedFd> {
    let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    // Made, moved in, made accessible; the directory itself taken away.
    let flags = WatchFlags::CREATE
        | WatchFlags::MOVED_TO
        | WatchFlags::ATTRIB
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF
        | WatchFlags::ONLYDIR;
    let mut refused = rustix::io::Errno::NOENT;
    for place in directory.ancestors() {
        match inotify::add_watch(&inotify, place, flags) {
            Ok(_) => return Ok(inotify),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    fn told(look: &Look) -> bool {
        use std::os::fd::AsFd;
        let changes = look.changes().expect("inotify");
        let mut fds = [PollFd::new(changes.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).expect("poll") > 0
    }

    #[test]
    fn a_socket_is_told_of_also_where_its_directory_comes_first() {
        let above = tempfile::tempdir().expect("a directory");
        let directory = above.path().join("wpa/deep");
        let mut look = Look::default();
        look.begin(&directory);
        assert!(!told(&look));
        fs::create_dir_all(&directory).expect("made");
        assert!(told(&look));
        look.begin(&directory);
        assert!(!told(&look));
        fs::write(directory.join("wlan0"), "").expect("made");
        assert!(told(&look));
    }

    #[test]
    fn tries_become_seldom_until_something_changes() {
        let mut look = Look::default();
        look.begin(Path::new("/"));
        let pauses: Vec<Duration> = (0..12).map(|_| look.pause()).collect();
        assert_eq!((pauses.first(), pauses.last()), (Some(&FIRST), Some(&LONGEST)));
        look.changed();
        assert_eq!(look.pause(), FIRST);
    }
}
