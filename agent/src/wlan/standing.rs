//! A connection that is left standing, so that the kernel asks whether the Internet is still there and nobody has to
//! wake up for it. Kept by `probe`.
//!
//! The alternative was a probe each 20 s: three wake-ups a minute, and a cut is noticed no sooner. Here TCP keepalive
//! (RFC 1122 §4.2.3.6) asks the other end after [`ASK_AFTER`] of silence, a packet without data each way, and the
//! daemon sleeps until the connection ends. How it ends tells:
//!
//! - nobody answered [`ASKED`] times, or a router says that there is no way: a reason for a probe at once;
//! - the other end reset it: the Internet was there a moment ago, and another probe will leave another connection.
//!
//! An HTTP server that closes its side, at once (`Connection: close`) or after some idle time, is no end: our side
//! stays open, and its kernel answers what ours asks as long as it remembers the connection (a minute with Linux,
//! `tcp_fin_timeout`), and with a reset afterwards. So the worst server costs one probe in more than a minute.

use std::{
    io::{self, ErrorKind},
    mem::MaybeUninit,
    net::TcpStream,
    time::Duration,
};

use nix::errno::Errno;
use socket2::{Socket, TcpKeepalive};
use tokio::io::{Interest, unix::AsyncFd};

use super::netlink::registered;

/// The other end has been silent for this long. With the questions after it a cut is noticed in 41 s, which leaves
/// time for the probe that proves it and for cellular to come up within a minute.
const ASK_AFTER: Duration = Duration::from_secs(25);
/// Then it is asked this often,
const ASK_EVERY: Duration = Duration::from_secs(4);
/// and so many times: Wi-Fi loses a packet now and then.
const ASKED: u32 = 4;
/// What the other end says is of no interest.
const DISCARDED: usize = 512;

/// The connection; reset when dropped, so that nothing of it waits for a link that is left.
#[derive(Debug)]
pub(super) struct Standing(AsyncFd<Socket>);

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The other end did it.
    Heard,
    /// Nobody answers any more.
    Silent,
}

impl Standing {
    /// Leaves this connection standing. Must be called inside a tokio runtime.
    pub(super) fn new(connection: TcpStream) -> io::Result<Self> {
        Self::asking(connection, ASK_AFTER, ASK_EVERY)
    }

    fn asking(connection: TcpStream, after: Duration, every: Duration) -> io::Result<Self> {
        let socket = Socket::from(connection);
        socket.set_nonblocking(true)?;
        socket.set_linger(Some(Duration::ZERO))?;
        let asking = TcpKeepalive::new().with_time(after).with_interval(every).with_retries(ASKED);
        socket.set_tcp_keepalive(&asking)?;
        registered(socket, Interest::READABLE | Interest::ERROR).map(Self)
    }

    /// Waits for its end.
    pub(super) async fn end(&self) -> End {
        let mut open = true;
        loop {
            let interest = if open { Interest::READABLE | Interest::ERROR } else { Interest::ERROR };
            let Ok(mut ready) = self.0.ready(interest).await else { return End::Silent };
            let socket = self.0.get_ref();
            match socket.take_error() {
                Ok(None) => {}
                Ok(Some(error)) | Err(error) => return how(&error),
            }
            if !open {
                ready.clear_ready();
                continue;
            }
            match socket.recv(&mut [MaybeUninit::uninit(); DISCARDED]) {
                // The other end has said its last; it can still be asked.
                Ok(0) => open = false,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return how(&error),
            }
        }
    }
}

/// A reset is `ECONNRESET`, or `EPIPE` where the other end had closed its side before.
fn how(error: &io::Error) -> End {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ECONNRESET | Errno::EPIPE) => End::Heard,
        _ => End::Silent,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Ipv4Addr, TcpListener},
        process::Command,
    };

    use nix::sched::{CloneFlags, unshare};
    use tokio::time::timeout;

    use super::*;

    /// For what comes by itself.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// In a network namespace of its own, whose loopback interface is the Internet.
    fn alone(test: impl AsyncFnOnce(TcpStream, TcpStream) + Send + 'static) {
        assert!(nix::unistd::geteuid().is_root(), "this test makes a network namespace: run it as root");
        let within = move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
            ip("link set lo up");
            let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).expect("a port");
            let ours = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
            let (theirs, _) = listener.accept().expect("connected");
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(test(ours, theirs));
        };
        std::thread::spawn(within).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }

    fn ip(arguments: &str) {
        assert!(Command::new("ip").args(arguments.split(' ')).status().expect("ip").success());
    }

    fn soon(connection: TcpStream) -> Standing {
        let second = Duration::from_secs(1);
        Standing::asking(connection, second, second).expect("left standing")
    }

    async fn end(standing: &Standing) -> End {
        timeout(PATIENCE, standing.end()).await.expect("it ends")
    }

    #[test]
    fn silence_is_told_by_the_kernel() {
        alone(async |ours, theirs| {
            let standing = soon(ours);
            let asked = timeout(Duration::from_secs(4), standing.end()).await;
            assert!(asked.is_err(), "it ended although the other end answers: {asked:?}");
            ip("route replace blackhole 127.0.0.1 table local");
            ip("route replace blackhole 127.0.0.2 table local");
            assert_eq!(end(&standing).await, End::Silent);
            drop(theirs);
        });
    }

    #[test]
    fn a_server_that_closes_its_side_is_asked_on() {
        alone(async |ours, theirs| {
            drop(theirs);
            let standing = soon(ours);
            let asked = timeout(Duration::from_secs(4), standing.end()).await;
            assert!(asked.is_err(), "its kernel answers for it: {asked:?}");
            ip("link set lo down");
            assert_eq!(end(&standing).await, End::Silent);
        });
    }

    #[test]
    fn a_server_that_has_forgotten_us_is_there() {
        alone(async |ours, theirs| {
            Socket::from(theirs).set_linger(Some(Duration::ZERO)).expect("set");
            assert_eq!(end(&soon(ours)).await, End::Heard);
        });
        alone(async |ours, theirs| {
            std::fs::write("/proc/sys/net/ipv4/tcp_fin_timeout", "1").expect("set");
            let standing = soon(ours);
            drop(theirs);
            assert_eq!(end(&standing).await, End::Heard);
        });
    }
}
