//! What the agent takes of the device: memory, wake-ups, and the time of its start.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{ground, table::Table};
use crate::{clock, world::World};

/// Memory of the daemon, KiB.
const MEMORY: u64 = 12 << 10;
/// How long it is watched.
const WATCHED: u32 = 70;
/// In that time: one scan, or one probe of a server that lets no connection stand (75 s), and one more at the edge.
/// Not counted: the watchdog's pets, each 90 s where systemd is; and ModemManager, which reads the modem's signal each
/// 30 s and tells everybody of it, and is held still meanwhile.
const WAKE_UPS: usize = 2;
/// What one cause makes of it belongs together: a scan of all channels takes four seconds in software.
const BURST: u32 = 8;
/// Armed: until the pauses between scans have grown to a minute.
const SCANS_ARE_SELDOM: Duration = Duration::from_secs(70);
/// On Wi-Fi: until the move is over and the idle link is not looked at any more.
const LINK_IS_IDLE: Duration = Duration::from_secs(30);
/// Start to Armed, without what others take.
const START: Duration = Duration::from_secs(1);

/// Memory; the start; and where there is `time` for it, wake-ups, armed and on Wi-Fi, four minutes.
pub(super) fn taken(world: &mut World, table: &mut Table, time: bool) -> Result<()> {
    start(world, table)?;
    if time {
        clock::pause(SCANS_ARE_SELDOM);
        wake_ups(world, table, "armed, nothing in range")?;
    }
    ground::on_wifi(world)?;
    if time {
        clock::pause(LINK_IS_IDLE);
        wake_ups(world, table, "on Wi-Fi, idle")?;
    }
    let memory = figure(world, "status", "VmRSS:")?;
    table.add("memory of wifi-offloadd", format!("{memory} KiB"), "12288 KiB");
    ensure!(memory <= MEMORY, "wifi-offloadd takes {memory} KiB");
    ground::leave(world)
}

/// From nothing to Armed: how long it thinks between what it waits for. The daemon's own log has the times.
fn start(world: &mut World, table: &mut Table) -> Result<()> {
    ground::begin(world, "standby")?;
    world.agent.daemon.stop()?;
    world.agent.forget()?;
    world.agent.start()?;
    world.agent.wait_event("credential-installed", ground::ARMED)?;
    let log = fs::read_to_string(world.agent.daemon.log())?;
    let mut times = BTreeMap::new();
    for line in log.lines() {
        let Some((name, at)) = event(line) else { continue };
        if name == "started" {
            times.clear();
        }
        times.entry(name).or_insert(at);
    }
    let between = |begin: &str, end: &str| -> Result<u64> {
        let at = |name: &str| times.get(name).copied().with_context(|| format!("no event {name} in the log"));
        Ok(at(end)?.saturating_sub(at(begin)?))
    };
    // ModemManager's answer is a bearer, the portal's a credential.
    let asking = between("cellular-up", "credential-requested")?;
    let arming = between("credential-received", "state armed")?;
    let installing = between("credential-received", "credential-installed")?;
    let whole = between("started", "credential-installed")?;
    table.add(
        "start to Armed, beyond ModemManager and portal",
        format!("{} ms of {whole} ms; installed {installing} ms after the portal's answer", asking + arming),
        "1000 ms",
    );
    let own = Duration::from_millis(asking + arming.max(installing));
    ensure!(own <= START, "its own part of the start takes {own:?}");
    Ok(())
}

/// Event and time, milliseconds, of a line of the log; a change of state with the new one.
fn event(line: &str) -> Option<(String, u64)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let at = line.get("timestamp")?.as_str()?.parse().ok()?;
    let name = line.get("event")?.as_str()?;
    Some(match line.get("to").and_then(Value::as_str) {
        Some(to) => (format!("{name} {to}"), at),
        None => (name.to_owned(), at),
    })
}

/// Counts how often an idle daemon wakes up.
fn wake_ups(world: &World, table: &mut Table, when: &str) -> Result<()> {
    world.cellular.hold_manager(true)?;
    let counted = count(world, table, when);
    world.cellular.hold_manager(false)?;
    counted
}

/// By the second, so that what belongs together counts once.
fn count(world: &World, table: &mut Table, when: &str) -> Result<()> {
    let first = switches(world)?;
    let mut before = first.clone();
    let mut woken = Vec::new();
    for second in 0..WATCHED {
        clock::pause(Duration::from_secs(1));
        let now = switches(world)?;
        if now != before {
            woken.push(second);
        }
        before = now;
    }
    let bursts = woken.iter().zip(woken.iter().skip(1)).filter(|(one, next)| *next - *one > BURST).count();
    let bursts = bursts + usize::from(!woken.is_empty());
    let threads: Vec<String> = before
        .iter()
        .filter_map(|(thread, now)| {
            let count = now - first.get(thread).copied().unwrap_or(0);
            (count > 0).then(|| format!("{} {count}", thread.0))
        })
        .collect();
    let switches = if threads.is_empty() { "none".to_owned() } else { threads.join(", ") };
    let seconds = format!("{woken:?}");
    table.add(
        &format!("wake-ups in {WATCHED} s, {when}"),
        format!("{bursts}; context switches: {switches}; seconds {seconds}"),
        &WAKE_UPS.to_string(),
    );
    ensure!(
        bursts <= WAKE_UPS,
        "{when} it wakes up {bursts} times in {WATCHED} s, in the seconds {seconds} ({switches})"
    );
    Ok(())
}

/// Of each of its threads, by name and number: how often it slept, and how often it was taken from the processor.
fn switches(world: &World) -> Result<BTreeMap<(String, String), u64>> {
    let pid = world.agent.daemon.pid().context("the agent does not run")?;
    let mut found = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let id = task?.file_name().to_string_lossy().into_owned();
        // A thread of a probe may end meanwhile.
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/task/{id}/status")) else { continue };
        let name = status.lines().find_map(|line| line.strip_prefix("Name:")).unwrap_or_default().trim();
        let count = number(&status, "voluntary_ctxt_switches:")?;
        let taken = number(&status, "nonvoluntary_ctxt_switches:")?;
        found.insert((name.to_owned(), id), count + taken);
    }
    Ok(found)
}

fn figure(world: &World, file: &str, key: &str) -> Result<u64> {
    let pid = world.agent.daemon.pid().context("the agent does not run")?;
    number(&fs::read_to_string(format!("/proc/{pid}/{file}"))?, key)
}

fn number(text: &str, key: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)).context("no such line")?;
    Ok(line.split_whitespace().next().context("no number")?.parse()?)
}
