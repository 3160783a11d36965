//! What must be true of the portal before it is worth timing: who is not proved gets nothing, what is issued logs in,
//! and what was told to a device is on disk.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use portal_aaa::store::{Store as _, sqlite::SqliteStore};
use provisioning::{
    format::Format,
    message::{Credential, Reason},
};

use super::{client::Client, fleet::Device, load, operator::Operator};
use crate::peers::{
    User,
    eapol::{Attempt, Method, Tls},
};

/// Not the password of anybody.
const WRONG: &str = "not-the-password-of-anybody";
/// Credentials that are told just before the portal is killed.
const BEFORE_THE_END: usize = 64;

/// An error where the portal is not fit to be measured. It is killed on the way and serves again afterwards.
pub(super) fn check(operator: &mut Operator, format: Format, tls: Tls, work: &Path) -> Result<()> {
    let client = operator.client(tls)?;
    nobody_else(operator, &client, format)?;
    what_is_told_is_on_disk(operator, &client, format)?;
    let device = operator.device(1)?;
    let first = issue(&client, &device, format)?;
    let second = issue(&client, &device, format)?;
    ensure!(first.username != second.username && first.password != second.password, "not newly generated");
    logs_in(operator, &device, &first, work)
}

/// What this device gets.
pub(super) fn issue(client: &Client, device: &Device, format: Format) -> Result<Credential> {
    client.exchange(device.address, &device.posted(format)?)?.credential(format)
}

fn nobody_else(operator: &Operator, client: &Client, format: Format) -> Result<()> {
    let (device, other) = (operator.device(2)?, operator.device(3)?);
    for stranger in [
        Device { address: device.address, ..other.clone() },
        Device { imei: other.imei.clone(), ..device.clone() },
    ] {
        let reply = client.exchange(stranger.address, &stranger.posted(format)?)?;
        let refusal = reply.refusal(format)?;
        ensure!(refusal.reason == Reason::IdentityMismatch, "another's identity: {refusal:?}");
        ensure!(reply.status == format.refusal_status(refusal.reason), "status {}", reply.status);
    }
    Ok(())
}

/// Killed as soon as the last reply is there.
fn what_is_told_is_on_disk(operator: &mut Operator, client: &Client, format: Format) -> Result<()> {
    let told = load::many(BEFORE_THE_END, |number| {
        let device = operator.device(100 + number)?;
        Ok((issue(client, &device, format)?, device))
    })?;
    operator.server.kill()?;
    let store = SqliteStore::open(&operator.server.path("portal-aaa.db"))?;
    for (credential, device) in &told {
        let record = store.credential(&credential.username)?;
        let record = record.with_context(|| format!("{} is not on record", credential.username))?;
        ensure!(
            record.mac == Some(device.mac) && record.source == Some(device.address.into()),
            "another's record"
        );
    }
    drop(store);
    operator.serve()?;
    // And it still knows what it gave.
    let (credential, device) = told.first().context("nobody was told anything")?;
    logs_in(operator, device, credential, &operator.server.path("."))
}

/// By `eapol_test`, which is nobody's own; and not with another password.
fn logs_in(operator: &Operator, device: &Device, credential: &Credential, work: &Path) -> Result<()> {
    let user = User {
        name: credential.username.clone(),
        password: credential.password.expose().to_owned(),
        station: device.mac.to_string().replace(':', "-"),
    };
    let file = work.join("eapol.conf");
    let server = &operator.server;
    let right =
        Attempt::new(server.radius(), &server.certificate().ca, &user, Method::PeapMschapv2, Tls::V12);
    let outcome = right.run(&file)?;
    ensure!(
        outcome.accepted && outcome.keys_match(1),
        "the credential does not log in\n{}",
        outcome.evidence()
    );
    let liar = User { password: WRONG.to_owned(), ..user };
    let outcome = Attempt { user: liar, ..right }.run(&file)?;
    ensure!(!outcome.accepted && outcome.rejected(), "a wrong password\n{}", outcome.evidence());
    Ok(())
}
