//! Nothing that must stay secret stands where it can be read: database, logs, and what could be overheard.
//!
//! The packet gateway's own feed carries the IMSI by 3GPP's rules; it runs inside the core and is not captured.

use anyhow::{Result, ensure};

use crate::{
    report::Reporter,
    secrets::{Files, Secrets},
    world::{World, plan},
};

/// What must be in each capture: one that has caught nothing proves nothing.
const CAUGHT: [(&str, &str); 3] = [
    ("air.pcap", plan::SSID),
    // The NAS-Identifier of the access point's requests.
    ("ap-to-aaa.pcap", "ap1.operator.example"),
    // The server name in the TLS ClientHello.
    ("device-to-portal.pcap", plan::PORTAL_NAME),
];

/// After all the others: their traces are all there.
pub(super) fn nothing(world: &mut World, _: &Reporter) -> Result<()> {
    world.agent_runs()?;
    world.agent.wait_state(&["armed"], super::rounds::ARMED)?;
    let password = world.supplicant()?.password()?;
    ensure!(password.len() >= 16, "the supplicant's password is no password");
    let files = search(world, &[("IMSI", plan::IMSI), ("IMEI", plan::IMEI), ("password", &password)])?;
    for (name, caught) in CAUGHT {
        ensure!(files.has(name, caught.as_bytes()), "{name} has not caught {caught}");
    }
    Ok(())
}

/// Without a radio there is no supplicant to tell the password.
pub(super) fn nothing_without_radio(world: &mut World, _: &Reporter) -> Result<()> {
    search(world, &[("IMSI", plan::IMSI), ("IMEI", plan::IMEI)]).map(drop)
}

/// All that could be read; an error where a secret is in it.
fn search(world: &mut World, secrets: &[(&str, &str)]) -> Result<Files> {
    let secrets = Secrets::new(secrets.iter().map(|(name, secret)| ((*name).to_owned(), *secret)));
    let files = Files::below(&world.readable_traces()?)?;
    ensure!(!files.is_empty(), "there is nothing to search");
    let found = secrets.in_files(&files);
    ensure!(found.is_empty(), "{}", found.join("\n"));
    Ok(files)
}
