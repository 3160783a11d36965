//! Properties of a bearer to what the links need to set its interface up. Pure.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use super::{
    Bearer, Ipv4Config, Ipv6Config,
    properties::{Properties, map, number, text, truth},
};

/// `MM_BEARER_IP_METHOD_STATIC`.
const STATIC: u32 = 2;
/// `MM_BEARER_IP_METHOD_DHCP`; in `Ip6Config` it means router advertisements as well.
const DHCP: u32 = 3;

/// The bearer of these properties (`org.freedesktop.ModemManager1.Bearer`), if it is connected.
pub(super) fn bearer(properties: &Properties) -> Option<Bearer> {
    if truth(properties, "Connected") != Some(true) {
        return None;
    }
    let interface = text(properties, "Interface")?.to_owned();
    let (ip4, ip6) = (map(properties, "Ip4Config"), map(properties, "Ip6Config"));
    let mtu = [&ip4, &ip6].into_iter().flatten().find_map(|config| number(config, "mtu"));
    Some(Bearer {
        interface,
        ipv4: ip4.as_ref().and_then(ipv4),
        ipv6: ip6.as_ref().and_then(ipv6),
        mtu: mtu.filter(|mtu| *mtu > 0),
        managed: false,
    })
}

fn ipv4(config: &Properties) -> Option<Ipv4Config> {
    match number(config, "method")? {
        STATIC => Some(Ipv4Config::Static {
            address: address(config, "address")?,
            prefix: prefix(config, 32)?,
            gateway: address(config, "gateway").filter(|gateway: &Ipv4Addr| !gateway.is_unspecified()),
            dns: name_servers(config),
        }),
        DHCP => Some(Ipv4Config::Dhcp),
        // PPP: somebody else's pppd would set the link up.
        _ => None,
    }
}

fn ipv6(config: &Properties) -> Option<Ipv6Config> {
    match number(config, "method")? {
        STATIC => Some(Ipv6Config::Static {
            address: address(config, "address")?,
            prefix: prefix(config, 128)?,
            gateway: address(config, "gateway").filter(|gateway: &Ipv6Addr| !gateway.is_unspecified()),
            dns: name_servers(config),
        }),
        DHCP => Some(Ipv6Config::Slaac {
            link_local: address(config, "address")
                .filter(|address: &Ipv6Addr| address.is_unicast_link_local()),
        }),
        _ => None,
    }
}

fn address<A: FromStr>(config: &Properties, name: &str) -> Option<A> {
    text(config, name)?.parse().ok()
}

fn prefix(config: &Properties, longest: u8) -> Option<u8> {
    u8::try_from(number(config, "prefix")?).ok().filter(|prefix| *prefix <= longest)
}

/// `dns1` to `dns3`.
fn name_servers<A: FromStr>(config: &Properties) -> Vec<A> {
    ["dns1", "dns2", "dns3"].into_iter().filter_map(|name| address(config, name)).collect()
}

#[cfg(test)]
mod tests {
    use zbus::{OwnedVariant, Variant};

    use super::*;

    fn properties(entries: &[(&str, Variant<'_>)]) -> Properties {
        let own = |value: &Variant<'_>| OwnedVariant::try_from(value).expect("clones");
        entries.iter().map(|(name, value)| ((*name).to_owned(), own(value))).collect()
    }

    fn config(entries: &[(&str, Variant<'_>)]) -> Variant<'static> {
        Variant::from(properties(entries))
    }

    fn connected(ip4: Variant<'static>, ip6: Variant<'static>) -> Option<Bearer> {
        bearer(&properties(&[
            ("Connected", true.into()),
            ("Interface", "wwan0".into()),
            ("Ip4Config", ip4),
            ("Ip6Config", ip6),
        ]))
    }

    #[test]
    fn a_static_bearer_as_a_modem_gives_it() {
        let ip4 = config(&[
            ("method", 2u32.into()),
            ("address", "10.64.0.2".into()),
            ("prefix", 30u32.into()),
            ("gateway", "10.64.0.1".into()),
            ("dns1", "10.64.0.53".into()),
            ("dns2", "10.64.0.54".into()),
            ("mtu", 1430u32.into()),
        ]);
        let expected = Bearer {
            interface: "wwan0".to_owned(),
            ipv4: Some(Ipv4Config::Static {
                address: Ipv4Addr::new(10, 64, 0, 2),
                prefix: 30,
                gateway: Some(Ipv4Addr::new(10, 64, 0, 1)),
                dns: vec![Ipv4Addr::new(10, 64, 0, 53), Ipv4Addr::new(10, 64, 0, 54)],
            }),
            ipv6: None,
            mtu: Some(1430),
            managed: false,
        };
        assert_eq!(connected(ip4, config(&[("method", 0u32.into())])), Some(expected));
    }

    #[test]
    fn the_other_methods() {
        let method = |number: u32| config(&[("method", number.into())]);
        let got = connected(method(3), method(3)).expect("connected");
        assert_eq!(got.ipv4, Some(Ipv4Config::Dhcp));
        assert_eq!(got.ipv6, Some(Ipv6Config::Slaac { link_local: None }));
        let ppp = connected(method(1), method(9)).expect("connected");
        assert_eq!((ppp.ipv4, ppp.ipv6, ppp.mtu), (None, None, None));
        let ip6 = config(&[("method", 3u32.into()), ("address", "fe80::7".into()), ("prefix", 64u32.into())]);
        let got = connected(method(0), ip6).expect("connected").ipv6;
        assert_eq!(got, Some(Ipv6Config::Slaac { link_local: "fe80::7".parse().ok() }));
    }

    #[test]
    fn raw_ip_has_no_gateway() {
        let ip4 =
            config(&[("method", 2u32.into()), ("address", "10.1.2.3".into()), ("prefix", 32u32.into())]);
        let got = connected(ip4, config(&[])).and_then(|bearer| bearer.ipv4);
        assert!(matches!(got, Some(Ipv4Config::Static { gateway: None, dns, .. }) if dns.is_empty()));
    }

    #[test]
    fn nonsense_is_no_set_up() {
        for (address, prefix) in [("", 30u32), ("10.64.0", 30), ("10.64.0.2", 33), ("10.64.0.2", 4_000_000)] {
            let ip4 =
                config(&[("method", 2u32.into()), ("address", address.into()), ("prefix", prefix.into())]);
            assert_eq!(connected(ip4, config(&[])).and_then(|bearer| bearer.ipv4), None);
        }
        let wrong_type = config(&[("method", "2".into())]);
        assert_eq!(connected(wrong_type, 7u32.into()).and_then(|bearer| bearer.ipv4), None);
    }

    #[test]
    fn an_unconnected_bearer_is_none() {
        assert_eq!(bearer(&properties(&[("Interface", "wwan0".into())])), None);
        assert_eq!(bearer(&properties(&[("Connected", false.into()), ("Interface", "wwan0".into())])), None);
        assert_eq!(bearer(&properties(&[("Connected", true.into()), ("Interface", "".into())])), None);
    }
}
