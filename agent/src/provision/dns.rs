//! A small stub resolver that asks one link's own name servers, over that link.
//!
//! The system's resolver would ask whatever servers the default route has, and tell them by which operator's
//! portal this device is served; here neither happens. UDP, and TCP where the answer is truncated (RFC 1035
//! §4.2, RFC 7766 §5). [`http`](super::http) is the only caller.

mod message;

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use hickory_proto::rr::Name;
use socket2::{Domain, Protocol, Socket, Type};

pub use self::message::Service;
use self::message::{Kind, Question, Reply};

/// Times that each server is asked.
const TRIES: u32 = 2;
/// Servers that are asked.
const MAX_SERVERS: usize = 3;
/// Longest look-up, whatever the caller allows.
const MAX_TIME: Duration = Duration::from_secs(30);
/// After one kind of address has come, how long the other is waited for (RFC 8305 §3 has 50 ms; cellular is slower).
const OTHER_KIND: Duration = Duration::from_millis(300);
/// Datagrams that one try reads, so that a flood of forged ones cannot hold it.
const MAX_DATAGRAMS: usize = 32;

/// Why a name has no address.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// Not a host name.
    #[error("not a host name")]
    BadName,
    /// The link has no name server.
    #[error("the link has no name servers")]
    NoServer,
    /// NXDOMAIN.
    #[error("the name does not exist")]
    NoSuchName,
    /// The name is there, without an address.
    #[error("the name has no address")]
    NoAddress,
    /// SERVFAIL, REFUSED and the like (RFC 1035 §4.1.1).
    #[error("the name server answered with code {0}")]
    Refused(u16),
    /// No server answered in time.
    #[error("no name server answered")]
    Silent,
    /// A socket failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The resolver of one link.
#[derive(Debug, Clone)]
pub struct Stub {
    interface: String,
    servers: Vec<SocketAddr>,
}

impl Stub {
    /// Asks `servers` on port 53 by `interface`.
    pub fn new(interface: &str, servers: &[IpAddr]) -> Self {
        Self::with_servers(interface, servers.iter().map(|address| SocketAddr::new(*address, 53)).collect())
    }

    /// The same with ports.
    pub fn with_servers(interface: &str, mut servers: Vec<SocketAddr>) -> Self {
        servers.truncate(MAX_SERVERS);
        Self { interface: interface.to_owned(), servers }
    }

    /// Addresses of `host`, IPv4 first because that is what the bearer has. An address in place of a name is its
    /// own answer, in a URL's brackets or without.
    pub fn resolve(&self, host: &str, limit: Duration) -> Result<Vec<IpAddr>, DnsError> {
        if let Some(address) = literal(host) {
            return Ok(vec![address]);
        }
        let name = message::name(host).ok_or(DnsError::BadName)?;
        self.each_server(limit, |server, until| {
            message::verdict(self.ask(server, &name, &[Kind::A, Kind::Aaaa], until)?)
        })
    }

    /// Where the service `name` is, in the order in which to try (RFC 2782).
    pub fn services(&self, name: &str, limit: Duration) -> Result<Vec<Service>, DnsError> {
        let name = message::name(name).ok_or(DnsError::BadName)?;
        let mut found = self.each_server(limit, |server, until| {
            message::found(self.ask(server, &name, &[Kind::Srv], until)?)
        })?;
        // A higher weight comes first more often; how much more need not be exact for a few portals.
        let mut keyed = Vec::new();
        for service in found.drain(..) {
            let chance = u32::from(random_id()?) * 1024 / (u32::from(service.weight) + 1);
            keyed.push((service.priority, chance, service));
        }
        keyed.sort_by_key(|(priority, chance, _)| (*priority, *chance));
        Ok(keyed.into_iter().map(|(.., service)| service).collect())
    }

    /// Each server in turn, until one gives the zone's word or all time is used.
    fn each_server<T>(
        &self,
        limit: Duration,
        ask: impl Fn(SocketAddr, Instant) -> Result<T, DnsError>,
    ) -> Result<T, DnsError> {
        let limit = limit.min(MAX_TIME);
        let deadline = now() + limit;
        let asks = u32::try_from(self.servers.len()).unwrap_or(1).max(1) * TRIES;
        let mut last = DnsError::NoServer;
        for _ in 0..TRIES {
            for server in &self.servers {
                let until = deadline.min(now() + limit / asks);
                match ask(*server, until) {
                    Ok(found) => return Ok(found),
                    // The zone's word: another server can only repeat it.
                    Err(error @ (DnsError::NoSuchName | DnsError::NoAddress)) => return Err(error),
                    Err(error) => last = error,
                }
            }
        }
        Err(last)
    }

