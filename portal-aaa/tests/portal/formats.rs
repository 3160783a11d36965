//! The same portal in every format: requests, replies, refusals and faults, what is agreed on by headers and what is not.

use std::{net::Ipv4Addr, process::Command};

use provisioning::{
    format::Format,
    message::{CredentialRequest, Reason, Trigger},
    schema::{JSON_SCHEMA, XSD},
    xml::soap::{Fault, SoapError},
};

use crate::bench::{Bench, IMEI, IMSI, MAC, OTHER_IMSI, Reply, logged, terms};

fn request(format: Format, imsi: &str) -> String {
    let request = CredentialRequest {
        imsi: Some(imsi.parse().unwrap()),
        imei: Some(IMEI.parse().unwrap()),
        mac: MAC,
        trigger: Trigger::Attach,
        agent: "test/1".to_owned(),
        policy_version: None,
    };
    format.encode_request(&request).unwrap().as_str().to_owned()
}

/// A post with these headers, each a whole line.
fn posted(headers: &[String], body: &str) -> Vec<u8> {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    let start = "POST /v1/credential HTTP/1.1\r\nhost: portal.test:8443\r\n";
    format!("{start}{headers}content-length: {length}\r\n\r\n{body}").into_bytes()
}

/// The headers that a client of this format sends.
fn headers(format: Format) -> Vec<String> {
    let action = format.soap_action().map(|action| format!("SOAPAction: {action}"));
    [format!("Content-Type: {}", format.request_content_type())].into_iter().chain(action).collect()
}

async fn ask(bench: &Bench, device: Ipv4Addr, format: Format, body: &str) -> Reply {
    bench.send(device, &posted(&headers(format), body)).await
}

#[track_caller]
fn refused(reply: &Reply, format: Format, reason: Reason, retry_after: Option<u64>) {
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    let refusal = format.decode_refusal(&reply.body).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!((refusal.reason, reply.status), (reason, format.refusal_status(reason)), "{format:?}");
    assert_eq!(refusal.retry_after.map(|wait| wait.as_secs()), retry_after);
    assert_eq!(reply.header("retry-after"), retry_after.map(|s| s.to_string()));
    assert_eq!(reply.header("content-type").as_deref(), Some(format.content_type()));
    assert_eq!(reply.header("cache-control").as_deref(), Some("no-store"));
}

#[tokio::test]
async fn a_credential_comes_in_the_format_of_the_request() {
    let bench = Bench::start().await;
    let device = Ipv4Addr::new(127, 0, 40, 1);
    bench.attach("a", device, IMSI);
    for format in Format::ALL {
        let reply = ask(&bench, device, format, &request(format, IMSI)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("content-type").as_deref(), Some(format.content_type()));
        assert_eq!(reply.header("cache-control").as_deref(), Some("no-store"));
        let credential = format.decode_credential(&reply.body).expect("a credential");
        assert_eq!((&credential.eap, &credential.policy), (&terms().eap, &terms().policy));
        let log = logged("127.0.40.1");
        assert!(log.contains(&credential.username), "{format:?}");
        for secret in [IMSI, IMEI, credential.password.expose()] {
            assert!(!log.contains(secret), "in the log, {format:?}");
        }
    }
}

#[tokio::test]
async fn accept_chooses_the_format_of_the_reply() {
    let bench = Bench::start().await;
    for (number, asked) in (1..).zip(Format::ALL) {
        // One address each: they ask more often than one may.
        let device = Ipv4Addr::new(127, 0, 41, number);
        bench.attach(&format!("a{number}"), device, IMSI);
        for answered in Format::ALL {
            let mut headers = headers(asked);
            headers.push(format!("Accept: text/html;q=0.9, {};q=0.8, */*;q=0.1", answered.media_type()));
            let reply = bench.send(device, &posted(&headers, &request(asked, IMSI))).await;
            assert_eq!(reply.status, 200, "{asked:?} {answered:?} {reply:?}");
            assert!(answered.decode_credential(&reply.body).is_ok(), "{asked:?} {answered:?}");
            let reply = bench.send(device, &posted(&headers, &request(asked, OTHER_IMSI))).await;
            refused(&reply, answered, Reason::IdentityMismatch, None);
        }
    }
}

