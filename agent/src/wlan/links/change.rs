//! From what the kernel has to what is wanted: which messages, in which order. Pure.

use std::fmt;

use super::model::{Address, Kernel, MAIN, Route, Rule};

/// One message to the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// Also renews its lifetime.
    SetAddress(Address),
    RemoveAddress(Address),
    AddRoute(Route),
    /// Takes the place of ours with the same destination and metric, at once.
    ReplaceRoute(Route),
    RemoveRoute(Route),
    AddRule(Rule),
    RemoveRule(Rule),
}

impl Change {
    /// Whether something comes, and not goes.
    pub(crate) fn adds(&self) -> bool {
        !matches!(self, Self::RemoveAddress(_) | Self::RemoveRoute(_) | Self::RemoveRule(_))
    }

    /// Whether it is about IPv6.
    pub(crate) fn v6(&self) -> bool {
        match self {
            Self::SetAddress(address) | Self::RemoveAddress(address) => address.ip.is_ipv6(),
            Self::AddRoute(route) | Self::ReplaceRoute(route) | Self::RemoveRoute(route) => route.v6,
            Self::AddRule(rule) | Self::RemoveRule(rule) => rule.v6(),
        }
    }
}

/// The difference, in an order in which no moment is worse than before and after: what carries packets comes before
/// what sends packets there, the default route is replaced in one message, and what is no longer used goes last.
/// With `renew`, lifetimes of addresses are set again although nothing else changed.
pub(crate) fn changes(found: &Kernel, wanted: &Kernel, renew: bool) -> Vec<Change> {
    let mut all = Vec::new();
    for address in &wanted.addresses {
        match found.addresses.iter().find(|there| same_address(there, address)) {
            None => all.push(Change::SetAddress(*address)),
            // Another program's is as good, and stays its own.
            Some(there) if there.ours && renew && address.valid.is_some() => {
                all.push(Change::SetAddress(*address))
            }
            Some(_) => {}
        }
    }
    let new_routes = |main: bool| {
        wanted
            .routes
            .iter()
            .filter(move |route| (route.table == MAIN) == main && !found.routes.contains(route))
            .map(|route| {
                if found.routes.iter().any(|there| same_place(there, route)) {
                    Change::ReplaceRoute(*route)
                } else {
                    Change::AddRoute(*route)
                }
            })
    };
    all.extend(new_routes(false));
    all.extend(wanted.rules.iter().filter(|rule| !found.rules.contains(rule)).cloned().map(Change::AddRule));
    all.extend(new_routes(true));
    let old_routes = |main: bool| {
        found
            .routes
            .iter()
            .filter(move |route| (route.table == MAIN) == main)
            .filter(|route| !wanted.routes.iter().any(|wanted| same_place(wanted, route)))
            .map(|route| Change::RemoveRoute(*route))
    };
    all.extend(old_routes(true));
    all.extend(
        found.rules.iter().filter(|rule| !wanted.rules.contains(rule)).cloned().map(Change::RemoveRule),
    );
    all.extend(old_routes(false));
    let stale =
        |address: &&Address| address.ours && !wanted.addresses.iter().any(|kept| same_address(kept, address));
    all.extend(found.addresses.iter().filter(stale).copied().map(Change::RemoveAddress));
    all
}

fn same_address(one: &Address, other: &Address) -> bool {
    (one.interface, one.ip, one.prefix) == (other.interface, other.ip, other.prefix)
}

/// What the kernel takes for the same route when it replaces one.
fn same_place(one: &Route, other: &Route) -> bool {
    (one.table, one.v6, one.destination, one.metric)
        == (other.table, other.v6, other.destination, other.metric)
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetAddress(address) => write!(f, "set address {address}"),
            Self::RemoveAddress(address) => write!(f, "remove address {address}"),
            Self::AddRoute(route) => write!(f, "add route {route}"),
            Self::ReplaceRoute(route) => write!(f, "replace route {route}"),
            Self::RemoveRoute(route) => write!(f, "remove route {route}"),
            Self::AddRule(rule) => write!(f, "add rule {rule}"),
            Self::RemoveRule(rule) => write!(f, "remove rule {rule}"),
        }
    }
}

#[cfg(test)]
mod tests;
