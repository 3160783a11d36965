//! One piece of a TLS message: flags, perhaps the length of the whole, and octets (RFC 5216 §3.1; the same in PEAP
//! and RFC 5281 §9.1, where the low bits are a version).

/// Octet after the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flags(pub(crate) u8);

impl Flags {
    /// The length of the whole message follows.
    pub(crate) const LENGTH: u8 = 0x80;
    /// More pieces follow.
    pub(crate) const MORE: u8 = 0x40;
    /// First packet of a server.
    pub(crate) const START: u8 = 0x20;
    /// Version of PEAP or TTLS. Only 0 is spoken here (MS-PEAP §2.2.2, RFC 5281 §9.2).
    const VERSION: u8 = 0x07;

    pub(crate) fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    pub(crate) fn version(self) -> u8 {
        self.0 & Self::VERSION
    }
}

/// A piece in somebody's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) flags: Flags,
    /// Octets of the whole message, if told.
    pub(crate) length: Option<u32>,
    pub(crate) data: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads the data after the type. `None`: the packet is broken and to be ignored.
    pub(crate) fn parse(data: &'a [u8]) -> Option<Self> {
        let (&flags, rest) = data.split_first()?;
        let flags = Flags(flags);
        if !flags.has(Flags::LENGTH) {
            return Some(Self { flags, length: None, data: rest });
        }
        let (length, data) = rest.split_first_chunk()?;
        Some(Self { flags, length: Some(u32::from_be_bytes(*length)), data })
    }

    /// Appends the data after the type.
    pub(crate) fn write(&self, octets: &mut Vec<u8>) {
        octets.push(self.flags.0);
        if let Some(length) = self.length {
            octets.extend_from_slice(&length.to_be_bytes());
        }
        octets.extend_from_slice(self.data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_length_that_is_announced_must_be_there() {
        for broken in [&[][..], &[0x80], &[0xC0, 0, 0, 0]] {
            assert_eq!(Frame::parse(broken), None, "{broken:?}");
        }
        let start = Frame::parse(&[0x20]).unwrap();
        assert!(start.flags.has(Flags::START) && start.data.is_empty());
        let first = Frame::parse(&[0xC1, 0, 0, 1, 2, 9]).unwrap();
        assert_eq!((first.length, first.data, first.flags.version()), (Some(258), &[9][..], 1));
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_alike(octets in proptest::collection::vec(any::<u8>(), 0..32)) {
            if let Some(frame) = Frame::parse(&octets) {
                let mut written = Vec::new();
                frame.write(&mut written);
                prop_assert_eq!(written, octets);
            }
        }
    }
}
