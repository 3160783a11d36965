//! Bad input: what is refused, with what answer, and what it costs beside an issue.

use std::{io::Write as _, net::Ipv4Addr};

use anyhow::{Context as _, Result, ensure};
use provisioning::{format::Format, message::Reason, xml::MAX_BODY};
use serde::Serialize;

use super::{
    PORTAL_NAME,
    client::{Client, Reply, rest},
    fleet::{Device, luhn, posted},
    load::{Measured, many, measure},
    operator::Operator,
};
use crate::{bench::process, clock, peers::eapol::Tls};

/// One kind of bad input.
#[derive(Debug, Serialize)]
pub(super) struct Bad {
    /// What.
    pub(super) name: &'static str,
    /// HTTP status.
    pub(super) status: u16,
    /// What is wrong, as the answer says.
    pub(super) flaw: String,
    /// With which field, as the answer says.
    pub(super) field: String,
    /// What refusing it costs.
    pub(super) cost: Measured,
}

/// Connections that were begun and not ended.
#[derive(Debug, Serialize)]
pub(super) struct Slow {
    /// Where they stood still.
    pub(super) at: &'static str,
    /// How many at a time.
    pub(super) connections: usize,
    /// Seconds until the portal had ended all of them.
    pub(super) ended_secs: f64,
    /// Resident memory of each, KiB.
    pub(super) kib_each: f64,
}

/// A kind: its name, the octets that a device sends, and the answer: status, flaw, field.
struct Kind {
    name: &'static str,
    octets: fn(&Device) -> Result<Vec<u8>>,
    answer: (u16, &'static str, &'static str),
}

const KINDS: &[Kind] = &[
    Kind {
        name: "Luhn-wrong IMEI",
        octets: |d| spoilt(d, wrong_digit),
        answer: (400, "imei-check-digit", "imei"),
    },
    Kind {
        name: "16-digit IMSI",
        octets: |d| spoilt(d, |d, t| t.replace(d.imsi.expose(), &format!("{}7", d.imsi.expose()))),
        answer: (400, "bad-value", "imsi"),
    },
    Kind {
        name: "multicast MAC",
        octets: |d| spoilt(d, |d, t| t.replace(&d.mac.to_string(), "01:00:5e:00:00:01")),
        answer: (400, "bad-value", "mac"),
    },
    Kind {
        name: "all-zero MAC",
        octets: |d| spoilt(d, |d, t| t.replace(&d.mac.to_string(), "00:00:00:00:00:00")),
        answer: (400, "mac-zero", "mac"),
    },
    Kind {
        name: "field missing",
        octets: |d| spoilt(d, |_, t| t.replace("<agent>lab/1</agent>", "")),
        answer: (400, "missing-element", "agent"),
    },
    Kind {
        name: "field twice",
        octets: |d| spoilt(d, |_, t| t.replace("<agent>", "<agent>x/1</agent><agent>")),
        answer: (400, "unexpected-element", "credential-request"),
    },
    Kind {
        name: "cut off",
        octets: |d| spoilt(d, |_, t| t[..t.len() / 2].to_owned()),
        answer: (400, "malformed", "-"),
    },
    Kind {
        name: "billion laughs",
        octets: |d| spoilt(d, |d, t| doctype(d, t, &laughs())),
        answer: (400, "doctype", "-"),
    },
    Kind {
        name: "quadratic blow-up",
        octets: |d| {
            spoilt(d, |d, t| {
                doctype(d, t, &format!("<!ENTITY l9 '{}'>", "a".repeat(20_000)))
                    .replace("&l9;", &"&l9;".repeat(8000))
            })
        },
        answer: (400, "doctype", "-"),
    },
    Kind {
        name: "external entity",
        octets: |d| spoilt(d, |d, t| doctype(d, t, "<!ENTITY l9 SYSTEM 'file:///etc/hostname'>")),
        answer: (400, "doctype", "-"),
    },
    Kind {
        name: "64 KiB of elements",
        octets: |d| spoilt(d, |_, t| t.replace("<mac>", &format!("{}<mac>", "<a/>".repeat(16_000)))),
        answer: (400, "too-many", "-"),
    },
    Kind {
        name: "64 KiB of attributes",
        octets: |d| spoilt(d, |_, t| t.replace("<mac>", &format!("<mac {}>", attributes()))),
        answer: (400, "too-many", "-"),
    },
    Kind {
        name: "64 KiB of namespaces",
        octets: |d| {
            spoilt(d, |_, t| t.replace("<mac>", &format!("<mac {}>{}", namespaces(), "<a:b/>".repeat(500))))
        },
        answer: (400, "malformed", "-"),
    },
    Kind {
        name: "oversized, announced",
        octets: |_| Ok(head(&format!("content-length: {}\r\n", MAX_BODY + 1))),
        answer: (400, "too-large", "-"),
    },
    Kind { name: "oversized, in chunks", octets: |_| Ok(chunks()), answer: (400, "body-unfinished", "-") },
    Kind { name: "wrong content type", octets: |d| other_type(d, "text/plain"), answer: (415, "-", "-") },
    Kind {
        name: "wrong charset",
        octets: |d| other_type(d, "application/xml; charset=utf-16"),
        answer: (415, "-", "-"),
    },
];

