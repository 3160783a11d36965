//! NetworkManager's interfaces as zbus proxies, by hand after its D-Bus reference manual (1.42), cut down to the calls
//! that we make. Properties are read as whole maps, see `read`.

use std::collections::HashMap;

use zbus::{ObjectPath, OwnedObjectPath, OwnedVariant, Variant, proxy};

/// A profile on its way to NetworkManager, `a{sa{sv}}`.
pub(in crate::manager) type Sections = HashMap<&'static str, HashMap<&'static str, Variant<'static>>>;
/// A profile as NetworkManager gives it, `a{sa{sv}}`.
pub(in crate::manager) type OwnedSections = HashMap<String, HashMap<String, OwnedVariant>>;

/// `org.freedesktop.NetworkManager`.
#[proxy(
    interface = "org.freedesktop.NetworkManager",
    default_service = "org.freedesktop.NetworkManager",
    default_path = "/org/freedesktop/NetworkManager"
)]
pub(in crate::manager) trait Manager {
    fn get_devices(&self) -> zbus::Result<Vec<OwnedObjectPath>>;

    fn get_device_by_ip_iface(&self, interface: &str) -> zbus::Result<OwnedObjectPath>;

    /// `specific` is an access point, or `/` for any.
    fn activate_connection(
        &self,
        profile: &ObjectPath<'_>,
        device: &ObjectPath<'_>,
        specific: &ObjectPath<'_>,
    ) -> zbus::Result<OwnedObjectPath>;

    fn deactivate_connection(&self, active: &ObjectPath<'_>) -> zbus::Result<()>;
}

/// `org.freedesktop.NetworkManager.Settings`.
#[proxy(
    interface = "org.freedesktop.NetworkManager.Settings",
    default_service = "org.freedesktop.NetworkManager",
    default_path = "/org/freedesktop/NetworkManager/Settings"
)]
pub(in crate::manager) trait Settings {
    fn add_connection2(
        &self,
        settings: &Sections,
        flags: u32,
        arguments: HashMap<&str, Variant<'_>>,
    ) -> zbus::Result<(OwnedObjectPath, HashMap<String, OwnedVariant>)>;

    fn list_connections(&self) -> zbus::Result<Vec<OwnedObjectPath>>;
}

/// `org.freedesktop.NetworkManager.Settings.Connection`.
#[proxy(
    interface = "org.freedesktop.NetworkManager.Settings.Connection",
    default_service = "org.freedesktop.NetworkManager",
    assume_defaults = false
)]
pub(in crate::manager) trait Profile {
    /// Without secrets.
    fn get_settings(&self) -> zbus::Result<OwnedSections>;

    fn delete(&self) -> zbus::Result<()>;
}

/// `org.freedesktop.NetworkManager.AgentManager`.
#[proxy(
    interface = "org.freedesktop.NetworkManager.AgentManager",
    default_service = "org.freedesktop.NetworkManager",
    default_path = "/org/freedesktop/NetworkManager/AgentManager"
)]
pub(in crate::manager) trait AgentManager {
    fn register(&self, identifier: &str) -> zbus::Result<()>;
}

/// `fi.w1.wpa_supplicant1`; only to learn which of its objects is our interface.
#[proxy(
    interface = "fi.w1.wpa_supplicant1",
    default_service = "fi.w1.wpa_supplicant1",
    default_path = "/fi/w1/wpa_supplicant1"
)]
pub(in crate::manager) trait Supplicant {
    fn get_interface(&self, interface: &str) -> zbus::Result<OwnedObjectPath>;
}
