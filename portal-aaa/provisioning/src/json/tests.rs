//! What is refused, with which field; that nothing of the content comes back in an error.

use super::*;

const REST: &str = r#""mac":"02:00:00:00:00:01","trigger":"attach","agent":"a/1""#;
const IMSI: &str = r#""imsi":"001010123456789","#;

fn request(fields: &str) -> Result<CredentialRequest, JsonError> {
    decode_request(format!(r#"{{"credential-request":{{{fields}}}}}"#).as_bytes())
}

#[test]
fn a_request_is_read_strictly() {
    assert!(request(&format!("{IMSI}{REST}")).is_ok());
    let within = "credential-request";
    for (fields, error) in [
        (REST.to_owned(), JsonError::NoIdentifier),
        (format!(r#"{IMSI}{REST},"more":1"#), JsonError::Unexpected { within }),
        (format!(r#"{IMSI}{REST},"Imei":"490154203237518""#), JsonError::Unexpected { within }),
        (format!("{IMSI}{REST},{REST}"), JsonError::Twice),
        (IMSI.trim_end_matches(',').to_owned(), JsonError::Missing { field: "mac" }),
        (format!("{IMSI}{}", REST.replace("agent", "imei")), JsonError::Value { field: "imei" }),
    ] {
        assert_eq!(request(&fields), Err(error), "{fields}");
    }
    let expected = JsonError::Root { expected: within };
    for whole in [
        "[]",
        "1",
        "{}",
        &format!("{{{IMSI}{REST}}}"),
        &format!(r#"{{"credential-request":{{{IMSI}{REST}}},"more":1}}"#),
    ] {
        assert_eq!(decode_request(whole.as_bytes()), Err(expected), "{whole}");
    }
    // A list of the fields' values in their order is no object.
    let list = r#"{"credential-request":["001010123456789",null,"02:00:00:00:00:01","attach","a/1"]}"#;
    assert_eq!(decode_request(list.as_bytes()), Err(JsonError::Value { field: within }));
}

#[test]
fn bad_values_are_refused_with_their_field_and_without_being_repeated() {
    for (field, good, bad) in [
        ("imsi", r#""001010123456789""#, r#""00101012345678x""#),
        ("imsi", r#""001010123456789""#, "262010123456789"),
        ("imsi", r#""001010123456789""#, "null"),
        ("imsi", r#""001010123456789""#, r#"["001010123456789"]"#),
        ("mac", "02:00:00:00:00:01", "01:00:5e:00:00:01"),
        ("mac", "02:00:00:00:00:01", "02-00-00-00-00-01"),
        ("mac", r#""02:00:00:00:00:01""#, r#"{"secret":1}"#),
        ("trigger", "attach", "Attach"),
        ("trigger", r#""attach""#, "1"),
        ("trigger", r#""attach""#, r#"{"attach":1}"#),
        ("trigger", r#""attach""#, r#"{"attach":null}"#),
        ("agent", "a/1", "a\\n1"),
        ("agent", "a/1", ""),
        ("agent", r#""a/1""#, "true"),
    ] {
        let error = request(&format!("{IMSI}{REST}").replacen(good, bad, 1)).expect_err(bad);
        assert_eq!(error, JsonError::Value { field }, "{bad}");
        assert_eq!((error.code(), error.field()), ("bad-value", Some(field)));
        assert!(bad.is_empty() || !error.to_string().contains(bad));
    }
}

const CREDENTIAL_TEXT: &str = include_str!("../../tests/vectors/json/credential.json");

#[test]
fn a_newer_reply_is_understood() {
    let good = decode_credential(CREDENTIAL_TEXT.as_bytes()).expect("the vector");
    let more = r#""more":{"username":["not me"]},"#;
    let mut newer = CREDENTIAL_TEXT.to_owned();
    for place in ["\"credential\"", "\"username\"", "\"outer\"", "\"mode\"", "\"version\"", "\"ssid\""] {
        assert!(newer.contains(place), "{place}");
        newer = newer.replacen(place, &format!("{more}{place}"), 1);
    }
    assert_eq!(decode_credential(newer.as_bytes()), Ok(good));
}

#[test]
fn bad_replies_are_refused_with_their_field() {
    let long = format!("\"{}\"", "x".repeat(33));
    for (field, good, bad) in [
        ("username", "\"opaque-token@operator.example\"", "1"),
        ("username", "opaque-token@operator.example", "a\\u0000b"),
        ("password", "\"correct horse <&> battery\"", "\"\""),
        ("password", "\"correct horse <&> battery\"", "null"),
        ("outer", "\"peap\"", "\"fast\""),
        ("ca", "\"-----BEGIN", "3, \"x\": \"-----BEGIN"),
        ("mode", "\"permanent\"", "\"random\""),
        ("mac", "\"permanent\"", "\"issued\""),
        ("mac", "\"permanent\"", "\"permanent\", \"address\": \"02:00:00:00:00:01\""),
        ("address", "\"permanent\"", "\"issued\", \"address\": \"03:00:00:00:00:01\""),
        ("issued", "2026-11-23T20:00:00Z", "2026-11-23"),
        ("expires", "\"2026-11-24T20:00:00Z\"", "5"),
        ("one-time", "false", "\"false\""),
        ("ssid", "\"Operator\"", long.as_str()),
        ("priority", "\"priority\": 1", "\"priority\": 1.5"),
        ("priority", "\"priority\": 1", "\"priority\": 99999999999"),
        ("enter-dbm", "-67", "\"-67\""),
        ("dwell-secs", "\"dwell-secs\": 3", "\"dwell-secs\": -3"),
        ("probe-url", "http://10.99.0.1/generate_204", "a\\nb"),
        ("cellular-after-move", "\"down\"", "\"up\""),
    ] {
        assert!(CREDENTIAL_TEXT.contains(good), "{good}");
        let read = decode_credential(CREDENTIAL_TEXT.replacen(good, bad, 1).as_bytes());
        assert_eq!(read, Err(JsonError::Value { field }), "{bad}");
    }
    let without = CREDENTIAL_TEXT.replace("\"server-name\"", "\"server\"");
    assert_eq!(decode_credential(without.as_bytes()), Err(JsonError::Missing { field: "server-name" }));
    let unknown = r#"{"refusal":{"reason":"moon-phase"}}"#;
    assert_eq!(decode_refusal(unknown.as_bytes()), Err(JsonError::Value { field: "reason" }));
}

#[test]
fn parts_of_a_second_are_rounded_up() {
    use crate::message::Reason;
    let wait = |wait| {
        let refusal = Refusal::new(Reason::NoSession, Some(wait));
        let written = encode_refusal(&refusal).expect("fits");
        decode_refusal(written.as_bytes()).expect("valid").retry_after.map(|wait| wait.as_secs())
    };
    assert_eq!(wait(std::time::Duration::from_millis(1500)), Some(2));
    assert_eq!(wait(std::time::Duration::MAX), Some(u32::MAX.into()));
}

#[test]
fn nothing_longer_than_the_limit_is_written() {
    let mut credential = decode_credential(CREDENTIAL_TEXT.as_bytes()).expect("the vector");
    // A line feed takes one octet in XML and two here.
    credential.eap.ca_pem = "\n".repeat(MAX_BODY * 2 / 3);
    assert!(xml::encode_credential(&credential).is_ok());
    assert_eq!(encode_credential(&credential).err(), Some(JsonError::TooLarge));
}
