//! A UDP socket that a thread can wait on and still be stopped.

use std::{
    cell::RefCell,
    io::{self, IoSliceMut},
    net::{Shutdown, SocketAddr, TcpListener, UdpSocket},
    os::fd::AsRawFd as _,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg},
};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::{clock::Clock, outbox};

/// Wait when receiving fails: for want of memory, and that comes back.
const PAUSE: Duration = Duration::from_millis(200);
/// Holds a burst of some thousand requests; the kernel may grant less.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Datagrams that a thread takes at once.
const AT_ONCE: usize = 32;
/// Work that waits before another thread is woken for it; waking one costs some microseconds.
const WORTH_A_THREAD: Duration = Duration::from_micros(250);
/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// Binds. `[::]` serves IPv4 as well.
pub(super) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // Refused by some containers; the default size then has to do.
    if let Err(error) = socket.set_recv_buffer_size(RECEIVE_BUFFER) {
        tracing::debug!(%error, "receive buffer");
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Listens for connections. `[::]` serves IPv4 as well.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A restart shall not wait for connections that linger.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The threads of one socket. One waits for datagrams; the others wait for it to have more than it can do, so that a
/// server that is not busy wakes one thread and not all of them in turn.
pub(super) struct Crew {
    socket: Arc<UdpSocket>,
    turn: Arc<Turn>,
}

/// Whose turn it is to receive.
#[derive(Default)]
struct Turn {
    taken: Mutex<bool>,
    free: Condvar,
}

impl Turn {
    fn take(&self) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = self.free.wait_while(taken, |taken| *taken);
        *taken.unwrap_or_else(PoisonError::into_inner) = true;
    }

    fn leave(&self) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.free.notify_one();
    }
}

thread_local! {
    /// The turn that this thread has.
    static MINE: RefCell<Option<Arc<Turn>>> = const { RefCell::new(None) };
}

/// This thread is about to wait for something else than a datagram: what it has to send leaves, and another one
/// receives meanwhile.
pub(super) fn step_aside() {
    outbox::flush_early();
    leave_turn();
}

fn leave_turn() {
    if let Some(turn) = MINE.take() {
        turn.leave();
    }
}

impl Crew {
    pub(super) fn new(socket: Arc<UdpSocket>) -> Self {
        Self { socket, turn: Arc::default() }
    }

    /// Where it listens.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Ends the waiting, now and in future, once `stop` is set. A wait with a time limit would cost each datagram a
    /// timer of the kernel.
    pub(super) fn wake(&self) {
        // ENOTCONN says that there is nobody to be told; whoever waits is woken all the same (Linux, inet_shutdown).
        let _ = SockRef::from(&*self.socket).shutdown(Shutdown::Read);
    }

    /// Hands datagrams to `handle` until `stop`, and tells `unsent` whose answers the kernel did not take. What any
    /// number of threads does.
    pub(super) fn receive(
        &self,
        clock: Clock,
        stop: &AtomicBool,
        handle: impl Fn(&Arc<UdpSocket>, &[u8], SocketAddr),
        unsent: impl Fn(SocketAddr),
    ) {
        let _leaving = Leaving;
        outbox::open(&self.socket);
        let mut inbox = Inbox::new();
        let mut each = Duration::ZERO;
        loop {
            if MINE.with_borrow(Option::is_none) {
                self.turn.take();
                MINE.set(Some(Arc::clone(&self.turn)));
            }
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let count = match inbox.wait(&self.socket) {
                Ok(count) => u32::try_from(count).unwrap_or(u32::MAX),
                Err(Errno::EAGAIN | Errno::EINTR) => 0,
                Err(error) => {
                    tracing::error!(event = "radius-receive", %error);
                    std::thread::sleep(PAUSE);
                    0
                }
            };
            // The next one waits for what comes meanwhile, if that is worth its waking up.
            let waiting = each.saturating_mul(count.saturating_sub(1));
            if waiting >= WORTH_A_THREAD || inbox.is_full(count) {
                leave_turn();
            }
            if count == 0 {
                continue;
            }
            let began = clock.monotonic();
            outbox::handled(began);
            inbox.each(count, |datagram, from| {
                handle(&self.socket, datagram, from);
                outbox::handled(clock.monotonic());
            });
            outbox::flush().into_iter().for_each(&unsent);
            let took = clock.monotonic().saturating_sub(began) / count;
            each = (each * 7 + took) / 8;
        }
    }
}

