//! The next packet that leaves by a link, told by the kernel: so a link that carries nothing is watched for nothing.
//! Used by `task`.
//!
//! A packet socket (packet(7)) whose filter lets only that packet through. It is there while the link is idle and is
//! closed by the first packet: beside traffic it costs nothing. What an idle device says by itself does not count:
//! multicast and broadcast, neighbour discovery, and whatever carries our own mark. It needs `CAP_NET_RAW`.

use std::io;

use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::io::{Interest, unix::AsyncFd};

use crate::wlan::{OWN_MARK, netlink::registered};

/// `linux/if_ether.h`, `linux/if_packet.h`.
const ETH_P_ALL: u16 = 3;
const ETH_P_IP: u32 = 0x0800;
const ETH_P_IPV6: u32 = 0x86dd;
const PACKET_OUTGOING: u32 = 4;
/// `linux/filter.h`: load a word, or an octet, from a fixed place.
const LOAD: u16 = 0x20;
const LOAD_OCTET: u16 = 0x30;
/// Jump where it is equal, or not less.
const EQUAL: u16 = 0x15;
const NOT_LESS: u16 = 0x35;
const RETURN: u16 = 0x06;
/// `SKF_AD_OFF` and what is from there on: what the kernel knows of the packet.
const KNOWN: u32 = 0xffff_f000;
const PROTOCOL: u32 = KNOWN;
const DIRECTION: u32 = KNOWN + 4;
const INTERFACE: u32 = KNOWN + 8;
const MARK: u32 = KNOWN + 20;
/// First octet of the destination, in headers of both families, and of addresses for many.
const DESTINATION_V4: u32 = 16;
const DESTINATION_V6: u32 = 24;
const MANY_V4: u32 = 224;
const MANY_V6: u32 = 0xff;
/// RFC 8200 §3 and its number of ICMPv6 (RFC 4443 §1), which neighbour discovery is.
const NEXT_HEADER: u32 = 6;
const ICMPV6: u32 = 58;

/// A set alarm.
#[derive(Debug)]
pub(super) struct Alarm(AsyncFd<Socket>);

impl Alarm {
    /// Rings at the next packet that leaves by this interface. Must be called inside a tokio runtime.
    pub(super) fn set(interface: u32) -> io::Result<Self> {
        let all = Protocol::from(i32::from(ETH_P_ALL.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(all))?;
        socket.attach_filter(&filter(interface))?;
        socket.set_nonblocking(true)?;
        // What came before the filter was there.
        while socket.recv(&mut []).is_ok() {}
        registered(socket, Interest::READABLE).map(Self)
    }

    /// Waits for it.
    pub(super) async fn rings(&self) {
        if let Err(error) = self.0.readable().await {
            tracing::debug!(%error, "a packet socket");
        }
    }
}

/// Each jump counts the steps that are left out; the last two steps are `drop` and `let through`.
fn filter(interface: u32) -> [SockFilter; 17] {
    let step = SockFilter::new;
    [
        step(LOAD, 0, 0, DIRECTION),
        step(EQUAL, 0, 13, PACKET_OUTGOING),
        step(LOAD, 0, 0, INTERFACE),
        step(EQUAL, 0, 11, interface),
        step(LOAD, 0, 0, MARK),
        step(EQUAL, 9, 0, OWN_MARK),
        step(LOAD, 0, 0, PROTOCOL),
        step(EQUAL, 5, 0, ETH_P_IP),
        step(EQUAL, 0, 6, ETH_P_IPV6),
        // IPv6.
        step(LOAD_OCTET, 0, 0, NEXT_HEADER),
        step(EQUAL, 4, 0, ICMPV6),
        step(LOAD_OCTET, 0, 0, DESTINATION_V6),
        step(EQUAL, 2, 3, MANY_V6),
        // IPv4.
        step(LOAD_OCTET, 0, 0, DESTINATION_V4),
        step(NOT_LESS, 0, 1, MANY_V4),
        step(RETURN, 0, 0, 0),
        step(RETURN, 0, 0, u32::MAX),
    ]
}
