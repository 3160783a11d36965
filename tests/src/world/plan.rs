//! Names, addresses and identities of the world; the picture is in tests/README.md.

use std::path::{Path, PathBuf};

/// The device's SIM.
pub(crate) const IMSI: &str = "001010123456789";
/// Somebody else's SIM, for who claims what is not his.
pub(crate) const OTHER_IMSI: &str = "001010999999999";
/// The device's modem.
pub(crate) const IMEI: &str = "490154203237518";

/// The operator's realm.
pub(crate) const REALM: &str = "operator.example";
/// The operator's Wi-Fi.
pub(crate) const SSID: &str = "operator-wifi";

/// The bearer's interface on the laptop, and its other end at the packet gateway.
pub(crate) const WWAN: &str = "wwan0";
/// The other end.
pub(crate) const GATEWAY_END: &str = "wwan0p";
/// What the network gives the device by the bearer.
pub(crate) const WWAN_ADDRESS: &str = "10.64.0.2";
/// The packet gateway on that link, /30.
pub(crate) const GATEWAY_ADDRESS: &str = "10.64.0.1";
/// Name servers that the bearer tells; both are in the core.
pub(crate) const DNS: [&str; 2] = ["10.64.0.53", "10.64.0.54"];

/// Cellular's stand-in where NetworkManager or a bare supplicant has the laptop: an interface without modem.
pub(crate) const STAND_IN: &str = "cell0";
/// Its other end in the core.
pub(crate) const STAND_IN_END: &str = "cell0p";
/// The laptop's address on it, /30.
pub(crate) const STAND_IN_ADDRESS: &str = "10.64.1.2";
/// The gateway on it.
pub(crate) const STAND_IN_GATEWAY: &str = "10.64.1.1";
/// An account for those who fetch no credential.
pub(crate) const ACCOUNT: [&str; 2] = ["visitor", "the-visitors-password"];

/// A server in the Internet: traffic and probe.
pub(crate) const INTERNET: &str = "10.99.0.1";
/// Answers 204 where the Internet is reachable.
pub(crate) const PROBE_URL: &str = "http://10.99.0.1/generate_204";
/// The portal's address and name.
pub(crate) const PORTAL_ADDRESS: &str = "10.99.0.2";
/// Its name.
pub(crate) const PORTAL_NAME: &str = "portal.operator.example";
/// Its port.
pub(crate) const PORTAL_PORT: u16 = 8443;

/// Access point and core, /24: the access point's end and the core's (AAA).
pub(crate) const AP_UPLINK: &str = "10.65.0.1";
/// The AAA as the access point reaches it.
pub(crate) const AAA: &str = "10.65.0.2";
/// Where the access point takes Disconnect-Requests (RFC 5176).
pub(crate) const AP_COA_PORT: u16 = 3799;
/// RADIUS secret between them.
pub(crate) const NAS_SECRET: &str = "access-point-one-and-its-secret";
/// Accounting secret of the packet gateway.
pub(crate) const GATEWAY_SECRET: &str = "packet-gateway-and-its-secret";
/// Number that devices send to, at the message centre.
pub(crate) const PORTAL_NUMBER: &str = "15550001000";
/// The message centre in the core: SMPP on loopback.
pub(crate) const SMSC_PORT: u16 = 2775;
/// What portal-aaa binds with.
pub(crate) const SMSC_USER: &str = "portal";
/// Its password.
pub(crate) const SMSC_PASSWORD: &str = "smsc-pwd";
/// The open network of a WISPr gateway.
pub(crate) const HOTSPOT_SSID: &str = "operator-hotspot";
/// The gateway in that network, /24.
pub(crate) const HOTSPOT_ADDRESS: &str = "10.19.0.1";
/// Gateway and core, /24: the gateway's end and the core's (AAA).
pub(crate) const HOTSPOT_UPLINK: &str = "10.66.0.1";
/// The AAA as the gateway reaches it.
pub(crate) const HOTSPOT_AAA: &str = "10.66.0.2";
/// RADIUS secret between them.
pub(crate) const HOTSPOT_SECRET: &str = "hotspot-gateway-and-its-secret";
/// Where the gateway takes Disconnect-Requests.
pub(crate) const HOTSPOT_COA_PORT: u16 = 3799;
/// Name of the login page.
pub(crate) const HOTSPOT_NAME: &str = "login.hotspot.example";
/// What the gateway calls its place.
pub(crate) const HOTSPOT_LOCATION: &str = "OPERATOR,Station hall";
/// The laptop's WLAN card.
pub(crate) const LAPTOP_WLAN: &str = "wlan1";
/// The access point in its own WLAN, /24.
pub(crate) const AP_ADDRESS: &str = "10.9.0.1";

/// The project's own D-Bus policy files: in the virtual laptop where its disk has them, else in the checkout.
pub(crate) fn dbus_policies() -> PathBuf {
    let packed = Path::new(crate::vm::initramfs::PROJECT).join("dbus");
    if packed.exists() { packed } else { crate::workshop::root().join("dbus") }
}
