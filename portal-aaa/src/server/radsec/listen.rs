//! The accept loop and the connections of RadSec, each step bounded in time, all of it bounded in number.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncWriteExt as _, ReadHalf, WriteHalf, split},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    Acceptor, Link,
    frame::{self, FrameError},
    names::carries,
};
use crate::{
    server::{
        drops::Why,
        origin::Origin,
        request,
        shared::{Shared, locked},
    },
    store::ClientKind,
};

/// Connections at once; an access point has one, a controller or proxy a few.
const CONNECTIONS: usize = 512;
/// Of one address.
const OF_ONE: usize = 16;
/// TLS takes two round trips.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Without a packet; who wants to keep a quiet connection sends Status-Server (RFC 3539 §3.4).
const IDLE: Duration = Duration::from_secs(600);
/// A peer that does not read its answers.
const WRITE: Duration = Duration::from_secs(10);
/// Requests of one connection that are worked on at once; the others wait in the peer's send buffer.
const IN_FLIGHT: usize = 64;
/// Answers of one connection that wait to be written.
const ANSWERS: usize = 256;
/// Wait when accepting fails, mostly for want of file descriptors: they come back as connections end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until it is dropped.
pub(in crate::server) async fn serve(shared: Arc<Shared>, acceptor: Acceptor) -> io::Result<()> {
    acceptor.listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(acceptor.listener)?;
    let tls = TlsAcceptor::from(acceptor.tls);
    let places = Arc::new(Places::default());
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    let from = SocketAddr::new(from.ip().to_canonical(), from.port());
                    // Who cannot be a client gets no handshake.
                    if shared.clients().at(from.ip(), ClientKind::Nas).next().is_none() {
                        shared.drops.count(Why::UnknownClient, from.ip());
                        continue;
                    }
                    match Place::take(&places, from.ip()) {
                        Some(place) => {
                            let (shared, tls) = (Arc::clone(&shared), tls.clone());
                            open.spawn(async move {
                                connection(shared, tls, stream, from).await;
                                drop(place);
                            });
                        }
                        None => shared.drops.count(Why::Overload, from.ip()),
                    }
                }
                Err(error) => {
                    tracing::warn!(event = "accept-failed", %error, "cannot accept RadSec connections");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = open.join_next(), if !open.is_empty() => {}
        }
    }
}

async fn connection(shared: Arc<Shared>, tls: TlsAcceptor, stream: TcpStream, from: SocketAddr) {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    // Small packets, each waited for.
    let _ = stream.set_nodelay(true);
    let stream = match timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::warn!(event = "radsec-refused", from = %from.ip(), %error);
            return;
        }
        Err(_) => {
            tracing::warn!(event = "radsec-refused", from = %from.ip(), error = "handshake took too long");
            return;
        }
    };
    let Some(client) = identify(&shared, &stream, from.ip()) else {
        let error = "its certificate carries the name of no access point of this address";
        tracing::warn!(event = "radsec-refused", from = %from.ip(), error);
        return;
    };
    let (answers, queue) = mpsc::channel(ANSWERS);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let link = Arc::new(Link { number, from, client, answers });
    tracing::info!(event = "radsec-connected", nas = link.client, from = %from.ip());
    let (reader, writer) = split(stream);
    // Whichever ends first ends the connection.
    let ended = tokio::select! {
        ended = read(&shared, &link, reader) => ended,
        ended = write(queue, writer) => ended,
    };
    tracing::info!(event = "radsec-closed", nas = link.client, from = %from.ip(), detail = %ended);
}

/// The access point of this address whose name the certificate carries.
fn identify(shared: &Shared, stream: &TlsStream<TcpStream>, address: IpAddr) -> Option<String> {
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates()?.first()?;
    let clients = shared.clients();
    let mut here = clients.at(address, ClientKind::Nas);
    here.find(|client| carries(leaf, &client.name)).map(|client| client.name.clone())
}

async fn read(
    shared: &Arc<Shared>,
    link: &Arc<Link>,
    mut stream: ReadHalf<TlsStream<TcpStream>>,
) -> FrameError {
    let in_flight = Arc::new(Semaphore::new(IN_FLIGHT));
    loop {
        let octets = match timeout(IDLE, frame::read(&mut stream)).await {
            Ok(Ok(octets)) => octets,
            Ok(Err(error)) => return error,
            Err(_) => return FrameError::Closed,
        };
        let Ok(permit) = Arc::clone(&in_flight).acquire_owned().await else { return FrameError::Closed };
        let (shared, origin) = (Arc::clone(shared), Origin::Connection(Arc::clone(link)));
        // A login is computation, and this thread has all other connections to serve.
        drop(tokio::task::spawn_blocking(move || {
            request::serve(&shared, &origin, &octets);
            drop(permit);
        }));
    }
}

async fn write(
    mut queue: mpsc::Receiver<Vec<u8>>,
    mut stream: WriteHalf<TlsStream<TcpStream>>,
) -> FrameError {
    while let Some(answer) = queue.recv().await {
        let written = timeout(WRITE, async {
            stream.write_all(&answer).await?;
            // Several answers leave in one record where they are there.
            if queue.is_empty() { stream.flush().await } else { Ok(()) }
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.into(),
            Err(_) => return FrameError::Closed,
        }
    }
    FrameError::Closed
}

/// Places for connections.
#[derive(Default)]
struct Places(Mutex<HashMap<IpAddr, usize>>);

/// One of them; free again when it goes.
struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Place {
    fn take(places: &Arc<Places>, address: IpAddr) -> Option<Self> {
        let mut taken = locked(&places.0);
        let all: usize = taken.values().sum();
        let here = taken.entry(address).or_default();
        if all >= CONNECTIONS || *here >= OF_ONE {
            return None;
        }
        *here += 1;
        Some(Self { places: Arc::clone(places), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = locked(&self.places.0);
        if let Some(here) = taken.get_mut(&self.address) {
            *here = here.saturating_sub(1);
        }
        taken.retain(|_, here| *here > 0);
    }
}
