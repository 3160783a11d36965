//! Devices that say they are somebody else, over real HTTPS: each is refused with the right reason, and none learns
//! whether a subscriber exists.
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

use std::{net::Ipv4Addr, time::Duration};

use bench::{Bench, IMEI, IMSI, Never, OTHER_IMSI, Reply, logged, request};
use portal_aaa::{
    gateway::{HeaderProof, ProofMode},
    portal::Limits,
    store::{Sealed, Store, SubscriberEntry, SubscriberState, Subscribers},
};
use provisioning::{
    message::Reason,
    xml::{decode_credential, decode_refusal},
};

const UNLISTED: &str = "001010999999999";

#[track_caller]
fn refused(reply: &Reply, reason: Reason, source: Ipv4Addr, detail: &str) {
    let refusal = decode_refusal(&reply.body).expect("a refusal");
    assert_eq!((refusal.reason, reply.status), (reason, reason.http_status()));
    let log = logged(&source.to_string());
    assert!(log.contains(&format!("detail=\"{detail}\"")), "{detail} in {log}");
    for secret in [IMSI, OTHER_IMSI, UNLISTED, IMEI] {
        assert!(!log.contains(secret), "in the log");
    }
}

/// What the device can see of it.
fn seen(reply: &Reply) -> (u16, Vec<u8>) {
    (reply.status, reply.body.clone())
}

fn list(bench: &Bench, imsi: &str, msisdn: Option<&str>, state: SubscriberState) {
    let keys = &bench.keys;
    let imsi = keys.handle_imsi(&imsi.parse().unwrap());
    let msisdn = msisdn.map(|msisdn| (keys.handle_msisdn(&msisdn.parse().unwrap()), Sealed(vec![2])));
    let entry =
        SubscriberEntry { imsi, imsi_sealed: Sealed(vec![1]), msisdn, state: Some(state), group: None };
    bench.store.put_subscribers(&[entry], bench.now()).unwrap();
}

/// The message with other headers beside it.
fn posted_with(headers: &str, body: &str) -> Vec<u8> {
    let posted = String::from_utf8(bench::posted(body)).unwrap();
    posted.replacen("content-type", &format!("{headers}content-type"), 1).into_bytes()
}

#[tokio::test]
async fn anothers_imsi_is_refused_and_nobody_learns_whether_it_is_listed() {
    let bench = Bench::listed(ProofMode::GatewayAccounting).await;
    list(&bench, IMSI, None, SubscriberState::Allow);
    list(&bench, OTHER_IMSI, None, SubscriberState::Suspended);
    let mut answers = Vec::new();
    // Addresses of their own, so that none counts as shared: listed, suspended, unlisted.
    for (last, claimed) in [(1, IMSI), (2, OTHER_IMSI), (3, UNLISTED)] {
        let device = Ipv4Addr::new(127, 1, 1, last);
        bench.attach(&format!("s{last}"), device, "001010000000077");
        let reply = bench.post(device, &request(claimed)).await;
        refused(&reply, Reason::IdentityMismatch, device, "other-imsi");
        answers.push(seen(&reply));
    }
    // And from an address of nobody's.
    let mut strangers = Vec::new();
    for (last, claimed) in [(11, IMSI), (12, OTHER_IMSI), (13, UNLISTED)] {
        let device = Ipv4Addr::new(127, 1, 1, last);
        let reply = bench.post(device, &request(claimed)).await;
        refused(&reply, Reason::NoSession, device, "no-session");
        strangers.push(seen(&reply));
    }
    for answers in [answers, strangers] {
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }
}

