//! A packet that goes through a proxy and back means the same at both ends.

use proptest::prelude::*;

use super::*;
use crate::{
    MessageAuthenticator, check_message_authenticator, check_reply, hide_password, reveal_password,
    unwrap_key,
};

const NAS: &[u8] = b"secret of the access point";
const HOME: &[u8] = b"secret of the home server";

fn onward(authenticator: [u8; 16]) -> Onward<'static> {
    Onward { identifier: 77, authenticator, secret: HOME, user_name: None, proxy_state: b"ours" }
}

fn kinds(packet: &Packet<'_>) -> Vec<u8> {
    packet.attributes().map(|attribute| attribute.kind.0).collect()
}

#[test]
fn a_request_is_signed_and_hidden_for_the_next_hop() {
    let hidden = hide_password(b"correct horse battery staple", NAS, &[1; 16]).unwrap();
    let octets = Builder::access_request(5, [1; 16])
        .text(AttributeType::USER_NAME, "guest@partner.example")
        .attribute(AttributeType::PROXY_STATE, b"another's")
        .attribute(AttributeType::USER_PASSWORD, &hidden)
        .attribute(AttributeType(245), &[1, 0x80, 9])
        .finish(NAS)
        .unwrap();
    let request = Packet::parse(&octets).unwrap();
    let stripped = Onward { user_name: Some("guest"), ..onward([2; 16]) };
    let sent = forward_request(&request, NAS, &stripped).unwrap();
    let sent = Packet::parse(&sent).unwrap();
    assert_eq!((sent.identifier(), sent.authenticator()), (77, &[2; 16]));
    assert_eq!(kinds(&sent), [80, 1, 33, 2, 245, 33]);
    assert_eq!(check_message_authenticator(&sent, HOME), MessageAuthenticator::Valid);
    assert_eq!(sent.text(AttributeType::USER_NAME), Some("guest"));
    let password = reveal_password(sent.get(AttributeType::USER_PASSWORD).unwrap(), HOME, &[2; 16]).unwrap();
    assert_eq!(&password[..], b"correct horse battery staple");
    let states: Vec<_> = sent.all(AttributeType::PROXY_STATE).map(|state| state.value).collect();
    assert_eq!(states, [&b"another's"[..], b"ours"]);
}

#[test]
fn a_chap_challenge_that_was_the_authenticator_goes_along() {
    let ask = |challenge: Option<&[u8]>| {
        let request = Builder::access_request(5, [1; 16]).attribute(AttributeType::CHAP_PASSWORD, &[3; 17]);
        let request =
            challenge.into_iter().fold(request, |r, c| r.attribute(AttributeType::CHAP_CHALLENGE, c));
        let octets = request.finish(NAS).unwrap();
        let sent = forward_request(&Packet::parse(&octets).unwrap(), NAS, &onward([2; 16])).unwrap();
        Packet::parse(&sent)
            .unwrap()
            .all(AttributeType::CHAP_CHALLENGE)
            .map(|a| a.value.to_vec())
            .collect::<Vec<_>>()
    };
    assert_eq!(ask(None), [vec![1; 16]]);
    assert_eq!(ask(Some(&[9; 16])), [vec![9; 16]]);
}

