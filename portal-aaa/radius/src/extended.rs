//! Extended attributes (RFC 6929 §2): a second number inside the attributes 241 to 246, and values of more than one
//! attribute in 245 and 246.
//!
//! To everything else they are attributes like others, so that they are skipped, kept in order and passed on whole.

use crate::{Attribute, AttributeType};

/// The `More` bit of 245 and 246 (RFC 6929 §2.2).
const MORE: u8 = 0x80;

/// The inside of one attribute 241 to 246.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ExtendedAttribute<'a> {
    /// 241 to 246.
    pub outer: AttributeType,
    /// Number in that attribute's space.
    pub kind: u8,
    /// The value goes on in the next attribute of the same numbers.
    pub more: bool,
    /// Its octets.
    pub value: &'a [u8],
}

impl<'a> ExtendedAttribute<'a> {
    /// Looks into `attribute`; none when it is of another number or too short for its header.
    pub fn of(attribute: Attribute<'a>) -> Option<Self> {
        let outer = attribute.kind;
        match outer.0 {
            241..=244 => {
                let (&kind, value) = attribute.value.split_first()?;
                Some(Self { outer, kind, more: false, value })
            }
            245 | 246 => {
                let (&[kind, flags], value) = attribute.value.split_first_chunk::<2>()?;
                Some(Self { outer, kind, more: flags & MORE != 0, value })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn inside(kind: u8, value: &[u8]) -> Option<(u8, bool, &[u8])> {
        ExtendedAttribute::of(Attribute { kind: AttributeType(kind), value })
            .map(|a| (a.kind, a.more, a.value))
    }

    #[test]
    fn short_and_long_ones() {
        assert_eq!(inside(241, &[5, 1, 2]), Some((5, false, &[1, 2][..])));
        assert_eq!(inside(245, &[5, 0x80, 2]), Some((5, true, &[2][..])));
        assert_eq!(inside(246, &[5, 0x7f]), Some((5, false, &[][..])));
        assert_eq!(inside(241, &[]), None);
        assert_eq!(inside(245, &[5]), None, "no room for the flags");
        assert_eq!(inside(240, &[5, 1]), None);
    }

    proptest! {
        #[test]
        fn arbitrary_values_never_panic(kind: u8, value in proptest::collection::vec(any::<u8>(), 0..254)) {
            prop_assert_eq!(inside(kind, &value).is_some(), (241..=244).contains(&kind) && !value.is_empty()
                || (245..=246).contains(&kind) && value.len() >= 2);
        }
    }
}
