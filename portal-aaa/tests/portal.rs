//! The portal over real HTTPS, with real store and keys: loopback addresses are the devices, and the packet
//! gateway's accounting is handed to the prover as the accounting listener does it.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    dead_code,
    reason = "a test may assume; the bench has more than is used here"
)]

#[path = "portal/bench.rs"]
mod bench;
#[path = "portal/formats.rs"]
mod formats;

use std::{net::Ipv4Addr, time::Duration};

use bench::{Bench, IMEI, IMSI, OTHER_IMSI, Reply, logged, request};
use portal_aaa::{
    credential::{IssueError, IssueRequest, ReportError},
    gateway::ProofMode,
    portal::{Issuer, Limits},
    store::{Store, StoreError},
};
use provisioning::{
    message::{Credential, Flaw, Reason},
    report::CredentialReport,
    xml::{MAX_BODY, decode_credential, decode_refusal},
};
use tokio::{io::AsyncWriteExt, time::timeout};

/// Anything that takes longer hangs.
const BOUND: Duration = Duration::from_secs(10);

#[track_caller]
fn refused(reply: &Reply, reason: Reason, retry_after: Option<u64>) {
    let refusal = decode_refusal(&reply.body).expect("a refusal");
    assert_eq!((refusal.reason, reply.status), (reason, reason.http_status()));
    assert_eq!(refusal.retry_after.map(|wait| wait.as_secs()), retry_after);
    assert_eq!(reply.header("retry-after"), retry_after.map(|s| s.to_string()));
}

#[tokio::test]
async fn a_device_gets_a_credential_for_its_own_imsi() {
    let bench = Bench::start().await;
    let device = Ipv4Addr::new(127, 0, 2, 1);
    bench.attach("a", device, IMSI);
    let reply = bench.post(device, &request(IMSI)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("content-type").as_deref(), Some("application/xml"));
    assert_eq!(reply.header("cache-control").as_deref(), Some("no-store"));
    let credential = decode_credential(&reply.body).expect("a credential");
    assert_eq!(credential.eap, bench::terms().eap);
    let record = bench.store.credential(&credential.username).unwrap().expect("on record before the reply");
    assert_eq!((record.source, record.mac), (Some(device.into()), Some(bench::MAC)));
    assert!(record.imsi.is_some() && record.imei.is_some());
    let again = decode_credential(&bench.post(device, &request(IMSI)).await.body).expect("a credential");
    assert_ne!(again.username, credential.username, "newly generated each time");

    let log = logged("127.0.2.1");
    assert!(log.contains("credential-issued") && log.contains(&credential.username), "{log}");
    let files = bench.files();
    for secret in [IMSI, IMEI, credential.password.expose()] {
        assert!(!log.contains(secret), "in the log");
        assert!(!files.windows(secret.len()).any(|w| w == secret.as_bytes()), "in the data directory");
    }
}

#[tokio::test]
async fn another_devices_identity_is_refused_and_logged_without_it() {
    let bench = Bench::start().await;
    let (mine, theirs) = (Ipv4Addr::new(127, 0, 3, 1), Ipv4Addr::new(127, 0, 3, 2));
    bench.attach("a", mine, IMSI);
    bench.attach("b", theirs, OTHER_IMSI);
    refused(&bench.post(mine, &request(OTHER_IMSI)).await, Reason::IdentityMismatch, None);
    let other_imei = request(IMSI).replace(IMEI, "490154203237526");
    refused(&bench.post(mine, &other_imei).await, Reason::IdentityMismatch, None);
    let log = logged("127.0.3.1");
    for expected in [
        "credential-refused",
        "identity-mismatch",
        "other-imsi",
        "other-imei",
        "00101••••••••88",
        "02:00:00:00:00:07",
    ] {
        assert!(log.contains(expected), "{expected} in {log}");
    }
    for secret in [IMSI, OTHER_IMSI, IMEI, "490154203237526"] {
        assert!(!log.contains(secret), "{log}");
    }
    assert_eq!(bench.post(theirs, &request(OTHER_IMSI)).await.status, 200, "its owner is not in the way");
}

#[tokio::test]
async fn a_late_start_is_waited_for_and_a_stop_ends_it() {
    let bench = Bench::start().await;
    let device = Ipv4Addr::new(127, 0, 4, 1);
    bench.attach("other", Ipv4Addr::new(127, 0, 4, 9), OTHER_IMSI);
    refused(&bench.post(device, &request(IMSI)).await, Reason::NoSession, Some(5));
    bench.attach("a", device, IMSI);
    assert_eq!(bench.post(device, &request(IMSI)).await.status, 200);
    bench.detach("a");
    refused(&bench.post(device, &request(IMSI)).await, Reason::NoSession, Some(5));
    assert!(logged("127.0.4.1").contains("no-session"));
}