#[test]
fn an_answer_comes_back_with_keys_that_the_access_point_can_open() {
    let octets = Builder::access_request(5, [1; 16])
        .attribute(AttributeType::PROXY_STATE, b"one")
        .attribute(AttributeType::PROXY_STATE, b"two")
        .finish(NAS)
        .unwrap();
    let request = Packet::parse(&octets).unwrap();
    let onward = onward([2; 16]);
    let sent = forward_request(&request, NAS, &onward).unwrap();
    let sent = Packet::parse(&sent).unwrap();
    let mut msk = [0; 64];
    msk.iter_mut().zip(1..).for_each(|(octet, n)| *octet = n);
    let answer = Builder::reply(Code::ACCESS_ACCEPT, &sent)
        .mppe_keys(&msk, [8, 9], HOME)
        .vendor(Vendor::WISPR, crate::wispr::REDIRECTION_URL, b"http://example.net/")
        .eap(&[3, 1, 0, 4])
        .finish(HOME)
        .unwrap();
    let answer = Packet::parse(&answer).unwrap();
    assert_eq!(check_reply(&answer, &sent, HOME), Ok(()));
    let returned = return_reply(&answer, &onward, &request, NAS).unwrap();
    let returned = Packet::parse(&returned).unwrap();
    assert_eq!(check_reply(&returned, &request, NAS), Ok(()));
    assert_eq!(kinds(&returned), [80, 33, 33, 26, 26, 26, 79]);
    let states: Vec<_> = returned.all(AttributeType::PROXY_STATE).map(|state| state.value).collect();
    assert_eq!(states, [b"one", b"two"]);
    let key = |kind| unwrap_key(returned.vendor(Vendor::MICROSOFT, kind).unwrap(), NAS, &[1; 16]).unwrap();
    assert_eq!(&key(microsoft::MPPE_RECV_KEY)[..], &msk[..32]);
    assert_eq!(&key(microsoft::MPPE_SEND_KEY)[..], &msk[32..]);
    assert_eq!(returned.vendor_text(Vendor::WISPR, 4), Some("http://example.net/"));
}

#[test]
fn what_cannot_go_on_is_an_error() {
    let odd = Builder::access_request(5, [1; 16]).attribute(AttributeType::USER_PASSWORD, &[1; 15]);
    let odd = odd.finish(NAS).unwrap();
    let kind = AttributeType::USER_PASSWORD;
    let refused = forward_request(&Packet::parse(&odd).unwrap(), NAS, &onward([2; 16]));
    assert_eq!(refused, Err(RewriteError::Hidden { kind }));
    let status = Builder::status_server(5, [1; 16]).finish(NAS).unwrap();
    let status = Packet::parse(&status).unwrap();
    let code = Code::STATUS_SERVER;
    assert_eq!(forward_request(&status, NAS, &onward([2; 16])), Err(RewriteError::Code { code }));
    assert_eq!(return_reply(&status, &onward([2; 16]), &status, NAS), Err(RewriteError::Code { code }));
    let full = Builder::access_request(5, [1; 16]).eap(&[7; 4000]).attribute(AttributeType::CLASS, &[0; 20]);
    let full = full.finish(NAS).unwrap();
    let long = Onward { proxy_state: &[0; 60], ..onward([2; 16]) };
    let refused = forward_request(&Packet::parse(&full).unwrap(), NAS, &long);
    assert!(matches!(refused, Err(RewriteError::Build(_))));
}

proptest! {
    #[test]
    fn passwords_survive(password in proptest::collection::vec(1u8.., 0..=128), a: [u8; 16], b: [u8; 16]) {
        let mut hidden = hide_password(&password, NAS, &a).unwrap();
        let (from, to) = (Cover { secret: NAS, authenticator: &a }, Cover { secret: HOME, authenticator: &b });
        cover(&mut hidden, &[], from, to).unwrap();
        prop_assert_eq!(&reveal_password(&hidden, HOME, &b).unwrap()[..], &password[..]);
    }

    #[test]
    fn arbitrary_attributes_never_panic(list in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..=100)), 0..12)) {
        let add = |builder: Builder| list.iter().fold(builder, |b, (kind, value)| b.attribute(AttributeType(*kind), value));
        let request = add(Builder::access_request(3, [1; 16])).finish(NAS).unwrap();
        let request = Packet::parse(&request).unwrap();
        let _ = forward_request(&request, NAS, &onward([2; 16]));
        let answer = add(Builder::reply(Code::ACCESS_ACCEPT, &request)).finish(HOME).unwrap();
        let _ = return_reply(&Packet::parse(&answer).unwrap(), &onward([2; 16]), &request, NAS);
    }
}
