//! The modem where NetworkManager owns it: its device found, and connect and disconnect asked of it. Called by `modem`.

use std::collections::HashMap;

use futures_util::StreamExt;
use zbus::{
    Connection, MatchRule, MessageStream, ObjectPath, OwnedObjectPath, Variant, fdo::DBusProxy, message::Type,
};

use super::{
    NAME,
    profile::is_ours,
    proxies::{ManagerProxy, OwnedSections, ProfileProxy, Sections, SettingsProxy},
    read::{DEVICE, properties},
    secrets::uuid,
    station::ADD_FLAGS,
};
use crate::modem::{
    ConnectFailure,
    failure::{failure, of},
    properties::{number, path, paths, text, truth},
};

/// `NM_DEVICE_TYPE_MODEM`.
const MODEM: u32 = 8;
/// Devices and profiles that are looked at.
const MAX_OBJECTS: usize = 256;
/// `NMDeviceState`.
const DISCONNECTED: u32 = 30;
const PREPARE: u32 = 40;
const ACTIVATED: u32 = 100;
const FAILED: u32 = 120;
/// Of our only profile for a modem; see [`is_ours`].
const UUID: &str = "0ff10ad0-77f1-8000-8000-63656c6c756c";

/// The device of a modem of ModemManager that NetworkManager manages; none where it does not.
pub(crate) async fn device(bus: &Connection, modem: &str) -> Option<String> {
    if !runs(bus).await.ok()? {
        return None;
    }
    for device in ManagerProxy::new(bus).await.ok()?.get_devices().await.ok()?.iter().take(MAX_OBJECTS) {
        let shown = properties(bus, device.as_str(), DEVICE).await;
        if number(&shown, "DeviceType") == Some(MODEM) && text(&shown, "Udi") == Some(modem) {
            return (truth(&shown, "Managed") == Some(true)).then(|| device.as_str().to_owned());
        }
    }
    None
}

/// Takes our profile out, wherever NetworkManager runs.
pub(crate) async fn withdraw(bus: &Connection) -> zbus::Result<()> {
    if runs(bus).await? { remove(bus).await } else { Ok(()) }
}

/// Asked first because a call to the name itself would make the bus start a NetworkManager that is stopped.
async fn runs(bus: &Connection) -> zbus::Result<bool> {
    Ok(DBusProxy::new(bus).await?.name_has_owner(NAME.try_into()?).await?)
}

/// Activates a profile for this access point, one of the device's own where there is one, and waits for the end of
/// that.
pub(crate) async fn connect(
    bus: &Connection,
    device: &str,
    apn: &str,
    allow_roaming: bool,
) -> Result<(), ConnectFailure> {
    activate(bus, device, apn, allow_roaming).await.map_err(|error| failure(&error))?
}

/// Deactivates what is active on the device, and takes our profile out.
pub(crate) async fn disconnect(bus: &Connection, device: &str) -> Result<(), ConnectFailure> {
    let done = async {
        if let Some(active) = path(&properties(bus, device, DEVICE).await, "ActiveConnection") {
            ManagerProxy::new(bus).await?.deactivate_connection(&ObjectPath::try_from(active)?).await?;
        }
        remove(bus).await
    };
    done.await.map_err(|error: zbus::Error| failure(&error))
}

async fn activate(
    bus: &Connection,
    device: &str,
    apn: &str,
    allow_roaming: bool,
) -> zbus::Result<Result<(), ConnectFailure>> {
    let rule = MatchRule::builder().msg_type(Type::Signal).sender(NAME).path(device).interface(DEVICE);
    let mut states = MessageStream::for_match_rule(rule.member("StateChanged").build()?, bus, None).await?;
    let own = own_profile(bus, device, apn).await;
    let profile = match own {
        Some(profile) => profile,
        None => {
            remove(bus).await?;
            let sections = sections(apn, allow_roaming);
            let settings = SettingsProxy::new(bus).await?;
            settings.add_connection2(&sections, ADD_FLAGS, HashMap::new()).await?.0
        }
    };
    let any = ObjectPath::from_static_str_unchecked("/");
    ManagerProxy::new(bus).await?.activate_connection(&profile, &ObjectPath::try_from(device)?, &any).await?;
    let mut begun = false;
    while let Some(message) = states.next().await {
        let (state, _before, reason): (u32, u32, u32) = message?.body().deserialize()?;
        match state {
            ACTIVATED => return Ok(Ok(())),
            FAILED => return Ok(Err(refused(state, reason))),
            // Before it begins, the device may leave what it had.
            _ if state <= DISCONNECTED && begun => return Ok(Err(refused(state, reason))),
            _ => begun |= state >= PREPARE,
        }
    }
    Ok(Err(of("net.wifioffload.Error.Gone", "the D-Bus connection is lost")))
}

