//! Every format: what is written is read back the same, is what the vectors say, and what is spoilt is refused.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test may assume")]

mod common;

use std::{fs, path::Path, time::Duration};

use common::{credential, refusal, report, request};
use proptest::{prelude::*, sample::select};
use provisioning::{
    document::Document,
    format::{Format, FormatError},
    message::{
        AfterMove, ApFilter, Credential, CredentialRequest, EapSettings, Flaw, InnerMethod, MacMode, Network,
        Offload, OuterMethod, Policy, Reason, Refusal, Sequence, SmsUse, Threshold, Trigger, UseCredential,
    },
    passpoint::{MAX_CONSORTIUMS, MAX_DOMAINS, MAX_PASSPOINTS, Passpoint},
    report::DeviceMessage,
    secret::Password,
    signed::{Claims, MAX_KEYS, PolicySigner, SignedPolicy},
    wispr::{MAX_HOTSPOTS, MAX_LOGIN_NAMES, Wispr},
    xml::{
        MAX_BODY, MAX_NETWORKS,
        soap::{Fault, SoapError},
    },
};

fn format() -> impl Strategy<Value = Format> {
    select(Format::ALL.to_vec())
}

fn text(document: Result<Document, FormatError>) -> String {
    document.expect("writable").as_str().to_owned()
}

proptest! {
    #[test]
    fn requests_round_trip(format in format(), request in request()) {
        let written = text(format.encode_request(&request));
        let read = format.decode_request(written.as_bytes());
        // Equality of two IMEIs does not ask for all of their digits.
        let digits = |r: &CredentialRequest| r.imei.as_ref().map(|i| i.expose().to_owned());
        prop_assert_eq!(read.as_ref().ok().and_then(digits), digits(&request));
        prop_assert_eq!(read, Ok(request));
    }

    #[test]
    fn credentials_round_trip(format in format(), credential in credential()) {
        let written = text(format.encode_credential(&credential));
        prop_assert_eq!(format.decode_credential(written.as_bytes()), Ok(credential));
    }

    #[test]
    fn reports_round_trip_and_are_told_from_requests(format in format(), report in report(), request in request()) {
        let written = text(format.encode_report(&report));
        prop_assert_eq!(format.decode_message(written.as_bytes()), Ok(DeviceMessage::Report(report)));
        prop_assert!(format.decode_request(written.as_bytes()).is_err());
        let cut = &written.as_bytes()[..written.len() - 3];
        prop_assert!(format.decode_message(cut).is_err());
        let written = text(format.encode_request(&request));
        prop_assert_eq!(format.decode_message(written.as_bytes()), Ok(DeviceMessage::Request(request)));
    }

    #[test]
    fn refusals_round_trip(format in format(), refusal in refusal()) {
        let written = text(format.encode_refusal(&refusal));
        prop_assert_eq!(format.decode_refusal(written.as_bytes()), Ok(refusal));
    }

    #[test]
    fn one_format_is_not_taken_for_another(
        written in format(), read in format(), request in request(), credential in credential(), refusal in refusal(),
    ) {
        prop_assume!(written != read);
        let (a, b, c) = (
            text(written.encode_request(&request)),
            text(written.encode_credential(&credential)),
            text(written.encode_refusal(&refusal)),
        );
        prop_assert!(read.decode_request(a.as_bytes()).is_err());
        prop_assert!(read.decode_credential(b.as_bytes()).is_err());
        prop_assert!(read.decode_refusal(c.as_bytes()).is_err());
    }

    #[test]
    fn one_message_is_not_taken_for_another(format in format(), credential in credential(), refusal in refusal()) {
        let (credential, refusal) = (text(format.encode_credential(&credential)), text(format.encode_refusal(&refusal)));
        prop_assert!(format.decode_refusal(credential.as_bytes()).is_err_and(|e| !e.is_unknown_reason()));
        prop_assert!(format.decode_credential(refusal.as_bytes()).is_err());
        prop_assert!(format.decode_request(credential.as_bytes()).is_err());
    }

    #[test]
    fn truncated_messages_are_refused(
        format in format(), request in request(), credential in credential(), refusal in refusal(),
        at in any::<prop::sample::Index>(),
    ) {
        // The last octet is a line feed; all before it is needed.
        let cut = |whole: String| whole.as_bytes()[..at.index(whole.len() - 1)].to_vec();
        prop_assert!(format.decode_request(&cut(text(format.encode_request(&request)))).is_err());
        prop_assert!(format.decode_credential(&cut(text(format.encode_credential(&credential)))).is_err());
        prop_assert!(format.decode_refusal(&cut(text(format.encode_refusal(&refusal)))).is_err());
    }

    #[test]
    fn spoilt_messages_do_not_panic(
        format in format(), credential in credential(), request in request(), at in any::<prop::sample::Index>(),
        octet in any::<u8>(),
    ) {
        let spoil = |whole: String| {
            let mut octets = whole.into_bytes();
            let at = at.index(octets.len());
            octets[at] = octet;
            octets
        };
        let _ = format.decode_credential(&spoil(text(format.encode_credential(&credential))));
        let _ = format.decode_request(&spoil(text(format.encode_request(&request))));
    }

    #[test]
    fn arbitrary_octets_do_not_panic(format in format(), octets in proptest::collection::vec(any::<u8>(), 0..4096)) {
        prop_assert!(format.decode_request(&octets).is_err());
        prop_assert!(format.decode_credential(&octets).is_err());
        prop_assert!(format.decode_refusal(&octets).is_err());
    }

    /// Names of fields and codes come out, content never.
    #[test]
    fn errors_do_not_repeat_what_was_refused(format in format(), request in request(), field in select(vec!["mac", "trigger"])) {
        let good = text(format.encode_request(&request));
        let value = if field == "mac" { request.mac.to_string() } else {
            good.split(field).nth(1).expect("there").trim_matches(|c: char| !c.is_ascii_alphabetic())
                .chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect()
        };
        let error = format.decode_request(good.replace(&value, "hunter2").as_bytes()).expect_err("refused");
        prop_assert_eq!((error.code(), error.field()), ("bad-value", Some(field)));
        let said = format!("{error} {error:?}");
        prop_assert!(!said.contains("hunter2"));
    }
}

