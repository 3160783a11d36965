//! The modem on pseudo-terminals: a thread a port reads commands; answers and unsolicited lines are written back.
//!
//! The slave side of each port stays open here: otherwise reads fail whenever ModemManager closes the port.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::symlink,
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
    thread,
};

use anyhow::{Context as _, Result};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    pty::openpty,
    sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr},
    unistd::{read, ttyname, write},
};

use super::{
    Message, Order,
    modem::{Address, Identity, Modem, Session},
};

/// How soon a thread sees that the simulator ends.
const STOP_POLL_MS: u16 = 200;
/// No AT command of ModemManager is longer.
const MAX_LINE: usize = 1024;

/// A running modem; it ends when this is dropped.
pub(crate) struct Simulator {
    shared: Arc<Shared>,
    devices: Vec<PathBuf>,
}

struct Shared {
    modem: Mutex<Modem>,
    ports: Vec<Port>,
    /// Where beginnings and ends of data sessions are told: the packet gateway.
    network: Mutex<Option<Sender<Session>>>,
    /// Where messages go that the host sends: the message centre.
    centre: Mutex<Option<Sender<Message>>>,
    powered: AtomicBool,
    stopped: AtomicBool,
    transcript: Mutex<File>,
}

struct Port {
    name: &'static str,
    master: OwnedFd,
    _slave: OwnedFd,
    echo: AtomicBool,
}

impl Simulator {
    /// Starts it with two ports; `transcript` gets every line of both.
    pub(crate) fn start(identity: Identity, address: Address, transcript: &Path) -> Result<Self> {
        let mut ports = Vec::new();
        let mut devices = Vec::new();
        for name in ["ttyUSB0", "ttyUSB1"] {
            let pair = openpty(None, None).context("openpty")?;
            let mut raw = tcgetattr(&pair.slave)?;
            cfmakeraw(&mut raw);
            tcsetattr(&pair.slave, SetArg::TCSANOW, &raw)?;
            // A port that nobody reads must not stop the modem.
            fcntl(&pair.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            devices.push(ttyname(&pair.slave)?);
            ports.push(Port { name, master: pair.master, _slave: pair.slave, echo: AtomicBool::new(true) });
        }
        let shared = Arc::new(Shared {
            modem: Mutex::new(Modem::new(identity, address)),
            ports,
            network: Mutex::new(None),
            centre: Mutex::new(None),
            powered: AtomicBool::new(true),
            stopped: AtomicBool::new(false),
            transcript: Mutex::new(OpenOptions::new().create(true).append(true).open(transcript)?),
        });
        for index in 0..shared.ports.len() {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name(format!("at-port-{index}")).spawn(move || shared.serve(index))?;
        }
        Ok(Self { shared, devices })
    }

    /// Beginnings and ends of data sessions from now on.
    pub(crate) fn tell_sessions_to(&self, network: Sender<Session>) {
        *lock(&self.shared.network) = Some(network);
    }

    /// Messages that the host sends from now on.
    pub(crate) fn tell_messages_to(&self, centre: Sender<Message>) {
        *lock(&self.shared.centre) = Some(centre);
    }

    /// How many messages the card holds.
    pub(crate) fn messages_kept(&self) -> usize {
        lock(&self.shared.modem).kept()
    }

    /// Something happens to the modem.
    pub(crate) fn order(&self, order: &Order) {
        self.shared.order(order);
    }

    /// What `control` and the message centre need.
    pub(crate) fn orders(&self) -> impl Fn(&Order) + Send + 'static + use<> {
        let shared = Arc::clone(&self.shared);
        move |order| shared.order(order)
    }

    /// Tries at the PIN that the card has left.
    pub(crate) fn pin_tries(&self) -> u8 {
        lock(&self.shared.modem).pin_tries
    }

    /// Whether a data session is up.
    #[cfg(test)]
    pub(super) fn connected(&self) -> bool {
        lock(&self.shared.modem).session
    }

