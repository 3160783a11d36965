//! An HTTP client whose sockets, name look-ups included, leave by one interface and no other.
//!
//! `https` fetches the credential with it over cellular, `wlan`'s probe asks with it whether the Internet is
//! behind the WLAN. It stands on ureq's `unversioned` Connector, Transport and Resolver traits: the one place to
//! look at when ureq changes.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{RootCertStore, crypto::ring};
use socket2::{Domain, Protocol, Socket, Type};
use ureq::{
    Agent, Error, Timeout,
    config::{AutoHeaderValue, Config},
    http::Uri,
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver},
        transport::{
            Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, RustlsConnector, Transport,
        },
    },
};

use super::{
    DATE,
    dns::{self, Service, Stub},
};
use crate::wlan::OWN_MARK;

/// Name and version, as `User-Agent` says.
pub const USER_AGENT: &str = concat!("wifi-offload/", env!("CARGO_PKG_VERSION"));

/// Longest response header, octets.
const MAX_HEADER: usize = 16 * 1024;
/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 4;
/// Addresses of several hosts together that are tried; ureq has room for 16.
const MAX_VIA: usize = 8;

/// How long things may take. Both are needed: a link that swallows packets gives no error of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For the name, and again for TCP and TLS together.
    pub connect: Duration,
    /// From the call to the last octet of the body.
    pub total: Duration,
}

/// Certificate authorities that the server's certificate must come from.
#[derive(Debug, Clone)]
pub struct Roots(RootCerts);

/// Why a PEM file is no use as [`Roots`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RootsError {
    /// Not PEM, or cut off.
    #[error("the file is not PEM")]
    NotPem,
    /// PEM, without a certificate that can be an authority.
    #[error("no usable CERTIFICATE in the file")]
    NoCertificate,
}

impl Roots {
    /// All certificates of a PEM file; other things in it are passed over.
    pub fn from_pem(pem: &[u8]) -> Result<Self, RootsError> {
        let mut store = RootCertStore::empty();
        let mut certificates = Vec::new();
        for item in parse_pem(pem) {
            if let PemItem::Certificate(certificate) = item.map_err(|_| RootsError::NotPem)?
                && store.add(certificate.der().to_vec().into()).is_ok()
            {
                certificates.push(certificate);
            }
        }
        if certificates.is_empty() {
            return Err(RootsError::NoCertificate);
        }
        Ok(Self(RootCerts::Specific(Arc::new(certificates))))
    }
}

/// A client bound to `interface` (`SO_BINDTODEVICE`), looking names up at `dns` through it.
///
/// With `roots`, only `https` is spoken, TLS 1.2 or newer; without, only plain `http` can succeed. Statuses are
/// answers and not errors, redirects are not followed, no proxy of the environment is used, connections are not kept.
pub fn bound_agent(interface: &str, dns: &[IpAddr], roots: Option<&Roots>, limits: Limits) -> Agent {
    agent(Stub::new(interface, dns), interface, roots, limits)
}

/// The same for plain `http`, whose last connection can be had afterwards, open as the server has left it. What it
/// sends carries [`OWN_MARK`].
pub fn bound_agent_that_keeps(interface: &str, dns: &[IpAddr], limits: Limits) -> (Agent, Kept) {
    let kept = Kept::default();
    let bound = Bound { interface: interface.to_owned(), kept: Some(kept.clone()) };
    let names = Names { stub: Stub::new(interface, dns), via: Vec::new() };
    (with(names, bound, None, limits), kept)
}

/// Where such a connection is.
#[derive(Debug, Clone, Default)]
pub struct Kept(Arc<Mutex<Option<TcpStream>>>);

impl Kept {
    /// The connection, where one was opened.
    pub fn take(&self) -> Option<TcpStream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, stream: &TcpStream) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = stream.try_clone().ok();
    }
}

pub(super) fn agent(stub: Stub, interface: &str, roots: Option<&Roots>, limits: Limits) -> Agent {
    agent_via(stub, Vec::new(), interface, roots, limits)
}

