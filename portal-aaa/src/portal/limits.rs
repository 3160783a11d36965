//! What one device, and all together, may take of the portal.

use std::time::Duration;

/// Bounds of the portal. The defaults fit tens of thousands of devices that each ask a few times a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open connections.
    pub connections: usize,
    /// Open connections of one address.
    pub connections_per_address: usize,
    /// From the first octet to a finished TLS handshake.
    pub handshake: Duration,
    /// From there to the end of the header.
    pub header: Duration,
    /// From there to the end of the body.
    pub body: Duration,
    /// The whole connection; it carries one request.
    pub connection: Duration,
    /// Requests that one address may send at once after a time of quiet.
    pub burst: u32,
    /// After which each of them is given back.
    pub refill: Duration,
    /// As `burst`, of one subscriber, whose identity is proved.
    pub subscriber_burst: u32,
    /// As `refill`, of one subscriber.
    pub subscriber_refill: Duration,
    /// Requests of all together a second; as many may come at once.
    pub total_per_second: u32,
    /// Addresses, and subscribers, whose rate is remembered.
    pub rates: usize,
    /// Credentials being issued at the same time; the others wait, within `connection`.
    pub issuing: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_address: 8,
            handshake: Duration::from_secs(10),
            header: Duration::from_secs(10),
            body: Duration::from_secs(10),
            connection: Duration::from_secs(40),
            burst: 20,
            refill: Duration::from_secs(2),
            subscriber_burst: 30,
            subscriber_refill: Duration::from_secs(10),
            total_per_second: 5_000,
            rates: 65_536,
            issuing: 32,
        }
    }
}
