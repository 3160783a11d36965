//! Simulated radios: mac80211_hwsim's, in the kernel's own Wi-Fi stack.
//!
//! How strong a receiver hears a transmitter is the transmitter's `rx_rssi` (debugfs) plus its transmit power. Out
//! of range is another `group`: no frame passes, nobody says goodbye.

use std::{cell::Cell, fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use super::netns::Netns;
use crate::workshop;

/// Transmit power at which all but the weakest levels are made, dBm.
const FULL_POWER: i32 = 20;
/// `rx_rssi` goes no lower, dBm; weaker levels need less power.
const WEAKEST: i32 = -100;

/// One radio with one interface.
pub(crate) struct Radio {
    interface: String,
    place: Netns,
    debug: PathBuf,
    /// What it sends with since the lab said so last, dBm.
    power: Cell<Option<i32>>,
}

/// Loads the driver with this many radios; their interfaces are wlan0, wlan1, …
///
/// With two channel contexts the driver scans like hardware: data flows on and beacon loss is noticed meanwhile.
pub(crate) fn load(radios: usize) -> Result<()> {
    workshop::run(Command::new("modprobe").args([
        "mac80211_hwsim",
        &format!("radios={radios}"),
        "channels=2",
    ]))
    .map(drop)
}

impl Radio {
    /// The radio of this interface, put into `place`.
    pub(crate) fn take(interface: &str, place: &Netns) -> Result<Self> {
        let phy = fs::read_to_string(format!("/sys/class/net/{interface}/phy80211/name"))
            .with_context(|| format!("radio of {interface}"))?
            .trim()
            .to_owned();
        if let Some(name) = place.name() {
            workshop::run(Command::new("iw").args(["phy", &phy, "set", "netns", "name", name]))?;
        }
        let debug = PathBuf::from("/sys/kernel/debug/ieee80211").join(&phy).join("hwsim");
        Ok(Self { interface: interface.to_owned(), place: place.clone(), debug, power: Cell::new(None) })
    }

    /// Who is in range hears it at this level from now on.
    pub(crate) fn heard_at(&self, dbm: i32) -> Result<()> {
        let power = if dbm - FULL_POWER >= WEAKEST { FULL_POWER } else { (dbm - WEAKEST).max(1) };
        if self.power.get() != Some(power) {
            let centibels = (power * 100).to_string();
            let mut iw = self.place.command("iw");
            workshop::run(iw.args(["dev", &self.interface, "set", "txpower", "fixed", &centibels]))?;
            self.power.set(Some(power));
        }
        // The file takes unsigned numbers only: a negative level is its two's complement.
        self.set("rx_rssi", &i64::from(dbm - power).cast_unsigned().to_string())
    }

    /// In range or out of it.
    pub(crate) fn in_range(&self, yes: bool) -> Result<()> {
        self.set("group", if yes { "1" } else { "2" })
    }

    fn set(&self, file: &str, value: &str) -> Result<()> {
        let path = self.debug.join(file);
        fs::write(&path, value).with_context(|| format!("{} = {value}", path.display()))
    }
}
