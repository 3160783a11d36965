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
    /// RFC 2865 §5.4.
    NAS_IP_ADDRESS = 4, "NAS-IP-Address";
    /// RFC 2865 §5.5.
    NAS_PORT = 5, "NAS-Port";
    /// RFC 2865 §5.6.
    SERVICE_TYPE = 6, "Service-Type";
    /// RFC 2865 §5.8.
    FRAMED_IP_ADDRESS = 8, "Framed-IP-Address";
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
    /// RFC 2866 §5.7.
    ACCT_SESSION_TIME = 46, "Acct-Session-Time";
    /// RFC 2866 §5.10.
    ACCT_TERMINATE_CAUSE = 49, "Acct-Terminate-Cause";
    /// RFC 2866 §5.11.
    ACCT_MULTI_SESSION_ID = 50, "Acct-Multi-Session-Id";
    /// RFC 2869 §5.1.
    ACCT_INPUT_GIGAWORDS = 52, "Acct-Input-Gigawords";
    /// RFC 2869 §5.2.
    ACCT_OUTPUT_GIGAWORDS = 53, "Acct-Output-Gigawords";
    /// RFC 2869 §5.3.
    EVENT_TIMESTAMP = 55, "Event-Timestamp";
    /// RFC 2865 §5.41.
    NAS_PORT_TYPE = 61, "NAS-Port-Type";
    /// RFC 3579 §3.1.
    EAP_MESSAGE = 79, "EAP-Message";
    /// RFC 3579 §3.2.
    MESSAGE_AUTHENTICATOR = 80, "Message-Authenticator";
    /// RFC 2869 §5.16.
    ACCT_INTERIM_INTERVAL = 85, "Acct-Interim-Interval";
    /// RFC 3162 §2.1.
    NAS_IPV6_ADDRESS = 95, "NAS-IPv6-Address";
    /// RFC 3162 §2.3.
    FRAMED_IPV6_PREFIX = 97, "Framed-IPv6-Prefix";
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
