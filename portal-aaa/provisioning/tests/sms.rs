//! The sealed encoding for short messages: what is sealed comes back, to the right one only, in few enough parts.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    reason = "a test may assume; the messages in common are for others, too"
)]

mod common;

use data_encoding::BASE64;
use proptest::{collection::vec, prelude::*};
use provisioning::{
    message::{Credential, EapSettings, InnerMethod, MacMode, Network, OuterMethod, Policy, Reason, Refusal},
    secret::Password,
    signed::{Claims, PolicySigner, SignedPolicy},
    sms::{DeviceExchange, MAX_MESSAGE, PortalKey, Reply, Request, SINGLE, SmsError, is_ours, udh},
};

fn keys() -> [PortalKey; 2] {
    [PortalKey::derive(1, &[7; 32]), PortalKey::derive(2, &[8; 32])]
}

fn device() -> DeviceExchange {
    DeviceExchange::new(&keys()[1].public()).unwrap()
}

fn pem(authorities: &[Vec<u8>]) -> String {
    let block = |der: &Vec<u8>| {
        let text = BASE64.encode(der);
        let lines: Vec<_> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    };
    authorities.iter().map(block).collect()
}

/// What `portal-aaa init` makes devices be told, with an authority of P-256.
fn usual(der: usize) -> Credential {
    let ca: Vec<u8> = (0..251).cycle().step_by(31).take(der).collect();
    Credential {
        username: format!("{}@operator.example", "a2".repeat(30)),
        password: Password::new("abcdefghijklmnopqrstuvwxyz".to_owned()),
        eap: EapSettings {
            outer: OuterMethod::Peap,
            inner: InnerMethod::Mschapv2,
            anonymous_identity: "anonymous@operator.example".to_owned(),
            server_name: "aaa.operator.example".to_owned(),
            ca_pem: pem(&[ca]),
        },
        mac_mode: MacMode::Permanent,
        issued_at: 1_800_000_000,
        expires_at: Some(1_800_086_400),
        one_time: false,
        policy: Policy {
            version: 12,
            networks: vec![Network::new("operator-wifi", 10)],
            probe_url: "http://probe.operator.example/generate_204".to_owned(),
            ..Policy::default()
        },
        signed_policy: None,
    }
}

fn sealed(credential: Credential) -> Result<Vec<u8>, SmsError> {
    let exchange = PortalKey::accept(&keys(), device().encapsulated()).unwrap();
    exchange.seal(&Reply::Granted { made_at: 1_800_000_000, credential: Box::new(credential) })
}

#[test]
fn a_usual_credential_takes_six_parts_and_without_its_authority_two() {
    let whole = sealed(usual(440)).unwrap();
    assert_eq!(udh::cut(&whole, 1).len(), 6, "{} octets", whole.len());
    let mut held = usual(440);
    held.eap.ca_pem.clear();
    let held = sealed(held).unwrap();
    assert_eq!(udh::cut(&held, 1).len(), 2, "{} octets", held.len());
    // RSA of 2048 bits fits, of 4096 bits does not.
    assert!(sealed(usual(850)).is_ok());
    assert_eq!(sealed(usual(1650)), Err(SmsError::TooLarge));
}

#[test]
fn what_another_sealed_or_another_device_asked_does_not_open() {
    let mut device = device();
    let request = Request {
        request: provisioning::message::CredentialRequest {
            imsi: Some("001010123456789".parse().unwrap()),
            imei: Some("490154203237518".parse().unwrap()),
            mac: provisioning::identity::Mac([2, 0, 0, 0, 0, 7]),
            trigger: provisioning::message::Trigger::Attach,
            agent: "wifi-offloadd/0.1.0".to_owned(),
            policy_version: Some(12),
        },
        made_at: 1,
        authority: Some([9; 8]),
    };
    let message = device.seal(&request).unwrap();
    assert!(message.len() <= SINGLE && is_ours(&message));
    for part in ["0010101", "4901542"] {
        assert!(!String::from_utf8_lossy(&message).contains(part));
    }
    let (read, exchange) = PortalKey::open(&keys(), &message).unwrap();
    assert_eq!(read, request);
    let refused = Reply::Refused {
        made_at: 5,
        refusal: Refusal { reason: Reason::NotEntitled, retry_after: None, flaw: None },
    };
    let reply = exchange.seal(&refused).unwrap();
    assert_eq!(device.open(&reply), Ok(refused));

    assert_eq!(self::device().open(&reply), Err(SmsError::Seal), "another request's");
    assert_eq!(device.open(&message), Err(SmsError::Version), "no reply");
    assert_eq!(PortalKey::open(&keys(), &reply).err(), Some(SmsError::Version));
    assert_eq!(PortalKey::open(&keys()[..1], &message).err(), Some(SmsError::Key));
    let others = [PortalKey::derive(2, &[9; 32])];
    assert_eq!(PortalKey::open(&others, &message).err(), Some(SmsError::Seal), "another installation's key");
    assert_eq!(PortalKey::open(&keys(), b"Hello").err(), Some(SmsError::Foreign));
}

