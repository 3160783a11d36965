//! Questions out, answers in; no socket. RFC 1035 §4.1 messages by hickory-proto.

use std::net::IpAddr;

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RData, RecordType},
};

use super::DnsError;

/// Aliases that are followed from one name to its address.
const MAX_ALIASES: usize = 16;
/// Addresses that are kept of one answer.
const MAX_ADDRESSES: usize = 16;

/// Kind of address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// IPv4.
    A,
    /// IPv6 (RFC 3596).
    Aaaa,
    /// Where a service is (RFC 2782).
    Srv,
}

/// Where a service is (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Lower ones are tried first.
    pub priority: u16,
    /// Among the same priority, higher ones are to come first more often.
    pub weight: u16,
    /// TCP port.
    pub port: u16,
    /// Host name; empty where the service is not offered.
    pub target: String,
}

impl Kind {
    fn record_type(self) -> RecordType {
        match self {
            Self::A => RecordType::A,
            Self::Aaaa => RecordType::AAAA,
            Self::Srv => RecordType::SRV,
        }
    }
}

/// What a server said to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// Here they are.
    Addresses(Vec<IpAddr>),
    /// Here they are.
    Services(Vec<Service>),
    /// The name is there, this kind of address is not.
    NoAddress,
    /// NXDOMAIN.
    NoSuchName,
    /// Any other response code.
    Refused(u16),
    /// Ask again over TCP.
    Truncated,
}

/// One question and its answer so far.
#[derive(Debug)]
pub(super) struct Question {
    id: u16,
    kind: Kind,
    reply: Option<Reply>,
}

impl Question {
    /// `id` must be random.
    pub(super) fn new(id: u16, kind: Kind) -> Self {
        Self { id, kind, reply: None }
    }

    /// The query; none for a name that cannot be written.
    pub(super) fn octets(&self, name: &Name) -> Option<Vec<u8>> {
        let mut message = Message::new(self.id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(name.clone(), self.kind.record_type()));
        message.to_vec().ok()
    }

    /// What this datagram says to the question; none when it is no answer to it. Id, question, class and direction
    /// must all fit (RFC 5452 §9.1).
    pub(super) fn read(&self, datagram: &[u8], name: &Name) -> Option<Reply> {
        let message = Message::from_vec(datagram).ok()?;
        let [query] = message.queries.as_slice() else { return None };
        let fits = message.metadata.id == self.id
            && message.metadata.message_type == MessageType::Response
            && message.metadata.op_code == OpCode::Query
            && query.query_type() == self.kind.record_type()
            && query.query_class() == DNSClass::IN
            && query.name().eq_ignore_root(name);
        if !fits || self.is_answered() {
            return None;
        }
        Some(match message.metadata.response_code {
            ResponseCode::NoError if message.metadata.truncation => Reply::Truncated,
            ResponseCode::NoError if self.kind == Kind::Srv => services(&message, name),
            ResponseCode::NoError => addresses(&message, name, self.kind),
            ResponseCode::NXDomain => Reply::NoSuchName,
            other => Reply::Refused(u16::from(other)),
        })
    }

    /// Keeps the answer.
    pub(super) fn answer(&mut self, reply: Reply) {
        self.reply = Some(reply);
    }

    /// Whether it has one.
    pub(super) fn is_answered(&self) -> bool {
        self.reply.is_some()
    }
}

/// A host name as DNS writes it (RFC 1123 §2.1); the query is for this very name, no search list.
pub(super) fn name(host: &str) -> Option<Name> {
    if host.is_empty() || host.starts_with('.') {
        return None;
    }
    let mut name = Name::from_ascii(host).ok()?;
    name.set_fqdn(true);
    Some(name)
}

/// What the answers to all questions come to.
pub(super) fn verdict(questions: impl IntoIterator<Item = Question>) -> Result<Vec<IpAddr>, DnsError> {
    let mut addresses = Vec::new();
    let mut worst = None;
    for question in questions {
        let error = match question.reply {
            Some(Reply::Addresses(mut more)) => {
                addresses.append(&mut more);
                continue;
            }
            other => failure(other),
        };
        // Two answers may disagree: the one that another try could mend is kept.
        if !matches!(worst, Some(DnsError::Silent | DnsError::Refused(_))) {
            worst = Some(error);
        }
    }
    if addresses.is_empty() { Err(worst.unwrap_or(DnsError::Silent)) } else { Ok(addresses) }
}

/// What the answer to a question for services comes to.
pub(super) fn found(questions: impl IntoIterator<Item = Question>) -> Result<Vec<Service>, DnsError> {
    match questions.into_iter().next().and_then(|question| question.reply) {
        Some(Reply::Services(services)) => Ok(services),
        other => Err(failure(other)),
    }
}

fn failure(reply: Option<Reply>) -> DnsError {
    match reply {
        Some(Reply::NoSuchName) => DnsError::NoSuchName,
        Some(Reply::NoAddress | Reply::Addresses(_) | Reply::Services(_)) => DnsError::NoAddress,
        Some(Reply::Refused(code)) => DnsError::Refused(code),
        Some(Reply::Truncated) | None => DnsError::Silent,
    }
}

/// Services of `name`; no aliases.
fn services(message: &Message, name: &Name) -> Reply {
    let of_name = message.answers.iter().filter(|record| record.name.eq_ignore_root(name));
    let found: Vec<Service> = of_name
        .filter_map(|record| match &record.data {
            RData::SRV(srv) => Some(Service {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: srv.target.to_ascii().trim_end_matches('.').to_owned(),
            }),
            _ => None,
        })
        .take(MAX_ADDRESSES)
        .collect();
    if found.is_empty() { Reply::NoAddress } else { Reply::Services(found) }
}

/// Addresses of `name`, through its aliases (RFC 1034 §3.6.2). Records of other names are passed over.
fn addresses(message: &Message, name: &Name, kind: Kind) -> Reply {
    let mut owner = name;
    for _ in 0..MAX_ALIASES {
        let of_owner = || message.answers.iter().filter(|record| record.name.eq_ignore_root(owner));
        let found: Vec<IpAddr> = of_owner()
            .filter_map(|record| match (&record.data, kind) {
                (RData::A(a), Kind::A) => Some(IpAddr::V4(a.0)),
                (RData::AAAA(a), Kind::Aaaa) => Some(IpAddr::V6(a.0)),
                _ => None,
            })
            .take(MAX_ADDRESSES)
            .collect();
        if !found.is_empty() {
            return Reply::Addresses(found);
        }
        let alias = of_owner().find_map(|record| match &record.data {
            RData::CNAME(target) => Some(&target.0),
            _ => None,
        });
        match alias {
            Some(target) => owner = target,
            None => break,
        }
    }
    Reply::NoAddress
}