#[tokio::test]
async fn a_silent_feed_proves_nothing() {
    let bench = Bench::start().await;
    let device = Ipv4Addr::new(127, 0, 5, 1);
    refused(&bench.post(device, &request(IMSI)).await, Reason::GatewayFeedSilent, Some(30));
    bench.attach_ago(301, "a", device, IMSI);
    refused(&bench.post(device, &request(IMSI)).await, Reason::GatewayFeedSilent, Some(30));
    bench.attach("b", Ipv4Addr::new(127, 0, 5, 9), OTHER_IMSI);
    assert_eq!(
        bench.post(device, &request(IMSI)).await.status,
        200,
        "the session is older than the silence was"
    );
    let log = logged("127.0.5.1");
    assert!(log.contains("gateway-feed-silent") && log.contains("feed-silent"), "{log}");
}

#[tokio::test]
async fn the_hosts_own_address_proves_nothing() {
    let bench = Bench::start().await;
    bench.attach("a", Ipv4Addr::LOCALHOST, IMSI);
    refused(&bench.post(Ipv4Addr::LOCALHOST, &request(IMSI)).await, Reason::NoSession, Some(5));
}

#[tokio::test]
async fn a_trusted_network_is_believed() {
    let mode = ProofMode::TrustedPrefix(vec!["127.0.6.0/24".parse().unwrap()]);
    let bench = Bench::with(mode, Limits::default(), None::<bench::Never>).await;
    assert_eq!(bench.post(Ipv4Addr::new(127, 0, 6, 1), &request(IMSI)).await.status, 200);
    let outside = bench.post(Ipv4Addr::new(127, 0, 7, 1), &request(IMSI)).await;
    refused(&outside, Reason::IdentityMismatch, None);
}

#[tokio::test]
async fn messages_that_do_not_fit_are_refused() {
    let bench = Bench::start().await;
    let device = Ipv4Addr::new(127, 0, 8, 1);
    bench.attach("a", device, IMSI);
    let good = request(IMSI);
    let doctype = good.replacen("?>", "?><!DOCTYPE credential-request [<!ENTITY x 'y'>]>", 1);
    for bad in ["", "<", "{}", &good[..good.len() / 2], &good.replace("<mac>", "<more/><mac>"), &doctype] {
        refused(&bench.post(device, bad).await, Reason::BadRequest, None);
    }
    let log = logged("127.0.8.1");
    for detail in ["malformed", "unexpected-element", "doctype"] {
        assert!(log.contains(detail), "{detail} in {log}");
    }
}

#[tokio::test]
async fn there_is_nothing_else() {
    let bench = Bench::start().await;
    let device = Ipv4Addr::new(127, 0, 9, 1);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    let health = bench.send(device, get("/healthz").as_bytes()).await;
    assert_eq!((health.status, health.body.as_slice()), (200, b"ok\n".as_slice()));
    for path in ["/", "/v1/credential", "/v1/credential/", "/metrics", "/v1/../healthz"] {
        assert_eq!(bench.send(device, get(path).as_bytes()).await.status, 404, "{path}");
    }
    let wrong =
        bench.send(device, b"PUT /v1/credential HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(wrong.status, 404);
}

#[tokio::test]
async fn both_versions_of_tls_are_served_and_a_stranger_is_not_trusted() {
    let bench = Bench::start().await;
    let device = Ipv4Addr::new(127, 0, 10, 1);
    bench.attach("a", device, IMSI);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = bench.client(&[version]);
        let reply = bench.send_by(client, device, &bench::posted(&request(IMSI))).await;
        assert_eq!(reply.status, 200, "{version:?}");
    }
    let stranger = Bench::start().await;
    let error = bench.connect(stranger.client(rustls::ALL_VERSIONS), device).await.expect_err("another CA");
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
}

#[tokio::test]
async fn oversized_bodies_are_refused_without_being_read() {
    let bench = Bench::start().await;
    let device = Ipv4Addr::new(127, 0, 11, 1);
    let head = format!("POST /v1/credential HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", MAX_BODY + 1);
    refused(&bench.send(device, head.as_bytes()).await, Reason::BadRequest, None);
    assert!(logged("127.0.11.1").contains("too-large"));
    // Endless, without saying so.
    let mut chunked =
        b"POST /v1/credential HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..=MAX_BODY / 4096 {
        chunked.extend_from_slice(b"1000\r\n");
        chunked.extend_from_slice(&[b' '; 4096]);
        chunked.extend_from_slice(b"\r\n");
    }
    bench.send(device, &chunked).await;
    assert!(logged("127.0.11.1").contains("body-unfinished"));
    let header = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(64 * 1024));
    assert_ne!(bench.send(device, header.as_bytes()).await.status, 200);
}

