//! Netlink's framing: a datagram is a row of messages, each with a header of 16 octets (RFC 3549 §2.3.2).
//!
//! Done here and not by neli because neli 0.7 subtracts lengths unchecked in this place. Attributes inside the
//! bodies are neli's. Pure; called by the socket and by each folder that reads events.

use std::io::Cursor;

use neli::{
    FromBytesWithInput,
    consts::{genl::NlAttrType, nl::NlmF},
    types::{Buffer, GenlBuffer},
};

/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;
/// `NLMSG_ERROR`: an error, or with number 0 an acknowledgement.
const ERROR: u16 = 2;
/// `NLMSG_DONE`: end of a dump.
const DONE: u16 = 3;
/// Below this (`NLMSG_MIN_TYPE`) types are netlink's own; what is not named above (`NLMSG_NOOP`) carries nothing.
const FIRST_DATA: u16 = 0x10;
/// `NLMSGERR_ATTR_MSG`.
const ERROR_TEXT: u16 = 1;
/// Longest text of the kernel that is kept, characters.
const MAX_TEXT: usize = 200;

/// Octets that are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// A message is longer than what came, or shorter than its own header.
    #[error("netlink message cut off")]
    Truncated,
    /// An attribute's length does not fit.
    #[error("netlink attribute cut off")]
    Attribute,
    /// A header before the attributes is incomplete.
    #[error("netlink payload cut off")]
    Payload,
}

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// `nlmsg_type`.
    pub(crate) kind: u16,
    /// `nlmsg_flags`.
    pub(crate) flags: NlmF,
    /// `nlmsg_seq`.
    pub(crate) sequence: u32,
    /// What follows the header.
    pub(crate) body: &'a [u8],
}

/// What a message means in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Part of the answer.
    Data,
    /// Nothing follows.
    End,
    /// The kernel refused.
    Refused {
        /// Positive `errno`.
        errno: i32,
        /// The kernel's explanation.
        text: Option<String>,
    },
}

/// The messages of a datagram; ends after the first malformed one.
pub(crate) fn frames(datagram: &[u8]) -> impl Iterator<Item = Result<Frame<'_>, Malformed>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (first, after) = match split(rest) {
            Some(parts) => parts,
            None => {
                rest = &[];
                return Some(Err(Malformed::Truncated));
            }
        };
        rest = after;
        Some(Ok(first))
    })
}

fn split(octets: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let length = usize::try_from(u32_at(octets, 0)?).ok()?;
    let body = octets.get(HEADER..length)?;
    let frame = Frame {
        kind: u16_at(octets, 4)?,
        flags: NlmF::from_bits_retain(u16_at(octets, 6)?),
        sequence: u32_at(octets, 8)?,
        body,
    };
    Some((frame, octets.get(align(length)..).unwrap_or_default()))
}

/// Reads what a message of an answer means.
pub(crate) fn kind(frame: &Frame<'_>) -> Result<Kind, Malformed> {
    match frame.kind {
        ERROR => {
            let number = i32_at(frame.body, 0).ok_or(Malformed::Payload)?;
            if number == 0 {
                return Ok(Kind::End);
            }
            Ok(Kind::Refused { errno: number.saturating_neg(), text: error_text(frame) })
        }
        // A dump that fails half-way says so in its last message.
        DONE => match i32_at(frame.body, 0).unwrap_or(0) {
            number if number < 0 => Ok(Kind::Refused { errno: number.saturating_neg(), text: None }),
            _ => Ok(Kind::End),
        },
        _ => Ok(Kind::Data),
    }
}

/// The extended acknowledgement: attributes after the error number and the echoed request.
fn error_text(frame: &Frame<'_>) -> Option<String> {
    if !frame.flags.contains(NlmF::ACK_TLVS) {
        return None;
    }
    let echoed = if frame.flags.contains(NlmF::CAPPED) {
        HEADER
    } else {
        align(usize::try_from(u32_at(frame.body, 4)?).ok()?)
    };
    let attributes = attributes::<u16>(frame.body.get(echoed.checked_add(4)?..)?).ok()?;
    let text = attributes.iter().find(|attribute| *attribute.nla_type().nla_type() == ERROR_TEXT)?;
    let octets = text.nla_payload().as_ref();
    let octets = octets.split(|octet| *octet == 0).next()?;
    Some(String::from_utf8_lossy(octets).chars().take(MAX_TEXT).collect())
}

/// Whether this message carries something, as all events do.
pub(crate) fn is_data(frame: &Frame<'_>) -> bool {
    frame.kind >= FIRST_DATA
}

/// Reads a row of attributes.
pub(crate) fn attributes<T: NlAttrType>(octets: &[u8]) -> Result<GenlBuffer<T, Buffer>, Malformed> {
    GenlBuffer::from_bytes_with_input(&mut Cursor::new(octets), octets.len())
        .map_err(|_| Malformed::Attribute)
}

