//! Name servers where systemd-resolved looks after them: told over D-Bus which link's to ask
//! (`org.freedesktop.resolve1(5)`), and to forget it again.
//!
//! A connection for each order: a move is rare, and resolved may be restarted meanwhile.

use std::{net::IpAddr, time::Duration};

use tokio::time::timeout;
use zbus::{Connection, connection::Builder};

const NAME: &str = "org.freedesktop.resolve1";
const PATH: &str = "/org/freedesktop/resolve1";
const MANAGER: &str = "org.freedesktop.resolve1.Manager";
/// A move must not wait for a bus that does not answer.
const LIMIT: Duration = Duration::from_secs(1);
/// `in_addr_t` families as D-Bus has them.
const AF_INET: i32 = 2;
const AF_INET6: i32 = 10;

/// Why resolved was not told.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResolvedError {
    /// The bus or resolved.
    #[error("systemd-resolved: {0}")]
    Bus(#[from] zbus::Error),
    /// Nothing came back.
    #[error("systemd-resolved did not answer in {} s", LIMIT.as_secs())]
    Silent,
}

/// systemd-resolved on this bus; none for the system's.
#[derive(Debug, Clone, Default)]
pub(super) struct Resolved {
    bus: Option<String>,
}

impl Resolved {
    /// On the bus at this address.
    pub(super) fn new(bus: Option<String>) -> Self {
        Self { bus }
    }

    /// Everything is looked up by this link's servers.
    pub(super) async fn set(&self, interface: u32, servers: &[IpAddr]) -> Result<(), ResolvedError> {
        let interface = interface.cast_signed();
        let servers: Vec<(i32, Vec<u8>)> = servers.iter().map(|server| address(*server)).collect();
        let tell = async {
            let bus = self.connect().await?;
            call(&bus, "SetLinkDNS", &(interface, servers)).await?;
            // The root as a routing domain: no other link is asked beside it.
            call(&bus, "SetLinkDomains", &(interface, vec![(".", true)])).await?;
            call(&bus, "SetLinkDefaultRoute", &(interface, true)).await
        };
        timeout(LIMIT, tell).await.map_err(|_| ResolvedError::Silent)?
    }

    /// Forgets what this link was given. A link that is gone has nothing.
    pub(super) async fn revert(&self, interface: u32) -> Result<(), ResolvedError> {
        let tell = async {
            let bus = self.connect().await?;
            match call(&bus, "RevertLink", &interface.cast_signed()).await {
                Err(ResolvedError::Bus(zbus::Error::MethodError(name, ..)))
                    if name.as_str().ends_with(".NoSuchLink") =>
                {
                    Ok(())
                }
                done => done,
            }
        };
        timeout(LIMIT, tell).await.map_err(|_| ResolvedError::Silent)?
    }

    async fn connect(&self) -> zbus::Result<Connection> {
        match &self.bus {
            Some(address) => Builder::address(address.as_str()).build().await,
            None => Connection::system().await,
        }
    }
}

async fn call<B>(bus: &Connection, method: &str, body: &B) -> Result<(), ResolvedError>
where
    B: serde::Serialize + zbus::zvariant::DynamicType,
{
    bus.call_method(Some(NAME), PATH, Some(MANAGER), method, body).await?;
    Ok(())
}

fn address(ip: IpAddr) -> (i32, Vec<u8>) {
    match ip {
        IpAddr::V4(ip) => (AF_INET, ip.octets().to_vec()),
        IpAddr::V6(ip) => (AF_INET6, ip.octets().to_vec()),
    }
}
