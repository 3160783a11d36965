//! The others: access points, packet gateways, the message centre.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use radius::{AttributeType as A, Builder, Code, Packet, check_reply};

use crate::{
    cli::{check::Findings, installation::Installation},
    gateway::ProofMode,
    sms,
    store::{Client, ClientKind, Store as _},
};

/// For an answer of an access point that is asked, twice.
const PATIENCE: Duration = Duration::from_secs(2);
/// Access points that are asked; of more, the first by name.
const MOST: usize = 20;
/// A session that no access point has: what is asked for ends nothing, and shows that secret and port are right.
const NO_SESSION: &str = "portal-aaa-doctor-no-session";

/// Each one with an address and a port of its own is asked to end a session that it does not have (RFC 5176).
pub(super) fn access_points(installation: &Installation, now: u64, findings: &mut Findings) {
    let clients = match installation.store.clients() {
        Ok(clients) => clients,
        Err(error) => return findings.problem(error.to_string(), "see `portal-aaa check`"),
    };
    let nas: Vec<&Client> = clients.iter().filter(|client| client.kind == ClientKind::Nas).collect();
    if nas.is_empty() {
        return findings
            .note("none is known", "portal-aaa nas add NAME --network ADDRESS/BITS --secret SECRET");
    }
    let single = |client: &&&Client| client.prefix == if client.network.is_ipv4() { 32 } else { 128 };
    let asked: Vec<(&Client, u16)> =
        nas.iter().filter(single).filter_map(|client| Some((*client, client.coa_port?))).collect();
    let others = nas.len() - asked.len();
    if others > 0 {
        findings
            .good(format!("{others} without an address or a --coa-port of their own: they cannot be asked"));
    }
    for (client, port) in asked.iter().take(MOST) {
        let (name, address) = (&client.name, SocketAddr::new(client.network, *port));
        let secret = match installation.keys.open_secret(client) {
            Ok(secret) => secret,
            Err(error) => {
                findings
                    .problem(format!("the secret of {name}: {error}"), "add it again, or restore keys.toml");
                continue;
            }
        };
        match ask(installation.settings.radius.listen, address, &secret, now) {
            Ok(true) => findings.good(format!("{name} answers at {address}")),
            Ok(false) => findings.problem(
                format!("{name} answers at {address}, but not with the secret that it was added with"),
                format!("set the same secret at both ends: portal-aaa nas add {name} …"),
            ),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => findings.problem(
                format!("nobody listens at {address} of {name}"),
                "switch on Disconnect (RFC 5176, \"dynamic authorization\") there, or correct --coa-port",
            ),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => findings.problem(
                format!("{name} at {address} is silent"),
                "see that it is on and no firewall is between; one that knows another secret is silent, too",
            ),
            Err(error) => findings.problem(format!("{name} at {address}: {error}"), "see this machine's routes"),
        }
    }
}

/// Whether its answer is signed with this secret.
fn ask(own: SocketAddr, to: SocketAddr, secret: &[u8], now: u64) -> io::Result<bool> {
    // From the address that access points know us by.
    let socket = UdpSocket::bind(SocketAddr::new(own.ip(), 0))?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let request = Builder::disconnect_request(1)
        .text(A::ACCT_SESSION_ID, NO_SESSION)
        .integer(A::EVENT_TIMESTAMP, u32::try_from(now).unwrap_or(u32::MAX))
        .finish(secret)
        .map_err(io::Error::other)?;
    let mut octets = [0; 4096];
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for _ in 0..2 {
        socket.send(&request)?;
        match socket.recv(&mut octets) {
            Ok(length) => {
                let (reply, request) =
                    (Packet::parse(octets.get(..length).unwrap_or_default()), Packet::parse(&request));
                let (Ok(reply), Ok(request)) = (reply, request) else { return Ok(false) };
                let known = matches!(reply.code(), Code::DISCONNECT_ACK | Code::DISCONNECT_NAK);
                return Ok(known && check_reply(&reply, &request, secret).is_ok());
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The last word of any of them, as the database has it.
pub(super) fn gateways(installation: &Installation, now: u64, findings: &mut Findings) {
    let proof = &installation.settings.proof;
    if proof.mode != ProofMode::GatewayAccounting {
        return findings.good("not needed for this [proof] mode");
    }
    let sessions = match installation.store.gateway_sessions() {
        Ok(sessions) => sessions,
        Err(error) => return findings.problem(error.to_string(), "see `portal-aaa check`"),
    };
    let remedy = "see that the packet gateway sends its accounting to [radius] accounting_listen, with the secret of \
                  `portal-aaa gateway add`, and interim reports more often than max_silence_secs";
    let most = proof.max_silence_secs;
    match sessions.iter().map(|session| session.seen_at).max() {
        None => findings.note("no session of a packet gateway is on record", remedy),
        Some(at) if now.saturating_sub(at) > most => findings.problem(
            format!(
                "the last word of a packet gateway is {} s old; after {most} s no device is served",
                now - at
            ),
            remedy,
        ),
        Some(at) => {
            let age = now.saturating_sub(at);
            findings.good(format!("{} sessions, the last word {age} s ago", sessions.len()));
        }
    }
}

/// Bound to and left at once.
pub(super) async fn message_centre(settings: Option<&sms::Settings>, findings: &mut Findings) {
    let Some(settings) = settings else { return findings.good("not set up") };
    let server = &settings.server;
    match sms::link::probe(settings).await {
        Ok(()) => findings.good(format!("{server} lets us in")),
        Err("smpp-bind-refused") => findings.problem(
            format!("{server} refuses the bind"),
            "correct [sms] system_id and the password's file; where it allows one connection only, stop `serve` first",
        ),
        Err(reason) => findings.problem(
            format!("{server} cannot be used ({reason})"),
            "see that [sms] server is right, that it runs, and that no firewall is between",
        ),
    }
}
