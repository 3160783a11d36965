//! What NetworkManager shows of its objects: devices, access points, leases.

use std::net::IpAddr;

use provisioning::identity::Mac;
use zbus::{Connection, fdo::PropertiesProxy};

use super::NAME;
use crate::{
    modem::properties::{Properties, maps, number, path, text},
    wlan::links::Lease,
};

/// The general part of a device.
pub(super) const DEVICE: &str = "org.freedesktop.NetworkManager.Device";
/// Radio of a device.
const WIRELESS: &str = "org.freedesktop.NetworkManager.Device.Wireless";
/// An access point.
const ACCESS_POINT: &str = "org.freedesktop.NetworkManager.AccessPoint";
/// Addresses of a device.
pub(super) const IP4: &str = "org.freedesktop.NetworkManager.IP4Config";
/// What DHCP gave.
pub(super) const DHCP4: &str = "org.freedesktop.NetworkManager.DHCP4Config";
/// `NM_802_11_AP_SEC_PAIR_CCMP` and `…_TKIP`.
const CCMP: u32 = 8;
const TKIP: u32 = 4;

/// The access point that a device is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AccessPoint {
    /// Zeros where it is not known, as on a wire.
    pub(super) bssid: Mac,
    /// The best one it offers: NetworkManager does not tell which is used.
    pub(super) cipher: String,
}

/// Properties of one interface of one object; none where the object has gone.
pub(super) async fn properties(bus: &Connection, path: &str, interface: &str) -> Properties {
    let read = async {
        let proxy = PropertiesProxy::builder(bus).destination(NAME).path(path).build().await?;
        proxy.get_all(interface.try_into()?).await.map_err(zbus::Error::from)
    };
    read.await.unwrap_or_default()
}

/// Where this device is.
pub(super) async fn access_point(bus: &Connection, device: &str) -> AccessPoint {
    let radio = properties(bus, device, WIRELESS).await;
    match path(&radio, "ActiveAccessPoint") {
        Some(path) => access_point_of(&properties(bus, &path, ACCESS_POINT).await),
        None => access_point_of(&Properties::new()),
    }
}

/// The lease of this device, where it has one.
pub(super) async fn lease(bus: &Connection, device: &str) -> Option<Lease> {
    let device = properties(bus, device, DEVICE).await;
    let addresses = properties(bus, &path(&device, "Ip4Config")?, IP4).await;
    let dhcp = match path(&device, "Dhcp4Config") {
        Some(path) => properties(bus, &path, DHCP4).await,
        None => Properties::new(),
    };
    lease_of(&addresses, &dhcp)
}

fn access_point_of(properties: &Properties) -> AccessPoint {
    let offers = number(properties, "RsnFlags").unwrap_or(0) | number(properties, "WpaFlags").unwrap_or(0);
    let cipher = match offers {
        offers if offers & CCMP != 0 => "CCMP",
        offers if offers & TKIP != 0 => "TKIP",
        _ => "",
    };
    AccessPoint {
        bssid: text(properties, "HwAddress").and_then(|text| text.parse().ok()).unwrap_or(Mac([0; 6])),
        cipher: cipher.to_owned(),
    }
}

/// Router and name servers from DHCP's own words: the profile tells NetworkManager to use neither, and then it does not
/// show them in `IP4Config`.
fn lease_of(addresses: &Properties, dhcp: &Properties) -> Option<Lease> {
    let address = maps(addresses, "AddressData").into_iter().next()?;
    let options = crate::modem::properties::map(dhcp, "Options").unwrap_or_default();
    let router = text(&options, "routers").and_then(|list| list.split_whitespace().next()?.parse().ok());
    let dns = text(&options, "domain_name_servers").unwrap_or_default();
    Some(Lease {
        address: text(&address, "address")?.parse().ok()?,
        prefix: u8::try_from(number(&address, "prefix")?).ok().filter(|prefix| *prefix <= 32)?,
        router: router.or_else(|| text(addresses, "Gateway")?.parse().ok()),
        dns: dns.split_whitespace().filter_map(|server| server.parse::<IpAddr>().ok()).collect(),
        mtu: text(&options, "interface_mtu").and_then(|mtu| mtu.parse().ok()),
        captive_api: None,
    })
}

#[cfg(test)]
mod tests {
    use zbus::{OwnedVariant, Variant};

    use super::*;

    fn own(value: impl Into<Variant<'static>>) -> OwnedVariant {
        OwnedVariant::try_from(value.into()).unwrap()
    }

    fn of<const N: usize>(entries: [(&str, OwnedVariant); N]) -> Properties {
        entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    fn addresses() -> Properties {
        let entry = of([("address", own("10.9.0.7")), ("prefix", own(24u32))]);
        of([("AddressData", own(vec![entry]))])
    }

    #[test]
    fn a_lease_has_what_dhcp_said() {
        let options = of([
            ("routers", own("10.9.0.1")),
            ("domain_name_servers", own("10.9.0.1 10.9.0.2 nonsense")),
            ("interface_mtu", own("1400")),
        ]);
        let lease = lease_of(&addresses(), &of([("Options", own(options))])).unwrap();
        assert_eq!(
            (lease.address.to_string().as_str(), lease.prefix, lease.mtu),
            ("10.9.0.7", 24, Some(1400))
        );
        assert_eq!(lease.router, "10.9.0.1".parse().ok());
        assert_eq!(lease.dns.len(), 2);
        let bare = lease_of(&addresses(), &Properties::new()).unwrap();
        assert_eq!((bare.router, bare.dns.len()), (None, 0));
    }

    #[test]
    fn no_address_is_no_lease() {
        assert_eq!(lease_of(&Properties::new(), &Properties::new()), None);
        let odd = of([("AddressData", own(vec![of([("address", own("x")), ("prefix", own(24u32))])]))]);
        assert_eq!(lease_of(&odd, &Properties::new()), None);
    }

    #[test]
    fn an_access_point_as_shown() {
        let shown = of([("HwAddress", own("02:00:00:00:01:00")), ("RsnFlags", own(0x288u32))]);
        let expected = AccessPoint { bssid: "02:00:00:00:01:00".parse().unwrap(), cipher: "CCMP".to_owned() };
        assert_eq!(access_point_of(&shown), expected);
        assert_eq!(access_point_of(&Properties::new()).bssid, Mac([0; 6]));
    }
}
