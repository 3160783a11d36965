//! Process 1 of the virtual laptop: `lab` itself, started by the kernel as `/init`.
//!
//! Mounts, loads modules, does what the order says, reports, and gives its verdict to QEMU. There is no other
//! init in the guest, and no shell but busybox's; processes that lose their parent stay zombies until the machine is gone, a minute later.

pub(crate) mod boxed;
mod scenarios;

use std::{
    env, fs,
    os::unix::fs::FileExt as _,
    panic::{self, AssertUnwindSafe},
    path::Path,
    process::{self, Command},
};

use anyhow::{Context as _, Result};
use nix::mount::{MsFlags, mount};

use crate::{
    report::{Line, Order, Reporter, Stopped},
    vm::{initramfs, qemu},
    workshop,
};

/// Where results go: a folder of the host's, over 9p.
pub(crate) const OUT: &str = "/out";

/// The report's serial port.
const REPORT: &str = "/dev/ttyS1";

/// Modules that must be there before anything else.
const MODULES: [&str; 5] = ["virtio_pci", "virtio_rng", "9pnet_virtio", "9p", "veth"];

/// Whether this is process 1 of the virtual laptop. Process 1 of a container or of `unshare` has another name.
pub(crate) fn is_init() -> bool {
    process::id() == 1 && env::args_os().next().is_some_and(|name| name == "/init")
}

/// Never returns: ends the virtual machine.
pub(crate) fn main() -> ! {
    let outcome = panic::catch_unwind(AssertUnwindSafe(life));
    let verdict = match outcome {
        Ok(Ok(true)) => qemu::GOOD,
        Ok(Ok(false)) => qemu::BAD,
        Ok(Err(error)) => {
            eprintln!("lab: {error:?}");
            give_up(&format!("{error:?}"));
            qemu::BAD
        }
        Err(_) => qemu::BAD,
    };
    nix::unistd::sync();
    if let Ok(ports) = fs::OpenOptions::new().write(true).open("/dev/port") {
        let _ = ports.write_all_at(&[verdict], qemu::VERDICT_PORT);
    }
    // Only reached where the port is missing: without process 1 the kernel gives up, and QEMU with it.
    process::exit(1)
}

/// The lab itself failed: neither a step nor a case can say so.
fn give_up(text: &str) {
    if let Ok(port) = fs::OpenOptions::new().append(true).open(REPORT) {
        let stopped =
            Stopped { step: "lab".to_owned(), reason: "lab-failed".to_owned(), text: text.to_owned() };
        Reporter::new(port).send(&Line::Stopped(stopped));
    }
}

fn life() -> Result<bool> {
    mount_all()?;
    let order: Order = serde_json::from_slice(&fs::read(initramfs::ORDER_FILE)?).context("order")?;
    let reporter = Reporter::new(fs::OpenOptions::new().append(true).open(REPORT).context(REPORT)?);
    reporter.progress("up; loading modules");
    load_modules()?;
    share("out", OUT)?;
    fs::create_dir_all(format!("{OUT}/log"))?;
    let good = scenarios::run(&order, &reporter)?;
    reporter.send(&Line::End);
    Ok(good)
}

fn mount_all() -> Result<()> {
    for (kind, target) in
        [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/run"), ("tmpfs", "/tmp")]
    {
        attach(kind, target)?;
    }
    for folder in ["/dev/pts", "/dev/shm", "/run/netns", "/run/dbus", "/run/lock"] {
        fs::create_dir_all(folder)?;
    }
    attach("devpts", "/dev/pts")?;
    attach("tmpfs", "/dev/shm")?;
    attach("debugfs", "/sys/kernel/debug")
}

fn attach(kind: &str, target: &str) -> Result<()> {
    mount(Some(kind), target, Some(kind), MsFlags::empty(), None::<&str>)
        .with_context(|| format!("mount {target}"))
}

/// A folder that QEMU offers under this tag.
fn share(tag: &str, target: &str) -> Result<()> {
    mount(Some(tag), target, Some("9p"), MsFlags::empty(), Some("trans=virtio,version=9p2000.L,msize=262144"))
        .with_context(|| format!("mount the share {tag}"))
}

fn load_modules() -> Result<()> {
    workshop::run(Command::new("modprobe").arg("-a").args(MODULES))?;
    // request_module() starts /sbin/modprobe in process 1's root, which is ours: nothing to set.
    debug_assert!(Path::new("/sbin/modprobe").exists());
    Ok(())
}
