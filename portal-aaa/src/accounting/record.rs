//! An Accounting-Request as what the database keeps and as what the gateway table learns (RFC 2866 §5,
//! RFC 2869 §5.1–5.3, 3GPP TS 29.061 §16.4). Pure; called by [`crate::server::radius`].

use std::net::IpAddr;

use provisioning::identity::Mac;
use radius::{AttributeType as A, Packet, Vendor, tgpp};
use sha2::{Digest, Sha256};

use super::feed::FeedRecord;
use crate::{
    credential::token,
    store::{AccountingRecord, ClientKind},
};

/// RFC 2866 §5.1.
pub mod status {
    /// A session began.
    pub const START: u32 = 1;
    /// It ended.
    pub const STOP: u32 = 2;
    /// It goes on.
    pub const INTERIM: u32 = 3;
    /// The client has started: its sessions are gone.
    pub const ON: u32 = 7;
    /// The client goes down.
    pub const OFF: u32 = 8;
}

/// Clocks that say less than September 2001 have never been set.
const CLOCK_UNSET: u64 = 1_000_000_000;
/// An event further in the future than this comes from a wrong clock, seconds.
const CLOCK_AHEAD_SECS: u64 = 86_400;

/// Wi-Fi Alliance's WISPr; its Location-Name is `OPERATOR,Place`.
const WISPR: Vendor = Vendor(14122);
const WISPR_LOCATION_NAME: u8 = 2;
/// RFC 4818 §3: written as Framed-IPv6-Prefix is.
const DELEGATED_IPV6_PREFIX: A = A(123);
/// 3GPP TS 23.003 §2.2: at most 15; with the leading digit of RFC 4186 §4.1.1.6 one more, shortest in use one less.
const IMSI_DIGITS: usize = 14;

/// Why a report cannot be kept. It is not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadReport {
    /// No Acct-Status-Type of four octets (RFC 2866 §4.1).
    #[error("no Acct-Status-Type")]
    Status,
    /// No Acct-Session-Id, in a report about one session (RFC 2866 §4.1).
    #[error("no Acct-Session-Id")]
    Session,
}

/// Reads a report of `client`. `now` is when it came, seconds since 1970.
pub fn parse(
    packet: &Packet<'_>,
    client: &str,
    kind: ClientKind,
    now: u64,
) -> Result<AccountingRecord, BadReport> {
    let status = packet.integer(A::ACCT_STATUS_TYPE).ok_or(BadReport::Status)?;
    let session_id = match packet.get(A::ACCT_SESSION_ID) {
        Some(id) if !id.is_empty() => readable(id),
        _ if matches!(status, status::ON | status::OFF) => String::new(),
        _ => return Err(BadReport::Session),
    };
    // A packet gateway writes IMSI and MSISDN into these two, and they are not kept in clear anywhere.
    let of_station = |attribute| match kind {
        ClientKind::Nas => packet.text(attribute),
        ClientKind::Gateway => None,
    };
    let called_station = packet.get(A::CALLED_STATION_ID).map(readable);
    let mut record = AccountingRecord {
        kind,
        client: client.to_owned(),
        dedup: [0; 32],
        status,
        session_id,
        multi_session_id: packet.get(A::ACCT_MULTI_SESSION_ID).map(readable),
        username: of_station(A::USER_NAME).map(name),
        mac: of_station(A::CALLING_STATION_ID).and_then(|text| text.parse::<Mac>().ok()),
        ssid: called_station.as_deref().and_then(ssid).map(str::to_owned),
        called_station,
        input_octets: octets(packet, A::ACCT_INPUT_OCTETS, A::ACCT_INPUT_GIGAWORDS),
        output_octets: octets(packet, A::ACCT_OUTPUT_OCTETS, A::ACCT_OUTPUT_GIGAWORDS),
        session_secs: packet.integer(A::ACCT_SESSION_TIME).unwrap_or(0),
        terminate_cause: packet.integer(A::ACCT_TERMINATE_CAUSE),
        event_at: event_at(packet, now),
        received_at: now,
        class: packet.all(A::CLASS).find_map(|class| class.value.try_into().ok()),
        calling_station: of_station(A::CALLING_STATION_ID).map(str::to_owned),
        place: packet.vendor_text(WISPR, WISPR_LOCATION_NAME).map(str::to_owned),
        nas_identifier: packet.get(A::NAS_IDENTIFIER).map(readable),
        nas_address: nas_address(packet),
        subscriber: None,
        stamp: 0,
        address: None,
    };
    record.dedup = dedup(&record, timestamp(packet, now));
    Ok(record)
}

