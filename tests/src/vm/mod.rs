//! The virtual laptop: Debian's kernel, a purpose-made initramfs, QEMU.
//!
//! `kernel` gets the kernel, `initramfs` (over `cpio`) makes the disk, `qemu` runs it. `crate::guest` is the other
//! side. Called by `demo` and by the suite `vm`.

mod cpio;
pub(crate) mod initramfs;
mod kernel;
pub(crate) mod qemu;

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, bail};

use crate::{
    packages, progress,
    report::{Line, Order},
    workshop,
    world::smsc,
};
use qemu::{Accelerator, Ended};

/// A run that ended with a verdict.
pub(crate) struct Run {
    /// Whether the guest was content.
    pub(crate) good: bool,
    /// Its logs and captures.
    pub(crate) out: PathBuf,
}

/// Gets what is needed, boots, feeds the report to `hear`.
///
/// A guest that never reported anything is started once more: QEMU's emulation has been seen to stop during boot.
pub(crate) fn run(name: &str, order: &Order, limit: Duration, mut hear: impl FnMut(Line)) -> Result<Run> {
    packages::ensure(packages::VIRTUAL_LAPTOP)?;
    let kernel = kernel::get()?;
    let initramfs = workshop::cache("guest")?.join("initramfs");
    progress::step("make the virtual laptop's disk", || initramfs::write(&initramfs, &kernel, order))?;
    // What failed with the processor's help is tried without it.
    let attempts = [qemu::accelerator(), Accelerator::Emulation];
    for (attempt, accelerator) in attempts.into_iter().enumerate() {
        let last = attempt + 1 == attempts.len();
        let out = workshop::out(name)?;
        if order.wants_messages() {
            progress::step("the message centre for the virtual laptop", || smsc::stage(&out))?;
        }
        progress::note(&format!("boot the virtual laptop (Linux {}, {accelerator})", kernel.release));
        let mut reported = false;
        let ended =
            qemu::run(&kernel, &initramfs, &out, accelerator, limit, |text| {
                match serde_json::from_str(text) {
                    Ok(line) => {
                        reported = true;
                        hear(line);
                    }
                    Err(_) => progress::note(text),
                }
            })?;
        match ended {
            Ended::Good => return Ok(Run { good: true, out }),
            Ended::Bad => return Ok(Run { good: false, out }),
            Ended::Silent | Ended::TooLong if reported || last => {
                bail!(
                    "the virtual laptop {}: {}\n{}",
                    if ended == Ended::TooLong { "took too long" } else { "went away without a verdict" },
                    out.display(),
                    tail(&out),
                )
            }
            Ended::Silent | Ended::TooLong => {
                progress::note(&format!(
                    "the virtual laptop never reported; starting it once more\n{}",
                    tail(&out)
                ));
            }
        }
    }
    bail!("the virtual laptop did not start")
}

/// The end of the console and of what QEMU said.
fn tail(out: &std::path::Path) -> String {
    ["qemu.log", "console.log"]
        .iter()
        .map(|name| crate::text::tail(&out.join(name), 15))
        .collect::<Vec<_>>()
        .join("\n")
}
