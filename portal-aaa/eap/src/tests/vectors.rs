//! Test vectors as text, `#` begins a comment: examples of an RFC as `NAME = HEX` or `NAME = 'text'` a line, and formats
//! as pairs of `decode HEX` and `match TEXT`.

use crate::{
    mschapv2::Message,
    packet::{Code, Identifier, Packet, nak},
    peap::{Outcome, Tlvs},
    ttls::Avps,
};

/// One file.
pub(crate) struct Vectors(&'static str);

impl Vectors {
    pub(crate) fn read(text: &'static str) -> Self {
        Self(text)
    }

    /// The octets of a name.
    pub(crate) fn get(&self, name: &str) -> Vec<u8> {
        let lines = self.0.lines().filter(|line| !line.starts_with('#'));
        let mut pairs = lines.filter_map(|line| line.split_once(" = "));
        let (_, value) = pairs.find(|(found, _)| *found == name).unwrap();
        match value.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
            Some(text) => text.as_bytes().to_vec(),
            None => value.split(' ').map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect(),
        }
    }

    /// The same where the length is known.
    pub(crate) fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.get(name).try_into().unwrap()
    }
}

/// Runs a file of pairs of lines, `decode HEX` and `match TEXT`: what the octets are shown as.
fn run(text: &str, show: impl Fn(&[u8]) -> String) {
    let mut lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut pairs = 0;
    while let Some(line) = lines.next() {
        let hex = line.strip_prefix("decode").unwrap();
        let octets: Vec<u8> =
            hex.split_whitespace().map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect();
        let expected = lines.next().and_then(|line| line.strip_prefix("match ")).unwrap();
        assert_eq!(show(&octets), expected, "{line}");
        pairs += 1;
    }
    assert!(pairs > 9, "an empty file proves nothing");
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!(" {octet:02X}")).collect()
}

#[test]
fn rfc_3748() {
    run(include_str!("../../vectors/rfc3748.txt"), |octets| match Packet::parse(octets) {
        Err(error) => format!("{error:?}"),
        Ok(Packet { code, identifier: Identifier(identifier), .. }) if code == Code::SUCCESS => {
            format!("success {identifier}")
        }
        Ok(Packet { code, identifier: Identifier(identifier), .. }) if code == Code::FAILURE => {
            format!("failure {identifier}")
        }
        Ok(packet) => {
            let code = if packet.code == Code::REQUEST { "request" } else { "response" };
            let (kind, data) = packet.method().unwrap();
            let wants = match nak(kind, data) {
                None => String::new(),
                Some(types) if types.is_empty() => ", wants nothing".to_owned(),
                Some(types) => {
                    let types: String = types.iter().map(|kind| format!(" {}", kind.0)).collect();
                    format!(", wants{types}")
                }
            };
            format!("{code} {}, type {}:{}{wants}", packet.identifier.0, kind.0, hex(data))
        }
    });
}

#[test]
fn rfc_5281() {
    run(include_str!("../../vectors/rfc5281.txt"), |octets| {
        let Some(avps) = Avps::parse(octets) else { return "broken".to_owned() };
        let avps: Vec<String> = avps
            .iter()
            .map(|avp| {
                let mandatory = if avp.mandatory { " M" } else { "" };
                format!("{}:{}{mandatory}{}", avp.code.vendor, avp.code.code, hex(avp.data))
            })
            .collect();
        if avps.is_empty() { "nothing".to_owned() } else { avps.join(", ") }
    });
}

#[test]
fn ms_peap() {
    run(include_str!("../../vectors/ms-peap.txt"), |octets| {
        let Some(tlvs) = Tlvs::parse(octets) else { return "broken".to_owned() };
        let result = tlvs.result.map(|Outcome(result)| format!("result {result}"));
        let binding = tlvs.binding.map(|binding| format!("binding with nonce{}", hex(&binding.nonce())));
        let stranger = tlvs.unknown_mandatory.then(|| "mandatory stranger".to_owned());
        let parts: Vec<String> = [result, binding, stranger].into_iter().flatten().collect();
        if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
    });
}

#[test]
fn eap_mschapv2() {
    run(include_str!("../../vectors/eap-mschapv2.txt"), |octets| {
        let Some((message, id)) = Message::parse(octets) else { return "broken".to_owned() };
        match message {
            Message::Challenge { challenge, name } => {
                format!("challenge {id} of{}:{}", hex(name), hex(&challenge))
            }
            Message::Response { response, name } => {
                format!("response {id} of{}:{}", hex(name), hex(&response.nt_response))
            }
            Message::Success(text) => format!("success {id}:{}", hex(text)),
            Message::Failure(text) => format!("failure {id}:{}", hex(text)),
            Message::ChangePassword => format!("change-password {id}"),
        }
    });
}
