//! The virtual laptop's whole disk: an initramfs made for one purpose.
//!
//! Programs with the libraries that `ldd` names, kernel modules with the modules that `modules.dep` names, a few
//! configuration files, and `lab` itself as `/init`. Nothing else is in it; the only shell is busybox's, for the scripts
//! that a bare supplicant and udhcpc call. Called by `vm`.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, anyhow};

use super::{cpio::Archive, kernel::Kernel};
use crate::{report::Order, workshop};

/// Where the guest finds what it is to do.
pub(crate) const ORDER_FILE: &str = "/etc/lab-order.json";
/// The project's own files that the guest needs (D-Bus policy).
pub(crate) const PROJECT: &str = "/usr/share/wifi-offload";

/// Debian's programs in the guest.
const DEBIAN_PROGRAMS: [&str; 16] = [
    "wpa_supplicant",
    "wpa_cli",
    "hostapd",
    "iw",
    "ip",
    "tcpdump",
    "modprobe",
    "mmcli",
    "ModemManager",
    "dbus-daemon",
    "dnsmasq",
    "nft",
    "NetworkManager",
    "nmcli",
    "busybox",
    "/usr/lib/polkit-1/polkitd",
];

/// Folders and files of Debian's packages that those programs read.
const DEBIAN_FILES: [&str; 11] = [
    // NetworkManager's plug-ins: it knows no Wi-Fi without them.
    "/usr/lib/x86_64-linux-gnu/NetworkManager",
    "/usr/lib/x86_64-linux-gnu/ModemManager",
    "/usr/share/ModemManager",
    // There is no udev in the guest: ModemManager applies its own rules itself.
    "/usr/lib/udev/rules.d",
    // wpa_supplicant computes MD4 for MSCHAPv2 with OpenSSL's legacy provider.
    "/usr/lib/x86_64-linux-gnu/ossl-modules",
    "/usr/lib/ssl/openssl.cnf",
    "/usr/share/dbus-1/system.conf",
    "/usr/share/dbus-1/system.d",
    "/etc/dbus-1/system.d",
    "/usr/share/polkit-1",
    "/etc/polkit-1",
];

/// Kernel modules, by name; what they need comes along.
const MODULES: [&str; 20] = [
    "virtio_pci",
    "virtio_rng",
    "9pnet_virtio",
    "9p",
    "mac80211_hwsim",
    // The kernel asks for these by itself when the first CCMP or management key is set.
    "ccm",
    "ctr",
    "gcm",
    "cmac",
    "veth",
    "inet_diag",
    "tcp_diag",
    "udp_diag",
    "af_packet_diag",
    // For the rules of an open network's gateway; the first is what the second asks the kernel for.
    "crc32c_generic",
    "nf_tables",
    "nft_chain_nat",
    "nft_redir",
    "nft_reject",
    "nft_reject_ipv4",
];

/// Users that the daemons want to be.
const PASSWD: &str = "root:x:0:0:root:/root:/bin/false\n\
    messagebus:x:100:100::/:/bin/false\n\
    polkitd:x:101:101::/:/bin/false\n\
    nobody:x:65534:65534::/:/bin/false\n";
const GROUP: &str = "root:x:0:\nmessagebus:x:100:\npolkitd:x:101:\nnetdev:x:102:\nnogroup:x:65534:\n";

/// Writes the archive.
pub(crate) fn write(path: &Path, kernel: &Kernel, order: &Order) -> Result<()> {
    let mut disk = Disk::new(path)?;
    disk.skeleton(order)?;
    for name in workshop::PROGRAMS {
        disk.program(&stripped(name)?, &format!("/usr/bin/{name}"))?;
    }
    disk.archive.link("/init", "/usr/bin/lab")?;
    for name in DEBIAN_PROGRAMS {
        let from = find(name)?;
        disk.program(&from, &from.to_string_lossy())?;
    }
    for name in DEBIAN_FILES {
        disk.tree(Path::new(name), name)?;
    }
    disk.tree(&workshop::root().join("dbus"), &format!("{PROJECT}/dbus"))?;
    disk.modules(kernel)?;
    disk.archive.finish()?.flush()?;
    Ok(())
}

/// An archive under way and the libraries that are in it.
struct Disk {
    archive: Archive<BufWriter<fs::File>>,
    scanned: BTreeSet<PathBuf>,
}

impl Disk {
    fn new(path: &Path) -> Result<Self> {
        let file = fs::File::create(path).with_context(|| format!("write {}", path.display()))?;
        Ok(Self { archive: Archive::new(BufWriter::new(file)), scanned: BTreeSet::new() })
    }

    fn skeleton(&mut self, order: &Order) -> Result<()> {
        for folder in [
            "proc",
            "sys",
            "dev",
            "run",
            "tmp",
            "root",
            "out",
            "var/lib",
            "var/log",
            "usr/bin",
            "usr/sbin",
            "usr/lib",
            "usr/lib64",
            "etc/wifi-offload",
            "etc/NetworkManager/system-connections",
            "var/lib/NetworkManager",
        ] {
            self.archive.folder(folder)?;
        }
        for link in ["bin", "sbin", "lib", "lib64"] {
            self.archive.link(link, &format!("usr/{link}"))?;
        }
        self.archive.link("var/run", "../run")?;
        // Process 1 writes here before it has mounted /dev.
        self.archive.device("dev/console", 5, 1)?;
        self.archive.file("etc/passwd", PASSWD.as_bytes(), false)?;
        self.archive.file("etc/group", GROUP.as_bytes(), false)?;
        self.archive.file("etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files dns\n", false)?;
        self.archive.file("etc/hosts", b"127.0.0.1 localhost\n", false)?;
        self.archive.file("etc/machine-id", b"0123456789abcdef0123456789abcdef\n", false)?;
        self.archive.file(ORDER_FILE, &serde_json::to_vec(order)?, false)?;
        Ok(())
    }

