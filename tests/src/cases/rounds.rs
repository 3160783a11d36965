//! Rounds: from cellular to Wi-Fi and back.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::{
    clock,
    demo::script::Script,
    report::Reporter,
    world::{World, ap, plan},
};

/// Until the agent holds a usable credential and waits for Wi-Fi.
pub(super) const ARMED: Duration = Duration::from_secs(90);
/// From audible to traffic on Wi-Fi, a penalty after an earlier failure included.
pub(super) const OFFLOADED: Duration = Duration::from_secs(90);

/// The demo's own script: every step, no packet lost at either move, the download whole.
pub(super) fn whole(world: &mut World, reporter: &Reporter) -> Result<()> {
    if let Some(stopped) = Script::new(world, reporter).play(None)? {
        bail!("stopped at step {}: {}\n{}", stopped.step, stopped.reason, stopped.text);
    }
    Ok(())
}

/// Into the cell and out of it, without counting packets: the agent works.
pub(super) fn quick(world: &mut World) -> Result<()> {
    enter(world)?;
    leave(world)
}

/// Armed, then into the cell until traffic is on Wi-Fi.
pub(super) fn enter(world: &mut World) -> Result<()> {
    world.agent_runs()?;
    world.agent.wait_state(&["armed"], ARMED)?;
    world.ap()?.radio.heard_at(ap::NEAR)?;
    world.ap()?.radio.in_range(true)?;
    world.agent.wait_state(&["offloaded"], OFFLOADED)?;
    ensure!(
        world.default_route()?.contains(plan::LAPTOP_WLAN),
        "the default route is {}",
        world.default_route()?
    );
    Ok(())
}

/// Out of the cell until the agent is armed again and traffic on cellular.
pub(super) fn leave(world: &mut World) -> Result<()> {
    world.ap()?.radio.heard_at(-90)?;
    let back = world.agent.wait_state(&["armed"], OFFLOADED);
    world.ap()?.radio.in_range(false)?;
    back?;
    clock::until("the default route is cellular", Duration::from_secs(10), || {
        Ok(world.default_route()?.contains(plan::WWAN).then_some(()))
    })
}
