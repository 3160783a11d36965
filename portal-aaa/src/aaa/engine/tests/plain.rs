//! Logins of WISPr gateways: the station's half made by the functions of RFC 2865 and 2759.

use eap::mschapv2;
use radius::hide_password;

use super::*;

const AUTHENTICATOR: [u8; 16] = [7; 16];
const NAME: &str = "user@operator.example";

/// A request with what `add` puts into it, and the answer.
fn ask(lab: &mut Lab, add: impl FnOnce(Builder) -> Builder) -> Vec<u8> {
    let request = add(Builder::access_request(1, AUTHENTICATOR)
        .text(A::USER_NAME, NAME)
        .text(A::CALLING_STATION_ID, STATION)
        .text(A::ACCT_SESSION_ID, "wispr-1"));
    let request = request.finish(SECRET).unwrap();
    let packet = Packet::parse(&request).unwrap();
    let asked =
        Request { packet: &packet, client: "ap-1", secret: SECRET, source: IpAddr::from([127, 0, 0, 1]) };
    let answer = lab.engine.handle(lab.now, &mut counter(&mut lab.random), &asked).unwrap().unwrap();
    check_reply(&Packet::parse(&answer.octets).unwrap(), &packet, SECRET).unwrap();
    answer.octets
}

fn pap(password: &[u8]) -> impl FnOnce(Builder) -> Builder {
    let hidden = hide_password(password, SECRET, &AUTHENTICATOR).unwrap();
    move |request| request.attribute(A::USER_PASSWORD, &hidden)
}

fn chap(password: &[u8], own_challenge: bool) -> impl FnOnce(Builder) -> Builder {
    let challenge: &[u8] = if own_challenge { b"a challenge" } else { &AUTHENTICATOR };
    let response = mschapv2::respond_chap(9, password, challenge);
    move |request| {
        let request = request.attribute(A::CHAP_PASSWORD, &[&[9], &response[..]].concat());
        if own_challenge { request.attribute(A::CHAP_CHALLENGE, b"a challenge") } else { request }
    }
}

fn ms_chap2(password: &[u8]) -> impl FnOnce(Builder) -> Builder {
    let (proof, _) = mschapv2::respond_mschapv2(password, NAME.as_bytes(), &[1; 16], &[2; 16]).unwrap();
    let value = [&[5, 0], &[2; 16][..], &[0; 8], &proof[..]].concat();
    move |request| {
        request.vendor(Vendor::MICROSOFT, microsoft::CHAP_CHALLENGE, &[1; 16]).vendor(
            Vendor::MICROSOFT,
            microsoft::CHAP2_RESPONSE,
            &value,
        )
    }
}

fn code(octets: &[u8]) -> Code {
    Packet::parse(octets).unwrap().code()
}

#[test]
fn the_right_password_is_accepted_and_another_is_not() {
    let mut lab = Lab::new(Ok(login(None)), Ok(()));
    assert_eq!(code(&ask(&mut lab, pap(b"right"))), Code::ACCESS_ACCEPT);
    assert_eq!(code(&ask(&mut lab, chap(b"right", true))), Code::ACCESS_ACCEPT);
    assert_eq!(code(&ask(&mut lab, chap(b"right", false))), Code::ACCESS_ACCEPT);
    assert_eq!(code(&ask(&mut lab, ms_chap2(b"right"))), Code::ACCESS_ACCEPT);
    assert_eq!(*lab.book.uses.lock().unwrap(), ["wispr-1"; 4], "one use, however often it is asked");
    lab.book.uses.lock().unwrap().clear();
    assert_eq!(code(&ask(&mut lab, pap(b"wrong"))), Code::ACCESS_REJECT);
    assert_eq!(code(&ask(&mut lab, pap(b""))), Code::ACCESS_REJECT);
    assert_eq!(code(&ask(&mut lab, chap(b"wrong", true))), Code::ACCESS_REJECT);
    assert_eq!(code(&ask(&mut lab, ms_chap2(b"wrong"))), Code::ACCESS_REJECT);
    assert!(lab.book.uses.lock().unwrap().is_empty());
}

#[test]
fn ms_chapv2_proves_the_server_too_and_its_refusal_is_that_of_rfc_2759() {
    let mut lab = Lab::new(Ok(login(None)), Ok(()));
    let accept = ask(&mut lab, ms_chap2(b"right"));
    let accept = Packet::parse(&accept).unwrap();
    let success = accept.vendor(Vendor::MICROSOFT, microsoft::CHAP2_SUCCESS).unwrap();
    let (proof, _) = mschapv2::respond_mschapv2(b"right", NAME.as_bytes(), &[1; 16], &[2; 16]).unwrap();
    let expected = mschapv2::verify_mschapv2(b"right", NAME.as_bytes(), &[1; 16], &[2; 16], &proof).unwrap();
    assert_eq!(success, [&[5], &expected.authenticator_response[..]].concat());
    let reject = ask(&mut lab, ms_chap2(b"wrong"));
    let error =
        Packet::parse(&reject).unwrap().vendor(Vendor::MICROSOFT, microsoft::CHAP_ERROR).unwrap().to_vec();
    assert_eq!(error[0], 5);
    let text = std::str::from_utf8(&error[1..]).unwrap();
    assert!(text.starts_with("E=691 R=0 C=") && text.contains(" V=3 "), "{text}");
}

#[test]
fn only_methods_of_the_account() {
    let only = Login { methods: "chap".parse().unwrap(), ..login(None) };
    let mut lab = Lab::new(Ok(only), Ok(()));
    assert_eq!(code(&ask(&mut lab, chap(b"right", true))), Code::ACCESS_ACCEPT);
    assert_eq!(code(&ask(&mut lab, pap(b"right"))), Code::ACCESS_REJECT);
    assert_eq!(code(&ask(&mut lab, ms_chap2(b"right"))), Code::ACCESS_REJECT);
}

#[test]
fn the_identity_to_be_charged_is_told_to_who_asks() {
    let mut lab = Lab::new(Ok(login(None)), Ok(()));
    let asks = |request: Builder| pap(b"right")(request).attribute(A::CHARGEABLE_USER_IDENTITY, &[0]);
    let accept = ask(&mut lab, asks);
    let identity = Packet::parse(&accept).unwrap().text(A::CHARGEABLE_USER_IDENTITY).map(str::to_owned);
    assert_eq!(identity.as_deref(), Some("010101010101"));
}

#[test]
fn broken_proofs_are_refused() {
    let mut lab = Lab::new(Ok(login(None)), Ok(()));
    let broken: [&dyn Fn(Builder) -> Builder; 4] = [
        &|request| request.attribute(A::USER_PASSWORD, &[1; 15]),
        &|request| request.attribute(A::CHAP_PASSWORD, &[1; 16]),
        &|request| request.vendor(Vendor::MICROSOFT, microsoft::CHAP2_RESPONSE, &[0; 50]),
        &|request| {
            request.vendor(Vendor::MICROSOFT, microsoft::CHAP_CHALLENGE, &[1; 16]).vendor(
                Vendor::MICROSOFT,
                microsoft::CHAP2_RESPONSE,
                &[0; 49],
            )
        },
    ];
    for add in broken {
        assert_eq!(code(&ask(&mut lab, add)), Code::ACCESS_REJECT);
    }
    assert!(lab.book.uses.lock().unwrap().is_empty());
}
