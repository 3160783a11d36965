//! radsecproxy from Debian: takes UDP from this machine and carries it over TLS to one server.

use std::{net::SocketAddr, path::Path};

use anyhow::Result;

use super::{SECRET, START_LIMIT, certificate::Certificate, free_udp_port, local, write};
use crate::world::{daemon::Daemon, netns::Netns};

/// A running one.
pub(crate) struct RadsecProxy {
    port: u16,
    _daemon: Daemon,
}

impl RadsecProxy {
    /// Starts one that shows `certificate` to whoever listens on this TCP port of loopback.
    pub(crate) fn start(
        name: &str,
        dir: &Path,
        logs: &Path,
        certificate: &Certificate,
        server: u16,
    ) -> Result<Self> {
        let port = free_udp_port()?;
        let config = dir.join("radsecproxy.conf");
        let settings = format!(
            "ListenUDP 127.0.0.1:{port}\nLogLevel 2\n\
             tls default {{\n CACertificateFile {}\n CertificateFile {}\n CertificateKeyFile {}\n}}\n\
             client 127.0.0.1 {{\n type udp\n secret {SECRET}\n}}\n\
             server 127.0.0.1 {{\n type tls\n port {server}\n secret radsec\n certificateNameCheck off\n \
             statusServer on\n}}\n\
             realm * {{\n server 127.0.0.1\n}}\n",
            certificate.ca.display(),
            certificate.leaf.display(),
            certificate.key.display(),
        );
        write(&config, &settings)?;
        let words = ["radsecproxy", "-f", "-c", &config.display().to_string()];
        let mut daemon = Daemon::new(name, &Netns::here(), logs, &words);
        daemon.start()?;
        daemon.ready("listening for udp", START_LIMIT)?;
        Ok(Self { port, _daemon: daemon })
    }

    /// Where Access-Requests go.
    pub(crate) fn radius(&self) -> SocketAddr {
        local(self.port)
    }
}
