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
    time::Duration,
};

use anyhow::{Context as _, Result};

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

/// A UDP port that nobody uses now.
pub(crate) fn free_udp_port() -> Result<u16> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A TCP port that nobody uses now.
pub(crate) fn free_tcp_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
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
