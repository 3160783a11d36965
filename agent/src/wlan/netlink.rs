//! One netlink socket under tokio: a request and its answers, or the kernel's multicast events.
//!
//! Stands on neli's plain `NlSocket` and not on its `NlRouter`: that one wakes a thread ten times a second and keeps
//! lost events (`ENOBUFS`) to itself. Used by `nl80211`, `links` and `dhcp`. What the octets mean is
//! [`frame`]'s business, and pure.

use std::{
    io,
    os::fd::{AsRawFd, RawFd},
    time::Duration,
};

use neli::{
    Size, ToBytes,
    consts::{
        nl::NlmF,
        socket::{Msg, NlFamily},
    },
    nl::{NlPayload, NlmsghdrBuilder},
    socket::NlSocket,
    types::Buffer,
    utils::Groups,
};
use nix::errno::Errno;
use socket2::{SockFilter, SockRef};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::timeout,
};

pub(crate) mod frame;

use frame::{Kind, Malformed};

/// The kernel answers at once; only a lost answer takes longer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// The kernel's own limit of a dump's datagram (`NLMSG_GOODSIZE` grows to what `recv` offers, at most 32 KiB).
const DATAGRAM: usize = 32 * 1024;
/// A table that changes while it is read is read again this often.
const DUMP_TRIES: usize = 4;
/// Most messages of one answer: a device in a city hears some hundred access points.
const MAX_MESSAGES: usize = 16_384;

/// Why a request or a wait for events failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NetlinkError {
    /// The socket itself.
    #[error("netlink socket: {0}")]
    Io(#[from] io::Error),
    /// The kernel refused; its own words where it has some.
    #[error("{errno}{}", text.as_deref().map(|text| format!(" ({text})")).unwrap_or_default())]
    Refused {
        /// `errno` of the answer.
        errno: Errno,
        /// Extended acknowledgement.
        text: Option<String>,
    },
    /// No answer in time.
    #[error("no answer from the kernel in {} s", ANSWER_LIMIT.as_secs())]
    Silent,
    /// The receive buffer was too small for what came (`ENOBUFS`): events are missing.
    #[error("events were lost")]
    Lost,
    /// Each try to read a whole table met a change.
    #[error("the table kept changing while it was read")]
    Unsteady,
    /// An answer that is not netlink, or not what was asked for.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A message of ours could not be written down.
    #[error("cannot build the message: {0}")]
    Build(String),
}

impl NetlinkError {
    /// The kernel's error number, where it refused.
    pub(crate) fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { errno, .. } => Some(*errno),
            _ => None,
        }
    }
}

/// A netlink socket, either for requests or for events: one that does both would mistake one for the other.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: AsyncFd<NoDebug>,
    sequence: u32,
}

/// `NlSocket` has no `Debug`.
struct NoDebug(NlSocket);

impl std::fmt::Debug for NoDebug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NlSocket")
    }
}

impl AsRawFd for NoDebug {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Socket {
    /// A socket for requests. Must be called inside a tokio runtime.
    pub(crate) fn requests(family: NlFamily) -> Result<Self, NetlinkError> {
        Self::open(family, &[])
    }

    /// A socket that hears these multicast groups. Must be called inside a tokio runtime.
    pub(crate) fn events(family: NlFamily, groups: &[u32]) -> Result<Self, NetlinkError> {
        Self::open(family, groups)
    }

    fn open(family: NlFamily, groups: &[u32]) -> Result<Self, NetlinkError> {
        let socket = NlSocket::connect(family, None, Groups::new_groups(groups))?;
        socket.nonblock()?;
        // Only the error texts become poorer where the kernel is too old for it.
        let _ = socket.enable_ext_ack(true);
        Ok(Self { fd: registered(NoDebug(socket), Interest::READABLE)?, sequence: 0 })
    }

    /// Lets only those events through that this socket filter returns more than zero for: the others wake nobody.
    pub(crate) fn filter(&self, filter: &[SockFilter]) -> io::Result<()> {
        SockRef::from(&self.fd).attach_filter(filter)
    }

    /// Sends a request and waits for the acknowledgement; gives what came before it.
    pub(crate) async fn request<P>(
        &mut self,
        kind: u16,
        flags: NlmF,
        body: P,
    ) -> Result<Vec<Vec<u8>>, NetlinkError>
    where
        P: Size + ToBytes,
    {
        let octets = octets(&body)?;
        self.exchange(kind, flags | NlmF::ACK, &octets).await.map(|answer| answer.bodies)
    }

    /// Reads a whole table.
    pub(crate) async fn dump<P>(&mut self, kind: u16, body: P) -> Result<Vec<Vec<u8>>, NetlinkError>
    where
        P: Size + ToBytes,
    {
        let octets = octets(&body)?;
        for _ in 0..DUMP_TRIES {
            let answer = self.exchange(kind, NlmF::DUMP, &octets).await?;
            if !answer.interrupted {
                return Ok(answer.bodies);
            }
        }
        Err(NetlinkError::Unsteady)
    }

    /// The next datagram of events. [`NetlinkError::Lost`] means: read everything anew. May be cancelled.
    pub(crate) async fn next(&mut self) -> Result<Vec<u8>, NetlinkError> {
        let mut buffer = vec![0; DATAGRAM];
        let length = loop {
            let mut ready = self.fd.readable().await?;
            if let Ok(received) = ready.try_io(|fd| fd.get_ref().0.recv(buffer.as_mut_slice(), Msg::TRUNC)) {
                match received {
                    Ok((length, _)) => break length,
                    Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {
                        return Err(NetlinkError::Lost);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.into()),
                }
            }
        };
        if length > buffer.len() {
            return Err(NetlinkError::Lost);
        }
        buffer.truncate(length);
        Ok(buffer)
    }

