//! RADIUS over UDP: authentication and accounting, each with its socket and threads.
//!
//! `portal-aaa serve` calls [`spawn`] after it has opened the store and made the credential authority and the
//! gateway table; it has to give nothing else. The client table follows `portal-aaa nas add` and `gateway add`
//! within a second. Threads, not tasks: a login is computation (TLS), not waiting.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    num::NonZero,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use ::radius::{Duplicates, Limits};

pub use super::certificate::{CertificateError, Terms};
use super::{
    accounting, authentication, certificate::Watch, clients::Clients, clock::Clock, drops::Drops, socket,
};
use crate::{
    aaa::{
        directory::{Directory, Sessions},
        engine::Engine,
    },
    accounting::{feed::GatewayFeed, writer},
    credential::Keys,
    store::Store,
};

/// How often the database is asked whether the client table has changed, and what is too old is dropped.
const TICK: Duration = Duration::from_secs(1);
/// Dropped packets are reported once in this many ticks.
const REPORT_EVERY: u32 = 10;
/// Accounting requests that may wait for the disk; more are left to be sent again.
const WAITING: usize = 4096;
/// Most threads that work on logins.
const MAX_THREADS: usize = 16;
/// RFC 5080 §2.2.2: no less than 5 seconds, no more than 30.
const DUPLICATES: Limits = Limits { lifetime: Duration::from_secs(20), open: 16_384, settled: 16_384 };

/// The `[radius]` table of the configuration, paths resolved.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where Access-Requests come in. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where Accounting-Requests come in. Port 0 takes a free one.
    pub accounting_listen: SocketAddr,
    /// What the AAA shows to stations inside EAP.
    pub stations: Terms,
}

/// What the listeners work with.
#[derive(Clone)]
pub struct Parts {
    /// Client table and accounting.
    pub store: Arc<dyn Store>,
    /// Opens the clients' shared secrets.
    pub keys: Arc<Keys>,
    /// Who may log on: `credential::Authority`.
    pub directory: Arc<dyn Directory>,
    /// Counts who is on.
    pub sessions: Arc<dyn Sessions>,
    /// Where packet gateways' accounting goes: `gateway`'s table.
    pub feed: Arc<dyn GatewayFeed>,
    /// The one clock.
    pub clock: Clock,
}

/// Why the listeners could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is taken or not ours.
    #[error("cannot listen on udp {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[from] io::Error),
    /// Certificate or key cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// The running listeners. They stop when this goes; what accounting was received is written first.
pub struct Running {
    shared: Arc<Shared>,
    address: SocketAddr,
    accounting_address: SocketAddr,
    tick: Option<mpsc::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

/// What all threads see.
pub(super) struct Shared {
    pub(super) engine: Engine,
    pub(super) clock: Clock,
    pub(super) drops: Drops,
    pub(super) logins: Mutex<Duplicates>,
    pub(super) reports: Mutex<Duplicates>,
    clients: RwLock<Arc<Clients>>,
    stop: AtomicBool,
    parts: Parts,
}

/// Binds both sockets and starts the threads. Returns when requests are being served.
pub fn spawn(settings: &Settings, parts: Parts) -> Result<Running, StartError> {
    let (certificate, eap) = Watch::start(settings.stations.clone())?;
    let engine = Engine::new(eap, Arc::clone(&parts.directory), Arc::clone(&parts.sessions));
    let bind = |address| socket::bind(address).map_err(|source| StartError::Listen { address, source });
    let logins = bind(settings.listen)?;
    let reports = bind(settings.accounting_listen)?;
    let shared = Arc::new(Shared {
        engine,
        clock: parts.clock,
        drops: Drops::default(),
        logins: Mutex::new(Duplicates::new(DUPLICATES)),
        reports: Mutex::new(Duplicates::new(DUPLICATES)),
        clients: RwLock::default(),
        stop: AtomicBool::new(false),
        parts,
    });
    let mut generation = None;
    shared.reload(&mut generation);
    let (tick, ticks) = mpsc::channel();
    let mut running = Running {
        address: logins.local_addr()?,
        accounting_address: reports.local_addr()?,
        shared: Arc::clone(&shared),
        tick: Some(tick),
        threads: Vec::new(),
    };
    running.start("radius-tick", move |shared| shared.housekeeping(&ticks, generation, certificate))?;
    running.start_accounting(reports)?;
    for _ in 0..thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS) {
        let socket = logins.try_clone()?;
        running.start("radius-auth", move |shared| {
            socket::receive(&socket, &shared.stop, |datagram, from| {
                authentication::datagram(shared, &socket, datagram, from);
            });
        })?;
    }
    tracing::info!(event = "radius-ready", auth = %running.address, accounting = %running.accounting_address);
    Ok(running)
}

