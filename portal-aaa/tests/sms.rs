//! Requests by SMS as the message centre hands them over: who is served, who is refused and why, and that nobody learns
//! whether a subscriber exists. Real database, keys and issuer; the message centre itself is in `cargo lab test modem`.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may assume"
)]

mod common;

use std::{fs, process::Command, sync::Arc, time::Duration};

use common::{NAS_SECRET, STATION, World, log};
use portal_aaa::{
    aaa::Now,
    credential::{Msisdn, Purpose},
    sms::{Delivery, Long, Settings, desk::Desk, settings::Address},
    store::{Store, SubscriberEntry, SubscriberState, Subscribers},
};
use provisioning::{
    message::{Credential, CredentialRequest, InnerMethod, OuterMethod, Reason, Refusal, Trigger},
    secret::Password,
    sms::{DeviceExchange, Reply, Request, SINGLE},
};

const IMSI: &str = "001010123456789";
const OTHER_IMSI: &str = "001010123456700";
const MINE: &str = "+15551234567";
const OTHERS: &str = "+15557654321";
const NOBODYS: &str = "+15550000000";
const WINDOW: u64 = 900;

struct Bed {
    world: World,
    desk: Desk,
    now: Now,
}

impl Bed {
    fn new() -> Self {
        let world = World::start();
        let settings = Settings {
            server: "127.0.0.1:1".to_owned(),
            system_id: String::new(),
            password: Password::new(String::new()),
            system_type: String::new(),
            source: Address { ton: 1, npi: 1, text: "15550001000".to_owned() },
            dest_ton: 1,
            dest_npi: 1,
            long: Long::Udh,
            window: 1,
            per_second: 1,
            receipts: false,
            keys: vec![3, 2],
            clock_window: Duration::from_secs(WINDOW),
            subscriber_burst: 3,
            subscriber_refill: Duration::from_secs(3600),
            delivery: Delivery::AsAsked,
        };
        let now = Now { monotonic: Duration::from_secs(100), unix: world.clock.now().unix };
        let (keys, prover) = (Arc::clone(&world.keys), Arc::clone(&world.prover));
        let desk = Desk::new(&settings, keys, prover, world.authority.clone(), now.unix);
        let bed = Self { world, desk, now };
        bed.list(IMSI, MINE, SubscriberState::Allow);
        bed.list(OTHER_IMSI, OTHERS, SubscriberState::Allow);
        bed
    }

    fn list(&self, imsi: &str, msisdn: &str, state: SubscriberState) {
        let keys = &self.world.keys;
        let (imsi, msisdn): (_, Msisdn) = (imsi.parse().unwrap(), msisdn.parse().unwrap());
        let handle = keys.handle_imsi(&imsi);
        let seal = |purpose, clear: &str| keys.seal(purpose, "x", clear.as_bytes()).unwrap();
        let entry = SubscriberEntry {
            imsi: handle,
            imsi_sealed: seal(Purpose::SubscriberImsi, imsi.expose()),
            msisdn: Some((keys.handle_msisdn(&msisdn), seal(Purpose::SubscriberMsisdn, msisdn.expose()))),
            state: Some(state),
            group: None,
        };
        self.world.store.put_subscribers(&[entry], self.now.unix).unwrap();
    }

    fn device(&self) -> DeviceExchange {
        DeviceExchange::new(&self.desk.keys()[0].public()).unwrap()
    }

    fn ask(&self, device: &mut DeviceExchange, imsi: Option<&str>, made_at: u64) -> Vec<u8> {
        let request = CredentialRequest {
            imsi: imsi.map(|imsi| imsi.parse().unwrap()),
            imei: Some("490154203237518".parse().unwrap()),
            mac: STATION,
            trigger: Trigger::Attach,
            agent: "test/1".to_owned(),
            policy_version: None,
        };
        device.seal(&Request { request, made_at: made_at.try_into().unwrap(), authority: None }).unwrap()
    }

