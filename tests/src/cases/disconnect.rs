//! Sessions that end while they live: a revoked and an expired credential, at a real access point.
//!
//! The supplicant is on its own here: the agent would renew before anybody could see what the AAA does.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::Value;

use crate::{
    clock,
    report::Reporter,
    text::Follower,
    world::{World, ap, plan},
};

/// From the end of the command, or of the credential, to the end of the session.
const AT_MOST: Duration = Duration::from_secs(1);
/// Until the station is on.
const JOINED: Duration = Duration::from_secs(60);
/// Life of the credential that expires: long enough to join with.
const LIFETIME_SECS: u64 = 20;

/// `credential revoke` ends the session.
pub(super) fn revoked(world: &mut World, reporter: &Reporter) -> Result<()> {
    let (name, _) = join(world, "device")?;
    let log = Follower::from_now(world.ap()?.hostapd.log());
    world.core.admin(&["credential", "revoke", &name])?;
    let revoked = clock::now();
    let ended = wait_gone(log, JOINED)?;
    told(reporter, "revoked", ended.saturating_duration_since(revoked))?;
    back(world)
}

/// The credential's last second ends the session. Whether by Session-Timeout, which the access point counts itself, or
/// by the AAA's Disconnect-Request: whoever is first.
pub(super) fn expired(world: &mut World, reporter: &Reporter) -> Result<()> {
    let (_, expires) = join(world, &LIFETIME_SECS.to_string())?;
    let log = Follower::from_now(world.ap()?.hostapd.log());
    let expires_ms = expires.context("a credential with a lifetime has an end")? * 1000;
    let left = Duration::from_millis(expires_ms.saturating_sub(clock::unix_ms()));
    ensure!(left > Duration::from_secs(1), "joining took the whole life of the credential");
    let end = clock::now() + left;
    let ended = wait_gone(log, left + JOINED)?;
    ensure!(ended + AT_MOST >= end, "the session ended {:?} before its time", end - ended);
    told(reporter, "expired", ended.saturating_duration_since(end))?;
    back(world)
}

/// Joins with a new credential, without the agent. Gives its username, and its end in seconds since 1970.
fn join(world: &mut World, lifetime: &str) -> Result<(String, Option<u64>)> {
    world.agent.daemon.stop()?;
    let mac = world.wlan_mac()?.to_owned();
    let words =
        ["credential", "issue", "--imsi", plan::IMSI, "--mac", &mac, "--lifetime", lifetime, "--json"];
    let issued: Value = serde_json::from_str(&world.core.admin(&words)?)?;
    let text = |key: &str| issued.get(key).and_then(Value::as_str).ok_or_else(|| anyhow!("no {key}"));
    let (name, password) = (text("username")?.to_owned(), text("password")?.to_owned());
    let expires = text("expires").ok().map(seconds_since_1970).transpose()?;
    let ca = world.core.ca().display().to_string();
    let server = text("server_name")?.to_owned();
    let mut log = Follower::from_now(world.ap()?.hostapd.log());
    world.ap()?.forget_keys()?;
    world.supplicant()?.only_network(&[
        ("ssid", plan::SSID),
        ("identity", &name),
        ("password", &password),
        ("ca_cert", &ca),
        ("domain_match", &server),
        ("phase2", "auth=MSCHAPV2"),
    ])?;
    world.ap()?.radio.heard_at(ap::NEAR)?;
    world.ap()?.radio.in_range(true)?;
    let on = "EAPOL-4WAY-HS-COMPLETED";
    log.wait("the station is on", JOINED, |line| line.contains(on) && line.contains(&mac))?;
    Ok((name, expires))
}

/// Waits for the access point to put the station off, and says when it did.
fn wait_gone(mut log: Follower, limit: Duration) -> Result<Instant> {
    log.wait("the access point ends the session", limit, |line| line.contains("AP-STA-DISCONNECTED"))?;
    Ok(clock::now())
}

fn told(reporter: &Reporter, what: &str, after: Duration) -> Result<()> {
    reporter.progress(&format!("{what}: the session ended after {} ms", after.as_millis()));
    ensure!(after <= AT_MOST, "{what}: the session ended after {after:?}");
    Ok(())
}

/// As it was: the agent puts its own network in when it starts.
fn back(world: &mut World) -> Result<()> {
    world.ap()?.radio.in_range(false)?;
    world.supplicant()?.no_network()?;
    super::rounds::quick(world)
}

/// Of a time such as 2026-11-28T10:00:00Z.
fn seconds_since_1970(time: &str) -> Result<u64> {
    time.parse::<jiff::Timestamp>()?.as_second().try_into().context("a time before 1970")
}
