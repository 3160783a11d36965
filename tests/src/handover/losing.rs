//! Wi-Fi goes wrong: how soon does traffic go on by cellular?

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{
    ground::{self, Flows, MOVING, back, forward},
    table::Table,
};
use crate::{clock, world::World};

/// From -50 to -90 dBm in four seconds, as somebody who walks round a corner.
const FADE: [i32; 10] = [-54, -58, -62, -66, -70, -74, -78, -82, -86, -90];
const STRIDE: Duration = Duration::from_millis(400);
/// Silence without warning: back on cellular after it begins.
const SILENCE: Duration = Duration::from_millis(1500);
/// What the kernel may add. It misses seven beacons (717 ms) and then rounds its timer up to its next whole second
/// (`round_jiffies_up` in net/mac80211/mlme.c), so that it speaks 0.7 to 1.7 s after the last beacon, whenever that was, and
/// the agent has nothing faster yet. A run that is later than wanted is shown as not met; up to this it is no failure.
const ROUNDED: Duration = Duration::from_millis(400);
/// Deauthenticated: likewise.
const GOODBYE: Duration = Duration::from_millis(300);
/// The uplink is cut while traffic flows, and while none does.
const CUT: Duration = Duration::from_secs(5);
const CUT_IDLE: Duration = Duration::from_secs(60);
/// Wi-Fi is taken again after the uplink is there again.
const MENDED: Duration = Duration::from_secs(10);
/// Rows that others have, too.
pub(super) const FADING: &str = "fading AP (−50 to −90 dBm in 4 s, then silence): traffic on cellular";
pub(super) const SILENT: &str = "silence without warning: on cellular after";
pub(super) const GONE: &str = "deauthenticated: on cellular after";
pub(super) const NO_UPLINK: &str = "uplink cut under traffic: on cellular after";
/// How long a case looks for what comes too late.
const LATE: Duration = Duration::from_secs(45);

/// On Wi-Fi with cellular standing by, and flows that began there.
fn ready(world: &mut World) -> Result<(Flows, Duration)> {
    ground::begin(world, "standby")?;
    ground::on_wifi(world)?;
    Flows::start(world)
}

pub(super) fn fade(world: &mut World, table: &mut Table) -> Result<()> {
    let (flows, jitter) = ready(world)?;
    let began = clock::now();
    fades(world)?;
    let silent = began.elapsed();
    let moved = back(world, flows.free(), began, LATE)?;
    let lost = flows.finish(jitter)?.lost;
    table.add(
        FADING,
        format!(
            "{} ms before it, {} and {} lost",
            silent.saturating_sub(moved).as_millis(),
            lost[0],
            lost[1]
        ),
        "before it, 0 lost of the unconnected",
    );
    ensure!(moved < silent, "left after {moved:?}, when it was silent since {silent:?}");
    // The connected socket keeps the Wi-Fi's address, and with the access point that has gone no packet reaches it.
    ensure!(lost[0] == 0, "{lost:?} packets were lost");
    ground::leave(world)
}

/// The access point's signal goes, and then the access point.
pub(super) fn fades(world: &World) -> Result<()> {
    let began = clock::now();
    for (step, level) in (1..).zip(FADE) {
        world.ap()?.radio.heard_at(level)?;
        clock::pause((STRIDE * step).saturating_sub(began.elapsed()));
    }
    world.ap()?.radio.in_range(false)
}

pub(super) fn silence(world: &mut World, table: &mut Table) -> Result<()> {
    let (flows, jitter) = ready(world)?;
    let began = clock::now();
    world.ap()?.radio.in_range(false)?;
    let took = back(world, flows.free(), began, LATE)?;
    let met = if took <= SILENCE + jitter { "met" } else { "not met" };
    let found = format!("{} ms (jitter {} ms), {met}", took.as_millis(), jitter.as_millis());
    table.add(SILENT, found, &format!("{} ms", SILENCE.as_millis()));
    let limit = SILENCE + ROUNDED + jitter;
    ensure!(took <= limit, "{SILENT} {took:?}, where {limit:?} is the most");
    ground::leave(world)
}

pub(super) fn goodbye(world: &mut World, table: &mut Table) -> Result<()> {
    let (flows, jitter) = ready(world)?;
    let station = world.wlan_mac()?.to_owned();
    let began = clock::now();
    world.ap()?.deauthenticate(&station)?;
    let took = back(world, flows.free(), began, LATE)?;
    report(table, GONE, took, GOODBYE, jitter)?;
    ground::leave(world)
}

pub(super) fn cut(world: &mut World, table: &mut Table) -> Result<()> {
    let (flows, jitter) = ready(world)?;
    let began = clock::now();
    world.ap()?.cut_uplink(&world.core.place)?;
    let took = back(world, flows.free(), began, LATE);
    world.ap()?.mend_uplink(&world.core.place)?;
    let mended = clock::now();
    report(table, NO_UPLINK, took?, CUT, jitter)?;
    let again = forward(world, flows.free(), mended, MOVING)?;
    report(table, "uplink mended: on Wi-Fi again after", again, MENDED, jitter)?;
    ground::leave(world)
}

pub(super) fn cut_idle(world: &mut World, table: &mut Table) -> Result<()> {
    ground::begin(world, "standby")?;
    ground::on_wifi(world)?;
    let began = clock::now();
    world.ap()?.cut_uplink(&world.core.place)?;
    let noticed = world.agent.wait_event("moved-to-cellular", CUT_IDLE * 2);
    let took = began.elapsed();
    world.ap()?.mend_uplink(&world.core.place)?;
    noticed?;
    report(table, "uplink cut while idle: route on cellular after", took, CUT_IDLE, Duration::ZERO)?;
    ground::leave(world)
}

/// The virtual laptop's own jitter is not the agent's doing.
fn report(table: &mut Table, what: &str, took: Duration, limit: Duration, jitter: Duration) -> Result<()> {
    let found = format!("{} ms (jitter {} ms)", took.as_millis(), jitter.as_millis());
    table.add(what, found, &format!("{} ms", limit.as_millis()));
    ensure!(took <= limit + jitter, "{what} {took:?}, where {limit:?} is wanted (jitter {jitter:?})");
    Ok(())
}