/// The same, connecting to these hosts and ports, in this order, instead of to the URL's; the certificate must still be
/// the URL's.
pub(super) fn agent_via(
    stub: Stub,
    via: Vec<Service>,
    interface: &str,
    roots: Option<&Roots>,
    limits: Limits,
) -> Agent {
    let bound = Bound { interface: interface.to_owned(), kept: None };
    with(Names { stub, via }, bound, roots, limits)
}

fn with(names: Names, bound: Bound, roots: Option<&Roots>, limits: Limits) -> Agent {
    // An empty store, not ureq's default: that one asks for compiled-in authorities, which this build has not.
    let none = || RootCerts::Specific(Arc::new(Vec::<Certificate<'static>>::new()));
    let tls = TlsConfig::builder()
        .root_certs(roots.map_or_else(none, |roots| roots.0.clone()))
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .build();
    let config = Config::builder()
        .tls_config(tls)
        .https_only(roots.is_some())
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .user_agent(USER_AGENT)
        .accept_encoding(AutoHeaderValue::None)
        .max_response_header_size(MAX_HEADER)
        .max_idle_connections(0)
        .max_idle_connections_per_host(0)
        .timeout_resolve(Some(limits.connect))
        .timeout_connect(Some(limits.connect))
        .timeout_global(Some(limits.total))
        .build();
    let connector = ().chain(bound).chain(Tls(RustlsConnector::default()));
    Agent::with_parts(config, connector, names)
}

/// At which step a call failed, `dns`, `connect`, `tls`, [`DATE`] or `http`, and how.
pub fn failure(error: &Error) -> (&'static str, String) {
    let step = match error {
        Error::Other(inner) => match inner.downcast_ref::<StepError>() {
            Some(failed) => return (failed.step, failed.to_string()),
            None => "http",
        },
        Error::Timeout(Timeout::Resolve) => "dns",
        Error::Timeout(Timeout::Connect) | Error::ConnectionFailed => "connect",
        Error::Rustls(_) | Error::Tls(_) | Error::TlsRequired => "tls",
        _ => "http",
    };
    (step, error.to_string())
}

/// An error that remembers where it happened; it travels in [`Error::Other`].
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
struct StepError {
    step: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

fn at(step: &'static str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Other(Box::new(StepError { step, source: error.into() }))
}

#[derive(Debug)]
struct Names {
    stub: Stub,
    /// Instead of the URL's host.
    via: Vec<Service>,
}

impl Names {
    fn resolve_via(&self, limit: Duration) -> Result<ResolvedSocketAddrs, Error> {
        let mut resolved = self.empty();
        let mut last = None;
        let each = limit / u32::try_from(self.via.len()).unwrap_or(u32::MAX).max(1);
        for service in &self.via {
            match self.stub.resolve(&service.target, each) {
                // Room for one address of each of several hosts.
                Ok(addresses) => {
                    for address in addresses.into_iter().take(MAX_ADDRESSES) {
                        if resolved.len() < MAX_VIA {
                            resolved.push(SocketAddr::new(address, service.port));
                        }
                    }
                }
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) if resolved.is_empty() => Err(at("dns", error)),
            _ => Ok(resolved),
        }
    }
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        _config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().ok_or_else(|| Error::BadUri("no host".to_owned()))?;
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        if !self.via.is_empty() {
            return self.resolve_via(*timeout.after);
        }
        let addresses = self.stub.resolve(host, *timeout.after).map_err(|error| at("dns", error))?;
        let mut resolved = self.empty();
        for address in addresses.into_iter().take(MAX_ADDRESSES) {
            resolved.push(SocketAddr::new(address, port));
        }
        if resolved.is_empty() { Err(at("dns", dns::DnsError::NoAddress)) } else { Ok(resolved) }
    }
}

/// Opens the TCP connection by our interface.
#[derive(Debug)]
struct Bound {
    interface: String,
    kept: Option<Kept>,
}

impl Connector<()> for Bound {
    type Out = BoundTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _chained: Option<()>,
    ) -> Result<Option<BoundTransport>, Error> {
        let config = details.config;
        let mut limit = *details.timeout.after;
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        let mut left = details.addrs.len();
        for address in &details.addrs {
            // Half of what is left each, all of it to the last: a dead first address leaves time for the second.
            let share = if left > 1 { limit / 2 } else { limit };
            left = left.saturating_sub(1);
            limit = limit.saturating_sub(share);
            let mark = self.kept.as_ref().map(|_| OWN_MARK);
            match open(&self.interface, mark, *address, share) {
                Ok(stream) => {
                    if let Some(kept) = &self.kept {
                        kept.put(&stream);
                    }
                    let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
                    return Ok(Some(BoundTransport { stream, buffers }));
                }
                Err(error) => last = error,
            }
        }
        Err(at("connect", last))
    }
}

/// A TCP connection that leaves by `interface`.
fn open(interface: &str, mark: Option<u32>, address: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if let Some(mark) = mark
        && let Err(error) = socket.set_mark(mark)
    {
        tracing::debug!(%error, "a probe is not told from other traffic");
    }
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.connect_timeout(&address.into(), limit.max(Duration::from_millis(1)))?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}

/// ureq's own TLS, with the step noted on its errors.
#[derive(Debug)]
struct Tls(RustlsConnector);

impl<In: Transport> Connector<In> for Tls {
    type Out = <RustlsConnector as Connector<In>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        self.0
            .connect(details, chained)
            .map_err(|error| at(if is_of_date(&error) { DATE } else { "tls" }, error))
    }
}