/// Reads what a packet gateway's report says about an address. `record` is the same report, parsed.
pub fn feed(packet: &Packet<'_>, record: &AccountingRecord) -> FeedRecord {
    FeedRecord {
        gateway: record.client.clone(),
        status: record.status,
        session_id: record.session_id.clone(),
        ipv4: packet.ipv4(A::FRAMED_IP_ADDRESS),
        ipv6_prefix: packet.ipv6_prefix(A::FRAMED_IPV6_PREFIX),
        delegated_prefix: packet.ipv6_prefix(DELEGATED_IPV6_PREFIX),
        imsi: packet.vendor_text(Vendor::TGPP, tgpp::IMSI).and_then(|text| text.parse().ok()),
        imeisv: packet.vendor_text(Vendor::TGPP, tgpp::IMEISV).and_then(|text| text.parse().ok()),
        msisdn: packet.text(A::CALLING_STATION_ID).and_then(|text| text.parse().ok()),
        event_at: record.event_at,
    }
}

/// Where the client says it is: NAS-IP-Address or NAS-IPv6-Address.
pub fn nas_address(packet: &Packet<'_>) -> Option<IpAddr> {
    let v6 = packet.get(A::NAS_IPV6_ADDRESS).and_then(|octets| <[u8; 16]>::try_from(octets).ok());
    packet.ipv4(A::NAS_IP_ADDRESS).map(IpAddr::from).or(v6.map(IpAddr::from))
}

/// The network's name in Called-Station-Id: what follows the access point's address and a colon (RFC 3580 §3.20). Some
/// write colons inside of the address too, and a name may hold them.
pub fn ssid(called_station: &str) -> Option<&str> {
    let parts = called_station.match_indices(':').map(|(at, _)| called_station.split_at(at));
    let mut parts = parts.filter(|(address, _)| address.parse::<Mac>().is_ok());
    parts.next().and_then(|(_, name)| name.strip_prefix(':')).filter(|name| !name.is_empty())
}

/// User-Name, with what may be an IMSI hidden: a phone that tried EAP-SIM has it in its identity.
fn name(username: &str) -> String {
    let longest = username.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0);
    if longest < IMSI_DIGITS || token::id(username).is_some() {
        return username.to_owned();
    }
    username.chars().map(|c| if c.is_ascii_digit() { '•' } else { c }).collect()
}

/// Both halves of a counter (RFC 2869 §5.1, §5.2), at most what a signed column holds.
fn octets(packet: &Packet<'_>, low: A, high: A) -> u64 {
    let [low, high] = [low, high].map(|kind| u64::from(packet.integer(kind).unwrap_or(0)));
    (high << 32 | low).min(i64::MAX.unsigned_abs())
}

/// Event-Timestamp (RFC 2869 §5.3), unless the client's clock is evidently wrong.
fn timestamp(packet: &Packet<'_>, now: u64) -> Option<u64> {
    let plausible = CLOCK_UNSET..=now.saturating_add(CLOCK_AHEAD_SECS);
    packet.integer(A::EVENT_TIMESTAMP).map(u64::from).filter(|at| plausible.contains(at))
}

fn event_at(packet: &Packet<'_>, now: u64) -> u64 {
    let delay = u64::from(packet.integer(A::ACCT_DELAY_TIME).unwrap_or(0));
    timestamp(packet, now).unwrap_or_else(|| now.saturating_sub(delay))
}

/// What stays the same when a report is sent again with another Acct-Delay-Time, identifier and authenticator
/// (RFC 2866 §5.2). Without Event-Timestamp the time is known to a second or two only; then the hour counts, so
/// that a client which numbers its sessions anew after a restart is not taken for a repetition.
fn dedup(record: &AccountingRecord, timestamp: Option<u64>) -> [u8; 32] {
    let time = timestamp.unwrap_or(record.event_at / 3600);
    let mut digest = Sha256::new();
    for text in
        [&record.client, &record.session_id, record.multi_session_id.as_ref().unwrap_or(&String::new())]
    {
        digest.update([u8::try_from(text.len()).unwrap_or(u8::MAX)]);
        digest.update(text);
    }
    for number in [u64::from(record.status), time, record.input_octets, record.output_octets] {
        digest.update(number.to_be_bytes());
    }
    digest.update(record.session_secs.to_be_bytes());
    digest.finalize().into()
}

/// Text as it is, anything else in hexadecimal.
fn readable(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => data_encoding::HEXLOWER.encode(value),
    }
}

#[cfg(test)]
pub(crate) mod sample {
    use super::*;

    /// When it happens.
    pub(crate) const AT: u64 = 1_800_000_000;

