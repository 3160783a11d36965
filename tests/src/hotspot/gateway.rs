//! Who is on, since when and until when.

use std::{
    collections::HashMap,
    fs::File,
    io::Write as _,
    net::Ipv4Addr,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    fence::Fence,
    nas::{Decision, Nas, Station, Status},
};
use crate::{clock, world::netns::Netns};

/// Acct-Terminate-Cause (RFC 2866 §5.10).
pub(super) const USER_REQUEST: u32 = 1;
const SESSION_TIMEOUT: u32 = 5;
const ADMIN_RESET: u32 = 6;
const ADMIN_REBOOT: u32 = 7;

/// How the gateway behaves; what is not said is as usual.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manner {
    /// Proxies to be asked before the redirect comes.
    pub(crate) proxies: u32,
    /// Polls that are answered with "pending" before the AAA's word is told; none where it is told at once.
    pub(crate) polls: u32,
    /// Host of the login page; the usual one where it is not said.
    pub(crate) login_host: Option<String>,
    /// It has an internal error.
    pub(crate) broken: bool,
    /// Pages for people only.
    pub(crate) no_xml: bool,
    /// It takes no Disconnect-Requests, as many gateways.
    pub(crate) deaf: bool,
}

/// The gateway's mind, shared by its threads.
pub(super) struct Gateway {
    pub(super) fence: Fence,
    nas: Nas,
    log: Mutex<File>,
    sessions: Mutex<HashMap<Ipv4Addr, Session>>,
    pending: Mutex<HashMap<Ipv4Addr, Pending>>,
    manner: Mutex<Manner>,
    forms: AtomicU64,
    count: AtomicU64,
    stopped: AtomicBool,
}

/// A login whose end is told by polls.
#[derive(Debug, Clone)]
struct Pending {
    left: u32,
    outcome: Option<Outcome>,
}

struct Session {
    station: Station,
    began: Instant,
    ends: Option<Instant>,
    interim: Option<Duration>,
    told: Instant,
    class: Option<Vec<u8>>,
}

/// What a login came to.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// On; the session ends after so long.
    Open(Option<Duration>),
    /// On before.
    AlreadyOn,
    Refused(String),
    /// The AAA does not answer.
    Silent,
    Pending,
    /// The gateway itself does not work.
    Broken,
}