    /// Puts `ttyUSB0` and `ttyUSB1` into a folder.
    pub(crate) fn link_ports(&self, folder: &Path) -> Result<()> {
        for (port, device) in self.shared.ports.iter().zip(&self.devices) {
            let link = folder.join(port.name);
            let _ = fs::remove_file(&link);
            symlink(device, &link).with_context(|| link.display().to_string())?;
        }
        Ok(())
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn order(&self, order: &Order) {
        match order {
            Order::Unplug => self.powered.store(false, Ordering::Relaxed),
            Order::Plug => self.powered.store(true, Ordering::Relaxed),
            _ => {}
        }
        self.note("order", &format!("{order:?}"));
        let mut modem = lock(&self.modem);
        order.apply(&mut modem);
        self.after(&mut modem);
    }

    /// One port, until the end.
    fn serve(&self, index: usize) {
        let Some(port) = self.ports.get(index) else { return };
        let mut line = Vec::new();
        // A PDU is awaited, up to Ctrl-Z (TS 27.005 §3.5.1).
        let mut prompted = false;
        let mut buffer = [0; 512];
        let began = crate::clock::now();
        while !self.stopped.load(Ordering::Relaxed) {
            if index == 0 && self.powered.load(Ordering::Relaxed) {
                let mut modem = lock(&self.modem);
                modem.air(began.elapsed());
                self.after(&mut modem);
            }
            let mut wait = [PollFd::new(port.master.as_fd(), PollFlags::POLLIN)];
            match poll(&mut wait, PollTimeout::from(STOP_POLL_MS)) {
                Ok(0) | Err(Errno::EINTR) => continue,
                Ok(_) => {}
                Err(_) => return,
            }
            let Ok(length) = read(&port.master, &mut buffer) else { continue };
            for octet in buffer.get(..length).unwrap_or_default() {
                match octet {
                    0x1a if prompted => {
                        self.pdu(port, &std::mem::take(&mut line));
                        prompted = false;
                    }
                    b'\r' | b'\n' if prompted => {}
                    b'\r' | b'\n' => prompted = self.line(port, &std::mem::take(&mut line)),
                    0 => {}
                    _ if line.len() < MAX_LINE => line.push(*octet),
                    _ => line.clear(),
                }
            }
        }
    }

    fn pdu(&self, port: &Port, octets: &[u8]) {
        let mut modem = lock(&self.modem);
        let answer = modem.submit(&String::from_utf8_lossy(octets));
        self.note(&format!("{} <", port.name), answer.trim());
        port.write(&answer);
        self.after(&mut modem);
    }

    /// True where a PDU is wanted next.
    fn line(&self, port: &Port, octets: &[u8]) -> bool {
        let text = String::from_utf8_lossy(octets).trim().to_owned();
        if text.is_empty() || !self.powered.load(Ordering::Relaxed) {
            return false;
        }
        self.note(&format!("{} >", port.name), &text);
        if port.echo.load(Ordering::Relaxed) {
            port.write(&format!("{text}\r"));
        }
        // V.250 §6.2.4, per port.
        match text.to_ascii_uppercase().as_str() {
            "ATE0" => port.echo.store(false, Ordering::Relaxed),
            "ATE1" | "ATZ" => port.echo.store(true, Ordering::Relaxed),
            _ => {}
        }
        let mut modem = lock(&self.modem);
        if let Some(answer) = modem.line(&text) {
            self.note(&format!("{} <", port.name), answer.trim());
            port.write(&answer);
        }
        self.after(&mut modem);
        modem.take_prompted()
    }

    /// What a command or an order leads to besides its answer.
    fn after(&self, modem: &mut Modem) {
        let powered = self.powered.load(Ordering::Relaxed);
        for line in modem.take_unsolicited().iter().filter(|_| powered) {
            self.note("all <", line);
            self.ports.iter().for_each(|port| port.write(&format!("\r\n{line}\r\n")));
        }
        let network = lock(&self.network);
        for session in modem.take_sessions() {
            self.note("session", &format!("{session:?}"));
            if let Some(network) = network.as_ref() {
                // A gateway that is gone misses nothing.
                let _ = network.send(session);
            }
        }
        let centre = lock(&self.centre);
        for message in modem.take_sent() {
            if let Some(centre) = centre.as_ref() {
                let _ = centre.send(message);
            }
        }
    }

    fn note(&self, what: &str, text: &str) {
        let text = text.replace("\r\n", " | ");
        let _ = writeln!(lock(&self.transcript), "{} {what} {text}", crate::clock::unix_ms());
    }
}

impl Port {
    fn write(&self, text: &str) {
        // What does not fit is lost, as on a port that nobody reads.
        let _ = write(&self.master, text.as_bytes());
    }
}

/// A thread that died with the lock held has left nothing half done that matters here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
