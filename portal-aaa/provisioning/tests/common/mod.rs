//! Arbitrary messages, shared by the round-trip and the schema tests.

use std::time::Duration;

use proptest::{collection::vec, option, prelude::*, sample::select};
use provisioning::{
    identity::{Imei, Imsi, Mac},
    message::{
        AfterMove, ApFilter, Credential, CredentialRequest, EapSettings, Flaw, InnerMethod, MAX_RESERVE,
        MacMode, Network, Offload, OuterMethod, Policy, Reason, Refusal, Sequence, SmsUse, Threshold,
        Trigger, UseCredential,
    },
    passpoint::{MAX_CONSORTIUMS, MAX_DOMAINS, MAX_PASSPOINTS, Oi, Passpoint},
    report::{CredentialReport, Failure, Outcome, Proof},
    secret::Password,
    wispr::{MAX_LOGIN_NAMES, Wispr},
};

/// Every value that may stand in a request.
pub(crate) fn request() -> impl Strategy<Value = CredentialRequest> {
    let identifiers = (option::of(imsi()), option::of(imei()))
        .prop_filter("one of the two", |(a, b)| a.is_some() || b.is_some());
    (identifiers, station(), trigger(), "[ -~]{1,64}", option::of(any::<u64>())).prop_map(
        |((imsi, imei), mac, trigger, agent, policy_version)| CredentialRequest {
            imsi,
            imei,
            mac,
            trigger,
            agent,
            policy_version,
        },
    )
}

/// Every report; the proof is any.
pub(crate) fn report() -> impl Strategy<Value = CredentialReport> {
    let outcome = prop_oneof![
        Just(Outcome::Installed),
        Just(Outcome::FirstSuccess),
        select(Failure::ALL.to_vec()).prop_map(Outcome::Failed),
    ];
    (line(60), outcome, option::of(any::<u64>()), "[ -~]{1,64}", any::<[u8; 32]>()).prop_map(
        |(username, outcome, policy_version, agent, proof)| CredentialReport {
            username,
            outcome,
            policy_version,
            agent,
            proof: Proof(proof),
        },
    )
}

/// Every kind of refusal.
pub(crate) fn refusal() -> impl Strategy<Value = Refusal> {
    let reasons = vec![
        Reason::BadRequest,
        Reason::IdentityMismatch,
        Reason::NoSession,
        Reason::GatewayFeedSilent,
        Reason::NotEntitled,
        Reason::RateLimited,
        Reason::TemporarilyUnavailable,
    ];
    let flaw = ("[a-z0-9-]{1,64}", option::of("[a-z0-9-]{1,64}"));
    let flaw = flaw.prop_map(|(code, field)| Flaw::new(&code, field.as_deref()).expect("words"));
    (select(reasons), option::of(any::<u32>()), option::of(flaw)).prop_map(|(reason, seconds, flaw)| {
        Refusal { flaw, ..Refusal::new(reason, seconds.map(|s| Duration::from_secs(s.into()))) }
    })
}

/// Credentials with awkward text: markup, quotes, spaces at the ends, other scripts, carriage returns in the PEM.
pub(crate) fn credential() -> impl Strategy<Value = Credential> {
    let times = (0..=MAX_TIME, option::of(0..=MAX_TIME), any::<bool>());
    let signed = option::of("[A-Za-z0-9_-]{1,40}\\.[A-Za-z0-9_-]{1,400}\\.[A-Za-z0-9_-]{1,86}");
    (line(60), line(60), eap(), mac_mode(), times, policy(), signed).prop_map(
        |(username, password, eap, mac_mode, (issued_at, expires_at, one_time), policy, signed)| Credential {
            username,
            password: Password::new(password),
            eap,
            mac_mode,
            issued_at,
            expires_at,
            one_time,
            policy,
            signed_policy: signed.map(|text| text.parse().expect("the shape")),
        },
    )
}

/// The year 9999.
const MAX_TIME: u64 = 253_402_207_200;

/// One line of `max` characters, at most four times as many octets.
fn line(max: usize) -> impl Strategy<Value = String> {
    let awkward = select(vec!['&', '<', '>', '"', '\'', ' ', ']', ';', '#', 'é', '漢', '😀']);
    let any_printable =
        any::<char>().prop_filter("printable", |c| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}'));
    vec(prop_oneof![awkward, proptest::char::range(' ', '~'), any_printable], 1..=max)
        .prop_map(String::from_iter)
}

fn imsi() -> impl Strategy<Value = Imsi> {
    "[0-9]{6,15}".prop_map(|text| text.parse().expect("an IMSI"))
}

fn imei() -> impl Strategy<Value = Imei> {
    "[0-9]{14,16}".prop_map(|text| text.parse().expect("an IMEI"))
}

fn station() -> impl Strategy<Value = Mac> {
    any::<[u8; 6]>().prop_map(|mut octets| {
        octets[0] &= 0xfe;
        Mac(octets)
    })
}

