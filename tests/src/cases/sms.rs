//! Credentials by SMS: the real ModemManager, other people's SMPP, and no data bearer.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::{
    restarts::{at, status_says},
    rounds,
};
use crate::{
    atsim::{Message, Order, settings},
    clock,
    report::Reporter,
    text::{Follower, tail},
    world::{World, plan},
};

/// From the request to the refusal in the portal's log.
const REFUSED: Duration = Duration::from_secs(30);
/// From the first part to the last: the message centre is asked to be slow.
const DELIVERED: Duration = Duration::from_secs(90);
/// Nobody's number, and another subscriber's.
const STRANGER: &str = "15550009999";
const OTHER: &str = "15557654321";

/// FIG. 2 to the credential, without any data: asked for and brought by short messages.
pub(super) fn without_data(world: &mut World, _: &Reporter) -> Result<()> {
    world.set_up_sms()?;
    world.cellular.modem.simulator.order(&Order::Data(false));
    // A message of somebody else's, with the portal's prefix in it: it is none of ours.
    let foreign =
        Message { number: STRANGER.to_owned(), udhi: false, data: b"WO\x12 happy birthday".to_vec() };
    world.cellular.modem.simulator.order(&Order::Receive(foreign));
    world.smsc()?.throttle(2)?;
    let mut portal = Follower::from_now(world.core.portal_aaa.log());
    let got = asked_by_sms(world).and_then(|()| {
        let delivered =
            portal.wait("all parts have arrived", DELIVERED, |line| line.contains("\"sms-delivered\""));
        delivered.map(drop)
    });
    let status = world.agent.status();
    world.cellular.modem.simulator.order(&Order::Data(true));
    got.with_context(|| tail(world.core.portal_aaa.log(), 15))?;
    let status = status?;
    ensure!(at(&status, &["cellular", "bearer"]) != Some("ready"), "there was data: {status}");
    ensure!(world.smsc()?.asked().len() == 1, "the request took {} messages", world.smsc()?.asked().len());
    ensure!(world.smsc()?.answered() >= 5, "a credential in {} messages", world.smsc()?.answered());
    let simulator = &world.cellular.modem.simulator;
    clock::until("only what is not ours is left in the modem", REFUSED, || {
        Ok((simulator.messages_kept() == 1).then_some(()))
    })
}

/// FIG. 2, 5 and the portal's part of FIG. 6 with short messages alone: no data session from the first start to the
/// login at hostapd, and traffic is on Wi-Fi in the end (A29).
pub(super) fn to_wifi(world: &mut World, _: &Reporter) -> Result<()> {
    world.set_up_sms()?;
    world.cellular.modem.simulator.order(&Order::Data(false));
    let mut told = Follower::from_now(world.core.portal_aaa.log());
    let moved = asked_by_sms(world).and_then(|()| {
        let username = at(&world.agent.status()?, &["credential", "username"]).map(str::to_owned);
        rounds::enter(world)?;
        username.context("no credential")
    });
    let status = world.agent.status();
    let internet = world.internet_answers();
    world.cellular.modem.simulator.order(&Order::Data(true));
    let username = moved.with_context(|| tail(world.agent.daemon.log(), 25))?;
    internet.context("by Wi-Fi, cellular having no data")?;
    let status = status?;
    ensure!(at(&status, &["cellular", "bearer"]) != Some("ready"), "there was data: {status}");
    told.wait("the AAA let this credential in", REFUSED, |line| {
        line.contains("\"login-accepted\"") && line.contains(&username)
    })?;
    world.agent.daemon.stop()?;
    world.agent.lay_over(None)
}

/// The same octets again, from the same number, from nobody's, and from another subscriber's.
pub(super) fn refused(world: &mut World, _: &Reporter) -> Result<()> {
    world.set_up_sms()?;
    if world.smsc()?.asked().is_empty() {
        world.cellular.modem.simulator.order(&Order::Data(false));
        let asked = asked_by_sms(world);
        world.cellular.modem.simulator.order(&Order::Data(true));
        asked?;
    }
    let listed = ["subscriber", "add", "--imsi", plan::OTHER_IMSI, "--msisdn", OTHER];
    world.core.admin(&listed)?;
    let request = world.smsc()?.asked().pop().context("no request by SMS")?;
    let before = world.smsc()?.answered();
    let mut all = Follower::from_now(world.core.portal_aaa.log());
    let own = settings::identity().msisdn;
    for (from, reason) in
        [(own.as_str(), "sms-replayed"), (STRANGER, "sms-sender-unknown"), (OTHER, "sms-wrong-sender")]
    {
        let mut log = Follower::from_now(world.core.portal_aaa.log());
        world.smsc()?.bring(from, &request)?;
        let line = log.wait(reason, REFUSED, |line| {
            line.contains("\"credential-refused\"") && line.contains(&format!("\"{reason}\""))
        })?;
        for number in [own.trim_start_matches('+'), STRANGER, OTHER, plan::IMSI, plan::OTHER_IMSI] {
            ensure!(!line.contains(number), "the log tells a number: {line}");
        }
    }
    // One more that is refused: what the others would be answered with has been queued before it.
    let mut log = Follower::from_now(world.core.portal_aaa.log());
    let spoilt = Message { data: request.data.iter().copied().take(60).collect(), ..request };
    world.smsc()?.bring(&own, &spoilt)?;
    log.wait("sms-seal", REFUSED, |line| line.contains("\"sms-seal\""))?;
    let queued = all.lines()?.into_iter().find(|line| line.contains("\"sms-queued\""));
    ensure!(queued.is_none(), "somebody who proved nothing was answered: {queued:?}");
    ensure!(world.smsc()?.answered() == before, "somebody who proved nothing was answered");
    Ok(())
}

/// The portal sends credentials by SMS only: asked for over data, brought by short messages.
pub(super) fn delivered(world: &mut World, _: &Reporter) -> Result<()> {
    world.set_up_sms()?;
    world.core.set_policy(&[("delivery", "\"sms-only\"")])?;
    world.agent.daemon.stop()?;
    world.agent.forget()?;
    let (asked, answered) = (world.smsc()?.asked().len(), world.smsc()?.answered());
    let mut log = Follower::from_now(world.agent.daemon.log());
    world.agent_runs()?;
    let got = has_credential(world).with_context(|| tail(world.core.portal_aaa.log(), 15));
    world.core.set_policy(&[("delivery", "\"as-asked\"")])?;
    got?;
    let by_data = log
        .lines()?
        .into_iter()
        .any(|line| line.contains("\"credential-requested\"") && line.contains("\"data\""));
    ensure!(by_data, "it was not asked for over data");
    ensure!(world.smsc()?.asked().len() == asked, "it was asked for by SMS");
    ensure!(world.smsc()?.answered() >= answered + 5, "it was not brought by SMS");
    world.agent.daemon.stop()?;
    world.agent.lay_over(None)
}

/// A device that knows nothing yet and has no data gets a credential.
fn asked_by_sms(world: &mut World) -> Result<()> {
    world.agent.daemon.stop()?;
    world.agent.forget()?;
    let mut log = Follower::from_now(world.agent.daemon.log());
    world.agent_runs()?;
    log.wait("a request by SMS", DELIVERED, |line| {
        line.contains("\"credential-requested\"") && line.contains("\"sms\"")
    })
    .with_context(|| tail(world.agent.daemon.log(), 25))?;
    has_credential(world).with_context(|| tail(world.agent.daemon.log(), 25))
}

fn has_credential(world: &World) -> Result<()> {
    status_says(world, "a credential", |status| at(status, &["credential", "username"]).is_some())
}
