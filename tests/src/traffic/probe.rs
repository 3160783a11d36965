//! The HTTP server that tells whether the Internet is there: `GET /generate_204` gets 204, or a captive portal's
//! redirection where switched so.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Result;

use crate::{clock, world::netns::Netns};

/// How soon the thread sees that it is to end.
const WAKE: Duration = Duration::from_millis(50);
/// How long a client may take for its request.
const PATIENCE: Duration = Duration::from_secs(2);
/// A request's head.
const MAX_HEAD: usize = 4096;

const ONLINE: &str = "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const CAPTIVE: &str =
    "HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const UNKNOWN: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A running server.
pub(crate) struct ProbeServer {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    captive: AtomicBool,
    answered: AtomicU64,
    stop: AtomicBool,
}

impl ProbeServer {
    /// Starts its thread.
    pub(crate) fn start(place: &Netns, address: SocketAddr) -> Result<Self> {
        let listener = place.inside(|| TcpListener::bind(address))??;
        listener.set_nonblocking(true)?;
        let made = Self { shared: Arc::default() };
        let shared = Arc::clone(&made.shared);
        thread::Builder::new().name("probe-server".into()).spawn(move || {
            while !shared.stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    // A client that gives up is no matter.
                    Ok((client, _)) => drop(shared.answer(client)),
                    Err(_) => clock::pause(WAKE),
                }
            }
        })?;
        Ok(made)
    }

    /// From now on a captive portal, or not.
    pub(crate) fn set_captive(&self, captive: bool) {
        self.shared.captive.store(captive, Ordering::Relaxed);
    }

    /// How many probes were answered.
    #[cfg(test)]
    pub(super) fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }
}

impl Drop for ProbeServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn answer(&self, mut client: TcpStream) -> std::io::Result<()> {
        client.set_nonblocking(false)?;
        client.set_read_timeout(Some(PATIENCE))?;
        client.set_write_timeout(Some(PATIENCE))?;
        let mut head = Vec::new();
        let mut piece = [0; 512];
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            let length = client.read(&mut piece)?;
            if length == 0 || head.len() > MAX_HEAD {
                return Ok(());
            }
            head.extend_from_slice(piece.get(..length).unwrap_or_default());
        }
        let answer = match head.starts_with(b"GET /generate_204 ") {
            true if self.captive.load(Ordering::Relaxed) => CAPTIVE,
            true => ONLINE,
            false => UNKNOWN,
        };
        client.write_all(answer.as_bytes())?;
        self.answered.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
