//! The network's side of a data session: the packet gateway tells portal-aaa whose address it is, by RADIUS
//! accounting (3GPP TS 29.061 §16.4.3), and opens and shuts the way for packets.
//!
//! A report is sent until it is acknowledged (RFC 5080 §2.2.1, at an even pace), and they are sent one after the
//! other, so that Stop never overtakes Start.

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use radius::{AttributeType as A, Builder, Code, Packet, Vendor, check_reply, tgpp};

use super::modem::Session;
use crate::{clock, world::netns::Netns};

/// How soon a report is sent again, and how often the thread looks at what else there is.
const REPEAT_EVERY: Duration = Duration::from_millis(500);
/// Reports that may wait for portal-aaa; the oldest go first.
const MAX_WAITING: usize = 64;

/// Acct-Status-Type (RFC 2866 §5.1).
const START: u32 = 1;
const STOP: u32 = 2;
const INTERIM: u32 = 3;
const ON: u32 = 7;

/// Who tells whom about whom.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Where the gateway is.
    pub(crate) place: Netns,
    /// portal-aaa's accounting port.
    pub(crate) server: SocketAddr,
    /// Secret shared with it.
    pub(crate) secret: String,
    /// The SIM that the network has authenticated.
    pub(crate) imsi: String,
    /// The equipment.
    pub(crate) imei: String,
    /// What the session gets.
    pub(crate) address: Ipv4Addr,
    /// Between two interim reports.
    pub(crate) interim: Duration,
    /// Interface at `place` that carries the session: up while it lasts.
    pub(crate) link: Option<String>,
}

/// A running gateway; it falls silent when this is dropped.
pub(crate) struct Gateway {
    shared: Arc<Shared>,
}

struct Shared {
    imsi: Mutex<String>,
    silent: AtomicBool,
    acknowledged: AtomicU64,
    stopped: AtomicBool,
}

impl Gateway {
    /// Starts it; `sessions` is what the modem tells.
    pub(crate) fn start(settings: Settings, sessions: Receiver<Session>) -> Result<Self> {
        let server = settings.server;
        let socket = settings.place.inside(|| -> Result<UdpSocket> {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.connect(server).context("packet gateway: no way to portal-aaa")?;
            Ok(socket)
        })??;
        socket.set_read_timeout(Some(REPEAT_EVERY))?;
        let shared = Arc::new(Shared {
            imsi: Mutex::new(settings.imsi.clone()),
            silent: AtomicBool::new(false),
            acknowledged: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        });
        let worker = Worker {
            shared: Arc::clone(&shared),
            settings,
            socket,
            waiting: VecDeque::new(),
            session: None,
            sessions: 0,
            identifier: 0,
        };
        worker.shut(true)?;
        thread::Builder::new().name("packet-gateway".into()).spawn(move || worker.run(&sessions))?;
        Ok(Self { shared })
    }

    /// From now on it tells nothing, as a gateway whose feed is broken; or speaks again, and catches up.
    pub(crate) fn set_silent(&self, silent: bool) {
        self.shared.silent.store(silent, Ordering::Relaxed);
    }

    /// The SIM that the network takes the device for, from the next report on.
    pub(crate) fn set_imsi(&self, imsi: &str) {
        imsi.clone_into(&mut lock(&self.shared.imsi));
    }

    /// Reports that portal-aaa has acknowledged.
    #[cfg(test)]
    fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
    }
}

struct Worker {
    shared: Arc<Shared>,
    settings: Settings,
    socket: UdpSocket,
    /// Signed requests, oldest first.
    waiting: VecDeque<Vec<u8>>,
    session: Option<Live>,
    /// Sessions so far.
    sessions: u32,
    identifier: u8,
}

/// The data session under way.
struct Live {
    id: String,
    began: Instant,
    reported: Instant,
}

