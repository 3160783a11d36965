//! One run of QEMU: the guest's report comes line by line while it happens, its console goes to a file.
//!
//! Two serial ports: the first is the kernel's console, the second carries the report (`report::Line`). The guest's
//! verdict is an octet written to the isa-debug-exit port. Called by `vm`.

use std::{
    fmt, fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};

use super::kernel::Kernel;
use crate::clock;

/// Memory of the virtual laptop, MiB: the initramfs is in it twice while the kernel unpacks it.
const MEMORY_MIB: &str = "1024";

/// What the guest writes to [`VERDICT_PORT`] when all went well. QEMU ends with `(v << 1) | 1`; codes this high are
/// none of QEMU's own.
pub(crate) const GOOD: u8 = 0x10;
/// When something went wrong, and the report says what.
pub(crate) const BAD: u8 = 0x11;
/// The I/O port of isa-debug-exit.
pub(crate) const VERDICT_PORT: u64 = 0x501;

/// How long a guest may take to its first word; under emulation on a busy machine it takes ten to twenty seconds.
const BOOT_LIMIT: Duration = Duration::from_secs(90);

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The guest says all is well.
    Good,
    /// The guest says it is not.
    Bad,
    /// The guest went away without one.
    Silent,
    /// The time was up.
    TooLong,
}

/// Boots and feeds every line of the report to `hear`, until the guest ends or `limit` is over.
pub(crate) fn run(
    kernel: &Kernel,
    initramfs: &Path,
    out: &Path,
    accelerator: Accelerator,
    limit: Duration,
    mut hear: impl FnMut(&str),
) -> Result<Ended> {
    let mut child =
        Guard(command(kernel, initramfs, out, accelerator)?.spawn().context("start qemu-system-x86_64")?);
    let report = child.0.stdout.take().ok_or_else(|| anyhow!("qemu without standard output"))?;
    let (sender, lines) = mpsc::channel();
    let reader = thread::spawn(move || {
        for line in BufReader::new(report).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let start = clock::now();
    let mut end = start + limit.min(BOOT_LIMIT);
    loop {
        match lines.recv_timeout(end.saturating_duration_since(clock::now())) {
            Ok(line) => {
                end = start + limit;
                hear(line.trim_end_matches('\r'));
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => return Ok(Ended::TooLong),
        }
    }
    let _ = reader.join();
    let status = child.0.wait()?;
    Ok(match status.code() {
        Some(code) if code == code_of(GOOD) => Ended::Good,
        Some(code) if code == code_of(BAD) => Ended::Bad,
        _ => Ended::Silent,
    })
}

/// isa-debug-exit: octet v makes QEMU end with (v << 1) | 1.
const fn code_of(verdict: u8) -> i32 {
    ((verdict as i32) << 1) | 1
}

fn command(kernel: &Kernel, initramfs: &Path, out: &Path, accelerator: Accelerator) -> Result<Command> {
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(match accelerator {
        Accelerator::Kvm => ["-accel", "kvm", "-cpu", "host"],
        Accelerator::Emulation => ["-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "qemu64"],
    });
    qemu.args(["-M", "pc", "-smp", "2", "-m", MEMORY_MIB, "-nodefaults", "-display", "none", "-no-reboot"]);
    qemu.arg("-kernel").arg(&kernel.image).arg("-initrd").arg(initramfs);
    // Parameters of the form NAME=value that the kernel does not know become the environment of process 1.
    qemu.args([
        "-append",
        "console=ttyS0 quiet panic=-1 mitigations=off nokaslr no_timer_check PATH=/usr/sbin:/usr/bin",
    ]);
    qemu.arg("-serial").arg(format!("file:{}", out.join("console.log").display()));
    qemu.args(["-serial", "stdio"]);
    qemu.arg("-fsdev").arg(format!("local,id=out,path={},security_model=none", out.display()));
    qemu.args(["-device", "virtio-9p-pci,fsdev=out,mount_tag=out"]);
    qemu.args(["-device", "virtio-rng-pci", "-device", "isa-debug-exit,iobase=0x501,iosize=4"]);
    qemu.stdin(Stdio::null()).stdout(Stdio::piped());
    qemu.stderr(fs::File::create(out.join("qemu.log"))?);
    Ok(qemu)
}

/// Who runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accelerator {
    /// The processor.
    Kvm,
    /// QEMU.
    Emulation,
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "KVM",
            Self::Emulation => "emulated",
        })
    }
}

/// The best that this machine seems to have. `/dev/kvm` alone does not tell: it also stands on machines whose KVM
/// runs only guests made for it.
pub(crate) fn accelerator() -> Accelerator {
    let flags = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let virtual_machines = flags.split_ascii_whitespace().any(|flag| flag == "vmx" || flag == "svm");
    if virtual_machines && fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok() {
        Accelerator::Kvm
    } else {
        Accelerator::Emulation
    }
}

/// Ends QEMU whatever way we leave.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
