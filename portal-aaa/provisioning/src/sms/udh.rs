//! The user data header that joins the parts of a long message (3GPP TS 23.040 §9.2.3.24.1 and §9.2.3.24.8).
//!
//! ModemManager writes and reads it at the device; the portal does here, since SMPP passes it on as it is
//! (SMPP 3.4 §5.2.12, esm_class 0x40).

/// Octets of data in one part of several: 140 less the header of six.
pub const PART: usize = 134;

/// Concatenated short messages, 8-bit reference number (§9.2.3.24.1).
const CONCATENATED_8: u8 = 0x00;
/// Concatenated short messages, 16-bit reference number (§9.2.3.24.8).
const CONCATENATED_16: u8 = 0x08;

/// Which part of which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Part {
    /// The same in all parts of one message from one sender.
    pub reference: u16,
    /// How many there are.
    pub total: u8,
    /// Which one this is, from 1.
    pub number: u8,
}

/// User data of each part, header and all; of one message without any header where it fits. `reference` should differ
/// from that of the message before.
pub fn cut(message: &[u8], reference: u8) -> Vec<Vec<u8>> {
    if message.len() <= super::SINGLE {
        return vec![message.to_vec()];
    }
    let parts = message.chunks(PART);
    let total = u8::try_from(parts.len()).unwrap_or(u8::MAX);
    (1..=total)
        .zip(parts)
        .map(|(number, data)| {
            let mut part = Vec::with_capacity(super::SINGLE);
            part.extend([5, CONCATENATED_8, 3, reference, total, number]);
            part.extend(data);
            part
        })
        .collect()
}

/// Takes the header off user data that has one (the indicator is beside it, §9.2.3.23). None of the header's elements
/// is an error but one that does not fit; of several that join parts the last counts (§9.2.3.24).
pub fn split(user_data: &[u8]) -> Option<(Option<Part>, &[u8])> {
    let (length, rest) = user_data.split_first()?;
    let (mut header, data) = rest.split_at_checked(usize::from(*length))?;
    let mut part = None;
    while let [identifier, length, rest @ ..] = header {
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        header = rest;
        let found = match (*identifier, value) {
            (CONCATENATED_8, [reference, total, number]) => Some((u16::from(*reference), *total, *number)),
            (CONCATENATED_16, [high, low, total, number]) => {
                Some((u16::from_be_bytes([*high, *low]), *total, *number))
            }
            _ => None,
        };
        // §9.2.3.24.1: numbers outside of their range make the element void.
        if let Some((reference, total, number)) =
            found.filter(|(_, total, number)| (1..=*total).contains(number))
        {
            part = Some(Part { reference, total, number });
        }
    }
    header.is_empty().then_some((part, data))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn parts_come_together_again(message in vec(any::<u8>(), 0..2000), reference: u8) {
            let parts = cut(&message, reference);
            prop_assert!(parts.iter().all(|part| part.len() <= 140));
            if message.len() <= 140 {
                prop_assert_eq!(parts, [message]);
            } else {
                let total = u8::try_from(parts.len()).unwrap();
                let mut joined: Vec<u8> = Vec::new();
                for (number, part) in (1..).zip(&parts) {
                    let (part, data) = split(part).unwrap();
                    prop_assert_eq!(part, Some(Part { reference: reference.into(), total, number }));
                    joined.extend(data);
                }
                prop_assert_eq!(joined, message);
            }
        }

        #[test]
        fn any_user_data_is_read_or_refused(octets in vec(any::<u8>(), 0..160)) {
            if let Some((part, data)) = split(&octets) {
                prop_assert!(data.len() < octets.len());
                prop_assert!(part.is_none_or(|part| (1..=part.total).contains(&part.number)));
            }
        }
    }

    #[test]
    fn other_elements_are_passed_over() {
        // Port addressing (§9.2.3.24.4), then a 16-bit reference.
        let data = [12, 0x05, 4, 0x0b, 0x84, 0, 0, 0x08, 4, 0x12, 0x34, 2, 1, b'x'];
        let part = Part { reference: 0x1234, total: 2, number: 1 };
        assert_eq!(split(&data), Some((Some(part), &b"x"[..])));
        for void in [[5, 0, 3, 9, 0, 0], [5, 0, 3, 9, 2, 3], [5, 0, 3, 9, 2, 0]] {
            assert_eq!(split(&void), Some((None, &[][..])), "{void:?}");
        }
        for broken in [&[5, 0, 3, 9, 2][..], &[2, 0, 3], &[1, 0], &[]] {
            assert_eq!(split(broken), None, "{broken:?}");
        }
    }
}
