//! Vendor-Specific attributes in the recommended form (RFC 2865 §5.26): vendor, then type-length-value inside.

use crate::{Attribute, AttributeType};

/// SMI private enterprise number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Vendor(pub u32);

impl Vendor {
    /// RFC 2548.
    pub const MICROSOFT: Self = Self(311);
    /// 3GPP TS 29.061 §16.4.7.
    pub const TGPP: Self = Self(10415);
}

/// Microsoft's types (RFC 2548).
pub mod microsoft {
    /// §2.4.2.
    pub const MPPE_SEND_KEY: u8 = 16;
    /// §2.4.3.
    pub const MPPE_RECV_KEY: u8 = 17;
}

/// 3GPP's types (TS 29.061 §16.4.7).
pub mod tgpp {
    /// 3GPP-IMSI, decimal digits.
    pub const IMSI: u8 = 1;
    /// 3GPP-IMEISV, decimal digits.
    pub const IMEISV: u8 = 20;
}

/// One attribute inside a Vendor-Specific attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VendorAttribute<'a> {
    /// Whose numbers these are.
    pub vendor: Vendor,
    /// Number in the vendor's space.
    pub kind: u8,
    /// Its octets.
    pub value: &'a [u8],
}

/// The attributes inside one Vendor-Specific attribute; there may be several (RFC 2865 §5.26). Content that is
/// not in the recommended form ends the list: it is the vendor's own business.
#[derive(Clone)]
pub struct VendorAttributes<'a> {
    vendor: Vendor,
    rest: &'a [u8],
}

impl<'a> VendorAttributes<'a> {
    /// Looks into `attribute`; none when it is not Vendor-Specific or has no vendor number.
    pub fn of(attribute: Attribute<'a>) -> Option<Self> {
        if attribute.kind != AttributeType::VENDOR_SPECIFIC {
            return None;
        }
        let (&vendor, rest) = attribute.value.split_first_chunk::<4>()?;
        Some(Self { vendor: Vendor(u32::from_be_bytes(vendor)), rest })
    }
}

impl<'a> Iterator for VendorAttributes<'a> {
    type Item = VendorAttribute<'a>;

    fn next(&mut self) -> Option<VendorAttribute<'a>> {
        let (&[kind, length], after) = self.rest.split_first_chunk::<2>()?;
        let (value, rest) = after.split_at_checked(usize::from(length).checked_sub(2)?)?;
        self.rest = rest;
        Some(VendorAttribute { vendor: self.vendor, kind, value })
    }
}
