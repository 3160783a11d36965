//! Open networks with the whole agent: FIG. 6 there and back, and what a gateway's refusals lead to.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::rounds::{ARMED, OFFLOADED};
use crate::{
    atsim::Order,
    clock,
    demo::script::Script,
    hotspot::Manner,
    report::Reporter,
    text::Follower,
    world::{World, ap, plan},
};

/// For what follows within the same breath.
const SOON: Duration = Duration::from_secs(30);

/// The demo's own script on an open network: every step of FIG. 6, no packet lost at either move, the download whole.
pub(super) fn fig_6(world: &mut World, reporter: &Reporter) -> Result<()> {
    begin(world)?;
    // The figure begins without a credential; and the portal, which was started anew, hears of a session when it begins.
    world.agent.forget()?;
    world.cellular.modem.simulator.order(&Order::DropSession);
    if let Some(stopped) = Script::new(world, reporter).play(None)? {
        bail!("stopped at step {}: {}\n{}", stopped.step, stopped.reason, stopped.text);
    }
    Ok(())
}

/// The credential is revoked while the session lives: the gateway ends it, the agent goes back to cellular, and the right
/// that was taken away is not used again.
pub(super) fn revoked(world: &mut World, _reporter: &Reporter) -> Result<()> {
    begin(world)?;
    enter(world)?;
    let name = world.open()?.hotspot.sessions().first().cloned().unwrap_or_default();
    let mut gateway = Follower::from_now(world.open()?.hotspot.log());
    world.core.admin(&["credential", "revoke", &name])?;
    gateway.wait("accounting ends", SOON, |line| line.contains("hotspot-accounting-stopped"))?;
    // Nothing goes by Wi-Fi any more: the agent is to find out by itself.
    world.agent.wait_event("moved-to-cellular", OFFLOADED + SOON)?;
    cellular_carries(world)
}

/// The gateway's RADIUS server is silent: the agent stays on cellular, and takes Wi-Fi when it answers again.
pub(super) fn radius_down(world: &mut World, _reporter: &Reporter) -> Result<()> {
    begin(world)?;
    world.agent_runs()?;
    world.agent.wait_state(&["armed"], ARMED)?;
    world.core.portal_aaa.stop()?;
    near(world)?;
    world.agent.wait_event("failed", OFFLOADED)?;
    says(world, "wispr-radius")?;
    cellular_carries(world)?;
    world.core.serve()?;
    world.agent.wait_state(&["offloaded"], OFFLOADED)?;
    leave(world)
}

/// A gateway with another name in its certificate gets no form.
pub(super) fn wrong_name(world: &mut World, _reporter: &Reporter) -> Result<()> {
    begin(world)?;
    world.agent_runs()?;
    world.agent.wait_state(&["armed"], ARMED)?;
    let forms = world.open()?.hotspot.forms();
    let login_host = Some("login.partner.hotspot.example".to_owned());
    world.open()?.hotspot.behave(Manner { login_host, ..Manner::default() });
    near(world)?;
    world.agent.wait_event("failed", OFFLOADED)?;
    says(world, "wispr-login-name")?;
    ensure!(world.open()?.hotspot.forms() == forms, "the password was told");
    cellular_carries(world)
}

fn begin(world: &mut World) -> Result<()> {
    world.agent.daemon.stop()?;
    world.set_up_hotspot()
}

fn near(world: &World) -> Result<()> {
    let radio = &world.open()?.ap.radio;
    radio.heard_at(ap::NEAR)?;
    radio.in_range(true)
}

fn enter(world: &mut World) -> Result<()> {
    world.agent_runs()?;
    world.agent.wait_state(&["armed"], ARMED)?;
    near(world)?;
    world.agent.wait_state(&["offloaded"], OFFLOADED)
}

/// Out of the cell: logged off, then on cellular.
fn leave(world: &mut World) -> Result<()> {
    let mut gateway = Follower::from_now(world.open()?.hotspot.log());
    world.open()?.ap.radio.heard_at(-90)?;
    gateway.wait("accounting ends", OFFLOADED, |line| line.contains("hotspot-accounting-stopped"))?;
    world.agent.wait_state(&["armed"], OFFLOADED)?;
    world.open()?.ap.radio.in_range(false)?;
    cellular_carries(world)
}

/// What the agent tells a person who asks.
fn says(world: &World, code: &str) -> Result<()> {
    let status = world.agent.status()?;
    let said = status.pointer("/last-failure/code").and_then(serde_json::Value::as_str);
    ensure!(said == Some(code), "the agent says {said:?}");
    Ok(())
}

fn cellular_carries(world: &World) -> Result<()> {
    clock::until("the default route is cellular", SOON, || {
        Ok(world.default_route()?.contains(plan::WWAN).then_some(()))
    })
}
