//! Whose shared secret belongs to an address: the client table in memory, longest prefix first.
//!
//! Loaded from the store by [`crate::server::radius`], again whenever another process has changed the database.

use std::{cmp::Reverse, net::IpAddr};

use zeroize::Zeroizing;

use crate::{
    credential::Keys,
    gateway::Prefix,
    store::{ClientKind, MessageAuthenticator, Store, StoreError},
};

/// A client whose secret has been opened. No `Debug`: it holds the secret.
pub struct Known {
    /// Name in the client table.
    pub name: String,
    /// Access point or packet gateway.
    pub kind: ClientKind,
    /// Shared secret.
    pub secret: Zeroizing<Vec<u8>>,
    /// Its BlastRADIUS policy.
    pub message_authenticator: MessageAuthenticator,
    /// Where it takes Disconnect-Requests, at the address it sends from.
    pub coa_port: Option<u16>,
    /// Most requests a second.
    pub max_rate: Option<u32>,
    network: Prefix,
}

impl Known {
    /// Is `address` one of its?
    pub fn is_at(&self, address: IpAddr) -> bool {
        self.network.contains(address)
    }

    /// Its address, where it has only one.
    pub fn only_address(&self) -> Option<IpAddr> {
        let whole = if self.network.network().is_ipv4() { 32 } else { 128 };
        (self.network.bits() == whole).then(|| self.network.network())
    }
}

/// All clients.
#[derive(Default)]
pub struct Clients {
    /// Longest prefix first.
    known: Vec<Known>,
}

impl Clients {
    /// Reads the table. A client whose secret does not open is left out and named in the log: the others still work.
    pub fn load(store: &dyn Store, keys: &Keys) -> Result<Self, StoreError> {
        let mut known = Vec::new();
        for row in store.clients()? {
            match (keys.open_secret(&row), Prefix::around(row.network, row.prefix)) {
                (Ok(secret), Some(network)) => {
                    known.push(Known {
                        name: row.name,
                        kind: row.kind,
                        secret,
                        message_authenticator: row.message_authenticator,
                        coa_port: row.coa_port,
                        max_rate: row.max_rate,
                        network,
                    });
                }
                (secret, _) => {
                    let error = secret.err().map(tracing::field::display);
                    tracing::error!(event = "client-unusable", client = row.name, error);
                }
            }
        }
        Ok(Self::new(known))
    }

    fn new(mut known: Vec<Known>) -> Self {
        known.sort_by_key(|client| Reverse(client.network.bits()));
        Self { known }
    }

    /// The most specific client of a kind at `address`. An access point and a packet gateway may share a network:
    /// the secret then tells which one sent the packet.
    pub fn find(&self, address: IpAddr, kind: ClientKind) -> Option<&Known> {
        self.at(address, kind).next()
    }

    /// All clients of a kind whose network `address` lies in, the most specific first.
    pub fn at(&self, address: IpAddr, kind: ClientKind) -> impl Iterator<Item = &Known> {
        self.known.iter().filter(move |client| client.kind == kind && client.network.contains(address))
    }

    /// The access point of this name.
    pub fn named(&self, name: &str) -> Option<&Known> {
        self.known.iter().find(|client| client.kind == ClientKind::Nas && client.name == name)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[(&str, ClientKind, &str, u8)]) -> Clients {
        let known = rows.iter().map(|(name, kind, network, prefix)| Known {
            name: (*name).to_owned(),
            kind: *kind,
            secret: Zeroizing::new(Vec::new()),
            message_authenticator: MessageAuthenticator::Require,
            coa_port: None,
            max_rate: None,
            network: Prefix::around(network.parse().unwrap(), *prefix).unwrap(),
        });
        Clients::new(known.collect())
    }

    #[test]
    fn longest_prefix_wins_in_each_family() {
        use ClientKind::{Gateway, Nas};
        let clients = table(&[
            ("any4", Nas, "0.0.0.0", 0),
            ("site", Nas, "10.1.0.0", 16),
            ("one", Nas, "10.1.2.3", 32),
            ("core", Gateway, "10.1.0.0", 16),
            ("six", Nas, "2001:db8::", 32),
        ]);
        let find = |address: &str, kind| {
            clients.find(address.parse().unwrap(), kind).map(|client| client.name.as_str())
        };
        assert_eq!(find("10.1.2.3", Nas), Some("one"));
        assert_eq!(find("::ffff:10.1.2.4", Nas), Some("site"));
        assert_eq!(find("10.1.2.3", Gateway), Some("core"));
        assert_eq!(find("192.0.2.1", Nas), Some("any4"));
        assert_eq!(find("192.0.2.1", Gateway), None);
        assert_eq!(find("2001:db8:ffff::1", Nas), Some("six"));
        assert_eq!(find("2001:db9::1", Nas), None, "0.0.0.0/0 is IPv4 only");
    }
}
