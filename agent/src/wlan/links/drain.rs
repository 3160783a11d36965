//! How many TCP connections still use a link's address (`NETLINK_SOCK_DIAG`, `include/uapi/linux/inet_diag.h`).
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
        for body in socket.dump(BY_FAMILY, Buffer::from(request(family))).await? {
            let connection = connection(&body)?;
            if sources.contains(&connection.source) && connection.matters() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn request(family: u8) -> Vec<u8> {
    let mut octets = vec![family, IPPROTO_TCP, 0, 0];
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

    #[test]
    fn the_request_is_as_long_as_the_kernel_wants_it() {
        let octets = request(AF_INET);
        assert_eq!((octets.len(), &octets[..4]), (REQUEST, [AF_INET, 6, 0, 0].as_slice()));
        assert_eq!(octets[4..8], 0b1011_0011_1110_u32.to_ne_bytes());
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = connection(&octets);
        }

        #[test]
        fn truncations_are_malformed(cut in 0usize..72) {
            let whole = message(AF_INET, 1, &[10, 0, 0, 1], 7);
            prop_assert_eq!(connection(&whole[..cut]), Err(Malformed::Payload));
        }
    }
}
