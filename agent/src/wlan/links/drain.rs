//! Which TCP connections use a link's address, and how they fare (`NETLINK_SOCK_DIAG`,
//! `include/uapi/linux/inet_diag.h`).
//!
//! neli and linux-raw-sys have no names for this protocol; the two structures have not changed since Linux 3.3.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use neli::{consts::socket::NlFamily, types::Buffer};

use crate::wlan::netlink::{
    NetlinkError, Socket,
    frame::{self, Malformed},
};

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
const AF_INET: u8 = 2;
/// Also has the IPv4 connections of programs that open one socket for both.
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
/// `struct inet_diag_req_v2` with its empty `struct inet_diag_sockid`.
const REQUEST: usize = 56;
/// `struct inet_diag_msg`; attributes follow.
const MESSAGE: usize = 72;
/// `INET_DIAG_INFO`, and the bit that asks for it.
const INFO: u16 = 2;
const WITH_INFO: u8 = 1 << (INFO - 1);
const SECOND_MS: u32 = 1_000;
/// `enum` of `include/net/tcp_states.h`.
const SYN_SENT: u8 = 2;
/// `enum` of `include/net/tcp_states.h`: the other end has closed nothing yet, and no program of ours holds it.
const FIN_WAIT2: u8 = 5;
/// States in which octets can still pass: all but TIME_WAIT (6), CLOSE (7), LISTEN (10) and what comes after.
const STATES: u32 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << FIN_WAIT2 | 1 << 8 | 1 << 9 | 1 << 11;

/// One connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Connection {
    source: IpAddr,
    /// `TCP_ESTABLISHED` and so on.
    state: u8,
    /// Whether a program still holds it.
    held: bool,
}

impl Connection {
    /// Whether cutting it would be felt. One that our side has closed and forgotten waits only for the other's FIN.
    fn matters(self) -> bool {
        self.held || self.state != FIN_WAIT2
    }
}

