//! MPTCP endpoints: the addresses from which the kernel opens further subflows (RFC 8684 §3.2), by its path manager's
//! generic netlink family (`include/uapi/linux/mptcp_pm.h`).
//!
//! One `subflow` endpoint for each address of ours, bound to its interface. Not `fullmesh`: both links reach the same
//! servers, and one subflow a link is all that a move needs. `wanted` and `messages` are pure.

use std::net::IpAddr;

use neli::{
    consts::{genl::NlAttrType, nl::GenlId, nl::NlmF, socket::NlFamily},
    types::{Buffer, GenlBuffer},
};

use super::ledger::{Ledger, Limit, Place};
use crate::wlan::{
    netlink::{
        NetlinkError, Socket,
        frame::{self, Malformed},
    },
    nl80211::{parse, request},
};

/// `MPTCP_PM_NAME`, `MPTCP_PM_VER`.
const FAMILY: &str = "mptcp_pm";
const VERSION: u8 = 1;
/// `struct genlmsghdr`.
const GENERIC_HEADER: usize = 4;
/// `MPTCP_PM_CMD_*`.
const ADD_ADDR: u8 = 1;
const DEL_ADDR: u8 = 2;
const GET_ADDR: u8 = 3;
const SET_LIMITS: u8 = 5;
const GET_LIMITS: u8 = 6;
const SET_FLAGS: u8 = 7;
/// `MPTCP_PM_ATTR_*`.
const ATTR_ADDR: u16 = 1;
const ATTR_RCV_ADD_ADDRS: u16 = 2;
const ATTR_SUBFLOWS: u16 = 3;
/// `MPTCP_PM_ADDR_ATTR_*`.
const ADDR_FAMILY: u16 = 1;
const ADDR_ID: u16 = 2;
const ADDR_V4: u16 = 3;
const ADDR_V6: u16 = 4;
const ADDR_FLAGS: u16 = 6;
const ADDR_IF_IDX: u16 = 7;
/// `MPTCP_PM_ADDR_FLAG_*`.
const SUBFLOW: u32 = 1 << 1;
const BACKUP: u32 = 1 << 2;
/// `NLA_F_NESTED`.
const NESTED: u16 = 1 << 15;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// `MPTCP_PM_ADDR_MAX`: the kernel takes no larger limit.
const MAX_SUBFLOWS: u32 = 8;

/// An endpoint that should be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Address and interface.
    pub(crate) place: Place,
    /// Whether it is used only while no other subflow delivers (RFC 8684 §3.3.8); none where nobody has said so yet.
    pub(crate) backup: Option<bool>,
}

/// An endpoint that is there, ours or another program's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    id: u8,
    place: Place,
    flags: u32,
}

/// `MPTCP_PM_CMD_GET_LIMITS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limits {
    accepted: u32,
    subflows: u32,
}

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Remove(Found),
    Add(Endpoint),
    SetBackup(Found, bool),
}

/// The path manager of this kernel.
#[derive(Debug)]
pub(super) struct Manager {
    socket: Socket,
    family: u16,
}

impl Manager {
    /// None where the kernel has no MPTCP. Must be called inside a tokio runtime.
    pub(super) async fn open() -> Result<Option<Self>, NetlinkError> {
        let mut socket = Socket::requests(NlFamily::Generic)?;
        let answer = socket.request(GenlId::Ctrl.into(), NlmF::empty(), request::family(FAMILY)?).await;
        let bodies = match answer {
            Err(error) if error.errno() == Some(nix::errno::Errno::ENOENT) => return Ok(None),
            answer => answer?,
        };
        let family = bodies.first().map(|body| parse::family(body)).transpose()?.flatten();
        Ok(family.map(|family| Self { socket, family: family.id }))
    }