#[test]
fn oversized_messages_are_refused_whatever_they_hold() {
    for format in Format::ALL {
        for octet in *b"<{[ \"" {
            let octets = vec![octet; MAX_BODY + 1];
            assert_eq!(format.decode_request(&octets).err().map(FormatError::code), Some("too-large"));
            assert_eq!(format.decode_credential(&octets).err().map(FormatError::code), Some("too-large"));
            assert_eq!(format.decode_refusal(&octets).err().map(FormatError::code), Some("too-large"));
        }
    }
}

/// What the vectors say.
fn the_request() -> CredentialRequest {
    CredentialRequest {
        imsi: Some("001010123456789".parse().expect("an IMSI")),
        imei: Some("490154203237518".parse().expect("an IMEI")),
        mac: "02:00:00:00:00:07".parse().expect("an address"),
        trigger: Trigger::Attach,
        agent: "wifi-offload/0.1.0".to_owned(),
        policy_version: None,
    }
}

fn the_credential() -> Credential {
    Credential {
        username: "opaque-token@operator.example".to_owned(),
        password: Password::new("correct horse <&> battery".to_owned()),
        eap: EapSettings {
            outer: OuterMethod::Peap,
            inner: InnerMethod::Mschapv2,
            anonymous_identity: "anonymous@operator.example".to_owned(),
            server_name: "aaa.operator.example".to_owned(),
            ca_pem: "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n".to_owned(),
        },
        mac_mode: MacMode::Permanent,
        issued_at: 1_795_464_000,
        expires_at: Some(1_795_550_400),
        one_time: false,
        policy: Policy {
            version: 1,
            networks: vec![Network::new("Operator", 1)],
            enter_dbm: -67,
            leave_dbm: -77,
            dwell_secs: 3,
            penalty_secs: 30,
            probe_url: "http://10.99.0.1/generate_204".to_owned(),
            cellular_after_move: AfterMove::Down,
            drain_secs: 30,
            renew_after_return: false,
            renew_every_secs: 0,
            sequence: Sequence::default(),
            renew_before_move: false,
            one_time_reserve: 0,
            offline_grace_secs: 0,
            ..Policy::default()
        },
        signed_policy: None,
    }
}

fn the_flaw() -> Refusal {
    Refusal { flaw: Flaw::new("imei-check-digit", Some("imei")), ..Refusal::new(Reason::BadRequest, None) }
}

fn the_hotspot() -> Wispr {
    Wispr {
        login_names: vec!["login.partner.example".to_owned(), "*.operator.example".to_owned()],
        location: Some("PARTNER,".to_owned()),
        stay_logged_on: true,
    }
}

