//! Name servers in router advertisements (RFC 8106 §5.1), as the kernel passes them on (`RTM_NEWNDUSEROPT`). Pure.

use std::net::Ipv6Addr;

use crate::wlan::netlink::frame::{self, Malformed};

/// `struct nduseroptmsg`: family, padding, length of the options at 2, interface at 4, ICMP type and code.
const HEADER: usize = 16;
/// RFC 8106 §5.1: type, length in units of 8 octets, two reserved, lifetime in seconds, addresses.
const RDNSS: u8 = 25;
const UNIT: usize = 8;
const BEFORE_ADDRESSES: usize = 8;
/// More are not kept.
const MAX_SERVERS: usize = 3;

/// Servers that an interface was told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Servers {
    /// Kernel's index.
    pub(super) interface: u32,
    /// None where their time is over.
    pub(super) servers: Vec<Ipv6Addr>,
}

/// The body of a message; none where it is about something else.
pub(super) fn read(body: &[u8]) -> Result<Option<Servers>, Malformed> {
    let interface = frame::u32_at(body, 4).ok_or(Malformed::Payload)?;
    let length = frame::u16_at(body, 2).ok_or(Malformed::Payload)?.into();
    let options = body.get(HEADER..).and_then(|rest| rest.get(..length)).ok_or(Malformed::Payload)?;
    let mut rest = options;
    while let [kind, units, ..] = rest {
        let length = usize::from(*units).saturating_mul(UNIT);
        let Some((option, after)) = rest.split_at_checked(length).filter(|_| length > 0) else {
            return Err(Malformed::Payload);
        };
        if *kind == RDNSS {
            return Ok(Some(Servers { interface, servers: servers(option) }));
        }
        rest = after;
    }
    Ok(None)
}

fn servers(option: &[u8]) -> Vec<Ipv6Addr> {
    let over = option.get(4..BEFORE_ADDRESSES).is_none_or(|lifetime| lifetime == [0; 4]);
    if over {
        return Vec::new();
    }
    let addresses = option.get(BEFORE_ADDRESSES..).unwrap_or_default();
    let (addresses, _) = addresses.as_chunks::<16>();
    // A link-local one is of use only together with its interface, which name look-ups do not carry.
    let usable = |ip: &Ipv6Addr| !ip.is_unicast_link_local() && !ip.is_multicast() && !ip.is_unspecified();
    addresses.iter().copied().map(Ipv6Addr::from).filter(usable).take(MAX_SERVERS).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(lifetime: u32, servers: &[&str]) -> Vec<u8> {
        let mut option = vec![RDNSS, u8::try_from(1 + 2 * servers.len()).expect("few"), 0, 0];
        option.extend(lifetime.to_be_bytes());
        for server in servers {
            option.extend(server.parse::<Ipv6Addr>().expect("an address").octets());
        }
        let mut body = vec![10, 0];
        body.extend(u16::try_from(option.len()).expect("short").to_ne_bytes());
        body.extend(4u32.to_ne_bytes());
        body.resize(HEADER, 0);
        body.extend(option);
        body
    }

    #[test]
    fn servers_are_read_until_their_time_is_over() {
        let body = message(600, &["2001:db8::53", "fe80::1", "2001:db8::54"]);
        let found = read(&body).expect("well formed").expect("servers");
        let wanted = ["2001:db8::53", "2001:db8::54"].map(|ip| ip.parse().expect("an address"));
        assert_eq!(found, Servers { interface: 4, servers: wanted.to_vec() });
        let found = read(&message(0, &["2001:db8::53"])).expect("well formed").expect("the option");
        assert_eq!(found.servers, [] as [Ipv6Addr; 0]);
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = read(&octets);
        }

        #[test]
        fn truncations_are_malformed(cut in 0usize..40) {
            prop_assert_eq!(read(&message(600, &["2001:db8::53"])[..cut]), Err(Malformed::Payload));
        }
    }
}
