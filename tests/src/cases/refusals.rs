//! Who must not get in: the wrong card, and the wrong network.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};

use super::{
    restarts::{at, status_says},
    rounds,
};
use crate::{
    report::Reporter,
    text::Follower,
    world::{World, ap, plan},
};

/// How long a refusal may take.
const REFUSED: Duration = Duration::from_secs(60);

/// The card is another than the one that the credential was made for.
pub(super) fn wrong_mac(world: &mut World, _: &Reporter) -> Result<()> {
    world.agent_runs()?;
    world.agent.wait_state(&["armed"], rounds::ARMED)?;
    let mut log = Follower::from_now(world.core.portal_aaa.log());
    world.use_other_cards_credential()?;
    world.ap()?.radio.heard_at(ap::NEAR)?;
    world.ap()?.radio.in_range(true)?;
    let refused = log.wait("the AAA refuses the login", REFUSED, |line| line.contains("\"login-refused\""));
    world.ap()?.radio.in_range(false)?;
    let line = refused?;
    ensure!(line.contains("mac"), "refused for another reason: {line}");
    ensure!(world.default_route()?.contains(plan::WWAN), "traffic left cellular without a login");
    rounds::quick(world)
}

/// An access point under the operator's name whose AAA shows a certificate of another CA.
pub(super) fn rogue(world: &mut World, _: &Reporter) -> Result<()> {
    world.agent_runs()?;
    world.agent.wait_state(&["armed"], rounds::ARMED)?;
    let status = world.agent.status()?;
    let username = at(&status, &["credential", "username"]).context("no credential")?.to_owned();
    world.raise_rogue()?;
    let seen = status_says(world, "the server's certificate is refused", |status| {
        at(status, &["last-failure", "code"]) == Some("server-certificate")
    });
    let log = world.drop_rogue()?;
    seen?;
    let told = fs::read_to_string(log)?;
    // Outer identity apart, nothing of the device's may reach it: the TLS tunnel must not even come up. What it says
    // of a good login is in the agent's own tests, where the same program is an honest server (supplicant/tests).
    ensure!(told.contains("EAP-PEAP: START -> PHASE1"), "the rogue was not even tried");
    let name = username.get(..12).context("a short username")?;
    for word in ["PHASE2_ID", "MSCHAPV2", "CTRL-EVENT-EAP-SUCCESS", name] {
        ensure!(!told.contains(word), "the rogue heard of {word}");
    }
    ensure!(world.default_route()?.contains(plan::WWAN), "traffic went to the rogue");
    rounds::quick(world)
}
