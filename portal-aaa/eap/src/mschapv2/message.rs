//! EAP-MSCHAPv2 packets, after the type octet (draft-kamath-pppext-eap-mschapv2-02 §2).

use super::{CHALLENGE, NT_RESPONSE, exchange::hex_digit};

/// First octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OpCode(u8);

impl OpCode {
    const CHALLENGE: Self = Self(1);
    const RESPONSE: Self = Self(2);
    const SUCCESS: Self = Self(3);
    const FAILURE: Self = Self(4);
    const CHANGE_PASSWORD: Self = Self(7);
}

/// What the peer proves itself with: the value of the Response packet, and of MS-CHAP2-Response (RFC 2548 §2.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) peer_challenge: [u8; CHALLENGE],
    pub(crate) nt_response: [u8; NT_RESPONSE],
}

impl Response {
    /// Peer's challenge, eight reserved octets, proof, flags.
    pub(crate) const LEN: usize = CHALLENGE + Self::RESERVED + NT_RESPONSE + 1;
    const RESERVED: usize = 8;

    /// Reads the two fields that matter of a value without its flags, wherever those stand.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let (peer_challenge, rest) = value.split_first_chunk()?;
        let (_, rest) = rest.split_first_chunk::<{ Self::RESERVED }>()?;
        let (nt_response, _) = rest.split_first_chunk()?;
        Some(Self { peer_challenge: *peer_challenge, nt_response: *nt_response })
    }

    /// The value of a Response packet. Its last octet are the flags, zero.
    pub(crate) fn value(&self) -> [u8; Self::LEN] {
        let mut value = [0; Self::LEN];
        let fields = self.peer_challenge.iter().chain(&[0; Self::RESERVED]).chain(&self.nt_response);
        for (place, octet) in value.iter_mut().zip(fields) {
            *place = *octet;
        }
        value
    }
}

/// A packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    Challenge {
        challenge: [u8; CHALLENGE],
        name: &'a [u8],
    },
    Response {
        response: Response,
        name: &'a [u8],
    },
    /// With text from the server; empty from the peer.
    Success(&'a [u8]),
    /// With text from the server; empty from the peer.
    Failure(&'a [u8]),
    /// The peer would like another password; nobody here offers that, and what it says is not read.
    ChangePassword,
}

impl<'a> Message<'a> {
    /// Reads the data after the type. Also gives MS-CHAPv2-ID, 0 where the packet is too short to have one.
    pub(crate) fn parse(data: &'a [u8]) -> Option<(Self, u8)> {
        let (&code, rest) = data.split_first()?;
        let code = OpCode(code);
        if code == OpCode::CHANGE_PASSWORD {
            return Some((Self::ChangePassword, rest.first().copied().unwrap_or(0)));
        }
        // §2.3: acknowledgements of the peer are the code alone.
        if rest.is_empty() {
            return match code {
                OpCode::SUCCESS => Some((Self::Success(rest), 0)),
                OpCode::FAILURE => Some((Self::Failure(rest), 0)),
                _ => None,
            };
        }
        let (&[id, high, low], rest) = rest.split_first_chunk()?;
        // §2.1: MS-Length counts from the code on. Real peers disagree by a few octets, so only a lie that would
        // matter is refused.
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length > data.len() {
            return None;
        }
        let message = match code {
            OpCode::CHALLENGE => {
                let (&size, rest) = rest.split_first()?;
                let (challenge, name) = rest.split_first_chunk()?;
                (usize::from(size) == CHALLENGE).then_some(Self::Challenge { challenge: *challenge, name })?
            }
            OpCode::RESPONSE => {
                let (&size, rest) = rest.split_first()?;
                let (value, name) = rest.split_at_checked(Response::LEN)?;
                let response = Response::parse(value)?;
                (usize::from(size) == Response::LEN).then_some(Self::Response { response, name })?
            }
            OpCode::SUCCESS => Self::Success(rest),
            OpCode::FAILURE => Self::Failure(rest),
            _ => return None,
        };
        Some((message, id))
    }

    /// The data after the type.
    pub(crate) fn encode(&self, id: u8) -> Vec<u8> {
        let mut octets = Vec::new();
        self.write(id, &mut octets);
        octets
    }

    /// Appends the data after the type.
    pub(crate) fn write(&self, id: u8, octets: &mut Vec<u8>) {
        let response;
        let (code, value, tail): (_, &[u8], _) = match self {
            Self::Challenge { challenge, name } => (OpCode::CHALLENGE, challenge, *name),
            Self::Response { response: fields, name } => {
                response = fields.value();
                (OpCode::RESPONSE, &response, *name)
            }
            Self::Success(text) => (OpCode::SUCCESS, &[], *text),
            Self::Failure(text) => (OpCode::FAILURE, &[], *text),
            Self::ChangePassword => (OpCode::CHANGE_PASSWORD, &[], &[][..]),
        };
        octets.push(code.0);
        if value.is_empty() && tail.is_empty() {
            return;
        }
        let sized = usize::from(!value.is_empty());
        let length = u16::try_from(4 + sized + value.len() + tail.len()).unwrap_or(u16::MAX).to_be_bytes();
        octets.push(id);
        octets.extend_from_slice(&length);
        if !value.is_empty() {
            octets.push(u8::try_from(value.len()).unwrap_or(u8::MAX));
        }
        octets.extend_from_slice(value);
        octets.extend_from_slice(tail);
    }
}

/// RFC 2759 §6: authentication failure (691), no retry, so that the peer asks for nothing but ends. The challenge is
/// for a retry and version 3 the only one.
pub(crate) fn failure_text(challenge: &[u8; CHALLENGE]) -> Vec<u8> {
    let digits = challenge.iter().flat_map(|octet| [octet >> 4, octet & 0xF]).map(hex_digit);
    b"E=691 R=0 C=".iter().copied().chain(digits).chain(*b" V=3 M=Authentication failed").collect()
}

/// The error number of a failure text, if it has one.
pub(crate) fn read_failure(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    text.split(' ').find_map(|word| word.strip_prefix("E="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn acknowledgements_are_one_octet() {
        assert_eq!(Message::Success(&[]).encode(9), [3]);
        assert_eq!(Message::parse(&[4]), Some((Message::Failure(&[]), 0)));
        assert_eq!(Message::parse(&[1]), None);
    }

    #[test]
    fn the_failure_text_is_rfc_2759s() {
        let text = failure_text(&[0x5A; 16]);
        let expected = "E=691 R=0 C=5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A V=3 M=Authentication failed";
        assert_eq!(String::from_utf8(text.clone()).unwrap(), expected);
        assert_eq!(read_failure(&text), Some(691));
        assert_eq!(read_failure(b"R=0"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(id: u8, a: [u8; 16], b: [u8; 24], name in proptest::collection::vec(any::<u8>(), 1..99)) {
            let response = Response { peer_challenge: a, nt_response: b };
            for message in [
                Message::Challenge { challenge: a, name: &name },
                Message::Response { response, name: &name },
                Message::Success(&name),
                Message::Failure(&name),
            ] {
                let octets = message.encode(id);
                prop_assert_eq!(Message::parse(&octets), Some((message, id)));
                for cut in 2..octets.len() {
                    prop_assert_eq!(Message::parse(&octets[..cut]), None);
                }
            }
        }

        #[test]
        fn any_octets_are_a_message_or_none(octets in proptest::collection::vec(any::<u8>(), 0..99)) {
            let _ = Message::parse(&octets);
        }
    }
}
