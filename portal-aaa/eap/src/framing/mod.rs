//! TLS messages in EAP packets, cut and joined in both directions (RFC 5216 §2.1.5).
//!
//! Called by the tunnels of both sides. Who acknowledges whom is their business; here is only what is still to be
//! sent and what has arrived.

mod frame;

use std::borrow::Cow;

use crate::packet::{Code, Identifier, Type, begin, finish};

pub(crate) use frame::{Flags, Frame};

/// What an Ethernet or 802.11 link carries at most; several EAP-Message attributes of RADIUS carry it, too.
const MAX_PACKET: usize = 1500;
/// Below this a login would take more rounds than it may; no link is that narrow.
const MIN_PACKET: usize = 64;
/// Header, type, flags and length of the first piece.
const OVERHEAD: usize = 4 + 1 + 1 + 4;
/// A message that is longer is refused as soon as that is known. A long certificate chain has some 8 kB.
pub(crate) const MAX_MESSAGE: usize = 16 * 1024;

/// Room that is made for the first piece of a message.
const MAX_PROMISE: usize = 4 * 1024;

/// Pieces that do not make a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FramingError {
    /// Longer than [`MAX_MESSAGE`], announced or sent.
    TooLong,
    /// The pieces and the announced length differ.
    WrongLength,
    /// Data where only an acknowledgement may come.
    OutOfTurn,
}

/// What a piece meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received<'a> {
    /// No data: what we sent last has arrived.
    Acknowledgement,
    /// Part of a message; ask for the next part.
    Part,
    /// A whole message: in one piece as it came, or joined.
    Message(Cow<'a, [u8]>),
}

/// Both directions of one conversation.
pub(crate) struct Framing {
    /// Most octets of TLS in a packet.
    piece: usize,
    outgoing: Vec<u8>,
    sent: usize,
    incoming: Vec<u8>,
    announced: Option<usize>,
}

impl Framing {
    /// `mtu`: octets of an EAP packet that the link carries.
    pub(crate) fn new(mtu: usize) -> Self {
        Self {
            piece: mtu.clamp(MIN_PACKET, MAX_PACKET) - OVERHEAD,
            outgoing: Vec::new(),
            sent: 0,
            incoming: Vec::new(),
            announced: None,
        }
    }

    /// A whole message to be sent by the next calls of [`Framing::next_piece`].
    pub(crate) fn send(&mut self, message: Vec<u8>) {
        self.outgoing = message;
        self.sent = 0;
    }

    /// There are pieces that were not sent yet.
    pub(crate) fn is_sending(&self) -> bool {
        self.sent < self.outgoing.len()
    }

    /// A packet with the next piece; an acknowledgement when nothing is left.
    pub(crate) fn next_packet(&mut self, code: Code, identifier: Identifier, kind: Type) -> Vec<u8> {
        let rest = self.outgoing.get(self.sent..).unwrap_or_default();
        let data = rest.get(..self.piece).unwrap_or(rest);
        let more = data.len() < rest.len();
        // RFC 5216 §2.1.5: the length stands in the first piece of a message that has several, and only there:
        // some peers take a second one for the start of another message.
        let length = (more && self.sent == 0).then(|| u32::try_from(self.outgoing.len()).unwrap_or(u32::MAX));
        let flags = if more { Flags::MORE } else { 0 } | if length.is_some() { Flags::LENGTH } else { 0 };
        let mut packet = begin(code, identifier, kind, OVERHEAD + data.len());
        Frame { flags: Flags(flags), length, data }.write(&mut packet);
        self.sent += data.len();
        if !more {
            self.outgoing = Vec::new();
            self.sent = 0;
        }
        finish(packet)
    }

