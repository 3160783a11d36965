//! Addresses, routes and rules as rtnetlink messages: reading what is there, sending one change. Called by `task`.

use std::net::IpAddr;

use linux_raw_sys::netlink::{
    IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_NODAD, IFA_F_NOPREFIXROUTE, IFA_F_PERMANENT, IFA_F_TENTATIVE,
    RTNH_F_ONLINK,
};
use neli::{
    attr::Attribute,
    consts::{
        nl::NlmF,
        rtnl::{
            FrAct, Frattr, Ifa, IfaF, Ifla, RtAddrFamily, RtScope, RtTable, Rta, RtaType, Rtm, RtmF, Rtn,
            Rtprot,
        },
    },
    rtnl::{
        Fibmsg, FibmsgBuilder, Ifaddrmsg, IfaddrmsgBuilder, IfinfomsgBuilder, RtAttrHandle, Rtattr,
        RtattrBuilder, Rtmsg, RtmsgBuilder,
    },
    types::{Buffer, RtBuffer},
};

use super::{
    RTPROT_WIFI_OFFLOAD,
    change::Change,
    ledger::Place,
    model::{Address, Kernel, MAIN, Net, Route, Rule, Selector},
    neighbour,
    plan::Way,
};
use crate::wlan::{
    netlink::{NetlinkError, Socket, build, frame},
    nl80211::{
        parse::{self, LinkInfo},
        request,
    },
};

