//! `cargo lab`: the demo, the tests on real parts, the packages. tests/README.md says what is where.
//!
//! The same program is process 1 of the virtual laptop (`guest`): the kernel starts it there as `/init`.

#![forbid(unsafe_code)]

mod atsim;
mod bench;
mod cases;
mod clock;
mod demo;
mod guest;
mod handover;
mod hotspot;
mod interop;
mod matrix;
mod package;
mod packages;
mod peers;
mod progress;
mod report;
mod secrets;
mod suite;
mod text;
mod traffic;
mod vm;
mod workshop;
mod world;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Demo, tests and packages of wifi-offload.
#[derive(Parser)]
#[command(name = "cargo lab", bin_name = "cargo lab")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// One whole offload and return on a virtual laptop, as a timeline
    Demo {
        /// One JSON object instead of the timeline
        #[arg(long)]
        json: bool,
        /// Make this one thing wrong
        #[arg(long = "break", value_name = "WHAT")]
        broken: Option<demo::Break>,
        /// What NetworkManager owns: Wi-Fi, modem, or both. Without it, nothing: it does not run
        #[arg(long, value_name = "WHAT", conflicts_with = "broken")]
        owner: Option<world::owner::Owner>,
        /// An open network with a WISPr gateway in place of 802.1X: the patent's FIG. 6
        #[arg(long, conflicts_with_all = ["broken", "owner"])]
        wispr: bool,
    },
    /// Every test there is, or one suite
    Test {
        /// Say which suites there are
        #[arg(long)]
        list: bool,
        /// A suite, or SUITE/PART for the cases whose name contains PART
        name: Option<String>,
        /// Moves each way in suite handover: 100 where it is named, 3 where it is one of all
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
        moves: Option<u32>,
        /// Suite handover with every signal trace and everything with NetworkManager, too; so it is where it is named
        /// without --moves
        #[arg(long)]
        full: bool,
        /// How often suite vm kills the agent, each time at a random moment
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
        crashes: u32,
        /// Makes those moments the same as in the run that told this seed
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Measurements against real peers; without a name, says which there are
    Bench(bench::Options),
    /// Build both Debian packages
    Package,
    /// The inside of a suite that runs in namespaces of its own
    #[command(hide = true)]
    Inside {
        suite: String,
        #[arg(long)]
        only: Option<String>,
        #[arg(long)]
        programs: PathBuf,
        #[arg(long)]
        out: PathBuf,
    },
}

fn main() -> ExitCode {
    if guest::is_init() {
        guest::main();
    }
    match run(Arguments::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn random_seed() -> Result<u64> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("random octets: {error}"))?;
    Ok(u64::from_ne_bytes(seed))
}

fn run(command: Command) -> Result<bool> {
    match command {
        Command::Demo { json, broken, owner, wispr } => demo::run(json, broken, owner, wispr),
        Command::Test { list: true, .. } => {
            suite::list();
            Ok(true)
        }
        Command::Test { name, moves, full, crashes, seed, .. } => {
            let seed = seed.map_or_else(random_seed, Ok)?;
            suite::run(name.as_deref(), moves, full, report::Crashes { number: crashes, seed })
        }
        Command::Bench(options) => bench::run(&options),
        Command::Package => package::run().map(|()| true),
        Command::Inside { suite, only, programs, out } => {
            guest::boxed::run(&suite, only.as_deref(), &programs, &out)
        }
    }
}
