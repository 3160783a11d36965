//! One measured run, and what several of them say together.

use anyhow::{Result, ensure};
use serde::Serialize;

use super::generator::{Generator, STATIONS, Tally};
use crate::bench::{median, process};

/// Logins before a measured run, so that every station has a session to resume and every thread has worked.
const WARM_UP: u64 = 4 * STATIONS as u64;

/// One run.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Run {
    /// What the stations saw.
    pub(super) tally: Tally,
    /// Server, user and system time of all threads, per login.
    pub(super) server_cpu_us: f64,
    /// Of that, in the kernel.
    pub(super) server_system_us: f64,
    /// All of it by the scheduler's count.
    pub(super) server_scheduled_us: f64,
    /// Generator, per login.
    pub(super) generator_cpu_us: f64,
    /// Accepted logins a second.
    pub(super) logins_per_sec: f64,
    /// Access-Requests a login.
    pub(super) rounds: f64,
    /// Server, after the run.
    pub(super) rss_mib: f64,
    /// Cores that others used meanwhile, hypervisor included.
    pub(super) other_cores: f64,
}

impl Run {
    /// Warms up, then runs `logins` logins against the process `pid`.
    pub(super) fn measure(pid: u32, generator: &mut Generator<'_>, logins: u64) -> Result<Self> {
        let warm = generator.run(WARM_UP)?;
        ensure!(warm.accepted == warm.logins, "warming up: {warm:?}");
        let (before, machine) = (process::cost(pid)?, process::machine()?);
        let tally = generator.run(logins)?;
        let (after, later) = (process::cost(pid)?, process::machine()?);
        ensure!(tally.accepted == tally.logins && tally.accepted > 0, "not every login succeeded: {tally:?}");
        let each = tally.accepted as f64;
        let server = after.cpu_us - before.cpu_us;
        let busy = (later.0 + later.1) - (machine.0 + machine.1);
        Ok(Self {
            server_cpu_us: server / each,
            server_system_us: (after.system_us - before.system_us) / each,
            server_scheduled_us: (after.scheduled_us - before.scheduled_us) / each,
            generator_cpu_us: tally.own_cpu_us / each,
            logins_per_sec: each / tally.wall_secs,
            rounds: tally.requests as f64 / each,
            rss_mib: after.rss_kib as f64 / 1024.0,
            other_cores: ((busy - server - tally.own_cpu_us) / 1e6 / tally.wall_secs).max(0.0),
            tally,
        })
    }
}

/// A server's runs in one row.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Measured {
    /// Which server.
    pub(super) server: &'static str,
    /// All of them, in order.
    pub(super) runs: Vec<Run>,
    /// Why there are none.
    pub(super) not_measured: Option<String>,
}

impl Measured {
    /// Median of something over the runs.
    pub(super) fn median(&self, of: impl Fn(&Run) -> f64) -> Option<f64> {
        median(self.runs.iter().map(of).collect())
    }

    /// Least and most server CPU per login.
    pub(super) fn range(&self) -> (f64, f64) {
        let all = || self.runs.iter().map(|run| run.server_cpu_us);
        (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max))
    }

    /// Median server CPU per login.
    pub(super) fn cpu(&self) -> Option<f64> {
        self.median(|run| run.server_cpu_us)
    }
}
