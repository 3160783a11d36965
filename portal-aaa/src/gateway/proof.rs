//! The decision whether a claim is proved; pure, and closed whenever in doubt.
//!
//! 3GPP TS 29.061 §16.4.7 gives the gateway's 3GPP-IMSI and 3GPP-IMEISV; both are compared as keyed hashes.

use std::{net::IpAddr, time::Duration};

use provisioning::{
    identity::{Imei, Imsi},
    message::Reason,
};

use super::table::{Owner, Table};
use crate::store::Handle;

/// What has been proved of the sender of a request. Holds proved identifiers only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Where the request came from, never an IPv4-mapped address.
    pub source: IpAddr,
    /// The claimed IMSI, if proved.
    pub imsi: Option<Imsi>,
    /// The claimed IMEI, if proved; a claim that the gateway says nothing about is dropped.
    pub imei: Option<Imei>,
    /// Whose session it is, also where no IMSI was claimed; none where only the claim is believed.
    pub subscriber: Option<Handle>,
}

/// Why nothing is proved. The device learns [`Denial::reason`], the operator's log [`Denial::detail`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// Nothing came from any gateway for too long, or not yet.
    FeedSilent,
    /// The session's own gateway is silent, though others are not.
    GatewaySilent,
    /// No live session has the source address (yet).
    NoSession,
    /// Several live sessions have it.
    AddressContested,
    /// This host's own address, or none: no device's.
    LocalSource,
    /// Outside of every trusted network.
    UntrustedNetwork,
    /// The session is another IMSI's.
    OtherImsi,
    /// The session is another IMEI's.
    OtherImei,
    /// Only an IMEI is claimed, and the gateway or proxy tells none.
    ImeiUnknown,
    /// Many identities are claimed from this address: there is address translation, or somebody tries them out.
    AddressShared,
    /// The request did not come by a listed proxy, whatever headers it has.
    NotByProxy,
    /// The proxy wrote no identity into it.
    HeaderMissing,
    /// There is more than one such header, or it cannot be read.
    HeaderUnclear,
    /// The directory of subscribers cannot be asked now.
    DirectoryAway,
}

/// A Start that is on its way takes seconds (protocols: order of arrival is not guaranteed).
const SESSION_RETRY: Duration = Duration::from_secs(5);
/// A silent feed needs somebody to mend it.
const FEED_RETRY: Duration = Duration::from_secs(30);

impl Denial {
    /// What the device is told.
    pub fn reason(self) -> Reason {
        match self {
            Self::FeedSilent | Self::GatewaySilent => Reason::GatewayFeedSilent,
            Self::NoSession | Self::AddressContested | Self::LocalSource => Reason::NoSession,
            Self::DirectoryAway => Reason::TemporarilyUnavailable,
            Self::UntrustedNetwork
            | Self::OtherImsi
            | Self::OtherImei
            | Self::ImeiUnknown
            | Self::AddressShared
            | Self::NotByProxy
            | Self::HeaderMissing
            | Self::HeaderUnclear => Reason::IdentityMismatch,
        }
    }

    /// When the device may try again, where that can help.
    pub fn retry_after(self) -> Option<Duration> {
        match self.reason() {
            Reason::GatewayFeedSilent | Reason::TemporarilyUnavailable => Some(FEED_RETRY),
            Reason::NoSession => Some(SESSION_RETRY),
            _ => None,
        }
    }

    /// Stable code for the operator.
    pub fn detail(self) -> &'static str {
        match self {
            Self::FeedSilent => "feed-silent",
            Self::GatewaySilent => "gateway-silent",
            Self::NoSession => "no-session",
            Self::AddressContested => "address-contested",
            Self::LocalSource => "local-source",
            Self::UntrustedNetwork => "untrusted-network",
            Self::OtherImsi => "other-imsi",
            Self::OtherImei => "other-imei",
            Self::ImeiUnknown => "imei-unknown",
            Self::AddressShared => "address-shared",
            Self::NotByProxy => "not-by-proxy",
            Self::HeaderMissing => "header-missing",
            Self::HeaderUnclear => "header-unclear",
            Self::DirectoryAway => "directory-away",
        }
    }
}

