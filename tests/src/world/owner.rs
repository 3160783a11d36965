//! NetworkManager as owner of Wi-Fi, modem, or both, with connections of its own that are none of the agent's business.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use serde::{Deserialize, Serialize};

use super::{World, daemon::Daemon, netns::Netns, plan::LAPTOP_WLAN};
use crate::{clock, text::tail, workshop};

/// How long it may take to have its devices, emulated.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Where D-Bus is.
const BUS: &str = "DBUS_SYSTEM_BUS_ADDRESS";
/// Where it keeps connections (NetworkManager.conf(5)): on disk, and in memory.
const PROFILES: [&str; 2] =
    ["/etc/NetworkManager/system-connections", "/run/NetworkManager/system-connections"];

/// What is NetworkManager's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Owner {
    /// The WLAN card.
    NmWifi,
    /// The modem.
    NmModem,
    /// Both.
    Nm,
}

impl Owner {
    fn wifi(self) -> bool {
        self != Self::NmModem
    }

    fn modem(self) -> bool {
        self != Self::NmWifi
    }
}

/// NetworkManager, and the supplicant that it speaks with.
pub(crate) struct Manager {
    owner: Owner,
    manager: Daemon,
    supplicant: Option<Daemon>,
    bus: String,
    before: Connections,
}

/// Every connection, as `nmcli` lists it and as the files have it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Connections {
    listed: Vec<String>,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl World {
    /// NetworkManager gets what it is to own. The agent must not run.
    pub(crate) fn give(&mut self, owner: Owner) -> Result<()> {
        let logs = self.options.out.join("log");
        let bus = self.cellular.bus().to_owned();
        let here = Netns::here();
        let supplicant = if owner.wifi() {
            self.supplicant()?.daemon.stop()?;
            let words = ["wpa_supplicant", "-u", "-t"];
            let mut supplicant = Daemon::new("wpa_supplicant-dbus", &here, &logs, &words).env(BUS, &bus);
            supplicant.start()?;
            Some(supplicant)
        } else {
            None
        };
        let folder = self.options.work.join("network-manager");
        let nothing = folder.join("nothing").display().to_string();
        fs::create_dir_all(&nothing)?;
        let settings = folder.join("NetworkManager.conf");
        fs::write(&settings, configuration(owner))?;
        write_profiles(Path::new(PROFILES[0]))?;
        let settings = settings.display().to_string();
        let mut manager = manager(&logs, &settings, &nothing, &bus);
        manager.start_after(without_udev)?;
        let before = Connections { listed: Vec::new(), files: BTreeMap::new() };
        let mut made = Manager { owner, manager, supplicant, bus, before };
        made.has_devices()?;
        // One that lives in memory alone, as other programs make them.
        made.nmcli(&[
            "connection",
            "add",
            "save",
            "no",
            "type",
            "dummy",
            "con-name",
            "of another program",
            "ifname",
            "dummy7",
            "autoconnect",
            "no",
            "ip4",
            "192.0.2.7/32",
        ])?;
        made.before = made.connections()?;
        ensure!(made.before.listed.len() >= 4, "{:?}", made.before.listed);
        self.manager = Some(made);
        Ok(())
    }

    /// What the agent has left with NetworkManager must be nothing: its connections are as they were. The agent must
    /// have ended. True to say so; also where NetworkManager owns nothing.
    pub(crate) fn connections_are_as_found(&self) -> Result<()> {
        let Some(manager) = &self.manager else { return Ok(()) };
        let after = manager.connections()?;
        ensure!(after == manager.before, "not as found: {:?}\nbut {:?}", manager.before, after);
        Ok(())
    }

    /// NetworkManager ends, and the laptop is as it was before [`World::give`].
    pub(crate) fn take_back(&mut self) -> Result<()> {
        let Some(mut manager) = self.manager.take() else { return Ok(()) };
        manager.manager.stop()?;
        if let Some(mut supplicant) = manager.supplicant.take() {
            supplicant.stop()?;
            // It changed the address while it looked around (wifi.scan-rand-mac-address).
            self.restore_wlan_mac()?;
            self.supplicant()?.start()?;
        }
        for file in fs::read_dir(PROFILES[0])? {
            fs::remove_file(file?.path())?;
        }
        Ok(())
    }
}