/// The request with something done to its text.
fn spoilt(device: &Device, spoil: fn(&Device, String) -> String) -> Result<Vec<u8>> {
    let right = Format::Xml.encode_request(&device.request())?.as_str().to_owned();
    let mut wrong = spoil(device, right.clone());
    ensure!(wrong != right, "nothing is spoilt");
    let mut end = wrong.len().min(MAX_BODY);
    while !wrong.is_char_boundary(end) {
        end -= 1;
    }
    wrong.truncate(end);
    Ok(posted(Format::Xml, wrong.as_bytes()))
}

fn wrong_digit(device: &Device, text: String) -> String {
    let imei = device.imei.expose();
    let body = imei.get(..14).unwrap_or_default();
    // Neither the right one nor the 0 that equipment may send instead.
    let wrong = (1..10).find(|digit| Some(*digit) != luhn(body)).unwrap_or_default();
    text.replace(imei, &format!("{body}{wrong}"))
}

fn doctype(device: &Device, text: String, entities: &str) -> String {
    let text = text.replace(device.imsi.expose(), "&l9;");
    text.replacen("?>", &format!("?><!DOCTYPE r [{entities}]>"), 1)
}

fn laughs() -> String {
    let level = |level: usize| format!("<!ENTITY l{level} '{}'>", format!("&l{};", level - 1).repeat(10));
    "<!ENTITY l0 'ha'>".to_owned() + &(1..10).map(level).collect::<String>()
}

/// All different but the last: a reader that compares each with each pays for it.
fn attributes() -> String {
    (0..6000).map(|number| format!("a{number:04}='' ")).collect::<String>() + "a0000=''"
}

/// A reader that looks each prefix up among all of them pays for it.
fn namespaces() -> String {
    (0..3500).map(|number| format!("xmlns:a{number:04}='u' ")).collect()
}

fn head(headers: &str) -> Vec<u8> {
    format!("POST /v1/credential HTTP/1.1\r\nhost: {PORTAL_NAME}\r\ncontent-type: application/xml\r\n{headers}\r\n")
        .into_bytes()
}

fn chunks() -> Vec<u8> {
    let mut octets = head("transfer-encoding: chunked\r\n");
    for _ in 0..=MAX_BODY / 4096 {
        octets.extend_from_slice(b"1000\r\n");
        octets.extend_from_slice(&[b' '; 4096]);
        octets.extend_from_slice(b"\r\n");
    }
    octets.extend_from_slice(b"0\r\n\r\n");
    octets
}

fn other_type(device: &Device, content_type: &str) -> Result<Vec<u8>> {
    let right = String::from_utf8(device.posted(Format::Xml)?)?;
    Ok(right.replacen("application/xml", content_type, 1).into_bytes())
}