/// `IFA_PROTO` (Linux 5.18): who set an address. linux-raw-sys has it as an enumeration that neli does not know.
const IFA_PROTO: u16 = linux_raw_sys::netlink::IFA_PROTO as u16;
/// `RTM_GETNEIGH`, and a `struct ndmsg` that asks for IPv6's.
const RTM_GETNEIGH: u16 = 30;
const NEIGHBOURS_V6: [u8; 12] = [10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// `RTPROT_RA`: the kernel's work after a router advertisement.
const RTPROT_RA: u8 = 9;
/// Lifetime of an address that is not leased.
const FOR_EVER: u32 = u32::MAX;

/// The interface of this name, or the kernel's ENODEV.
pub(super) async fn interface(socket: &mut Socket, name: &str) -> Result<LinkInfo, NetlinkError> {
    let answer = socket.request(Rtm::Getlink.into(), NlmF::empty(), request::link(Some(name), 0)?).await?;
    let body = answer.first().ok_or(frame::Malformed::Payload)?;
    Ok(parse::link(body)?)
}

/// Packets that an interface has received and sent (`IFLA_STATS64`).
pub(super) async fn packets(socket: &mut Socket, index: u32) -> Result<(u64, u64), NetlinkError> {
    let answer = socket.request(Rtm::Getlink.into(), NlmF::empty(), request::link(None, index)?).await?;
    let body = answer.first().ok_or(frame::Malformed::Payload)?;
    let message: neli::rtnl::Ifinfomsg = frame::message(body)?;
    let attributes = message.rtattrs().get_attr_handle();
    let counters = attributes.get_attribute(Ifla::Stats64).ok_or(frame::Malformed::Payload)?;
    // struct rtnl_link_stats64: rx_packets, tx_packets, …
    let both = counters.payload().as_ref().first_chunk::<16>().map(|octets| octets.split_at(8));
    let number = |octets: &[u8]| octets.try_into().map(u64::from_ne_bytes).unwrap_or(0);
    let (received, sent) = both.ok_or(frame::Malformed::Payload)?;
    Ok((number(received), number(sent)))
}

/// Puts an interface up or down, and sets the size of its packets.
pub(super) async fn set_interface(
    socket: &mut Socket,
    index: u32,
    up: Option<bool>,
    mtu: Option<u32>,
) -> Result<(), NetlinkError> {
    let mut attributes = RtBuffer::new();
    if let Some(mtu) = mtu {
        attributes.push(attribute(Ifla::Mtu, mtu)?);
    }
    let mut message = IfinfomsgBuilder::default().ifi_family(RtAddrFamily::Unspecified);
    message = message.ifi_index(i32::try_from(index).map_err(build)?).rtattrs(attributes);
    message = match up {
        Some(true) => message.up(),
        Some(false) => message.down(),
        None => message,
    };
    socket.request(Rtm::Newlink.into(), NlmF::empty(), message.build().map_err(build)?).await.map(|_| ())
}

/// Reads what is there, and whether this kernel was seen to keep our mark on addresses. `remembered` are addresses of
/// ours for one that cannot.
pub(super) async fn read(socket: &mut Socket, remembered: &[Place]) -> Result<(Kernel, bool), NetlinkError> {
    let mut kernel = Kernel::default();
    for body in socket.dump(Rtm::Getaddr.into(), address_message(None)?).await? {
        kernel.addresses.extend(address(&body)?);
    }
    let marks = kernel.addresses.iter().any(|address| address.ours);
    for address in &mut kernel.addresses {
        let place = Place { interface: address.interface, ip: address.ip };
        address.ours |= !marks && remembered.contains(&place);
    }
    for body in socket.dump(Rtm::Getroute.into(), route_message(None)?).await? {
        kernel.routes.extend(route(&body)?);
    }
    for body in socket.dump(Rtm::Getrule.into(), rule_message(None)?).await? {
        kernel.rules.extend(rule(&body)?);
    }
    Ok((kernel, marks))
}

/// IPv4 addresses that another program has set on this interface, with its default route's next hop.
pub(super) async fn foreign_v4(socket: &mut Socket, interface: u32) -> Result<Vec<Way>, NetlinkError> {
    let rivals = rivals(socket).await?;
    let mine = rivals.iter().find(|rival| !rival.v6 && rival.interface == Some(interface));
    let gateway = mine.and_then(|rival| rival.gateway);
    let (kernel, _) = read(socket, &[]).await?;
    let set = kernel.addresses.into_iter().filter(|a| a.interface == interface && a.ip.is_ipv4() && !a.ours);
    Ok(set.map(|a| Way { ip: a.ip, prefix: a.prefix, gateway, valid: None, theirs: true }).collect())
}

/// Usable addresses that the kernel made on this interface from router advertisements, without a gateway, and the
/// router that sent them.
pub(super) async fn advertised(
    socket: &mut Socket,
    interface: u32,
) -> Result<(Vec<Way>, Option<IpAddr>), NetlinkError> {
    let mut all = Vec::new();
    for body in socket.dump(Rtm::Getaddr.into(), address_message(None)?).await? {
        all.extend(global_v6(&body, interface)?);
    }
    if all.is_empty() {
        return Ok((all, None));
    }
    let rivals = rivals(socket).await?;
    let mine = rivals.iter().find(|rival| rival.v6 && rival.interface == Some(interface));
    let mut gateway = mine.and_then(|rival| rival.gateway);
    if gateway.is_none() {
        for body in socket.dump(RTM_GETNEIGH, Buffer::from(NEIGHBOURS_V6.as_slice())).await? {
            let router = neighbour::read(&body)?.filter(|n| n.router && n.interface == interface);
            gateway = gateway.or(router.map(|router| router.ip));
        }
    }
    Ok((all, gateway))
}

/// Takes away the default route that the kernel made from an advertisement before it was told not to.
pub(super) async fn drop_advertised(socket: &mut Socket, interface: u32) -> Result<(), NetlinkError> {
    for rival in rivals(socket).await? {
        if rival.advertised && rival.interface == Some(interface) {
            let Rival { v6, gateway, metric, .. } = rival;
            let route =
                Route { table: MAIN, v6, destination: None, gateway, interface, source: None, metric };
            let message = route_message_by(Some(&route), RTPROT_RA)?;
            socket.request(Rtm::Delroute.into(), NlmF::empty(), message).await?;
        }
    }
    Ok(())
}

fn global_v6(body: &[u8], interface: u32) -> Result<Option<Way>, NetlinkError> {
    let message: Ifaddrmsg = frame::message(body)?;
    let attributes = message.rtattrs().get_attr_handle();
    let flags =
        attributes.get_attribute(Ifa::Flags).and_then(|a| a.get_payload_as::<u32>().ok()).unwrap_or(0);
    let unusable = IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED;
    let Some(IpAddr::V6(ip)) = ip(&attributes, Ifa::Local).or_else(|| ip(&attributes, Ifa::Address)) else {
        return Ok(None);
    };
    let ours = address(body)?.is_some_and(|address| address.ours);
    let good = *message.ifa_index() == interface
        // Not set by hand or by another program for ever.
        && flags & IFA_F_PERMANENT == 0
        && flags & unusable == 0
        && !ip.is_unicast_link_local()
        && !ours;
    let prefix = *message.ifa_prefixlen();
    Ok(good.then_some(Way { ip: ip.into(), prefix, gateway: None, valid: None, theirs: true }))
}

/// Default routes of the main table that are not ours.
pub(super) async fn rivals(socket: &mut Socket) -> Result<Vec<Rival>, NetlinkError> {
    let mut all = Vec::new();
    for body in socket.dump(Rtm::Getroute.into(), route_message(None)?).await? {
        all.extend(rival(&body)?);
    }
    Ok(all)
}

/// Another program's default route, or the kernel's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rival {
    /// Kernel's index; several next hops have none here.
    pub(super) interface: Option<u32>,
    /// IPv6.
    pub(super) v6: bool,
    /// Next hop.
    pub(super) gateway: Option<IpAddr>,
    /// Less is better.
    pub(super) metric: u32,
    /// Made by the kernel from a router advertisement.
    pub(super) advertised: bool,
}