#[tokio::test]
async fn anothers_address_proves_nothing_after_its_stop() {
    let bench = Bench::start().await;
    let device = Ipv4Addr::new(127, 1, 2, 1);
    bench.attach("a", device, IMSI);
    assert_eq!(bench.post(device, &request(IMSI)).await.status, 200);
    bench.detach("a");
    refused(&bench.post(device, &request(IMSI)).await, Reason::NoSession, device, "no-session");
    // The address is somebody else's now.
    bench.attach("b", device, OTHER_IMSI);
    refused(&bench.post(device, &request(IMSI)).await, Reason::IdentityMismatch, device, "other-imsi");
    // The gateway starts anew: nobody has it.
    bench.restart_gateway();
    let reply = bench.post(device, &request(OTHER_IMSI)).await;
    refused(&reply, Reason::NoSession, device, "no-session");
}

#[tokio::test]
async fn two_gateways_that_disagree_prove_nothing() {
    let bench = Bench::start().await;
    let device = Ipv4Addr::new(127, 1, 3, 1);
    bench.attach_at("pgw1", "a", device, IMSI);
    bench.attach_at("pgw2", "a", device, OTHER_IMSI);
    for claimed in [IMSI, OTHER_IMSI] {
        let reply = bench.post(device, &request(claimed)).await;
        refused(&reply, Reason::NoSession, device, "address-contested");
    }
}

#[tokio::test]
async fn a_replayed_request_is_of_no_use_elsewhere_and_bounded_where_it_came_from() {
    let limits =
        Limits { subscriber_burst: 3, subscriber_refill: Duration::from_secs(3600), ..Limits::default() };
    let bench = Bench::with(ProofMode::GatewayAccounting, limits, None::<Never>).await;
    let (first, second, thief) =
        (Ipv4Addr::new(127, 1, 4, 1), Ipv4Addr::new(127, 1, 4, 2), Ipv4Addr::new(127, 1, 4, 3));
    bench.attach("a", first, IMSI);
    bench.attach("b", second, IMSI);
    bench.attach("c", thief, OTHER_IMSI);
    let octets = bench::posted(&request(IMSI));
    assert_eq!(bench.send(first, &octets).await.status, 200);
    for _ in 0..5 {
        let reply = bench.send(thief, &octets).await;
        refused(&reply, Reason::IdentityMismatch, thief, "other-imsi");
    }
    // The thief has not used up what is its owner's; a second address of his is no second lot.
    assert_eq!(bench.send(first, &octets).await.status, 200);
    assert_eq!(bench.send(second, &octets).await.status, 200);
    for device in [first, second] {
        let reply = bench.send(device, &octets).await;
        refused(&reply, Reason::RateLimited, device, "request-rate");
        assert!(reply.header("retry-after").is_some());
    }
    assert_eq!(bench.post(thief, &request(OTHER_IMSI)).await.status, 200, "another's bucket");
}

#[tokio::test]
async fn a_header_counts_only_from_a_listed_proxy() {
    let proxy = Ipv4Addr::new(127, 1, 5, 1);
    let mode = ProofMode::Header(HeaderProof {
        proxies: vec!["127.1.5.1".parse().unwrap()],
        imsi: Some("X-IMSI".to_owned()),
        msisdn: Some("X-MSISDN".to_owned()),
    });
    let bench = Bench::with(mode, Limits { burst: 1, ..Limits::default() }, None::<Never>).await;
    list(&bench, IMSI, Some("+491701234567"), SubscriberState::Allow);
    let mine = format!("x-imsi: {IMSI}\r\n");

    let forger = Ipv4Addr::new(127, 1, 5, 2);
    let forged = posted_with(&format!("x-forwarded-for: {proxy}\r\n{mine}"), &request(IMSI));
    refused(&bench.send(forger, &forged).await, Reason::IdentityMismatch, forger, "not-by-proxy");

    // Many devices share the proxy's address; its rate is not theirs.
    for headers in [
        mine.as_str(),
        "x-msisdn: +491701234567\r\n",
        "x-msisdn: 491701234567\r\nx-forwarded-for: 10.0.0.1\r\n",
    ] {
        let reply = bench.send(proxy, &posted_with(headers, &request(IMSI))).await;
        assert_eq!(reply.status, 200, "{headers} {reply:?}");
        let credential = decode_credential(&reply.body).unwrap();
        let record = bench.store.credential(&credential.username).unwrap().unwrap();
        assert_eq!(record.source, Some(proxy.into()), "an address in a header is not believed");
        assert!(record.imei.is_none(), "the proxy says nothing of the equipment");
    }
    for (headers, detail) in [
        (String::new(), "header-missing"),
        (format!("{mine}{mine}"), "header-unclear"),
        (format!("x-imsi: {OTHER_IMSI}\r\n{mine}"), "header-unclear"),
        (format!("x-imsi: {IMSI}, {OTHER_IMSI}\r\n"), "header-unclear"),
        (format!("x-imsi: {OTHER_IMSI}\r\n"), "other-imsi"),
        (format!("{mine}x-msisdn: +491709999999\r\n"), "other-imsi"),
    ] {
        let reply = bench.send(proxy, &posted_with(&headers, &request(IMSI))).await;
        refused(&reply, Reason::IdentityMismatch, proxy, detail);
    }
}