impl Kind {
    /// The answer must be this, and repeat nothing. A broken-off body's answer may be lost with the connection.
    fn check(&self, device: &Device, reply: &Reply) -> Result<()> {
        let (status, flaw, field) = self.answer;
        if reply.status == 0 && flaw == "body-unfinished" {
            return Ok(());
        }
        ensure!(reply.status == status, "{}: status {}, not {status}", self.name, reply.status);
        if flaw != "-" {
            let refusal = reply.refusal(Format::Xml).context(self.name)?;
            let told = refusal.flaw.as_ref().map(|flaw| (flaw.code(), flaw.field().unwrap_or("-")));
            ensure!(
                refusal.reason == Reason::BadRequest && told == Some((flaw, field)),
                "{}: {refusal:?}",
                self.name
            );
        }
        let text = String::from_utf8_lossy(&reply.body);
        for value in [device.imsi.expose(), device.imei.equipment(), &device.mac.to_string()] {
            ensure!(!text.contains(value), "{}: the answer repeats what was sent", self.name);
        }
        Ok(())
    }
}

/// Each kind, `runs` times in turn. The portal must serve on.
pub(super) fn kinds(portal: &Operator, client: &Client, runs: usize, exchanges: usize) -> Result<Vec<Bad>> {
    let new = |kind: &Kind| {
        let (status, flaw, field) = kind.answer;
        Bad {
            name: kind.name,
            status,
            flaw: flaw.to_owned(),
            field: field.to_owned(),
            cost: Measured::new(kind.name),
        }
    };
    let mut all: Vec<Bad> = KINDS.iter().map(new).collect();
    let mut asked = 0;
    for _ in 0..runs {
        for (kind, bad) in KINDS.iter().zip(&mut all) {
            portal.hear()?;
            bad.cost.runs.push(measure(portal.server.pid()?, exchanges, |number| {
                let device = portal.device(asked + number)?;
                kind.check(&device, &client.exchange(device.address, &(kind.octets)(&device)?)?)
            })?);
            asked += exchanges;
        }
    }
    Ok(all)
}

/// Many that stand still, at three places; others are served meanwhile, and all of them are ended.
pub(super) fn slow(portal: &Operator, connections: usize) -> Result<Vec<Slow>> {
    let client = portal.client(Tls::V13)?;
    let mut all = Vec::new();
    for (at, sent) in [
        ("before the handshake", None),
        ("in the header", Some(b"POST /v1/credential HTTP/1.1\r\nhost:".to_vec())),
        ("in the body", Some([head("content-length: 1000\r\n"), b"<".to_vec()].concat())),
    ] {
        portal.hear()?;
        let before = process::cost(portal.server.pid()?)?.rss_kib;
        let began = clock::now();
        // Eight of an address are let in.
        let from = |number: usize| -> Result<Ipv4Addr> { Ok(portal.device(50_000 + number / 4)?.address) };
        let (mut plain, mut open) = (Vec::new(), Vec::new());
        match &sent {
            None => plain = many(connections, |number| client.dial(from(number)?))?,
            Some(octets) => {
                open = many(connections, |number| {
                    let mut stream = client.connect(from(number)?)?;
                    stream.write_all(octets)?;
                    stream.flush()?;
                    Ok(stream)
                })?;
            }
        }
        let after = process::cost(portal.server.pid()?)?.rss_kib;
        let device = portal.device(7)?;
        super::gate::issue(&client, &device, Format::Xml).context("others are not served meanwhile")?;
        for stream in &mut plain {
            let mut octet = [0];
            ensure!(std::io::Read::read(stream, &mut octet)? == 0, "{at}: something was said");
        }
        for stream in &mut open {
            rest(stream)?;
        }
        let ended_secs = began.elapsed().as_secs_f64();
        all.push(Slow {
            at,
            connections,
            ended_secs,
            kib_each: after.saturating_sub(before) as f64 / connections as f64,
        });
    }
    Ok(all)
}
