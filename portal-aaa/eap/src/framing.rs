//! EAP-TLS framing: TLS records cut into pieces and put together again (RFC 5216 §2.1.5, §3.1).
//!
//! Octets here are a method's type-data: flags (and PEAP/TTLS version), optional total length, a piece.

use crate::packet::MAX_LENGTH;

/// Total length follows (RFC 5216 §3.1).
pub const LENGTH: u8 = 0x80;
/// More pieces follow.
pub const MORE: u8 = 0x40;
/// The authenticator's first message.
pub const START: u8 = 0x20;

/// Longest TLS message put together. A server certificate chain fits many times over.
const MAX_MESSAGE: usize = 64 * 1024;
/// Largest piece: what a RADIUS packet to an access point with an MTU of 1400 takes with room to spare.
const MAX_PIECE: usize = 1020;
/// Smallest piece: any less and a handshake would not end within the round limit.
const MIN_PIECE: usize = 96;
/// EAP header, flags and length field in front of a piece.
const OVERHEAD: usize = 10;

/// Why a piece was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// No flags, or a length field cut short.
    #[error("fragment of {0} octets is malformed")]
    Malformed(usize),
    /// More than [`MAX_MESSAGE`], or more than was told.
    #[error("message of {0} octets is too long")]
    TooLong(usize),
    /// A piece where an acknowledgement was due.
    #[error("expected an acknowledgement")]
    ExpectedAck,
}

/// What a received piece means.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// A message is whole.
    Message(Vec<u8>),
    /// Acknowledge and wait for more.
    More,
    /// The other side acknowledged: send the next piece.
    Acknowledged,
}

/// Both directions of one conversation.
#[derive(Debug)]
pub struct Framing {
    version: u8,
    piece: usize,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    sent: usize,
}

impl Framing {
    /// `version` goes into the low bits of every flags octet; `mtu` is Framed-MTU or what stands for it.
    pub fn new(version: u8, mtu: usize) -> Self {
        let piece = mtu.saturating_sub(OVERHEAD).clamp(MIN_PIECE, MAX_PIECE.min(MAX_LENGTH - OVERHEAD));
        Self { version, piece, incoming: Vec::new(), outgoing: Vec::new(), sent: 0 }
    }

    /// The authenticator's first message.
    pub fn start(&self) -> Vec<u8> {
        vec![START | self.version]
    }

    /// An acknowledgement, or a message without octets.
    pub fn empty(&self) -> Vec<u8> {
        vec![self.version]
    }

    /// Pieces of the last message remain to be sent.
    pub fn is_sending(&self) -> bool {
        self.sent < self.outgoing.len()
    }

    /// Begins to send a message; gives its first piece.
    pub fn send(&mut self, message: Vec<u8>) -> Vec<u8> {
        self.outgoing = message;
        self.sent = 0;
        self.next_piece()
    }

    /// The next piece of the message that is being sent.
    pub fn next_piece(&mut self) -> Vec<u8> {
        let first = self.sent == 0;
        let rest = self.outgoing.get(self.sent..).unwrap_or_default();
        let piece = rest.get(..self.piece).unwrap_or(rest);
        let more = piece.len() < rest.len();
        let mut octets = Vec::with_capacity(piece.len() + 5);
        // RFC 5216 §2.1.5: the length goes with the first fragment; one message in one piece needs none.
        let with_length = first && more;
        octets.push(
            self.version | if with_length { LENGTH } else { 0 } | if more { MORE } else { 0 },
        );
        if with_length {
            octets.extend(u32::try_from(self.outgoing.len()).unwrap_or(u32::MAX).to_be_bytes());
        }
        octets.extend(piece);
        self.sent += piece.len();
        octets
    }

    /// Takes one piece.
    pub fn receive(&mut self, octets: &[u8]) -> Result<Received, FramingError> {
        let malformed = FramingError::Malformed(octets.len());
        let (flags, mut piece) = octets.split_first().ok_or(malformed)?;
        let mut told = None;
        if flags & LENGTH != 0 {
            let (length, rest) = piece.split_first_chunk::<4>().ok_or(malformed)?;
            told = usize::try_from(u32::from_be_bytes(*length)).ok();
            piece = rest;
        }
        if self.is_sending() {
            return if piece.is_empty() && flags & MORE == 0 {
                Ok(Received::Acknowledged)
            } else {
                Err(FramingError::ExpectedAck)
            };
        }
        let total = self.incoming.len() + piece.len();
        if total.max(told.unwrap_or(0)) > MAX_MESSAGE {
            self.incoming.clear();
            return Err(FramingError::TooLong(total.max(told.unwrap_or(0))));
        }
        self.incoming.extend(piece);
        if flags & MORE != 0 {
            // A fragment that brings nothing would let a peer keep us here for ever.
            return if piece.is_empty() { Err(malformed) } else { Ok(Received::More) };
        }
        Ok(Received::Message(std::mem::take(&mut self.incoming)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_length_goes_with_the_first_piece_only() {
        let mut framing = Framing::new(0, 200);
        let first = framing.send(vec![7; 400]);
        assert_eq!(first[0], LENGTH | MORE);
        assert_eq!(first[1..5], [0, 0, 1, 144]);
        let second = framing.next_piece();
        assert_eq!(second[0], MORE);
        let third = framing.next_piece();
        assert_eq!(third[0], 0);
        assert!(!framing.is_sending());
    }

    #[test]
    fn a_piece_while_sending_is_refused() {
        let mut framing = Framing::new(0, 200);
        framing.send(vec![7; 400]);
        assert_eq!(framing.receive(&[0, 1]), Err(FramingError::ExpectedAck));
        assert_eq!(framing.receive(&[0]), Ok(Received::Acknowledged));
    }

    #[test]
    fn a_message_cannot_grow_without_end() {
        let mut framing = Framing::new(0, 1400);
        let piece = [&[MORE][..], &[1; 1000]].concat();
        let end = (0..100).find_map(|_| framing.receive(&piece).err());
        assert!(matches!(end, Some(FramingError::TooLong(_))));
        assert!(matches!(framing.receive(&[LENGTH, 0xff, 0, 0, 0]), Err(FramingError::TooLong(_))));
    }

    proptest! {
        #[test]
        fn pieces_make_the_message_again(message in prop::collection::vec(any::<u8>(), 1..9000), mtu in 0usize..2000) {
            let mut sender = Framing::new(0, mtu);
            let mut receiver = Framing::new(0, 1400);
            let mut piece = sender.send(message.clone());
            loop {
                match receiver.receive(&piece).unwrap() {
                    Received::More => {
                        prop_assert_eq!(sender.receive(&receiver.empty()), Ok(Received::Acknowledged));
                        piece = sender.next_piece();
                    }
                    Received::Message(whole) => {
                        prop_assert_eq!(whole, message);
                        break;
                    }
                    Received::Acknowledged => prop_assert!(false, "no acknowledgement was due"),
                }
            }
        }

        #[test]
        fn arbitrary_pieces_never_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
            let mut framing = Framing::new(0, 1400);
            for piece in pieces {
                let _ = framing.receive(&piece);
            }
        }
    }
}
