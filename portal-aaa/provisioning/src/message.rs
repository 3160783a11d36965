//! Request, reply and refusal, free of any encoding.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    identity::{Imei, Imsi, Mac},
    passpoint::Passpoint,
    secret::Password,
    signed::SignedPolicy,
    wispr::Wispr,
};

/// What a device asks (patent FIG. 2, step 54).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialRequest {
    /// From the SIM. At least one of IMSI and IMEI is present; decoding refuses a request without both.
    pub imsi: Option<Imsi>,
    /// From the equipment.
    pub imei: Option<Imei>,
    /// Permanent address of the WLAN card.
    pub mac: Mac,
    /// Why now.
    pub trigger: Trigger,
    /// `name/version` of the agent, at most 64 octets.
    pub agent: String,
    /// Version of the signed policy that the device obeys. Told only to a portal that has signed one: an older portal
    /// would refuse the request for it.
    pub policy_version: Option<u64>,
}

/// Renewal triggers B1–B7 of the feature specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// First contact, or cellular attached.
    Attach,
    /// The configured period is over.
    Periodic,
    /// Just before moving to the WLAN.
    BeforeMove,
    /// The credential is about to expire or has.
    Expiry,
    /// A one-time credential was used.
    Used,
    /// Traffic came back to cellular in between.
    ReturnedToCellular,
    /// The AAA refused the credential.
    Rejected,
    /// Somebody asked for it.
    User,
}

/// What the portal gives (patent FIG. 2, step 62): all that a device needs to log on and to behave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// NAI `opaque@realm` (RFC 7542).
    pub username: String,
    /// Never printed.
    pub password: Password,
    /// How to log on.
    pub eap: EapSettings,
    /// Which MAC address to use on the air.
    pub mac_mode: MacMode,
    /// Seconds since 1970.
    pub issued_at: u64,
    /// Seconds since 1970; none for the device's lifetime.
    pub expires_at: Option<u64>,
    /// One successful login uses it up.
    pub one_time: bool,
    /// When and where to offload.
    pub policy: Policy,
    /// The same policy, signed; what a device obeys that knows the key. Portals before 0.2.0 sign none.
    pub signed_policy: Option<SignedPolicy>,
}

/// EAP methods and the server's trust (server trust comes with the credential).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EapSettings {
    /// Outer method.
    pub outer: OuterMethod,
    /// Inner method.
    pub inner: InnerMethod,
    /// Outer identity, such as `anonymous@realm` (RFC 7542 §2.4).
    pub anonymous_identity: String,
    /// Exact name in the AAA's certificate.
    pub server_name: String,
    /// Certificate authorities to trust for it, PEM.
    pub ca_pem: String,
}

/// Tunnel method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OuterMethod {
    /// PEAPv0.
    Peap,
    /// EAP-TTLS (RFC 5281).
    Ttls,
}

/// Method inside the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InnerMethod {
    /// EAP-MSCHAPv2 in PEAP, MS-CHAP-V2 in TTLS.
    Mschapv2,
    /// PAP, in TTLS only.
    Pap,
    /// EAP-GTC, in PEAP only.
    Gtc,
}

/// Which address the device uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MacMode {
    /// The card's own; the AAA checks it.
    Permanent,
    /// This locally administered one, made for this credential.
    Issued(Mac),
    /// Any; the AAA does not check.
    Unbound,
}

