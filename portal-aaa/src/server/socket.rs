//! A UDP socket that a thread can wait on and still be stopped.

use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};

/// How long a thread waits before it looks whether it shall stop.
const LOOK_UP: Duration = Duration::from_millis(200);
/// Holds a burst of some thousand requests; the kernel may grant less.
const RECEIVE_BUFFER: usize = 4 << 20;

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
    socket.set_read_timeout(Some(LOOK_UP))?;
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

/// Hands every datagram to `handle` until `stop`. Any number of threads may do this on one socket.
pub(super) fn receive(socket: &UdpSocket, stop: &AtomicBool, handle: impl Fn(&[u8], SocketAddr)) {
    let mut buffer = vec![0; ::radius::MAX_PACKET];
    while !stop.load(Ordering::Relaxed) {
        match socket.recv_from(&mut buffer) {
            Ok((size, from)) => handle(buffer.get(..size).unwrap_or_default(), from),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                tracing::error!(event = "radius-receive", %error);
                std::thread::sleep(LOOK_UP);
            }
        }
    }
}
