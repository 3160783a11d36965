//! A TCP download that begins on one link and ends after the move: paced, checked octet by octet, ended on command.
//!
//! The client asks with seed and pace; the server streams until the client sends one octet, then appends the trailer
//! and closes.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Result, anyhow};
use socket2::{Domain, Protocol, Type};

use super::pattern::{Pattern, Verifier, trailer};
use crate::{clock, world::netns::Netns};

/// How often the server sends a piece.
const EVERY: Duration = Duration::from_millis(50);
/// How soon a thread sees that it is to end.
const WAKE: Duration = Duration::from_millis(100);
/// How long the client waits for the end after it asked for it, or for anything at all.
const PATIENCE: Duration = Duration::from_secs(20);
/// Seed, octets a second.
const REQUEST: usize = 12;

/// What came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Downloaded {
    /// Octets received.
    pub(crate) bytes: u64,
    /// All that were sent, and each of them right.
    pub(crate) intact: bool,
    /// Connections broken off: reset, or without a sign of life.
    pub(crate) resets: u64,
}

/// How the connection is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carried {
    /// One path from begin to end.
    Tcp,
    /// MPTCP (RFC 8684): further paths as the kernel's path manager is told.
    Mptcp,
}

/// Streams to whoever asks.
pub(crate) struct DownloadServer {
    stop: Arc<AtomicBool>,
}

impl DownloadServer {
    /// Starts its thread.
    pub(crate) fn start(place: &Netns, address: SocketAddr) -> Result<Self> {
        // A listener of MPTCP takes plain TCP as well.
        let listener = place.inside(|| listen(address))??;
        listener.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        thread::Builder::new().name("download-server".into()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let Ok((client, _)) = listener.accept() else {
                    clock::pause(WAKE);
                    continue;
                };
                let stopped = Arc::clone(&stopped);
                // Without a thread the client sees its connection closed, and says so.
                let _ =
                    thread::Builder::new().name("download".into()).spawn(move || stream(client, &stopped));
            }
        })?;
        Ok(Self { stop })
    }
}

impl Drop for DownloadServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let protocols = [Protocol::MPTCP, Protocol::TCP];
    let made = protocols
        .map(|protocol| socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(protocol)));
    let [multipath, plain] = made;
    let socket = multipath.or(plain)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(16)?;
    Ok(socket.into())
}

fn connect(server: SocketAddr, carried: Carried) -> std::io::Result<TcpStream> {
    if carried == Carried::Tcp {
        return TcpStream::connect_timeout(&server, PATIENCE);
    }
    let socket = socket2::Socket::new(Domain::for_address(server), Type::STREAM, Some(Protocol::MPTCP))?;
    socket.connect_timeout(&server.into(), PATIENCE)?;
    Ok(socket.into())
}

/// One client. An error is the client's to notice.
fn stream(mut client: TcpStream, stop: &AtomicBool) -> std::io::Result<()> {
    client.set_nonblocking(false)?;
    client.set_nodelay(true)?;
    client.set_read_timeout(Some(PATIENCE))?;
    let mut request = [0; REQUEST];
    client.read_exact(&mut request)?;
    let [seed, pace] = parse(request);
    let piece = (pace * u64::try_from(EVERY.as_millis()).unwrap_or(1) / 1000).clamp(1, 1 << 20);
    let mut pattern = Pattern::new(seed);
    let mut sent = 0;
    client.set_read_timeout(Some(EVERY))?;
    while !stop.load(Ordering::Relaxed) {
        let mut octets = vec![0; usize::try_from(piece).unwrap_or(1)];
        pattern.fill(&mut octets);
        client.write_all(&octets)?;
        sent += piece;
        // Waiting for the word to end is the pace.
        match client.read(&mut [0]) {
            Ok(_) => break,
            Err(error) if timed_out(&error) => {}
            Err(error) => return Err(error),
        }
    }
    client.write_all(&trailer(sent))?;
    client.shutdown(std::net::Shutdown::Write)
}

fn parse(request: [u8; REQUEST]) -> [u64; 2] {
    let (seed, pace) = request.split_at(8);
    [seed, pace].map(|octets| octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
}

/// A running download.
pub(crate) struct Download {
    finish: Arc<Asked>,
    reader: Option<JoinHandle<Downloaded>>,
}

/// That the download is to end, and how long it may stay silent then.
#[derive(Debug, Default)]
struct Asked {
    now: AtomicBool,
    patience_ms: AtomicU64,
}

impl Download {
    /// Connects from `place` and begins to read.
    pub(crate) fn start(
        place: &Netns,
        server: SocketAddr,
        carried: Carried,
        octets_a_second: u32,
    ) -> Result<Self> {
        let mut socket = place.inside(|| connect(server, carried))??;
        let seed = clock::unix_ms() | 1;
        let request = [&seed.to_be_bytes()[..], &octets_a_second.to_be_bytes()].concat();
        socket.write_all(&request)?;
        socket.set_read_timeout(Some(WAKE))?;
        let finish = Arc::new(Asked::default());
        let asked = Arc::clone(&finish);
        let reader = thread::Builder::new()
            .name("download-reader".into())
            .spawn(move || read(socket, Verifier::new(seed), &asked))?;
        Ok(Self { finish, reader: Some(reader) })
    }

    /// Asks the server to end, and reads the rest.
    pub(crate) fn finish(self) -> Result<Downloaded> {
        self.finish_within(PATIENCE)
    }

    /// The same where a connection that stays silent for so long counts as broken.
    pub(crate) fn finish_within(mut self, patience: Duration) -> Result<Downloaded> {
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        self.finish.patience_ms.store(patience, Ordering::Relaxed);
        self.finish.now.store(true, Ordering::Release);
        let reader = self.reader.take().ok_or_else(|| anyhow!("the download is over"))?;
        reader.join().map_err(|_| anyhow!("a traffic thread died"))
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.finish.now.store(true, Ordering::Release);
    }
}

fn read(mut socket: TcpStream, mut verifier: Verifier, finish: &Asked) -> Downloaded {
    let mut octets = vec![0; 1 << 16];
    let mut asked = false;
    let mut patience = PATIENCE;
    let mut heard = clock::now();
    let resets = loop {
        if finish.now.load(Ordering::Acquire) && !std::mem::replace(&mut asked, true) {
            heard = clock::now();
            patience = Duration::from_millis(finish.patience_ms.load(Ordering::Relaxed));
            if socket.write_all(b"E").is_err() {
                break 1;
            }
        }
        match socket.read(&mut octets) {
            Ok(0) => break 0,
            Ok(length) => {
                heard = clock::now();
                verifier.take(octets.get(..length).unwrap_or_default());
            }
            Err(error) if timed_out(&error) && clock::now() < heard + patience => {}
            Err(_) => break 1,
        }
    };
    Downloaded { bytes: verifier.octets(), intact: verifier.intact(), resets }
}

fn timed_out(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
