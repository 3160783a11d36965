//! Numbers of WISPr 1.0 (Best Current Practices for WISP Roaming, 2003, annex "smart client"): what kind of message, and
//! how it went. Unknown ones survive.

use std::fmt;

/// `MessageType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MessageType(pub(super) u32);

impl MessageType {
    /// Initial redirect.
    pub(super) const REDIRECT: Self = Self(100);
    /// Proxy notification: ask elsewhere.
    pub(super) const PROXY: Self = Self(110);
    /// Authentication notification. The answer to a poll has 140, and CoovaChilli answers the login itself with that.
    pub(super) const AUTHENTICATION: Self = Self(120);
    /// Logoff notification.
    pub(super) const LOGOFF: Self = Self(130);
    /// Response to an abort.
    pub(super) const ABORT: Self = Self(150);
}

/// `ResponseCode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ResponseCode(pub(super) u32);

impl ResponseCode {
    /// No error.
    pub(super) const NO_ERROR: Self = Self(0);
    /// Access-Accept.
    pub(super) const LOGIN_SUCCEEDED: Self = Self(50);
    /// Access-Reject.
    pub(super) const LOGIN_FAILED: Self = Self(100);
    /// RADIUS error or timeout.
    pub(super) const RADIUS_ERROR: Self = Self(102);
    /// No RADIUS server for this user.
    pub(super) const NO_RADIUS_SERVER: Self = Self(105);
    /// Logged off.
    pub(super) const LOGOFF_SUCCEEDED: Self = Self(150);
    /// Login aborted.
    pub(super) const LOGIN_ABORTED: Self = Self(151);
    /// A proxy was found, or the operation is to be repeated.
    pub(super) const REPEAT: Self = Self(200);
    /// The gateway waits for the AAA.
    pub(super) const PENDING: Self = Self(201);
    /// Access gateway internal error.
    pub(super) const INTERNAL_ERROR: Self = Self(255);
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