#[tokio::test]
async fn refusals_and_faults_come_in_the_format_of_the_request() {
    let bench = Bench::start().await;
    let (device, absent) = (Ipv4Addr::new(127, 0, 42, 1), Ipv4Addr::new(127, 0, 42, 2));
    bench.attach("a", device, IMSI);
    for format in Format::ALL {
        let reply = ask(&bench, device, format, &request(format, OTHER_IMSI)).await;
        refused(&reply, format, Reason::IdentityMismatch, None);
        let reply = ask(&bench, absent, format, &request(format, IMSI)).await;
        refused(&reply, format, Reason::NoSession, Some(5));
        let spoilt = request(format, IMSI).replace(IMSI, "0010101234567890");
        refused(&ask(&bench, device, format, &spoilt).await, format, Reason::BadRequest, None);
        refused(&ask(&bench, device, format, "").await, format, Reason::BadRequest, None);
    }
    let log = logged("127.0.42.1");
    assert_eq!(log.matches("detail=\"bad-value\" field=\"imsi\"").count(), 4, "{log}");
    assert!(!log.contains("0010101234567890"), "{log}");
}

#[tokio::test]
async fn what_no_format_is_agreed_for_is_refused_with_a_clear_text() {
    let bench = Bench::start().await;
    let device = Ipv4Addr::new(127, 0, 43, 1);
    bench.attach("a", device, IMSI);
    let body = request(Format::Xml, IMSI);
    let xml = "Content-Type: application/xml".to_owned();
    for (headers, status, words) in [
        (vec!["Content-Type: text/plain".to_owned()], 415, "Content-Type is none of application/xml"),
        (vec!["Content-Type: application/x-www-form-urlencoded".to_owned()], 415, "application/json"),
        (vec!["Content-Type: \u{e9}".to_owned()], 415, "Content-Type"),
        (vec!["Content-Type: application/xml; charset=utf-16".to_owned()], 415, "charset"),
        (vec![xml.clone(), "Accept: text/html".to_owned()], 406, "Accept allows none of"),
        (vec![xml.clone(), "Accept: */*;q=0".to_owned()], 406, "Accept allows none of"),
    ] {
        let reply = bench.send(device, &posted(&headers, &body)).await;
        assert_eq!(reply.status, status, "{headers:?} {reply:?}");
        assert_eq!(reply.header("content-type").as_deref(), Some("text/plain; charset=utf-8"));
        let text = String::from_utf8_lossy(&reply.body);
        assert!(text.contains(words), "{text}");
        let types = "application/xml, text/xml, application/soap+xml, application/json";
        assert_eq!(reply.header("accept").as_deref(), Some(types));
    }
    let log = logged("127.0.43.1");
    for detail in ["content-type", "charset", "accept"] {
        assert!(log.contains(&format!("detail=\"{detail}\"")), "{detail} in {log}");
    }
    assert!(!log.contains("credential-issued"), "nothing is issued that nobody will read");
    for headers in [vec![], vec![xml, "Accept: */*".to_owned(), "Accept: text/html".to_owned()]] {
        assert_eq!(bench.send(device, &posted(&headers, &body)).await.status, 200, "{headers:?}");
    }
}

