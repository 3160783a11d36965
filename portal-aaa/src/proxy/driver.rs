//! The shell around the core: sockets, connections and the clock. One task owns the core; every socket has a task that
//! hands it what comes in.

use std::{io, net::Ipv4Addr, net::Ipv6Addr, net::SocketAddr, sync::Arc, time::Duration};

use rustls::ClientConfig;
use tokio::{
    net::UdpSocket,
    sync::mpsc::{self, error::TrySendError},
    task::JoinSet,
    time::{Instant, sleep_until},
};

pub(crate) use super::core::{Finished, How, Submit};
use super::{
    Settings, connect,
    core::{Core, MARK, Output, Place},
    health::State,
};
use crate::{server::clock::Clock, server::random};

/// Requests that wait for the core.
const SUBMITTED: usize = 1024;
/// Packets from home servers that wait for the core.
const RECEIVED: usize = 1024;
/// Packets that wait for a connection to take them.
pub(super) const TO_LINK: usize = 512;

/// What comes from a home server's side.
pub(super) enum Input {
    Received { peer: usize, lane: usize, octets: Vec<u8> },
    Link { peer: usize, up: bool },
}

/// Where requests go in.
pub(crate) struct Handle<T> {
    submits: mpsc::Sender<Submit<T>>,
    mark: [u8; MARK],
}

impl<T> Handle<T> {
    /// Hands a request over; gives it back when there is no room.
    pub(crate) fn submit(&self, submit: Submit<T>) -> Result<(), Box<Submit<T>>> {
        self.submits.try_send(submit).map_err(|error| match error {
            TrySendError::Full(submit) | TrySendError::Closed(submit) => Box::new(submit),
        })
    }

    /// Whether this Proxy-State is one of ours: the packet has been here before.
    pub(crate) fn is_ours(&self, proxy_state: &[u8]) -> bool {
        proxy_state.starts_with(&self.mark)
    }
}

/// The other end of a [`Handle`].
pub(crate) struct Driver<T> {
    submits: mpsc::Receiver<Submit<T>>,
    core: Core<T>,
    tls: Option<Arc<ClientConfig>>,
    clock: Clock,
}

/// A core and where requests go in. `tls` is for home servers that are reached by RadSec.
pub(crate) fn new<T>(
    settings: &Settings,
    tls: Option<Arc<ClientConfig>>,
    clock: Clock,
) -> io::Result<(Handle<T>, Driver<T>)> {
    let mut mark = [0; MARK];
    random::fill(&mut mark).map_err(|_| io::Error::other("the system has no random octets"))?;
    let (sender, submits) = mpsc::channel(SUBMITTED);
    Ok((Handle { submits: sender, mark }, Driver { submits, core: Core::new(settings, mark), tls, clock }))
}

/// How a packet gets to a peer.
enum Way {
    Udp(Vec<Arc<UdpSocket>>),
    /// `None` asks for a new connection.
    Link(mpsc::Sender<Option<Vec<u8>>>),
}

impl<T> Driver<T> {
    /// Works until every [`Handle`] is gone. `done` gets each request back once.
    pub(crate) async fn run(mut self, mut done: impl FnMut(T, Finished)) -> io::Result<()> {
        let (sender, mut inputs) = mpsc::channel(RECEIVED);
        let mut tasks = JoinSet::new();
        let mut ways = Vec::new();
        let mut names = Vec::new();
        for (peer, (name, place)) in self.core.places().enumerate() {
            names.push(name.to_owned());
            ways.push(open(peer, place, &mut tasks, &sender, self.tls.as_ref()).await?);
        }
        let mut dice = |octets: &mut [u8]| random::fill(octets).is_ok();
        loop {
            while let Some(output) = self.core.pop() {
                perform(output, &ways, &names, &mut done);
            }
            let now = self.clock.now().monotonic;
            let wait = self.core.next_timeout().map(|until| until.saturating_sub(now));
            tokio::select! {
                submitted = self.submits.recv() => match submitted {
                    Some(submit) => self.core.submit(self.clock.now().monotonic, &mut dice, submit),
                    None => return Ok(()),
                },
                Some(input) = inputs.recv() => {
                    let now = self.clock.now().monotonic;
                    match input {
                        Input::Received { peer, lane, octets } => {
                            self.core.receive(now, peer, lane, &octets);
                        }
                        Input::Link { peer, up } => self.core.link(now, &mut dice, peer, up),
                    }
                }
                () = after(wait) => self.core.timeout(self.clock.now().monotonic, &mut dice),
            }
        }
    }
}

