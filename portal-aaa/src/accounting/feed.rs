//! What a packet gateway's accounting says about an address: the contract between the accounting listener
//! and the table *address → subscriber* (`crate::gateway`).
//!
//! 3GPP TS 29.061 §16.4.3: Start and Interim say whose address it is, Stop ends that, Accounting-On and -Off end
//! all of the gateway's. This is the only message that carries the IMSI in clear, by 3GPP's rules.

use std::net::{Ipv4Addr, Ipv6Addr};

use provisioning::identity::{Imei, Imsi};

use crate::{
    credential::Msisdn,
    store::{AccountingRecord, StoreError},
};

/// One accounting request of a packet gateway. `Debug` masks the identifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedRecord {
    /// Gateway's name in the client table.
    pub gateway: String,
    /// 1 Start, 2 Stop, 3 Interim-Update, 7 On, 8 Off (RFC 2866 §5.1).
    pub status: u32,
    /// Acct-Session-Id; empty for On and Off.
    pub session_id: String,
    /// Framed-IP-Address.
    pub ipv4: Option<Ipv4Addr>,
    /// Framed-IPv6-Prefix: network and bits.
    pub ipv6_prefix: Option<(Ipv6Addr, u8)>,
    /// Delegated-IPv6-Prefix (RFC 4818): what the device gives to those behind it.
    pub delegated_prefix: Option<(Ipv6Addr, u8)>,
    /// 3GPP-IMSI.
    pub imsi: Option<Imsi>,
    /// 3GPP-IMEISV.
    pub imeisv: Option<Imei>,
    /// Calling-Station-Id, where it is a number in international form.
    pub msisdn: Option<Msisdn>,
    /// When it happened, seconds since 1970: Event-Timestamp, else arrival less Acct-Delay-Time.
    pub event_at: u64,
}

/// Takes what the gateways say, and where it wants to, what access points say.
pub trait GatewayFeed: Send + Sync {
    /// Applies one record. `Ok` means that it is on disk: only then is the request acknowledged
    /// (RFC 2866 §2), and the gateway repeats what was not. Must bear repetition and records that arrive
    /// out of order. `now` is seconds since 1970.
    fn accounting(&self, record: &FeedRecord, now: u64) -> Result<(), StoreError>;

    /// Before a report of any client is written: adds whose it is, which the packet does not say. `fed` is the same
    /// report where a gateway sent it.
    fn complete(&self, _report: &mut AccountingRecord, _fed: Option<&FeedRecord>) {}

    /// A report of any client is on disk.
    fn written(&self, _report: &AccountingRecord) {}
}
