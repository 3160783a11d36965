//! UDP echo, 50 packets a second. An unconnected socket's source address follows the routes, as that of many VPN
//! clients; a connected one keeps the address that it began with, as that of a call.

use std::{
    collections::{HashMap, HashSet},
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};

use crate::{clock, world::netns::Netns};

/// 50 a second, as a call's voice packets.
const EVERY: Duration = Duration::from_millis(20);
/// A voice packet: 160 octets of 20 ms of G.711, ours among them.
const SIZE: usize = 160;
/// How long after the last packet its echo may come.
const LAST_ECHO: Duration = Duration::from_secs(2);
/// How soon a thread sees that it is to end.
const WAKE: Duration = Duration::from_millis(100);

/// What became of the packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Echoed {
    /// Packets sent, those that the kernel refused among them.
    pub(crate) sent: u64,
    /// Echoes that never came.
    pub(crate) lost: u64,
    /// Longest time without an echo, from the first packet on.
    pub(crate) longest_gap_ms: u64,
    /// Echoes that came after one of a later packet.
    pub(crate) reordered: u64,
}

/// Whether the socket keeps its source address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Socket {
    /// Unconnected.
    Free,
    /// Connected.
    Connected,
}

/// Since when which address a client's packets come from, by the client's port.
type Sources = Arc<Mutex<HashMap<u16, Vec<(Instant, IpAddr)>>>>;

/// Sends back what comes.
pub(crate) struct EchoServer {
    stop: Arc<AtomicBool>,
    sources: Sources,
}

impl EchoServer {
    /// Starts its thread.
    pub(crate) fn start(place: &Netns, address: SocketAddr) -> Result<Self> {
        let socket = place.inside(|| UdpSocket::bind(address))??;
        socket.set_read_timeout(Some(WAKE))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let sources = Sources::default();
        let noted = Arc::clone(&sources);
        thread::Builder::new().name("echo-server".into()).spawn(move || {
            let mut packet = [0; 2048];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut packet) {
                    note(&noted, from);
                    // No way back at this moment is a lost packet, and counted by the client.
                    let _ = socket.send_to(packet.get(..length).unwrap_or_default(), from);
                }
            }
        })?;
        Ok(Self { stop, sources })
    }

    /// All changes of the address that this client's packets come from, the first address among them.
    pub(super) fn history(&self, port: u16) -> Vec<(Instant, IpAddr)> {
        lock(&self.sources).get(&port).cloned().unwrap_or_default()
    }
}