/// Reads a fixed header and the attributes behind it, such as neli's `Rtmsg`.
pub(crate) fn message<T: FromBytesWithInput<Input = usize>>(octets: &[u8]) -> Result<T, Malformed> {
    T::from_bytes_with_input(&mut Cursor::new(octets), octets.len()).map_err(|_| Malformed::Payload)
}

/// The first four octets as a number of this machine's byte order.
pub(crate) fn u32_at(octets: &[u8], offset: usize) -> Option<u32> {
    octets.get(offset..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

/// Two octets as a number of this machine's byte order.
pub(crate) fn u16_at(octets: &[u8], offset: usize) -> Option<u16> {
    octets.get(offset..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

fn i32_at(octets: &[u8], offset: usize) -> Option<i32> {
    octets.get(offset..)?.first_chunk().copied().map(i32::from_ne_bytes)
}

/// `NLMSG_ALIGN`.
fn align(length: usize) -> usize {
    length.saturating_add(3) & !3
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message as the kernel writes it.
    pub(crate) fn written(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEADER + body.len()).expect("short");
        let mut octets = length.to_ne_bytes().to_vec();
        octets.extend(kind.to_ne_bytes());
        octets.extend(flags.to_ne_bytes());
        octets.extend(sequence.to_ne_bytes());
        octets.extend([0; 4]);
        octets.extend(body);
        octets.resize(align(octets.len()), 0);
        octets
    }

    fn refusal(errno: i32, flags: u16, tail: &[u8]) -> Vec<u8> {
        let mut body = (-errno).to_ne_bytes().to_vec();
        body.extend(written(24, 5, 9, &[7; 5]));
        body.extend(tail);
        written(ERROR, flags, 9, &body)
    }

    #[test]
    fn a_datagram_holds_several_messages() {
        let mut datagram = written(20, 2, 7, b"abc");
        datagram.extend(written(DONE, 2, 7, &0i32.to_ne_bytes()));
        let all: Vec<_> = frames(&datagram).collect::<Result<_, _>>().expect("well formed");
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].kind, all[0].sequence, all[0].body), (20, 7, b"abc".as_slice()));
        assert_eq!(kind(&all[0]), Ok(Kind::Data));
        assert_eq!(kind(&all[1]), Ok(Kind::End));
    }

    #[test]
    fn a_refusal_carries_the_kernels_words() {
        // nla_len 16, NLMSGERR_ATTR_MSG, "Nexthop x\0" padded
        let mut tail = 14u16.to_ne_bytes().to_vec();
        tail.extend(1u16.to_ne_bytes());
        tail.extend(b"Nexthop x\0\0\0");
        let octets = refusal(22, 0x200, &tail);
        let frame = frames(&octets).next().expect("one").expect("well formed");
        assert_eq!(kind(&frame), Ok(Kind::Refused { errno: 22, text: Some("Nexthop x".to_owned()) }));
        let octets = refusal(17, 0, &[]);
        let frame = frames(&octets).next().expect("one").expect("well formed");
        assert_eq!(kind(&frame), Ok(Kind::Refused { errno: 17, text: None }));
    }

    #[test]
    fn a_failed_dump_is_a_refusal() {
        let octets = written(DONE, 2, 1, &(-95i32).to_ne_bytes());
        let frame = frames(&octets).next().expect("one").expect("well formed");
        assert_eq!(kind(&frame), Ok(Kind::Refused { errno: 95, text: None }));
    }

    #[test]
    fn a_header_that_lies_ends_the_datagram() {
        for length in [0u32, 15, 17, u32::MAX] {
            let mut octets = written(20, 0, 0, b"");
            octets[..4].copy_from_slice(&length.to_ne_bytes());
            let all: Vec<_> = frames(&octets).collect();
            assert_eq!(all, [Err(Malformed::Truncated)], "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            for frame in frames(&octets).flatten() {
                let _ = (kind(&frame), is_data(&frame));
            }
            let _ = attributes::<u16>(&octets);
            let _ = message::<neli::rtnl::Rtmsg>(&octets);
            let _ = message::<neli::rtnl::Ifinfomsg>(&octets);
            let _ = message::<neli::rtnl::Ifaddrmsg>(&octets);
            let _ = message::<neli::rtnl::Fibmsg>(&octets);
        }

        #[test]
        fn truncations_of_a_refusal_do_not_panic(cut in 0usize..64, flags in any::<u16>()) {
            let octets = refusal(1, flags, &[8, 0, 1, 0, b'a', b'b', b'c', 0]);
            let octets = &octets[..cut.min(octets.len())];
            for frame in frames(octets).flatten() {
                let _ = kind(&frame);
            }
        }

        #[test]
        fn bodies_of_any_length_round_trip(body in proptest::collection::vec(any::<u8>(), 0..64), sequence: u32) {
            let mut octets = written(30, 1, sequence, &body);
            octets.extend(written(31, 0, sequence, &[]));
            let all: Vec<_> = frames(&octets).collect::<Result<_, _>>().expect("well formed");
            prop_assert_eq!(all[0].body, body.as_slice());
            prop_assert_eq!(all[1].kind, 31);
        }
    }
}