    /// A program and the libraries that it is linked with.
    fn program(&mut self, from: &Path, to: &str) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("read {}", from.display()))?;
        self.archive.file(&merged(to), &content, true)?;
        self.libraries_of(from)
    }

    fn libraries_of(&mut self, file: &Path) -> Result<()> {
        let output = Command::new("ldd").arg(file).output().context("start ldd")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        for word in text.split_ascii_whitespace().filter(|word| word.starts_with('/')) {
            let library = PathBuf::from(word);
            if self.scanned.insert(library.clone()) {
                let content = fs::read(&library).with_context(|| format!("read {word}"))?;
                self.archive.file(&merged(word), &content, true)?;
            }
        }
        Ok(())
    }

    /// A file or a folder with all that is in it; what is absent on this machine is left out.
    fn tree(&mut self, from: &Path, to: &str) -> Result<()> {
        if from.is_dir() {
            self.archive.folder(to)?;
            for entry in fs::read_dir(from)? {
                let entry = entry?;
                self.tree(&entry.path(), &format!("{to}/{}", entry.file_name().to_string_lossy()))?;
            }
        } else if from.is_file() {
            let content = fs::read(from).with_context(|| format!("read {}", from.display()))?;
            self.archive.file(&merged(to), &content, false)?;
            if to.contains(".so") {
                self.libraries_of(from)?;
            }
        }
        Ok(())
    }

    fn modules(&mut self, kernel: &Kernel) -> Result<()> {
        let folder = kernel.root.join("lib/modules").join(&kernel.release);
        let table = fs::read_to_string(folder.join("modules.dep")).context("modules.dep")?;
        for wanted in MODULES {
            for file in
                closure(&table, wanted).ok_or_else(|| anyhow!("{} has no {wanted}", kernel.release))?
            {
                let content = fs::read(folder.join(file))?;
                self.archive.file(&format!("/usr/lib/modules/{}/{file}", kernel.release), &content, false)?;
            }
        }
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("modules.") && entry.path().is_file() {
                let content = fs::read(entry.path())?;
                self.archive.file(&format!("/usr/lib/modules/{}/{name}", kernel.release), &content, false)?;
            }
        }
        Ok(())
    }
}

/// The module's file and those it needs, from `modules.dep` ("file: file file …").
fn closure<'a>(table: &'a str, module: &str) -> Option<Vec<&'a str>> {
    let named = |file: &str| {
        let stem = file.rsplit('/').next().unwrap_or(file).split('.').next().unwrap_or_default();
        stem.replace('-', "_") == module
    };
    table.lines().filter_map(|line| line.split_once(':')).find(|(file, _)| named(file)).map(
        |(file, needs)| {
            let mut files = vec![file];
            files.extend(needs.split_ascii_whitespace());
            files
        },
    )
}

/// Debian's merged /usr: `/lib/…` is `/usr/lib/…`.
fn merged(path: &str) -> String {
    if ["/lib/", "/lib64/", "/bin/", "/sbin/"].iter().any(|start| path.starts_with(start)) {
        format!("/usr{path}")
    } else {
        path.to_owned()
    }
}

/// Where a program of Debian lies; the system folders are not in everybody's PATH.
fn find(name: &str) -> Result<PathBuf> {
    ["", "/usr/bin", "/usr/sbin", "/usr/local/sbin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.is_absolute() && path.is_file())
        .ok_or_else(|| anyhow!("{name} is not on this machine"))
}

/// Our program without debug information: it doubles the boot's memory and time.
fn stripped(name: &str) -> Result<PathBuf> {
    let from = workshop::program(name);
    let to = workshop::cache("guest")?.join(name);
    let changed = |path: &Path| fs::metadata(path).and_then(|data| data.modified());
    let built = changed(&from).with_context(|| format!("{} is not built", from.display()))?;
    if !changed(&to).is_ok_and(|stripped| stripped > built) {
        workshop::run(Command::new("strip").arg("--strip-debug").arg("-o").arg(&to).arg(&from))?;
    }
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "kernel/a/mac80211-hwsim.ko: kernel/b/mac80211.ko kernel/c/cfg80211.ko\n\
        kernel/c/cfg80211.ko:\n";

    #[test]
    fn a_module_brings_what_it_needs() {
        let files = closure(TABLE, "mac80211_hwsim").unwrap();
        assert_eq!(files, ["kernel/a/mac80211-hwsim.ko", "kernel/b/mac80211.ko", "kernel/c/cfg80211.ko"]);
        assert_eq!(closure(TABLE, "cfg80211").unwrap(), ["kernel/c/cfg80211.ko"]);
        assert!(closure(TABLE, "mac80211").is_none());
    }

    #[test]
    fn libraries_go_below_usr() {
        assert_eq!(merged("/lib/x86_64-linux-gnu/libc.so.6"), "/usr/lib/x86_64-linux-gnu/libc.so.6");
        assert_eq!(merged("/usr/bin/ip"), "/usr/bin/ip");
    }
}
