//! Neighbours of an interface (`RTM_NEWNEIGH`, `include/uapi/linux/neighbour.h`), from octets to facts. Pure.
//!
//! neli's header for them is not used: it takes states for one value where the kernel has bits.

use std::net::IpAddr;

use socket2::SockFilter;

use crate::wlan::netlink::frame::{self, Malformed};

/// `struct ndmsg`: family, padding, interface at 4, state at 8, flags at 10, type at 11.
const HEADER: usize = 12;
/// `NDA_DST`.
const DESTINATION: u16 = 1;
/// `NTF_ROUTER`.
const ROUTER: u8 = 1 << 7;
/// `NUD_*`.
const INCOMPLETE: u16 = 0x01;
const REACHABLE: u16 = 0x02;
const DELAY: u16 = 0x08;
const PROBE: u16 = 0x10;
const FAILED: u16 = 0x20;

/// A socket filter that leaves out what an idle device's neighbours go through each minute: in use, asked again, not in
/// use any more. One that fails is let through; routers are, because a default route may come with one; and so are all
/// other kinds of messages.
pub(super) fn without_ordinary(kind: u16) -> [SockFilter; 8] {
    // linux/filter.h; `nlmsghdr` has 16 octets and its type at 4. Loads are in network order, messages are not.
    let [load_half, load_octet, equal, any, give] = [0x28, 0x30, 0x15, 0x45, 0x06];
    let step = SockFilter::new;
    [
        step(load_half, 0, 0, 4),
        step(equal, 0, 4, u32::from(kind.to_be())),
        step(load_octet, 0, 0, 16 + 10),
        step(any, 2, 0, ROUTER.into()),
        step(load_half, 0, 0, 16 + 8),
        step(any, 0, 1, u32::from(FAILED.to_be())),
        step(give, 0, 0, u32::MAX),
        step(give, 0, 0, 0),
    ]
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Neighbour {
    /// Kernel's index.
    pub(super) interface: u32,
    /// Whose MAC address it is about.
    pub(super) ip: IpAddr,
    /// `NUD_*`, as bits.
    state: u16,
    /// It has sent router advertisements.
    pub(super) router: bool,
}

impl Neighbour {
    /// One in this state.
    #[cfg(test)]
    pub(super) fn in_state(state: u16) -> Self {
        Self { interface: 4, ip: [10, 9, 0, 1].into(), state, router: false }
    }

    /// It did not answer.
    pub(super) fn failed(self) -> bool {
        self.state & FAILED != 0
    }

    /// Somebody uses it now, or did within half a minute.
    pub(super) fn in_use(self) -> bool {
        self.state & (INCOMPLETE | REACHABLE | DELAY | PROBE) != 0
    }
}

/// The body of a message; none where it has no address.
pub(super) fn read(body: &[u8]) -> Result<Option<Neighbour>, Malformed> {
    let interface = frame::u32_at(body, 4).ok_or(Malformed::Payload)?;
    let state = frame::u16_at(body, 8).ok_or(Malformed::Payload)?;
    let (Some(flags), Some(rest)) = (body.get(10), body.get(HEADER..)) else {
        return Err(Malformed::Payload);
    };
    let attributes = frame::attributes::<u16>(rest)?;
    let address = attributes.iter().find(|a| *a.nla_type().nla_type() == DESTINATION);
    let ip = address.and_then(|address| {
        let octets = address.nla_payload().as_ref();
        let v4 = <[u8; 4]>::try_from(octets).ok().map(IpAddr::from);
        v4.or_else(|| <[u8; 16]>::try_from(octets).ok().map(IpAddr::from))
    });
    Ok(ip.map(|ip| Neighbour { interface, ip, state, router: flags & ROUTER != 0 }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_gateway_that_does_not_answer() {
        let body = [2, 0, 0, 0, 4, 0, 0, 0, 0x20, 0, 0, 1, 8, 0, 1, 0, 10, 9, 0, 1];
        let found = read(&body).expect("well formed").expect("an address");
        assert_eq!((found.interface, found.ip, found.router), (4, [10, 9, 0, 1].into(), false));
        assert!(found.failed() && !found.in_use());
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = read(&octets);
        }
    }
}
