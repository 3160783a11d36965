//! Where a request came from, and how it is answered: by a datagram or on a connection. All that is behind it is the
//! same for both.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
};

use ::radius::Source;

use super::{
    clients::{Clients, Known},
    drops::Why,
    outbox,
    radsec::{self, Link},
};
use crate::store::ClientKind;

/// Which codes are served where a packet came in (RFC 2865 §3, RFC 2866 §3; RFC 6614 §2.5: one port for all).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    /// UDP 1812.
    Authentication,
    /// UDP 1813.
    Accounting,
}

/// The way back. Kept with what is answered later.
#[derive(Clone)]
pub(super) enum Origin {
    /// UDP.
    Datagram {
        /// Which socket it came to; the answer leaves by the same.
        socket: Arc<UdpSocket>,
        /// Port of that socket.
        port: Port,
        /// Sender.
        from: SocketAddr,
    },
    /// RadSec.
    Connection(Arc<Link>),
}

/// A client and the secret it shares with us on this way.
#[derive(Clone, Copy)]
pub(super) struct Peer<'a> {
    pub(super) client: &'a Known,
    pub(super) secret: &'a [u8],
    /// Something better than MD5 proves that the packet is the client's.
    pub(super) proved: bool,
}

impl<'a> Peer<'a> {
    fn by_secret(client: &'a Known) -> Self {
        Self { client, secret: &client.secret, proved: false }
    }
}

impl Origin {
    /// Sender.
    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Self::Datagram { from, .. } => *from,
            Self::Connection(link) => link.from,
        }
    }

    /// Names a request in the duplicate cache.
    pub(super) fn source(&self, identifier: u8) -> Source {
        match self {
            Self::Datagram { from, .. } => Source { address: *from, connection: 0, identifier },
            // Identifiers are the connection's own; a new connection repeats nothing (RFC 6613 §2.6.1).
            Self::Connection(link) => Source { address: link.from, connection: link.number, identifier },
        }
    }

    /// Whether packets of this port's kind are served here.
    pub(super) fn serves(&self, asked: Port) -> bool {
        match self {
            Self::Datagram { port, .. } => *port == asked,
            // RFC 6614 §2.5: one port for all.
            Self::Connection(_) => true,
        }
    }

    /// Who it may be from. On the accounting port an access point and a packet gateway may share an address.
    pub(super) fn peers<'a>(&self, clients: &'a Clients) -> [Option<Peer<'a>>; 2] {
        match self {
            Self::Datagram { from, port, .. } => {
                let find = |kind| clients.find(from.ip(), kind).map(Peer::by_secret);
                match port {
                    Port::Authentication => [find(ClientKind::Nas), None],
                    Port::Accounting => [find(ClientKind::Gateway), find(ClientKind::Nas)],
                }
            }
            // Asked of the table for every packet, so that a client that was taken out is served no more.
            Self::Connection(link) => {
                let client =
                    clients.at(link.from.ip(), ClientKind::Nas).find(|client| client.name == link.client);
                [client.map(|client| Peer { client, secret: radsec::SECRET, proved: true }), None]
            }
        }
    }

    /// Sends an answer.
    pub(super) fn send(&self, answer: &[u8]) -> Result<(), Why> {
        match self {
            Self::Datagram { socket, from, .. } => {
                outbox::send(socket, answer, *from).map_err(|_| Why::NoAnswer)
            }
            // Full or gone: a peer that does not read its answers will ask again.
            Self::Connection(link) => link.answers.try_send(answer.to_vec()).map_err(|_| Why::NoAnswer),
        }
    }
}
