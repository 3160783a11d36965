//! Many exchanges at a time, in a closed loop, and what they cost the server.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::{Result, anyhow, ensure};
use serde::Serialize;

use crate::{
    bench::{median, process},
    clock,
};

/// Devices that ask at the same time.
pub(super) const AT_ONCE: usize = 16;

/// One measured run.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Run {
    /// Exchanges.
    pub(super) exchanges: usize,
    /// Server, user and system time of all threads, per exchange.
    pub(super) cpu_us: f64,
    /// Of that, in the kernel.
    pub(super) system_us: f64,
    /// Exchanges a second.
    pub(super) per_sec: f64,
    /// Generator, per exchange.
    pub(super) generator_us: f64,
    /// Server, after the run.
    pub(super) rss_mib: f64,
    /// Cores that others used meanwhile, hypervisor included.
    pub(super) other_cores: f64,
}

/// The runs of one thing.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Measured {
    /// What.
    pub(super) name: &'static str,
    /// In order.
    pub(super) runs: Vec<Run>,
}

impl Measured {
    /// Nothing measured yet.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, runs: Vec::new() }
    }

    /// Median of something.
    pub(super) fn median(&self, of: impl Fn(&Run) -> f64) -> Option<f64> {
        median(self.runs.iter().map(of).collect())
    }

    /// Server CPU per exchange, median.
    pub(super) fn cpu(&self) -> Option<f64> {
        self.median(|run| run.cpu_us)
    }

    /// Least and most of it.
    pub(super) fn range(&self) -> (f64, f64) {
        let all = || self.runs.iter().map(|run| run.cpu_us);
        (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max))
    }
}

/// Does `one` for 0, 1, 2 … `count`, some at a time, and gives what they gave in no order. The first error ends it.
pub(super) fn many<T: Send>(count: usize, one: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let (done, wrong) = (Mutex::new(Vec::with_capacity(count)), Mutex::new(None));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(count) {
            scope.spawn(|| {
                let mut own = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    match one(number) {
                        Ok(given) => own.push(given),
                        Err(error) => {
                            next.store(count, Ordering::Relaxed);
                            *wrong.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                            break;
                        }
                    }
                }
                done.lock().unwrap_or_else(PoisonError::into_inner).append(&mut own);
            });
        }
    });
    match wrong.into_inner().map_err(|_| anyhow!("a thread died"))? {
        Some(error) => Err(error),
        None => done.into_inner().map_err(|_| anyhow!("a thread died")),
    }
}

/// The same, and what it costs the process `pid`.
pub(super) fn measure(pid: u32, count: usize, one: impl Fn(usize) -> Result<()> + Sync) -> Result<Run> {
    let own = || process::cost(std::process::id());
    let (before, own_before, machine, began) =
        (process::cost(pid)?, own()?, process::machine()?, clock::now());
    let done = many(count, one)?.len();
    ensure!(done == count, "{done} of {count} exchanges");
    let wall = began.elapsed().as_secs_f64();
    let (after, own_after, later) = (process::cost(pid)?, own()?, process::machine()?);
    let each = count as f64;
    let (server, generator) = (after.cpu_us - before.cpu_us, own_after.cpu_us - own_before.cpu_us);
    let busy = (later.0 + later.1) - (machine.0 + machine.1);
    Ok(Run {
        exchanges: count,
        cpu_us: server / each,
        system_us: (after.system_us - before.system_us) / each,
        per_sec: each / wall,
        generator_us: generator / each,
        rss_mib: after.rss_kib as f64 / 1024.0,
        other_cores: ((busy - server - generator) / 1e6 / wall).max(0.0),
    })
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn each_number_comes_once_and_an_error_ends_it() {
        let mut numbers = many(100, Ok).unwrap();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
        let failed = many(1000, |number| if number == 7 { bail!("seven") } else { Ok(()) });
        assert_eq!(failed.unwrap_err().to_string(), "seven");
    }
}