/// Leaves the turn to others when the thread goes, however that comes.
struct Leaving;

impl Drop for Leaving {
    fn drop(&mut self) {
        outbox::close();
        leave_turn();
    }
}

/// Datagrams taken in one system call.
struct Inbox {
    buffers: Vec<[u8; ::radius::MAX_PACKET]>,
    lengths: [(usize, Option<SocketAddr>); AT_ONCE],
    headers: MultiHeaders<SockaddrStorage>,
}

impl Inbox {
    fn new() -> Self {
        Self {
            buffers: vec![[0; ::radius::MAX_PACKET]; AT_ONCE],
            lengths: [(0, None); AT_ONCE],
            headers: MultiHeaders::preallocate(AT_ONCE, None),
        }
    }

    /// Waits for one and takes what else is there.
    fn wait(&mut self, socket: &UdpSocket) -> nix::Result<usize> {
        let mut slices: Vec<_> = self.buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let received = recvmmsg(
            socket.as_raw_fd(),
            &mut self.headers,
            slices.iter_mut(),
            MsgFlags::MSG_WAITFORONE,
            None,
        )?;
        let mut count = 0;
        for (message, place) in received.zip(&mut self.lengths) {
            // Nothing at all is no datagram but the end of the waiting, and has an address of long ago.
            let from = message.address.as_ref().filter(|_| message.bytes > 0);
            *place = (message.bytes, from.and_then(sender));
            count += 1;
        }
        Ok(count)
    }

    fn is_full(&self, count: u32) -> bool {
        usize::try_from(count).is_ok_and(|count| count >= self.lengths.len())
    }

    fn each(&self, count: u32, mut handle: impl FnMut(&[u8], SocketAddr)) {
        let taken = self.buffers.iter().zip(&self.lengths).take(usize::try_from(count).unwrap_or(0));
        for (buffer, (length, from)) in taken {
            if let (Some(datagram), Some(from)) = (buffer.get(..*length), from) {
                handle(datagram, *from);
            }
        }
    }
}

fn sender(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|address| SocketAddr::V4((*address).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| SocketAddr::V6((*address).into())))
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, sync::mpsc, thread};

    use super::*;

    /// Every datagram is handled once, whoever of the crew takes it, also when handling is slow.
    #[test]
    fn a_crew_takes_every_datagram_once_and_goes_when_told() {
        for address in ["127.0.0.1:0", "[::]:0"] {
            let crew = Crew::new(Arc::new(bind(address.parse().unwrap()).unwrap()));
            let port = crew.address().unwrap().port();
            let (clock, stop) = (Clock::start(), AtomicBool::new(false));
            let (sender, handled) = mpsc::channel();
            thread::scope(|scope| {
                for _ in 0..4 {
                    let (crew, stop, sender) = (&crew, &stop, sender.clone());
                    scope.spawn(move || {
                        crew.receive(
                            clock,
                            stop,
                            |socket, datagram, from| {
                                let number = u32::from_be_bytes(datagram.try_into().unwrap());
                                // Some cost a login's work: others of the crew must come in.
                                let until =
                                    clock.now().monotonic + Duration::from_micros(u64::from(number % 7) * 40);
                                while clock.now().monotonic < until {}
                                outbox::send(socket, datagram, from).unwrap();
                                sender.send((number, thread::current().id())).unwrap();
                            },
                            |unsent| panic!("{unsent}"),
                        );
                    });
                }
                let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
                peer.connect(("127.0.0.1", port)).unwrap();
                for number in 0..2000_u32 {
                    peer.send(&number.to_be_bytes()).unwrap();
                }
                let (mut numbers, mut threads) = (HashSet::new(), HashSet::new());
                for _ in 0..2000 {
                    let (number, thread) = handled.recv_timeout(Duration::from_secs(20)).unwrap();
                    assert!(numbers.insert(number), "{number} twice");
                    threads.insert(thread);
                }
                assert!(threads.len() > 1, "a burst is not one thread's work");
                stop.store(true, Ordering::Relaxed);
                crew.wake();
            });
        }
    }
}
