//! The cellular side: the real ModemManager, a modem that comes and goes, and a portal that must be convinced.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};

use super::restarts::{at, status_says};
use crate::{
    atsim::{Order, modem::Sim},
    clock,
    report::Reporter,
    text::Follower,
    workshop,
    world::{Feed, World, daemon::Daemon, netns::Netns, plan},
};

/// How long until a refusal is in the log.
const REFUSED: Duration = Duration::from_secs(60);

/// The agent is there before the modem; then the modem comes, and a credential with it.
pub(super) fn late(world: &mut World, _: &Reporter) -> Result<()> {
    world.cellular.kill_manager()?;
    world.agent_runs()?;
    status_says(world, "no modem", |status| at(status, &["cellular", "modem"]) == Some("no-modem"))?;
    world.cellular.start_manager()?;
    has_credential(world)?;
    let status = world.agent.status()?;
    let username = at(&status, &["credential", "username"]).unwrap_or_default().to_owned();
    ensure!(username.ends_with(&format!("@{}", plan::REALM)), "odd username {username}");
    ensure!(!status.to_string().contains(plan::IMSI), "the status shows the IMSI");
    ensure!(world.default_route()?.contains(plan::WWAN), "the default route is {}", world.default_route()?);
    Ok(())
}

/// The device is pulled and plugged in again; it comes back under another name.
pub(super) fn leaves(world: &mut World, _: &Reporter) -> Result<()> {
    carries(world)?;
    world.cellular.modem.unplug()?;
    status_says(world, "no modem", |status| at(status, &["cellular", "modem"]) == Some("no-modem"))?;
    world.cellular.modem.plug()?;
    carries(world)
}

/// The network ends the data session; the agent begins another.
pub(super) fn dropped(world: &mut World, _: &Reporter) -> Result<()> {
    carries(world)?;
    let mut log = Follower::from_now(world.agent.daemon.log());
    world.cellular.modem.simulator.order(&Order::DropSession);
    log.wait("cellular is up again", REFUSED, |line| line.contains("\"cellular-up\""))?;
    carries(world)
}

/// ModemManager dies without a word and comes back.
pub(super) fn killed(world: &mut World, _: &Reporter) -> Result<()> {
    carries(world)?;
    let before = world.agent.daemon.pid();
    world.cellular.kill_manager()?;
    status_says(world, "no modem", |status| at(status, &["cellular", "modem"]) == Some("no-modem"))?;
    world.cellular.start_manager()?;
    carries(world)?;
    ensure!(world.agent.daemon.pid() == before, "the agent was restarted");
    Ok(())
}

/// This modem carries one address family only: it is asked for both once, and not at each connect.
pub(super) fn families(world: &mut World, reporter: &Reporter) -> Result<()> {
    const WORDS: &str = "another address family";
    world.agent.daemon.stop()?;
    world.cellular.modem.simulator.order(&Order::DropSession);
    let mut log = Follower::from_now(world.agent.daemon.log());
    world.agent_runs()?;
    log.wait("one family is refused", REFUSED, |line| line.contains(WORDS))?;
    carries(world)?;
    let mut log = Follower::from_now(world.agent.daemon.log());
    dropped(world, reporter)?;
    let again = log.lines()?.into_iter().find(|line| line.contains(WORDS));
    ensure!(again.is_none(), "it was asked for again: {again:?}");
    Ok(())
}

/// The SIM waits for its PIN; the agent has it in a file.
pub(super) fn pin(world: &mut World, _: &Reporter) -> Result<()> {
    lock_sim(world, "1234")?;
    world.agent_runs()?;
    let opened = carries(world);
    unlock_sim(world)?;
    opened
}

/// The file has another PIN: one try of three is gone, and no more.
pub(super) fn wrong_pin(world: &mut World, _: &Reporter) -> Result<()> {
    lock_sim(world, "9999")?;
    let mut log = Follower::from_now(world.agent.daemon.log());
    world.agent_runs()?;
    let locked =
        status_says(world, "a locked SIM", |status| at(status, &["cellular", "modem"]) == Some("locked"));
    let refused = locked.and_then(|()| log.wait("the PIN is refused", REFUSED, |line| line.contains("PIN")));
    // ModemManager does not tell them of a locked SIM of this kind; the card knows.
    let left = world.cellular.modem.simulator.pin_tries();
    unlock_sim(world)?;
    ensure!(!refused?.contains("9999"), "the log tells the PIN");
    ensure!(left == 2, "tries that are left: {left}");
    carries(world)
}

/// Pulls the modem and gives it back with a locked SIM; the agent does not run, and has `pin` in its file.
fn lock_sim(world: &mut World, pin: &str) -> Result<()> {
    world.agent.daemon.stop()?;
    let file = Path::new("/run/sim-pin");
    fs::write(file, format!("{pin}\n"))?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600))?;
    world.agent.lay_over(Some(&format!("[cellular]\npin-file = \"{}\"\n", file.display())))?;
    world.cellular.modem.unplug()?;
    world.cellular.modem.simulator.order(&Order::Sim(Sim::Pin));
    world.cellular.modem.plug()
}

