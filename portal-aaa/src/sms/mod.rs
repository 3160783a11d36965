//! Credentials by SMS: requests that come from the operator's short message centre, and credentials that go by it
//! (patent claims 14 and 24; feature-spec D4, D5).
//!
//! The sender's number as the message centre tells it is the proof (DESIGN §5): the directory of subscribers says whose
//! SIM it is, and the request must claim that one. So the connection to the message centre counts as much as that of a
//! packet gateway's accounting: whoever can submit messages there with numbers of their choice, such as an aggregator
//! from outside, must not be routed to it.
//!
//! | file | idea |
//! |---|---|
//! | [`settings`] | the table `[sms]`, checked |
//! | [`pdu`] | between SMPP's PDUs and what is said here; pure |
//! | [`queue`] | parts that wait to be sent, and how fast they may go; pure |
//! | [`session`] | one SMPP session: bind, enquire_link, window, answers; pure |
//! | [`ledger`] | which receipt is for which message; pure |
//! | [`link`] | the shell around it: connects, and connects again |
//! | [`parts`] | parts of long messages joined, within bounds; pure |
//! | [`replay`] | a request that comes again is known; pure |
//! | [`desk`] | what becomes of a request: the order of checks |
//! | [`service`] | all of it together; `serve` starts it |
//!
//! Who is not proved gets no answer at all: neither he nor anybody else learns whether a subscriber exists.

pub mod desk;
pub mod ledger;
pub mod link;
pub mod parts;
pub mod pdu;
pub mod queue;
pub mod replay;
pub mod service;
pub mod session;
pub mod settings;

use provisioning::{
    message::{Credential, MacMode},
    secret::Password,
    sms::{DeviceExchange, PortalKey, Reply, SmsError, udh},
};
pub use service::{Courier, Service};
pub use settings::{Delivery, Long, Settings};

use crate::credential::{Keys, Terms, token};

/// The keys that requests are sealed to, by their numbers: made of the installation's own, so that every node of it has
/// the same.
pub fn portal_keys(keys: &Keys, numbers: &[u8]) -> Vec<PortalKey> {
    numbers.iter().map(|number| PortalKey::derive(*number, &keys.sms(*number))).collect()
}

/// Characters of a password, or a few more.
const PASSWORD: usize = 32;

/// How many messages a credential on these terms takes, the first that a device gets.
pub fn parts(terms: &Terms) -> Result<usize, SmsError> {
    let longest = Credential {
        username: format!("{}@{}", "a".repeat(token::OPAQUE), terms.realm),
        password: Password::new("a".repeat(PASSWORD)),
        eap: terms.eap.clone(),
        mac_mode: MacMode::Permanent,
        issued_at: u32::MAX.into(),
        expires_at: Some(u64::from(u32::MAX) * 2),
        one_time: true,
        policy: terms.policy.clone(),
        signed_policy: None,
    };
    // Any key will do to see how long it is.
    let key = [PortalKey::derive(0, &[0; 32])];
    let [sample] = &key;
    let device = DeviceExchange::new(&sample.public())?;
    let reply = Reply::Granted { made_at: u32::MAX, credential: Box::new(longest) };
    let message = PortalKey::accept(&key, device.encapsulated())?.seal(&reply)?;
    Ok(udh::cut(&message, 0).len())
}
