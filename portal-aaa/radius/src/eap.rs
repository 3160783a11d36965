//! EAP-Message: one EAP packet in as many attributes as it needs (RFC 3579 §3.1).

use crate::{AttributeType, Packet};

/// Octets of an EAP packet that one attribute carries.
pub const EAP_PIECE: usize = 253;

/// The EAP packet in `packet`, its pieces put together in order; none when there is none. Empty for EAP-Start
/// (RFC 3579 §2.1).
pub fn join_eap(packet: &Packet<'_>) -> Option<Vec<u8>> {
    let mut pieces = packet.all(AttributeType::EAP_MESSAGE).map(|attribute| attribute.value).peekable();
    pieces.peek()?;
    Some(pieces.flatten().copied().collect())
}