#[tokio::test]
async fn an_address_with_many_behind_it_proves_nothing() {
    let bench = Bench::start().await;
    let device = Ipv4Addr::new(127, 1, 6, 1);
    bench.attach("a", device, IMSI);
    assert_eq!(bench.post(device, &request(IMSI)).await.status, 200);
    for claimed in ["001010000000001", "001010000000002"] {
        let reply = bench.post(device, &request(claimed)).await;
        refused(&reply, Reason::IdentityMismatch, device, "other-imsi");
    }
    // One more than the bench allows: from now on not even its owner.
    for claimed in ["001010000000003", IMSI] {
        let reply = bench.post(device, &request(claimed)).await;
        refused(&reply, Reason::IdentityMismatch, device, "address-shared");
    }
}

#[tokio::test]
async fn a_suspended_subscriber_gets_nothing_and_loses_what_he_has() {
    let bench = Bench::start().await;
    let device = Ipv4Addr::new(127, 1, 7, 1);
    bench.attach("a", device, IMSI);
    let reply = bench.post(device, &request(IMSI)).await;
    let credential = decode_credential(&reply.body).expect("a credential");
    let generation = bench.store.generation().unwrap();
    list(&bench, IMSI, None, SubscriberState::Suspended);
    let revoked = bench.store.revocations(0, bench.now()).unwrap();
    assert_eq!(revoked.iter().map(|one| &one.username).collect::<Vec<_>>(), [&credential.username]);
    assert!(bench.store.generation().unwrap() > generation, "a running server notices");
    let reply = bench.post(device, &request(IMSI)).await;
    refused(&reply, Reason::NotEntitled, device, "subscriber-suspended");
    // Leaving the IMSI out does not help: the gateway knows it.
    let bare = request(IMSI).replace(&format!("<imsi>{IMSI}</imsi>"), "");
    assert!(!bare.contains(IMSI));
    let reply = bench.post(device, &bare).await;
    refused(&reply, Reason::NotEntitled, device, "subscriber-suspended");
    list(&bench, IMSI, None, SubscriberState::Deny);
    refused(&bench.post(device, &bare).await, Reason::NotEntitled, device, "subscriber-denied");
    list(&bench, IMSI, None, SubscriberState::Allow);
    assert_eq!(bench.post(device, &request(IMSI)).await.status, 200);
    assert_eq!(bench.store.revocations(0, bench.now()).unwrap().len(), 1, "what was revoked stays so");
}

#[tokio::test]
async fn who_is_not_listed_gets_nothing_where_only_those_listed_are_served() {
    let bench = Bench::listed(ProofMode::GatewayAccounting).await;
    let device = Ipv4Addr::new(127, 1, 8, 1);
    bench.attach("a", device, IMSI);
    refused(&bench.post(device, &request(IMSI)).await, Reason::NotEntitled, device, "subscriber-unlisted");
    list(&bench, IMSI, None, SubscriberState::Allow);
    assert_eq!(bench.post(device, &request(IMSI)).await.status, 200);
}