impl Gateway {
    pub(super) fn new(fence: Fence, nas: Nas, log: &Path) -> Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        Ok(Self {
            fence,
            nas,
            log: Mutex::new(log),
            sessions: Mutex::default(),
            pending: Mutex::default(),
            manner: Mutex::default(),
            forms: AtomicU64::new(0),
            count: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        })
    }

    pub(super) fn manner(&self) -> Manner {
        lock(&self.manner).clone()
    }

    pub(super) fn behave(&self, manner: Manner) {
        *lock(&self.manner) = manner;
    }

    /// Uses up one proxy.
    pub(super) fn take_proxy(&self) -> bool {
        let mut manner = lock(&self.manner);
        let more = manner.proxies > 0;
        manner.proxies = manner.proxies.saturating_sub(1);
        more
    }

    pub(super) fn forms(&self) -> u64 {
        self.forms.load(Ordering::Relaxed)
    }

    pub(super) fn users(&self) -> Vec<String> {
        lock(&self.sessions).values().map(|session| session.station.username.clone()).collect()
    }

    pub(super) fn is_on(&self, address: Ipv4Addr) -> bool {
        lock(&self.sessions).contains_key(&address)
    }

    /// Until the session of this address ends, where that is known.
    pub(super) fn remaining(&self, address: Ipv4Addr) -> Option<Duration> {
        lock(&self.sessions).get(&address)?.ends.map(|ends| ends.saturating_duration_since(clock::now()))
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// One line of the log; never with a password in it.
    pub(super) fn tell(&self, event: &str, fields: Value) {
        let mut line = json!({ "timestamp": clock::unix_ms(), "event": event });
        if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), fields) {
            line.extend(fields);
        }
        // A log that cannot be written ends nothing.
        let _ = writeln!(lock(&self.log), "{line}");
    }

    /// A form has come over verified TLS.
    pub(super) fn log_on(
        self: &Arc<Self>,
        address: Ipv4Addr,
        username: &str,
        password: &str,
    ) -> Result<Outcome> {
        self.forms.fetch_add(1, Ordering::Relaxed);
        if self.manner().broken {
            return Ok(Outcome::Broken);
        }
        let mac = self.fence.mac_of(address)?;
        if self.is_on(address) {
            self.fence.open(address, &mac)?;
            return Ok(Outcome::AlreadyOn);
        }
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let session = format!("hs-{:x}-{number:04x}", clock::unix_ms());
        let station = Station { address, mac, username: username.to_owned(), session };
        let polls = self.manner().polls;
        if polls == 0 {
            return self.decide(station, password);
        }
        lock(&self.pending).insert(address, Pending { left: polls, outcome: None });
        let (gateway, password) = (Arc::clone(self), password.to_owned());
        thread::Builder::new().name("hotspot-login".into()).spawn(move || {
            let outcome = gateway.decide(station, &password).unwrap_or(Outcome::Broken);
            if let Some(pending) = lock(&gateway.pending).get_mut(&address) {
                pending.outcome = Some(outcome);
            }
        })?;
        Ok(Outcome::Pending)
    }

    /// How the login goes.
    pub(super) fn poll(&self, address: Ipv4Addr) -> Outcome {
        let mut waiting = lock(&self.pending);
        let Some(pending) = waiting.get_mut(&address) else { return Outcome::Broken };
        pending.left = pending.left.saturating_sub(1);
        match &pending.outcome {
            Some(outcome) if pending.left == 0 => {
                let outcome = outcome.clone();
                waiting.remove(&address);
                outcome
            }
            _ => Outcome::Pending,
        }
    }

    /// Asks the AAA; opens the fence and starts accounting where it says yes.
    fn decide(&self, station: Station, password: &str) -> Result<Outcome> {
        self.tell(
            "hotspot-asks-aaa",
            json!({ "username": station.username, "mac": station.mac, "method": "pap" }),
        );
        let (timeout, interim, class) = match self.nas.ask(&station, password)? {
            Decision::Accept { timeout, interim, class } => (timeout, interim, class),
            Decision::Reject(text) => {
                self.tell("hotspot-refused", json!({ "username": station.username }));
                return Ok(Outcome::Refused(text));
            }
            Decision::Silent => {
                self.tell("hotspot-aaa-silent", json!({}));
                return Ok(Outcome::Silent);
            }
        };
        self.fence.open(station.address, &station.mac)?;
        self.tell("hotspot-opened", json!({ "address": station.address, "mac": station.mac }));
        let now = clock::now();
        let session = Session {
            station: station.clone(),
            began: now,
            ends: timeout.map(|t| now + t),
            interim,
            told: now,
            class: class.clone(),
        };
        lock(&self.sessions).insert(station.address, session);
        if self.nas.account(&station, Status::Start, Duration::ZERO, class.as_deref())? {
            self.tell(
                "hotspot-accounting-started",
                json!({ "session": station.session, "username": station.username }),
            );
        }
        Ok(Outcome::Open(timeout))
    }

    /// Ends the session of an address; false where there is none.
    pub(super) fn close(&self, address: Ipv4Addr, cause: u32) -> Result<bool> {
        lock(&self.pending).remove(&address);
        let Some(session) = lock(&self.sessions).remove(&address) else { return Ok(false) };
        // It may be out already (`lose_rules`).
        let fenced = self.fence.close(address, &session.station.mac);
        self.tell("hotspot-closed", json!({ "address": address, "cause": cause, "fence": fenced.is_ok() }));
        let lasted = session.began.elapsed();
        if self.nas.account(&session.station, Status::Stop(cause), lasted, session.class.as_deref())? {
            self.tell(
                "hotspot-accounting-stopped",
                json!({ "session": session.station.session, "cause": cause, "seconds": lasted.as_secs() }),
            );
        }
        Ok(true)
    }

    pub(super) fn close_all(&self) -> Result<()> {
        let open: Vec<Ipv4Addr> = lock(&self.sessions).keys().copied().collect();
        open.into_iter().try_for_each(|address| self.close(address, ADMIN_REBOOT).map(drop))
    }

    pub(super) fn lose_rules(&self) -> Result<()> {
        let open: Vec<_> = lock(&self.sessions).values().map(|session| session.station.clone()).collect();
        open.iter().try_for_each(|station| self.fence.close(station.address, &station.mac))
    }

    /// Ends what has lasted long enough, and reports what goes on.
    fn look(&self) -> Result<()> {
        let now = clock::now();
        let over: Vec<Ipv4Addr> = lock(&self.sessions)
            .iter()
            .filter(|(_, session)| session.ends.is_some_and(|ends| now >= ends))
            .map(|(address, _)| *address)
            .collect();
        for address in over {
            self.close(address, SESSION_TIMEOUT)?;
        }
        let mut due = Vec::new();
        for session in lock(&self.sessions).values_mut() {
            if session.interim.is_some_and(|every| now >= session.told + every) {
                session.told = now;
                due.push((session.station.clone(), session.began.elapsed(), session.class.clone()));
            }
        }
        for (station, lasted, class) in due {
            if self.nas.account(&station, Status::Interim, lasted, class.as_deref())? {
                self.tell("hotspot-accounting-interim", json!({ "session": station.session }));
            }
        }
        Ok(())
    }

    fn obey(&self) -> Result<()> {
        let Some(request) = self.nas.disconnect().filter(|_| !self.manner().deaf) else { return Ok(()) };
        let meant: Vec<Ipv4Addr> = lock(&self.sessions)
            .values()
            .filter(|session| request.means(&session.station))
            .map(|session| session.station.address)
            .collect();
        self.tell("hotspot-disconnect", json!({ "sessions": meant.len() }));
        self.nas.answer(&request, !meant.is_empty())?;
        meant.into_iter().try_for_each(|address| self.close(address, ADMIN_RESET).map(drop))
    }
}

/// The thread that takes Disconnect-Requests and ends sessions in time.
pub(super) fn keep_time(place: &Netns, gateway: &Arc<Gateway>) -> Result<()> {
    let (place, gateway) = (place.clone(), Arc::clone(gateway));
    thread::Builder::new().name("hotspot-time".into()).spawn(move || {
        if place.enter().is_err() {
            return;
        }
        while !gateway.is_stopped() {
            if let Err(error) = gateway.obey().and_then(|()| gateway.look()) {
                gateway.tell("hotspot-trouble", json!({ "detail": format!("{error:#}") }));
            }
        }
    })?;
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