/// All that came after version 0.1.0.
fn the_full_credential() -> Credential {
    let passpoint = Passpoint {
        priority: 5,
        roaming_consortiums: vec!["506f9a".parse().expect("an OI"), "004096aabb".parse().expect("an OI")],
        domains: vec!["operator.example".to_owned()],
        realm: Some("operator.example".to_owned()),
    };
    let policy = Policy {
        version: 7,
        networks: vec![
            Network { operator_owned: true, ..Network::new("Operator", 10) },
            Network { wispr: Some(the_hotspot()), ..Network::new("Cafe", 5) },
        ],
        cellular_after_move: AfterMove::Backup,
        sequence: Sequence::BreakBeforeMake,
        renew_before_move: true,
        one_time_reserve: 2,
        offline_grace_secs: 60,
        ap_filter: ApFilter::OperatorOwned,
        passpoints: vec![
            passpoint,
            Passpoint { realm: Some("partner.example".to_owned()), ..Passpoint::default() },
        ],
        offload: Offload::OnRequest,
        threshold: Threshold::Off,
        use_credential: UseCredential::Oldest,
        renew_on_attach: true,
        sms: SmsUse::Fallback,
        ..the_credential().policy
    };
    let signer = PolicySigner::from_seed(&[7; 32]).expect("a key");
    let claims = Claims { policy: policy.clone(), keys: vec![signer.public()] };
    let signed = SignedPolicy::sign(&claims, &signer).expect("signs");
    assert_eq!(signed.open(&[signer.public()]), Ok(claims));
    Credential { policy, signed_policy: Some(signed), ..the_credential() }
}

fn the_refusal() -> Refusal {
    Refusal::new(Reason::NoSession, Some(Duration::from_secs(5)))
}

fn vector(format: Format, name: &str) -> String {
    let extension = if format == Format::Json { "json" } else { "xml" };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(format.name());
    let file = folder.join(format!("{name}.{extension}"));
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[test]
fn messages_are_written_and_read_as_the_vectors_say() {
    for format in Format::ALL {
        let (request, credential, refusal) =
            (vector(format, "request"), vector(format, "credential"), vector(format, "refusal"));
        assert_eq!(text(format.encode_request(&the_request())), request);
        assert_eq!(text(format.encode_credential(&the_credential())), credential);
        assert_eq!(text(format.encode_refusal(&the_refusal())), refusal);
        let flawed = vector(format, "flaw");
        assert_eq!(text(format.encode_refusal(&the_flaw())), flawed);
        assert_eq!(format.decode_refusal(flawed.as_bytes()), Ok(the_flaw()));
        let (full, later) = (vector(format, "credential-full"), vector(format, "request-later"));
        assert_eq!(text(format.encode_credential(&the_full_credential())), full);
        assert_eq!(format.decode_credential(full.as_bytes()), Ok(the_full_credential()));
        let request_later = CredentialRequest { policy_version: Some(7), ..the_request() };
        assert_eq!(text(format.encode_request(&request_later)), later);
        assert_eq!(format.decode_request(later.as_bytes()), Ok(request_later));
        assert_eq!(format.decode_request(request.as_bytes()), Ok(the_request()));
        assert_eq!(format.decode_credential(credential.as_bytes()), Ok(the_credential()));
        assert_eq!(format.decode_refusal(refusal.as_bytes()), Ok(the_refusal()));
    }
}

#[test]
fn a_report_is_answered_in_every_format() {
    for format in Format::ALL {
        let written = text(format.encode_accepted());
        assert_eq!(format.decode_accepted(written.as_bytes()), Ok(()));
        assert!(format.decode_credential(written.as_bytes()).is_err());
        let refusal = text(format.encode_refusal(&the_refusal()));
        assert!(format.decode_accepted(refusal.as_bytes()).is_err());
    }
}

#[test]
fn the_largest_policy_fits_into_every_format() {
    let name = "n".repeat(253);
    let passpoint = Passpoint {
        priority: i32::MIN,
        roaming_consortiums: vec!["004096aabb".parse().expect("an OI"); MAX_CONSORTIUMS],
        domains: vec![name.clone(); MAX_DOMAINS],
        realm: Some(name),
    };
    let network = Network { operator_owned: true, ..Network::new("s".repeat(32), i32::MIN) };
    let label = "w".repeat(63);
    let wispr = Wispr {
        login_names: vec![[label.as_str(); 2].join("."); MAX_LOGIN_NAMES],
        location: Some("l".repeat(64)),
        stay_logged_on: true,
    };
    let mut networks = vec![network; MAX_NETWORKS];
    networks.iter_mut().take(MAX_HOTSPOTS).for_each(|network| network.wispr = Some(wispr.clone()));
    let policy = Policy {
        networks,
        passpoints: vec![passpoint; MAX_PASSPOINTS],
        probe_url: "u".repeat(2048),
        ..the_full_credential().policy
    };
    let signer = PolicySigner::from_seed(&[7; 32]).expect("a key");
    let claims = Claims { policy: policy.clone(), keys: vec![signer.public(); MAX_KEYS] };
    let signed = SignedPolicy::sign(&claims, &signer).expect("fits");
    assert_eq!(signed.open(&[]), Ok(claims));
    let credential = Credential { policy, signed_policy: Some(signed), ..the_credential() };
    for format in Format::ALL {
        let written = text(format.encode_credential(&credential));
        assert_eq!(format.decode_credential(written.as_bytes()).as_ref(), Ok(&credential), "{format:?}");
    }
}

#[test]
fn faults_about_the_envelope_are_written_as_the_vectors_say() {
    let refusal = Refusal::new(Reason::BadRequest, None);
    for (format, error, name, fault) in [
        (Format::Soap11, SoapError::NotUnderstood, "must-understand", Fault::MustUnderstand),
        (Format::Soap12, SoapError::Version, "version-mismatch", Fault::VersionMismatch),
    ] {
        let (status, written) = format.encode_unread(&refusal, error.into()).expect("writable");
        assert_eq!((status, written.as_str()), (500, vector(format, name).as_str()));
        let read = format.decode_refusal(written.as_bytes());
        assert_eq!(read, Err(SoapError::Fault { fault: Some(fault) }.into()));
    }
    // An error of one format can be told in another, that of the reply.
    for format in [Format::Xml, Format::Json] {
        let (status, written) = format.encode_unread(&refusal, SoapError::Version.into()).expect("writable");
        assert_eq!((status, format.decode_refusal(written.as_bytes())), (400, Ok(refusal.clone())));
    }
}

/// `tests/vectors/refused/*.txt`: blocks that begin with a line `--- FORMAT MESSAGE CODE FIELD`, `-` for no field.
#[test]
fn malformed_messages_are_refused_with_code_and_field() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/refused");
    let mut blocks = 0;
    for file in fs::read_dir(folder).expect("the vectors") {
        let path = file.expect("a file").path();
        let whole = fs::read_to_string(&path).expect("text");
        for block in whole.split("\n--- ").skip(1) {
            let (head, body) = block.split_once('\n').expect("a body");
            let [format, message, code, field] = head.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{}: {head}", path.display())
            };
            let format = Format::ALL.into_iter().find(|f| f.name() == format).expect("a format");
            let error = match message {
                "request" => format.decode_request(body.as_bytes()).expect_err(block),
                "credential" => format.decode_credential(body.as_bytes()).expect_err(block),
                "refusal" => format.decode_refusal(body.as_bytes()).expect_err(block),
                other => panic!("no such message: {other}"),
            };
            assert_eq!((error.code(), error.field().unwrap_or("-")), (code, field), "{block}");
            blocks += 1;
        }
    }
    assert!(blocks >= 30, "{blocks}");
}