/// Whether any TCP connection has one of these source addresses.
pub(super) async fn in_use(sources: &[IpAddr]) -> Result<bool, NetlinkError> {
    let mut socket = Socket::requests(NlFamily::SockOrInetDiag)?;
    for family in [AF_INET, AF_INET6] {
        for body in socket.dump(BY_FAMILY, Buffer::from(request(family, 0))).await? {
            let connection = connection(&body)?;
            if sources.contains(&connection.source) && connection.matters() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// How the link's TCP connections fare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// They repeat what nobody acknowledges.
    pub(super) stalled: usize,
    /// They heard from the other end in the last second.
    pub(super) heard: usize,
    /// All of them.
    pub(super) open: usize,
}

/// Looks at the connections with one of these source addresses.
pub(super) async fn progress(sources: &[IpAddr]) -> Result<Progress, NetlinkError> {
    let mut socket = Socket::requests(NlFamily::SockOrInetDiag)?;
    let mut all = Progress::default();
    for family in [AF_INET, AF_INET6] {
        for body in socket.dump(BY_FAMILY, Buffer::from(request(family, WITH_INFO))).await? {
            if sources.contains(&connection(&body)?.source) {
                all.open = all.open.saturating_add(1);
                match fate(&body)? {
                    Some(Fate::Stalled) => all.stalled = all.stalled.saturating_add(1),
                    Some(Fate::Heard) => all.heard = all.heard.saturating_add(1),
                    None => {}
                }
            }
        }
    }
    Ok(all)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stalled,
    Heard,
}

/// `struct tcp_info`: state, a state of congestion, repetitions of the same segment; unacknowledged segments at 24;
/// milliseconds since data and since an acknowledgement came at 52 and 56.
fn fate(body: &[u8]) -> Result<Option<Fate>, Malformed> {
    let Some(attributes) = body.get(MESSAGE..).filter(|rest| !rest.is_empty()) else { return Ok(None) };
    let attributes = frame::attributes::<u16>(attributes)?;
    let Some(info) = attributes.iter().find(|a| *a.nla_type().nla_type() == INFO) else { return Ok(None) };
    let info = info.nla_payload().as_ref();
    let (Some([state, _, repeated]), Some(unacknowledged), Some(data), Some(acknowledged)) =
        (info.first_chunk::<3>(), frame::u32_at(info, 24), frame::u32_at(info, 52), frame::u32_at(info, 56))
    else {
        return Ok(None);
    };
    if *state == SYN_SENT {
        return Ok((*repeated > 0).then_some(Fate::Stalled));
    }
    if data.min(acknowledged) < SECOND_MS {
        return Ok(Some(Fate::Heard));
    }
    Ok((unacknowledged > 0 && *repeated > 0).then_some(Fate::Stalled))
}

fn request(family: u8, extensions: u8) -> Vec<u8> {
    let mut octets = vec![family, IPPROTO_TCP, extensions, 0];
    octets.extend(STATES.to_ne_bytes());
    octets.resize(REQUEST, 0);
    octets
}

/// `struct inet_diag_msg`: family, state, timer, retransmissions; ports, source at 8, destination, interface and
/// cookie; expiry, queues and user; inode at 68.
fn connection(body: &[u8]) -> Result<Connection, Malformed> {
    let (Some([family, state, ..]), Some(source), Some(inode)) = (
        body.first_chunk::<4>(),
        body.get(8..).and_then(|rest| rest.first_chunk::<16>()),
        frame::u32_at(body, 68),
    ) else {
        return Err(Malformed::Payload);
    };
    let source = if *family == AF_INET {
        let [a, b, c, d, ..] = *source;
        Ipv4Addr::new(a, b, c, d).into()
    } else {
        // ::ffff:a.b.c.d is IPv4 in an IPv6 socket.
        Ipv6Addr::from(*source).to_canonical()
    };
    Ok(Connection { source, state: *state, held: inode != 0 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(family: u8, state: u8, source: &[u8], inode: u32) -> Vec<u8> {
        let mut octets = vec![family, state, 0, 0, 0x1f, 0x90, 0, 80];
        octets.extend(source);
        octets.resize(68, 0);
        octets.extend(inode.to_ne_bytes());
        octets
    }

    #[test]
    fn ipv4_is_found_in_sockets_of_both_families() {
        let wanted = Connection { source: Ipv4Addr::new(10, 64, 0, 2).into(), state: 1, held: true };
        assert_eq!(connection(&message(AF_INET, 1, &[10, 64, 0, 2], 7)), Ok(wanted));
        let mapped = Ipv4Addr::new(10, 64, 0, 2).to_ipv6_mapped().octets();
        assert_eq!(connection(&message(AF_INET6, 1, &mapped, 7)), Ok(wanted));
    }

    #[test]
    fn a_forgotten_half_closed_connection_does_not_matter() {
        let read = |state, inode| connection(&message(AF_INET, state, &[10, 0, 0, 1], inode)).expect("whole");
        assert!(read(1, 7).matters());
        // The program reads the rest of the answer.
        assert!(read(FIN_WAIT2, 7).matters());
        assert!(!read(FIN_WAIT2, 0).matters());
        // Closed by the program, but octets are still on their way.
        assert!(read(4, 0).matters());
    }

    fn told(state: u8, repeated: u8, unacknowledged: u32, heard_ms: u32) -> Option<Fate> {
        let mut info = vec![state, 0, repeated];
        info.resize(24, 0);
        info.extend(unacknowledged.to_ne_bytes());
        info.resize(52, 0);
        info.extend([heard_ms; 2].map(u32::to_ne_bytes).concat());
        let length = u16::try_from(info.len() + 4).expect("short");
        let mut octets = message(AF_INET, state, &[10, 0, 0, 1], 7);
        assert_eq!(octets.len(), MESSAGE);
        octets.extend([length, INFO].map(u16::to_ne_bytes).concat());
        octets.extend(info);
        fate(&octets).expect("well formed")
    }

    #[test]
    fn a_connection_stalls_when_it_repeats_what_nobody_acknowledges() {
        assert_eq!(told(1, 2, 10, 1_500), Some(Fate::Stalled));
        assert_eq!(told(1, 2, 10, 300), Some(Fate::Heard));
        // Idle, and one whose last octets have just left.
        assert_eq!(told(1, 0, 0, 60_000), None);
        assert_eq!(told(1, 0, 1, 60_000), None);
        assert_eq!(told(SYN_SENT, 1, 1, 0), Some(Fate::Stalled));
        assert_eq!(told(SYN_SENT, 0, 1, 0), None);
    }

    #[test]
    fn the_request_is_as_long_as_the_kernel_wants_it() {
        let octets = request(AF_INET, 0);
        assert_eq!((octets.len(), &octets[..4]), (REQUEST, [AF_INET, 6, 0, 0].as_slice()));
        assert_eq!(octets[4..8], 0b1011_0011_1110_u32.to_ne_bytes());
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = (connection(&octets), fate(&octets));
        }

        #[test]
        fn truncations_are_malformed(cut in 0usize..72) {
            let whole = message(AF_INET, 1, &[10, 0, 0, 1], 7);
            prop_assert_eq!(connection(&whole[..cut]), Err(Malformed::Payload));
        }
    }
}
