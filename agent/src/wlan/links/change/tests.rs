//! Orders of messages, and that a kernel which takes them all ends up with what is wanted.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::wlan::links::{
    Link,
    model::Selector,
    plan::{Plan, Preferred, Slot, Wanted, Way, table},
};

fn way(ip: &str, prefix: u8, gateway: Option<&str>) -> Way {
    Way {
        ip: ip.parse().expect("an address"),
        prefix,
        gateway: gateway.map(|g| g.parse().expect("one")),
        valid: None,
        theirs: false,
    }
}

fn both(preferred: Preferred) -> Wanted {
    let cellular = Plan {
        interface: 3,
        name: "wwan0".into(),
        link_local: None,
        ways: vec![way("10.64.0.2", 30, Some("10.64.0.1"))],
    };
    let wlan = Plan {
        interface: 4,
        name: "wlan0".into(),
        link_local: None,
        ways: vec![way("10.9.0.106", 24, Some("10.9.0.1"))],
    };
    Wanted { cellular: Slot::Set(cellular), wlan: Slot::Set(wlan), preferred, metric: 500, main_metric: None }
}

/// A kernel that does as it is told, and refuses what the real one would.
fn told(kernel: &mut Kernel, change: &Change) {
    match change {
        Change::SetAddress(address) => {
            kernel.addresses.retain(|other| !same_address(other, address));
            kernel.addresses.push(*address);
        }
        Change::RemoveAddress(address) => kernel.addresses.retain(|other| other != address),
        Change::AddRoute(route) => {
            assert!(!kernel.routes.iter().any(|other| same_place(other, route)), "EEXIST: {change}");
            kernel.routes.push(*route);
        }
        Change::ReplaceRoute(route) => {
            let there = kernel
                .routes
                .iter_mut()
                .find(|other| same_place(other, route))
                .expect("something to replace");
            *there = *route;
        }
        Change::RemoveRoute(route) => kernel.routes.retain(|other| other != route),
        Change::AddRule(rule) => {
            assert!(!kernel.rules.contains(rule), "EEXIST: {change}");
            kernel.rules.push(rule.clone());
        }
        Change::RemoveRule(rule) => kernel.rules.retain(|other| other != rule),
    }
}

fn default_of(kernel: &Kernel, table: u32) -> Option<u32> {
    kernel.routes.iter().find(|r| r.table == table && r.destination.is_none() && !r.v6).map(|r| r.interface)
}

fn settled(kernel: &mut Kernel, wanted: &Wanted) -> Vec<Change> {
    let target = wanted.kernel(kernel);
    let sent = changes(kernel, &target, false);
    for change in &sent {
        told(kernel, change);
    }
    assert_eq!(changes(kernel, &wanted.kernel(kernel), false), []);
    sent
}

#[test]
fn a_move_replaces_the_default_route_in_one_message() {
    let mut kernel = Kernel::default();
    settled(&mut kernel, &both(Preferred::Link(Link::Cellular)));
    assert_eq!(default_of(&kernel, MAIN), Some(3));
    let before = kernel.clone();
    let sent = settled(&mut kernel, &both(Preferred::Link(Link::Wlan)));
    assert_eq!(default_of(&kernel, MAIN), Some(4));
    // Connected route of the new link, the default route, connected route of the old one.
    let kinds: Vec<_> = sent.iter().map(std::mem::discriminant).collect();
    assert!(
        matches!(&sent[..], [Change::AddRoute(_), Change::ReplaceRoute(r), Change::RemoveRoute(_)] if r.destination.is_none()),
        "{kinds:?}"
    );
    // Rules and tables, which old connections go by, are untouched.
    assert_eq!(before.rules, kernel.rules);
    assert_eq!(default_of(&kernel, table(Link::Cellular)), Some(3));
    // No moment without a default route.
    let mut step = before;
    for change in &sent {
        told(&mut step, change);
        assert!(default_of(&step, MAIN).is_some(), "after {change}");
    }
}