    fn serve(&self, from: &str, message: &[u8]) -> Option<Vec<u8>> {
        self.desk.serve(self.now, &from.parse().unwrap(), message)
    }

    fn issued(&self) -> usize {
        log().matches("credential-stored").count()
    }
}

/// wpa_supplicant's EAP peer logs on with what came by SMS and nothing else: name, password, authority, server's name.
fn logs_on(world: &World, credential: &Credential) {
    let eap = &credential.eap;
    assert_eq!((eap.outer, eap.inner), (OuterMethod::Peap, InnerMethod::Mschapv2));
    let (ca, configuration) = (world.path("by-sms.pem"), world.path("by-sms.conf"));
    fs::write(&ca, &eap.ca_pem).unwrap();
    let text = format!(
        "network={{\n key_mgmt=IEEE8021X\n eap=PEAP\n phase2=\"auth=MSCHAPV2\"\n identity=\"{}\"\n password=\"{}\"\n \
         anonymous_identity=\"{}\"\n domain_match=\"{}\"\n ca_cert=\"{}\"\n}}\n",
        credential.username,
        credential.password.expose(),
        eap.anonymous_identity,
        eap.server_name,
        ca.display()
    );
    fs::write(&configuration, text).unwrap();
    let server = world.running.address();
    let output = Command::new("eapol_test")
        .args(["-t", "10", "-a", &server.ip().to_string(), "-p", &server.port().to_string()])
        .args(["-s", NAS_SECRET, "-M", &STATION.to_string(), "-c"])
        .arg(&configuration)
        .output()
        .expect("eapol_test must be installed: apt-get install eapoltest");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// The last refusal's reason in the log, which all tests of this program share: so they are one test.
fn detail() -> String {
    let log = log();
    let line = log.lines().rfind(|line| line.contains("credential-refused")).unwrap().to_owned();
    let (_, rest) = line.split_once("detail=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

#[test]
fn who_is_served_and_who_is_not() {
    let mut bed = Bed::new();
    let now = bed.now.unix;

    // The device whose number it is.
    let mut device = bed.device();
    let message = bed.ask(&mut device, Some(IMSI), now);
    let answer = bed.serve(MINE, &message).expect("a credential");
    let Ok(Reply::Granted { credential, .. }) = device.open(&answer) else { panic!("{}", log()) };
    let record =
        bed.world.store.credential(&credential.username).unwrap().expect("recorded before it goes out");
    assert_eq!(record.subscriber, bed.world.keys.handle_imsi(&IMSI.parse().unwrap()));
    assert!(record.imei.is_none(), "nobody vouches for it");
    assert!(answer.len() > SINGLE && credential.eap.ca_pem.contains("BEGIN CERTIFICATE"));
    logs_on(&bed.world, &credential);

    // The same again, and by others: silence, and always the same silence.
    let before = bed.issued();
    assert_eq!((bed.serve(MINE, &message), detail()), (None, "sms-replayed".to_owned()));
    assert_eq!((bed.serve(OTHERS, &message), detail()), (None, "sms-wrong-sender".to_owned()));
    assert_eq!((bed.serve(NOBODYS, &message), detail()), (None, "sms-sender-unknown".to_owned()));
    // Somebody else's claim, listed or not, from a number that is known.
    for (imsi, expected) in [(OTHER_IMSI, "sms-wrong-sender"), ("001010999999999", "sms-wrong-sender")] {
        let message = bed.ask(&mut bed.device(), Some(imsi), now);
        assert_eq!((bed.serve(MINE, &message), detail().as_str()), (None, expected));
    }
    // What is not for us, or not whole.
    let message = bed.ask(&mut bed.device(), Some(IMSI), now);
    assert_eq!((bed.serve(MINE, &message[..50]), detail()), (None, "sms-seal".to_owned()));
    assert_eq!((bed.serve(MINE, b"call me"), detail()), (None, "sms-foreign".to_owned()));
    assert_eq!(
        (bed.serve(MINE, &[message.as_slice(), &[0; SINGLE]].concat()), detail()),
        (None, "sms-too-large".to_owned())
    );
    let mut unknown_key = message.clone();
    unknown_key[3] = 9;
    assert_eq!((bed.serve(MINE, &unknown_key), detail()), (None, "sms-key".to_owned()));
    assert_eq!(bed.issued(), before, "none of them cost a credential");

    // A clock that is wrong, an old message: its owner learns the time, and nothing is issued.
    for made_at in [now - 1, now + WINDOW + 1, 0] {
        let mut device = bed.device();
        let message = bed.ask(&mut device, Some(IMSI), made_at);
        let answer = bed.serve(MINE, &message).unwrap();
        let Ok(Reply::Refused { made_at, refusal }) = device.open(&answer) else { panic!("{}", log()) };
        assert_eq!((made_at.into(), refusal.reason), (now, Reason::TemporarilyUnavailable));
        assert_eq!(detail(), "sms-clock");
    }
    assert_eq!(bed.issued(), before);

    // Without IMSI the number says whose it is.
    let mut device = bed.device();
    let message = bed.ask(&mut device, None, now);
    let answer = bed.serve(MINE, &message).unwrap();
    let Ok(Reply::Granted { credential, .. }) = device.open(&answer) else { panic!("{}", log()) };
    let record = bed.world.store.credential(&credential.username).unwrap().unwrap();
    assert_eq!(record.subscriber, bed.world.keys.handle_imsi(&IMSI.parse().unwrap()));

    // A device that holds the authority already gets a message that is shorter by it.
    let mut device = bed.device();
    let held = Reply::authority(&credential.eap.ca_pem);
    let request = Request {
        request: CredentialRequest {
            imsi: Some(IMSI.parse().unwrap()),
            imei: None,
            mac: STATION,
            trigger: Trigger::Periodic,
            agent: "test/1".to_owned(),
            policy_version: None,
        },
        made_at: now.try_into().unwrap(),
        authority: held,
    };
    let message = device.seal(&request).unwrap();
    let short = bed.serve(MINE, &message).unwrap();
    assert!(short.len() + 300 < answer.len(), "{} of {}", short.len(), answer.len());
    let Ok(Reply::Granted { credential, .. }) = device.open(&short) else { panic!("{}", log()) };
    assert_eq!(credential.eap.ca_pem, "");

    // The third was the last of this hour; another's bucket is full.
    let message = bed.ask(&mut bed.device(), Some(IMSI), now);
    assert_eq!((bed.serve(MINE, &message), detail()), (None, "sms-subscriber-rate".to_owned()));
    let message = bed.ask(&mut bed.device(), Some(OTHER_IMSI), now);
    assert!(bed.serve(OTHERS, &message).is_some());

    // A suspended one is told so: the answer goes to nobody but him.
    bed.list(OTHER_IMSI, OTHERS, SubscriberState::Suspended);
    let mut device = bed.device();
    let message = bed.ask(&mut device, Some(OTHER_IMSI), now);
    let answer = bed.serve(OTHERS, &message).unwrap();
    let refused = Refusal { reason: Reason::NotEntitled, retry_after: None, flaw: None };
    assert!(matches!(device.open(&answer), Ok(Reply::Refused { refusal, .. }) if refusal == refused));

    // Many from one number are not looked at any more.
    for _ in 0..20 {
        assert_eq!(bed.serve(NOBODYS, &message), None);
    }
    assert_eq!(detail(), "sms-sender-rate");
    bed.now.monotonic += Duration::from_secs(60);
    assert_eq!((bed.serve(NOBODYS, &message), detail()), (None, "sms-sender-unknown".to_owned()));

    let log = log();
    for secret in [IMSI, OTHER_IMSI, "5551234567", "5557654321", credential.password.expose()] {
        assert!(!log.contains(secret), "in the log");
    }
}
