//! Between SMPP 3.4's PDUs and what the rest of this folder says. Pure; the octets are the `rusmpp` crate's matter.

use provisioning::sms::udh;
use rusmpp::{
    Command, CommandStatus, Pdu,
    pdus::{BindTransceiver, DeliverSm, DeliverSmResp, SubmitSm},
    tlvs::{MessageSubmissionRequestTlvValue as Tlv, TlvValue},
    types::{AnyOctetString, COctetString, OctetString},
    values::{DataCoding, EsmClass, InterfaceVersion, MessagePayload, Npi, RegisteredDelivery, Ton},
};

use super::{Settings, settings::Long};
use crate::credential::Msisdn;

/// esm_class (§5.2.12): the user data begins with a header.
const UDHI: u8 = 0x40;
/// esm_class: a delivery receipt.
const RECEIPT: u8 = 0x04;
/// esm_class: message type, bits 5 to 2.
const TYPE: u8 = 0x3c;
/// data_coding (§5.2.19): octets.
const OCTETS: DataCoding = DataCoding::OctetUnspecified2;
/// registered_delivery (§5.2.17): a receipt whatever the outcome.
const WITH_RECEIPT: u8 = 0x01;
/// A receipt's text is about 120 octets; its parts are short.
const MAX_WORD: usize = 65;

/// What one submit_sm carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Of a single message.
    Plain(Vec<u8>),
    /// With its header in front.
    Udh(Vec<u8>),
    /// Of several, joined by parameters beside it.
    Sar(udh::Part, Vec<u8>),
    /// All of it.
    Payload(Vec<u8>),
}

/// A deliver_sm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// From a device.
    Message {
        /// Who sent it, where it is a number that can be told: none for names, which anybody may choose.
        from: Option<Msisdn>,
        /// Which part of which message.
        part: Option<udh::Part>,
        /// Without header.
        data: Vec<u8>,
    },
    /// What became of a part that was sent.
    Receipt {
        /// As the answer to the submit called it.
        id: String,
        /// `DELIVRD`, `EXPIRED`, `UNDELIV` …, or the number of message_state (§5.2.28).
        state: String,
    },
    /// Of no use here; the stable code says why.
    Other(&'static str),
}

/// The bodies of a message.
pub fn cut(message: &[u8], long: Long, reference: u8) -> Vec<Body> {
    if message.len() <= provisioning::sms::SINGLE {
        return vec![Body::Plain(message.to_vec())];
    }
    match long {
        Long::Udh => udh::cut(message, reference).into_iter().map(Body::Udh).collect(),
        Long::Sar => {
            let parts = message.chunks(udh::PART);
            let total = u8::try_from(parts.len()).unwrap_or(u8::MAX);
            let part = |number| udh::Part { reference: reference.into(), total, number };
            (1..=total).zip(parts).map(|(number, data)| Body::Sar(part(number), data.to_vec())).collect()
        }
        Long::Payload => vec![Body::Payload(message.to_vec())],
    }
}

/// bind_transceiver (§4.1.5).
pub fn bind(settings: &Settings, sequence: u32) -> Option<Command> {
    let bind = BindTransceiver {
        system_id: text(&settings.system_id)?,
        password: text(settings.password.expose())?,
        system_type: text(&settings.system_type)?,
        interface_version: InterfaceVersion::Smpp3_4,
        ..BindTransceiver::default()
    };
    Some(command(sequence, bind))
}

/// submit_sm (§4.4.1).
pub fn submit(settings: &Settings, to: &Msisdn, body: &Body, sequence: u32) -> Option<Command> {
    let mut submit = SubmitSm::default();
    submit.source_addr_ton = Ton::from(settings.source.ton);
    submit.source_addr_npi = Npi::from(settings.source.npi);
    submit.source_addr = text(&settings.source.text)?;
    submit.dest_addr_ton = Ton::from(settings.dest_ton);
    submit.dest_addr_npi = Npi::from(settings.dest_npi);
    submit.destination_addr = text(to.expose())?;
    submit.data_coding = OCTETS;
    submit.registered_delivery = RegisteredDelivery::from(if settings.receipts { WITH_RECEIPT } else { 0 });
    // The library's own default is another message type than none.
    submit.esm_class = EsmClass::from(if matches!(body, Body::Udh(_)) { UDHI } else { 0 });
    match body {
        Body::Plain(data) | Body::Udh(data) => submit.set_short_message(OctetString::from_slice(data).ok()?),
        Body::Sar(part, data) => {
            submit.set_short_message(OctetString::from_slice(data).ok()?);
            submit.push_tlv(Tlv::SarMsgRefNum(part.reference));
            submit.push_tlv(Tlv::SarTotalSegments(part.total));
            submit.push_tlv(Tlv::SarSegmentSeqnum(part.number));
        }
        Body::Payload(data) => {
            let payload = MessagePayload::new(AnyOctetString::from_slice(data));
            submit.push_tlv(Tlv::MessagePayload(payload));
        }
    }
    Some(command(sequence, submit))
}

