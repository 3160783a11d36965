//! Messages as the kernel lays them out (`include/uapi/linux/nl80211.h`), whole, cut off and arbitrary.

use proptest::prelude::*;

use super::*;

/// One attribute, padded.
fn nla(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + payload.len()).expect("short");
    let mut octets = length.to_ne_bytes().to_vec();
    octets.extend(kind.to_ne_bytes());
    octets.extend(payload);
    octets.resize(octets.len().next_multiple_of(4), 0);
    octets
}

fn generic(command: Command, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut octets = vec![u8::from(command), 1, 0, 0];
    octets.extend(attributes.concat());
    octets
}

fn nested(kind: Attr, inner: &[Vec<u8>]) -> Vec<u8> {
    nla(u16::from(kind) | 0x8000, &inner.concat())
}

fn index(number: u32) -> Vec<u8> {
    nla(Attr::Ifindex.into(), &number.to_ne_bytes())
}

fn entry(elements: &[u8], beacon: &[u8]) -> Vec<u8> {
    generic(
        Command::NewScanResults,
        &[
            index(3),
            nested(
                Attr::Bss,
                &[
                    nla(BssAttr::Bssid.into(), &[2, 0, 0, 0, 0, 9]),
                    nla(BssAttr::Frequency.into(), &2412u32.to_ne_bytes()),
                    nla(BssAttr::Elements.into(), elements),
                    nla(BssAttr::BeaconElements.into(), beacon),
                    nla(BssAttr::SignalMbm.into(), &(-6_150i32).to_ne_bytes()),
                    nla(BssAttr::SeenMsAgo.into(), &84u32.to_ne_bytes()),
                ],
            ),
        ],
    )
}

#[test]
fn a_scan_entry_is_read() {
    let read = bss(&entry(b"\x00\x04corp\x01\x01\x82", b"")).expect("well formed").expect("an entry");
    assert_eq!(
        read,
        Bss {
            bssid: Mac([2, 0, 0, 0, 0, 9]),
            ssid: b"corp".to_vec(),
            signal_dbm: -62,
            frequency_mhz: 2412,
            seen_ms_ago: 84
        }
    );
}

#[test]
fn a_hidden_networks_name_comes_from_its_probe_response() {
    let ssid =
        |elements: &[u8], beacon: &[u8]| bss(&entry(elements, beacon)).expect("read").expect("entry").ssid;
    assert_eq!(ssid(b"\x00\x04corp", b"\x00\x04\0\0\0\0"), b"corp");
    assert_eq!(ssid(b"\x00\x00", b"\x00\x04corp"), b"corp");
    assert_eq!(ssid(b"\x00\x04\0\0\0\0", b""), b"");
    assert_eq!(ssid(b"\x01\x01\x82\x00\x09cut", b""), b"");
}

#[test]
fn the_beacons_average_is_the_signal() {
    let station =
        |inner: &[Vec<u8>]| signal(&generic(Command::NewStation, &[index(3), nested(Attr::StaInfo, inner)]));
    let dbm = |kind: StationAttr, value: i8| nla(kind.into(), &value.to_ne_bytes());
    let all = [
        dbm(StationAttr::Signal, -40),
        dbm(StationAttr::SignalAvg, -50),
        dbm(StationAttr::BeaconSignalAvg, -60),
    ];
    assert_eq!(station(&all), Ok(Some(-60)));
    assert_eq!(station(&all[..2]), Ok(Some(-50)));
    assert_eq!(station(&all[..1]), Ok(Some(-40)));
    assert_eq!(station(&[]), Ok(None));
    // Some drivers say 0 until the first beacon.
    assert_eq!(
        station(&[dbm(StationAttr::BeaconSignalAvg, 0), dbm(StationAttr::Signal, -71)]),
        Ok(Some(-71))
    );
}

#[test]
fn only_stations_are_interfaces_of_ours() {
    let interface = |kind: Nl80211IfType| {
        let kind: u32 = kind.into();
        let attributes =
            [index(4), nla(Attr::Ifname.into(), b"wlan1\0"), nla(Attr::Iftype.into(), &kind.to_ne_bytes())];
        station_interface(&generic(Command::NewInterface, &attributes)).expect("well formed")
    };
    assert_eq!(interface(Nl80211IfType::Station), Some((4, "wlan1".to_owned())));
    assert_eq!(interface(Nl80211IfType::Ap), None);
    assert_eq!(interface(Nl80211IfType::P2pDevice), None);
}

#[test]
fn the_family_and_its_groups_are_read() {
    let group = |name: &[u8], id: u32| {
        nla(
            1,
            &[nla(CtrlAttrMcastGrp::Name.into(), name), nla(CtrlAttrMcastGrp::Id.into(), &id.to_ne_bytes())]
                .concat(),
        )
    };
    let body = generic(
        Command::from(1),
        &[
            nla(CtrlAttr::FamilyId.into(), &28u16.to_ne_bytes()),
            nla(CtrlAttr::McastGroups.into(), &[group(b"scan\0", 6), group(b"mlme\0", 8)].concat()),
        ],
    );
    let groups = vec![("scan".to_owned(), 6), ("mlme".to_owned(), 8)];
    assert_eq!(family(&body), Ok(Some(Family { id: 28, groups })));
}

fn ifinfo(attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut octets = vec![0, 0];
    octets.extend(1u16.to_ne_bytes());
    octets.extend(5i32.to_ne_bytes());
    octets.extend(1u32.to_ne_bytes());
    octets.extend(0u32.to_ne_bytes());
    octets.extend(attributes.concat());
    octets
}