/// WLAN policy (patent: "when to offload", SSID, priority, renewal).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Policy {
    /// Grows with each change at the portal.
    pub version: u64,
    /// Networks to use, best first.
    pub networks: Vec<Network>,
    /// Join at or above, dBm.
    pub enter_dbm: i32,
    /// Leave under, dBm.
    pub leave_dbm: i32,
    /// Signal must stay above `enter_dbm` this long before a move, seconds.
    pub dwell_secs: u32,
    /// No new join for this long after a failed or lost one, seconds; doubles with each failure.
    pub penalty_secs: u32,
    /// `http://` URL that answers 204 where the Internet is reachable.
    pub probe_url: String,
    /// What becomes of cellular after the move.
    pub cellular_after_move: AfterMove,
    /// Longest wait for connections on the old link to end, seconds.
    pub drain_secs: u32,
    /// Ask for a new password before Wi-Fi is used again after a return to cellular (trigger B7).
    pub renew_after_return: bool,
    /// Ask for a new one this often, seconds; 0 never (trigger B3).
    pub renew_every_secs: u64,
    /// Which comes first at a move.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sequence: Sequence,
    /// Ask for a new one just before each move to the WLAN (trigger B4).
    #[serde(default, skip_serializing_if = "is_default")]
    pub renew_before_move: bool,
    /// One-time credentials to hold beside the one in use, fetched ahead while cellular is there (trigger B6);
    /// at most [`MAX_RESERVE`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub one_time_reserve: u8,
    /// A credential whose renewal is due may still be used, until its end, once the portal could not be asked for
    /// this long, seconds; 0 never (patent: "may still be able to use the provided login credentials when it cannot
    /// reach the cellular network").
    #[serde(default, skip_serializing_if = "is_default")]
    pub offline_grace_secs: u32,
    /// Which access points may be joined.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ap_filter: ApFilter,
    /// Networks known by what they advertise (IEEE 802.11u), not by name; at most [`crate::passpoint::MAX_PASSPOINTS`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub passpoints: Vec<Passpoint>,
    /// What makes the device move to Wi-Fi (patent: "when to offload").
    #[serde(default, skip_serializing_if = "is_default")]
    pub offload: Offload,
    /// Whether `enter_dbm` and `leave_dbm` count.
    #[serde(default, skip_serializing_if = "is_default")]
    pub threshold: Threshold,
    /// Which of the credentials that it holds the device uses.
    #[serde(default, skip_serializing_if = "is_default")]
    pub use_credential: UseCredential,
    /// Ask for a new one each time the device has attached to cellular (trigger B2), though it holds one that is good.
    #[serde(default, skip_serializing_if = "is_default")]
    pub renew_on_attach: bool,
    /// Whether the device may talk to the portal by SMS.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sms: SmsUse,
}

impl Policy {
    /// The listed networks that the filter lets through.
    pub fn joinable(&self) -> impl Iterator<Item = &Network> {
        let owned = self.ap_filter == ApFilter::OperatorOwned;
        self.networks.iter().filter(move |network| !owned || network.operator_owned)
    }
}

/// Careful values and no network: join at −65 dBm after five seconds, leave under −75 dBm, cellular down after the move.
impl Default for Policy {
    fn default() -> Self {
        Self {
            version: 0,
            networks: Vec::new(),
            enter_dbm: -65,
            leave_dbm: -75,
            dwell_secs: 5,
            penalty_secs: 30,
            probe_url: String::new(),
            cellular_after_move: AfterMove::Down,
            drain_secs: 30,
            renew_after_return: false,
            renew_every_secs: 0,
            sequence: Sequence::default(),
            renew_before_move: false,
            one_time_reserve: 0,
            offline_grace_secs: 0,
            ap_filter: ApFilter::default(),
            passpoints: Vec::new(),
            offload: Offload::default(),
            threshold: Threshold::default(),
            use_credential: UseCredential::default(),
            renew_on_attach: false,
            sms: SmsUse::default(),
        }
    }
}

/// What came after version 0.1.0 is left out where it says what a peer without it does anyway.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Largest [`Policy::one_time_reserve`].
pub const MAX_RESERVE: u8 = 8;

/// Which comes first at a move to Wi-Fi.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sequence {
    /// Cellular carries the traffic until Wi-Fi has been proved; nothing is lost.
    #[default]
    MakeBeforeBreak,
    /// Cellular is disconnected first, then the device authenticates: the claims' literal order, with a gap.
    BreakBeforeMake,
}

/// One network of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Network {
    /// Broadcast name, 1 to 32 octets, UTF-8.
    pub ssid: String,
    /// Higher is preferred.
    pub priority: i32,
    /// Access points of this name are the operator's own; the AAA's certificate proves it at the login.
    #[serde(default, skip_serializing_if = "is_default")]
    pub operator_owned: bool,
    /// It is open, and one logs on at its WISPr gateway; without this it is WPA-Enterprise. Agents of version 0.1.0 refuse
    /// a policy that has it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wispr: Option<Wispr>,
}

impl Network {
    /// A network of whomever, WPA-Enterprise.
    pub fn new(ssid: impl Into<String>, priority: i32) -> Self {
        Self { ssid: ssid.into(), priority, operator_owned: false, wispr: None }
    }
}

