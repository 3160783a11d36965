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
    /// Wireless Broadband Alliance, WISPr best current practices, annex on RADIUS.
    pub const WISPR: Self = Self(14122);
    /// Wi-Fi Alliance, Passpoint specification, chapter on RADIUS.
    pub const WFA: Self = Self(40808);
}

/// Microsoft's types (RFC 2548).
pub mod microsoft {
    /// §2.1.3: Ident, Flags, LM-Response (24), NT-Response (24).
    pub const CHAP_RESPONSE: u8 = 1;
    /// §2.1.5: Ident, then text `E=691 R=0 C=… V=3`.
    pub const CHAP_ERROR: u8 = 2;
    /// §2.4.4.
    pub const MPPE_ENCRYPTION_POLICY: u8 = 7;
    /// §2.4.5.
    pub const MPPE_ENCRYPTION_TYPES: u8 = 8;
    /// §2.1.2: 8 octets of MS-CHAP, 16 of MS-CHAPv2.
    pub const CHAP_CHALLENGE: u8 = 11;
    /// §2.4.1: hidden like User-Password.
    pub const CHAP_MPPE_KEYS: u8 = 12;
    /// §2.4.2.
    pub const MPPE_SEND_KEY: u8 = 16;
    /// §2.4.3.
    pub const MPPE_RECV_KEY: u8 = 17;
    /// §2.3.2: Ident, Flags, Peer-Challenge (16), Reserved (8), NT-Response (24).
    pub const CHAP2_RESPONSE: u8 = 25;
    /// §2.3.3: Ident, then text `S=` and 40 hexadecimal digits.
    pub const CHAP2_SUCCESS: u8 = 26;
}

/// 3GPP's types (TS 29.061 §16.4.7).
pub mod tgpp {
    /// 3GPP-IMSI, decimal digits.
    pub const IMSI: u8 = 1;
    /// 3GPP-IMEISV, decimal digits.
    pub const IMEISV: u8 = 20;
}

/// WISPr's types.
pub mod wispr {
    /// `isocc=,cc=,ac=,network=`.
    pub const LOCATION_ID: u8 = 1;
    /// `OPERATOR,Place`.
    pub const LOCATION_NAME: u8 = 2;
    /// Where the gateway takes a log-off.
    pub const LOGOFF_URL: u8 = 3;
    /// Where the browser goes after the log-on.
    pub const REDIRECTION_URL: u8 = 4;
    /// Guaranteed bit/s from the station.
    pub const BANDWIDTH_MIN_UP: u8 = 5;
    /// Guaranteed bit/s to the station.
    pub const BANDWIDTH_MIN_DOWN: u8 = 6;
    /// Most bit/s from the station.
    pub const BANDWIDTH_MAX_UP: u8 = 7;
    /// Most bit/s to the station.
    pub const BANDWIDTH_MAX_DOWN: u8 = 8;
    /// When the session ends, ISO 8601.
    pub const SESSION_TERMINATE_TIME: u8 = 9;
    /// Whether the session ends with the day.
    pub const SESSION_TERMINATE_END_OF_DAY: u8 = 10;
    /// Tariff, as text.
    pub const BILLING_CLASS_OF_SERVICE: u8 = 11;
}

/// Wi-Fi Alliance's types.
pub mod wfa {
    /// Server that mends a subscription.
    pub const SUBSCRIPTION_REMEDIATION: u8 = 1;
    /// Passpoint release of the access point.
    pub const AP_VERSION: u8 = 2;
    /// Passpoint release of the station.
    pub const MOBILE_DEVICE_VERSION: u8 = 3;
    /// Code, delay before the next attempt, URL.
    pub const DEAUTHENTICATION_REQUEST: u8 = 4;
    /// Page about the session.
    pub const SESSION_INFORMATION_URL: u8 = 5;
    /// Roaming consortium that the station chose.
    pub const ROAMING_CONSORTIUM: u8 = 6;
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