impl Running {
    /// Where Access-Requests are served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where Accounting-Requests are served.
    pub fn accounting_address(&self) -> SocketAddr {
        self.accounting_address
    }

    /// Packets dropped so far.
    pub fn drops(&self) -> &Drops {
        &self.shared.drops
    }

    /// Stops serving and waits until what was received is done.
    pub fn stop(self) {}

    fn start_accounting(&mut self, socket: UdpSocket) -> io::Result<()> {
        let (jobs, queue) = mpsc::sync_channel(WAITING);
        let reply = socket.try_clone()?;
        self.start("acct-writer", move |shared| {
            let (store, feed) = (&*shared.parts.store, &*shared.parts.feed);
            let mut failing = false;
            writer::run(&queue, store, feed, |ticket, written| {
                accounting::written(shared, &reply, ticket, written, &mut failing);
            });
        })?;
        // The one sender goes with this thread, and that ends the writer.
        self.start("radius-acct", move |shared| {
            socket::receive(&socket, &shared.stop, |datagram, from| {
                accounting::datagram(shared, &socket, &jobs, datagram, from);
            });
        })
    }

    fn start(&mut self, name: &str, work: impl FnOnce(&Shared) + Send + 'static) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        self.threads.push(thread::Builder::new().name(name.to_owned()).spawn(move || work(&shared))?);
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.tick = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!(event = "radius-panic", "a thread had died");
            }
        }
        self.shared.drops.report();
    }
}

impl Shared {
    /// The client table as of now.
    pub(super) fn clients(&self) -> Arc<Clients> {
        Arc::clone(&self.clients.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Once a tick until the other end goes.
    fn housekeeping(&self, ticks: &mpsc::Receiver<()>, mut generation: Option<u64>, mut certificate: Watch) {
        for tick in 1u32.. {
            if ticks.recv_timeout(TICK) != Err(mpsc::RecvTimeoutError::Timeout) {
                return;
            }
            self.reload(&mut generation);
            if let Some(eap) = certificate.poll() {
                self.engine.renew(eap);
            }
            let now = self.clock.now().monotonic;
            self.engine.expire(now);
            for duplicates in [&self.logins, &self.reports] {
                duplicates.lock().unwrap_or_else(PoisonError::into_inner).expire(now);
            }
            if tick.is_multiple_of(REPORT_EVERY) {
                self.drops.report();
            }
        }
    }

    /// Reads the client table when it has changed. While the database is away the last one holds.
    fn reload(&self, generation: &mut Option<u64>) {
        let store = &*self.parts.store;
        let news = store.generation().and_then(|newer| {
            if *generation == Some(newer) {
                return Ok(None);
            }
            Ok(Some((newer, Clients::load(store, &self.parts.keys)?)))
        });
        match news {
            Ok(None) => {}
            Ok(Some((newer, clients))) => {
                tracing::info!(event = "clients-loaded", count = clients.len());
                *generation = Some(newer);
                *self.clients.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(clients);
            }
            Err(error) => tracing::warn!(event = "clients-stale", %error),
        }
    }
}