#[test]
fn the_json_example_of_the_readme_is_the_vector() {
    let readme = include_str!("../README.md");
    let example = readme.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(example, Some(vector(Format::Json, "request").as_str()));
}

/// Start, end and local name of each element but the root, at every depth. The writers put no attributes with `>`, no
/// comments and no CDATA.
fn elements(text: &str) -> Vec<(usize, usize, String)> {
    let (mut open, mut found, mut at) = (Vec::new(), Vec::new(), 0);
    while let Some(start) = text[at..].find('<').map(|offset| at + offset) {
        let end = start + text[start..].find('>').expect("a whole tag") + 1;
        let tag = &text[start + 1..end - 1];
        let name = tag.trim_start_matches('/').split([' ', '/']).next().expect("a name");
        let local = name.rsplit(':').next().expect("a name").to_owned();
        if tag.starts_with('?') {
        } else if tag.starts_with('/') {
            let (from, name) = open.pop().expect("an open element");
            assert_eq!(name, local);
            found.push((from, end, local));
        } else if tag.ends_with('/') {
            found.push((start, end, local));
        } else {
            open.push((start, local));
        }
        at = end;
    }
    found.pop();
    found
}

#[test]
fn an_element_that_stands_twice_is_refused_at_every_depth() {
    /// Lists; their lengths are bounded. A fault's text may stand there in several languages (SOAP 1.2 part 1 §5.4.2).
    const LISTS: [&str; 6] = ["network", "passpoint", "roaming-consortium", "domain", "login-name", "Text"];
    for format in Format::ALL.into_iter().filter(|format| *format != Format::Json) {
        let written = [
            ("request", text(format.encode_request(&the_request()))),
            ("credential", text(format.encode_credential(&the_full_credential()))),
            ("refusal", text(format.encode_refusal(&the_refusal()))),
            ("flaw", text(format.encode_refusal(&the_flaw()))),
        ];
        for (what, whole) in written {
            let read = |text: &str| match what {
                "request" => format.decode_request(text.as_bytes()).is_ok(),
                "credential" => format.decode_credential(text.as_bytes()).is_ok(),
                _ => format.decode_refusal(text.as_bytes()).is_ok(),
            };
            assert!(read(&whole), "{whole}");
            let all = elements(&whole);
            assert!(all.len() > 1, "{whole}");
            for (start, end, name) in all.into_iter().filter(|(_, _, name)| !LISTS.contains(&name.as_str())) {
                let twice = [&whole[..end], &whole[start..end], &whole[end..]].concat();
                assert!(!read(&twice), "{format:?} {what}: {name} may stand twice\n{twice}");
            }
        }
    }
}
