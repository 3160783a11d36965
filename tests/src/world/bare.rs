//! The laptop with the least that gets onto the operator's Wi-Fi: wpa_supplicant with the network in its file, and
//! busybox's udhcpc, which wpa_cli's action script starts. The script's route is better than cellular's stand-in.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use anyhow::{Context as _, Result};

use super::{
    World, control,
    daemon::Daemon,
    netns::{self, Netns},
    plan::{self, LAPTOP_WLAN},
    stand_in::StandIn,
    supplicant::CONTROL,
};
use crate::clock;

/// How long the supplicant may take to start.
const LIMIT: Duration = Duration::from_secs(20);
/// Metrics as NetworkManager's defaults have them.
const CELLULAR_METRIC: u32 = 700;

/// Supplicant and what acts on its events. Fields are dropped in this order: the script's host goes first.
pub(crate) struct Bare {
    _actions: Daemon,
    supplicant: Daemon,
    _cellular: StandIn,
}

impl World {
    /// The laptop without the agent, and with a bare supplicant; its traffic goes by cellular, and the access point is
    /// out of range.
    pub(crate) fn bare(&mut self) -> Result<Bare> {
        self.vacate()?;
        let [identity, password] = self.core.visitor()?;
        let folder = self.options.work.join("bare");
        fs::create_dir_all(&folder)?;
        let settings = folder.join("wpa_supplicant.conf");
        fs::write(&settings, network(identity, password, &self.core.ca()))?;
        let script = folder.join("udhcpc");
        program(&script, UDHCPC)?;
        let action = folder.join("action");
        program(&action, &ACTION.replace("@SCRIPT@", &script.display().to_string()))?;
        let [settings, action] = [settings, action].map(|path| path.display().to_string());
        let (here, logs) = (Netns::here(), self.options.out.join("log"));
        let cellular = StandIn::build(&self.core.place)?;
        cellular.configure(CELLULAR_METRIC)?;
        let words = ["wpa_supplicant", "-t", "-Dnl80211", "-i", LAPTOP_WLAN, "-c", &settings];
        let mut supplicant = Daemon::new("wpa_supplicant-bare", &here, &logs, &words);
        supplicant.start()?;
        let socket = Path::new(CONTROL).join(LAPTOP_WLAN);
        clock::until("wpa_supplicant answers", LIMIT, || {
            supplicant.must_run()?;
            Ok((control::ask(&socket, "PING").ok().as_deref() == Some("PONG\n")).then_some(()))
        })?;
        let words = ["wpa_cli", "-p", CONTROL, "-i", LAPTOP_WLAN, "-a", &action];
        let mut actions = Daemon::new("wpa_cli", &here, &logs, &words);
        actions.start()?;
        Ok(Bare { _actions: actions, supplicant, _cellular: cellular })
    }
}

impl Bare {
    /// What its supplicant says.
    pub(crate) fn supplicant_log(&self) -> &Path {
        self.supplicant.log()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = netns::ip(&format!("addr flush dev {LAPTOP_WLAN}"));
    }
}

fn program(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

/// The login that NetworkManager's profile has, too, and the agent's TLS settings.
fn network(identity: &str, password: &str, ca: &Path) -> String {
    format!(
        "ctrl_interface={CONTROL}\nnetwork={{\n ssid=\"{ssid}\"\n key_mgmt=WPA-EAP WPA-EAP-SHA256\n \
         ieee80211w=1\n eap=PEAP\n identity=\"{identity}\"\n password=\"{password}\"\n ca_cert=\"{ca}\"\n \
         phase1=\"peapver=0 crypto_binding=2 tls_disable_tlsv1_0=1 tls_disable_tlsv1_1=1 tls_disable_tlsv1_3=0\"\n \
         phase2=\"auth=MSCHAPV2\"\n}}\n",
        ssid = plan::SSID,
        ca = ca.display(),
    )
}

/// wpa_cli calls it with the interface and what happened there.
const ACTION: &str = "#!/usr/bin/busybox sh
case \"$2\" in
CONNECTED) exec /usr/bin/busybox udhcpc -i $1 -n -q -t 15 -T 1 -s @SCRIPT@ ;;
DISCONNECTED) ip addr flush dev $1 ;;
esac
";

/// udhcpc calls it with what happened; values are in its environment.
const UDHCPC: &str = "#!/usr/bin/busybox sh
case \"$1\" in
deconfig) ip link set $interface up ;;
bound)
  ip addr replace $ip/${mask:-24} dev $interface
  ip route replace default via $router dev $interface metric 600
  ip mptcp endpoint add $ip dev $interface subflow ;;
esac
";
