//! `<credential-request>`: the device's identifiers, WLAN address and reason, read strictly.
//!
//! The portal must not act on a message that it only half understood, so whatever the schema does not name, names
//! twice or orders otherwise is refused.

use super::{
    XmlError,
    names::Named,
    read::{Node, parse},
    text::{ascii, mac, number, station},
    write::{Document, Writer},
};
use crate::message::{CredentialRequest, Trigger};

pub(super) const ROOT: &str = "credential-request";
pub(super) const MAX_AGENT: usize = 64;

/// Writes what the device asks.
pub fn encode_request(request: &CredentialRequest) -> Result<Document, XmlError> {
    if request.imsi.is_none() && request.imei.is_none() {
        return Err(XmlError::NoIdentifier);
    }
    Writer::document(ROOT, |w| {
        if let Some(imsi) = &request.imsi {
            w.leaf("imsi", imsi.expose());
        }
        if let Some(imei) = &request.imei {
            w.leaf("imei", imei.expose());
        }
        w.leaf("mac", &station("mac", request.mac)?);
        w.leaf("trigger", request.trigger.name("trigger")?);
        w.leaf("agent", ascii("agent", &request.agent, MAX_AGENT)?);
        if let Some(version) = request.policy_version {
            w.leaf("policy-version", &version.to_string());
        }
        Ok(())
    })
}

/// Reads what a device asks.
pub fn decode_request(octets: &[u8]) -> Result<CredentialRequest, XmlError> {
    read_request(parse(octets, ROOT)?)
}

/// The same, of an element that stands in something else.
pub(super) fn read_request(root: Node) -> Result<CredentialRequest, XmlError> {
    let root = root.expect(ROOT)?;
    let mut fields = root.in_order(ROOT)?;
    let imsi = fields.optional("imsi")?;
    let imei = fields.optional("imei")?;
    if imsi.is_none() && imei.is_none() {
        return Err(XmlError::NoIdentifier);
    }
    let request = CredentialRequest {
        imsi: imsi.map(str::parse).transpose().map_err(|_| XmlError::Value { element: "imsi" })?,
        imei: imei.map(str::parse).transpose().map_err(|_| XmlError::Value { element: "imei" })?,
        mac: mac("mac", fields.required("mac")?)?,
        trigger: Trigger::read("trigger", fields.required("trigger")?)?,
        agent: ascii("agent", fields.required("agent")?, MAX_AGENT)?.to_owned(),
        policy_version: match fields.optional("policy-version")? {
            Some(text) => Some(number("policy-version", text)?),
            None => None,
        },
    };
    fields.end()?;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::NAMESPACE;

    const IMSI: &str = "<imsi>001010123456789</imsi>";
    const IMEI: &str = "<imei>490154203237518</imei>";
    const REST: &str = "<mac>02:00:00:00:00:01</mac><trigger>attach</trigger><agent>a/1</agent>";

    fn decode(inner: &str) -> Result<CredentialRequest, XmlError> {
        decode_request(format!("<{ROOT} xmlns='{NAMESPACE}'>{inner}</{ROOT}>").as_bytes())
    }

    #[test]
    fn one_identifier_is_enough_and_none_is_not() {
        assert!(decode(&format!("{IMSI}{IMEI}{REST}")).is_ok());
        assert!(decode(&format!("{IMSI}{REST}")).is_ok_and(|r| r.imei.is_none()));
        assert!(decode(&format!("{IMEI}{REST}")).is_ok_and(|r| r.imsi.is_none()));
        assert_eq!(decode(REST), Err(XmlError::NoIdentifier));
    }

    #[test]
    fn unknown_repeated_misplaced_and_missing_elements_are_refused() {
        let unexpected = Err(XmlError::Unexpected { within: ROOT });
        let missing = |element| Err(XmlError::Missing { element });
        assert_eq!(decode(&format!("{IMSI}{REST}<more/>")), unexpected);
        assert_eq!(decode(&format!("{IMSI}{REST}{REST}")), unexpected);
        assert_eq!(decode(&format!("{IMSI}{IMSI}{REST}")), unexpected);
        assert_eq!(decode(&format!("{IMEI}{IMSI}{REST}")), unexpected);
        assert_eq!(decode(&format!("{IMSI}<x:y xmlns:x='urn:x'/>{REST}")), unexpected);
        assert_eq!(decode(&format!("{IMSI}text{REST}")), unexpected);
        assert_eq!(decode(IMSI), missing("mac"));
        assert_eq!(decode(&format!("{IMSI}{}", REST.replace("<agent>a/1</agent>", ""))), missing("agent"));
        let nested = format!("{IMSI}{}", REST.replace("attach", "<attach/>"));
        assert_eq!(decode(&nested), Err(XmlError::Unexpected { within: "trigger" }));
        let attribute = format!("{IMSI}{}", REST.replace("<mac>", "<mac kind='x'>"));
        assert_eq!(decode(&attribute), Err(XmlError::Unexpected { within: "mac" }));
    }

    #[test]
    fn bad_values_are_refused_without_being_repeated() {
        for (element, good, bad) in [
            ("imsi", "001010123456789", "00101012345678x"),
            ("imsi", "001010123456789", " 001010123456789"),
            ("imei", "490154203237518", "49015420323751"),
            ("mac", "02:00:00:00:00:01", "01:00:5e:00:00:01"),
            ("trigger", "attach", "Attach"),
            ("agent", "a/1", "a\n1"),
            ("agent", "a/1", ""),
        ] {
            let text = format!("{IMSI}{IMEI}{REST}").replacen(good, bad, 1);
            let result = decode(&text);
            if bad == "49015420323751" {
                assert!(result.is_ok(), "14 digits are an IMEI without check digit");
            } else {
                let error = result.expect_err(bad);
                assert_eq!(error, XmlError::Value { element });
                assert!(bad.is_empty() || !error.to_string().contains(bad));
            }
        }
    }

    #[test]
    fn what_could_not_be_read_back_is_not_written() {
        let good = decode(&format!("{IMSI}{REST}")).expect("valid");
        let nobody = CredentialRequest { imsi: None, ..good.clone() };
        assert_eq!(encode_request(&nobody).err(), Some(XmlError::NoIdentifier));
        let long = CredentialRequest { agent: "a".repeat(MAX_AGENT + 1), ..good };
        assert_eq!(encode_request(&long).err(), Some(XmlError::Value { element: "agent" }));
    }
}
