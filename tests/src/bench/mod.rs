//! `cargo lab bench`: measurements against real peers. They never fail for being slow; they fail for being wrong.

mod aaa;

use anyhow::{Result, bail};
use clap::Args;

/// What to measure, and how.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Which one; without, says which there are
    name: Option<String>,
    /// Fewer logins and rows, no million: a look, not a figure to quote
    #[arg(long)]
    quick: bool,
    /// The results as one JSON object on standard output
    #[arg(long)]
    json: bool,
    /// Only rows whose name contains this
    #[arg(long, value_name = "PART")]
    only: Option<String>,
}

/// Runs it; true where every login that had to succeed did, and every other did not.
pub(crate) fn run(options: &Options) -> Result<bool> {
    match options.name.as_deref() {
        None => {
            println!("aaa    server CPU per login: portal-aaa, FreeRADIUS and hostapd in turn");
            println!("\ncargo lab bench NAME [--quick] [--json] [--only PART]");
            Ok(true)
        }
        Some("aaa") => aaa::run(options.quick, options.json, options.only.as_deref()),
        Some(name) => bail!("no benchmark {name}; see cargo lab bench"),
    }
}
