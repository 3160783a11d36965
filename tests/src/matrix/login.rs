//! One login at the AAA, by the logon of the combination.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use provisioning::message::{InnerMethod, OuterMethod};
use radius::{AttributeType as A, Builder, Code, Packet, check_reply, hide_password};

use super::axes::Logon;
use crate::peers::{
    SECRET, User,
    eapol::{Attempt, Method, Tls},
};

/// An answer of the AAA.
const PATIENCE: Duration = Duration::from_secs(10);
/// Service-Type Login-User (RFC 2865 §5.6), NAS-Port-Type Wireless-802.11 (§5.41).
const LOGIN_USER: u32 = 1;
const WIRELESS: u32 = 19;

/// What the portal told devices to log on with.
pub(super) fn method(outer: OuterMethod, inner: InnerMethod) -> Result<Method> {
    Ok(match (outer, inner) {
        (OuterMethod::Peap, InnerMethod::Mschapv2) => Method::PeapMschapv2,
        (OuterMethod::Peap, InnerMethod::Gtc) => Method::PeapGtc,
        (OuterMethod::Ttls, InnerMethod::Pap) => Method::TtlsPap,
        (OuterMethod::Ttls, InnerMethod::Mschapv2) => Method::TtlsMschapv2,
        other => bail!("no such pair of methods: {other:?}"),
    })
}

/// Whether the AAA lets this user in. `file` is for eapol_test's configuration, and unique.
pub(super) fn login(
    logon: Logon,
    server: SocketAddr,
    ca: &Path,
    method: Method,
    user: &User,
    file: &Path,
) -> Result<bool> {
    if logon == Logon::Wispr {
        return gateway(server, user);
    }
    let outcome = Attempt::new(server, ca, user, method, Tls::V12).run(file)?;
    if outcome.accepted && !outcome.keys_match(1) {
        bail!("the keys are not the peer's\n{}", outcome.evidence());
    }
    if !outcome.accepted && !outcome.rejected() {
        bail!("neither accepted nor rejected\n{}", outcome.evidence());
    }
    Ok(outcome.accepted)
}

/// JOIN HERE: the agent's WISPr client at a hotspot gateway's login page belongs in place of this. What a gateway asks
/// the AAA after that page is the same (patent FIG. 6 step 116): PAP, with the station that it sees.
fn gateway(server: SocketAddr, user: &User) -> Result<bool> {
    let mut authenticator = [0; 16];
    getrandom::fill(&mut authenticator).map_err(|error| anyhow::anyhow!("no random octets: {error}"))?;
    let hidden =
        hide_password(user.password.as_bytes(), SECRET.as_bytes(), &authenticator).context("password")?;
    let request = Builder::access_request(authenticator[0], authenticator)
        .text(A::USER_NAME, &user.name)
        .attribute(A::USER_PASSWORD, &hidden)
        .integer(A::SERVICE_TYPE, LOGIN_USER)
        .integer(A::NAS_PORT_TYPE, WIRELESS)
        .text(A::CALLING_STATION_ID, &user.station)
        .finish(SECRET.as_bytes())?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(&request)?;
    let mut octets = [0; 4096];
    let length = socket.recv(&mut octets).context("the AAA does not answer the gateway")?;
    let reply = Packet::parse(octets.get(..length).unwrap_or_default())?;
    check_reply(&reply, &Packet::parse(&request)?, SECRET.as_bytes())?;
    match reply.code() {
        Code::ACCESS_ACCEPT => Ok(true),
        Code::ACCESS_REJECT => Ok(false),
        other => bail!("the AAA answers the gateway with {other:?}"),
    }
}