#[test]
fn keys_are_text_for_configurations_and_headers() {
    let public = keys()[0].public();
    assert_eq!(public.to_string().len(), 44);
    assert_eq!(public.to_string().parse(), Ok(public));
    let encapsulated = device().encapsulated();
    assert_eq!(encapsulated.to_string().parse(), Ok(encapsulated));
    for bad in ["", "AAAA", "*", &"A".repeat(45)] {
        assert_eq!(bad.parse::<provisioning::sms::PublicKey>(), Err(SmsError::Key), "{bad}");
    }
    // A point of small order gives a secret that everybody knows (RFC 9180 §7.1.4).
    let zero: provisioning::sms::PublicKey = "A".repeat(44).parse().unwrap();
    assert_eq!(DeviceExchange::new(&zero).err(), Some(SmsError::Key));
}

#[test]
fn an_authority_has_one_name_however_its_pem_looks() {
    let text = pem(&[vec![1; 300], vec![2; 90]]);
    let name = Reply::authority(&text);
    assert!(name.is_some());
    assert_eq!(Reply::authority(&format!("subject=x\n{}", text.replace('\n', "\r\n"))), name);
    assert_ne!(Reply::authority(&pem(&[vec![1; 300]])), name);
    assert_eq!(Reply::authority("no certificate"), None);
}

#[test]
fn a_signed_policy_goes_as_it_was_signed() {
    let signer = PolicySigner::from_seed(&[3; 32]).unwrap();
    let mut credential = usual(440);
    let claims = Claims { policy: credential.policy.clone(), keys: vec![signer.public()] };
    credential.signed_policy = Some(SignedPolicy::sign(&claims, &signer).unwrap());
    let device = device();
    let exchange = PortalKey::accept(&keys(), device.encapsulated()).unwrap();
    let sent = Reply::Granted { made_at: 7, credential: Box::new(credential) };
    let message = exchange.seal(&sent).unwrap();
    assert!(udh::cut(&message, 1).len() <= 11, "{} octets", message.len());
    let Ok(Reply::Granted { credential: read, .. }) = device.open(&message) else { panic!("no credential") };
    assert_eq!(read.signed_policy.as_ref().map(|signed| signed.open(&[signer.public()])), Some(Ok(claims)));
    assert_eq!(Reply::Granted { made_at: 7, credential: read }, sent);
}

proptest! {
    #[test]
    fn requests_come_back(request in common::request(), made_at: u32, authority: Option<[u8; 8]>) {
        let mut device = device();
        let sent = Request { request, made_at, authority };
        let message = device.seal(&sent).unwrap();
        prop_assert!(message.len() <= SINGLE);
        let (mut read, exchange) = PortalKey::open(&keys(), &message).unwrap();
        prop_assert_eq!(exchange.encapsulated(), device.encapsulated());
        prop_assert!(sent.request.agent.starts_with(&read.request.agent));
        read.request.agent.clone_from(&sent.request.agent);
        prop_assert_eq!(read, sent);
    }

    #[test]
    fn credentials_come_back_or_are_too_large(
        credential in common::credential(),
        authorities in vec(vec(any::<u8>(), 1..500), 0..3),
        made_at: u32,
    ) {
        let device = device();
        let exchange = PortalKey::accept(&keys(), device.encapsulated()).unwrap();
        let mut credential = credential;
        credential.eap.ca_pem = pem(&authorities);
        // Its shape alone is arbitrary here; see below for one that is signed.
        credential.signed_policy = None;
        // An end before the beginning cannot be said.
        credential.expires_at = credential.expires_at.filter(|end| *end >= credential.issued_at);
        let sent = Reply::Granted { made_at, credential: Box::new(credential) };
        match exchange.seal(&sent) {
            Ok(message) => {
                prop_assert!(message.len() <= MAX_MESSAGE);
                prop_assert_eq!(device.open(&message), Ok(sent));
            }
            Err(error) => prop_assert_eq!(error, SmsError::TooLarge),
        }
    }

    #[test]
    fn refusals_come_back(refusal in common::refusal(), made_at: u32) {
        let device = device();
        let exchange = PortalKey::accept(&keys(), device.encapsulated()).unwrap();
        let mut sent = refusal;
        // A message is not told in detail what is wrong with it.
        sent.flaw = None;
        sent.retry_after = sent.retry_after.map(|wait| wait.max(std::time::Duration::from_secs(1)));
        let sent = Reply::Refused { made_at, refusal: sent };
        let message = exchange.seal(&sent).unwrap();
        prop_assert!(message.len() <= SINGLE);
        prop_assert_eq!(device.open(&message), Ok(sent));
    }

    #[test]
    fn any_octets_are_read_or_refused(mut octets in vec(any::<u8>(), 0..200), prefix in 0usize..4) {
        let known = [&b"WO\x11\x02"[..], b"WO\x12", b"WO", b""][prefix];
        octets.splice(..known.len().min(octets.len()), known.iter().copied());
        prop_assert!(PortalKey::open(&keys(), &octets).is_err());
        prop_assert!(device().open(&octets).is_err());
    }

    /// A whole message with one octet changed is no message.
    #[test]
    fn nothing_can_be_changed(at in 0usize..140, by in 1u8..) {
        let mut device = device();
        let request = Request {
            request: provisioning::message::CredentialRequest {
                imsi: Some("001010123456789".parse().unwrap()),
                imei: None,
                mac: provisioning::identity::Mac([2, 0, 0, 0, 0, 7]),
                trigger: provisioning::message::Trigger::Used,
                agent: "a".to_owned(),
                policy_version: None,
            },
            made_at: 1,
            authority: None,
        };
        let mut message = device.seal(&request).unwrap();
        let at = at % message.len();
        message[at] ^= by;
        prop_assert!(PortalKey::open(&keys(), &message).is_err());
    }
}