#[tokio::test]
async fn soap_is_served_by_its_own_rules() {
    let bench = Bench::start().await;
    let device = Ipv4Addr::new(127, 0, 44, 1);
    bench.attach("a", device, IMSI);
    for (format, other) in [(Format::Soap11, Format::Soap12), (Format::Soap12, Format::Soap11)] {
        let good = request(format, IMSI);
        let fault = |reply: &Reply| match format.decode_refusal(&reply.body) {
            Err(error) => (reply.status, error.fault()),
            Ok(refusal) => panic!("{refusal:?}"),
        };
        let header =
            "<env:Header><w:Security xmlns:w='urn:w' env:mustUnderstand='1'/></env:Header><env:Body>";
        let reply = ask(&bench, device, format, &good.replace("<env:Body>", header)).await;
        assert_eq!(fault(&reply), (500, Some(Fault::MustUnderstand)));
        assert!(!String::from_utf8_lossy(&reply.body).to_lowercase().contains("detail"));
        let reply = ask(&bench, device, format, &request(other, IMSI)).await;
        assert_eq!(fault(&reply), (500, Some(Fault::VersionMismatch)));
        let passed_over = header.replace("'1'", "'0'");
        let reply = ask(&bench, device, format, &good.replace("<env:Body>", &passed_over)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    let log = logged("127.0.44.1");
    for error in [SoapError::NotUnderstood, SoapError::Version] {
        assert!(log.contains(error.code()), "{log}");
    }
}

#[tokio::test]
async fn soap_that_wants_something_else_is_refused() {
    let bench = Bench::start().await;
    let device = Ipv4Addr::new(127, 0, 45, 1);
    bench.attach("a", device, IMSI);
    let body = request(Format::Soap11, IMSI);
    let text_xml = "Content-Type: text/xml; charset=utf-8".to_owned();
    for action in [vec![], vec!["SOAPAction: \"urn:other\"".to_owned()]] {
        let headers = [vec![text_xml.clone()], action].concat();
        let reply = bench.send(device, &posted(&headers, &body)).await;
        refused(&reply, Format::Soap11, Reason::BadRequest, None);
        assert!(String::from_utf8_lossy(&reply.body).contains("SOAP action"));
    }
    let headers = [text_xml, "soapaction: \"\"".to_owned()];
    assert_eq!(bench.send(device, &posted(&headers, &body)).await.status, 200);
    let other = ["Content-Type: application/soap+xml; action=\"urn:other\"".to_owned()];
    let reply = bench.send(device, &posted(&other, &request(Format::Soap12, IMSI))).await;
    refused(&reply, Format::Soap12, Reason::BadRequest, None);
    assert_eq!(logged("127.0.45.1").matches("soap-action").count(), 3);
}

#[tokio::test]
async fn bombs_and_external_entities_in_envelopes_are_refused() {
    let bench = Bench::start().await;
    let device = Ipv4Addr::new(127, 0, 46, 1);
    bench.attach("a", device, IMSI);
    let bomb = "?><!DOCTYPE e [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>\
                <!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>]>";
    for format in [Format::Soap11, Format::Soap12] {
        let good = request(format, IMSI);
        for bad in [
            good.replacen("?>", bomb, 1).replace("test/1", "&c;"),
            good.replacen("?>", "?><!DOCTYPE e [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>", 1),
            good.replacen("?>", "?><!DOCTYPE e SYSTEM 'http://127.0.0.1:9/e.dtd'>", 1),
            good.replace("test/1", "&c;"),
            good.replace("<env:Body>", &format!("<env:Header>{}</env:Header><env:Body>", "<a>".repeat(5000))),
            good.replace("<env:Body>", "<env:Body><?x y?>"),
        ] {
            refused(&ask(&bench, device, format, &bad).await, format, Reason::BadRequest, None);
        }
    }
    let log = logged("127.0.46.1");
    for (detail, times) in [("doctype", 6), ("entity", 2), ("too-deep", 2), ("processing-instruction", 2)] {
        assert_eq!(log.matches(&format!("detail=\"{detail}\"")).count(), times, "{detail} in {log}");
    }
}

#[tokio::test]
async fn the_contract_is_served() {
    let bench = Bench::start().await;
    let device = Ipv4Addr::new(127, 0, 47, 1);
    let get = async |query: &str| {
        let octets = format!("GET /v1/credential?{query} HTTP/1.1\r\nhost: portal.test:8443\r\n\r\n");
        bench.send(device, octets.as_bytes()).await
    };
    let wsdl = get("wsdl").await;
    assert_eq!((wsdl.status, wsdl.header("content-type").as_deref()), (200, Some("text/xml; charset=utf-8")));
    let text = String::from_utf8(wsdl.body).unwrap();
    assert_eq!(text.matches("location=\"https://portal.test:8443/v1/credential\"").count(), 2);
    let xsd = get("xsd").await;
    assert_eq!((xsd.status, xsd.body.as_slice()), (200, XSD.as_bytes()));
    let schema = get("json-schema").await;
    assert_eq!((schema.status, schema.body.as_slice()), (200, JSON_SCHEMA.as_bytes()));
    serde_json::from_slice::<serde_json::Value>(&schema.body).expect("JSON");
    assert_eq!(get("other").await.status, 404);
    // What is served is well-formed to others, too.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let judged = Command::new("xmllint").args(["--noout", "--nonet"]).arg(file.path()).output();
    assert!(judged.expect("xmllint runs: apt-get install libxml2-utils").status.success());
}
