//! The accept loop: TCP, TLS, HTTP, each step bounded in time, all connections bounded in number.
//!
//! A connection carries one request and is closed: devices come a few times a day, and an idle connection would
//! hold a place for nothing.

use std::{convert::Infallible, io, net::IpAddr, pin::pin, sync::Arc, time::Duration};

use axum::body::Body;
use hyper::{body::Incoming, http::Request, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    Portal,
    service::answer,
    slots::{Slot, Slots},
};

/// A request's line and headers; the agent's are under 300 octets.
const MAX_HEADER: usize = 8 * 1024;
const MAX_HEADERS: usize = 32;
/// Wait when accepting fails, mostly for want of file descriptors: they come back as connections end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// For requests under way when the portal is asked to stop.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Serves until `stop`, then lets what is under way finish.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    portal: Arc<Portal>,
    stop: impl Future<Output = ()>,
) {
    let acceptor = TlsAcceptor::from(tls);
    let slots = Slots::new(portal.limits.connections, portal.limits.connections_per_address);
    let mut open = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let source = peer.ip().to_canonical();
                    // Those that have ended; to be woken for each of them would cost more.
                    while open.try_join_next().is_some() {}
                    match portal.place(&slots, source) {
                        Ok(slot) => drop(open.spawn(connection(stream, source, acceptor.clone(), Arc::clone(&portal), slot))),
                        // Closed at once: to answer would take the place that there is not.
                        Err(full) => tracing::warn!(event = "connection-refused", detail = full.code(), %source, "connection refused"),
                    }
                }
                Err(error) => {
                    tracing::warn!(event = "accept-failed", %error, "cannot accept connections");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    if timeout(STOP_GRACE, async { while open.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!(event = "portal-stopped", connections = open.len(), "connections cut off");
    }
}

async fn connection(
    stream: TcpStream,
    source: IpAddr,
    acceptor: TlsAcceptor,
    portal: Arc<Portal>,
    _slot: Slot,
) {
    let limit = portal.limits.connection;
    let ended = match timeout(limit, exchange(stream, source, acceptor, portal)).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error,
        Err(_) => Ended::Slow("connection"),
    };
    tracing::debug!(event = "connection-ended", detail = %ended, %source, "connection ended early");
}

/// Why a connection did not get to an answer; nothing that a peer does here deserves more than a debug line.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{0} took too long")]
    Slow(&'static str),
    #[error("TLS: {0}")]
    Tls(io::Error),
    #[error("HTTP: {0}")]
    Http(hyper::Error),
}

async fn exchange(
    stream: TcpStream,
    source: IpAddr,
    acceptor: TlsAcceptor,
    portal: Arc<Portal>,
) -> Result<(), Ended> {
    let limits = portal.limits;
    // An answer must not wait until the peer has acknowledged the end of the handshake.
    stream.set_nodelay(true).map_err(Ended::Tls)?;
    let stream = timeout(limits.handshake, acceptor.accept(stream))
        .await
        .map_err(|_| Ended::Slow("handshake"))?
        .map_err(Ended::Tls)?;
    let portal = &*portal;
    let service = service_fn(|http: Request<Incoming>| async move {
        Ok::<_, Infallible>(answer(portal, source, http.map(Body::new)).await)
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(Ended::Http)
}
