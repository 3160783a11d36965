//! The laptop as NetworkManager has it: cellular's stand-in with route metric 700, the operator's Wi-Fi with 600, and
//! a supplicant on D-Bus. It moves by metrics: the lower one wins as soon as it is there.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::{
    World, ap,
    daemon::Daemon,
    netns::Netns,
    owner::{manager, without_udev},
    plan,
    stand_in::StandIn,
    supplicant,
};
use crate::{clock, text::tail, workshop};

/// How long it may take to be there, emulated.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take onto Wi-Fi when it is told to.
const JOINED: Duration = Duration::from_secs(90);
/// Its profiles.
const WIFI: &str = "wifi";
/// Where its D-Bus is.
const BUS: &str = "DBUS_SYSTEM_BUS_ADDRESS";

/// It and its supplicant.
pub(crate) struct NetworkManager {
    manager: Daemon,
    supplicant: Daemon,
    bus: String,
    _cellular: StandIn,
}

impl World {
    /// The laptop without the agent, and with NetworkManager; its traffic goes by cellular, and the access point is out
    /// of range.
    pub(crate) fn network_manager(&mut self) -> Result<NetworkManager> {
        self.vacate()?;
        let [identity, password] = self.core.visitor()?;
        let folder = self.options.work.join("network-manager");
        let profiles = folder.join("profiles");
        fs::create_dir_all(&profiles)?;
        let ca = self.core.ca().display().to_string();
        secret(&profiles.join("cellular.nmconnection"), &cellular())?;
        secret(&profiles.join("wifi.nmconnection"), &wifi(identity, password, &ca))?;
        let settings = folder.join("NetworkManager.conf");
        fs::write(&settings, configuration(&profiles))?;
        let nothing = folder.join("nothing");
        fs::create_dir_all(&nothing)?;
        let [settings, nothing] = [settings, nothing].map(|path| path.display().to_string());
        let logs = self.options.out.join("log");
        let here = Netns::here();
        let bus = self.cellular.bus().to_owned();
        let control = format!("DIR={}", supplicant::CONTROL);
        let words = ["wpa_supplicant", "-u", "-t", "-O", &control];
        let mut supplicant = Daemon::new("wpa_supplicant-nm", &here, &logs, &words).env(BUS, &bus);
        supplicant.start()?;
        let mut manager = manager(&logs, &settings, &nothing, &bus);
        let stand_in = StandIn::build(&self.core.place)?;
        manager.start_after(without_udev)?;
        let mut made = NetworkManager { manager, supplicant, bus, _cellular: stand_in };
        made.waits_for_route(self, plan::STAND_IN, START_LIMIT)?;
        Ok(made)
    }
}

impl NetworkManager {
    /// What its supplicant says.
    pub(crate) fn supplicant_log(&self) -> &Path {
        self.supplicant.log()
    }

    /// Waits until the default route is on this interface.
    pub(crate) fn waits_for_route(&mut self, world: &World, interface: &str, limit: Duration) -> Result<()> {
        let there = clock::until(&format!("NetworkManager's route by {interface}"), limit, || {
            self.manager.must_run()?;
            self.supplicant.must_run()?;
            Ok(world.default_route()?.contains(interface).then_some(()))
        });
        there
            .with_context(|| format!("{}\n{}", tail(self.manager.log(), 30), tail(self.supplicant.log(), 15)))
    }

    /// On Wi-Fi, told to where it does not come by itself: where the time that it takes is no matter.
    pub(crate) fn on_wifi(&mut self, world: &World) -> Result<()> {
        world.ap()?.radio.heard_at(ap::NEAR)?;
        world.ap()?.radio.in_range(true)?;
        let joined = clock::until_every(Duration::from_secs(1), "NetworkManager is on Wi-Fi", JOINED, || {
            self.manager.must_run()?;
            if world.default_route()?.contains(plan::LAPTOP_WLAN) {
                return Ok(Some(()));
            }
            // Refused while it has not heard the access point yet.
            let _ = self.nmcli(&["--wait", "20", "connection", "up", "id", WIFI]);
            Ok(None)
        });
        joined.with_context(|| tail(self.manager.log(), 30))
    }

    fn nmcli(&self, arguments: &[&str]) -> Result<String> {
        workshop::run(Command::new("nmcli").args(arguments).env(BUS, &self.bus))
    }
}

/// NetworkManager takes no profile that others could read.
fn secret(path: &PathBuf, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o600))?)
}

/// Debian's defaults but for what a laptop without polkit sessions and systemd needs. No connectivity check.
fn configuration(profiles: &Path) -> String {
    format!(
        "[main]\nplugins=keyfile\nauth-polkit=root-only\nno-auto-default=*\ndhcp=internal\ndns=default\n\
         rc-manager=file\nsystemd-resolved=false\n\
         [keyfile]\npath={}\nunmanaged-devices=*,except:interface-name:{cellular},except:interface-name:{wlan}\n\
         [device-cellular]\nmatch-device=interface-name:{cellular}\nmanaged=1\n",
        profiles.display(),
        cellular = plan::STAND_IN,
        wlan = plan::LAPTOP_WLAN,
    )
}

fn cellular() -> String {
    format!(
        "[connection]\nid=cellular\ntype=ethernet\ninterface-name={}\n\
         [ipv4]\nmethod=manual\naddress1={}/30,{}\ndns={};\nroute-metric=700\n[ipv6]\nmethod=disabled\n",
        plan::STAND_IN,
        plan::STAND_IN_ADDRESS,
        plan::STAND_IN_GATEWAY,
        plan::DNS[0],
    )
}

/// Metric 600 is its default for Wi-Fi.
fn wifi(identity: &str, password: &str, ca: &str) -> String {
    format!(
        "[connection]\nid={WIFI}\ntype=wifi\ninterface-name={}\n[wifi]\nssid={}\n\
         [wifi-security]\nkey-mgmt=wpa-eap\n\
         [802-1x]\neap=peap;\nidentity={identity}\npassword={password}\nphase2-auth=mschapv2\nca-cert={ca}\n\
         [ipv4]\nmethod=auto\n[ipv6]\nmethod=disabled\n",
        plan::LAPTOP_WLAN,
        plan::SSID,
    )
}