fn note(sources: &Sources, from: SocketAddr) {
    let mut sources = lock(sources);
    let known = sources.entry(from.port()).or_default();
    if known.last().is_none_or(|(_, last)| *last != from.ip()) {
        known.push((clock::now(), from.ip()));
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A running client.
pub(crate) struct Echo {
    port: u16,
    tally: Arc<Mutex<Tally>>,
    stop: Arc<AtomicBool>,
    sender: Option<JoinHandle<()>>,
    receiver: Option<JoinHandle<()>>,
}

impl Echo {
    /// Begins to send.
    pub(crate) fn start(place: &Netns, server: SocketAddr, kind: Socket) -> Result<Self> {
        let socket = place.inside(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))??;
        if kind == Socket::Connected {
            socket.connect(server)?;
        }
        let port = socket.local_addr()?.port();
        socket.set_read_timeout(Some(WAKE))?;
        let tally = Arc::new(Mutex::new(Tally::new(clock::now())));
        let stop = Arc::new(AtomicBool::new(false));
        let sender = {
            let (socket, tally, stop) = (socket.try_clone()?, Arc::clone(&tally), Arc::clone(&stop));
            thread::Builder::new()
                .name("echo-sender".into())
                .spawn(move || send(&socket, server, kind, &tally, &stop))?
        };
        let receiver = {
            let (tally, stop) = (Arc::clone(&tally), Arc::clone(&stop));
            thread::Builder::new()
                .name("echo-receiver".into())
                .spawn(move || receive(&socket, &tally, &stop))?
        };
        Ok(Self { port, tally, stop, sender: Some(sender), receiver: Some(receiver) })
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The longest silence since the last call, the one that still lasts among them.
    pub(crate) fn gap(&self) -> Duration {
        lock(&self.tally).gap(clock::now())
    }

    /// Stops sending, waits for the last echoes.
    pub(crate) fn finish(mut self) -> Result<Echoed> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in [self.sender.take(), self.receiver.take()].into_iter().flatten() {
            thread.join().map_err(|_| anyhow!("a traffic thread died"))?;
        }
        Ok(lock(&self.tally).result())
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn send(socket: &UdpSocket, server: SocketAddr, kind: Socket, tally: &Mutex<Tally>, stop: &AtomicBool) {
    let mut next = clock::now();
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let mut packet = number.to_be_bytes().to_vec();
        packet.resize(SIZE, 0);
        lock(tally).sent(number);
        // Refused by the kernel, for want of a route, is lost as well.
        let _ = match kind {
            Socket::Free => socket.send_to(&packet, server),
            Socket::Connected => socket.send(&packet),
        };
        next += EVERY;
        let now = clock::now();
        if now > next + WAKE {
            // A machine that stood still does not make up for it by a burst.
            next = now;
        }
        clock::pause(next.saturating_duration_since(now));
    }
}

fn receive(socket: &UdpSocket, tally: &Mutex<Tally>, stop: &AtomicBool) {
    let mut packet = [0; 2048];
    let mut end = None;
    loop {
        match socket.recv_from(&mut packet) {
            Ok((length, _)) => {
                let number = packet.get(..length).and_then(|octets| octets.first_chunk::<8>());
                if let Some(number) = number {
                    lock(tally).echoed(u64::from_be_bytes(*number), clock::now());
                }
            }
            // ICMP errors of a link that went away come here; the packets they mean are counted anyway.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => clock::pause(Duration::from_millis(1)),
        }
        if stop.load(Ordering::Relaxed) {
            let end = *end.get_or_insert_with(|| clock::now() + LAST_ECHO);
            if lock(tally).complete() || clock::now() >= end {
                return;
            }
        }
    }
}

/// Counts. Pure.
#[derive(Debug)]
struct Tally {
    sent: u64,
    /// Packets whose echo is outstanding.
    open: HashSet<u64>,
    highest: Option<u64>,
    reordered: u64,
    last: Instant,
    longest: Duration,
    /// The longest since somebody asked.
    window: Duration,
}

impl Tally {
    fn new(now: Instant) -> Self {
        Self {
            sent: 0,
            open: HashSet::new(),
            highest: None,
            reordered: 0,
            last: now,
            longest: Duration::ZERO,
            window: Duration::ZERO,
        }
    }

    fn sent(&mut self, number: u64) {
        self.sent += 1;
        self.open.insert(number);
    }

    /// An echo that nobody waits for is a duplicate and says nothing.
    fn echoed(&mut self, number: u64, now: Instant) {
        if !self.open.remove(&number) {
            return;
        }
        let silence = now.saturating_duration_since(self.last);
        self.longest = self.longest.max(silence);
        self.window = self.window.max(silence);
        self.last = now;
        if self.highest > Some(number) {
            self.reordered += 1;
        }
        self.highest = self.highest.max(Some(number));
    }

    fn gap(&mut self, now: Instant) -> Duration {
        std::mem::take(&mut self.window).max(now.saturating_duration_since(self.last))
    }

    fn complete(&self) -> bool {
        self.open.is_empty()
    }

    fn result(&self) -> Echoed {
        Echoed {
            sent: self.sent,
            lost: u64::try_from(self.open.len()).unwrap_or(u64::MAX),
            longest_gap_ms: u64::try_from(self.longest.as_millis()).unwrap_or(u64::MAX),
            reordered: self.reordered,
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_gaps_and_order_are_counted() {
        let start = clock::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut tally = Tally::new(start);
        (0..6).for_each(|number| tally.sent(number));
        for (number, ms) in [(0, 5), (1, 25), (3, 200), (2, 210), (2, 900)] {
            tally.echoed(number, at(ms));
        }
        assert_eq!(tally.result(), Echoed { sent: 6, lost: 2, longest_gap_ms: 175, reordered: 1 });
        assert!(!tally.complete());
        assert_eq!(tally.gap(at(220)), Duration::from_millis(175));
        assert_eq!(tally.gap(at(910)), Duration::from_millis(700), "a silence that lasts counts");
    }
}