#[test]
fn both_macs_of_a_link_are_read() {
    let name = nla(Ifla::Ifname.into(), b"wlan1\0");
    let current = nla(Ifla::Address.into(), &[2, 0, 0, 0, 1, 0]);
    let permanent = nla(Ifla::PermAddress.into(), &[0, 1, 2, 3, 4, 5]);
    let read = link(&ifinfo(&[name.clone(), current.clone(), permanent])).expect("well formed");
    assert_eq!((read.index, read.name.as_str(), read.up), (5, "wlan1", true));
    assert_eq!(read.current, Some(Mac([2, 0, 0, 0, 1, 0])));
    assert_eq!(read.permanent, Some(Mac([0, 1, 2, 3, 4, 5])));
    let zeroes = nla(Ifla::PermAddress.into(), &[0; 6]);
    assert_eq!(link(&ifinfo(&[name, current, zeroes])).expect("well formed").permanent, None);
    assert_eq!(link(&ifinfo(&[])), Err(Malformed::Payload));
}

fn cqm(inner: &[Vec<u8>]) -> Vec<u8> {
    generic(Command::NotifyCqm, &[index(3), nla(Attr::Mac.into(), &[2; 6]), nested(Attr::Cqm, inner)])
}

#[test]
fn cqm_events_are_told_apart() {
    let event = nla(CqmAttr::RssiThresholdEvent.into(), &0u32.to_ne_bytes());
    let level = nla(CqmAttr::RssiLevel.into(), &(-72i32).to_ne_bytes());
    let told = |inner: &[Vec<u8>]| notice(&cqm(inner), Some(3)).expect("well formed");
    assert_eq!(told(&[event.clone(), level]), Some(Notice::Crossed { level: Some(-72) }));
    assert_eq!(told(&[event]), Some(Notice::Crossed { level: None }));
    assert_eq!(told(&[nla(CqmAttr::BeaconLossEvent.into(), &[])]), Some(Notice::BeaconLoss));
    assert_eq!(told(&[nla(4, &50u32.to_ne_bytes())]), None);
    assert_eq!(notice(&cqm(&[]), Some(4)), Ok(None));
}

#[test]
fn the_end_of_an_association_has_its_reason() {
    let told = |command, attributes: &[Vec<u8>]| {
        notice(&generic(command, attributes), Some(3)).expect("well formed")
    };
    let reason = nla(Attr::ReasonCode.into(), &3u16.to_ne_bytes());
    assert_eq!(
        told(Command::Disconnect, &[index(3), reason]),
        Some(Notice::Disconnected { reason: Some(3) })
    );
    assert_eq!(told(Command::Disconnect, &[index(3)]), Some(Notice::Disconnected { reason: None }));
    let frame = |octets: &[u8]| nla(Attr::Frame.into(), octets);
    let mut whole = vec![0xc0; MANAGEMENT_HEADER];
    whole.extend([7, 0]);
    assert_eq!(
        told(Command::Deauthenticate, &[index(3), frame(&whole)]),
        Some(Notice::Disconnected { reason: Some(7) })
    );
    assert_eq!(
        told(Command::Disassociate, &[index(3), frame(&whole[..20])]),
        Some(Notice::Disconnected { reason: None })
    );
    // Not protected by 802.11w although it should be: anybody may have sent it.
    assert_eq!(told(Command::UnprotDeauthenticate, &[index(3), frame(&whole)]), None);
}

#[test]
fn a_refused_connect_is_no_association() {
    let connect = |status: u16| {
        notice(
            &generic(Command::Connect, &[index(3), nla(Attr::StatusCode.into(), &status.to_ne_bytes())]),
            Some(3),
        )
    };
    assert_eq!(connect(0), Ok(Some(Notice::Connected)));
    assert_eq!(connect(17), Ok(None));
}

#[test]
fn interfaces_matter_whatever_their_index() {
    assert_eq!(notice(&generic(Command::DelInterface, &[index(9)]), None), Ok(Some(Notice::Interfaces)));
    assert_eq!(notice(&generic(Command::NewScanResults, &[index(9)]), None), Ok(None));
    assert_eq!(notice(&generic(Command::NewScanResults, &[index(9)]), Some(9)), Ok(Some(Notice::ScanDone)));
    assert_eq!(notice(&generic(Command::ScanAborted, &[index(9)]), Some(9)), Ok(Some(Notice::ScanAborted)));
    assert_eq!(notice(&[], Some(1)), Err(Malformed::Payload));
}

fn all_parsers(octets: &[u8]) {
    let _ = (family(octets), station_interface(octets), link(octets), bss(octets), signal(octets));
    let _ = (notice(octets, Some(3)), notice(octets, None));
}

proptest! {
    #[test]
    fn any_octets_are_read_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        all_parsers(&octets);
    }

    #[test]
    fn truncations_are_read_without_panic(cut in 0usize..160) {
        for whole in [entry(b"\x00\x04corp", b"\x00\x04corp"), cqm(&[nla(3, &[0; 4]), nla(9, &[0xb8, 0xff, 0xff, 0xff])])] {
            all_parsers(&whole[..cut.min(whole.len())]);
        }
    }

    #[test]
    fn ssids_of_any_octets_survive(ssid in proptest::collection::vec(1u8..=255, 1..=32)) {
        let mut elements = vec![1, 1, 0x82, SSID_ELEMENT, u8::try_from(ssid.len()).expect("short")];
        elements.extend(&ssid);
        let read = bss(&entry(&elements, b"")).expect("well formed").expect("an entry");
        prop_assert_eq!(read.ssid, ssid);
    }

    #[test]
    fn elements_that_lie_about_their_length_do_not_panic(elements in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = bss(&entry(&elements, &elements));
    }
}
