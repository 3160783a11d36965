//! `portal-aaa sms`: what devices need to ask by SMS.

use std::io::Write;

use anyhow::{Context as _, Result};
use clap::Subcommand;

use super::Config;
use crate::{config::Settings, credential, sms::portal_keys};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the table `[sms]` of agent.toml: our number and the public key that requests are sealed to.
    Key(Config),
}

pub(super) fn run(command: &Command, out: &mut dyn Write) -> Result<()> {
    let Command::Key(config) = command;
    let settings = Settings::load(&config.path).context("the configuration cannot be used")?;
    let keys = credential::load(&settings.keys()).context("the keys cannot be used")?;
    let sms = settings
        .sms
        .context("the configuration has no table [sms]; the one that `init` writes explains it")?;
    let plus = if sms.source.ton == 1 { "+" } else { "" };
    if let Some(key) = portal_keys(&keys, &sms.keys).first() {
        writeln!(out, "[sms]\nnumber = \"{plus}{}\"\nportal-key = \"{}\"", sms.source.text, key.public())?;
    }
    Ok(())
}
