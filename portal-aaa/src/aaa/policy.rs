//! What the access point is told about a session beside its keys (feature-spec E11): RFC 2865 §5.27–5.28, RFC 2869
//! §5.16, RFC 3580 §3.31 (VLAN), RFC 2865 §5.11 (Filter-Id), WISPr bandwidth and terminate time.
//!
//! Made by the directory for each login, written into the Access-Accept by [`super::engine`].

/// Limits and place of one session. What is `None` is not sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionPolicy {
    /// Longest session, seconds. The credential's end may make it shorter, never longer.
    pub session_timeout_secs: Option<u32>,
    /// Silence after which the access point ends the session, seconds.
    pub idle_timeout_secs: Option<u32>,
    /// How often the access point reports usage, seconds.
    pub interim_interval_secs: Option<u32>,
    /// VLAN that the station is put into, 1 to 4094 (IEEE 802.1Q).
    pub vlan: Option<u16>,
    /// Name of a filter that the access point has.
    pub filter_id: Option<String>,
    /// Towards the network, bit/s at most.
    pub max_up_bits: Option<u32>,
    /// Towards the station, bit/s at most.
    pub max_down_bits: Option<u32>,
    /// End of the session as an instant, seconds since 1970 (WISPr-Session-Terminate-Time).
    pub terminate_at: Option<u64>,
}