fn rival(body: &[u8]) -> Result<Option<Rival>, NetlinkError> {
    let message: Rtmsg = frame::message(body)?;
    let v6 = *message.rtm_family() == RtAddrFamily::Inet6;
    let default = (v6 || *message.rtm_family() == RtAddrFamily::Inet)
        && *message.rtm_table() == RtTable::Main
        && *message.rtm_dst_len() == 0
        && *message.rtm_type() == Rtn::Unicast;
    let protocol = u8::from(*message.rtm_protocol());
    if !default || protocol == RTPROT_WIFI_OFFLOAD {
        return Ok(None);
    }
    let attributes = message.rtattrs().get_attr_handle();
    let number = |kind| attributes.get_attribute(kind).and_then(|a| a.get_payload_as::<u32>().ok());
    Ok(Some(Rival {
        interface: number(Rta::Oif),
        v6,
        gateway: ip(&attributes, Rta::Gateway),
        metric: number(Rta::Priority).unwrap_or(0),
        advertised: protocol == RTPROT_RA,
    }))
}

/// Sends one change and waits for the kernel's word.
pub(super) async fn apply(socket: &mut Socket, change: &Change) -> Result<(), NetlinkError> {
    let create = NlmF::CREATE | NlmF::EXCL;
    let replace = NlmF::CREATE | NlmF::REPLACE;
    let none = NlmF::empty();
    match change {
        Change::SetAddress(address) => {
            socket.request(Rtm::Newaddr.into(), replace, address_message(Some(address))?).await
        }
        Change::RemoveAddress(address) => {
            socket.request(Rtm::Deladdr.into(), none, address_message(Some(address))?).await
        }
        // Without EXCL: where another program has a route with the same destination and metric, ours comes before
        // it and both stay.
        Change::AddRoute(route) => {
            socket.request(Rtm::Newroute.into(), NlmF::CREATE, route_message(Some(route))?).await
        }
        Change::ReplaceRoute(route) => {
            socket.request(Rtm::Newroute.into(), replace, route_message(Some(route))?).await
        }
        Change::RemoveRoute(route) => {
            socket.request(Rtm::Delroute.into(), none, route_message(Some(route))?).await
        }
        Change::AddRule(rule) => socket.request(Rtm::Newrule.into(), create, rule_message(Some(rule))?).await,
        Change::RemoveRule(rule) => {
            socket.request(Rtm::Delrule.into(), none, rule_message(Some(rule))?).await
        }
    }
    .map(|_| ())
}

