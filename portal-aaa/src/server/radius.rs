//! RADIUS over UDP: authentication and accounting, each with its socket and threads.
//!
//! `portal-aaa serve` calls [`spawn`] after it has opened the store and made the credential authority and the
//! gateway table; it has to give nothing else. The client table follows `portal-aaa nas add` and `gateway add`
//! within a second. Threads, not tasks: a login is computation (TLS), not waiting.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, atomic::Ordering, mpsc},
    thread::{self, JoinHandle},
};

use tokio::sync::watch;

pub use super::certificate::{CertificateError, Terms};
use super::{
    accounting::{self, Ticket},
    certificate::Watch,
    clock::Clock,
    disconnect,
    drops::{Drops, Why},
    forward::{self, Forwarding},
    net::{self, Work},
    origin::{Origin, Port},
    patient::Patient,
    radsec::{self, Acceptor},
    request,
    shared::Shared,
    socket::{self, Crew},
};
use crate::{
    aaa::{
        directory::{Directory, Sessions},
        engine::Engine,
    },
    accounting::{
        ending::Endings,
        feed::GatewayFeed,
        writer::{self, Job},
    },
    credential::Keys,
    proxy::{self, Routes, driver::Driver},
    store::Store,
};

/// Accounting requests that may wait for the disk; more are left to be sent again.
const WAITING: usize = 4096;