    /// Makes our endpoints these. `ledger` knows which are ours, and learns of each before it is there.
    pub(super) async fn reconcile(
        &mut self,
        wanted: &[Endpoint],
        ledger: &mut Ledger,
    ) -> Result<(), NetlinkError> {
        if wanted.is_empty() && ledger.record().endpoints.is_empty() && ledger.record().subflows.is_none() {
            return Ok(());
        }
        let found = self.endpoints().await?;
        for change in changes(&found, wanted, &ledger.record().endpoints) {
            match change {
                Change::Remove(there) => self.send(DEL_ADDR, &identified(there.id, None)).await?,
                Change::SetBackup(there, backup) => {
                    let flags = there.flags & !BACKUP | if backup { BACKUP } else { 0 };
                    self.send(SET_FLAGS, &identified(there.id, Some(flags))).await?;
                }
                Change::Add(endpoint) => {
                    ledger.note(|record| record.endpoints.push(endpoint.place));
                    if let Err(error) = self.send(ADD_ADDR, &written(endpoint)).await {
                        ledger.note(|record| record.endpoints.retain(|place| *place != endpoint.place));
                        return Err(error);
                    }
                }
            }
        }
        ledger.note(|record| {
            record.endpoints.retain(|place| wanted.iter().any(|endpoint| endpoint.place == *place));
        });
        self.limit(wanted, &found, ledger).await
    }

    /// Raises the limit of additional subflows where it is too low for ours, and puts it back without them.
    async fn limit(
        &mut self,
        wanted: &[Endpoint],
        found: &[Found],
        ledger: &mut Ledger,
    ) -> Result<(), NetlinkError> {
        let there = self.limits().await?;
        let before = ledger.record().subflows;
        let (subflows, noted) = limit(there.subflows, needed(wanted, found), before);
        if noted.is_some() {
            ledger.note(|record| record.subflows = noted);
        }
        if subflows != there.subflows {
            let mut octets = attribute(ATTR_RCV_ADD_ADDRS, &there.accepted.to_ne_bytes());
            octets.extend(attribute(ATTR_SUBFLOWS, &subflows.to_ne_bytes()));
            self.send(SET_LIMITS, &octets).await?;
        }
        ledger.note(|record| record.subflows = noted);
        Ok(())
    }

    async fn endpoints(&mut self) -> Result<Vec<Found>, NetlinkError> {
        let bodies = self.socket.dump(self.family, Buffer::from(message(GET_ADDR, &[]))).await?;
        let mut all = Vec::new();
        for body in bodies {
            all.extend(endpoint(&body)?);
        }
        Ok(all)
    }

    async fn limits(&mut self) -> Result<Limits, NetlinkError> {
        let asked = Buffer::from(message(GET_LIMITS, &[]));
        let bodies = self.socket.request(self.family, NlmF::empty(), asked).await?;
        let body = bodies.first().ok_or(Malformed::Payload)?;
        Ok(limits(body)?)
    }

    async fn send(&mut self, command: u8, attributes: &[u8]) -> Result<(), NetlinkError> {
        let octets = Buffer::from(message(command, attributes));
        self.socket.request(self.family, NlmF::empty(), octets).await.map(|_| ())
    }
}

/// Ours that are not wanted go first. Where another program has an endpoint on the same address, that one serves and
/// stays as it is.
fn changes(found: &[Found], wanted: &[Endpoint], ours: &[Place]) -> Vec<Change> {
    let mine = || found.iter().copied().filter(|there| ours.contains(&there.place));
    let stale = mine().filter(|there| !wanted.iter().any(|endpoint| endpoint.place == there.place));
    let flags = mine().filter_map(|there| {
        let wanted = wanted.iter().find(|endpoint| endpoint.place == there.place)?;
        let backup = wanted.backup.filter(|backup| *backup != (there.flags & BACKUP != 0))?;
        Some(Change::SetBackup(there, backup))
    });
    let absent = wanted.iter().filter(|endpoint| {
        // The kernel tells endpoints apart by their address alone.
        let taken = |there: &Found| there.place.ip == endpoint.place.ip;
        !found.iter().any(|there| taken(there) && !stale_place(there, wanted, ours))
    });
    stale.map(Change::Remove).chain(flags).chain(absent.copied().map(Change::Add)).collect()
}

fn stale_place(there: &Found, wanted: &[Endpoint], ours: &[Place]) -> bool {
    ours.contains(&there.place) && !wanted.iter().any(|endpoint| endpoint.place == there.place)
}

