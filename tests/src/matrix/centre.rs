//! The operator's message centre of one combination (the npm package `smpp`, as in suite `modem`), and at its other
//! end the device's modem as ModemManager shows it: parts of a long message joined, whole messages out and in.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use agent::modem::messaging::{Event, Messenger};
use anyhow::{Context as _, Result};
use data_encoding::HEXLOWER;
use provisioning::sms::{is_ours, udh};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    clock,
    peers::{free_tcp_port, local},
    world::{daemon::Daemon, netns::Netns},
};

/// For node to start and connect, and for portal-aaa to bind; it waits longer from try to try.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Messages of the portal's that wait for the agent.
const QUEUE: usize = 16;

/// A running one.
pub(super) struct Centre {
    _daemon: Daemon,
    address: SocketAddr,
    orders: Arc<Mutex<UnixStream>>,
    bound: Arc<AtomicBool>,
    msisdn: String,
    inbox: Mutex<Option<mpsc::Receiver<Event>>>,
}

impl Centre {
    /// Starts it; portal-aaa may come.
    pub(super) fn start(
        name: &str,
        script: &Path,
        work: &Path,
        logs: &Path,
        user: &str,
        password: &str,
        msisdn: &str,
    ) -> Result<Self> {
        let (socket, port) = (work.join("smsc.sock"), free_tcp_port()?);
        let _ = fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket)?;
        let (script, path) = (script.join("smsc.js").display().to_string(), socket.display().to_string());
        let words = ["node", &script, &path, &port.to_string(), user, password];
        let mut daemon = Daemon::new(name, &Netns::here(), logs, &words);
        daemon.start()?;
        listener.set_nonblocking(true)?;
        let stream = clock::until("the message centre runs", START_LIMIT, || {
            daemon.must_run()?;
            Ok(listener.accept().ok().map(|(stream, _)| stream))
        })?;
        stream.set_nonblocking(false)?;
        let (lines, bound) = (stream.try_clone()?, Arc::new(AtomicBool::new(false)));
        let (sender, inbox) = mpsc::channel(QUEUE);
        let told = Arc::clone(&bound);
        thread::Builder::new().name("smsc".into()).spawn(move || {
            let mut parts = Parts::default();
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                let Ok(line) = serde_json::from_str::<Value>(&line) else { continue };
                if line.get("bound").is_some() {
                    told.store(true, Ordering::Release);
                }
                let whole = line.get("submit").and_then(|submit| parts.take(submit));
                if let Some(message) = whole.filter(|message| is_ours(message))
                    && sender.blocking_send(Event::Received(message)).is_err()
                {
                    return;
                }
            }
        })?;
        Ok(Self {
            _daemon: daemon,
            address: local(port),
            orders: Arc::new(Mutex::new(stream)),
            bound,
            msisdn: msisdn.to_owned(),
            inbox: Mutex::new(Some(inbox)),
        })
    }

    /// Where it takes binds.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until portal-aaa has bound.
    pub(super) fn bound(&self) -> Result<()> {
        clock::until("portal-aaa binds", START_LIMIT, || Ok(self.bound.load(Ordering::Acquire).then_some(())))
    }

    /// The device's end: how it sends, and what it receives. There is one device.
    pub(super) fn modem(&self) -> Result<(Modem, mpsc::Receiver<Event>)> {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner).take();
        let modem = Modem { orders: Arc::clone(&self.orders), msisdn: self.msisdn.clone() };
        Ok((modem, inbox.context("there is a device already")?))
    }
}

/// Sends messages as this subscriber.
pub(super) struct Modem {
    orders: Arc<Mutex<UnixStream>>,
    msisdn: String,
}

impl Messenger for Modem {
    fn send(&self, message: Vec<u8>) {
        let deliver = json!({ "from": self.msisdn, "udhi": false, "data": HEXLOWER.encode(&message) });
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        // A message that is lost is missed by who waits for its answer.
        let _ = writeln!(orders, "{}", json!({ "deliver": deliver }));
    }
}

/// Long messages of which parts are missing, by their reference.
#[derive(Default)]
struct Parts(BTreeMap<u16, BTreeMap<u8, Vec<u8>>>);

impl Parts {
    /// The whole message, when this was its last part.
    fn take(&mut self, submit: &Value) -> Option<Vec<u8>> {
        let data = HEXLOWER.decode(submit.get("data")?.as_str()?.as_bytes()).ok()?;
        if submit.get("udhi")?.as_bool() != Some(true) {
            return Some(data);
        }
        let (part, text) = udh::split(&data)?;
        let Some(part) = part else { return Some(text.to_vec()) };
        let known = self.0.entry(part.reference).or_default();
        known.insert(part.number, text.to_vec());
        if known.len() < usize::from(part.total) {
            return None;
        }
        self.0.remove(&part.reference).map(|parts| parts.into_values().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_in_their_order() {
        let message: Vec<u8> = (0..=255).cycle().take(500).collect();
        let submit = |data: &[u8], udhi: bool| json!({ "udhi": udhi, "data": HEXLOWER.encode(data) });
        let mut parts = Parts::default();
        let mut cut = udh::cut(&message, 7);
        cut.reverse();
        let last = cut.pop().unwrap();
        assert!(cut.iter().all(|part| parts.take(&submit(part, true)).is_none()));
        assert_eq!(parts.take(&submit(&last, true)), Some(message));
        assert_eq!(parts.take(&submit(b"short", false)), Some(b"short".to_vec()));
        assert_eq!(parts.take(&json!({ "udhi": true, "data": "zz" })), None);
    }
}