/// The `[radius]` table of the configuration, paths resolved.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where Access-Requests come in. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where Accounting-Requests come in. Port 0 takes a free one.
    pub accounting_listen: SocketAddr,
    /// What the AAA shows to stations inside EAP.
    pub stations: Terms,
    /// RADIUS over TLS.
    pub radsec: Option<radsec::Settings>,
    /// What stands after the `@` of our own names.
    pub realm: String,
    /// Where other realms are at home.
    pub proxy: proxy::Settings,
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
    /// Which sessions must end: `accounting::live`'s table. None: none ever must.
    pub endings: Option<Arc<dyn Endings>>,
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
    /// An address is taken or not ours.
    #[error("cannot listen on tcp {address}")]
    Connections {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// RadSec's certificates cannot be used.
    #[error("RadSec: {0}")]
    RadSec(#[from] radsec::tls::TlsError),
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
    radsec_address: Option<SocketAddr>,
    tick: Option<mpsc::Sender<()>>,
    net: watch::Sender<()>,
    crews: [Arc<Crew>; 2],
    threads: Vec<JoinHandle<()>>,
    writer: Option<JoinHandle<()>>,
}

/// Binds both sockets and starts the threads. Returns when requests are being served.
pub fn spawn(settings: &Settings, parts: Parts) -> Result<Running, StartError> {
    let (certificate, eap) = Watch::start(settings.stations.clone())?;
    let engine =
        Engine::new(eap, Arc::new(Patient(Arc::clone(&parts.directory))), Arc::clone(&parts.sessions));
    let bind = |address| socket::bind(address).map_err(|source| StartError::Listen { address, source });
    let logins = Arc::new(Crew::new(Arc::new(bind(settings.listen)?)));
    let reports = Arc::new(Crew::new(Arc::new(bind(settings.accounting_listen)?)));
    let (writer, jobs) = mpsc::sync_channel(WAITING);
    let (forwarding, driver) = forwarding(settings, parts.clock)?;
    let acceptor = settings.radsec.as_ref().map(acceptor).transpose()?.flatten();
    let shared = Arc::new(Shared::new(engine, parts, forwarding, writer));
    let mut generation = None;
    shared.reload(&mut generation);
    let (tick, ticks) = mpsc::channel();
    let mut running = Running {
        address: logins.address()?,
        accounting_address: reports.address()?,
        shared: Arc::clone(&shared),
        tick: Some(tick),
        radsec_address: None,
        net: watch::Sender::new(()),
        crews: [Arc::clone(&logins), Arc::clone(&reports)],
        threads: Vec::new(),
        writer: None,
    };
    running.start("radius-tick", move |shared| shared.housekeeping(&ticks, generation, certificate))?;
    running.writer = Some(running.spawn("acct-writer", move |shared| write(shared, &jobs))?);
    running.listen("radius-acct", Port::Accounting, &reports)?;
    for _ in 0..net::workers() {
        running.listen("radius-auth", Port::Authentication, &logins)?;
    }
    let work = Work { acceptor, driver };
    running.radsec_address = work.acceptor.as_ref().map(|a| a.listener.local_addr()).transpose()?;
    if work.acceptor.is_some() || work.driver.is_some() {
        let stopped = running.net.subscribe();
        running.start("radius-net", move |shared| match net::runtime() {
            Ok(runtime) => net::run(shared, &runtime, work, stopped),
            Err(error) => tracing::error!(event = "radsec-failed", %error),
        })?;
    }
    if let Some(endings) = shared.parts.endings.clone() {
        let socket = disconnect::bind(settings.listen.ip())?;
        running.start("disconnect", move |shared| disconnect::run(shared, &socket, &*endings))?;
    }
    tracing::info!(event = "radius-ready", auth = %running.address, accounting = %running.accounting_address);
    Ok(running)
}

/// The socket and certificates of RadSec, where it is listened for.
fn acceptor(settings: &radsec::Settings) -> Result<Option<Acceptor>, StartError> {
    let Some(address) = settings.listen else { return Ok(None) };
    let listener = socket::listen(address).map_err(|source| StartError::Connections { address, source })?;
    Ok(Some(Acceptor { listener, tls: radsec::tls::server(settings)? }))
}

/// Who knows where other realms are, and who takes requests there.
fn forwarding(
    settings: &Settings,
    clock: Clock,
) -> Result<(Forwarding, Option<Driver<forward::Ticket>>), StartError> {
    let routes = Routes::new(&settings.realm, &settings.proxy);
    if settings.proxy.home_servers.is_empty() {
        return Ok((Forwarding { routes, handle: None }, None));
    }
    let tls = settings.radsec.as_ref().filter(|_| settings.proxy.needs_tls());
    let tls = tls.map(radsec::tls::client).transpose()?;
    let (handle, driver) = proxy::driver::new(&settings.proxy, tls, clock)?;
    Ok((Forwarding { routes, handle: Some(handle) }, Some(driver)))
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

    /// Where RadSec is served.
    pub fn radsec_address(&self) -> Option<SocketAddr> {
        self.radsec_address
    }

    /// Packets dropped so far.
    pub fn drops(&self) -> &Drops {
        &self.shared.drops
    }

    /// Looks at once for what else is looked for once a second: another certificate, other clients.
    pub fn reload(&self) {
        // The other end goes only when this does.
        if let Some(tick) = &self.tick {
            let _ = tick.send(());
        }
    }

    /// Stops serving and waits until what was received is done.
    pub fn stop(self) {}

    fn listen(&mut self, name: &str, port: Port, crew: &Arc<Crew>) -> io::Result<()> {
        let crew = Arc::clone(crew);
        self.start(name, move |shared| {
            let unsent = |to: SocketAddr| shared.drops.count(Why::NoAnswer, to.ip());
            let serve = |socket: &Arc<UdpSocket>, datagram: &[u8], from| {
                let origin = Origin::Datagram { socket: Arc::clone(socket), port, from };
                request::serve(shared, &origin, datagram);
            };
            crew.receive(shared.clock, &shared.stop, serve, unsent);
        })
    }

    fn start(&mut self, name: &str, work: impl FnOnce(&Arc<Shared>) + Send + 'static) -> io::Result<()> {
        let thread = self.spawn(name, work)?;
        self.threads.push(thread);
        Ok(())
    }

    fn spawn(
        &self,
        name: &str,
        work: impl FnOnce(&Arc<Shared>) + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let shared = Arc::clone(&self.shared);
        thread::Builder::new().name(name.to_owned()).spawn(move || work(&shared))
    }
}

/// Writes reports until no more can come.
fn write(shared: &Shared, jobs: &mpsc::Receiver<Job<Ticket>>) {
    let mut failing = false;
    writer::run(jobs, &*shared.parts.store, &*shared.parts.feed, |ticket, written| {
        accounting::written(shared, ticket, written, &mut failing);
    });
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.tick = None;
        self.crews.iter().for_each(|crew| crew.wake());
        self.net.send_replace(());
        // The writer last: it ends when no more reports can come, and has then written all.
        let threads: Vec<_> = self.threads.drain(..).collect();
        let died = threads.into_iter().filter_map(|thread| thread.join().err()).count();
        self.shared.close_writer();
        let died = died + usize::from(self.writer.take().is_some_and(|writer| writer.join().is_err()));
        if died > 0 {
            tracing::error!(event = "radius-panic", died, "threads had died");
        }
        self.shared.drops.report();
    }
}
