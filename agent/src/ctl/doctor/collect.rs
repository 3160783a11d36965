//! What the tool can see by itself, and the daemon's own picture. Thin: no decisions.

use std::{fs, path::Path, time::Duration};

use tokio::time::timeout;
use zbus::{Connection, fdo::DBusProxy};

use super::chain::{Facts, Switch};
use crate::{
    bus::{self, Agent1Proxy},
    config::{self, Settings},
    machine::{FLOOR, Status},
    manager::facts,
};

/// For each question over D-Bus.
const LIMIT: Duration = Duration::from_secs(5);
/// ModemManager's name on the bus.
const MODEM_MANAGER: &str = "org.freedesktop.ModemManager1";

/// Looks everywhere; what cannot be seen is left out. A configuration that is not readable for this user counts as the
/// default one.
pub(super) async fn facts(address: Option<&str>, config: &Path) -> Facts {
    let settings = config::load(config).unwrap_or_default();
    let bus = timeout(LIMIT, bus::connect(address)).await;
    let bus = bus
        .map_err(|_| "D-Bus does not answer".to_owned())
        .and_then(|bus| bus.map_err(|error| error.to_string()));
    let (status, modem_manager) = match &bus {
        Ok(bus) => (status(bus).await, has_owner(bus, MODEM_MANAGER).await),
        Err(why) => (Err(why.clone()), None),
    };
    let told = status.as_ref().ok().and_then(|status| status.wlan.interface.clone());
    let interface = told.or_else(|| settings.wlan.interface.clone());
    let foreign_owner = match (&bus, &interface) {
        (Ok(bus), Some(interface)) => is_foreign(bus, &settings, interface).await,
        _ => false,
    };
    Facts {
        status,
        unix: u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default(),
        floor: FLOOR,
        free: free(&settings.state.dir),
        modem_manager,
        blocked: interface.as_deref().and_then(blocked),
        foreign_owner,
    }
}

async fn status(bus: &Connection) -> Result<Status, String> {
    let ask = async { Agent1Proxy::new(bus).await?.get_status().await };
    let answer = timeout(LIMIT, ask).await.map_err(|_| "it does not answer".to_owned())?;
    let answer = answer.map_err(|error| format!("it does not answer: {error}"))?;
    serde_json::from_str(&answer).map_err(|_| "its answer is that of another version".to_owned())
}

async fn has_owner(bus: &Connection, name: &'static str) -> Option<bool> {
    let ask = async {
        DBusProxy::new(bus).await?.name_has_owner(name.try_into()?).await.map_err(zbus::Error::from)
    };
    timeout(LIMIT, ask).await.ok()?.ok()
}

async fn is_foreign(bus: &Connection, settings: &Settings, interface: &str) -> bool {
    settings.wlan.owner == facts::Choice::WpaSupplicant
        && matches!(timeout(LIMIT, facts::look(bus, interface)).await, Ok(Ok(facts::Facts::Managed)))
}

/// Octets that an unprivileged program could still write.
fn free(dir: &Path) -> Option<u64> {
    // The daemon's directory may be closed to this user; its file system is the same one level up.
    let space =
        rustix::fs::statvfs(dir).or_else(|_| rustix::fs::statvfs(dir.parent().unwrap_or(dir))).ok()?;
    Some(space.f_bavail.saturating_mul(space.f_frsize))
}

/// The switches of this interface's radio, by sysfs (`/sys/class/net/…/phy80211/rfkillN`).
fn blocked(interface: &str) -> Option<Switch> {
    let phy = Path::new("/sys/class/net").join(interface).join("phy80211");
    let mut worst = None;
    for entry in fs::read_dir(phy).ok()?.flatten() {
        if !entry.file_name().to_string_lossy().starts_with("rfkill") {
            continue;
        }
        let is_set =
            |file: &str| fs::read_to_string(entry.path().join(file)).is_ok_and(|text| text.trim() == "1");
        let switch = match (is_set("hard"), is_set("soft")) {
            (true, _) => Switch::Hard,
            (false, true) => Switch::Soft,
            (false, false) => Switch::Open,
        };
        if worst.is_none_or(|worst| worst == Switch::Open) {
            worst = Some(switch);
        }
    }
    worst
}