/// Additional subflows that a connection may need: one for each endpoint but its own, other programs' included.
fn needed(wanted: &[Endpoint], found: &[Found]) -> u32 {
    if wanted.is_empty() {
        return 0;
    }
    let theirs = found
        .iter()
        .filter(|there| there.flags & SUBFLOW != 0)
        .filter(|there| !wanted.iter().any(|endpoint| endpoint.place.ip == there.place.ip));
    let all = theirs.count().saturating_add(wanted.len()).saturating_sub(1);
    u32::try_from(all).unwrap_or(MAX_SUBFLOWS).min(MAX_SUBFLOWS)
}

/// What the limit should be, and what is to be remembered of it.
fn limit(there: u32, needed: u32, noted: Option<Limit>) -> (u32, Option<Limit>) {
    // Another program has set it since.
    let noted = noted.filter(|limit| limit.set == there || limit.before == there);
    let before = noted.map_or(there, |limit| limit.before);
    let wanted = before.max(needed);
    (wanted, (wanted != before).then_some(Limit { before, set: wanted }))
}

fn message(command: u8, attributes: &[u8]) -> Vec<u8> {
    let mut octets = vec![command, VERSION, 0, 0];
    octets.extend(attributes);
    octets
}

/// By its number; with flags to set them.
fn identified(id: u8, flags: Option<u32>) -> Vec<u8> {
    let mut inner = attribute(ADDR_ID, &[id]);
    inner.extend(flags.map(|flags| attribute(ADDR_FLAGS, &flags.to_ne_bytes())).unwrap_or_default());
    attribute(ATTR_ADDR | NESTED, &inner)
}

fn written(endpoint: Endpoint) -> Vec<u8> {
    let flags = SUBFLOW | if endpoint.backup == Some(true) { BACKUP } else { 0 };
    let mut inner = match endpoint.place.ip {
        IpAddr::V4(ip) => {
            [attribute(ADDR_FAMILY, &AF_INET.to_ne_bytes()), attribute(ADDR_V4, &ip.octets())].concat()
        }
        IpAddr::V6(ip) => {
            [attribute(ADDR_FAMILY, &AF_INET6.to_ne_bytes()), attribute(ADDR_V6, &ip.octets())].concat()
        }
    };
    inner.extend(attribute(ADDR_FLAGS, &flags.to_ne_bytes()));
    inner.extend(attribute(ADDR_IF_IDX, &endpoint.place.interface.to_ne_bytes()));
    attribute(ATTR_ADDR | NESTED, &inner)
}

/// `struct nlattr` and its padding. All of ours are a few octets long.
fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len().saturating_add(4)).unwrap_or(u16::MAX);
    let mut octets = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    octets.extend(payload);
    octets.resize(octets.len().next_multiple_of(4), 0);
    octets
}

/// One answer of `MPTCP_PM_CMD_GET_ADDR`.
fn endpoint(body: &[u8]) -> Result<Option<Found>, Malformed> {
    let outer = attributes(body)?;
    let Some(inner) = find(&outer, ATTR_ADDR) else { return Ok(None) };
    let inner = frame::attributes::<u16>(inner)?;
    let v4 = find(&inner, ADDR_V4).and_then(|octets| <[u8; 4]>::try_from(octets).ok()).map(IpAddr::from);
    let v6 = find(&inner, ADDR_V6).and_then(|octets| <[u8; 16]>::try_from(octets).ok()).map(IpAddr::from);
    let id = find(&inner, ADDR_ID).and_then(|octets| octets.first().copied());
    let number = |kind| find(&inner, kind).and_then(|octets| frame::u32_at(octets, 0)).unwrap_or(0);
    let interface = number(ADDR_IF_IDX);
    let found = |(ip, id)| Found { id, place: Place { interface, ip }, flags: number(ADDR_FLAGS) };
    Ok(v4.or(v6).zip(id).map(found))
}

fn limits(body: &[u8]) -> Result<Limits, Malformed> {
    let all = attributes(body)?;
    let number = |kind| find(&all, kind).and_then(|octets| frame::u32_at(octets, 0));
    let both = number(ATTR_RCV_ADD_ADDRS).zip(number(ATTR_SUBFLOWS));
    both.map(|(accepted, subflows)| Limits { accepted, subflows }).ok_or(Malformed::Payload)
}

fn attributes(body: &[u8]) -> Result<GenlBuffer<u16, Buffer>, Malformed> {
    frame::attributes(body.get(GENERIC_HEADER..).ok_or(Malformed::Payload)?)
}