/// Which access points may be joined. A name on the air proves nothing; where the login goes wrong because the AAA's
/// certificate is another's, the network is left and punished whatever stands here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApFilter {
    /// Those of [`Policy::networks`], and those that advertise one of [`Policy::passpoints`] as home.
    #[default]
    PolicySsid,
    /// Of those only the operator's own: a network marked [`Network::operator_owned`], or one whose ANQP domain name
    /// list holds a [`Passpoint::domains`].
    OperatorOwned,
    /// Besides those of [`Policy::networks`] every one that advertises one of [`Policy::passpoints`], roaming partners
    /// included.
    Any,
}

/// What makes the device move to Wi-Fi.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Offload {
    /// A network of the policy that is good enough.
    #[default]
    Automatic,
    /// Somebody who asks for it at the device.
    OnRequest,
    /// Nothing: the credential is held, the device stays on cellular.
    Never,
}

/// Whether the signal counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Threshold {
    /// [`Policy::enter_dbm`] and [`Policy::leave_dbm`] do.
    #[default]
    Dbm,
    /// Any signal that carries a login and the probe will do.
    Off,
}

/// Which of several credentials is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UseCredential {
    /// The newest; the one before it is kept until that has worked.
    #[default]
    Newest,
    /// The one in use, until it ends or the AAA refuses it; a newer one waits.
    Oldest,
}

/// Whether the device talks to the portal by SMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SmsUse {
    /// No.
    #[default]
    Never,
    /// Where data over cellular cannot be had.
    Fallback,
    /// Always, though data could be had.
    Always,
}

/// Cellular after the move to Wi-Fi.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterMove {
    /// Bearer disconnected once drained (claims 1, 18, 25).
    Down,
    /// Bearer kept, unused.
    Standby,
    /// Bearer kept; MPTCP uses it when Wi-Fi does not deliver (RFC 8684 §3.3.8). Agents of version 0.1.0 refuse it.
    Backup,
}

/// What the portal answers instead of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Stable code, safe to show to the device.
    pub reason: Reason,
    /// Wait at least this long.
    pub retry_after: Option<Duration>,
    /// What is wrong with the message, where it was not read.
    pub flaw: Option<Flaw>,
}

impl Refusal {
    /// One of a message that was read.
    pub const fn new(reason: Reason, retry_after: Option<Duration>) -> Self {
        Self { reason, retry_after, flaw: None }
    }
}

/// What is wrong with a message, for who wrote it. Never says what stood in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    code: String,
    field: Option<String>,
}

/// Longest word of a [`Flaw`].
const MAX_WORD: usize = 64;

impl Flaw {
    /// Stable code, and the field of the schema that it is about: lower case letters, digits and `-`, at most 64. None
    /// where the code is no such word; a field that is none is left out.
    pub fn new(code: &str, field: Option<&str>) -> Option<Self> {
        let word = |text: &str| {
            let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            ((1..=MAX_WORD).contains(&text.len()) && text.bytes().all(fits)).then(|| text.to_owned())
        };
        Some(Self { code: word(code)?, field: field.and_then(word) })
    }

    /// Stable code, as `FormatError::code` of the `provisioning` crate has them.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Which field.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }
}

/// Stable reason codes that a device may see. The operator's log says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The message does not fit its schema.
    BadRequest,
    /// The identifiers are not those of the session that the request came by.
    IdentityMismatch,
    /// The request's source address belongs to no live cellular session (yet).
    NoSession,
    /// The portal has no current view of the packet gateway's sessions.
    GatewayFeedSilent,
    /// This subscriber may not have Wi-Fi.
    NotEntitled,
    /// Too many requests.
    RateLimited,
    /// The portal cannot work now.
    TemporarilyUnavailable,
}

impl Reason {
    /// The code as it stands in messages, logs and documentation.
    pub const fn code(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::IdentityMismatch => "identity-mismatch",
            Self::NoSession => "no-session",
            Self::GatewayFeedSilent => "gateway-feed-silent",
            Self::NotEntitled => "not-entitled",
            Self::RateLimited => "rate-limited",
            Self::TemporarilyUnavailable => "temporarily-unavailable",
        }
    }

    /// HTTP status that carries it: 4xx where trying again cannot help, 503 where it can.
    pub fn http_status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::IdentityMismatch | Self::NotEntitled => 403,
            Self::RateLimited => 429,
            Self::NoSession | Self::GatewayFeedSilent | Self::TemporarilyUnavailable => 503,
        }
    }
}
