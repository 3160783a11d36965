//! Packets one after the other in a stream (RFC 6613 §2.6.4): the Length field says where each ends.

use std::io;

use ::radius::{MAX_PACKET, MIN_PACKET};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Code, Identifier, Length.
const HEADER: usize = 4;

/// Why no packet can be read any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The stream has ended, between two packets or within one.
    #[error("connection closed")]
    Closed,
    /// RFC 6613 §2.6.4: what follows cannot be told apart; the connection is closed.
    #[error("Length field says {got}, expected 20 to 4096")]
    Length {
        /// What it says.
        got: usize,
    },
    /// TCP or TLS.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads one packet.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, FrameError> {
    let mut header = [0; HEADER];
    filled(stream.read_exact(&mut header).await)?;
    let [_, _, high, low] = header;
    let got = usize::from(u16::from_be_bytes([high, low]));
    if !(MIN_PACKET..=MAX_PACKET).contains(&got) {
        return Err(FrameError::Length { got });
    }
    let mut packet = Vec::with_capacity(got);
    packet.extend(header);
    packet.resize(got, 0);
    filled(stream.read_exact(packet.get_mut(HEADER..).unwrap_or_default()).await)?;
    Ok(packet)
}

fn filled(read: io::Result<usize>) -> Result<(), FrameError> {
    read.map(drop).map_err(|error| match error.kind() {
        // Many peers close without TLS's close_notify.
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => FrameError::Closed,
        _ => FrameError::Io(error),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(mut stream: &[u8]) -> (Vec<Vec<u8>>, String) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut packets = Vec::new();
        loop {
            match runtime.block_on(read(&mut stream)) {
                Ok(packet) => packets.push(packet),
                Err(error) => return (packets, error.to_string()),
            }
        }
    }

    #[test]
    fn packets_follow_each_other() {
        let one = [&[1u8, 1, 0, 20][..], &[7; 16]].concat();
        let two = [&[1u8, 2, 0, 23][..], &[8; 19]].concat();
        let (packets, end) = read_all(&[&one[..], &two, &one[..10]].concat());
        assert_eq!((packets, end.as_str()), (vec![one, two], "connection closed"));
        assert_eq!(read_all(&[1, 1, 0, 19, 0]).1, "Length field says 19, expected 20 to 4096");
        assert_eq!(read_all(&[1, 1, 0x10, 1, 0]).1, "Length field says 4097, expected 20 to 4096");
    }

    proptest! {
        #[test]
        fn nothing_is_read_twice_or_beyond(octets in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let (packets, _) = read_all(&octets);
            prop_assert!(octets.starts_with(&packets.concat()));
        }
    }
}
