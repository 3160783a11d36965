//! A device whose clock is wrong: of 1970, as many field devices wake up, and of 2040.
//!
//! There is one clock in the virtual laptop, so the operator's programs live in the same wrong time; what counts is
//! what the device makes of it. Whatever it does, no certificate is trusted because of a wrong clock.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::Value;

use super::{
    restarts::{at, status_says},
    rounds,
};
use crate::{
    atsim::{Order, modem::Registration},
    clock, guest,
    report::Reporter,
    text::Follower,
    world::{World, ap, plan},
};

/// A day after the beginning of the scale: Linux takes no time that is before its own start (EINVAL).
const IN_1970: u64 = 24 * 3600;
/// 1 January 2040.
const IN_2040: u64 = 2_208_988_800;
/// How much older the operator's installation is than the agent.
const OLDER: u64 = 30 * 86_400;
/// Until something is in the log.
const TOLD: Duration = Duration::from_secs(60);
/// The network tells whole seconds, and the looks take theirs.
const NEAR: u64 = 60;

/// Of 1970: the clock is set to the build's date at once. That is enough for an operator whose certificates are older;
/// for newer ones the network's time is awaited.
pub(super) fn of_1970(world: &mut World, _: &Reporter) -> Result<()> {
    in_wrong_time(world, |world, truth| {
        let floor = newer_installation(world, truth)?;
        older_installation(world, floor)
    })
}

/// Of 2040: every certificate seems to have expired.
pub(super) fn of_2040(world: &mut World, _: &Reporter) -> Result<()> {
    world.agent_runs()?;
    world.agent.wait_state(&["armed"], rounds::ARMED)?;
    in_wrong_time(world, |world, truth| {
        world.agent.daemon.stop()?;
        guest::set_clock(IN_2040)?;
        world.ap()?.forget_keys()?;
        let mut logins = Follower::from_now(world.core.portal_aaa.log());
        world.agent.start()?;
        world.agent.wait_state(&["armed"], rounds::ARMED)?;
        world.ap()?.radio.heard_at(ap::NEAR)?;
        world.ap()?.radio.in_range(true)?;
        status_says(world, "the clock is to blame", |status| {
            at(status, &["last-failure", "code"]) == Some("clock")
        })?;
        ensure!(world.default_route()?.contains(plan::WWAN), "traffic left cellular");
        // The AAA itself says that the device ended it within TLS: there was no second phase.
        for line in logins.lines()?.iter().filter(|line| line.contains("\"login-")) {
            ensure!(line.contains("peer-refused-server-certificate"), "the device went on: {line}");
        }
        network_tells(world, truth)?;
        world.agent.wait_state(&["offloaded"], rounds::OFFLOADED)?;
        truth.is_the_clock()?;
        rounds::leave(world)
    })
}

/// The certificates were made after the agent was built. Gives the date that the agent sets by itself.
fn newer_installation(world: &mut World, truth: &Truth) -> Result<u64> {
    world.agent.daemon.stop()?;
    world.agent.forget()?;
    guest::set_clock(IN_1970)?;
    let mut requests = Follower::from_now(world.core.portal_aaa.log());
    let mut log = Follower::from_now(world.agent.daemon.log());
    world.agent.start()?;
    let line = log.wait("the clock is set", TOLD, |line| line.contains("\"clock-set\""))?;
    let floor =
        serde_json::from_str::<Value>(&line)?.get("unix").and_then(Value::as_u64).context("no time")?;
    ensure!(floor < truth.unix(), "the date of the build, {floor}, is in the future");
    status_says(world, "the clock is to blame", |status| {
        at(status, &["last-failure", "code"]) == Some("clock")
    })?;
    let request = requests.lines()?.into_iter().find(|line| line.contains("\"request-received\""));
    ensure!(request.is_none(), "the portal was told something before it was known: {request:?}");
    network_tells(world, truth)?;
    world.agent.wait_event("credential-installed", rounds::ARMED)?;
    truth.is_the_clock()?;
    Ok(floor)
}

/// The certificates are older than the agent, and the network tells nothing.
fn older_installation(world: &mut World, floor: u64) -> Result<()> {
    world.agent.daemon.stop()?;
    world.agent.forget()?;
    world.cellular.modem.simulator.order(&Order::NetworkTime(None));
    // The portal is started anew and hears of a session when it begins.
    world.cellular.modem.simulator.order(&Order::DropSession);
    guest::set_clock(floor - OLDER)?;
    world.core.new_certificates()?;
    guest::set_clock(IN_1970)?;
    world.agent.start()?;
    world.agent.wait_event("credential-installed", rounds::ARMED)?;
    let off = (clock::unix_ms() / 1000).abs_diff(floor);
    ensure!(off < rounds::ARMED.as_secs(), "the clock is {off} s off the build's date");
    rounds::quick(world)
}

/// The device registers anew, and the network tells the time with it.
fn network_tells(world: &World, truth: &Truth) -> Result<()> {
    let modem = &world.cellular.modem.simulator;
    modem.order(&Order::NetworkTime(Some(truth.unix())));
    modem.order(&Order::Registration(Registration::Searching));
    // Two changes at once are one that is not seen.
    status_says(world, "searching", |status| at(status, &["cellular", "modem"]) == Some("searching"))?;
    modem.order(&Order::Registration(Registration::Home));
    Ok(())
}

/// Whatever comes of it, the right time is back afterwards, and the agent started anew in it.
fn in_wrong_time(world: &mut World, work: impl FnOnce(&mut World, &Truth) -> Result<()>) -> Result<()> {
    let truth = Truth { since: clock::now(), unix: clock::unix_ms() / 1000 };
    let done = work(world, &truth);
    world.agent.daemon.stop()?;
    guest::set_clock(truth.unix())?;
    world.cellular.modem.simulator.order(&Order::NetworkTime(None));
    world.agent_runs()?;
    done?;
    world.agent.wait_state(&["armed"], rounds::ARMED)
}

/// The right time, by the clock that never leaps.
struct Truth {
    since: Instant,
    unix: u64,
}

impl Truth {
    fn unix(&self) -> u64 {
        self.unix + self.since.elapsed().as_secs()
    }

    fn is_the_clock(&self) -> Result<()> {
        let off = (clock::unix_ms() / 1000).abs_diff(self.unix());
        if off < NEAR { Ok(()) } else { Err(anyhow!("the clock is {off} s off")) }
    }
}
