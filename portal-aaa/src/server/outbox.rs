//! Answers to datagrams that were taken together leave together: one system call, and the asker is woken once for all of
//! them and not for each. An answer that was made soon waits for those after it, [`LONGEST`] at most.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    net::{SocketAddr, UdpSocket},
    os::fd::AsRawFd as _,
    sync::Arc,
    time::Duration,
};

use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg};

/// Answers that leave at once.
const MOST: usize = 16;
/// An answer waits no longer than this for the next to be finished: a tenth of what the air alone costs a station.
const LONGEST: Duration = Duration::from_micros(200);

thread_local! {
    static OUTBOX: RefCell<Option<Outbox>> = const { RefCell::new(None) };
}

/// What one thread has not sent yet.
struct Outbox {
    /// All answers of a batch leave by the socket that its requests came to.
    socket: Arc<UdpSocket>,
    /// Buffers are used again; only the first `waiting` of them hold an answer.
    answers: Vec<(Vec<u8>, SocketAddr)>,
    waiting: usize,
    headers: MultiHeaders<SockaddrStorage>,
    /// When there was nothing to send, last.
    since: Duration,
    /// Whose answers the kernel did not take.
    unsent: Vec<SocketAddr>,
}

/// Sends an answer: with the batch where this thread works on one that came by this socket, at once elsewhere.
pub(super) fn send(socket: &Arc<UdpSocket>, answer: &[u8], to: SocketAddr) -> io::Result<()> {
    OUTBOX.with_borrow_mut(|outbox| match outbox {
        Some(outbox) if Arc::ptr_eq(&outbox.socket, socket) => {
            outbox.put(answer, to);
            Ok(())
        }
        _ => socket.send_to(answer, to).map(drop),
    })
}

/// From here on [`send`] collects.
pub(super) fn open(socket: &Arc<UdpSocket>) {
    OUTBOX.set(Some(Outbox {
        socket: Arc::clone(socket),
        answers: Vec::new(),
        waiting: 0,
        headers: MultiHeaders::preallocate(MOST, None),
        since: Duration::ZERO,
        unsent: Vec::new(),
    }));
}

/// One datagram has been handled at `now`: sends what has waited long enough.
pub(super) fn handled(now: Duration) {
    OUTBOX.with_borrow_mut(|outbox| {
        let Some(outbox) = outbox else { return };
        if outbox.waiting >= MOST || now.saturating_sub(outbox.since) >= LONGEST {
            outbox.flush();
        }
        if outbox.waiting == 0 {
            outbox.since = now;
        }
    });
}

/// Sends all of it: the batch is over, or this thread is about to wait for something else. Tells whose answers the
/// kernel has refused since it was asked last.
pub(super) fn flush() -> Vec<SocketAddr> {
    OUTBOX.with_borrow_mut(|outbox| {
        outbox.as_mut().map_or_else(Vec::new, |outbox| {
            outbox.flush();
            std::mem::take(&mut outbox.unsent)
        })
    })
}

/// Sends all of it before the batch is over; who was not reached, [`flush`] tells.
pub(super) fn flush_early() {
    OUTBOX.with_borrow_mut(|outbox| outbox.as_mut().map_or((), Outbox::flush));
}

/// From here on [`send`] sends.
pub(super) fn close() {
    flush();
    OUTBOX.set(None);
}

impl Outbox {
    fn put(&mut self, answer: &[u8], to: SocketAddr) {
        if self.waiting >= MOST {
            self.flush();
        }
        match self.answers.get_mut(self.waiting) {
            Some((buffer, address)) => {
                buffer.clear();
                buffer.extend_from_slice(answer);
                *address = to;
            }
            None => self.answers.push((answer.to_vec(), to)),
        }
        self.waiting += 1;
    }

    fn flush(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let Some(answers) = self.answers.get(..waiting) else { return };
        let sent = match answers {
            [] => return,
            [(answer, to)] => usize::from(self.socket.send_to(answer, *to).is_ok()),
            several => together(&self.socket, &mut self.headers, several),
        };
        // The kernel stops at the one that it does not take; the others have nothing to do with that one.
        let rest = answers.get(sent..).unwrap_or_default();
        for (answer, to) in rest {
            if let Err(error) = self.socket.send_to(answer, *to) {
                tracing::debug!(event = "radius-send", %error);
                self.unsent.push(*to);
            }
        }
    }
}

/// How many of them the kernel took, from the first on.
fn together(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<SockaddrStorage>,
    answers: &[(Vec<u8>, SocketAddr)],
) -> usize {
    let slices: Vec<_> = answers.iter().map(|(answer, _)| [IoSlice::new(answer)]).collect();
    let addresses: Vec<_> = answers.iter().map(|(_, to)| Some(SockaddrStorage::from(*to))).collect();
    let none: [ControlMessage<'_>; 0] = [];
    sendmmsg(socket.as_raw_fd(), headers, slices.iter(), addresses, none, MsgFlags::empty())
        .map_or(0, Iterator::count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(address: &str) -> (Arc<UdpSocket>, UdpSocket) {
        let peer = UdpSocket::bind(address).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        (Arc::new(UdpSocket::bind(address).unwrap()), peer)
    }

    fn next(peer: &UdpSocket) -> Vec<u8> {
        let mut buffer = [0; 100];
        let length = peer.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    }

    #[test]
    fn answers_of_a_batch_leave_whole_and_in_order() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let (socket, peer) = pair(address);
            open(&socket);
            // More than fit: the first ones leave by themselves, and buffers are used again.
            for number in 0..40_u8 {
                send(&socket, &vec![number; usize::from(number) + 1], peer.local_addr().unwrap()).unwrap();
            }
            assert_eq!(flush(), []);
            for number in 0..40_u8 {
                assert_eq!(next(&peer), vec![number; usize::from(number) + 1]);
            }
            close();
        }
    }

    #[test]
    fn one_that_cannot_be_sent_holds_up_no_other() {
        let (socket, peer) = pair("127.0.0.1:0");
        open(&socket);
        let good = peer.local_addr().unwrap();
        // Port 0 is no destination: EINVAL.
        let bad = SocketAddr::from(([127, 0, 0, 1], 0));
        for to in [good, bad, good] {
            send(&socket, b"answer", to).unwrap();
        }
        assert_eq!(flush(), [bad]);
        assert_eq!((next(&peer), next(&peer)), (b"answer".to_vec(), b"answer".to_vec()));
        close();
    }

    #[test]
    fn what_waits_leaves_in_time() {
        let (socket, peer) = pair("127.0.0.1:0");
        let to = peer.local_addr().unwrap();
        open(&socket);
        handled(Duration::from_secs(1));
        send(&socket, b"first", to).unwrap();
        handled(Duration::from_secs(1) + LONGEST / 2);
        peer.set_nonblocking(true).unwrap();
        assert!(peer.recv(&mut [0; 9]).is_err(), "it waits");
        handled(Duration::from_secs(1) + LONGEST);
        peer.set_nonblocking(false).unwrap();
        assert_eq!(next(&peer), b"first");
        close();
        send(&socket, b"second", to).unwrap();
        assert_eq!(next(&peer), b"second", "at once, outside of a batch");
    }
}
