//! The operator's message centre: SMPP by other people's code (npm package `smpp`), between portal-aaa in the core and
//! the simulated modem.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value, json};

use super::{core::Core, daemon::Daemon, plan};
use crate::{
    atsim::{Message, Order, settings, simulator::Simulator},
    clock, guest, packages, workshop,
};

/// The script and what it stands on: exact versions, and a digest of each.
const SCRIPT: &str = include_str!("../../smsc/smsc.js");
const PACKAGE: &str = include_str!("../../smsc/package.json");
const LOCK: &str = include_str!("../../smsc/package-lock.json");

/// What [`stage`] makes in the output folder.
const STAGED: &str = "smsc";
/// For node to start and connect; in the virtual laptop all of it comes over 9p, and is emulated.
const START_LIMIT: Duration = Duration::from_secs(120);
/// For portal-aaa to bind; it waits longer from try to try.
const BIND_LIMIT: Duration = Duration::from_secs(90);

/// A running message centre.
pub(crate) struct MessageCentre {
    /// node.
    _daemon: Daemon,
    orders: UnixStream,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// From the modem, in order.
    asked: Mutex<Vec<Message>>,
    /// To the modem.
    answered: AtomicU64,
    binds: AtomicU64,
}

/// Fetches the script's packages into the cache, by npm, where they are not there yet. Outside of any namespace: inside
/// there is no network.
pub(crate) fn fetch() -> Result<PathBuf> {
    let folder = workshop::cache("smsc")?;
    let there = folder.join("node_modules/smpp/package.json").exists();
    let same = fs::read_to_string(folder.join("package-lock.json")).is_ok_and(|lock| lock == LOCK);
    if !(there && same) {
        fs::write(folder.join("package.json"), PACKAGE)?;
        fs::write(folder.join("package-lock.json"), LOCK)?;
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder);
        workshop::run(&mut npm).context("the message centre's SMPP package cannot be fetched by npm")?;
    }
    fs::write(folder.join("smsc.js"), SCRIPT)?;
    Ok(folder)
}

/// Where script and packages are: in the cache, and in the virtual laptop in what [`stage`] put there.
pub(crate) fn place() -> Result<PathBuf> {
    if guest::is_init() { Ok(Path::new(guest::OUT).join(STAGED)) } else { workshop::cache("smsc") }
}

/// Puts node, its libraries and the script into a folder that the virtual laptop sees. Its disk has no place for them:
/// node alone is as large as all the rest, and all of that is in memory.
pub(crate) fn stage(out: &Path) -> Result<()> {
    packages::ensure(packages::MESSAGES)?;
    let (from, to) = (fetch()?, out.join(STAGED));
    let libraries = to.join("lib");
    fs::create_dir_all(&libraries)?;
    workshop::run(
        Command::new("cp").arg("-rL").args([from.join("smsc.js"), from.join("node_modules")]).arg(&to),
    )?;
    let told = workshop::run(Command::new("sh").args(["-c", "command -v node"]))?;
    let node = fs::canonicalize(told.trim()).context("node")?;
    fs::copy(&node, to.join("node"))?;
    // Such as `libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x…)`.
    let needed = workshop::run(Command::new("ldd").arg(&node))?;
    for path in needed.lines().filter_map(|line| line.split_once("=> ")?.1.split_whitespace().next()) {
        let name = Path::new(path).file_name().context("a library without a name")?;
        fs::copy(path, libraries.join(name)).with_context(|| path.to_owned())?;
    }
    Ok(())
}