    /// Takes a piece of the other side.
    pub(crate) fn receive<'a>(&mut self, frame: &Frame<'a>) -> Result<Received<'a>, FramingError> {
        let more = frame.flags.has(Flags::MORE);
        if frame.data.is_empty() && !more && self.incoming.is_empty() {
            return Ok(Received::Acknowledgement);
        }
        if self.is_sending() {
            return Err(FramingError::OutOfTurn);
        }
        if self.announced.is_none() {
            self.announced = frame.length.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        }
        let length = self.incoming.len() + frame.data.len();
        if length.max(self.announced.unwrap_or(0)) > MAX_MESSAGE {
            return Err(FramingError::TooLong);
        }
        let announced = self.announced.unwrap_or(if more { MAX_MESSAGE } else { length });
        if length > announced || (!more && length < announced) {
            return Err(FramingError::WrongLength);
        }
        if !more && self.incoming.is_empty() {
            self.announced = None;
            return Ok(Received::Message(Cow::Borrowed(frame.data)));
        }
        if self.incoming.is_empty() {
            // Room for what is announced, but nobody gets much of it for a promise.
            self.incoming.reserve_exact(announced.min(MAX_PROMISE));
        }
        self.incoming.extend_from_slice(frame.data);
        if more {
            return Ok(Received::Part);
        }
        self.announced = None;
        Ok(Received::Message(Cow::Owned(std::mem::take(&mut self.incoming))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Packet;
    use proptest::prelude::*;

    fn frame(flags: u8, length: Option<u32>, data: &[u8]) -> Frame<'_> {
        Frame { flags: Flags(flags), length, data }
    }

    /// Sends a message from one side to the other; says how many pieces it took.
    fn carry(from: &mut Framing, to: &mut Framing, message: &[u8]) -> usize {
        from.send(message.to_vec());
        for pieces in 1.. {
            let octets = from.next_packet(Code::REQUEST, Identifier(1), Type::PEAP);
            assert!(octets.len() <= from.piece + OVERHEAD);
            let (_, data) = Packet::parse(&octets).unwrap().method().unwrap();
            let piece = Frame::parse(data).unwrap();
            assert_eq!(piece.length.is_some(), pieces == 1 && from.is_sending(), "length in piece {pieces}");
            match to.receive(&piece).unwrap() {
                Received::Part => assert!(from.is_sending()),
                Received::Message(whole) => {
                    assert_eq!(whole, message);
                    return pieces;
                }
                Received::Acknowledgement => panic!("there was data"),
            }
        }
        unreachable!()
    }

    #[test]
    fn pieces_are_no_longer_than_the_link_carries() {
        let message = vec![7; 1100];
        for (mtu, pieces) in
            [(1020, 2), (1109, 2), (1110, 1), (usize::MAX, 1), (0, 21), (64, 21), (110, 11), (111, 11)]
        {
            assert_eq!(carry(&mut Framing::new(mtu), &mut Framing::new(0), &message), pieces, "{mtu}");
        }
        assert_eq!(carry(&mut Framing::new(1020), &mut Framing::new(0), &message[..1010]), 1);
    }

    #[test]
    fn memory_is_bounded_before_it_is_used() {
        let too_long = u32::try_from(MAX_MESSAGE).unwrap() + 1;
        let first = frame(Flags::LENGTH | Flags::MORE, Some(too_long), &[1]);
        assert_eq!(Framing::new(0).receive(&first), Err(FramingError::TooLong));
        let mut unannounced = Framing::new(0);
        for _ in 0..4 {
            assert_eq!(unannounced.receive(&frame(Flags::MORE, None, &[0; 4096])), Ok(Received::Part));
        }
        assert_eq!(unannounced.receive(&frame(Flags::MORE, None, &[0])), Err(FramingError::TooLong));
    }

    #[test]
    fn the_announced_length_must_be_kept() {
        let short = frame(Flags::LENGTH, Some(3), &[1, 2]);
        assert_eq!(Framing::new(0).receive(&short), Err(FramingError::WrongLength));
        let long = frame(Flags::LENGTH | Flags::MORE, Some(1), &[1, 2]);
        assert_eq!(Framing::new(0).receive(&long), Err(FramingError::WrongLength));
    }

    #[test]
    fn data_must_wait_for_its_turn() {
        let mut framing = Framing::new(0);
        framing.send(vec![0; 200]);
        framing.next_packet(Code::REQUEST, Identifier(1), Type::PEAP);
        assert_eq!(framing.receive(&frame(0, None, &[])), Ok(Received::Acknowledgement));
        assert_eq!(framing.receive(&frame(0, None, &[1])), Err(FramingError::OutOfTurn));
    }

    #[test]
    fn a_last_piece_may_be_empty() {
        let mut framing = Framing::new(0);
        assert_eq!(framing.receive(&frame(Flags::MORE, None, &[1])), Ok(Received::Part));
        assert_eq!(framing.receive(&frame(0, None, &[])), Ok(Received::Message(vec![1].into())));
    }

    proptest! {
        #[test]
        fn what_is_cut_is_joined(mtu in 0_usize..2000, message in proptest::collection::vec(any::<u8>(), 1..5000)) {
            let (mut a, mut b) = (Framing::new(mtu), Framing::new(mtu));
            carry(&mut a, &mut b, &message);
            carry(&mut b, &mut a, &message);
        }

        #[test]
        fn any_pieces_stay_within_bounds(pieces in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..300), 0..100,
        )) {
            let mut framing = Framing::new(0);
            for octets in &pieces {
                if let Some(piece) = Frame::parse(octets) {
                    let _ = framing.receive(&piece);
                }
                prop_assert!(framing.incoming.len() <= MAX_MESSAGE);
            }
        }
    }
}
