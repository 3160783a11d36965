//! What is written is read back the same; what is cut or spoilt is refused; nothing panics.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may assume")]

mod common;

use common::{credential, refusal, report, request};
use proptest::prelude::*;
use provisioning::xml::{
    MAX_BODY, decode_credential, decode_refusal, decode_report, decode_request, encode_credential,
    encode_refusal, encode_report, encode_request,
};

proptest! {
    #[test]
    fn requests_round_trip(request in request()) {
        let written = encode_request(&request).expect("writable");
        prop_assert_eq!(decode_request(written.as_bytes()), Ok(request.clone()));
        let digits = |r: &provisioning::message::CredentialRequest| r.imei.as_ref().map(|i| i.expose().to_owned());
        prop_assert_eq!(decode_request(written.as_bytes()).ok().and_then(|r| digits(&r)), digits(&request));
    }

    #[test]
    fn credentials_round_trip(credential in credential()) {
        let written = encode_credential(&credential).expect("writable");
        prop_assert_eq!(decode_credential(written.as_bytes()), Ok(credential));
    }

    #[test]
    fn reports_round_trip(report in report()) {
        let written = encode_report(&report).expect("writable");
        prop_assert_eq!(decode_report(written.as_bytes()), Ok(report));
    }

    #[test]
    fn refusals_round_trip(refusal in refusal()) {
        let written = encode_refusal(&refusal).expect("writable");
        prop_assert_eq!(decode_refusal(written.as_bytes()), Ok(refusal));
    }

    #[test]
    fn truncated_messages_are_refused(
        request in request(), credential in credential(), refusal in refusal(), at in any::<prop::sample::Index>(),
    ) {
        // The last octet is the line feed after the root element; all before it is needed.
        let cut = |whole: &[u8]| whole[..at.index(whole.len() - 1)].to_vec();
        prop_assert!(decode_request(&cut(encode_request(&request).expect("writable").as_bytes())).is_err());
        prop_assert!(decode_credential(&cut(encode_credential(&credential).expect("writable").as_bytes())).is_err());
        prop_assert!(decode_refusal(&cut(encode_refusal(&refusal).expect("writable").as_bytes())).is_err());
    }

    #[test]
    fn spoilt_messages_do_not_panic(
        credential in credential(), at in any::<prop::sample::Index>(), octet in any::<u8>(),
    ) {
        let mut octets = encode_credential(&credential).expect("writable").as_bytes().to_vec();
        let at = at.index(octets.len());
        octets[at] = octet;
        let _ = decode_credential(&octets);
    }

    #[test]
    fn arbitrary_octets_do_not_panic(octets in proptest::collection::vec(any::<u8>(), 0..4096)) {
        prop_assert!(decode_request(&octets).is_err());
        prop_assert!(decode_credential(&octets).is_err());
        prop_assert!(decode_refusal(&octets).is_err());
    }

    #[test]
    fn a_newer_reply_is_understood_and_a_newer_request_refused(credential in credential(), request in request()) {
        let more = "<more why=\"x\"><username>not me</username></more>";
        let newer = encode_credential(&credential).expect("writable").as_str()
            .replacen("<password>", &format!("{more}<password>"), 1)
            .replacen("<outer>", &format!("{more}<outer lang=\"en\">"), 1)
            .replacen("<version>", &format!("{more}<version>"), 1);
        prop_assert_eq!(decode_credential(newer.as_bytes()), Ok(credential));
        let newer = encode_request(&request).expect("writable").as_str().replacen("<mac>", &format!("{more}<mac>"), 1);
        prop_assert!(decode_request(newer.as_bytes()).is_err());
    }
}

#[test]
fn oversized_messages_are_refused_whatever_they_hold() {
    let octets = vec![b'<'; MAX_BODY + 1];
    assert_eq!(decode_request(&octets).err().map(|e| e.code()), Some("too-large"));
    assert_eq!(decode_credential(&octets).err().map(|e| e.code()), Some("too-large"));
}