#[test]
fn what_carries_packets_comes_before_what_sends_them_there() {
    let kernel = Kernel::default();
    let wanted = both(Preferred::Link(Link::Cellular)).kernel(&kernel);
    let sent = changes(&kernel, &wanted, false);
    let place = |matches: &dyn Fn(&Change) -> bool| sent.iter().position(matches).expect("sent");
    let address = place(&|c| matches!(c, Change::SetAddress(_)));
    let table = place(&|c| matches!(c, Change::AddRoute(r) if r.table != MAIN && r.destination.is_none()));
    let rule = place(&|c| matches!(c, Change::AddRule(_)));
    let main = place(&|c| matches!(c, Change::AddRoute(r) if r.table == MAIN));
    assert!(address < table && table < rule && rule < main, "{sent:?}");
}

#[test]
fn a_released_link_leaves_nothing() {
    let mut kernel = Kernel::default();
    let mut wanted = both(Preferred::Link(Link::Wlan));
    settled(&mut kernel, &wanted);
    wanted.release(Link::Cellular);
    settled(&mut kernel, &wanted);
    assert!(kernel.addresses.iter().all(|a| a.interface == 4));
    assert!(kernel.rules.iter().all(|rule| rule.table == table(Link::Wlan)));
    assert_eq!(default_of(&kernel, MAIN), Some(4));
    wanted.release(Link::Wlan);
    settled(&mut kernel, &wanted);
    assert_eq!(kernel, Kernel::default());
}

#[test]
fn a_restart_changes_nothing_and_takes_over() {
    let mut kernel = Kernel::default();
    settled(&mut kernel, &both(Preferred::Link(Link::Wlan)));
    let mut wanted = Wanted { metric: 500, ..Wanted::default() };
    assert_eq!(settled(&mut kernel, &wanted), []);
    // The modem's bearer is still the same one.
    wanted.cellular = both(Preferred::Nobody).cellular;
    assert_eq!(settled(&mut kernel, &wanted), []);
    assert_eq!(default_of(&kernel, MAIN), Some(4));
    // The WLAN is not joined any more: its default route goes with it.
    wanted.release(Link::Wlan);
    settled(&mut kernel, &wanted);
    assert_eq!(default_of(&kernel, MAIN), None);
    assert!(kernel.rules.iter().all(|rule| rule.table == table(Link::Cellular)));
}

#[test]
fn rules_of_an_interface_that_went_are_found_after_a_restart() {
    let mut kernel = Kernel::default();
    settled(&mut kernel, &both(Preferred::Link(Link::Cellular)));
    // What the kernel does when wlan0 is pulled out.
    kernel.addresses.retain(|address| address.interface != 4);
    kernel.routes.retain(|route| route.interface != 4);
    settled(&mut kernel, &Wanted { metric: 500, ..Wanted::default() });
    assert!(kernel.rules.iter().all(|rule| rule.table == table(Link::Cellular)));
    assert_eq!(default_of(&kernel, MAIN), Some(3));
}

#[test]
fn another_programs_address_stays_its_own() {
    let mut wanted = both(Preferred::Nobody);
    wanted.wlan = Slot::Empty;
    let theirs =
        Address { interface: 3, ip: IpAddr::from([10, 64, 0, 2]), prefix: 30, valid: None, ours: false };
    let mut kernel = Kernel { addresses: vec![theirs], ..Kernel::default() };
    let sent = settled(&mut kernel, &wanted);
    assert!(!sent.iter().any(|change| matches!(change, Change::SetAddress(_))));
    wanted.release(Link::Cellular);
    settled(&mut kernel, &wanted);
    assert_eq!(kernel.addresses, [theirs]);
}

