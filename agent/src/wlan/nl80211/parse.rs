//! What nl80211 and rtnetlink tell about the card, from octets to facts. Pure; called by the card's task.
//!
//! Each function takes the body of one netlink message. What cannot be read is [`Malformed`]; what is of no
//! interest is `None`.

use neli::{
    attr::Attribute,
    consts::{
        genl::{CtrlAttr, CtrlAttrMcastGrp, NlAttrType},
        nl80211::{Nl80211Command as Command, Nl80211IfType},
        rtnl::Ifla,
    },
    rtnl::Ifinfomsg,
    types::{Buffer, GenlBuffer},
};
use provisioning::identity::Mac;

use super::attribute::{Attr, BssAttr, CqmAttr, StationAttr};
use crate::wlan::{
    Bss,
    netlink::frame::{self, Malformed},
};

/// `struct genlmsghdr`: command, version, two octets of nothing.
const GENERIC_HEADER: usize = 4;
/// IEEE 802.11 §9.4.2.2: the element that holds the SSID.
const SSID_ELEMENT: u8 = 0;
/// IEEE 802.11 §9.3.3.1: header of a management frame; the reason code is the first thing after it.
const MANAGEMENT_HEADER: usize = 24;

/// The nl80211 family as this kernel numbers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Family {
    /// `nlmsg_type` of its messages.
    pub(crate) id: u16,
    /// Multicast groups by name.
    pub(crate) groups: Vec<(String, u32)>,
}

/// A network interface (`RTM_NEWLINK`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinkInfo {
    /// Kernel's index.
    pub(crate) index: u32,
    /// Such as `wlan0`.
    pub(crate) name: String,
    /// `IFLA_ADDRESS`; raw-IP links have none.
    pub(crate) current: Option<Mac>,
    /// `IFLA_PERM_ADDRESS`.
    pub(crate) permanent: Option<Mac>,
    /// `IFLA_MTU`.
    pub(crate) mtu: Option<u32>,
    /// `IFF_UP`.
    pub(crate) up: bool,
}

/// Something that happened to the card, told on a multicast group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    /// An interface came, went or changed: look again.
    Interfaces,
    /// A scan ended.
    ScanDone,
    /// A scan was given up.
    ScanAborted,
    /// The signal crossed the threshold; its level where the kernel says it (since 4.12).
    Crossed {
        /// dBm.
        level: Option<i32>,
    },
    /// Beacons stay away.
    BeaconLoss,
    /// The association stands.
    Connected,
    /// The association is over.
    Disconnected {
        /// IEEE 802.11 §9.4.1.7, where told.
        reason: Option<u16>,
    },
}

/// Answer of `CTRL_CMD_GETFAMILY`.
pub(crate) fn family(body: &[u8]) -> Result<Option<Family>, Malformed> {
    let attributes = generic::<CtrlAttr>(body)?;
    let Some(id) = number::<_, u16>(&attributes, CtrlAttr::FamilyId) else { return Ok(None) };
    let mut groups = Vec::new();
    for group in nested::<_, u16>(&attributes, CtrlAttr::McastGroups)?.iter() {
        let group = frame::attributes::<CtrlAttrMcastGrp>(group.nla_payload().as_ref())?;
        if let (Some(name), Some(id)) =
            (text(&group, CtrlAttrMcastGrp::Name), number(&group, CtrlAttrMcastGrp::Id))
        {
            groups.push((name, id));
        }
    }
    Ok(Some(Family { id, groups }))
}

/// One interface of `NL80211_CMD_GET_INTERFACE`: its index, if it is a station.
pub(crate) fn station_interface(body: &[u8]) -> Result<Option<(u32, String)>, Malformed> {
    let attributes = generic::<Attr>(body)?;
    let kind = number::<_, u32>(&attributes, Attr::Iftype);
    if kind != Some(Nl80211IfType::Station.into()) {
        return Ok(None);
    }
    Ok(number(&attributes, Attr::Ifindex).zip(text(&attributes, Attr::Ifname)))
}

/// `RTM_NEWLINK`.
pub(crate) fn link(body: &[u8]) -> Result<LinkInfo, Malformed> {
    let message: Ifinfomsg = frame::message(body)?;
    let attributes = message.rtattrs().get_attr_handle();
    let mac = |kind| attributes.get_attribute(kind).and_then(|a| mac(a.payload().as_ref()));
    let name = attributes.get_attribute(Ifla::Ifname).ok_or(Malformed::Payload)?;
    Ok(LinkInfo {
        index: u32::try_from(*message.ifi_index()).map_err(|_| Malformed::Payload)?,
        name: terminated(name.payload().as_ref()),
        current: mac(Ifla::Address),
        permanent: mac(Ifla::PermAddress),
        mtu: attributes.get_attribute(Ifla::Mtu).and_then(|a| a.get_payload_as().ok()),
        up: message.ifi_flags().contains(neli::consts::rtnl::Iff::UP),
    })
}

/// One entry of `NL80211_CMD_GET_SCAN`; none where it says no signal in dBm or no BSSID.
pub(crate) fn bss(body: &[u8]) -> Result<Option<Bss>, Malformed> {
    let bss = nested::<_, BssAttr>(&generic::<Attr>(body)?, Attr::Bss)?;
    let (Some(bssid), Some(mbm)) =
        (find(&bss, BssAttr::Bssid).and_then(mac), number::<_, i32>(&bss, BssAttr::SignalMbm))
    else {
        return Ok(None);
    };
    // What the last probe response said, else the beacon: a hidden network's beacon has an empty SSID.
    let ssid = [BssAttr::Elements, BssAttr::BeaconElements]
        .into_iter()
        .filter_map(|kind| find(&bss, kind))
        .find_map(|elements| element(elements, SSID_ELEMENT))
        .unwrap_or_default();
    Ok(Some(Bss {
        bssid,
        ssid: ssid.to_vec(),
        signal_dbm: mbm.div_euclid(100),
        frequency_mhz: number(&bss, BssAttr::Frequency).unwrap_or(0),
        seen_ms_ago: number(&bss, BssAttr::SeenMsAgo).unwrap_or(0),
    }))
}

