//! Which addresses, routes and rules should be there. Pure.
//!
//! Each link has a table of its own with its connected and its default route, and rules that send into it whatever
//! is bound to the link's address or interface. So a connection that began on a link keeps leaving by it, wherever
//! the main table points: no black hole, and no ARP request for the other link's gateway with the wrong sender.
//! The main table has the one default route that new connections take, and the preferred link's connected route.
//!
//! Nothing of this is remembered on disk (`ledger` has the rest). What we put into the kernel carries our number, so
//! each order reads what is there, compares, and sends the difference; a restart finds everything in place and changes
//! nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    Link,
    change::Change,
    ledger::Place,
    model::{Address, Kernel, MAIN, Net, Route, Rule, Selector},
    mptcp::Endpoint,
};

const LINKS: [Link; 2] = [Link::Cellular, Link::Wlan];

/// The link's own routing table.
pub(crate) fn table(link: Link) -> u32 {
    match link {
        Link::Cellular => 0xc501,
        Link::Wlan => 0xc502,
    }
}

/// Preference of the link's rules: after the local table (0), before the main one (32766) and what VPNs put before it.
pub(crate) fn preference(link: Link) -> u32 {
    match link {
        Link::Cellular => 20_501,
        Link::Wlan => 20_502,
    }
}

/// An address of a link with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Way {
    /// Ours.
    pub(crate) ip: IpAddr,
    /// Bits.
    pub(crate) prefix: u8,
    /// Next hop; raw-IP links have none.
    pub(crate) gateway: Option<IpAddr>,
    /// Seconds.
    pub(crate) valid: Option<u32>,
    /// The kernel has it from a router advertisement, or another program has set it: not ours to set or take away.
    pub(crate) theirs: bool,
}

/// How a link is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Kernel's index.
    pub(crate) interface: u32,
    /// Such as `wwan0`.
    pub(crate) name: String,
    /// In the order in which they are preferred as the source of what has none.
    pub(crate) ways: Vec<Way>,
    /// To be set for router advertisements to be asked for with it.
    pub(crate) link_local: Option<Ipv6Addr>,
}

/// What is wanted of one link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Not decided since we started: what a former run left is kept.
    #[default]
    AsFound,
    /// Nothing of ours.
    Empty,
    /// This.
    Set(Plan),
}

/// Where the main table's default route points.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Preferred {
    /// Not decided since we started.
    #[default]
    AsFound,
    /// There is none of ours.
    Nobody,
    /// Here.
    Link(Link),
}

/// Everything that is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) cellular: Slot,
    pub(crate) wlan: Slot,
    pub(crate) preferred: Preferred,
    /// Of all our routes.
    pub(crate) metric: u32,
    /// Of those in the main table where it must be less: beside a managing program's own default route.
    pub(crate) main_metric: Option<u32>,
}

impl Wanted {
    /// One link's slot.
    pub(crate) fn slot(&self, link: Link) -> &Slot {
        match link {
            Link::Cellular => &self.cellular,
            Link::Wlan => &self.wlan,
        }
    }

    /// One link's slot, to change it.
    pub(crate) fn slot_mut(&mut self, link: Link) -> &mut Slot {
        match link {
            Link::Cellular => &mut self.cellular,
            Link::Wlan => &mut self.wlan,
        }
    }

    /// The link's set-up, where it has one.
    pub(crate) fn plan(&self, link: Link) -> Option<&Plan> {
        match self.slot(link) {
            Slot::Set(plan) => Some(plan),
            _ => None,
        }
    }

    /// Takes everything of the link away, the default route included if it points there.
    pub(crate) fn release(&mut self, link: Link) {
        *self.slot_mut(link) = Slot::Empty;
        if self.preferred == Preferred::Link(link) {
            self.preferred = Preferred::Nobody;
        }
    }

    /// Whose change it is; none where it is about neither of the links as they are wanted.
    pub(crate) fn link_of(&self, change: &Change) -> Option<Link> {
        let on = |interface: u32| {
            LINKS.into_iter().find(|link| self.plan(*link).is_some_and(|plan| plan.interface == interface))
        };
        let by = |number: u32| LINKS.into_iter().find(|link| table(*link) == number);
        match change {
            Change::SetAddress(address) | Change::RemoveAddress(address) => on(address.interface),
            Change::AddRoute(route) | Change::ReplaceRoute(route) | Change::RemoveRoute(route) => {
                by(route.table).or_else(|| on(route.interface))
            }
            Change::AddRule(rule) | Change::RemoveRule(rule) => by(rule.table),
        }
    }

    /// Takes IPv6 out of every plan that has IPv4 as well; whether there was any.
    pub(crate) fn drop_v6(&mut self) -> bool {
        let mut dropped = false;
        for link in [Link::Cellular, Link::Wlan] {
            if let Slot::Set(plan) = self.slot_mut(link)
                && plan.ways.iter().any(|way| way.ip.is_ipv4())
            {
                let before = plan.ways.len();
                plan.ways.retain(|way| way.ip.is_ipv4());
                dropped |= plan.ways.len() < before || plan.link_local.take().is_some();
            }
        }
        dropped
    }

