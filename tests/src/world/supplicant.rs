//! wpa_supplicant on the laptop, without networks of its own, and the lab's hand on its control socket.
//!
//! The lab uses the socket for what a person at the laptop could do: make the supplicant write its configuration
//! down, spoil a password, use somebody else's credential.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;

use super::{control, daemon::Daemon, netns::Netns, plan::LAPTOP_WLAN};
use crate::clock;

/// Where its control sockets are.
pub(crate) const CONTROL: &str = "/run/wpa_supplicant";
/// How long it may take to start or to answer.
const LIMIT: Duration = Duration::from_secs(20);

/// The supplicant.
pub(crate) struct Supplicant {
    /// The program.
    pub(crate) daemon: Daemon,
    saved: PathBuf,
}

impl Supplicant {
    /// Not started yet. `secrets` is a folder that is not among the results: there it saves its configuration.
    pub(crate) fn new(secrets: &Path, logs: &Path) -> Result<Self> {
        let saved = secrets.join("wpa_supplicant.conf");
        let text = saved.to_string_lossy().into_owned();
        let words = ["wpa_supplicant", "-t", "-Dnl80211", "-i", LAPTOP_WLAN, "-c", &text];
        let daemon = Daemon::new("wpa_supplicant", &Netns::here(), logs, &words);
        Ok(Self { daemon, saved })
    }

    /// Starts it with an empty configuration and waits for its socket.
    pub(crate) fn start(&mut self) -> Result<()> {
        fs::write(&self.saved, format!("ctrl_interface={CONTROL}\nupdate_config=1\n"))?;
        self.daemon.start()?;
        clock::until("wpa_supplicant answers", LIMIT, || {
            self.daemon.must_run()?;
            Ok((self.ask("PING").ok().as_deref() == Some("PONG\n")).then_some(()))
        })
    }

    /// The password that the agent installed, as the supplicant writes it down.
    pub(crate) fn password(&self) -> Result<String> {
        // The agent is armed a moment before the supplicant has it all.
        clock::until("the supplicant holds a password", LIMIT, || {
            self.command("SAVE_CONFIG")?;
            let text = fs::read_to_string(&self.saved)?;
            let password = text.lines().find_map(|line| line.trim().strip_prefix("password="));
            Ok(password.map(|value| value.trim_matches('"').to_owned()))
        })
    }

    /// Uses this WPA-Enterprise network by PEAP, and no other.
    pub(crate) fn only_network(&self, values: &[(&str, &str)]) -> Result<()> {
        self.no_network()?;
        let number = self.ask("ADD_NETWORK")?.trim().to_owned();
        for (key, value) in values {
            self.command(&format!("SET_NETWORK {number} {key} \"{value}\""))?;
        }
        for plain in ["key_mgmt WPA-EAP", "eap PEAP", "ieee80211w 1"] {
            self.command(&format!("SET_NETWORK {number} {plain}"))?;
        }
        self.command(&format!("SELECT_NETWORK {number}"))
    }

    /// Uses no network.
    pub(crate) fn no_network(&self) -> Result<()> {
        self.command("REMOVE_NETWORK all")
    }

    /// Spoils the installed password.
    pub(crate) fn spoil_password(&self) -> Result<()> {
        self.set_all("password \"not-the-password\"")
    }

    /// Puts another credential in the place of the installed one.
    pub(crate) fn use_credential(&self, username: &str, password: &str) -> Result<()> {
        self.set_all(&format!("identity \"{username}\""))?;
        self.set_all(&format!("password \"{password}\""))
    }

    /// Waits until there is a network, and gives all of them this setting.
    fn set_all(&self, setting: &str) -> Result<()> {
        let numbers = clock::until("a network is installed", LIMIT, || {
            let networks = self.ask("LIST_NETWORKS")?;
            // "network id / ssid / bssid / flags", then one line a network, its number first.
            let numbers = networks.lines().skip(1).filter_map(|line| line.split('\t').next());
            let numbers: Vec<String> = numbers.map(str::to_owned).collect();
            Ok((!numbers.is_empty()).then_some(numbers))
        })?;
        for number in numbers {
            self.command(&format!("SET_NETWORK {number} {setting}"))?;
        }
        Ok(())
    }

    fn command(&self, command: &str) -> Result<()> {
        control::command(&Path::new(CONTROL).join(LAPTOP_WLAN), command)
    }

    fn ask(&self, command: &str) -> Result<String> {
        control::ask(&Path::new(CONTROL).join(LAPTOP_WLAN), command)
    }
}