fn address_message(address: Option<&Address>) -> Result<Ifaddrmsg, NetlinkError> {
    let mut attributes = RtBuffer::new();
    if let Some(address) = address {
        attributes.push(attribute(Ifa::Local, octets(address.ip))?);
        attributes.push(attribute(Ifa::Address, octets(address.ip))?);
        // The connected route is ours to place: the kernel would put it into the main table at once; a link-local
        // one is the way to every router and stays the kernel's. And nothing else has this address on a bearer, or
        // DHCP has given it: IPv6 need not wait a second to find out.
        let link_local = matches!(address.ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        let route = if link_local { 0 } else { IFA_F_NOPREFIXROUTE };
        attributes.push(attribute(Ifa::Flags, route | IFA_F_NODAD)?);
        attributes.push(attribute(Ifa::from(IFA_PROTO), RTPROT_WIFI_OFFLOAD)?);
        let valid = address.valid.unwrap_or(FOR_EVER);
        // struct ifa_cacheinfo: preferred, valid, created, updated
        attributes.push(attribute(Ifa::Cacheinfo, [valid, valid, 0, 0].map(u32::to_ne_bytes).concat())?);
    }
    IfaddrmsgBuilder::default()
        .ifa_family(address.map_or(RtAddrFamily::Unspecified, |address| family(address.ip.is_ipv6())))
        .ifa_prefixlen(address.map_or(0, |address| address.prefix))
        .ifa_flags(IfaF::empty())
        .ifa_scope(RtScope::Universe)
        .ifa_index(address.map_or(0, |address| address.interface))
        .rtattrs(attributes)
        .build()
        .map_err(build)
}

fn address(body: &[u8]) -> Result<Option<Address>, NetlinkError> {
    let message: Ifaddrmsg = frame::message(body)?;
    let attributes = message.rtattrs().get_attr_handle();
    // On a point-to-point link IFA_ADDRESS is the other end; IPv6 has IFA_LOCAL only there.
    let Some(ip) = ip(&attributes, Ifa::Local).or_else(|| ip(&attributes, Ifa::Address)) else {
        return Ok(None);
    };
    let (interface, prefix) = (*message.ifa_index(), *message.ifa_prefixlen());
    let marked = attributes.get_attribute(Ifa::from(IFA_PROTO)).and_then(|a| a.get_payload_as().ok());
    let ours = marked == Some(RTPROT_WIFI_OFFLOAD);
    Ok(Some(Address { interface, ip, prefix, valid: None, ours }))
}

fn route_message(route: Option<&Route>) -> Result<Rtmsg, NetlinkError> {
    route_message_by(route, RTPROT_WIFI_OFFLOAD)
}

fn route_message_by(route: Option<&Route>, protocol: u8) -> Result<Rtmsg, NetlinkError> {
    let mut attributes = RtBuffer::new();
    let mut flags = RtmF::empty();
    if let Some(route) = route {
        if let Some(net) = route.destination {
            attributes.push(attribute(Rta::Dst, octets(net.ip))?);
        }
        if let Some(gateway) = route.gateway {
            attributes.push(attribute(Rta::Gateway, octets(gateway))?);
            // Some bearers and access points give a gateway outside of the prefix.
            flags = RtmF::from_bits_retain(RTNH_F_ONLINK);
        }
        if let Some(source) = route.source {
            attributes.push(attribute(Rta::Prefsrc, octets(source))?);
        }
        attributes.push(attribute(Rta::Oif, route.interface)?);
        attributes.push(attribute(Rta::Priority, route.metric)?);
        attributes.push(attribute(Rta::Table, route.table)?);
    }
    let scope = match route {
        Some(Route { v6: false, gateway: None, .. }) => RtScope::Link,
        _ => RtScope::Universe,
    };
    RtmsgBuilder::default()
        .rtm_family(route.map_or(RtAddrFamily::Unspecified, |route| family(route.v6)))
        .rtm_dst_len(route.and_then(|route| route.destination).map_or(0, |net| net.prefix))
        .rtm_src_len(0)
        .rtm_tos(0)
        // The number has 32 bits and stands in RTA_TABLE.
        .rtm_table(RtTable::Unspec)
        .rtm_protocol(Rtprot::from(protocol))
        .rtm_scope(scope)
        .rtm_type(Rtn::Unicast)
        .rtm_flags(flags)
        .rtattrs(attributes)
        .build()
        .map_err(build)
}

fn route(body: &[u8]) -> Result<Option<Route>, NetlinkError> {
    let message: Rtmsg = frame::message(body)?;
    let v6 = *message.rtm_family() == RtAddrFamily::Inet6;
    if u8::from(*message.rtm_protocol()) != RTPROT_WIFI_OFFLOAD
        || !(v6 || *message.rtm_family() == RtAddrFamily::Inet)
    {
        return Ok(None);
    }
    let attributes = message.rtattrs().get_attr_handle();
    let number = |kind| attributes.get_attribute(kind).and_then(|a| a.get_payload_as::<u32>().ok());
    Ok(number(Rta::Oif).map(|interface| Route {
        table: number(Rta::Table).unwrap_or(MAIN),
        v6,
        destination: ip(&attributes, Rta::Dst).map(|ip| Net { ip, prefix: *message.rtm_dst_len() }),
        gateway: ip(&attributes, Rta::Gateway),
        interface,
        source: ip(&attributes, Rta::Prefsrc),
        metric: number(Rta::Priority).unwrap_or(0),
    }))
}

fn rule_message(rule: Option<&Rule>) -> Result<Fibmsg, NetlinkError> {
    let mut attributes = RtBuffer::new();
    let mut source_bits = 0;
    if let Some(rule) = rule {
        match &rule.selector {
            Selector::From(ip) => {
                source_bits = if ip.is_ipv6() { 128 } else { 32 };
                attributes.push(attribute(Frattr::Src, octets(*ip))?);
            }
            Selector::Bound { interface, .. } => {
                attributes.push(attribute(Frattr::Oifname, interface.as_str())?)
            }
        }
        attributes.push(attribute(Frattr::Table, rule.table)?);
        attributes.push(attribute(Frattr::Priority, rule.preference)?);
        attributes.push(attribute(Frattr::Protocol, RTPROT_WIFI_OFFLOAD)?);
    }
    FibmsgBuilder::default()
        .fib_family(rule.map_or(RtAddrFamily::Unspecified, |rule| family(rule.v6())))
        .fib_dst_len(0)
        .fib_src_len(source_bits)
        .fib_tos(0)
        .fib_table(RtTable::Unspec)
        .fib_action(FrAct::FrActToTbl)
        .rtattrs(attributes)
        .build()
        .map_err(build)
}

fn rule(body: &[u8]) -> Result<Option<Rule>, NetlinkError> {
    let message: Fibmsg = frame::message(body)?;
    let attributes = message.rtattrs().get_attr_handle();
    let protocol = attributes.get_attribute(Frattr::Protocol).and_then(|a| a.get_payload_as::<u8>().ok());
    if protocol != Some(RTPROT_WIFI_OFFLOAD) {
        return Ok(None);
    }
    let number = |kind| attributes.get_attribute(kind).and_then(|a| a.get_payload_as::<u32>().ok());
    let bound = attributes.get_attribute(Frattr::Oifname).map(|a| Selector::Bound {
        interface: parse::terminated(a.payload().as_ref()),
        v6: *message.fib_family() == RtAddrFamily::Inet6,
    });
    let selector = ip(&attributes, Frattr::Src).map(Selector::From).or(bound);
    let preference = number(Frattr::Priority).unwrap_or(0);
    Ok(selector.zip(number(Frattr::Table)).map(|(selector, table)| Rule { selector, table, preference }))
}

fn family(v6: bool) -> RtAddrFamily {
    if v6 { RtAddrFamily::Inet6 } else { RtAddrFamily::Inet }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn ip<T: RtaType>(attributes: &RtAttrHandle<'_, T>, kind: T) -> Option<IpAddr> {
    let octets = attributes.get_attribute(kind)?.payload().as_ref();
    let v4 = <[u8; 4]>::try_from(octets).ok().map(IpAddr::from);
    v4.or_else(|| <[u8; 16]>::try_from(octets).ok().map(IpAddr::from))
}

fn attribute<T, P>(kind: T, payload: P) -> Result<Rtattr<T, Buffer>, NetlinkError>
where
    T: RtaType + neli::Size,
    P: neli::Size + neli::ToBytes,
{
    RtattrBuilder::default().rta_type(kind).rta_payload(payload).build().map_err(build)
}

#[cfg(test)]
mod tests;
