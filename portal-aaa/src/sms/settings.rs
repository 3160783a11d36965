//! What `[sms]` of the configuration comes to.

use std::{fmt, time::Duration};

use provisioning::secret::Password;

/// How to reach the message centre, and what it may be asked.
#[derive(Clone)]
pub struct Settings {
    /// `HOST:PORT`; looked up at each connect.
    pub server: String,
    /// Name that we bind with.
    pub system_id: String,
    /// At most eight octets (SMPP 3.4 §5.2.2).
    pub password: Password,
    /// Kind of system; often empty.
    pub system_type: String,
    /// Our own address: the number that devices send to.
    pub source: Address,
    /// Numbering of devices' addresses.
    pub dest_ton: u8,
    /// As `dest_ton`.
    pub dest_npi: u8,
    /// How long messages are handed over.
    pub long: Long,
    /// Submits without an answer at one time.
    pub window: usize,
    /// Parts a second.
    pub per_second: u32,
    /// Ask for delivery receipts.
    pub receipts: bool,
    /// Numbers of the keys that are good; devices are told the first.
    pub keys: Vec<u8>,
    /// A request's time may be so far from ours.
    pub clock_window: Duration,
    /// Requests of one subscriber at once.
    pub subscriber_burst: u32,
    /// After which each is given back.
    pub subscriber_refill: Duration,
    /// What goes by SMS.
    pub delivery: Delivery,
}

/// A number as SMPP has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Type of number (SMPP 3.4 §5.2.5).
    pub ton: u8,
    /// Numbering plan (§5.2.6).
    pub npi: u8,
    /// Digits, or up to 11 letters where `ton` is 5.
    pub text: String,
}

/// How a message of several parts is handed to the message centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Long {
    /// In parts with a user data header: what every message centre passes on.
    Udh,
    /// In parts with `sar_msg_ref_num` and its kin: the message centre makes the header.
    Sar,
    /// Whole in `message_payload`: the message centre cuts it.
    Payload,
}

/// What goes by SMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Requests that come by SMS are answered by SMS, those by HTTPS by HTTPS.
    AsAsked,
    /// Credentials go by SMS only; a request by HTTPS brings one by SMS (feature-spec D5).
    SmsOnly,
}

/// Without the password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("server", &self.server)
            .field("system_id", &self.system_id)
            .finish_non_exhaustive()
    }
}
