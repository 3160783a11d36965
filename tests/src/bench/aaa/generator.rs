//! The load generator: sixteen stations that log in one after the other, each behind a UDP socket of its own.
//!
//! One thread; a closed loop, so a slow server is asked less often. The station keeps its credential, its card and,
//! where sessions are resumed, its session.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, UdpSocket},
    os::fd::AsFd as _,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::poll::{PollFd, PollFlags, poll};
use serde::Serialize;

use super::{
    login::{Login, Verdict},
    reply::Secret,
    shape::Shape,
    trust::Trust,
};
use crate::{bench::process, clock, peers::User};

/// Conversations at a time.
pub(super) const STATIONS: usize = 16;
/// After this a request is sent again.
const RETRANSMIT: Duration = Duration::from_secs(2);
/// Times that it is sent at most.
const ATTEMPTS: u32 = 4;
/// No run is longer, whatever happens.
const LIMIT: Duration = Duration::from_secs(120);

/// A server and how to log in there.
pub(super) struct Generator<'a> {
    shape: Shape,
    users: &'a [User],
    trust: &'a Trust,
    secret: Secret,
    stations: Vec<Station>,
    drawn: usize,
}

/// What a run gave.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Tally {
    /// Logins that ended.
    pub(super) logins: u64,
    /// Accepted, everything proved.
    pub(super) accepted: u64,
    /// Access-Reject.
    pub(super) refused: u64,
    /// Of those accepted, with a resumed session.
    pub(super) resumed: u64,
    /// Requests sent more than once.
    pub(super) again: u64,
    /// Access-Requests of the accepted logins.
    pub(super) requests: u64,
    /// What went wrong, and how often.
    pub(super) wrong: BTreeMap<String, u64>,
    /// Seconds.
    pub(super) wall_secs: f64,
    /// CPU of the generator, microseconds.
    pub(super) own_cpu_us: f64,
}

struct Station {
    socket: UdpSocket,
    identifier: u8,
    peer: super::trust::Station,
    login: Option<(Login, Instant, u32)>,
}

impl<'a> Generator<'a> {
    /// Sockets to `server`. `strict`: it must put Message-Authenticator first.
    pub(super) fn new(
        server: SocketAddr,
        strict: bool,
        shape: Shape,
        users: &'a [User],
        trust: &'a Trust,
        stations: usize,
    ) -> Result<Self> {
        ensure!(!users.is_empty(), "nobody to log in");
        let stations = (0..stations).map(|_| Station::new(server, trust, shape)).collect::<Result<_>>()?;
        let secret = Secret::new(crate::peers::SECRET, strict);
        Ok(Self { shape, users, trust, secret, stations, drawn: 0 })
    }

    /// `logins` logins, and how they ended.
    pub(super) fn run(&mut self, logins: u64) -> Result<Tally> {
        let mut tally = Tally::default();
        let (began, before) = (clock::now(), process::cost(std::process::id())?);
        let mut begun = 0;
        let mut octets = [0; 4096];
        while tally.logins < logins && began.elapsed() < LIMIT {
            for at in 0..self.stations.len() {
                if begun < logins && self.stations.get(at).is_some_and(|station| station.login.is_none()) {
                    self.begin(at)?;
                    begun += 1;
                }
            }
            for at in self.ready()? {
                self.hear(at, &mut octets, &mut tally)?;
            }
            self.again(&mut tally)?;
        }
        tally.wall_secs = began.elapsed().as_secs_f64();
        tally.own_cpu_us = process::cost(std::process::id())?.scheduled_us - before.scheduled_us;
        Ok(tally)
    }

