//! What the machine must have, found by dpkg and installed by apt.
//!
//! Says what is missing and what for before anything is changed. Called at the start of `demo` and of every suite
//! that needs more than Rust.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use nix::unistd::Uid;

use crate::progress;

/// A Debian package and the reason why it is wanted.
pub(crate) struct Package {
    name: &'static str,
    why: &'static str,
    /// Where it is there already by another package, whose name may differ.
    program: Option<&'static str>,
}

const fn needed(name: &'static str, why: &'static str) -> Package {
    Package { name, why, program: None }
}

/// Wanted unless this program is there, from whatever package.
const fn program(name: &'static str, program: &'static str, why: &'static str) -> Package {
    Package { name, why, program: Some(program) }
}

/// Wanted by the virtual laptop (`demo`, suite `vm`).
pub(crate) const VIRTUAL_LAPTOP: &[Package] = &[
    needed("qemu-system-x86", "boots the virtual laptop"),
    needed("binutils", "strips debug information from what goes into it, reads what must not stand in logs"),
    needed("xz-utils", "unpacks Debian's kernel"),
    needed("kmod", "lists which modules a module needs; loads them in the laptop"),
    needed("wpasupplicant", "the supplicant on the laptop"),
    needed("hostapd", "the access point"),
    needed("iw", "moves simulated radios and sets their power"),
    needed("iproute2", "network namespaces and links"),
    needed("tcpdump", "captures the traffic that is searched for secrets"),
    needed("modemmanager", "the real modem manager"),
    needed("polkitd", "ModemManager asks it"),
    needed("dbus-daemon", "the system bus"),
    needed("dbus-system-bus-common", "its Debian configuration"),
    needed("dnsmasq-base", "DHCP behind the access point, DNS in the operator's core"),
    needed("network-manager", "the other owner of the laptop's links, and what the agent is compared with"),
    needed("nftables", "holds stations of an open network that are not logged on"),
    needed("busybox", "udhcpc: the DHCP client beside a bare supplicant"),
];

/// Wanted by the modem suite, which runs without a virtual machine.
pub(crate) const MODEM: &[Package] = &[
    needed("modemmanager", "the real modem manager"),
    needed("polkitd", "ModemManager asks it"),
    needed("network-manager", "owns the modem in one case"),
    needed("dbus-daemon", "a bus of its own for the suite"),
    needed("dbus-system-bus-common", "its Debian configuration"),
    needed("dnsmasq-base", "DNS in the operator's core"),
    needed("iproute2", "network namespaces and links"),
    needed("binutils", "reads what must not stand in logs"),
    program("nodejs", "node", "runs the message centre"),
    program("npm", "npm", "fetches the SMPP package that the message centre is made of"),
];

/// Wanted where messages are sent, beside what the suite wants itself.
pub(crate) const MESSAGES: &[Package] = &[
    program("nodejs", "node", "runs the message centre"),
    program("npm", "npm", "fetches the SMPP package that the message centre is made of"),
];

/// Wanted by suite `matrix`.
pub(crate) const MATRIX: &[Package] = &[
    needed("eapoltest", "the logins by PEAP and TTLS"),
    needed("dnsmasq-base", "the name server of the bearer"),
    needed("iproute2", "network namespaces and links"),
    program("nodejs", "node", "runs the message centre"),
    program("npm", "npm", "fetches the SMPP package that the message centre is made of"),
];

/// Wanted by the suite about open networks, which runs without a virtual machine.
pub(crate) const WISPR: &[Package] = &[
    needed("nftables", "holds those who are not logged on"),
    needed("dnsmasq-base", "DNS in the operator's core"),
    needed("iproute2", "network namespaces and links"),
];

