//! What we ask of nl80211, as messages: pure builders, called by the card's task.

use neli::{
    Size, ToBytes,
    consts::{
        genl::{CtrlAttr, CtrlCmd, NlAttrType},
        nl80211::Nl80211Command as Command,
        rtnl::{Ifla, RtAddrFamily},
    },
    genl::{AttrTypeBuilder, Genlmsghdr, GenlmsghdrBuilder, Nlattr, NlattrBuilder},
    rtnl::{Ifinfomsg, IfinfomsgBuilder, RtattrBuilder},
    types::{Buffer, GenlBuffer, RtBuffer},
};
use nix::libc::IFNAMSIZ;
use provisioning::identity::Mac;

use super::attribute::{Attr, CqmAttr};
use crate::wlan::netlink::{NetlinkError, build};

/// A request of nl80211.
pub(crate) type Request = Genlmsghdr<Command, Attr>;

/// SSIDs of one scan request. mac80211 takes four, and no driver was seen to take fewer.
const MAX_SSIDS: usize = 4;
/// IEEE 802.11 §9.4.2.2.
const MAX_SSID: usize = 32;
/// Version of the `nlctrl` family.
const CTRL_VERSION: u8 = 2;
/// Version of the nl80211 family; the kernel does not look at it.
const VERSION: u8 = 1;

/// Number and multicast groups of the generic netlink family of this name.
pub(crate) fn family(name: &str) -> Result<Genlmsghdr<CtrlCmd, CtrlAttr>, NetlinkError> {
    let name = attribute(CtrlAttr::FamilyName, name)?;
    GenlmsghdrBuilder::default()
        .cmd(CtrlCmd::Getfamily)
        .version(CTRL_VERSION)
        .attrs(GenlBuffer::from_iter([name]))
        .build()
        .map_err(build)
}

/// All wireless interfaces (a dump).
pub(crate) fn interfaces() -> Result<Request, NetlinkError> {
    request(Command::GetInterface, [])
}

/// One network interface, by name or else by index: the answer has both of its MAC addresses.
pub(crate) fn link(name: Option<&str>, index: u32) -> Result<Ifinfomsg, NetlinkError> {
    let mut attributes = RtBuffer::new();
    if let Some(name) = name {
        // The kernel compares 15 octets at most; a longer name must not find another's interface.
        if name.len() >= IFNAMSIZ {
            return Err(NetlinkError::Build(format!("`{name}` is too long for an interface's name")));
        }
        attributes
            .push(RtattrBuilder::default().rta_type(Ifla::Ifname).rta_payload(name).build().map_err(build)?);
    }
    IfinfomsgBuilder::default()
        .ifi_family(RtAddrFamily::Unspecified)
        .ifi_index(i32::try_from(index).map_err(build)?)
        .rtattrs(attributes)
        .build()
        .map_err(build)
}

/// Scan for these networks by name, on these channels (all where none is given). Networks past the fourth are
/// found by their beacons and the wildcard probe.
pub(crate) fn scan(index: u32, ssids: &[Vec<u8>], frequencies: &[u32]) -> Result<Request, NetlinkError> {
    let named: Vec<&[u8]> =
        ssids.iter().map(Vec::as_slice).filter(|ssid| (1..=MAX_SSID).contains(&ssid.len())).collect();
    let wildcard = named.is_empty() || named.len() > MAX_SSIDS;
    let room = if wildcard { MAX_SSIDS - 1 } else { MAX_SSIDS };
    let names = wildcard.then_some([].as_slice()).into_iter().chain(named.into_iter().take(room));
    let mut attributes =
        vec![attribute(Attr::Ifindex, index)?, nested(Attr::ScanSsids, (1u16..).zip(names))?];
    if !frequencies.is_empty() {
        attributes.push(nested(Attr::ScanFrequencies, (1u16..).zip(frequencies.iter().copied()))?);
    }
    request(Command::TriggerScan, attributes)
}

/// What the last scans found (a dump).
pub(crate) fn scan_results(index: u32) -> Result<Request, NetlinkError> {
    request(Command::GetScan, [attribute(Attr::Ifindex, index)?])
}

/// The access point that we are associated with (a dump: a station has one peer or none).
pub(crate) fn station(index: u32) -> Result<Request, NetlinkError> {
    request(Command::GetStation, [attribute(Attr::Ifindex, index)?])
}

/// Tell when the signal crosses one of `thresholds_dbm` (ascending; more than one since Linux 4.12, where the driver
/// can), and again only when it has moved by `hysteresis_db`. A single threshold of 0 turns it off.
pub(crate) fn watch(index: u32, thresholds_dbm: &[i32], hysteresis_db: u32) -> Result<Request, NetlinkError> {
    let thresholds = thresholds_dbm.iter().flat_map(|dbm| dbm.to_ne_bytes()).collect::<Vec<u8>>();
    let thresholds = (u16::from(CqmAttr::RssiThold), Buffer::from(thresholds));
    let hysteresis = (u16::from(CqmAttr::RssiHyst), Buffer::from(hysteresis_db.to_ne_bytes().as_slice()));
    request(Command::SetCqm, [attribute(Attr::Ifindex, index)?, nested(Attr::Cqm, [thresholds, hysteresis])?])
}