/// Waits so long; without a time for ever.
async fn after(wait: Option<Duration>) {
    match wait {
        Some(wait) => sleep_until(Instant::now() + wait).await,
        None => std::future::pending().await,
    }
}

async fn open(
    peer: usize,
    place: &Place,
    tasks: &mut JoinSet<()>,
    inputs: &mpsc::Sender<Input>,
    tls: Option<&Arc<ClientConfig>>,
) -> io::Result<Way> {
    match (place, tls) {
        (Place::Udp(to), _) => {
            let mut sockets = Vec::new();
            for lane in 0..super::core::LANES {
                let socket = Arc::new(bind(*to).await?);
                tasks.spawn(receive(Arc::clone(&socket), peer, lane, inputs.clone()));
                sockets.push(socket);
            }
            Ok(Way::Udp(sockets))
        }
        (Place::RadSec { address, server_name }, Some(tls)) => {
            let (sender, packets) = mpsc::channel(TO_LINK);
            let link = connect::Link::new(peer, address, server_name, Arc::clone(tls))?;
            tasks.spawn(link.keep(packets, inputs.clone()));
            Ok(Way::Link(sender))
        }
        (Place::RadSec { .. }, None) => Err(io::Error::other("RadSec without [radsec] certificate")),
    }
}

/// Connected: the kernel drops what others send.
async fn bind(to: SocketAddr) -> io::Result<UdpSocket> {
    let own: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(own).await?;
    socket.connect(to).await?;
    Ok(socket)
}

async fn receive(socket: Arc<UdpSocket>, peer: usize, lane: usize, inputs: mpsc::Sender<Input>) {
    let mut buffer = vec![0; radius::MAX_PACKET];
    loop {
        // An error is an ICMP message about an earlier datagram: nobody listens there, and the timer will tell.
        let Ok(size) = socket.recv(&mut buffer).await else { continue };
        let octets = buffer.get(..size).unwrap_or_default().to_vec();
        if inputs.send(Input::Received { peer, lane, octets }).await.is_err() {
            return;
        }
    }
}

fn perform<T>(output: Output<T>, ways: &[Way], names: &[String], done: &mut impl FnMut(T, Finished)) {
    let name = |peer: usize| names.get(peer).map_or("", String::as_str);
    match output {
        // What cannot be sent now is lost, as on the wire: it is repeated.
        Output::Send { peer, lane, octets } => match ways.get(peer) {
            Some(Way::Udp(sockets)) => {
                if let Some(Err(error)) = sockets.get(lane).map(|socket| socket.try_send(&octets)) {
                    tracing::debug!(home_server = name(peer), %error, "not sent");
                }
            }
            Some(Way::Link(packets)) => drop(packets.try_send(Some(octets))),
            None => {}
        },
        Output::Done { ticket, finished } => done(ticket, finished),
        Output::Health { peer, state } => match state {
            State::Alive => tracing::info!(event = "home-server-alive", home_server = name(peer)),
            State::Suspect => tracing::warn!(event = "home-server-suspect", home_server = name(peer)),
            State::Dead => tracing::error!(event = "home-server-dead", home_server = name(peer)),
        },
        Output::Reconnect { peer } => {
            if let Some(Way::Link(packets)) = ways.get(peer) {
                let _ = packets.try_send(None);
            }
        }
        Output::Unproved { peer } => {
            let remedy = "upgrade it, or set its message_authenticator to \"off\"";
            tracing::warn!(event = "home-server-unproved", home_server = name(peer), remedy);
        }
    }
}
