//! The resolver against a real dnsmasq, against servers that misbehave, and its parser against anything.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    thread,
};

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{RData, Record, RecordType, rdata},
};
use proptest::prelude::*;

use super::*;

/// A real dnsmasq on loopback, ended when dropped.
pub(crate) struct Dnsmasq {
    process: Child,
    address: SocketAddr,
}

impl Dnsmasq {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let free =
            UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
        let mut process = Command::new("/usr/sbin/dnsmasq")
            .args([
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--pid-file=",
                "--user=root",
                "--log-facility=-",
            ])
            .args([
                "--no-resolv",
                "--no-hosts",
                "--bind-interfaces",
                "--listen-address=127.0.0.1",
                "--local=/test/",
            ])
            .arg(format!("--port={}", free.port()))
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .expect("dnsmasq runs (Debian package dnsmasq-base)");
        let log = BufReader::new(process.stderr.take().expect("stderr"));
        let mut lines = log.lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("started, version")), "dnsmasq did not start");
        thread::spawn(move || lines.for_each(drop));
        Self { process, address: free }
    }

    pub(crate) fn stub(&self) -> Stub {
        Stub::with_servers("lo", vec![self.address])
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A server that sends back whatever `answer` makes of each query.
pub(crate) fn server(answer: impl Fn(&Message) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("binds");
    let address = socket.local_addr().expect("address");
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let Ok(query) = Message::from_vec(&buffer[..length]) else { continue };
            for datagram in answer(&query) {
                let _ = socket.send_to(&datagram, from);
            }
        }
    });
    address
}