    async fn exchange(&mut self, kind: u16, flags: NlmF, body: &[u8]) -> Result<Answer, NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let message = NlmsghdrBuilder::default()
            .nl_type(kind)
            .nl_flags(flags | NlmF::REQUEST)
            .nl_seq(self.sequence)
            .nl_payload(NlPayload::<u16, Buffer>::Payload(Buffer::from(body)))
            .build()
            .map_err(build)?;
        self.fd.get_ref().0.send(octets(&message)?, Msg::empty())?;
        timeout(ANSWER_LIMIT, self.collect()).await.map_err(|_| NetlinkError::Silent)?
    }

    async fn collect(&mut self) -> Result<Answer, NetlinkError> {
        let mut answer = Answer::default();
        loop {
            let datagram = self.next().await?;
            for frame in frame::frames(&datagram) {
                let frame = frame?;
                // The answer of an earlier request that was given up.
                if frame.sequence != self.sequence {
                    continue;
                }
                answer.interrupted |= frame.flags.contains(NlmF::DUMP_INTR);
                match frame::kind(&frame)? {
                    Kind::Data if answer.bodies.len() < MAX_MESSAGES => {
                        answer.bodies.push(frame.body.to_vec())
                    }
                    Kind::Data => {}
                    Kind::End => return Ok(answer),
                    Kind::Refused { errno, text } => {
                        return Err(NetlinkError::Refused { errno: Errno::from_raw(errno), text });
                    }
                }
            }
        }
    }
}

/// tokio's new name for this is an unsafe function, because a descriptor could be closed while it is registered. What is
/// given here owns its descriptor, never gives it away, and closes it when it is dropped, after tokio's part.
#[expect(deprecated, reason = "the safe way; sound as said above")]
pub(super) fn registered<T: AsRawFd>(owner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(owner, interest)
}

#[derive(Debug, Default)]
struct Answer {
    bodies: Vec<Vec<u8>>,
    interrupted: bool,
}

/// For neli's many builder errors, none of which can happen with complete fields.
pub(crate) fn build(error: impl std::fmt::Display) -> NetlinkError {
    NetlinkError::Build(error.to_string())
}

fn octets(body: &impl ToBytes) -> Result<Vec<u8>, NetlinkError> {
    let mut cursor = io::Cursor::new(Vec::new());
    body.to_bytes(&mut cursor).map_err(build)?;
    Ok(cursor.into_inner())
}

#[cfg(test)]
mod tests {
    use linux_raw_sys::netlink::rtnetlink_groups::RTNLGRP_LINK;
    use neli::{
        consts::rtnl::{Ifla, RtAddrFamily, Rtm},
        rtnl::{IfinfomsgBuilder, RtattrBuilder},
        types::RtBuffer,
    };
    use nix::{
        sched::{CloneFlags, unshare},
        unistd::geteuid,
    };

    use super::*;

    /// Runs a test in a network namespace of its own, which ends with its thread.
    fn alone<T: Send + 'static>(test: impl AsyncFnOnce() -> T + Send + 'static) -> T {
        assert!(geteuid().is_root(), "this test makes a network namespace: run it as root");
        let within = move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(test())
        };
        std::thread::spawn(within).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Each makes one event of the loopback interface.
    async fn set_mtu(requests: &mut Socket, index: i32, mtu: u32) -> Result<(), NetlinkError> {
        let mtu = RtattrBuilder::default().rta_type(Ifla::Mtu).rta_payload(mtu).build().map_err(build)?;
        let message = IfinfomsgBuilder::default()
            .ifi_family(RtAddrFamily::Unspecified)
            .ifi_index(index)
            .rtattrs(RtBuffer::from_iter([mtu]))
            .build()
            .map_err(build)?;
        requests.request(Rtm::Newlink.into(), NlmF::empty(), message).await.map(|_| ())
    }

    #[test]
    fn lost_events_are_seen_and_later_ones_heard() {
        alone(async || {
            let mut events = Socket::events(NlFamily::Route, &[RTNLGRP_LINK as u32]).expect("opened");
            let mut requests = Socket::requests(NlFamily::Route).expect("opened");
            // Some hundred fill the default buffer of 208 KiB.
            for mtu in 0..2_000 {
                set_mtu(&mut requests, 1, 1_500 + mtu).await.expect("taken");
            }
            assert!(matches!(events.next().await, Err(NetlinkError::Lost)));
            let last = |octets: &[u8]| {
                let frame = frame::frames(octets).next().expect("one").expect("well formed");
                frame.body.windows(4).any(|mtu| mtu == 4_000_u32.to_ne_bytes())
            };
            // What was queued before the loss is still there; the kernel queues nothing more until it has been read.
            while let Ok(Ok(_)) = timeout(Duration::from_millis(200), events.next()).await {}
            set_mtu(&mut requests, 1, 4_000).await.expect("taken");
            assert!(last(&events.next().await.expect("heard")));
        });
    }

    #[test]
    fn refusals_carry_number_and_words() {
        alone(async || {
            let mut requests = Socket::requests(NlFamily::Route).expect("opened");
            let error = set_mtu(&mut requests, 99, 1_500).await.expect_err("no such interface");
            assert_eq!(error.errno(), Some(Errno::ENODEV));
            let error = set_mtu(&mut requests, 1, u32::MAX).await.expect_err("negative for the kernel");
            assert_eq!(error.to_string(), "EINVAL: Invalid argument (mtu less than device minimum)");
        });
    }
}