#[tokio::test]
async fn slow_and_broken_off_requests_end_in_bounded_time() {
    let short = Duration::from_millis(200);
    let limits = Limits { handshake: short, header: short, body: short, ..Limits::default() };
    let bench = Bench::with(ProofMode::GatewayAccounting, limits, None::<bench::Never>).await;
    let device = Ipv4Addr::new(127, 0, 12, 1);
    // No handshake: the portal hangs up.
    let mut silent = bench.dial(device).await;
    assert_eq!(bench::rest(&mut silent).await, b"");
    // Header begun and not ended.
    assert_eq!(bench.send(device, b"POST /v1/credential HTTP/1.1\r\nhost:").await.status, 0);
    // Body begun and not ended.
    let slow =
        bench.send(device, b"POST /v1/credential HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n<").await;
    refused(&slow, Reason::BadRequest, None);
    assert!(logged("127.0.12.1").contains("body-slow"));
    // Body broken off.
    let mut stream = bench.connect(bench.client(rustls::ALL_VERSIONS), device).await.expect("connects");
    stream
        .write_all(b"POST /v1/credential HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n<")
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    bench::rest(&mut stream).await;
    // And it still serves.
    bench.attach("a", device, IMSI);
    assert_eq!(bench.post(device, &request(IMSI)).await.status, 200);
}

#[tokio::test]
async fn one_address_cannot_take_all_connections() {
    let limits = Limits { connections_per_address: 2, ..Limits::default() };
    let bench = Bench::with(ProofMode::GatewayAccounting, limits, None::<bench::Never>).await;
    let (greedy, other) = (Ipv4Addr::new(127, 0, 13, 1), Ipv4Addr::new(127, 0, 13, 2));
    let first = bench.connect(bench.client(rustls::ALL_VERSIONS), greedy).await.expect("connects");
    let second = bench.connect(bench.client(rustls::ALL_VERSIONS), greedy).await.expect("connects");
    bench.connect(bench.client(rustls::ALL_VERSIONS), greedy).await.expect_err("closed at once");
    assert!(logged("127.0.13.1").contains("connections-per-address"));
    bench.attach("a", other, IMSI);
    assert_eq!(bench.post(other, &request(IMSI)).await.status, 200);
    drop((first, second));
}

#[tokio::test]
async fn one_address_cannot_ask_all_the_time() {
    let limits = Limits { burst: 2, refill: Duration::from_secs(3600), ..Limits::default() };
    let bench = Bench::with(ProofMode::GatewayAccounting, limits, None::<bench::Never>).await;
    let device = Ipv4Addr::new(127, 0, 14, 1);
    bench.attach("a", device, IMSI);
    assert_eq!(bench.post(device, &request(IMSI)).await.status, 200);
    assert_eq!(bench.post(device, &request(IMSI)).await.status, 200);
    let reply = bench.post(device, &request(IMSI)).await;
    let wait = decode_refusal(&reply.body).expect("a refusal").retry_after.expect("a time").as_secs();
    assert!((3500..=3600).contains(&wait), "{wait}");
    refused(&reply, Reason::RateLimited, Some(wait));
}

/// An issuer whose disk is full.
struct Full;

impl Issuer for Full {
    fn issue(&self, _now: u64, _request: &IssueRequest) -> Result<Credential, IssueError> {
        Err(IssueError::Store(StoreError::Database("disk full".to_owned())))
    }

    fn tell(&self, _now: u64, _report: &CredentialReport) -> Result<(), ReportError> {
        Err(ReportError::Store(StoreError::Database("disk full".to_owned())))
    }
}

#[tokio::test]
async fn no_record_no_credential() {
    let bench = Bench::with(ProofMode::GatewayAccounting, Limits::default(), Some(Full)).await;
    let device = Ipv4Addr::new(127, 0, 15, 1);
    bench.attach("a", device, IMSI);
    let reply = bench.post(device, &request(IMSI)).await;
    refused(&reply, Reason::TemporarilyUnavailable, Some(30));
    assert!(!String::from_utf8_lossy(&reply.body).contains("disk"));
    assert!(logged("127.0.15.1").contains("store"));
}

