//! The same with NetworkManager, which moves by route metrics: shown beside the agent's figures, and asserted only so
//! far that it did move, because else the lab is broken.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{
    arrival::Watch,
    ground::{self, Flows, back},
    losing::{self, FADING, GONE, NO_UPLINK, SILENT},
    moves::Rounds,
    table::{Table, Who},
};
use crate::{
    clock,
    report::Reporter,
    text::{Follower, tail},
    world::{World, network_manager::NetworkManager, plan},
};

/// It looks for access points with pauses that grow to two minutes.
const JOINS: Duration = Duration::from_secs(200);
/// It lets go of a lost access point after 15 s and more; 36 s have been seen.
const LETS_GO: Duration = Duration::from_secs(90);
/// How long a connection that was told to end may stay silent: those that it loses never end.
const DEAD: Duration = Duration::from_secs(4);
/// The same of the connection that runs through all moves.
const MPTCP: Duration = Duration::from_secs(10);
/// It does not look at the uplink at all, as Debian ships it; so much is enough to show that.
const NOT_NOTICED: Duration = Duration::from_secs(30);

/// So many moves there, by the access point becoming audible, and back, by its fading; `all` for the ways in which
/// Wi-Fi goes wrong, too.
pub(super) fn moves(
    world: &mut World,
    reporter: &Reporter,
    moves: u32,
    all: bool,
    table: &mut Table,
) -> Result<()> {
    let mut manager = world.network_manager()?;
    let mut rounds = Rounds::start(world)?;
    for number in 1..=moves {
        // What it says is of no use to those who read about a failing move of the agent.
        let mut log = Follower::from_now(manager.supplicant_log());
        let there = there(world, &manager, &mut rounds, &mut log);
        there
            .with_context(|| tail(manager.supplicant_log(), 25))
            .with_context(|| format!("move {number}"))?;
        let (flows, jitter) = Flows::start(world)?;
        losing::fades(world)?;
        let silent = clock::now();
        let took = back(world, flows.free(), silent, LETS_GO)?;
        let suffered = flows.finish_within(jitter, DEAD)?;
        if number == 1 {
            table.put(Who::NetworkManager, FADING, after(took, suffered.lost));
        }
        rounds.moved("to cellular", suffered, &mut log)?;
        manager.waits_for_route(world, plan::STAND_IN, LETS_GO)?;
        reporter.progress(&format!("NetworkManager: {number} of {moves} moves there and back"));
    }
    rounds.finish(MPTCP)?.show(table, "standby", Who::NetworkManager);
    if all { goes_wrong(world, &mut manager, table) } else { Ok(()) }
}

fn there(world: &World, manager: &NetworkManager, rounds: &mut Rounds, log: &mut Follower) -> Result<()> {
    let (flows, jitter) = Flows::start(world)?;
    let watch = Watch::begin(manager.supplicant_log());
    ground::near(world)?;
    rounds.arrivals.push(watch.end(world, flows.free(), JOINS)?);
    rounds.moved("to Wi-Fi", flows.finish_within(jitter, DEAD)?, log)
}

fn after(took: Duration, [free, connected]: [u64; 2]) -> String {
    format!("{} ms after the silence began, {free} and {connected} lost", took.as_millis())
}

fn goes_wrong(world: &mut World, manager: &mut NetworkManager, table: &mut Table) -> Result<()> {
    let (flows, jitter) = ready(world, manager)?;
    let began = clock::now();
    world.ap()?.radio.in_range(false)?;
    let took = back(world, flows.free(), began, LETS_GO)?;
    told(table, SILENT, took, flows, jitter)?;

    let (flows, jitter) = ready(world, manager)?;
    let station = world.wlan_mac()?.to_owned();
    let mut supplicant = Follower::from_now(manager.supplicant_log());
    let began = clock::now();
    world.ap()?.deauthenticate(&station)?;
    // It would join again at once where the access point is still there.
    supplicant.wait("a deauthentication", LETS_GO, |line| line.contains("CTRL-EVENT-DISCONNECTED"))?;
    world.ap()?.radio.in_range(false)?;
    let took = back(world, flows.free(), began, LETS_GO)?;
    told(table, GONE, took, flows, jitter)?;

    let (flows, jitter) = ready(world, manager)?;
    let began = clock::now();
    world.ap()?.cut_uplink(&world.core.place)?;
    let took = back(world, flows.free(), began, NOT_NOTICED);
    world.ap()?.mend_uplink(&world.core.place)?;
    match took {
        Ok(took) => told(table, NO_UPLINK, took, flows, jitter),
        Err(_) => {
            let lost = flows.finish_within(jitter, DEAD)?.lost;
            let found = format!("not within {} s, {} and {} lost", NOT_NOTICED.as_secs(), lost[0], lost[1]);
            table.put(Who::NetworkManager, NO_UPLINK, found);
            Ok(())
        }
    }
}

/// On Wi-Fi, with flows that began there.
fn ready(world: &World, manager: &mut NetworkManager) -> Result<(Flows, Duration)> {
    manager.waits_for_route(world, "default", LETS_GO)?;
    manager.on_wifi(world)?;
    Flows::start(world)
}

fn told(table: &mut Table, what: &str, took: Duration, flows: Flows, jitter: Duration) -> Result<()> {
    let lost = flows.finish_within(jitter, DEAD)?.lost;
    let found = format!(
        "{} ms (jitter {} ms), {} and {} lost",
        took.as_millis(),
        jitter.as_millis(),
        lost[0],
        lost[1]
    );
    table.put(Who::NetworkManager, what, found);
    Ok(())
}
