//! Packet codes (RFC 2865 §3, RFC 2866 §3, RFC 5176 §2.3, RFC 5997 §3).

use std::fmt;

/// First octet of a packet. Unknown values survive, so that a caller can log and drop them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(pub u8);

impl Code {
    /// A station asks to log on.
    pub const ACCESS_REQUEST: Self = Self(1);
    /// It may.
    pub const ACCESS_ACCEPT: Self = Self(2);
    /// It may not.
    pub const ACCESS_REJECT: Self = Self(3);
    /// Usage report.
    pub const ACCOUNTING_REQUEST: Self = Self(4);
    /// The report is on disk.
    pub const ACCOUNTING_RESPONSE: Self = Self(5);
    /// The conversation goes on.
    pub const ACCESS_CHALLENGE: Self = Self(11);
    /// Is anybody there?
    pub const STATUS_SERVER: Self = Self(12);
    /// A session shall end.
    pub const DISCONNECT_REQUEST: Self = Self(40);
    /// It has.
    pub const DISCONNECT_ACK: Self = Self(41);
    /// It has not; Error-Cause says why.
    pub const DISCONNECT_NAK: Self = Self(42);
    /// A session shall get other terms.
    pub const COA_REQUEST: Self = Self(43);
    /// It has them.
    pub const COA_ACK: Self = Self(44);
    /// It has not.
    pub const COA_NAK: Self = Self(45);

    /// A request about a session that is on, or the answer to one (RFC 5176 §2.3).
    pub fn is_dynamic(self) -> bool {
        (Self::DISCONNECT_REQUEST.0..=Self::COA_NAK.0).contains(&self.0)
    }

    /// A reply that decides on access; BlastRADIUS (CVE-2024-3596) forges these.
    pub fn is_access_reply(self) -> bool {
        matches!(self, Self::ACCESS_ACCEPT | Self::ACCESS_REJECT | Self::ACCESS_CHALLENGE)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ACCESS_REQUEST => f.write_str("Access-Request"),
            Self::ACCESS_ACCEPT => f.write_str("Access-Accept"),
            Self::ACCESS_REJECT => f.write_str("Access-Reject"),
            Self::ACCOUNTING_REQUEST => f.write_str("Accounting-Request"),
            Self::ACCOUNTING_RESPONSE => f.write_str("Accounting-Response"),
            Self::ACCESS_CHALLENGE => f.write_str("Access-Challenge"),
            Self::STATUS_SERVER => f.write_str("Status-Server"),
            Self::DISCONNECT_REQUEST => f.write_str("Disconnect-Request"),
            Self::DISCONNECT_ACK => f.write_str("Disconnect-ACK"),
            Self::DISCONNECT_NAK => f.write_str("Disconnect-NAK"),
            Self::COA_REQUEST => f.write_str("CoA-Request"),
            Self::COA_ACK => f.write_str("CoA-ACK"),
            Self::COA_NAK => f.write_str("CoA-NAK"),
            Self(other) => write!(f, "Code({other})"),
        }
    }
}