impl MessageCentre {
    /// Starts it in the core; portal-aaa may come.
    pub(crate) fn start(
        core: &Core,
        simulator: &Simulator,
        folder: &Path,
        work: &Path,
        logs: &Path,
    ) -> Result<Self> {
        let socket = work.join("smsc.sock");
        let _ = fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket)?;
        let (script, socket) = (folder.join("smsc.js"), socket.display().to_string());
        let script = script.display().to_string();
        let port = plan::SMSC_PORT.to_string();
        // The staged one, where there is one.
        let (own, libraries) = (folder.join("node"), folder.join("lib"));
        let node = if own.exists() { own.display().to_string() } else { "node".to_owned() };
        let words = [&*node, &script, &socket, &port, plan::SMSC_USER, plan::SMSC_PASSWORD];
        let mut daemon = Daemon::new("smsc", &core.place, logs, &words);
        if own.exists() {
            daemon = daemon.env("LD_LIBRARY_PATH", &libraries.display().to_string());
        }
        daemon.start()?;
        listener.set_nonblocking(true)?;
        let stream = clock::until("the message centre runs", START_LIMIT, || {
            daemon.must_run()?;
            Ok(listener.accept().ok().map(|(stream, _)| stream))
        })?;
        stream.set_nonblocking(false)?;
        let shared = Arc::new(Shared::default());
        let (sender, sent) = mpsc::channel::<Message>();
        simulator.tell_messages_to(sender);
        let (mut orders, seen) = (stream.try_clone()?, Arc::clone(&shared));
        thread::Builder::new().name("smsc-to".into()).spawn(move || {
            // From the device, whose number the network knows.
            for message in sent {
                let line = deliver(&settings::identity().msisdn, &message);
                lock(&seen.asked).push(message);
                if writeln!(orders, "{line}").is_err() {
                    return;
                }
            }
        })?;
        let (lines, seen, receive) = (stream.try_clone()?, Arc::clone(&shared), simulator.orders());
        thread::Builder::new().name("smsc-from".into()).spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                let Ok(told) = serde_json::from_str::<Value>(&line) else { continue };
                if told.get("bound").is_some() {
                    seen.binds.fetch_add(1, Ordering::Relaxed);
                }
                if let Some(message) = told.get("submit").and_then(|submit| submitted(submit).ok()) {
                    seen.answered.fetch_add(1, Ordering::Relaxed);
                    receive(&Order::Receive(message));
                }
            }
        })?;
        Ok(Self { _daemon: daemon, orders: stream, shared })
    }

    /// Waits until portal-aaa has bound.
    pub(crate) fn bound(&self) -> Result<()> {
        clock::until("portal-aaa binds", BIND_LIMIT, || {
            Ok((self.shared.binds.load(Ordering::Relaxed) > 0).then_some(()))
        })
    }

    /// What the device has sent so far.
    pub(crate) fn asked(&self) -> Vec<Message> {
        lock(&self.shared.asked).clone()
    }

    /// How many messages have gone to the device.
    pub(crate) fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Brings a message to portal-aaa as this number's.
    pub(crate) fn bring(&mut self, from: &str, message: &Message) -> Result<()> {
        Ok(writeln!(self.orders, "{}", deliver(from, message))?)
    }

    /// Refuses the next submits: too much at once.
    pub(crate) fn throttle(&mut self, submits: u32) -> Result<()> {
        Ok(writeln!(self.orders, "{}", json!({ "throttle": submits }))?)
    }
}

fn deliver(from: &str, message: &Message) -> Value {
    let data: String = message.data.iter().map(|octet| format!("{octet:02x}")).collect();
    json!({ "deliver": { "from": from.trim_start_matches('+'), "udhi": message.udhi, "data": data } })
}

/// To the device: it sees the portal's number.
fn submitted(submit: &Value) -> Result<Message> {
    let data = submit.get("data").and_then(Value::as_str).ok_or_else(|| anyhow!("no data"))?;
    let octet = |pair: &[u8]| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
    let data = data.as_bytes().chunks(2).map(octet).collect::<Result<Vec<u8>>>()?;
    let udhi = submit.get("udhi").and_then(Value::as_bool).unwrap_or_default();
    Ok(Message { number: plan::PORTAL_NUMBER.to_owned(), udhi, data })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
