//! Who owns the WLAN interface, and what that is decided by.

use zbus::{Connection, fdo::DBusProxy};

use super::{NAME, ROOT, proxies::ManagerProxy, read::properties};
use crate::{
    modem::properties::{number, truth},
    supplicant::Owner,
};

/// `NM_STATE_ASLEEP`: every device is unmanaged then, and will be managed again.
const ASLEEP: u32 = 10;

/// Which program the configuration allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// Found out.
    #[default]
    Auto,
    /// wpa_supplicant's control socket, whatever else runs.
    WpaSupplicant,
    /// NetworkManager; without it there is no Wi-Fi.
    NetworkManager,
}

/// What NetworkManager says of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Facts {
    /// It is not on the bus, or does not know the interface.
    Absent,
    /// It suspends, and says nothing that lasts.
    Asleep,
    /// It knows the interface and leaves it alone.
    Unmanaged,
    /// The interface is its own.
    Managed,
}

/// Who owns the interface by these facts. `before` is who owned it until now.
pub(super) fn decide(choice: Choice, facts: Facts, before: Option<Owner>) -> Owner {
    match (choice, facts) {
        (Choice::WpaSupplicant, _) => Owner::WpaSupplicant,
        (Choice::NetworkManager, _) | (Choice::Auto, Facts::Managed) => Owner::NetworkManager,
        (Choice::Auto, Facts::Asleep) => before.unwrap_or(Owner::NetworkManager),
        (Choice::Auto, Facts::Absent | Facts::Unmanaged) => Owner::WpaSupplicant,
    }
}

/// Looks. What cannot be read is not there.
pub(crate) async fn look(bus: &Connection, interface: &str) -> zbus::Result<Facts> {
    // Asked first because a call to the name itself would make the bus start a NetworkManager that is stopped.
    if !DBusProxy::new(bus).await?.name_has_owner(NAME.try_into()?).await? {
        return Ok(Facts::Absent);
    }
    if number(&properties(bus, ROOT, NAME).await, "State") == Some(ASLEEP) {
        return Ok(Facts::Asleep);
    }
    let Ok(device) = ManagerProxy::new(bus).await?.get_device_by_ip_iface(interface).await else {
        return Ok(Facts::Absent);
    };
    let device = properties(bus, device.as_str(), "org.freedesktop.NetworkManager.Device").await;
    Ok(if truth(&device, "Managed") == Some(true) { Facts::Managed } else { Facts::Unmanaged })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_who_manages_the_interface() {
        use Owner::{NetworkManager, WpaSupplicant};
        for (facts, before, expected) in [
            (Facts::Absent, None, WpaSupplicant),
            (Facts::Absent, Some(NetworkManager), WpaSupplicant),
            (Facts::Unmanaged, Some(NetworkManager), WpaSupplicant),
            (Facts::Managed, Some(WpaSupplicant), NetworkManager),
            (Facts::Asleep, Some(NetworkManager), NetworkManager),
            (Facts::Asleep, Some(WpaSupplicant), WpaSupplicant),
            (Facts::Asleep, None, NetworkManager),
        ] {
            assert_eq!(decide(Choice::Auto, facts, before), expected, "{facts:?} {before:?}");
            assert_eq!(decide(Choice::WpaSupplicant, facts, before), WpaSupplicant);
            assert_eq!(decide(Choice::NetworkManager, facts, before), NetworkManager);
        }
    }
}
