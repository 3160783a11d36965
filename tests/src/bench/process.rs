//! What a process has cost so far, from `/proc`.

use std::fs;

use anyhow::{Context as _, Result};
use nix::unistd::{SysconfVar, sysconf};

/// Cost of a process.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    /// User and system time of all threads, microseconds, in ticks of the kernel's clock.
    pub(super) cpu_us: f64,
    /// Of that, in the kernel: sockets and waking up.
    pub(super) system_us: f64,
    /// The same by the scheduler's own count, in nanoseconds inside; only of threads that live.
    pub(super) scheduled_us: f64,
    /// Resident memory, KiB.
    pub(super) rss_kib: u64,
}

/// Cost until now.
pub(super) fn cost(pid: u32) -> Result<Cost> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
    let ((user, system), tick) = (ticks(&stat)?, tick_us()?);
    Ok(Cost {
        cpu_us: (user + system) * tick,
        system_us: system * tick,
        scheduled_us: scheduled(pid)?,
        rss_kib: resident(pid)?,
    })
}

/// Time that all cores were busy, and time that the hypervisor took, microseconds.
pub(super) fn machine() -> Result<(f64, f64)> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().context("/proc/stat")?;
    let fields: Vec<f64> =
        line.split_ascii_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    let of = |which: &[usize]| which.iter().filter_map(|&at| fields.get(at)).sum::<f64>();
    // user, nice, system, (idle, iowait,) irq, softirq, steal.
    Ok((of(&[0, 1, 2, 5, 6]) * tick_us()?, of(&[7]) * tick_us()?))
}

/// Load average of a minute, for the record.
pub(super) fn load() -> String {
    fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').next().unwrap_or("?").to_owned()
}

/// In user mode, and in the kernel.
fn ticks(stat: &str) -> Result<(f64, f64)> {
    // The name in parentheses may hold anything.
    let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat")?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let mut next = || -> Result<f64> { Ok(times.next().context("/proc/PID/stat")?.parse()?) };
    Ok((next()?, next()?))
}

fn tick_us() -> Result<f64> {
    let hertz = sysconf(SysconfVar::CLK_TCK)?.context("no clock tick")?;
    Ok(1e6 / f64::from(i32::try_from(hertz)?))
}

fn scheduled(pid: u32) -> Result<f64> {
    let mut sum = 0.0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end meanwhile.
        let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        sum += text.split(' ').next().and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0);
    }
    Ok(sum / 1e3)
}

fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_a_cost() {
        assert_eq!(ticks("1 (a b) c) S 1 1 1 0 -1 0 0 0 0 0 30 12 0 0 20").unwrap(), (30.0, 12.0));
        let own = cost(std::process::id()).unwrap();
        assert!(own.rss_kib > 100 && own.scheduled_us > 0.0);
        assert!(machine().unwrap().0 > 0.0);
    }
}