/// Wanted by `cargo test`.
pub(crate) const UNIT: &[Package] = &[
    needed("eapoltest", "wpa_supplicant's EAP peer against portal-aaa"),
    needed("libxml2-utils", "checks the portal's messages against their schema"),
    needed("openssl", "looks at the certificates that `portal-aaa init` makes"),
    needed("wpasupplicant", "the supplicant that the agent's control socket is tested with"),
    needed("hostapd", "the authenticator at the other end of its wire"),
    needed("network-manager", "the other owner of a WLAN interface, on the same wire"),
    needed("dnsmasq-base", "DHCP and DNS that the agent is tested with"),
    needed("iproute2", "network namespaces and links"),
    needed("dbus-daemon", "a bus for the agent's service and for ModemManager"),
    needed("dbus-system-bus-common", "its Debian configuration"),
    needed("modemmanager", "the real modem manager, for the simulated modem's own tests"),
    needed("polkitd", "ModemManager asks it, and so does the agent's service"),
    program("dbus-bin", "dbus-send", "calls the agent's service as other programs do"),
    program("bsdutils", "script", "a terminal for `offloadctl watch`"),
];

/// Wanted by suite `aaa-interop` and by `bench aaa`.
pub(crate) const AAA: &[Package] = &[
    needed("eapoltest", "wpa_supplicant's EAP peer, the judge of every EAP method"),
    needed("freeradius", "the server to measure against, and the proxy in front"),
    needed("freeradius-utils", "radclient: requests as gateways and captive portals send them"),
    needed("hostapd", "the other server to measure against"),
    needed("radsecproxy", "RADIUS over TLS from another hand"),
    needed("openssl", "makes certificates of each kind"),
    needed("iproute2", "a network of its own"),
    needed("tcpdump", "captures the traffic that is searched for secrets"),
];

/// Wanted by `bench portal`.
pub(crate) const PORTAL: &[Package] = &[
    needed("eapoltest", "logs in with what was issued"),
    needed("openssl", "makes certificates of each kind"),
    needed("iproute2", "a network of its own"),
    needed("tcpdump", "captures the traffic that is searched for secrets"),
];

/// Installs what is missing of `wanted`.
pub(crate) fn ensure(wanted: &[Package]) -> Result<()> {
    let mut missing: Vec<&Package> = Vec::new();
    for package in wanted {
        if !there(package)? && !missing.iter().any(|known| known.name == package.name) {
            missing.push(package);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("  Debian packages to be installed by apt-get:");
    for package in &missing {
        eprintln!("    {:<24} {}", package.name, package.why);
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    refresh_lists()?;
    progress::step("apt-get install", || {
        let mut install = vec!["install", "-y", "-q", "--no-install-recommends"];
        install.extend(&names);
        apt_get(&install).with_context(|| format!("by hand: apt-get install {}", names.join(" ")))
    })
}

/// `apt-get update`; its lists may be absent on a fresh machine and name versions that are gone on an old one.
pub(crate) fn refresh_lists() -> Result<()> {
    progress::step("apt-get update", || apt_get(&["update", "-q"]))
}

fn there(package: &Package) -> Result<bool> {
    if let Some(program) = package.program {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if std::env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
            return Ok(true);
        }
    }
    installed(package.name)
}

fn installed(name: &str) -> Result<bool> {
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", name])
        .stdin(Stdio::null())
        .output()
        .context("dpkg-query: the lab runs on Debian 12 or its kin")?;
    Ok(output.status.success() && output.stdout == b"installed")
}

/// As root, or through sudo.
fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = as_root("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
    let output = command.stdin(Stdio::null()).output().context("start apt-get (as root, or through sudo)")?;
    if !output.status.success() {
        bail!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// A command that runs as root: as it is where we are root, through sudo elsewhere.
pub(crate) fn as_root(program: &str) -> Command {
    if Uid::effective().is_root() {
        Command::new(program)
    } else {
        let mut sudo = Command::new("sudo");
        // sudo drops the environment; apt must not ask questions.
        sudo.args(["--preserve-env=DEBIAN_FRONTEND", program]);
        sudo
    }
}