/// A modem and an agent as before.
fn unlock_sim(world: &mut World) -> Result<()> {
    world.agent.daemon.stop()?;
    world.agent.lay_over(None)?;
    world.cellular.modem.unplug()?;
    world.cellular.modem.simulator.order(&Order::Sim(Sim::Ready));
    world.cellular.modem.plug()
}

/// NetworkManager has the modem: the agent asks it, and takes its profile out again.
pub(super) fn network_manager(world: &mut World, _: &Reporter) -> Result<()> {
    carries(world)?;
    world.agent.daemon.stop()?;
    world.cellular.modem.simulator.order(&Order::DropSession);
    let mut manager = network_manager_on(world)?;
    let managed = clock::until("NetworkManager has the modem", REFUSED, || {
        // It is not on the bus at once.
        let devices = nmcli(world, &["-g", "TYPE,STATE", "device"]);
        Ok(devices.is_ok_and(|devices| devices.contains("gsm:disconnected")).then_some(()))
    });
    managed.with_context(|| crate::text::tail(manager.log(), 25))?;
    let connected =
        carries(world).and_then(|()| nmcli(world, &["-g", "NAME", "connection", "show", "--active"]));
    let connected = connected.with_context(|| crate::text::tail(manager.log(), 40))?;
    ensure!(connected.lines().any(|name| name == "wifi-offload cellular"), "active: {connected}");
    manager.stop()?;
    carries(world)
}

/// Only the modem is NetworkManager's.
fn network_manager_on(world: &World) -> Result<Daemon> {
    let folder = Path::new("/run/lab/network-manager");
    let nothing = folder.join("nothing").display().to_string();
    fs::create_dir_all(&nothing)?;
    let file = folder.join("NetworkManager.conf");
    fs::write(
        &file,
        "[main]\nplugins=keyfile\nauth-polkit=root-only\nno-auto-default=*\ndns=none\n\
         [keyfile]\nunmanaged-devices=*,except:type:gsm\n",
    )?;
    let file = file.display().to_string();
    let words = [
        "NetworkManager",
        "--debug",
        "--config",
        &file,
        "--config-dir",
        &nothing,
        "--system-config-dir",
        &nothing,
    ];
    let logs = world.agent.daemon.log().with_file_name("");
    let mut daemon = Daemon::new("NetworkManager", &Netns::here(), &logs, &words)
        .env("DBUS_SYSTEM_BUS_ADDRESS", world.cellular.bus());
    daemon.start()?;
    Ok(daemon)
}

fn nmcli(world: &World, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("nmcli");
    workshop::run(command.args(arguments).env("DBUS_SYSTEM_BUS_ADDRESS", world.cellular.bus()))
}

/// The portal knows of no session: nobody gets anything, and the agent gets it as soon as the portal knows.
pub(super) fn silent_feed(world: &mut World, _: &Reporter) -> Result<()> {
    refused_while(world, Feed::Silent, "gateway-feed-silent")
}

/// The portal knows the session as somebody else's.
pub(super) fn other_imsi(world: &mut World, _: &Reporter) -> Result<()> {
    refused_while(world, Feed::OtherImsi, "identity-mismatch")
}

fn refused_while(world: &mut World, feed: Feed, reason: &str) -> Result<()> {
    world.agent.daemon.stop()?;
    world.agent.forget()?;
    world.core.portal_aaa.kill()?;
    world.cellular.set_feed(feed);
    let mut log = Follower::from_now(world.core.portal_aaa.log());
    world.core.serve()?;
    world.agent_runs()?;
    // A portal that has just been started has heard of no gateway: it may refuse for that reason first.
    let line = log
        .wait("the portal refuses", REFUSED, |line| {
            line.contains("\"credential-refused\"") && line.contains(reason)
        })
        .with_context(|| crate::text::tail(world.agent.daemon.log(), 15))?;
    ensure!(!line.contains(plan::IMSI) && !line.contains(plan::OTHER_IMSI), "the refusal tells an IMSI");
    status_says(world, reason, |status| at(status, &["last-failure", "code"]) == Some(reason))?;
    ensure!(
        world.agent.status()?.get("credential").is_none_or(serde_json::Value::is_null),
        "it got a credential"
    );
    // A mismatch is final until something changes at the device; only a silent feed is worth waiting for.
    world.cellular.set_feed(Feed::Honest);
    if feed == Feed::Silent {
        has_credential(world)?;
    }
    Ok(())
}

fn has_credential(world: &World) -> Result<()> {
    status_says(world, "a credential", |status| at(status, &["credential", "username"]).is_some())
}

/// Cellular is up by the agent's word, and a connection goes through it.
pub(super) fn carries(world: &mut World) -> Result<()> {
    world.agent_runs()?;
    status_says(world, "cellular is ready", |status| {
        at(status, &["cellular", "modem"]) == Some("registered")
            && at(status, &["cellular", "bearer"]) == Some("ready")
    })?;
    world.internet_answers()
}
