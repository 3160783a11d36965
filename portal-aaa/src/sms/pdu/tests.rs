use proptest::{collection::vec, prelude::*};
use rusmpp::{pdus::DeliverSm, tlvs::MessageDeliveryRequestTlvValue as In, values::MessageState};

use super::*;
use crate::sms::session::tests::settings;

fn to() -> Msisdn {
    "+15551234567".parse().unwrap()
}

fn submitted(body: &Body) -> SubmitSm {
    match submit(&settings(), &to(), body, 7).unwrap().pdu() {
        Some(Pdu::SubmitSm(submit)) => submit.clone(),
        other => panic!("{other:?}"),
    }
}

/// As a message centre passes a submit on.
fn turned(submit: &SubmitSm) -> DeliverSm {
    let mut deliver = DeliverSm::default();
    deliver.source_addr_ton = Ton::International;
    deliver.source_addr = submit.destination_addr.clone();
    deliver.esm_class = submit.esm_class;
    deliver.set_short_message(submit.short_message().clone());
    for tlv in submit.tlvs() {
        match tlv.value().unwrap() {
            TlvValue::SarMsgRefNum(value) => deliver.push_tlv(In::SarMsgRefNum(*value)),
            TlvValue::SarTotalSegments(value) => deliver.push_tlv(In::SarTotalSegments(*value)),
            TlvValue::SarSegmentSeqnum(value) => deliver.push_tlv(In::SarSegmentSeqnum(*value)),
            TlvValue::MessagePayload(value) => deliver.push_tlv(In::MessagePayload(value.clone())),
            other => panic!("{other:?}"),
        }
    }
    deliver
}

proptest! {
    #[test]
    fn what_is_cut_one_way_is_understood(message in vec(any::<u8>(), 1..1300), reference: u8) {
        for long in [Long::Udh, Long::Sar, Long::Payload] {
            let mut joined = Vec::new();
            let bodies = cut(&message, long, reference);
            let several = bodies.len() > 1;
            for (number, body) in (1u8..).zip(&bodies) {
                let submit = submitted(body);
                prop_assert!(submit.short_message().len() <= 140);
                let class = u8::from(submit.esm_class);
                prop_assert_eq!(class, if several && long == Long::Udh { 0x40 } else { 0 });
                let Incoming::Message { from, part, data } = incoming(&turned(&submit)) else { panic!() };
                prop_assert_eq!(from, Some(to()));
                prop_assert_eq!(part.map(|part| part.number), several.then_some(number));
                joined.extend(data);
            }
            prop_assert_eq!(&joined, &message);
        }
    }

    #[test]
    fn any_delivery_is_understood_or_put_aside(class: u8, ton in 0u8..8, source in "[0-9a-z+]{0,20}", data in vec(any::<u8>(), 0..255)) {
        let mut deliver = DeliverSm::default();
        deliver.esm_class = EsmClass::from(class);
        deliver.source_addr_ton = Ton::from(ton);
        deliver.source_addr = text(&source).unwrap();
        deliver.set_short_message(OctetString::from_slice(&data).unwrap());
        if let Incoming::Message { from: Some(from), .. } = incoming(&deliver) {
            prop_assert!(ton <= 1 && source.ends_with(from.expose()));
        }
    }
}

#[test]
fn numbers_are_believed_names_are_not() {
    let from = |ton, source: &str| {
        let mut deliver = DeliverSm::default();
        deliver.esm_class = EsmClass::from(0);
        deliver.source_addr_ton = Ton::from(ton);
        deliver.source_addr = text(source).unwrap();
        match incoming(&deliver) {
            Incoming::Message { from, .. } => from,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(from(1, "15551234567"), Some(to()));
    assert_eq!(from(0, "+15551234567"), Some(to()));
    for (ton, source) in [(5, "15551234567"), (2, "5551234567"), (0, "05551234567"), (1, "Bank"), (1, "")] {
        assert_eq!(from(ton, source), None, "{ton} {source}");
    }
}

#[test]
fn receipts_are_read_from_text_or_parameters() {
    let mut deliver = DeliverSm::default();
    deliver.esm_class = EsmClass::from(RECEIPT);
    let text =
        "id:0012ab sub:001 dlvrd:001 submit date:2611281200 done date:2611281201 stat:DELIVRD err:000 text:";
    deliver.set_short_message(OctetString::from_static_str(text).unwrap());
    let told = |id: &str, state: &str| Incoming::Receipt { id: id.to_owned(), state: state.to_owned() };
    assert_eq!(incoming(&deliver), told("0012ab", "DELIVRD"));
    deliver.set_short_message(OctetString::null());
    assert_eq!(incoming(&deliver), Incoming::Other("sms-receipt"));
    deliver.push_tlv(In::ReceiptedMessageId("7".parse().unwrap()));
    deliver.push_tlv(In::MessageState(MessageState::Undeliverable));
    assert_eq!(incoming(&deliver), told("7", "5"));
}