    /// A Start of an access point with everything in it that the packet tells.
    pub(crate) fn report() -> AccountingRecord {
        AccountingRecord {
            kind: ClientKind::Nas,
            client: "ap-1".to_owned(),
            dedup: [0; 32],
            status: status::START,
            session_id: "s1".to_owned(),
            multi_session_id: None,
            username: Some("token@x".to_owned()),
            mac: Some(Mac([2, 0, 0, 0, 0, 1])),
            called_station: Some("00-10-A4-23-19-C0:operator-wifi".to_owned()),
            input_octets: 0,
            output_octets: 0,
            session_secs: 0,
            terminate_cause: None,
            event_at: AT,
            received_at: AT,
            class: None,
            calling_station: Some("02-00-00-00-00-01".to_owned()),
            ssid: Some("operator-wifi".to_owned()),
            place: Some("hall".to_owned()),
            nas_identifier: Some("ap".to_owned()),
            nas_address: Some(IpAddr::from([192, 0, 2, 1])),
            subscriber: None,
            stamp: 0,
            address: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use radius::Builder;

    use super::*;

    const NOW: u64 = 1_795_000_000;

    fn stop() -> Builder {
        Builder::accounting_request(1)
            .integer(A::ACCT_STATUS_TYPE, status::STOP)
            .text(A::ACCT_SESSION_ID, "5F3A-0001")
            .text(A::USER_NAME, "token@operator.example")
            .text(A::CALLING_STATION_ID, "02-00-00-00-00-01")
            .integer(A::ACCT_INPUT_OCTETS, 5)
            .integer(A::ACCT_INPUT_GIGAWORDS, 2)
            .integer(A::ACCT_SESSION_TIME, 60)
    }

    fn read(builder: Builder, kind: ClientKind, now: u64) -> Result<AccountingRecord, BadReport> {
        let octets = builder.finish(b"secret").unwrap();
        parse(&Packet::parse(&octets).unwrap(), "ap-1", kind, now)
    }

    #[test]
    fn a_stop_with_gigawords_and_delay() {
        let record = read(stop().integer(A::ACCT_DELAY_TIME, 7), ClientKind::Nas, NOW).unwrap();
        assert_eq!((record.status, record.session_id.as_str()), (2, "5F3A-0001"));
        assert_eq!(record.input_octets, (2 << 32) + 5);
        assert_eq!(record.event_at, NOW - 7);
        assert_eq!(record.mac, Some(Mac([2, 0, 0, 0, 0, 1])));
        assert_eq!(record.username.as_deref(), Some("token@operator.example"));
    }

    #[test]
    fn a_retransmission_has_the_same_key_and_another_event_has_not() {
        let first = read(stop().integer(A::ACCT_DELAY_TIME, 1), ClientKind::Nas, NOW).unwrap();
        let again = read(stop().integer(A::ACCT_DELAY_TIME, 6), ClientKind::Nas, NOW + 6).unwrap();
        assert_eq!(first.dedup, again.dedup);
        let timed = |at: u64| {
            let at = u32::try_from(at).unwrap();
            read(stop().integer(A::EVENT_TIMESTAMP, at), ClientKind::Nas, NOW + 9).unwrap()
        };
        assert_eq!(timed(NOW).event_at, NOW);
        assert_ne!(timed(NOW).dedup, timed(NOW + 1).dedup);
        let more = read(stop().integer(A::ACCT_OUTPUT_OCTETS, 1), ClientKind::Nas, NOW).unwrap();
        assert_ne!(first.dedup, more.dedup);
    }

    #[test]
    fn an_unset_clock_is_not_believed() {
        for wrong in [0, 86_400, u32::MAX] {
            let record = read(stop().integer(A::EVENT_TIMESTAMP, wrong), ClientKind::Nas, NOW).unwrap();
            assert_eq!(record.event_at, NOW, "{wrong}");
        }
    }

    #[test]
    fn what_the_access_point_tells_of_itself_and_the_login() {
        let record = read(
            stop()
                .attribute(A::CLASS, b"of a proxy")
                .attribute(A::CLASS, &[7; 16])
                .text(A::CALLED_STATION_ID, "00-10-A4-23-19-C0:a:b")
                .text(A::NAS_IDENTIFIER, "ap")
                .attribute(A::NAS_IP_ADDRESS, &[192, 0, 2, 1])
                .vendor(WISPR, WISPR_LOCATION_NAME, b"OPERATOR,Hall"),
            ClientKind::Nas,
            NOW,
        )
        .unwrap();
        assert_eq!((record.class, record.ssid.as_deref()), (Some([7; 16]), Some("a:b")));
        assert_eq!(
            (record.place.as_deref(), record.nas_identifier.as_deref()),
            (Some("OPERATOR,Hall"), Some("ap"))
        );
        assert_eq!(record.nas_address, Some(IpAddr::from([192, 0, 2, 1])));
        assert_eq!(record.calling_station.as_deref(), Some("02-00-00-00-00-01"));
        let six = stop().attribute(A::NAS_IPV6_ADDRESS, &[0x20; 16]);
        assert_eq!(read(six, ClientKind::Nas, NOW).unwrap().nas_address, Some(IpAddr::from([0x20; 16])));
    }

    #[test]
    fn network_names_in_every_notation() {
        for (called, name) in [
            ("00-10-A4-23-19-C0:net", Some("net")),
            ("00:10:a4:23:19:c0:net", Some("net")),
            ("0010a42319c0:my:net", Some("my:net")),
            ("0010.a423.19c0:net", Some("net")),
            ("00-10-A4-23-19-C0:", None),
            ("00-10-A4-23-19-C0", None),
            ("00:10:a4:23:19:c0", None),
            ("internet", None),
            ("a:b", None),
            ("", None),
        ] {
            assert_eq!(ssid(called), name, "{called}");
        }
    }

    #[test]
    fn an_imsi_in_a_username_is_hidden() {
        for (given, kept) in [
            ("0001010123456789@wlan.mnc001.mcc001.3gppnetwork.org", false),
            ("001010123456789", false),
            ("49170000000@x", true),
            ("jo 1234567890", true),
        ] {
            assert_eq!(name(given) == given, kept, "{given}");
            assert!(!name("x001010123456789y").contains("00101"));
        }
        let opaque = "2".repeat(62) + "a";
        let token = format!("{opaque}@operator.example");
        assert_eq!(name(&token), token, "what may be a token is one");
    }

    #[test]
    fn what_must_be_there() {
        let no_status = Builder::accounting_request(1).text(A::ACCT_SESSION_ID, "1");
        assert_eq!(read(no_status, ClientKind::Nas, NOW), Err(BadReport::Status));
        let start = || Builder::accounting_request(1).integer(A::ACCT_STATUS_TYPE, status::START);
        assert_eq!(read(start(), ClientKind::Nas, NOW), Err(BadReport::Session));
        let on = Builder::accounting_request(1).integer(A::ACCT_STATUS_TYPE, status::ON);
        assert_eq!(read(on, ClientKind::Gateway, NOW).unwrap().session_id, "");
    }

    #[test]
    fn a_gateway_report_keeps_no_identifier_in_the_record() {
        let octets = Builder::accounting_request(1)
            .integer(A::ACCT_STATUS_TYPE, status::START)
            .text(A::ACCT_SESSION_ID, "0a40000100000001")
            .text(A::USER_NAME, "001010123456789")
            .text(A::CALLING_STATION_ID, "491700000001")
            .text(A::CALLED_STATION_ID, "internet")
            .attribute(A::FRAMED_IP_ADDRESS, &[10, 64, 0, 2])
            .vendor(Vendor::TGPP, tgpp::IMSI, b"001010123456789")
            .vendor(Vendor::TGPP, tgpp::IMEISV, b"4901542032375101")
            .finish(b"secret")
            .unwrap();
        let packet = Packet::parse(&octets).unwrap();
        let record = parse(&packet, "pgw-1", ClientKind::Gateway, NOW).unwrap();
        assert_eq!((&record.username, record.mac), (&None, None));
        assert!(!format!("{record:?}").contains("0101234567"));
        let feed = feed(&packet, &record);
        assert_eq!(feed.ipv4, Some([10, 64, 0, 2].into()));
        assert_eq!(feed.imsi, Some("001010123456789".parse().unwrap()));
        assert_eq!(feed.imeisv.as_ref().unwrap().equipment(), "49015420323751");
        assert!(!format!("{feed:?}").contains("0101234567"));
    }

    proptest! {
        #[test]
        fn arbitrary_attributes_never_panic(list in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..20)), 0..12), now: u64) {
            let built = list.iter().fold(Builder::accounting_request(3).integer(A::ACCT_STATUS_TYPE, 1), |b, (kind, value)| b.attribute(A(*kind), value));
            let octets = built.finish(b"secret").unwrap();
            let packet = Packet::parse(&octets).unwrap();
            if let Ok(record) = parse(&packet, "ap-1", ClientKind::Gateway, now) {
                prop_assert!(i64::try_from(record.input_octets).is_ok());
                let _ = feed(&packet, &record);
            }
        }
    }
}