impl Manager {
    /// An error that names who died.
    pub(super) fn must_run(&mut self) -> Result<()> {
        self.manager.must_run()?;
        self.supplicant.as_mut().map_or(Ok(()), Daemon::must_run)
    }

    /// Whether the supplicant that the lab speaks with by its socket is switched off.
    pub(super) fn has_wifi(&self) -> bool {
        self.owner.wifi()
    }

    fn has_devices(&mut self) -> Result<()> {
        let mut wanted = Vec::new();
        if self.owner.wifi() {
            wanted.push("wifi:disconnected");
        }
        if self.owner.modem() {
            wanted.push("gsm:disconnected");
        }
        let there = clock::until_every(
            Duration::from_millis(300),
            "NetworkManager has its devices",
            START_LIMIT,
            || {
                self.must_run()?;
                // It is not on the bus at once.
                let devices = self.nmcli(&["-g", "TYPE,STATE", "device"]).unwrap_or_default();
                Ok(wanted.iter().all(|wanted| devices.contains(wanted)).then_some(()))
            },
        );
        there.with_context(|| tail(self.manager.log(), 30))
    }

    fn connections(&self) -> Result<Connections> {
        let fields = "NAME,UUID,TYPE,AUTOCONNECT,AUTOCONNECT-PRIORITY,READONLY,FILENAME";
        let answer = self.nmcli(&["-t", "-f", fields, "connection", "show"])?;
        let mut listed: Vec<String> = answer.lines().map(str::to_owned).collect();
        listed.sort();
        let mut files = BTreeMap::new();
        for folder in PROFILES.iter().map(Path::new).filter(|folder| folder.exists()) {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                files.insert(path.clone(), fs::read(&path)?);
            }
        }
        Ok(Connections { listed, files })
    }

    fn nmcli(&self, arguments: &[&str]) -> Result<String> {
        workshop::run(Command::new("nmcli").args(arguments).env(BUS, &self.bus))
    }
}

/// NetworkManager with these settings, and nothing of what is installed; `nothing` is an empty folder.
pub(super) fn manager(logs: &Path, settings: &str, nothing: &str, bus: &str) -> Daemon {
    let config = ["--config", settings, "--config-dir", nothing, "--system-config-dir", nothing];
    let words = [&["NetworkManager", "--debug"][..], &config].concat();
    Daemon::new("NetworkManager", &Netns::here(), logs, &words).env(BUS, bus)
}

/// A /sys that cannot be written tells NetworkManager that there is no udev to wait for.
pub(super) fn without_udev() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("make a mount namespace")?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).context("make mounts private")?;
    let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    mount(none, "/sys", none, read_only, none).context("make /sys read-only")
}

/// Debian's defaults but for what a laptop without sessions and systemd needs, and for what is left alone.
fn configuration(owner: Owner) -> String {
    let mut except = String::new();
    if owner.wifi() {
        except += &format!(",except:interface-name:{LAPTOP_WLAN}");
    }
    if owner.modem() {
        except += ",except:type:gsm";
    }
    format!(
        "[main]\nplugins=keyfile\nauth-polkit=root-only\nno-auto-default=*\ndhcp=internal\ndns=none\n\
         systemd-resolved=false\n[keyfile]\nunmanaged-devices=*{except}\n"
    )
}

/// What somebody has set up: a home network that connects by itself, a SIM of another operator, a cable.
fn write_profiles(folder: &Path) -> Result<()> {
    let profile = |id: &str, number: u8, rest: &str| {
        format!("[connection]\nid={id}\nuuid=5f1c2e0a-7c55-4d0f-9a51-0000000000{number:02}\n{rest}")
    };
    let home =
        "type=wifi\n[wifi]\nssid=home\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=not-the-agents-business\n";
    let abroad = "type=gsm\nautoconnect=false\n[gsm]\napn=another.operator\n";
    let cable = "type=ethernet\nautoconnect=false\n[ipv4]\nmethod=auto\n";
    for (id, number, rest) in [("home", 1, home), ("abroad", 2, abroad), ("cable", 3, cable)] {
        let path = folder.join(format!("{id}.nmconnection"));
        fs::write(&path, profile(id, number, rest)).with_context(|| path.display().to_string())?;
        // NetworkManager takes no profile that others could read.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}