fn find<T: NlAttrType>(attributes: &GenlBuffer<T, Buffer>, kind: T) -> Option<&[u8]> {
    let attribute = attributes.iter().find(|attribute| *attribute.nla_type().nla_type() == kind)?;
    Some(attribute.nla_payload().as_ref())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(last: u8, interface: u32) -> Place {
        Place { interface, ip: [10, 0, 0, last].into() }
    }

    fn there(id: u8, place: Place, flags: u32) -> Found {
        Found { id, place, flags }
    }

    fn plain(place: Place) -> Endpoint {
        Endpoint { place, backup: Some(false) }
    }

    #[test]
    fn an_endpoint_is_written_as_the_kernel_reads_it() {
        let endpoint = Endpoint { place: place(2, 3), backup: Some(true) };
        let wanted: &[u8] = &[
            36, 0, 1, 0x80, // ADDR, nested
            6, 0, 1, 0, 2, 0, 0, 0, // FAMILY
            8, 0, 3, 0, 10, 0, 0, 2, // ADDR4
            8, 0, 6, 0, 6, 0, 0, 0, // FLAGS subflow, backup
            8, 0, 7, 0, 3, 0, 0, 0, // IF_IDX
        ];
        assert_eq!(written(endpoint), wanted);
        let mut answer = message(GET_ADDR, &[]);
        let mut inner = wanted[4..].to_vec();
        inner.extend([5, 0, 2, 0, 7, 0, 0, 0]);
        answer.extend(attribute(ATTR_ADDR | NESTED, &inner));
        assert_eq!(super::endpoint(&answer), Ok(Some(there(7, place(2, 3), SUBFLOW | BACKUP))));
    }

    #[test]
    fn only_ours_are_touched() {
        let (mine, theirs) = (there(1, place(2, 3), SUBFLOW), there(2, place(9, 4), SUBFLOW | BACKUP));
        let found = [mine, theirs];
        assert_eq!(changes(&found, &[], &[mine.place]), [Change::Remove(mine)]);
        assert_eq!(changes(&found, &[], &[]), []);
        // NetworkManager's endpoint on an address that we use as well.
        assert_eq!(changes(&found, &[plain(theirs.place)], &[]), []);
        let backup = Endpoint { place: mine.place, backup: Some(true) };
        assert_eq!(changes(&found, &[backup], &[mine.place]), [Change::SetBackup(mine, true)]);
        assert_eq!(changes(&found, &[plain(mine.place)], &[mine.place]), []);
        assert_eq!(changes(&[theirs], &[plain(mine.place)], &[]), [Change::Add(plain(mine.place))]);
    }

    #[test]
    fn the_same_address_on_another_interface_takes_the_old_ones_place() {
        let old = there(1, place(2, 3), SUBFLOW);
        let new = plain(place(2, 5));
        assert_eq!(changes(&[old], &[new], &[old.place]), [Change::Remove(old), Change::Add(new)]);
    }

    #[test]
    fn the_limit_is_only_raised_and_comes_back() {
        assert_eq!(limit(2, 1, None), (2, None));
        assert_eq!(limit(0, 1, None), (1, Some(Limit { before: 0, set: 1 })));
        // Killed between the note and the message, and after it.
        for there in [0, 1] {
            assert_eq!(
                limit(there, 3, Some(Limit { before: 0, set: 1 })),
                (3, Some(Limit { before: 0, set: 3 }))
            );
            assert_eq!(limit(there, 0, Some(Limit { before: 0, set: 1 })), (0, None));
        }
        // Another program's word since.
        assert_eq!(limit(4, 0, Some(Limit { before: 0, set: 1 })), (4, None));
    }

    #[test]
    fn one_more_subflow_for_each_further_endpoint() {
        let two = [plain(place(2, 3)), plain(place(9, 4))];
        assert_eq!(needed(&two, &[]), 1);
        assert_eq!(needed(&two, &[there(1, two[0].place, SUBFLOW), there(5, place(77, 8), SUBFLOW)]), 2);
        assert_eq!(needed(&[], &[there(5, place(77, 8), SUBFLOW)]), 0);
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = (endpoint(&octets), limits(&octets));
        }
    }
}