    /// The whole of it, given what is there.
    pub(crate) fn kernel(&self, found: &Kernel) -> Kernel {
        let mut all = Kernel::default();
        for link in LINKS {
            match self.slot(link) {
                Slot::Empty => {}
                Slot::AsFound => keep(link, found, &mut all),
                Slot::Set(plan) => self.set_up(link, plan, &mut all),
            }
        }
        match self.preferred {
            Preferred::Nobody => {}
            Preferred::Link(link) => {
                let routes = self.plan(link).map(|plan| self.routes(plan, MAIN)).unwrap_or_default();
                all.routes.extend(routes);
            }
            Preferred::AsFound => {
                let released = |interface: u32| {
                    LINKS.into_iter().any(|link| {
                        *self.slot(link) == Slot::Empty
                            && found.routes.iter().any(|r| r.table == table(link) && r.interface == interface)
                    })
                };
                let main =
                    found.routes.iter().filter(|route| route.table == MAIN && !released(route.interface));
                all.routes.extend(main);
            }
        }
        all
    }

    fn set_up(&self, link: Link, plan: &Plan, all: &mut Kernel) {
        if let Some(ip) = plan.link_local {
            let (interface, ip) = (plan.interface, ip.into());
            all.addresses.push(Address { interface, ip, prefix: 64, valid: None, ours: true });
        }
        all.routes.extend(self.routes(plan, table(link)));
        for way in &plan.ways {
            let Way { ip, prefix, valid, .. } = *way;
            if !way.theirs {
                all.addresses.push(Address { interface: plan.interface, ip, prefix, valid, ours: true });
            }
            let bound = Selector::Bound { interface: plan.name.clone(), v6: ip.is_ipv6() };
            let rules = [Selector::From(ip), bound];
            let rules =
                rules.map(|selector| Rule { selector, table: table(link), preference: preference(link) });
            for rule in rules {
                // Bound to the interface: once a family, however many addresses it has.
                if !all.rules.contains(&rule) {
                    all.rules.push(rule);
                }
            }
        }
    }

    /// Connected routes first: the kernel must know the way to the gateway. One default route a family, by the first
    /// way that can have one.
    fn routes(&self, plan: &Plan, table: u32) -> Vec<Route> {
        let route = |way: &Way, destination, gateway| Route {
            table,
            v6: way.ip.is_ipv6(),
            destination,
            gateway,
            interface: plan.interface,
            // Of several addresses by router advertisement the kernel knows best: some are temporary (RFC 8981).
            source: (!(way.theirs && way.ip.is_ipv6())).then_some(way.ip),
            metric: if table == MAIN { self.main_metric.unwrap_or(self.metric) } else { self.metric },
        };
        let mut all: Vec<Route> = Vec::new();
        let connected = plan.ways.iter().filter_map(|way| Some(route(way, Some(network(way)?), None)));
        for route in connected.chain(plan.ways.iter().map(|way| route(way, None, way.gateway))) {
            let place = |there: &Route| (there.v6, there.destination) == (route.v6, route.destination);
            if !all.iter().any(place) {
                all.push(route);
            }
        }
        all
    }
}

/// The MPTCP endpoints that go with these addresses: one for each that has a rule of its own, on its link's interface.
pub(super) fn endpoints(kernel: &Kernel, cellular_backup: Option<bool>) -> Vec<Endpoint> {
    let endpoint = |rule: &Rule| {
        let Selector::From(ip) = rule.selector else { return None };
        let own = |route: &&Route| route.table == rule.table && route.v6 == ip.is_ipv6();
        let interface = kernel.routes.iter().find(own)?.interface;
        let backup = if rule.table == table(Link::Cellular) { cellular_backup } else { Some(false) };
        Some(Endpoint { place: Place { interface, ip }, backup })
    };
    kernel.rules.iter().filter_map(endpoint).collect()
}

/// What a former run left for this link. Rules whose table is empty stayed behind when their interface went: they go.
fn keep(link: Link, found: &Kernel, all: &mut Kernel) {
    let table = table(link);
    let routes: Vec<Route> = found.routes.iter().filter(|route| route.table == table).copied().collect();
    if routes.is_empty() {
        return;
    }
    let interfaces: Vec<u32> = routes.iter().map(|route| route.interface).collect();
    all.addresses.extend(found.addresses.iter().filter(|a| a.ours && interfaces.contains(&a.interface)));
    all.rules.extend(found.rules.iter().filter(|rule| rule.table == table).cloned());
    all.routes.extend(routes);
}

/// The network that is on the link itself; none where the address stands alone.
fn network(way: &Way) -> Option<Net> {
    let prefix = way.prefix;
    let ip = match way.ip {
        IpAddr::V4(ip) if prefix < 32 => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
            Ipv4Addr::from(u32::from(ip) & mask).into()
        }
        IpAddr::V6(ip) if prefix < 128 => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0);
            Ipv6Addr::from(u128::from(ip) & mask).into()
        }
        _ => return None,
    };
    (prefix > 0).then_some(Net { ip, prefix })
}
