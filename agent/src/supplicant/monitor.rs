//! The event stream of the control socket, by a small client of our own. Read by `control`.
//!
//! wpactrl serves the requests (`commands`) and not this stream: its attached client neither waits for an event nor
//! shows the descriptor to wait on, so it can only be asked again and again; twenty times a second kept the processor
//! of an idle device awake. It also takes only UTF-8 and loses the event that is none.
//!
//! The socket is connected to the supplicant's: the kernel then bounds the queue of a reader that is late by the
//! writer's buffer only, and wpa_supplicant holds events back when that is half full (`ctrl_iface_unix.c`), so none is
//! lost; `tests` shows it against the real supplicant.
//!
//! The end of a datagram peer cannot be read from the socket. The kernel stamps the answer to `ATTACH` with the
//! supplicant's process (`SCM_CREDENTIALS`), and a process can be waited for (`pidfd_open(2)`).

use std::{
    io::{self, IoSliceMut},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::net::UnixDatagram,
    },
    path::Path,
    time::Duration,
};

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, UnixAddr, UnixCredentials, recvmsg, setsockopt, sockopt,
};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::commands::{Error, SocketDirectory};

/// For the answer to `ATTACH`; as long as wpactrl waits.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// wpa_supplicant's own lines have 4096 octets at most (`wpa_msg`).
const LINE: usize = 8192;
/// Other lines that may come before the answer to `ATTACH`.
const BEFORE_ANSWER: usize = 16;

/// An attached client.
pub(super) struct Monitor {
    socket: UnixDatagram,
    /// The supplicant's process; none where the kernel does not tell, as of another PID namespace.
    process: Option<OwnedFd>,
    /// Outlives the socket.
    _directory: SocketDirectory,
}

impl Monitor {
    /// Attaches to the supplicant whose socket is `control`.
    pub(super) fn attach(control: &Path, run_dir: &Path) -> Result<Self, Error> {
        let directory = SocketDirectory::create(run_dir)?;
        let socket = UnixDatagram::bind(directory.path().join("events"))?;
        socket.connect(control)?;
        setsockopt(&socket, sockopt::PassCred, &true).map_err(io::Error::from)?;
        socket.set_write_timeout(Some(ANSWER_LIMIT))?;
        socket.set_read_timeout(Some(ANSWER_LIMIT))?;
        socket.send(b"ATTACH")?;
        let process = attached(&socket)?;
        setsockopt(&socket, sockopt::PassCred, &false).map_err(io::Error::from)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, process, _directory: directory })
    }

    /// The next line that lies there; none when there is none yet.
    pub(super) fn next(&self) -> io::Result<Option<String>> {
        let mut line = [0; LINE];
        loop {
            match self.socket.recv(&mut line) {
                // Names on the air are any octets; wpa_supplicant escapes them in what is read here.
                Ok(length) if line.starts_with(b"<") => {
                    let octets = line.get(..length).unwrap_or_default();
                    return Ok(Some(String::from_utf8_lossy(octets).into_owned()));
                }
                // A late answer to a former request of this socket.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Becomes readable when the supplicant's process has ended.
    pub(super) fn process(&self) -> Option<BorrowedFd<'_>> {
        self.process.as_ref().map(AsFd::as_fd)
    }
}

/// Becomes readable when there is a line.
impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // A supplicant that is gone hears nothing, and needs not.
        let _ = self.socket.send(b"DETACH");
    }
}

/// Waits for `OK`; gives the process that said it.
fn attached(socket: &UnixDatagram) -> Result<Option<OwnedFd>, Error> {
    for _ in 0..BEFORE_ANSWER {
        let mut line = [0; LINE];
        let mut slices = [IoSliceMut::new(&mut line)];
        let mut space = nix::cmsg_space!(UnixCredentials);
        let message =
            recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::empty())
                .map_err(io::Error::from)?;
        let pid = message.cmsgs().ok().and_then(|mut messages| {
            messages.find_map(|message| match message {
                ControlMessageOwned::ScmCredentials(sender) => Pid::from_raw(sender.pid()),
                _ => None,
            })
        });
        let length = message.bytes;
        match line.get(..length).unwrap_or_default() {
            [b'<', ..] => {}
            b"OK\n" => return Ok(pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())),
            _ => return Err(Error::Refused("ATTACH".into())),
        }
    }
    Err(Error::Unreadable("ATTACH".into()))
}