    /// Begins `count` logins one after the other and leaves each after `requests` answered requests.
    pub(super) fn leave_open(&mut self, count: usize, requests: u32) -> Result<()> {
        let mut octets = [0; 4096];
        for _ in 0..count {
            self.begin(0)?;
            let station = self.stations.first_mut().context("station")?;
            let (mut login, ..) = station.login.take().context("login")?;
            station.socket.set_nonblocking(false)?;
            station.socket.set_read_timeout(Some(RETRANSMIT))?;
            while login.rounds <= requests {
                let length = station.socket.recv(&mut octets).context("no answer")?;
                station.identifier = station.identifier.wrapping_add(1);
                let reply = octets.get(..length).unwrap_or_default();
                match login.reply(reply, station.identifier, &self.secret)? {
                    Verdict::Next if login.rounds <= requests => drop(station.socket.send(login.request())?),
                    Verdict::Next => {}
                    other => anyhow::bail!("half a login ended: {other:?}"),
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, at: usize) -> Result<()> {
        // Stride: neighbours in the list are neighbours in a database, and stations are not.
        let user = self.users.get(self.drawn * 7919 % self.users.len()).context("user")?;
        let station = self.stations.get_mut(at).context("station")?;
        station.identifier = station.identifier.wrapping_add(1);
        let login = match self.shape.mode.method() {
            None => Login::pap(user, station.identifier, &self.secret)?,
            Some(method) => {
                // Who resumes a session is who began it.
                let own = self.users.get(at % self.users.len()).context("user")?;
                let user = if self.shape.mode.resumes() { own } else { user };
                let peer = Arc::new(self.trust.peer(&station.peer, user, method));
                Login::eap(peer, user, station.identifier, &self.secret)?
            }
        };
        self.drawn += 1;
        station.send(login, 1)
    }

    fn ready(&self) -> Result<Vec<usize>> {
        let mut polled: Vec<PollFd<'_>> = self
            .stations
            .iter()
            .map(|station| PollFd::new(station.socket.as_fd(), PollFlags::POLLIN))
            .collect();
        poll(&mut polled, 100_u16)?;
        let readable = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
        Ok(polled.iter().enumerate().filter(|(_, fd)| readable(fd)).map(|(at, _)| at).collect())
    }

    fn hear(&mut self, at: usize, octets: &mut [u8], tally: &mut Tally) -> Result<()> {
        let station = self.stations.get_mut(at).context("station")?;
        // A refused connection (nobody listens) shows as silence.
        let Ok(length) = station.socket.recv(octets) else { return Ok(()) };
        let Some((mut login, sent, tries)) = station.login.take() else { return Ok(()) };
        let next = station.identifier.wrapping_add(1);
        match login.reply(octets.get(..length).unwrap_or_default(), next, &self.secret)? {
            Verdict::Next => {
                station.identifier = next;
                return station.send(login, 1);
            }
            Verdict::Ignored => {
                station.login = Some((login, sent, tries));
                return Ok(());
            }
            Verdict::Accepted => {
                tally.accepted += 1;
                tally.requests += u64::from(login.rounds);
                tally.resumed += u64::from(login.resumed());
            }
            Verdict::Refused => tally.refused += 1,
            Verdict::Wrong(what) => *tally.wrong.entry(what).or_default() += 1,
        }
        tally.logins += 1;
        Ok(())
    }

    fn again(&mut self, tally: &mut Tally) -> Result<()> {
        for station in &mut self.stations {
            let Some((login, sent, tries)) = station.login.take() else { continue };
            if sent.elapsed() < RETRANSMIT {
                station.login = Some((login, sent, tries));
            } else if tries < ATTEMPTS {
                tally.again += 1;
                station.send(login, tries + 1)?;
            } else {
                *tally.wrong.entry("no answer".to_owned()).or_default() += 1;
                tally.logins += 1;
            }
        }
        Ok(())
    }
}

impl Station {
    fn new(server: SocketAddr, trust: &Trust, shape: Shape) -> Result<Self> {
        let socket = UdpSocket::bind((server.ip(), 0))?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, identifier: 0, peer: trust.station(shape), login: None })
    }

    fn send(&mut self, login: Login, tries: u32) -> Result<()> {
        // Where nobody listens the answer to the last one is an error of this one: it counts as lost.
        let _ = self.socket.send(login.request());
        self.login = Some((login, clock::now(), tries));
        Ok(())
    }
}