fn trigger() -> impl Strategy<Value = Trigger> {
    select(vec![
        Trigger::Attach,
        Trigger::Periodic,
        Trigger::BeforeMove,
        Trigger::Expiry,
        Trigger::Used,
        Trigger::ReturnedToCellular,
        Trigger::Rejected,
        Trigger::User,
    ])
}

fn eap() -> impl Strategy<Value = EapSettings> {
    let outer = select(vec![OuterMethod::Peap, OuterMethod::Ttls]);
    let inner = select(vec![InnerMethod::Mschapv2, InnerMethod::Pap, InnerMethod::Gtc]);
    (outer, inner, line(60), line(60), "[-A-Za-z0-9+/= \r\n\t<&]{1,400}").prop_map(
        |(outer, inner, anonymous_identity, server_name, ca_pem)| EapSettings {
            outer,
            inner,
            anonymous_identity,
            server_name,
            ca_pem,
        },
    )
}

fn mac_mode() -> impl Strategy<Value = MacMode> {
    prop_oneof![Just(MacMode::Permanent), station().prop_map(MacMode::Issued), Just(MacMode::Unbound)]
}

fn wispr() -> impl Strategy<Value = Wispr> {
    let name = "(\\*\\.)?[a-z0-9]{1,9}(\\.[a-z][a-z0-9]{0,9}){1,3}";
    (vec(name, 1..=MAX_LOGIN_NAMES), option::of(line(20)), any::<bool>())
        .prop_map(|(login_names, location, stay_logged_on)| Wispr { login_names, location, stay_logged_on })
}

fn policy() -> impl Strategy<Value = Policy> {
    let network = (line(8), any::<i32>(), any::<bool>(), option::of(wispr())).prop_map(
        |(ssid, priority, operator_owned, wispr)| Network { ssid, priority, operator_owned, wispr },
    );
    let after = select(vec![AfterMove::Down, AfterMove::Standby, AfterMove::Backup]);
    let signal = (any::<i32>(), any::<i32>(), any::<u32>(), any::<u32>());
    let rest = (line(80), after, any::<u32>(), any::<bool>(), any::<u64>());
    let sequence = select(vec![Sequence::MakeBeforeBreak, Sequence::BreakBeforeMake]);
    let later = (sequence, any::<bool>(), 0..=MAX_RESERVE, any::<u32>());
    (any::<u64>(), vec(network, 0..5), signal, rest, later, latest()).prop_map(
        |(version, networks, signal, rest, later, latest)| {
            let (enter_dbm, leave_dbm, dwell_secs, penalty_secs) = signal;
            let (probe_url, cellular_after_move, drain_secs, renew_after_return, renew_every_secs) = rest;
            let (sequence, renew_before_move, one_time_reserve, offline_grace_secs) = later;
            Policy {
                version,
                networks,
                enter_dbm,
                leave_dbm,
                dwell_secs,
                penalty_secs,
                probe_url,
                cellular_after_move,
                drain_secs,
                renew_after_return,
                renew_every_secs,
                sequence,
                renew_before_move,
                one_time_reserve,
                offline_grace_secs,
                ..latest
            }
        },
    )
}

/// A policy with arbitrary values in the fields that came with version 0.2.0.
fn latest() -> impl Strategy<Value = Policy> {
    let filter = select(vec![ApFilter::PolicySsid, ApFilter::OperatorOwned, ApFilter::Any]);
    let offload = select(vec![Offload::Automatic, Offload::OnRequest, Offload::Never]);
    let threshold = select(vec![Threshold::Dbm, Threshold::Off]);
    let credential = select(vec![UseCredential::Newest, UseCredential::Oldest]);
    let sms = select(vec![SmsUse::Never, SmsUse::Fallback, SmsUse::Always]);
    (filter, vec(passpoint(), 0..=MAX_PASSPOINTS), offload, threshold, credential, any::<bool>(), sms)
        .prop_map(|(ap_filter, passpoints, offload, threshold, use_credential, renew_on_attach, sms)| {
            Policy {
                ap_filter,
                passpoints,
                offload,
                threshold,
                use_credential,
                renew_on_attach,
                sms,
                ..Policy::default()
            }
        })
}

fn passpoint() -> impl Strategy<Value = Passpoint> {
    let oi = prop_oneof![
        any::<[u8; 3]>().prop_map(|octets| Oi::try_from(&octets[..]).expect("three octets")),
        any::<[u8; 5]>().prop_map(|octets| Oi::try_from(&octets[..]).expect("five octets")),
    ];
    let (consortiums, domains) = (vec(oi, 0..=MAX_CONSORTIUMS), vec(line(12), 0..=MAX_DOMAINS));
    (any::<i32>(), consortiums, domains, option::of(line(12)))
        .prop_map(|(priority, roaming_consortiums, domains, realm)| Passpoint {
            priority,
            roaming_consortiums,
            domains,
            realm,
        })
        .prop_filter("recognisable", Passpoint::is_recognisable)
}