/// What a request claims. At least one of the two is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Handle of the IMSI.
    pub subscriber: Option<Handle>,
    /// Handle of the IMEI.
    pub equipment: Option<Handle>,
}

/// Which parts of a claim hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proved {
    /// The IMSI.
    pub subscriber: bool,
    /// The IMEI.
    pub equipment: bool,
    /// Whose session it is.
    pub owner: Handle,
}

/// Compares a claim with the session that has the source address. Every identifier that the gateway knows must
/// agree, and one at least must be known.
pub fn weigh(
    table: &Table,
    max_silence_secs: u64,
    now: u64,
    source: IpAddr,
    claim: &Claim,
) -> Result<Proved, Denial> {
    let source = source.to_canonical();
    if is_local(source) {
        return Err(Denial::LocalSource);
    }
    let silent = |heard: Option<u64>| heard.is_none_or(|at| now.saturating_sub(at) > max_silence_secs);
    if silent(table.last_heard()) {
        return Err(Denial::FeedSilent);
    }
    let (subscriber, equipment) = match table.owner(source, now) {
        Owner::Nobody => return Err(Denial::NoSession),
        Owner::Contested => return Err(Denial::AddressContested),
        // A session whose end could not have been heard proves nothing.
        Owner::Session { gateway, .. } if silent(table.heard_from(gateway)) => {
            return Err(Denial::GatewaySilent);
        }
        Owner::Session { subscriber, equipment, .. } => (subscriber, equipment),
    };
    if claim.subscriber.is_some_and(|claimed| claimed != subscriber) {
        return Err(Denial::OtherImsi);
    }
    let proved = match (claim.equipment, equipment) {
        (Some(claimed), Some(told)) if claimed != told => return Err(Denial::OtherImei),
        (claimed, told) => {
            let equipment = claimed.is_some() && told.is_some();
            Proved { subscriber: claim.subscriber.is_some(), equipment, owner: subscriber }
        }
    };
    if proved.subscriber || proved.equipment { Ok(proved) } else { Err(Denial::ImeiUnknown) }
}