/// Use this address from now on.
pub(crate) fn set_mac(index: u32, mac: Mac) -> Result<Ifinfomsg, NetlinkError> {
    let address = RtattrBuilder::default()
        .rta_type(Ifla::Address)
        .rta_payload(Buffer::from(mac.0.as_slice()))
        .build()
        .map_err(build)?;
    IfinfomsgBuilder::default()
        .ifi_family(RtAddrFamily::Unspecified)
        .ifi_index(i32::try_from(index).map_err(build)?)
        .rtattrs(RtBuffer::from_iter([address]))
        .build()
        .map_err(build)
}

/// Puts an interface up or down.
pub(crate) fn set_up(index: u32, up: bool) -> Result<Ifinfomsg, NetlinkError> {
    let message = IfinfomsgBuilder::default()
        .ifi_family(RtAddrFamily::Unspecified)
        .ifi_index(i32::try_from(index).map_err(build)?);
    if up { message.up() } else { message.down() }.build().map_err(build)
}

fn request(
    command: Command,
    attributes: impl IntoIterator<Item = Nlattr<Attr, Buffer>>,
) -> Result<Request, NetlinkError> {
    GenlmsghdrBuilder::default()
        .cmd(command)
        .version(VERSION)
        .attrs(attributes.into_iter().collect())
        .build()
        .map_err(build)
}

fn attribute<T, P>(kind: T, payload: P) -> Result<Nlattr<T, Buffer>, NetlinkError>
where
    T: NlAttrType + Size,
    P: Size + ToBytes,
{
    let kind = AttrTypeBuilder::default().nla_type(kind).build().map_err(build)?;
    NlattrBuilder::default().nla_type(kind).nla_payload(payload).build().map_err(build)
}

fn nested<P>(
    kind: Attr,
    inner: impl IntoIterator<Item = (u16, P)>,
) -> Result<Nlattr<Attr, Buffer>, NetlinkError>
where
    P: Size + ToBytes,
{
    let mut outer = attribute(kind, Buffer::new())?;
    for (number, payload) in inner {
        outer = outer.nest(&attribute(number, payload)?).map_err(build)?;
    }
    Ok(outer)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::wlan::netlink::frame;

    fn octets(message: &impl ToBytes) -> Vec<u8> {
        let mut cursor = Cursor::new(Vec::new());
        message.to_bytes(&mut cursor).expect("to memory");
        cursor.into_inner()
    }

    /// Octet for octet what nl80211.h asks for, with interface 3.
    #[test]
    fn cqm_thresholds_are_written_as_the_kernel_reads_them() {
        let message = octets(&watch(3, &[-70], 5).expect("complete"));
        let wanted: &[u8] = &[
            63, 1, 0, 0, // SET_CQM
            8, 0, 3, 0, 3, 0, 0, 0, // IFINDEX 3
            20, 0, 94, 0x80, // CQM, nested
            8, 0, 1, 0, 0xba, 0xff, 0xff, 0xff, // RSSI_THOLD -70
            8, 0, 2, 0, 5, 0, 0, 0, // RSSI_HYST 5
        ];
        assert_eq!(message, wanted);
    }

    #[test]
    fn several_thresholds_are_one_array() {
        let message = octets(&watch(3, &[-70, -66], 2).expect("complete"));
        let wanted: &[u8] = &[
            24, 0, 94, 0x80, // CQM, nested
            12, 0, 1, 0, 0xba, 0xff, 0xff, 0xff, 0xbe, 0xff, 0xff, 0xff, // RSSI_THOLD -70, -66
            8, 0, 2, 0, 2, 0, 0, 0, // RSSI_HYST 2
        ];
        assert_eq!(&message[12..], wanted);
    }

    #[test]
    fn an_address_is_written_as_rtnetlink_reads_it() {
        let message = octets(&set_mac(3, Mac([2, 0, 0, 0, 0, 7])).expect("complete"));
        let wanted: &[u8] =
            &[0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 1, 0, 2, 0, 0, 0, 0, 7, 0, 0];
        assert_eq!(message, wanted);
    }

    fn ssids(wanted: &[&str]) -> Vec<Vec<u8>> {
        let wanted: Vec<Vec<u8>> = wanted.iter().map(|ssid| ssid.as_bytes().to_vec()).collect();
        let message = octets(&scan(3, &wanted, &[2412]).expect("complete"));
        let attributes = frame::attributes::<Attr>(&message[4..]).expect("well formed");
        let list = attributes.iter().find(|a| *a.nla_type().nla_type() == Attr::ScanSsids).expect("there");
        let list = frame::attributes::<u16>(list.nla_payload().as_ref()).expect("well formed");
        list.iter().map(|ssid| ssid.nla_payload().as_ref().to_vec()).collect()
    }

    #[test]
    fn a_scan_asks_for_hidden_networks_by_name() {
        assert_eq!(ssids(&["corp", "guest"]), [b"corp".to_vec(), b"guest".to_vec()]);
        assert_eq!(ssids(&[]), [b"".to_vec()]);
        assert_eq!(
            ssids(&["a", "b", "c", "d", "e"]),
            [b"".to_vec(), b"a".to_vec(), b"b".to_vec(), b"c".to_vec()]
        );
        assert_eq!(ssids(&["", "thirty-three octets is one too lon"]), [b"".to_vec()]);
    }

    #[test]
    fn a_name_that_the_kernel_would_cut_is_refused() {
        assert!(link(Some("wlan0"), 0).is_ok());
        assert!(link(Some("fifteen-octets-"), 0).is_ok());
        assert!(link(Some("sixteen-octets--"), 0).is_err());
    }
}
