//! `cargo lab bench`: measurements against real peers. They never fail for being slow; they fail for being wrong.

mod aaa;
mod plot;
mod portal;
mod process;
mod stock;
mod target;

use std::path::{Path, PathBuf};

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
    /// `portal`: so many devices stored, up to a million, in place of the rows' own numbers; several, with commas
    /// between, for row `scale`
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1000..=1_000_000))]
    devices: Vec<u32>,
    /// The server that a portal's issue is compared with, as a process of its own: certificate and key
    #[arg(long, hide = true, num_args = 2, value_names = ["CERTIFICATE", "KEY"])]
    bare: Option<Vec<PathBuf>>,
}

/// Runs it; true where every login that had to succeed did, and every other did not.
pub(crate) fn run(options: &Options) -> Result<bool> {
    match options.name.as_deref() {
        None => {
            println!("aaa    server CPU per login: portal-aaa, FreeRADIUS and hostapd in turn");
            println!(
                "portal server CPU per credential issued: the portal, and a bare TLS handshake, in turn"
            );
            println!("\ncargo lab bench NAME [--quick] [--json] [--only PART] [--devices N,…]");
            Ok(true)
        }
        Some("aaa") => aaa::run(options.quick, options.json, options.only.as_deref()),
        Some("portal") => match options.bare.as_deref() {
            Some([certificate, key]) => portal::bare::serve(certificate, key).map(|()| true),
            _ => portal::run(options.quick, options.json, options.only.as_deref(), &options.devices),
        },
        Some(name) => bail!("no benchmark {name}; see cargo lab bench"),
    }
}

/// The search for secrets of `bench portal`, on the program that tests use: what was found. Moves the calling thread
/// to a network namespace of its own.
pub(crate) fn secrets_under_load(work: &Path) -> Result<Vec<String>> {
    portal::secrets_under_load(work)
}

/// The middle one, or the mean of both.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some((values.get(low)? + values.get(high)?) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
