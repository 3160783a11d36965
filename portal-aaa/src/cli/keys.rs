//! `portal-aaa keys show`, `rotate` and `prune`: new keys without breaking what lives.
//!
//! Every node reads `keys.toml` again when it has changed. Where several nodes have a copy each, `rotate --add` comes
//! first and the file goes to all of them; then `rotate`, and the file again: no node meets a username that it cannot open.

use std::{collections::BTreeSet, io::Write};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};

use super::{Config, installation::Installation};
use crate::{
    credential::{self, Keys, Rotation, system_random},
    server::clock::Clock,
    store::{Store as _, rotation::Which},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show which keys there are; public ones only.
    Show(Show),
    /// Use a new key: for usernames, or with --policy for policies.
    Rotate(Rotate),
    /// Forget keys of usernames whose credentials have all ended.
    Prune(Show),
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Args)]
pub(super) struct Rotate {
    /// The key that signs policies. Devices must have heard of it first: --add announces one, and some days later this
    /// command without it has it sign.
    #[arg(long)]
    policy: bool,
    /// Only make it known; use it with the next `rotate`.
    #[arg(long)]
    add: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

pub(super) fn run(command: &Command, out: &mut dyn Write) -> Result<()> {
    match command {
        Command::Show(options) => {
            let Installation { keys, .. } = Installation::open(&options.config.path)?;
            tell(&keys, options.json, out)
        }
        Command::Rotate(options) => {
            let installation = Installation::open(&options.config.path)?;
            let rotation = match (options.policy, options.add) {
                (false, true) => Rotation::AddEpoch,
                (false, false) => Rotation::NextEpoch,
                (true, true) => Rotation::AddPolicyKey,
                (true, false) => Rotation::NextPolicyKey,
            };
            change(&installation, rotation, options.json, out)
        }
        Command::Prune(options) => {
            let installation = Installation::open(&options.config.path)?;
            let live = live(&installation)?;
            change(&installation, Rotation::Prune { keep: &live }, options.json, out)
        }
    }
}

/// Epochs of the credentials that can still log on.
fn live(installation: &Installation) -> Result<Vec<u8>> {
    let now = Clock::start().now().unix;
    let mut epochs = BTreeSet::new();
    for record in installation.store.credentials(&Which::All, u32::MAX)? {
        let ended = record.expires_at.is_some_and(|end| now >= end);
        let used = record.one_time && record.progress.worked_at.is_some();
        if record.revoked_at.is_none() && !ended && !used {
            epochs.extend(credential::token::epoch(&record.username));
        }
    }
    Ok(epochs.into_iter().collect())
}

fn change(
    installation: &Installation,
    rotation: Rotation<'_>,
    json: bool,
    out: &mut dyn Write,
) -> Result<()> {
    let path = installation.settings.keys();
    let keys =
        credential::rotate(&path, rotation, &mut system_random).context("the keys were not changed")?;
    tell(&keys, json, out)?;
    if !json {
        writeln!(
            out,
            "a running `serve` has them within two seconds; copy {} to other nodes, and keep a copy",
            path.display()
        )?;
    }
    Ok(())
}

fn tell(keys: &Keys, json: bool, out: &mut dyn Write) -> Result<()> {
    let (epoch, epochs) = keys.epochs();
    let policies: Vec<String> = keys.policy_keys().iter().map(ToString::to_string).collect();
    if json {
        let object = serde_json::json!({ "epoch": epoch, "epochs": epochs, "policy_keys": policies });
        writeln!(out, "{object}")?;
        return Ok(());
    }
    let epochs: Vec<String> = epochs.iter().map(ToString::to_string).collect();
    writeln!(out, "epoch         {epoch} (of {})", epochs.join(", "))?;
    for (number, key) in policies.iter().enumerate() {
        writeln!(out, "policy key    {key}{}", if number == 0 { " (signs)" } else { " (announced)" })?;
    }
    if policies.is_empty() {
        writeln!(out, "policy key    none: `portal-aaa keys rotate --policy --add` makes one")?;
    }
    Ok(())
}
