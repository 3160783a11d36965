//! The real parts and their versions, as each says itself.

use std::{fs, process::Command};

use crate::workshop;

/// Programs in the guest: shown name, and the command that makes it say its version.
const IN_THE_GUEST: [(&str, &[&str]); 10] = [
    ("wifi-offloadd", &["wifi-offloadd", "--version"]),
    ("portal-aaa", &["portal-aaa", "--version"]),
    ("wpa_supplicant", &["wpa_supplicant", "-v"]),
    ("hostapd", &["hostapd", "-v"]),
    ("ModemManager", &["ModemManager", "--version"]),
    ("dbus-daemon", &["dbus-daemon", "--version"]),
    ("dnsmasq", &["dnsmasq", "--version"]),
    ("iproute2", &["ip", "-V"]),
    ("nftables", &["nft", "--version"]),
    ("tcpdump", &["tcpdump", "--version"]),
];

/// Where it owns something.
const NETWORK_MANAGER: (&str, &[&str]) = ("NetworkManager", &["NetworkManager", "--version"]);

/// Libraries that are compiled into our programs.
const LIBRARIES: [(&str, &str); 2] = [("rustls", "rustls"), ("libsqlite3-sys", "libsqlite3-sys")];

/// Asked inside.
pub(crate) fn in_the_guest(network_manager: bool) -> Vec<(String, String)> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut parts = vec![("Linux".to_owned(), format!("{} with mac80211_hwsim", release.trim()))];
    for (name, words) in IN_THE_GUEST.into_iter().chain(network_manager.then_some(NETWORK_MANAGER)) {
        if let Some(version) = ask(words) {
            parts.push((name.to_owned(), version));
        }
    }
    parts
}

/// Asked outside: QEMU, and what the lock file says of libraries.
pub(crate) fn on_the_host() -> Vec<(String, String)> {
    let mut parts: Vec<(String, String)> = ask(&["qemu-system-x86_64", "--version"])
        .map(|version| ("QEMU".to_owned(), version))
        .into_iter()
        .collect();
    let lock = fs::read_to_string(workshop::root().join("Cargo.lock")).unwrap_or_default();
    for (name, library) in LIBRARIES {
        if let Some(version) = locked(&lock, library) {
            parts.push((name.to_owned(), version.to_owned()));
        }
    }
    parts
}

fn ask(words: &[&str]) -> Option<String> {
    let (program, arguments) = words.split_first()?;
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    version_in(&String::from_utf8_lossy(&text))
}

/// The first word that looks like a version.
fn version_in(text: &str) -> Option<String> {
    text.split(|c: char| c.is_whitespace() || c == ',')
        .map(|word| word.trim_start_matches(['v', 'V']).trim_start_matches("iproute2-"))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))
        .map(|word| word.trim_end_matches([')', '.']).to_owned())
}

fn locked<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let after = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?.1;
    after.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        for (said, version) in [
            ("wpa_supplicant v2.10\nCopyright (c) 2003", "2.10"),
            ("ModemManager 1.20.4\nCopyright", "1.20.4"),
            ("D-Bus Message Bus Daemon 1.14.10", "1.14.10"),
            ("ip utility, iproute2-6.1.0, libbpf 1.1.0", "6.1.0"),
            ("QEMU emulator version 7.2.19 (Debian 1:7.2)", "7.2.19"),
            ("Dnsmasq version 2.90  Copyright", "2.90"),
        ] {
            assert_eq!(version_in(said).as_deref(), Some(version));
        }
        assert_eq!(version_in("no such thing"), None);
    }

    #[test]
    fn the_lock_file_tells_versions() {
        let lock = "[[package]]\nname = \"rustls\"\nversion = \"0.23.46\"\n";
        assert_eq!(locked(lock, "rustls"), Some("0.23.46"));
        assert_eq!(locked(lock, "absent"), None);
    }
}
