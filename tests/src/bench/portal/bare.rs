//! What an issue is compared with: a server that does TLS handshakes and nothing else, in a process of its own.
//!
//! Certificate, TLS provider and settings are the portal's own ([`portal_aaa::portal::tls::load`]). As lean as it can
//! be: one thread, blocking sockets, one connection after the other.

use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustls::{ServerConfig, ServerConnection};

use crate::{
    peers::START_LIMIT,
    text::Follower,
    world::{daemon::Daemon, netns::Netns},
};

/// A peer that says nothing for so long has gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the process prints when it listens, before its address.
const LISTENING: &str = "listening on ";

/// The process itself: serves until it is killed.
pub(in crate::bench) fn serve(certificate: &Path, key: &Path) -> Result<()> {
    let config = portal_aaa::portal::tls::load(certificate, key)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{LISTENING}{}", listener.local_addr()?);
    io::stdout().flush()?;
    loop {
        let (stream, _) = listener.accept()?;
        // One peer's fault is not the next one's.
        if let Err(error) = handshake(&config, stream) {
            eprintln!("{error:#}");
        }
    }
}

fn handshake(config: &Arc<ServerConfig>, mut stream: TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut tls = ServerConnection::new(Arc::clone(config))?;
    while tls.is_handshaking() {
        tls.complete_io(&mut stream)?;
    }
    while tls.wants_write() {
        tls.write_tls(&mut stream)?;
    }
    // Until the peer's goodbye; whoever ends without one ends, too.
    while tls.read_tls(&mut stream)? > 0 {
        if tls.process_new_packets()?.peer_has_closed() {
            break;
        }
    }
    tls.send_close_notify();
    tls.write_tls(&mut stream)?;
    Ok(())
}

/// The running process.
pub(super) struct Bare {
    daemon: Daemon,
    /// Where it listens.
    pub(super) address: SocketAddr,
}

impl Bare {
    /// Starts it.
    pub(super) fn start(name: &str, certificate: &Path, key: &Path, logs: &Path) -> Result<Self> {
        let own = std::env::current_exe()?.display().to_string();
        let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
        let words = [&own, "bench", "portal", "--bare", &certificate, &key];
        let mut daemon = Daemon::new(name, &Netns::here(), logs, &words);
        daemon.start()?;
        daemon.ready(LISTENING, START_LIMIT)?;
        let lines = Follower::new(daemon.log()).lines()?;
        let address = lines.iter().find_map(|line| line.strip_prefix(LISTENING)).context("no address")?;
        Ok(Self { address: address.parse()?, daemon })
    }

    /// Its process.
    pub(super) fn pid(&self) -> Result<u32> {
        self.daemon.pid().context("the bare server is not running")
    }
}
