//! Each daemon around the agent dies and comes back; the agent stays the same process and works on.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{modem, rounds};
use crate::{
    clock,
    report::Reporter,
    world::{World, ap, plan},
};

/// How long the agent may take to see what has changed; ModemManager's probing is the longest of it.
const LIMIT: Duration = Duration::from_secs(90);
/// Asking starts a program.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// ModemManager: with it goes the bearer; the credential stays usable.
pub(super) fn modem_manager(world: &mut World, _: &Reporter) -> Result<()> {
    same_process(world, |world| {
        world.agent.wait_state(&["armed"], rounds::ARMED)?;
        world.cellular.kill_manager()?;
        status_says(world, "no modem", |status| at(status, &["cellular", "modem"]) == Some("no-modem"))?;
        world.cellular.start_manager()?;
        modem::carries(world)?;
        rounds::quick(world)
    })
}

/// wpa_supplicant: it comes back empty, so the credential has to be put in again.
pub(super) fn supplicant(world: &mut World, _: &Reporter) -> Result<()> {
    same_process(world, |world| {
        world.agent.wait_state(&["armed"], rounds::ARMED)?;
        world.supplicant()?.daemon.kill()?;
        status_says(world, "no supplicant", |status| flag(status, &["wlan", "supplicant"]) == Some(false))?;
        world.supplicant()?.start()?;
        status_says(world, "credential installed", |status| {
            flag(status, &["credential", "installed"]) == Some(true)
        })?;
        rounds::quick(world)
    })
}

/// wpa_supplicant, while it holds the association that carries all traffic.
pub(super) fn supplicant_on_wifi(world: &mut World, _: &Reporter) -> Result<()> {
    same_process(world, |world| {
        rounds::enter(world)?;
        world.supplicant()?.daemon.kill()?;
        clock::until("traffic is back on cellular", rounds::OFFLOADED, || {
            Ok(world.default_route()?.contains(plan::WWAN).then_some(()))
        })?;
        world.ap()?.radio.in_range(false)?;
        world.supplicant()?.start()?;
        rounds::quick(world)
    })
}

/// portal-aaa: while it is away nobody can log on; the agent stays on cellular and tries again.
pub(super) fn portal_aaa(world: &mut World, _: &Reporter) -> Result<()> {
    same_process(world, |world| {
        world.agent.wait_state(&["armed"], rounds::ARMED)?;
        world.core.portal_aaa.kill()?;
        world.ap()?.forget_keys()?;
        world.ap()?.radio.heard_at(ap::NEAR)?;
        world.ap()?.radio.in_range(true)?;
        status_says(world, "the AAA is silent", |status| {
            at(status, &["last-failure", "code"]) == Some("aaa-silent")
        })?;
        ensure!(world.default_route()?.contains(plan::WWAN), "traffic left cellular without a login");
        world.core.serve()?;
        world.agent.wait_state(&["offloaded"], rounds::OFFLOADED)?;
        rounds::leave(world)
    })
}

/// The agent must not be restarted, nor restart itself.
fn same_process(world: &mut World, work: impl FnOnce(&mut World) -> Result<()>) -> Result<()> {
    world.agent_runs()?;
    let before = world.agent.daemon.pid();
    work(world)?;
    world.agent.daemon.must_run()?;
    ensure!(world.agent.daemon.pid() == before, "the agent was restarted");
    Ok(())
}

/// Waits until `offloadctl status` shows it.
pub(super) fn status_says(world: &World, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<()> {
    let mut last = String::new();
    clock::until_every(LOOK_EVERY, what, LIMIT, || {
        // An agent that has just been started is not on the bus yet.
        match world.agent.status() {
            Ok(status) if wanted(&status) => return Ok(Some(())),
            Ok(status) => last = status.to_string(),
            Err(error) => last = error.to_string(),
        }
        Ok(None)
    })
    .map_err(|error| error.context(format!("last status: {last}")))
}

/// Text at a path of the status.
pub(super) fn at<'a>(status: &'a Value, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(status, |value, key| value.get(key))?.as_str()
}

fn flag(status: &Value, path: &[&str]) -> Option<bool> {
    path.iter().try_fold(status, |value, key| value.get(key))?.as_bool()
}