#[test]
fn a_renewed_lease_sets_the_lifetime_anew() {
    let mut wanted = both(Preferred::Nobody);
    if let Slot::Set(plan) = &mut wanted.wlan {
        plan.ways[0].valid = Some(3600);
    }
    let mut kernel = Kernel::default();
    settled(&mut kernel, &wanted);
    let target = wanted.kernel(&kernel);
    let renewed = changes(&kernel, &target, true);
    assert!(
        matches!(renewed.as_slice(), [Change::SetAddress(address)] if address.valid == Some(3600)),
        "{renewed:?}"
    );
}

fn plans() -> impl Strategy<Value = Slot> {
    let way = (any::<[u8; 4]>(), 0u8..=32, any::<Option<[u8; 4]>>()).prop_map(|(ip, prefix, gateway)| Way {
        ip: ip.into(),
        prefix,
        gateway: gateway.map(Into::into),
        valid: None,
        theirs: false,
    });
    let v6 = (any::<[u8; 16]>(), 0u8..=128).prop_map(|(ip, prefix)| Way {
        ip: ip.into(),
        prefix,
        gateway: None,
        valid: None,
        theirs: false,
    });
    let ways = (way, proptest::option::of(v6)).prop_map(|(v4, v6)| [v4].into_iter().chain(v6).collect());
    let set = (1u32..5, ways).prop_map(|(interface, ways)| {
        Slot::Set(Plan { interface, name: format!("if{interface}"), ways, link_local: None })
    });
    prop_oneof![Just(Slot::AsFound), Just(Slot::Empty), set]
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let preferred = prop_oneof![
        Just(Preferred::AsFound),
        Just(Preferred::Nobody),
        Just(Preferred::Link(Link::Cellular)),
        Just(Preferred::Link(Link::Wlan))
    ];
    (plans(), plans(), preferred).prop_map(|(cellular, wlan, preferred)| Wanted {
        cellular,
        wlan,
        preferred,
        metric: 500,
        main_metric: None,
    })
}

proptest! {
    /// Whatever the order of wishes, the kernel gets there in one round and nothing is left over.
    #[test]
    fn every_wish_is_reached(wishes in proptest::collection::vec(wanted(), 1..5)) {
        let mut kernel = Kernel::default();
        for wish in &wishes {
            // Two links with one address or network on one interface cannot be told apart.
            prop_assume!(distinct(&wish.kernel(&kernel)));
            settled(&mut kernel, wish);
        }
        let empty = Wanted { cellular: Slot::Empty, wlan: Slot::Empty, preferred: Preferred::Nobody, metric: 500, main_metric: None };
        settled(&mut kernel, &empty);
        prop_assert_eq!(kernel, Kernel::default());
    }
}

fn distinct(kernel: &Kernel) -> bool {
    let addresses = kernel.addresses.iter().enumerate();
    let mut addresses = addresses.map(|(i, a)| kernel.addresses[..i].iter().any(|b| same_address(a, b)));
    let routes = kernel.routes.iter().enumerate();
    let mut routes = routes.map(|(i, a)| kernel.routes[..i].iter().any(|b| same_place(a, b)));
    !addresses.any(|same| same) && !routes.any(|same| same)
}

#[test]
fn names_say_what_and_where() {
    let kernel = both(Preferred::Link(Link::Wlan)).kernel(&Kernel::default());
    let texts: Vec<String> =
        changes(&Kernel::default(), &kernel, false).iter().map(ToString::to_string).collect();
    assert!(texts.contains(&"set address 10.64.0.2/30 on interface 3".to_owned()), "{texts:?}");
    assert!(
        texts.contains(&"add route default via 10.9.0.1 on interface 4 in table 254".to_owned()),
        "{texts:?}"
    );
    assert!(texts.contains(&"add rule bound to wlan0 lookup 50434".to_owned()), "{texts:?}");
    let rule = Rule { selector: Selector::From(IpAddr::from([10, 64, 0, 2])), table: 50433, preference: 1 };
    assert_eq!(rule.to_string(), "from 10.64.0.2 lookup 50433");
}