    /// One try at one server, for all kinds at once.
    fn ask(
        &self,
        server: SocketAddr,
        name: &Name,
        kinds: &[Kind],
        until: Instant,
    ) -> Result<Vec<Question>, DnsError> {
        let socket = self.udp(server)?;
        let mut questions = Vec::new();
        for kind in kinds {
            questions.push(Question::new(random_id()?, *kind));
        }
        for question in &questions {
            socket.send(&question.octets(name).ok_or(DnsError::BadName)?)?;
        }
        let mut until = until;
        let mut buffer = [0u8; 4096];
        for _ in 0..MAX_DATAGRAMS {
            if questions.iter().all(Question::is_answered) {
                break;
            }
            let Some(length) = receive(&socket, &mut buffer, until)? else { break };
            let datagram = buffer.get(..length).unwrap_or_default();
            for question in &mut questions {
                let reply = match question.read(datagram, name) {
                    Some(Reply::Truncated) => self.ask_tcp(server, question, name, until)?,
                    Some(reply) => reply,
                    None => continue,
                };
                if matches!(reply, Reply::Addresses(_)) {
                    until = until.min(now() + OTHER_KIND);
                }
                question.answer(reply);
            }
        }
        Ok(questions)
    }

    fn udp(&self, server: SocketAddr) -> io::Result<UdpSocket> {
        let socket = Socket::new(Domain::for_address(server), Type::DGRAM, Some(Protocol::UDP))?;
        socket.bind_device(Some(self.interface.as_bytes()))?;
        // Connected: the kernel picks a random port and drops what does not come from the server (RFC 5452 §9).
        socket.connect(&server.into())?;
        Ok(socket.into())
    }

    /// The same question over TCP, two octets of length before each message (RFC 1035 §4.2.2).
    fn ask_tcp(
        &self,
        server: SocketAddr,
        question: &Question,
        name: &Name,
        until: Instant,
    ) -> Result<Reply, DnsError> {
        let left = left(until).ok_or(DnsError::Silent)?;
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, Some(Protocol::TCP))?;
        socket.bind_device(Some(self.interface.as_bytes()))?;
        socket.connect_timeout(&server.into(), left)?;
        let mut stream: TcpStream = socket.into();
        stream.set_write_timeout(Some(left))?;
        let octets = question.octets(name).ok_or(DnsError::BadName)?;
        let length = u16::try_from(octets.len()).map_err(|_| DnsError::BadName)?;
        stream.write_all(&[&length.to_be_bytes()[..], &octets].concat())?;
        let mut length = [0u8; 2];
        read_full(&mut stream, &mut length, until)?;
        let mut message = vec![0u8; usize::from(u16::from_be_bytes(length))];
        read_full(&mut stream, &mut message, until)?;
        match question.read(&message, name) {
            Some(Reply::Truncated) | None => Err(DnsError::Silent),
            Some(reply) => Ok(reply),
        }
    }
}

/// An IP address written where a name could stand; IPv6 in brackets as in a URL (RFC 3986 §3.2.2).
fn literal(host: &str) -> Option<IpAddr> {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    host.parse::<Ipv4Addr>().ok().map(IpAddr::V4).or_else(|| host.parse::<Ipv6Addr>().ok().map(IpAddr::V6))
}

/// One datagram, or none when the time is over.
fn receive(socket: &UdpSocket, buffer: &mut [u8], until: Instant) -> io::Result<Option<usize>> {
    let Some(left) = left(until) else { return Ok(None) };
    socket.set_read_timeout(Some(left))?;
    match socket.recv(buffer) {
        Ok(length) => Ok(Some(length)),
        Err(error) if is_late(&error) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Some(0)),
        Err(error) => Err(error),
    }
}

fn read_full(stream: &mut TcpStream, buffer: &mut [u8], until: Instant) -> Result<(), DnsError> {
    let mut done = 0;
    while done < buffer.len() {
        stream.set_read_timeout(Some(left(until).ok_or(DnsError::Silent)?))?;
        match stream.read(buffer.get_mut(done..).unwrap_or_default()) {
            Ok(0) => return Err(DnsError::Silent),
            Ok(length) => done += length,
            Err(error) if is_late(&error) => return Err(DnsError::Silent),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Message ids are what keeps a forger out (RFC 5452 §9.2).
fn random_id() -> Result<u16, DnsError> {
    let mut octets = [0u8; 2];
    getrandom::fill(&mut octets).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(u16::from_be_bytes(octets))
}

fn left(until: Instant) -> Option<Duration> {
    let left = until.saturating_duration_since(now());
    // Under a millisecond the socket's own timer would round to "for ever" or to nothing.
    (left >= Duration::from_millis(1)).then_some(left)
}

#[expect(
    clippy::disallowed_methods,
    reason = "blocking sockets on a thread of their own: the deadline is theirs"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
pub(super) mod tests;
