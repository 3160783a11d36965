//! What the device's own configuration decides; everything else is the portal's policy.

use std::time::Duration;

use provisioning::signed::PolicyKey;

/// Settings of the machine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Access point name of the bearer.
    pub apn: String,
    /// Connect while roaming.
    pub allow_roaming: bool,
    /// Ask the portal while roaming.
    pub provision_while_roaming: bool,
    /// Domain to find the portal in without a URL, in place of the one of the SIM's operator.
    pub portal_domain: Option<String>,
    /// Keys whose policies are trusted before the portal has named any.
    pub policy_keys: Vec<PolicyKey>,
    /// Whether the portal is asked by SMS.
    pub sms: SmsUse,
    /// `name/version` told to the portal.
    pub agent: String,
    /// Key of the IMSI's hash that binds the stored credential to its SIM.
    pub subscriber_key: [u8; 32],
    /// Spreads retries and renewals of a fleet; any number, different on each device.
    pub jitter_seed: u64,
    /// Limit of association and 802.1X together. wpa_supplicant's own is 70 s.
    pub join_limit: Duration,
    /// Limit of one probe series after an address came.
    pub verify_limit: Duration,
    /// While Wi-Fi carries the traffic and no connection of a probe stands, probe this often.
    pub probe_every: Duration,
    /// Longest wait of cellular for Wi-Fi's connections on the way back.
    pub return_drain: Duration,
}

/// When the portal is asked by SMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmsUse {
    /// Not set up, or not wanted.
    Never,
    /// When data has not been there for so long though it was wanted, and the network takes messages.
    Fallback(Duration),
    /// Whenever the network takes messages; over data only where it does not.
    Always,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            apn: String::new(),
            allow_roaming: true,
            provision_while_roaming: true,
            portal_domain: None,
            policy_keys: Vec::new(),
            sms: SmsUse::Never,
            agent: concat!("wifi-offloadd/", env!("CARGO_PKG_VERSION")).to_owned(),
            subscriber_key: [0; 32],
            jitter_seed: 0,
            join_limit: Duration::from_secs(20),
            verify_limit: Duration::from_secs(12),
            probe_every: Duration::from_secs(60),
            return_drain: Duration::from_secs(3),
        }
    }
}