#[tokio::test]
async fn it_stops_when_told() {
    let bench = Bench::start().await;
    let address = bench.address;
    timeout(BOUND, bench.stop()).await.expect("in bounded time");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

/// Numbers that cannot be: each is refused for its own field, and none of them is repeated.
#[tokio::test]
async fn impossible_identifiers_are_refused_by_name() {
    let bench = Bench::start().await;
    let device = Ipv4Addr::new(127, 0, 16, 1);
    bench.attach("a", device, IMSI);
    let good = request(IMSI);
    for (old, new, detail, field) in [
        (IMEI, "490154203237517", "imei-check-digit", "imei"),
        (IMEI, "4901542032375", "bad-value", "imei"),
        (IMSI, "0010101234567891", "bad-value", "imsi"),
        (IMSI, "00101012345678x", "bad-value", "imsi"),
        ("02:00:00:00:00:07", "03:00:00:00:00:07", "bad-value", "mac"),
        ("02:00:00:00:00:07", "ff:ff:ff:ff:ff:ff", "bad-value", "mac"),
        ("02:00:00:00:00:07", "00:00:00:00:00:00", "mac-zero", "mac"),
        ("attach", "whenever", "bad-value", "trigger"),
    ] {
        assert!(good.contains(old), "{old}");
        let before = logged("127.0.16.1").len();
        let reply = bench.post(device, &good.replace(old, new)).await;
        refused(&reply, Reason::BadRequest, None);
        assert_eq!(decode_refusal(&reply.body).unwrap().flaw, Flaw::new(detail, Some(field)));
        let log = logged("127.0.16.1").split_off(before);
        assert!(
            log.contains(&format!("detail=\"{detail}")) && log.contains(field),
            "{detail} {field} in {log}"
        );
        // Of what could be read all is masked; the addresses are no secret.
        assert!(!log.contains(new) || new.contains(':'), "{log}");
    }
    // Equipment that sends a spare digit instead of the check digit.
    assert_eq!(bench.post(device, &good.replace(IMEI, "490154203237510")).await.status, 200);
}

/// What an XML parser could be made to do: unfold, read files, ask other servers, nest for ever.
#[tokio::test]
async fn bombs_and_external_entities_are_refused_before_they_are_anything() {
    let bench = Bench::start().await;
    let device = Ipv4Addr::new(127, 0, 17, 1);
    bench.attach("a", device, IMSI);
    let good = request(IMSI);
    let laughs: String = (1..10)
        .map(|level| format!("<!ENTITY l{level} '{}'>", format!("&l{};", level - 1).repeat(10)))
        .collect();
    let before_root = |doctype: &str| good.replacen("?>", &format!("?>{doctype}"), 1);
    let deep = good.replacen("<mac>", &format!("{}<mac>", "<a>".repeat(1000)), 1);
    let many = good.replacen("<mac>", &format!("{}<mac>", "<a/>".repeat(1000)), 1);
    for (bad, detail) in [
        (before_root(&format!("<!DOCTYPE r [<!ENTITY l0 'ha'>{laughs}]>")).replace(IMSI, "&l9;"), "doctype"),
        (
            before_root("<!DOCTYPE r [<!ENTITY x SYSTEM 'file:///etc/hostname'>]>").replace(IMSI, "&x;"),
            "doctype",
        ),
        (before_root("<!DOCTYPE r SYSTEM 'http://127.0.17.9/x.dtd'>"), "doctype"),
        (good.replace(IMSI, "&x;"), "entity"),
        (deep, "too-deep"),
        (many, "too-many"),
    ] {
        let before = logged("127.0.17.1").len();
        refused(&bench.post(device, &bad).await, Reason::BadRequest, None);
        let log = logged("127.0.17.1").split_off(before);
        assert!(log.contains(&format!("detail=\"{detail}\"")), "{detail} in {log}");
    }
    assert_eq!(bench.post(device, &good).await.status, 200);
}

#[tokio::test]
async fn all_together_cannot_ask_all_the_time() {
    let limits = Limits { total_per_second: 1, ..Limits::default() };
    let bench = Bench::with(ProofMode::GatewayAccounting, limits, None::<bench::Never>).await;
    let mut limited = 0;
    for last in 1..=40 {
        let device = Ipv4Addr::new(127, 0, 18, last);
        bench.attach(&format!("s{last}"), device, IMSI);
        let reply = bench.post(device, &request(IMSI)).await;
        if reply.status == 429 {
            refused(&reply, Reason::RateLimited, Some(1));
            limited += 1;
        }
    }
    assert!(limited > 0, "40 requests of 40 addresses take less than 40 seconds");
}
