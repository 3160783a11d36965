//! Messages there and back, as the kernel's own dumps look like our requests.

use std::io::Cursor;

use neli::ToBytes;
use proptest::prelude::*;

use super::*;

fn octets(message: &impl ToBytes) -> Vec<u8> {
    let mut cursor = Cursor::new(Vec::new());
    message.to_bytes(&mut cursor).expect("to memory");
    cursor.into_inner()
}

/// Octet for octet what rtnetlink.h asks for.
#[test]
fn a_default_route_is_written_as_the_kernel_reads_it() {
    let route = Route {
        table: MAIN,
        v6: false,
        destination: None,
        gateway: Some([10, 9, 0, 1].into()),
        interface: 4,
        source: Some([10, 9, 0, 2].into()),
        metric: 500,
    };
    let wanted: &[u8] = &[
        2, 0, 0, 0, 0, 0xc5, 0, 1, 4, 0, 0, 0, // AF_INET, default, protocol, universe, unicast, onlink
        8, 0, 5, 0, 10, 9, 0, 1, // RTA_GATEWAY
        8, 0, 7, 0, 10, 9, 0, 2, // RTA_PREFSRC
        8, 0, 4, 0, 4, 0, 0, 0, // RTA_OIF
        8, 0, 6, 0, 0xf4, 1, 0, 0, // RTA_PRIORITY 500
        8, 0, 15, 0, 254, 0, 0, 0, // RTA_TABLE
    ];
    assert_eq!(octets(&route_message(Some(&route)).expect("complete")), wanted);
}

#[test]
fn other_programs_routes_and_rules_are_not_seen() {
    let route = Route {
        table: MAIN,
        v6: false,
        destination: None,
        gateway: None,
        interface: 4,
        source: None,
        metric: 0,
    };
    let mut theirs = octets(&route_message(Some(&route)).expect("complete"));
    assert_eq!(super::route(&theirs).expect("well formed"), Some(route));
    theirs[5] = 3;
    assert_eq!(super::route(&theirs).expect("well formed"), None);
    let rule = Rule { selector: Selector::From([10, 0, 0, 1].into()), table: 7, preference: 9 };
    let mut theirs = octets(&rule_message(Some(&rule)).expect("complete"));
    let last = theirs.len() - 4;
    theirs[last] = 4;
    assert_eq!(super::rule(&theirs).expect("well formed"), None);
}

#[test]
fn an_address_without_the_mark_is_not_ours() {
    let mine = Address { interface: 4, ip: [10, 9, 0, 2].into(), prefix: 24, valid: None, ours: true };
    let mut octets = octets(&address_message(Some(&mine)).expect("complete"));
    assert_eq!(address(&octets).expect("well formed"), Some(mine));
    let mark = octets.windows(4).position(|w| w == [5, 0, 11, 0]).expect("IFA_PROTO is sent") + 4;
    octets[mark] = 3;
    assert_eq!(address(&octets).expect("well formed"), Some(Address { ours: false, ..mine }));
}

fn any_ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)]
}

proptest! {
    #[test]
    fn rules_round_trip(ip in any_ip(), name in "[a-z]{1,15}", table: u32, preference: u32, v6: bool) {
        for selector in [Selector::From(ip), Selector::Bound { interface: name.clone(), v6 }] {
            let rule = Rule { selector, table, preference };
            let octets = octets(&rule_message(Some(&rule)).expect("complete"));
            prop_assert_eq!(super::rule(&octets).expect("well formed"), Some(rule));
        }
    }

    #[test]
    fn addresses_round_trip(ip in any_ip(), prefix: u8, interface: u32, valid: Option<u32>) {
        let address = Address { interface, ip, prefix, valid, ours: true };
        let octets = octets(&address_message(Some(&address)).expect("complete"));
        // Lifetimes run down in the kernel and are not read.
        prop_assert_eq!(super::address(&octets).expect("well formed"), Some(Address { valid: None, ..address }));
    }

    #[test]
    fn routes_round_trip(source: [u8; 4], destination: Option<([u8; 4], u8)>, gateway: Option<[u8; 4]>, numbers: [u32; 3]) {
        let [table, interface, metric] = numbers;
        let route = Route {
            table,
            v6: false,
            destination: destination.map(|(ip, prefix)| Net { ip: ip.into(), prefix }),
            gateway: gateway.map(IpAddr::from),
            interface,
            source: Some(source.into()),
            metric,
        };
        let octets = octets(&route_message(Some(&route)).expect("complete"));
        prop_assert_eq!(super::route(&octets).expect("well formed"), Some(route));
    }

    #[test]
    fn any_octets_are_read_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (route(&octets), rule(&octets), address(&octets), parse::link(&octets));
    }
}