/// deliver_sm_resp (§4.6.2): taken, or to be brought again.
pub fn delivered(sequence: u32, taken: bool) -> Command {
    let status = if taken { CommandStatus::EsmeRok } else { CommandStatus::EsmeRxTAppn };
    Command::new(status, sequence, Pdu::DeliverSmResp(DeliverSmResp::default()))
}

/// A request of ours.
pub fn command(sequence: u32, pdu: impl Into<Pdu>) -> Command {
    Command::new(CommandStatus::EsmeRok, sequence, pdu)
}

/// What a deliver_sm means.
pub fn incoming(deliver: &DeliverSm) -> Incoming {
    let class = u8::from(deliver.esm_class);
    let payload = deliver.tlvs().iter().find_map(|tlv| match tlv.value() {
        Some(TlvValue::MessagePayload(payload)) => Some(payload.value.as_ref()),
        _ => None,
    });
    let data: &[u8] = payload.unwrap_or_else(|| deliver.short_message().as_ref());
    match class & TYPE {
        RECEIPT => return receipt(deliver, data),
        0 => {}
        _ => return Incoming::Other("sms-notification"),
    }
    let from = sender(deliver);
    if class & UDHI != 0 {
        return match udh::split(data) {
            Some((part, data)) => Incoming::Message { from, part, data: data.to_vec() },
            None => Incoming::Other("sms-header"),
        };
    }
    Incoming::Message { from, part: sar(deliver), data: data.to_vec() }
}

/// A number in international form, or said to be none of any kind, which message centres write instead.
fn sender(deliver: &DeliverSm) -> Option<Msisdn> {
    match deliver.source_addr_ton {
        Ton::International | Ton::Unknown => deliver.source_addr.as_str().parse().ok(),
        _ => None,
    }
}

fn sar(deliver: &DeliverSm) -> Option<udh::Part> {
    let (mut reference, mut total, mut number) = (None, None, None);
    for tlv in deliver.tlvs() {
        match tlv.value() {
            Some(TlvValue::SarMsgRefNum(value)) => reference = Some(*value),
            Some(TlvValue::SarTotalSegments(value)) => total = Some(*value),
            Some(TlvValue::SarSegmentSeqnum(value)) => number = Some(*value),
            _ => {}
        }
    }
    let part = udh::Part { reference: reference?, total: total?, number: number? };
    (1..=part.total).contains(&part.number).then_some(part)
}

/// By parameters (§5.3.2.12, §5.3.2.35), else by the text that appendix B describes.
fn receipt(deliver: &DeliverSm, data: &[u8]) -> Incoming {
    let (mut id, mut state) = (None, None);
    for tlv in deliver.tlvs() {
        match tlv.value() {
            Some(TlvValue::ReceiptedMessageId(value)) => id = Some(value.as_str().to_owned()),
            Some(TlvValue::MessageState(value)) => state = Some(u8::from(*value).to_string()),
            _ => {}
        }
    }
    let text = String::from_utf8_lossy(data);
    let word = |name: &str| {
        let (_, rest) = text.split_once(name)?;
        let word = rest.split_ascii_whitespace().next()?;
        Some(word.chars().filter(char::is_ascii_graphic).take(MAX_WORD).collect::<String>())
    };
    match (word("id:").or(id), word("stat:").or(state)) {
        (Some(id), Some(state)) => Incoming::Receipt { id, state },
        _ => Incoming::Other("sms-receipt"),
    }
}

fn text<const MAX: usize>(text: &str) -> Option<COctetString<1, MAX>> {
    text.parse().ok()
}

#[cfg(test)]
mod tests;