fn refused(state: u32, reason: u32) -> ConnectFailure {
    let text = format!("NetworkManager: device state {state}, reason {reason}");
    of(&format!("org.freedesktop.NetworkManager.Device.Reason{reason}"), &text)
}

/// A profile that somebody has set up for this device and access point.
async fn own_profile(bus: &Connection, device: &str, apn: &str) -> Option<OwnedObjectPath> {
    let shown = properties(bus, device, DEVICE).await;
    for profile in paths(&shown, "AvailableConnections").into_iter().take(MAX_OBJECTS) {
        let proxy = ProfileProxy::builder(bus).path(profile.clone()).build().await.ok()?;
        if proxy.get_settings().await.is_ok_and(|sections| suits(&sections, apn)) {
            return OwnedObjectPath::try_from(profile).ok();
        }
    }
    None
}

/// Whether a profile is another's, and for this access point; any, where the configuration names none.
fn suits(profile: &OwnedSections, apn: &str) -> bool {
    let Some(gsm) = profile.get("gsm") else { return false };
    !uuid(profile).is_some_and(is_ours) && (apn.is_empty() || text(gsm, "apn") == Some(apn))
}

async fn remove(bus: &Connection) -> zbus::Result<()> {
    for profile in SettingsProxy::new(bus).await?.list_connections().await?.into_iter().take(MAX_OBJECTS) {
        let proxy = ProfileProxy::builder(bus).path(profile).build().await?;
        if proxy.get_settings().await.is_ok_and(|sections| uuid(&sections) == Some(UUID)) {
            proxy.delete().await?;
        }
    }
    Ok(())
}

fn sections(apn: &str, allow_roaming: bool) -> Sections {
    let point = if apn.is_empty() {
        ("auto-config", Variant::from(true))
    } else {
        ("apn", Variant::from(apn.to_owned()))
    };
    let addresses = |may_fail: bool| {
        HashMap::from([
            ("method", Variant::from("auto")),
            ("never-default", Variant::from(true)),
            ("ignore-auto-dns", Variant::from(true)),
            ("may-fail", Variant::from(may_fail)),
        ])
    };
    Sections::from([
        (
            "connection",
            HashMap::from([
                ("id", Variant::from("wifi-offload cellular")),
                ("uuid", Variant::from(UUID)),
                ("type", Variant::from("gsm")),
                ("autoconnect", Variant::from(false)),
                ("permissions", Variant::from(vec!["user:root:"])),
            ]),
        ),
        ("gsm", HashMap::from([point, ("home-only", Variant::from(!allow_roaming))])),
        ("ipv4", addresses(true)),
        ("ipv6", addresses(true)),
    ])
}

#[cfg(test)]
mod tests {
    use zbus::OwnedVariant;

    use super::*;

    #[test]
    fn anothers_profile_for_the_access_point_is_used() {
        let own = |text: &str| OwnedVariant::try_from(Variant::from(text.to_owned())).unwrap();
        let profile = |id: &str, apn: &str| {
            OwnedSections::from([
                ("connection".to_owned(), HashMap::from([("uuid".to_owned(), own(id))])),
                ("gsm".to_owned(), HashMap::from([("apn".to_owned(), own(apn))])),
            ])
        };
        assert!(suits(&profile("9d1a4c6e", "internet"), "internet"));
        assert!(suits(&profile("9d1a4c6e", "internet"), ""));
        assert!(!suits(&profile("9d1a4c6e", "other"), "internet"));
        assert!(!suits(&profile(UUID, "internet"), "internet"), "ours is made anew");
        assert!(!suits(&OwnedSections::new(), ""), "no profile for a modem");
        assert!(is_ours(UUID));
    }

    #[test]
    fn our_profile_takes_no_traffic_and_roams_only_when_told() {
        let sections = sections("internet", false);
        assert_eq!(sections["gsm"]["home-only"], Variant::from(true));
        assert_eq!(sections["gsm"]["apn"], Variant::from("internet"));
        assert_eq!(sections["ipv4"]["never-default"], Variant::from(true));
        assert_eq!(sections["connection"]["autoconnect"], Variant::from(false));
        assert_eq!(super::sections("", true)["gsm"]["auto-config"], Variant::from(true));
    }
}
