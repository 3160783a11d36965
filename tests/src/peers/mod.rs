//! Real RADIUS programs on loopback, each with a folder and ports of its own: what portal-aaa is tested and measured
//! against, and portal-aaa itself as an operator runs it.
//!
//! Used by suite `aaa-interop` and by `cargo lab bench aaa`. No system service is touched: every program gets its own
//! configuration and stays in the foreground as our child.

pub(crate) mod certificate;
pub(crate) mod eapol;
pub(crate) mod freeradius;
pub(crate) mod hostapd;
pub(crate) mod portal;
pub(crate) mod radsecproxy;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

/// Shared secret of every RADIUS client here.
pub(crate) const SECRET: &str = "loopback-secret-of-the-lab";
/// Realm of the operator.
pub(crate) const REALM: &str = "operator.example";
/// Name in the AAA's certificate, as `portal-aaa init` makes it.
pub(crate) const SERVER_NAME: &str = "aaa.operator.example";
/// Identity outside the tunnel.
pub(crate) const ANONYMOUS: &str = "anonymous@operator.example";
/// How long a program may take to be ready.
pub(crate) const START_LIMIT: Duration = Duration::from_secs(30);

/// A name, a password and the station that uses them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// Inner identity.
    pub(crate) name: String,
    /// In clear.
    pub(crate) password: String,
    /// As an access point writes it.
    pub(crate) station: String,
}

/// Ports for servers: below those that the kernel gives to clients, which come and go by the hundred meanwhile.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A UDP port that nobody uses now, and that was not given before.
pub(crate) fn free_udp_port() -> Result<u16> {
    free_port(|address| UdpSocket::bind(address).is_ok())
}

/// A TCP port that nobody uses now, and that was not given before.
pub(crate) fn free_tcp_port() -> Result<u16> {
    free_port(|address| TcpListener::bind(address).is_ok())
}

fn free_port(is_free: impl Fn(SocketAddr) -> bool) -> Result<u16> {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let span = PORTS.end - PORTS.start;
    // Two labs on one machine begin at different places.
    let first = u16::try_from(std::process::id() % u32::from(span))?;
    for _ in 0..span {
        let next = GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + (first.wrapping_add(next) % span);
        if is_free(local(port)) {
            return Ok(port);
        }
    }
    bail!("no free port from {} to {}", PORTS.start, PORTS.end)
}

/// On loopback.
pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A new folder that nobody else may look into; what was there goes.
pub(crate) fn private_folder(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_dir_all(path).with_context(|| format!("empty {}", path.display()))?;
    }
    fs::create_dir_all(path).with_context(|| format!("make {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    Ok(())
}

/// A configuration file, with the path in the error.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let ports: Vec<u16> = (0..100).map(|_| free_udp_port().unwrap()).collect();
        let mut once = ports.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), ports.len());
        assert!(ports.iter().all(|port| PORTS.contains(port)));
    }
}