/// This host itself: a proxy or address translation in front of the portal, or a local process. Whoever it is,
/// the packet gateway did not give him that address. The rest of 127.0.0.0/8 can be given out on a test bench.
fn is_local(source: IpAddr) -> bool {
    match source {
        IpAddr::V4(v4) => v4.is_unspecified() || v4.octets() == [127, 0, 0, 1],
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::gateway::table::{Alive, Event, Limits, SessionKey};

    const MAX_SILENCE: u64 = 300;
    const IMSI: Handle = Handle([1; 32]);
    const IMEI: Handle = Handle([2; 32]);
    const OTHER: Handle = Handle([3; 32]);

    /// One session on each address: 10.0.0.1 with IMEISV, 10.0.0.2 without; heard of at 1000.
    fn table() -> Table {
        let mut table = Table::new(Limits::default());
        for (address, equipment) in [("10.0.0.1", Some(IMEI)), ("10.0.0.2", None), ("127.0.0.1", None)] {
            let key = Arc::new(SessionKey { gateway: "pgw1".to_owned(), session_id: address.to_owned() });
            let prefixes = vec![address.parse().unwrap()];
            table.apply(Event::Alive(Alive { key, prefixes, subscriber: Some(IMSI), equipment }), 1000, 1000);
        }
        table
    }

    fn weighed(
        source: &str,
        subscriber: Option<Handle>,
        equipment: Option<Handle>,
    ) -> Result<Proved, Denial> {
        weigh(&table(), MAX_SILENCE, 1001, source.parse().unwrap(), &Claim { subscriber, equipment })
    }

    #[test]
    fn every_known_identifier_must_agree_and_one_must_be_known() {
        let proved = |subscriber, equipment| Ok(Proved { subscriber, equipment, owner: IMSI });
        for (source, subscriber, equipment, expected) in [
            ("10.0.0.1", Some(IMSI), Some(IMEI), proved(true, true)),
            ("::ffff:10.0.0.1", Some(IMSI), Some(IMEI), proved(true, true)),
            ("10.0.0.1", Some(IMSI), None, proved(true, false)),
            ("10.0.0.1", None, Some(IMEI), proved(false, true)),
            ("10.0.0.1", Some(OTHER), Some(IMEI), Err(Denial::OtherImsi)),
            ("10.0.0.1", Some(IMSI), Some(OTHER), Err(Denial::OtherImei)),
            ("10.0.0.1", None, Some(OTHER), Err(Denial::OtherImei)),
            ("10.0.0.1", None, None, Err(Denial::ImeiUnknown)),
            ("10.0.0.2", Some(IMSI), Some(IMEI), proved(true, false)),
            ("10.0.0.2", None, Some(IMEI), Err(Denial::ImeiUnknown)),
            ("10.0.0.3", Some(IMSI), Some(IMEI), Err(Denial::NoSession)),
            ("127.0.0.1", Some(IMSI), None, Err(Denial::LocalSource)),
            ("::ffff:127.0.0.1", Some(IMSI), None, Err(Denial::LocalSource)),
            ("0.0.0.0", Some(IMSI), None, Err(Denial::LocalSource)),
            ("::1", Some(IMSI), None, Err(Denial::LocalSource)),
            ("::", Some(IMSI), None, Err(Denial::LocalSource)),
        ] {
            assert_eq!(weighed(source, subscriber, equipment), expected, "{source}");
        }
    }

    #[test]
    fn silence_proves_nothing() {
        let source: IpAddr = "10.0.0.1".parse().unwrap();
        let claim = Claim { subscriber: Some(IMSI), equipment: None };
        let mut table = table();
        assert!(weigh(&table, MAX_SILENCE, 1300, source, &claim).is_ok());
        assert_eq!(weigh(&table, MAX_SILENCE, 1301, source, &claim), Err(Denial::FeedSilent));
        table.apply(Event::Restart("pgw2".to_owned()), 1301, 1301);
        assert_eq!(weigh(&table, MAX_SILENCE, 1301, source, &claim), Err(Denial::GatewaySilent));
        let untold = "10.0.0.9".parse().unwrap();
        assert_eq!(weigh(&table, MAX_SILENCE, 1301, untold, &claim), Err(Denial::NoSession));
        assert_eq!(
            weigh(&Table::new(Limits::default()), MAX_SILENCE, 0, source, &claim),
            Err(Denial::FeedSilent),
            "nothing heard since the start"
        );
    }

    #[test]
    fn what_can_pass_may_be_tried_again_and_what_cannot_may_not() {
        for denial in [Denial::FeedSilent, Denial::GatewaySilent, Denial::NoSession, Denial::AddressContested]
        {
            assert_eq!(
                (denial.reason().http_status(), denial.retry_after().is_some()),
                (503, true),
                "{denial:?}"
            );
        }
        for denial in [Denial::OtherImsi, Denial::OtherImei, Denial::ImeiUnknown, Denial::UntrustedNetwork] {
            assert_eq!((denial.reason().http_status(), denial.retry_after()), (403, None), "{denial:?}");
        }
    }

    proptest! {
        /// Nothing but the session's own identifiers is ever proved.
        #[test]
        fn no_other_claim_is_proved(source: [u8; 4], last in 0u8..4, subscriber: [u8; 32], equipment: [u8; 32], now in 0u64..2000) {
            let claims = [Handle(subscriber), Handle(equipment), IMSI, IMEI, OTHER];
            for source in [IpAddr::from(source), IpAddr::from([10, 0, 0, last])] {
                for claimed in claims {
                    for claim in [
                        Claim { subscriber: Some(claimed), equipment: None },
                        Claim { subscriber: None, equipment: Some(claimed) },
                    ] {
                        let proved = weigh(&table(), MAX_SILENCE, now, source, &claim);
                        prop_assert!(proved.is_err() || claimed == IMSI || claimed == IMEI);
                    }
                }
            }
        }
    }
}