/// The answer to `query` with these addresses of its kind.
pub(crate) fn with_addresses(query: &Message, addresses: &[IpAddr]) -> Vec<u8> {
    let question = &query.queries[0];
    let mut message = Message::response(query.metadata.id, OpCode::Query);
    message.add_query(question.clone());
    for address in addresses {
        let data = match address {
            IpAddr::V4(v4) if question.query_type() == RecordType::A => RData::A(rdata::A(*v4)),
            IpAddr::V6(v6) if question.query_type() == RecordType::AAAA => RData::AAAA(rdata::AAAA(*v6)),
            _ => continue,
        };
        message.add_answer(Record::from_rdata(question.name().clone(), 60, data));
    }
    message.to_vec().expect("encodes")
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(400);

#[test]
fn a_real_server_answers() {
    let dnsmasq = Dnsmasq::start(&[
        "--host-record=portal.test,127.0.0.1,::1",
        "--host-record=six.test,fd00::7",
        "--cname=alias.test,portal.test",
        "--txt-record=text.test,hello",
    ]);
    let resolve = |name| dnsmasq.stub().resolve(name, LONG);
    assert_eq!(resolve("portal.test").expect("found"), [address("127.0.0.1"), address("::1")]);
    assert_eq!(resolve("PORTAL.test.").expect("found"), [address("127.0.0.1"), address("::1")]);
    assert_eq!(resolve("alias.test").expect("found"), [address("127.0.0.1"), address("::1")]);
    assert_eq!(resolve("six.test").expect("found"), [address("fd00::7")]);
    assert!(matches!(resolve("text.test"), Err(DnsError::NoAddress)));
    assert!(matches!(resolve("absent.test"), Err(DnsError::NoSuchName)));
    assert!(matches!(resolve("elsewhere.invalid"), Err(DnsError::Refused(5))));
}

#[test]
fn a_long_answer_comes_over_tcp() {
    let records: Vec<String> = (1..=60).map(|n| format!("--host-record=big.test,10.1.2.{n}")).collect();
    let dnsmasq = Dnsmasq::start(&records.iter().map(String::as_str).collect::<Vec<_>>());
    let found = dnsmasq.stub().resolve("big.test", LONG).expect("found");
    assert_eq!(found.len(), 16, "bounded");
    assert!(found.iter().all(IpAddr::is_ipv4));
}

#[test]
fn addresses_are_their_own_answer() {
    let nobody = Stub::new("lo", &[]);
    assert_eq!(nobody.resolve("192.0.2.7", SHORT).expect("literal"), [address("192.0.2.7")]);
    assert_eq!(nobody.resolve("[2001:db8::7]", SHORT).expect("literal"), [address("2001:db8::7")]);
    assert!(matches!(nobody.resolve("a.test", SHORT), Err(DnsError::NoServer)));
    for bad in ["", ".", ".a", "a..b", &"a".repeat(64), &"a.".repeat(130)] {
        assert!(matches!(nobody.resolve(bad, SHORT), Err(DnsError::BadName)), "{bad}");
    }
}

#[test]
fn a_silent_server_is_passed_over() {
    let silent = server(|_| Vec::new());
    let good = server(|query| vec![with_addresses(query, &[address("127.0.0.9")])]);
    let both = Stub::with_servers("lo", vec![silent, good]);
    assert_eq!(both.resolve("a.test", Duration::from_secs(2)).expect("found"), [address("127.0.0.9")]);
    let alone = Stub::with_servers("lo", vec![silent]);
    assert!(matches!(alone.resolve("a.test", SHORT), Err(DnsError::Silent)));
}

#[test]
fn a_lost_datagram_is_sent_again() {
    let seen = std::sync::atomic::AtomicUsize::new(0);
    let lossy = server(move |query| {
        // Both questions of the first try are lost.
        let first = seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 2;
        if first { Vec::new() } else { vec![with_addresses(query, &[address("127.0.0.9")])] }
    });
    let stub = Stub::with_servers("lo", vec![lossy]);
    assert_eq!(stub.resolve("a.test", Duration::from_secs(2)).expect("found"), [address("127.0.0.9")]);
}

#[test]
fn a_server_silent_for_ipv6_does_not_hold_ipv4() {
    let half = server(|query| match query.queries[0].query_type() {
        RecordType::A => vec![with_addresses(query, &[address("127.0.0.9")])],
        _ => Vec::new(),
    });
    let stub = Stub::with_servers("lo", vec![half]);
    assert_eq!(stub.resolve("a.test", LONG).expect("found"), [address("127.0.0.9")]);
}

#[test]
fn forged_answers_are_not_taken() {
    let forger = server(|query| {
        let forged = address("192.0.2.66");
        let mut other_id = query.clone();
        other_id.metadata.id ^= 1;
        let mut other_name = query.clone();
        other_name.queries = vec![Query::query(message::name("b.test").expect("name"), RecordType::A)];
        let mut a_query = Message::from_vec(&with_addresses(query, &[forged])).expect("decodes");
        a_query.metadata.message_type = MessageType::Query;
        vec![
            vec![0xff; 40],
            with_addresses(&other_id, &[forged]),
            with_addresses(&other_name, &[forged]),
            a_query.to_vec().expect("encodes"),
            with_addresses(query, &[address("127.0.0.9")]),
        ]
    });
    let stub = Stub::with_servers("lo", vec![forger]);
    assert_eq!(stub.resolve("a.test", LONG).expect("found"), [address("127.0.0.9")]);
}

#[test]
fn a_flood_of_noise_ends() {
    let noise = server(|_| vec![vec![0; 20]; 200]);
    let stub = Stub::with_servers("lo", vec![noise]);
    assert!(matches!(stub.resolve("a.test", LONG), Err(DnsError::Silent)));
}

#[test]
fn an_absent_interface_is_an_error() {
    let stub = Stub::with_servers("absent0", vec![SocketAddr::from(([127, 0, 0, 1], 9))]);
    assert!(matches!(stub.resolve("a.test", SHORT), Err(DnsError::Io(_))));
}

#[test]
fn endless_aliases_end() {
    let name = message::name("a.test").expect("name");
    let mut message = Message::response(7, OpCode::Query);
    message.add_query(Query::query(name.clone(), RecordType::A));
    message.add_answer(Record::from_rdata(name.clone(), 60, RData::CNAME(rdata::CNAME(name.clone()))));
    let octets = message.to_vec().expect("encodes");
    assert_eq!(Question::new(7, Kind::A).read(&octets, &name), Some(Reply::NoAddress));
}

#[test]
fn records_of_other_names_are_passed_over() {
    let name = message::name("a.test").expect("name");
    let other = message::name("b.test").expect("name");
    let mut message = Message::response(7, OpCode::Query);
    message.add_query(Query::query(name.clone(), RecordType::A));
    message.add_answer(Record::from_rdata(other, 60, RData::A(rdata::A(Ipv4Addr::new(192, 0, 2, 66)))));
    let octets = message.to_vec().expect("encodes");
    assert_eq!(Question::new(7, Kind::A).read(&octets, &name), Some(Reply::NoAddress));
}

fn valid(id: u16, addresses: &[Ipv4Addr]) -> (Name, Vec<u8>) {
    let name = message::name("portal.operator.example").expect("name");
    let query = Question::new(id, Kind::A).octets(&name).expect("encodes");
    let query = Message::from_vec(&query).expect("decodes");
    let addresses: Vec<IpAddr> = addresses.iter().copied().map(IpAddr::V4).collect();
    (name, with_addresses(&query, &addresses))
}

proptest! {
    #[test]
    fn arbitrary_datagrams_do_not_panic(octets in proptest::collection::vec(any::<u8>(), 0..600)) {
        let name = message::name("a.test").expect("name");
        prop_assert_eq!(Question::new(7, Kind::A).read(&octets, &name), None);
    }

    #[test]
    fn answers_come_through(id: u16, addresses in proptest::collection::vec(any::<Ipv4Addr>(), 1..16)) {
        let (name, octets) = valid(id, &addresses);
        let expected = addresses.into_iter().map(IpAddr::V4).collect();
        prop_assert_eq!(Question::new(id, Kind::A).read(&octets, &name), Some(Reply::Addresses(expected)));
        prop_assert_eq!(Question::new(id, Kind::Aaaa).read(&octets, &name), None);
        prop_assert_eq!(Question::new(id.wrapping_add(1), Kind::A).read(&octets, &name), None);
    }

    #[test]
    fn truncations_give_nothing_new(cut in 0usize..200) {
        let (name, octets) = valid(7, &[Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST]);
        let cut = cut.min(octets.len() - 1);
        prop_assert_eq!(Question::new(7, Kind::A).read(&octets[..cut], &name), None);
    }

    #[test]
    fn response_codes_are_told_apart(code in 0u8..16) {
        let (name, octets) = valid(7, &[]);
        let mut message = Message::from_vec(&octets).expect("decodes");
        message.metadata.response_code = ResponseCode::from(0, code);
        let reply = Question::new(7, Kind::A).read(&message.to_vec().expect("encodes"), &name);
        prop_assert_eq!(reply, Some(match code {
            0 => Reply::NoAddress,
            3 => Reply::NoSuchName,
            other => Reply::Refused(other.into()),
        }));
    }
}