/// rustls travels in an I/O error where the handshake was under way.
fn is_of_date(error: &Error) -> bool {
    use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    let inner = match error {
        Error::Rustls(inner) => Some(inner),
        Error::Io(outer) => outer.get_ref().and_then(|inner| inner.downcast_ref()),
        _ => None,
    };
    matches!(
        inner,
        Some(rustls::Error::InvalidCertificate(
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }
        ))
    )
}

/// The bound connection as ureq reads and writes it.
#[derive(Debug)]
struct BoundTransport {
    stream: TcpStream,
    buffers: LazyBuffers,
}

impl Transport for BoundTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        self.stream.set_write_timeout(remaining(&timeout)?)?;
        let octets = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(octets).map_err(|error| late(error, &timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        self.stream.set_read_timeout(remaining(&timeout)?)?;
        let amount = loop {
            match self.stream.read(self.buffers.input_append_buf()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result.map_err(|error| late(error, &timeout))?,
            }
        };
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// Only asked before a connection is used again, and none of ours is.
    fn is_open(&mut self) -> bool {
        false
    }
}

/// What is left of the time; none left is an error because the socket takes a zero for "for ever".
fn remaining(timeout: &NextTimeout) -> Result<Option<Duration>, Error> {
    if timeout.after.is_not_happening() {
        return Ok(None);
    }
    if timeout.after.is_zero() { Err(Error::Timeout(timeout.reason)) } else { Ok(Some(*timeout.after)) }
}

/// Linux says EAGAIN when SO_RCVTIMEO or SO_SNDTIMEO is over.
fn late(error: io::Error, timeout: &NextTimeout) -> Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_need_a_certificate() {
        let key = rcgen::KeyPair::generate().expect("key");
        let certificate = rcgen::CertificateParams::new(vec!["x".to_owned()])
            .and_then(|params| params.self_signed(&key))
            .expect("certificate");
        let both = format!("{}{}", key.serialize_pem(), certificate.pem());
        assert!(Roots::from_pem(both.as_bytes()).is_ok());
        assert_eq!(Roots::from_pem(b"").err(), Some(RootsError::NoCertificate));
        assert_eq!(Roots::from_pem(key.serialize_pem().as_bytes()).err(), Some(RootsError::NoCertificate));
        let cut = &both.as_bytes()[..both.len() - 40];
        assert!(Roots::from_pem(cut).is_err());
    }
}