/// Signal of one peer of `NL80211_CMD_GET_STATION`, dBm. The beacons' average comes first: it is what CQM goes by,
/// and data frames may be sent with another power.
pub(crate) fn signal(body: &[u8]) -> Result<Option<i32>, Malformed> {
    let station = nested::<_, StationAttr>(&generic::<Attr>(body)?, Attr::StaInfo)?;
    let kinds = [StationAttr::BeaconSignalAvg, StationAttr::SignalAvg, StationAttr::Signal];
    Ok(kinds
        .into_iter()
        .filter_map(|kind| number::<_, i8>(&station, kind))
        .find(|dbm| *dbm < 0)
        .map(i32::from))
}

/// A multicast message of nl80211 about the interface `index`.
pub(crate) fn notice(body: &[u8], index: Option<u32>) -> Result<Option<Notice>, Malformed> {
    let command = body.first().copied().map(Command::from).ok_or(Malformed::Payload)?;
    if matches!(command, Command::NewInterface | Command::DelInterface | Command::SetInterface) {
        return Ok(Some(Notice::Interfaces));
    }
    let attributes = generic::<Attr>(body)?;
    if index.is_none() || number(&attributes, Attr::Ifindex) != index {
        return Ok(None);
    }
    Ok(match command {
        Command::NewScanResults => Some(Notice::ScanDone),
        Command::ScanAborted => Some(Notice::ScanAborted),
        Command::NotifyCqm => crossing(&attributes)?,
        // A connect that failed has a status (IEEE 802.11 §9.4.1.9); it was no association.
        Command::Connect if number::<_, u16>(&attributes, Attr::StatusCode).unwrap_or(0) != 0 => None,
        Command::Connect | Command::Roam => Some(Notice::Connected),
        Command::Disconnect => Some(Notice::Disconnected { reason: number(&attributes, Attr::ReasonCode) }),
        Command::Deauthenticate | Command::Disassociate => {
            let reason = find(&attributes, Attr::Frame)
                .and_then(|frame| frame.get(MANAGEMENT_HEADER..)?.first_chunk().copied())
                .map(u16::from_le_bytes);
            Some(Notice::Disconnected { reason })
        }
        _ => None,
    })
}

fn crossing(attributes: &GenlBuffer<Attr, Buffer>) -> Result<Option<Notice>, Malformed> {
    let cqm = nested::<_, CqmAttr>(attributes, Attr::Cqm)?;
    if find(&cqm, CqmAttr::BeaconLossEvent).is_some() {
        return Ok(Some(Notice::BeaconLoss));
    }
    // Lost packets and failed transmissions are told by the same command and decide nothing here.
    let crossed = find(&cqm, CqmAttr::RssiThresholdEvent).is_some();
    Ok(crossed.then(|| Notice::Crossed { level: number(&cqm, CqmAttr::RssiLevel) }))
}

fn generic<T: NlAttrType>(body: &[u8]) -> Result<GenlBuffer<T, Buffer>, Malformed> {
    frame::attributes(body.get(GENERIC_HEADER..).ok_or(Malformed::Payload)?)
}

fn find<T: NlAttrType>(attributes: &GenlBuffer<T, Buffer>, kind: T) -> Option<&[u8]> {
    let attribute = attributes.iter().find(|attribute| *attribute.nla_type().nla_type() == kind)?;
    Some(attribute.nla_payload().as_ref())
}

fn nested<T: NlAttrType, U: NlAttrType>(
    attributes: &GenlBuffer<T, Buffer>,
    kind: T,
) -> Result<GenlBuffer<U, Buffer>, Malformed> {
    find(attributes, kind).map_or(Ok(GenlBuffer::new()), frame::attributes)
}

fn number<T: NlAttrType, N: neli::FromBytes>(attributes: &GenlBuffer<T, Buffer>, kind: T) -> Option<N> {
    N::from_bytes(&mut std::io::Cursor::new(find(attributes, kind)?)).ok()
}

fn text<T: NlAttrType>(attributes: &GenlBuffer<T, Buffer>, kind: T) -> Option<String> {
    find(attributes, kind).map(terminated)
}

/// Text up to its NUL.
pub(crate) fn terminated(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets.split(|octet| *octet == 0).next().unwrap_or_default()).into_owned()
}

/// An address of six octets that is not all zeroes (what drivers without one say).
fn mac(octets: &[u8]) -> Option<Mac> {
    <[u8; 6]>::try_from(octets).ok().filter(|octets| *octets != [0; 6]).map(Mac)
}

/// First information element with this number that is not empty and not all zeroes, as hidden SSIDs are.
fn element(mut elements: &[u8], wanted: u8) -> Option<&[u8]> {
    while let [number, length, rest @ ..] = elements {
        let (content, after) = rest.split_at_checked(usize::from(*length))?;
        if *number == wanted && content.iter().any(|octet| *octet != 0) {
            return Some(content);
        }
        elements = after;
    }
    None
}

#[cfg(test)]
mod tests;
