//! What the agent takes of the device.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};

use super::{ground, table::Table};
use crate::{clock, world::World};

/// Memory of the daemon, KiB.
const MEMORY: u64 = 12 << 10;
/// How long it is watched.
const WATCHED: Duration = Duration::from_secs(60);

/// Memory and wake-ups, armed and on Wi-Fi.
pub(super) fn taken(world: &mut World, table: &mut Table) -> Result<()> {
    ground::begin(world, "standby")?;
    wake_ups(world, table, "armed, nothing in range")?;
    ground::on_wifi(world)?;
    wake_ups(world, table, "on Wi-Fi")?;
    let memory = figure(world, "status", "VmRSS:")?;
    table.add("memory of wifi-offloadd", format!("{memory} KiB"), "12288 KiB");
    ensure!(memory <= MEMORY, "wifi-offloadd takes {memory} KiB");
    ground::leave(world)
}

fn wake_ups(world: &World, table: &mut Table, when: &str) -> Result<()> {
    let before = switches(world)?;
    clock::pause(WATCHED);
    let found = switches(world)?.saturating_sub(before);
    table.add(&format!("wake-ups a minute, {when}"), found.to_string(), "shown");
    Ok(())
}

/// Of all its threads.
fn switches(world: &World) -> Result<u64> {
    let pid = world.agent.daemon.pid().context("the agent does not run")?;
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let id = task?.file_name().to_string_lossy().into_owned();
        sum += figure(world, &format!("task/{id}/status"), "voluntary_ctxt_switches:")?;
    }
    Ok(sum)
}

fn figure(world: &World, file: &str, key: &str) -> Result<u64> {
    let pid = world.agent.daemon.pid().context("the agent does not run")?;
    let text = fs::read_to_string(format!("/proc/{pid}/{file}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)).context("no such line")?;
    Ok(line.split_whitespace().next().context("no number")?.parse()?)
}
