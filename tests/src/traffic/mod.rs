//! Traffic that runs through a whole demo, and the server in the Internet that it runs to.
//!
//! UDP shows what a call would suffer at each move, TCP that a connection survives or drains. The probe server is what
//! the agent asks whether the Internet is behind a link. Threads and `std` only; sockets are made inside network
//! namespaces and stay there.

mod dns;
mod download;
mod echo;
mod pattern;
mod probe;
#[cfg(test)]
mod tests;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Instant,
};

use anyhow::Result;

pub(crate) use dns::{Asked, Questions};
pub(crate) use download::{Carried, Download, DownloadServer, Downloaded};
pub(crate) use echo::{Echo, EchoServer, Echoed, Socket};
pub(crate) use probe::ProbeServer;

use crate::world::netns::Netns;

/// UDP echo.
const ECHO_PORT: u16 = 5000;
/// TCP download.
const DOWNLOAD_PORT: u16 = 5001;
/// HTTP.
const PROBE_PORT: u16 = 80;

/// The server in the Internet: echo, download, probe.
pub(crate) struct Server {
    address: Ipv4Addr,
    echo: EchoServer,
    _download: DownloadServer,
    /// Switched to a captive page by those who want one.
    pub(crate) probe: ProbeServer,
}

impl Server {
    /// Starts all three on this address of `place`.
    pub(crate) fn start(place: &Netns, address: Ipv4Addr) -> Result<Self> {
        let at = |port| SocketAddr::from((address, port));
        Ok(Self {
            address,
            echo: EchoServer::start(place, at(ECHO_PORT))?,
            _download: DownloadServer::start(place, at(DOWNLOAD_PORT))?,
            probe: ProbeServer::start(place, at(PROBE_PORT))?,
        })
    }

    /// Begins to send packets from `place`, 50 a second.
    pub(crate) fn echo(&self, place: &Netns, kind: Socket) -> Result<Echo> {
        Echo::start(place, (self.address, ECHO_PORT).into(), kind)
    }

    /// Since when the packets of `echo` come from which address: the first one, and each change.
    pub(crate) fn history(&self, echo: &Echo) -> Vec<(Instant, IpAddr)> {
        self.echo.history(echo.port())
    }

    /// Begins a download to `place`, at this pace, that lasts until it is told to end.
    pub(crate) fn download(&self, place: &Netns, carried: Carried, octets_a_second: u32) -> Result<Download> {
        Download::start(place, (self.address, DOWNLOAD_PORT).into(), carried, octets_a_second)
    }
}
