//! Runs `vectors/*.txt`: what stands in an RFC, and what must be refused. Format: see `vectors/README.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may assume"
)]

use std::{fmt::Write as _, fs, path::Path};

use radius::{
    Attribute, Code, ExtendedAttribute, MessageAuthenticator, Packet, VendorAttributes,
    accounting_request_is_genuine, check_message_authenticator, check_reply, dynamic_request_is_genuine,
    reveal_password, unwrap_key,
};

/// What the lines so far have set.
#[derive(Default)]
struct State {
    secret: Vec<u8>,
    request: Vec<u8>,
    result: String,
}

fn octets(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02x}").unwrap();
        text
    })
}

fn attribute(attribute: Attribute<'_>) -> String {
    if let Some(inner) = ExtendedAttribute::of(attribute) {
        let more = if inner.more { "+" } else { "" };
        return format!("{}.{}{more}={}", inner.outer.0, inner.kind, hex(inner.value));
    }
    match VendorAttributes::of(attribute) {
        Some(inside) => {
            let inside: Vec<_> = inside
                .map(|inner| format!("{}.{}={}", inner.vendor.0, inner.kind, hex(inner.value)))
                .collect();
            format!("26[{}]", inside.join(" "))
        }
        None => format!("{}={}", attribute.kind.0, hex(attribute.value)),
    }
}

fn decode(octets: &[u8]) -> String {
    match Packet::parse(octets) {
        Ok(packet) => {
            let attributes: Vec<_> = packet.attributes().map(attribute).collect();
            format!("{:?} {} {}", packet.code(), packet.identifier(), attributes.join(" "))
                .trim_end()
                .to_owned()
        }
        Err(error) => error.to_string(),
    }
}

/// Who made this request, by the rule of its code.
fn request(octets: &[u8], secret: &[u8]) -> String {
    let packet = Packet::parse(octets).unwrap();
    let genuine = |yes| if yes { "genuine" } else { "forged" }.to_owned();
    match packet.code() {
        Code::ACCOUNTING_REQUEST => genuine(accounting_request_is_genuine(&packet, secret)),
        code if code.is_dynamic() => genuine(dynamic_request_is_genuine(&packet, secret)),
        _ => match check_message_authenticator(&packet, secret) {
            MessageAuthenticator::Valid => genuine(true),
            MessageAuthenticator::Invalid => genuine(false),
            MessageAuthenticator::Missing => "unproved".to_owned(),
        },
    }
}

fn reply(octets: &[u8], state: &State) -> String {
    let (reply, request) = (Packet::parse(octets).unwrap(), Packet::parse(&state.request).unwrap());
    check_reply(&reply, &request, &state.secret)
        .map_or_else(|error| error.to_string(), |()| "genuine".to_owned())
}

fn run(line: &str, state: &mut State) {
    let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
    let authenticator = |state: &State| *Packet::parse(&state.request).unwrap().authenticator();
    match command {
        "secret" => state.secret = rest.as_bytes().to_vec(),
        "decode" => state.result = decode(&octets(rest)),
        "request" => {
            state.request = octets(rest);
            state.result = request(&state.request, &state.secret);
        }
        "reply" => state.result = reply(&octets(rest), state),
        "password" => {
            let shown = reveal_password(&octets(rest), &state.secret, &authenticator(state));
            state.result =
                shown.map_or("refused".to_owned(), |shown| String::from_utf8(shown.to_vec()).unwrap());
        }
        "key" => {
            let key = unwrap_key(&octets(rest), &state.secret, &authenticator(state));
            state.result = key.map_or_else(|error| error.to_string(), |key| hex(&key));
        }
        "match" => assert_eq!(state.result, rest),
        other => panic!("no such command: {other}"),
    }
}

#[test]
fn all_vectors_match() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let mut matches = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let mut state = State::default();
        let text = fs::read_to_string(&path).unwrap();
        // A line that ends in a backslash goes on in the next.
        let joined = text.replace("\\\n", " ");
        for line in joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            println!("{}: {line}", path.display());
            run(line, &mut state);
            matches += u32::from(line.starts_with("match"));
        }
    }
    assert!(matches > 40, "{matches} only");
}