impl Worker {
    fn run(mut self, sessions: &Receiver<Session>) {
        self.report(ON, None);
        while !self.shared.stopped.load(Ordering::Relaxed) {
            // With reports to be sent, the answer is waited for; without, the modem.
            let pause = if self.may_send() { Duration::ZERO } else { REPEAT_EVERY };
            match sessions.recv_timeout(pause) {
                Ok(Session::Started) => self.start_session(),
                Ok(Session::Stopped) => self.stop_session(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.interim();
            if self.may_send() {
                self.send_oldest();
            }
        }
    }

    fn may_send(&self) -> bool {
        !self.waiting.is_empty() && !self.shared.silent.load(Ordering::Relaxed)
    }

    fn start_session(&mut self) {
        self.sessions += 1;
        let now = clock::now();
        // The time makes it another session than that of the same number before a restart.
        let id = format!("{:x}-{}", clock::unix_ms(), self.sessions);
        self.report(START, Some((&id, 0)));
        self.session = Some(Live { id, began: now, reported: now });
        self.note(self.shut(false));
    }

    fn stop_session(&mut self) {
        if let Some(live) = self.session.take() {
            let lasted = seconds(live.began);
            self.report(STOP, Some((&live.id, lasted)));
            self.note(self.shut(true));
        }
    }

    fn interim(&mut self) {
        let now = clock::now();
        let every = self.settings.interim;
        let Some(live) = self.session.as_mut().filter(|live| now >= live.reported + every) else { return };
        live.reported = now;
        let (id, lasted) = (live.id.clone(), seconds(live.began));
        self.report(INTERIM, Some((&id, lasted)));
    }

    /// Puts a report into the queue. Session: its id, and how many seconds it has lasted.
    fn report(&mut self, status: u32, session: Option<(&str, u32)>) {
        self.identifier = self.identifier.wrapping_add(1);
        let at = u32::try_from(clock::unix_ms() / 1000).unwrap_or(u32::MAX);
        let mut packet = Builder::accounting_request(self.identifier)
            .integer(A::ACCT_STATUS_TYPE, status)
            .text(A::NAS_IDENTIFIER, "pgw.lab")
            .integer(A::EVENT_TIMESTAMP, at);
        if let Some((id, lasted)) = session {
            let imsi = lock(&self.shared.imsi).clone();
            // TS 23.003 §6.2.2: fourteen digits, then the software version.
            let imeisv = format!("{}01", self.settings.imei.get(..14).unwrap_or_default());
            packet = packet
                .text(A::ACCT_SESSION_ID, id)
                .text(A::CALLED_STATION_ID, "internet")
                .attribute(A::FRAMED_IP_ADDRESS, &self.settings.address.octets())
                .integer(A::ACCT_SESSION_TIME, lasted)
                .vendor(Vendor::TGPP, tgpp::IMSI, imsi.as_bytes())
                .vendor(Vendor::TGPP, tgpp::IMEISV, imeisv.as_bytes());
        }
        match packet.finish(self.settings.secret.as_bytes()) {
            Ok(packet) => {
                if self.waiting.len() >= MAX_WAITING {
                    self.waiting.pop_front();
                }
                self.waiting.push_back(packet);
            }
            Err(error) => self.note(Err(error.into())),
        }
    }

    /// Sends the oldest report and waits for its answer; without one it stays the oldest.
    fn send_oldest(&mut self) {
        let Some(request) = self.waiting.front() else { return };
        let mut answer = [0; 4096];
        if self.socket.send(request).is_err() {
            // portal-aaa is not there: its port says so at once.
            clock::pause(REPEAT_EVERY);
            return;
        }
        let Ok(length) = self.socket.recv(&mut answer) else {
            clock::pause(Duration::from_millis(50));
            return;
        };
        if acknowledges(answer.get(..length).unwrap_or_default(), request, self.settings.secret.as_bytes()) {
            self.waiting.pop_front();
            self.shared.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lets packets through, or does not.
    fn shut(&self, shut: bool) -> Result<()> {
        let Some(link) = &self.settings.link else { return Ok(()) };
        self.settings.place.ip(&format!("link set {link} {}", if shut { "down" } else { "up" }))
    }

    fn note(&self, outcome: Result<()>) {
        if let Err(error) = outcome {
            eprintln!("packet gateway: {error:#}");
        }
    }
}

fn acknowledges(answer: &[u8], request: &[u8], secret: &[u8]) -> bool {
    let (Ok(answer), Ok(request)) = (Packet::parse(answer), Packet::parse(request)) else { return false };
    answer.code() == Code::ACCOUNTING_RESPONSE && check_reply(&answer, &request, secret).is_ok()
}

fn seconds(since: Instant) -> u32 {
    u32::try_from(clock::now().saturating_duration_since(since).as_secs()).unwrap_or(u32::MAX)
}

fn lock(text: &Mutex<String>) -> MutexGuard<'_, String> {
    text.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);
    const SECRET: &str = "secret";

    /// A report as the portal's side reads it: status, IMSI.
    fn read(portal: &UdpSocket, answer: bool) -> (u32, Option<String>) {
        let mut octets = [0; 4096];
        let (length, from) = portal.recv_from(&mut octets).unwrap();
        let request = Packet::parse(&octets[..length]).unwrap();
        assert!(radius::accounting_request_is_genuine(&request, SECRET.as_bytes()));
        if answer {
            let reply =
                Builder::reply(Code::ACCOUNTING_RESPONSE, &request).finish(SECRET.as_bytes()).unwrap();
            portal.send_to(&reply, from).unwrap();
        }
        let status = request.integer(A::ACCT_STATUS_TYPE).unwrap();
        (status, request.vendor_text(Vendor::TGPP, tgpp::IMSI).map(str::to_owned))
    }

    #[test]
    fn sessions_are_reported_until_acknowledged_and_silence_is_caught_up() {
        let portal = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        portal.set_read_timeout(Some(LIMIT)).unwrap();
        let (modem, sessions) = channel();
        let settings = Settings {
            place: Netns::here(),
            server: portal.local_addr().unwrap(),
            secret: SECRET.into(),
            imsi: "001010123456789".into(),
            imei: "490154203237518".into(),
            address: Ipv4Addr::new(10, 64, 0, 2),
            interim: Duration::from_secs(1),
            link: None,
        };
        let gateway = Gateway::start(settings, sessions).unwrap();
        assert_eq!(read(&portal, true), (ON, None));
        modem.send(Session::Started).unwrap();
        let own = Some("001010123456789".to_owned());
        assert_eq!(read(&portal, false), (START, own.clone()), "not answered");
        assert_eq!(read(&portal, true), (START, own.clone()), "and sent again");
        assert_eq!(read(&portal, true), (INTERIM, own.clone()));
        gateway.set_silent(true);
        gateway.set_imsi("001010999999999");
        modem.send(Session::Stopped).unwrap();
        portal.set_read_timeout(Some(Duration::from_millis(1500))).unwrap();
        while let Ok(length) = portal.recv(&mut [0; 4096]) {
            assert!(length > 0, "what was under way when it fell silent");
        }
        portal.set_read_timeout(Some(LIMIT)).unwrap();
        gateway.set_silent(false);
        let last = loop {
            let (status, imsi) = read(&portal, true);
            if status == STOP {
                break imsi;
            }
        };
        assert_eq!(last.as_deref(), Some("001010999999999"));
        clock::until(
            "the acknowledgement arrives",
            LIMIT,
            || Ok((gateway.acknowledged() >= 4).then_some(())),
        )
        .unwrap();
    }
}
