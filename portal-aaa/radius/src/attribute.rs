//! Attributes as they lie in a packet (RFC 2865 §5) and the numbers that this project names.

use std::fmt;

/// Attribute number. A newtype, not an enum: what we do not know passes through unharmed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttributeType(pub u8);

macro_rules! attribute_types {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        impl AttributeType {
            $($(#[$doc])* pub const $name: Self = Self($number);)*
        }

        impl fmt::Debug for AttributeType {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $(Self::$name => f.write_str($text),)*
                    Self(other) => write!(f, "Attribute-{other}"),
                }
            }
        }
    };
}

attribute_types! {
    /// RFC 2865 §5.1.
    USER_NAME = 1, "User-Name";
    /// RFC 2865 §5.2.
    USER_PASSWORD = 2, "User-Password";
    /// RFC 2865 §5.3.
    CHAP_PASSWORD = 3, "CHAP-Password";
    /// RFC 2865 §5.4.
    NAS_IP_ADDRESS = 4, "NAS-IP-Address";
    /// RFC 2865 §5.5.
    NAS_PORT = 5, "NAS-Port";
    /// RFC 2865 §5.6.
    SERVICE_TYPE = 6, "Service-Type";
    /// RFC 2865 §5.8.
    FRAMED_IP_ADDRESS = 8, "Framed-IP-Address";
    /// RFC 2865 §5.11.
    FILTER_ID = 11, "Filter-Id";
    /// RFC 2865 §5.12.
    FRAMED_MTU = 12, "Framed-MTU";
    /// RFC 2865 §5.18.
    REPLY_MESSAGE = 18, "Reply-Message";
    /// RFC 2865 §5.24.
    STATE = 24, "State";
    /// RFC 2865 §5.25.
    CLASS = 25, "Class";
    /// RFC 2865 §5.26.
    VENDOR_SPECIFIC = 26, "Vendor-Specific";
    /// RFC 2865 §5.27.
    SESSION_TIMEOUT = 27, "Session-Timeout";
    /// RFC 2865 §5.28.
    IDLE_TIMEOUT = 28, "Idle-Timeout";
    /// RFC 2865 §5.29.
    TERMINATION_ACTION = 29, "Termination-Action";
    /// RFC 2865 §5.30.
    CALLED_STATION_ID = 30, "Called-Station-Id";
    /// RFC 2865 §5.31.
    CALLING_STATION_ID = 31, "Calling-Station-Id";
    /// RFC 2865 §5.32.
    NAS_IDENTIFIER = 32, "NAS-Identifier";
    /// RFC 2865 §5.33.
    PROXY_STATE = 33, "Proxy-State";
    /// RFC 2866 §5.1.
    ACCT_STATUS_TYPE = 40, "Acct-Status-Type";
    /// RFC 2866 §5.2.
    ACCT_DELAY_TIME = 41, "Acct-Delay-Time";
    /// RFC 2866 §5.3.
    ACCT_INPUT_OCTETS = 42, "Acct-Input-Octets";
    /// RFC 2866 §5.4.
    ACCT_OUTPUT_OCTETS = 43, "Acct-Output-Octets";
    /// RFC 2866 §5.5.
    ACCT_SESSION_ID = 44, "Acct-Session-Id";
    /// RFC 2866 §5.6.
    ACCT_AUTHENTIC = 45, "Acct-Authentic";
    /// RFC 2866 §5.7.
    ACCT_SESSION_TIME = 46, "Acct-Session-Time";
    /// RFC 2866 §5.8.
    ACCT_INPUT_PACKETS = 47, "Acct-Input-Packets";
    /// RFC 2866 §5.9.
    ACCT_OUTPUT_PACKETS = 48, "Acct-Output-Packets";
    /// RFC 2866 §5.10.
    ACCT_TERMINATE_CAUSE = 49, "Acct-Terminate-Cause";
    /// RFC 2866 §5.11.
    ACCT_MULTI_SESSION_ID = 50, "Acct-Multi-Session-Id";
    /// RFC 2866 §5.12.
    ACCT_LINK_COUNT = 51, "Acct-Link-Count";
    /// RFC 2869 §5.1.
    ACCT_INPUT_GIGAWORDS = 52, "Acct-Input-Gigawords";
    /// RFC 2869 §5.2.
    ACCT_OUTPUT_GIGAWORDS = 53, "Acct-Output-Gigawords";
    /// RFC 2869 §5.3.
    EVENT_TIMESTAMP = 55, "Event-Timestamp";
    /// RFC 2865 §5.40.
    CHAP_CHALLENGE = 60, "CHAP-Challenge";
    /// RFC 2865 §5.41.
    NAS_PORT_TYPE = 61, "NAS-Port-Type";
    /// RFC 2868 §3.1.
    TUNNEL_TYPE = 64, "Tunnel-Type";
    /// RFC 2868 §3.2.
    TUNNEL_MEDIUM_TYPE = 65, "Tunnel-Medium-Type";
    /// RFC 2868 §3.5.
    TUNNEL_PASSWORD = 69, "Tunnel-Password";
    /// RFC 2869 §5.11.
    CONNECT_INFO = 77, "Connect-Info";
    /// RFC 3579 §3.1.
    EAP_MESSAGE = 79, "EAP-Message";
    /// RFC 3579 §3.2.
    MESSAGE_AUTHENTICATOR = 80, "Message-Authenticator";
    /// RFC 2868 §3.6.
    TUNNEL_PRIVATE_GROUP_ID = 81, "Tunnel-Private-Group-Id";
    /// RFC 2869 §5.16.
    ACCT_INTERIM_INTERVAL = 85, "Acct-Interim-Interval";
    /// RFC 2869 §5.17.
    NAS_PORT_ID = 87, "NAS-Port-Id";
    /// RFC 4372 §2.2.
    CHARGEABLE_USER_IDENTITY = 89, "Chargeable-User-Identity";
    /// RFC 3162 §2.1.
    NAS_IPV6_ADDRESS = 95, "NAS-IPv6-Address";
    /// RFC 3162 §2.3.
    FRAMED_IPV6_PREFIX = 97, "Framed-IPv6-Prefix";
    /// RFC 5176 §3.5.
    ERROR_CAUSE = 101, "Error-Cause";
    /// RFC 5580 §4.1.
    OPERATOR_NAME = 126, "Operator-Name";
    /// RFC 5580 §4.2.
    LOCATION_INFORMATION = 127, "Location-Information";
    /// RFC 5580 §4.3.
    LOCATION_DATA = 128, "Location-Data";
    /// RFC 7268 §2.5.
    MOBILITY_DOMAIN_ID = 177, "Mobility-Domain-Id";
    /// RFC 7268 §2.9.
    WLAN_HESSID = 181, "WLAN-HESSID";
    /// RFC 7268 §2.14.
    WLAN_PAIRWISE_CIPHER = 186, "WLAN-Pairwise-Cipher";
    /// RFC 7268 §2.15.
    WLAN_GROUP_CIPHER = 187, "WLAN-Group-Cipher";
    /// RFC 7268 §2.16.
    WLAN_AKM_SUITE = 188, "WLAN-AKM-Suite";
    /// RFC 7268 §2.17.
    WLAN_GROUP_MGMT_CIPHER = 189, "WLAN-Group-Mgmt-Cipher";
    /// RFC 7268 §2.18.
    WLAN_RF_BAND = 190, "WLAN-RF-Band";
    /// RFC 6929 §3.1.
    EXTENDED_1 = 241, "Extended-Attribute-1";
    /// RFC 6929 §3.2.
    EXTENDED_2 = 242, "Extended-Attribute-2";
    /// RFC 6929 §3.3.
    EXTENDED_3 = 243, "Extended-Attribute-3";
    /// RFC 6929 §3.4.
    EXTENDED_4 = 244, "Extended-Attribute-4";
    /// RFC 6929 §3.5.
    EXTENDED_5 = 245, "Extended-Attribute-5";
    /// RFC 6929 §3.6.
    EXTENDED_6 = 246, "Extended-Attribute-6";
}

/// One attribute, its value borrowed from the packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Number.
    pub kind: AttributeType,
    /// 0 to 253 octets.
    pub value: &'a [u8],
}

/// Shows the number and the size only: values hold passwords, keys and identifiers.
impl fmt::Debug for Attribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}[{}]", self.kind, self.value.len())
    }
}

/// The attributes of a packet in order. Made by [`crate::Packet::attributes`], which has checked the lengths.
#[derive(Clone)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    /// What has not been read: empty once a well-formed list has come to its end.
    pub(crate) fn remainder(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let (&[kind, length], after) = self.rest.split_first_chunk::<2>()?;
        // RFC 2865 §5: the length counts its own two octets.
        let (value, rest) = after.split_at_checked(usize::from(length).checked_sub(2)?)?;
        self.rest = rest;
        Some(Attribute { kind: AttributeType(kind), value })
    }
}
