//! The gateway's RADIUS: PAP with the station's MAC, accounting, and the port for Disconnect-Requests.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use radius::{
    AttributeType as A, Builder, Code, Packet, Vendor, check_reply, dynamic_request_is_genuine,
    hide_password, wispr,
};

use crate::world::{netns::Netns, plan};

/// How long an answer is waited for, and how often a request is sent.
const PATIENCE: Duration = Duration::from_millis(1000);
const TRIES: u32 = 3;
/// How often the port for requests lets go, so that time is kept.
const TICK: Duration = Duration::from_millis(100);
/// RFC 2865 §5.6: Login. §5.41: Wireless - IEEE 802.11.
const LOGIN: u32 = 1;
const WIRELESS: u32 = 19;
/// RFC 5176 §3.5.
const SESSION_NOT_FOUND: u32 = 503;
const NAS_IDENTIFIER: &str = "hotspot.operator.example";

/// Acct-Status-Type (RFC 2866 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Start,
    /// With Acct-Terminate-Cause (RFC 2866 §5.10).
    Stop(u32),
    Interim,
}

/// Who is on, as the AAA is told.
#[derive(Debug, Clone)]
pub(super) struct Station {
    pub(super) address: Ipv4Addr,
    pub(super) mac: String,
    pub(super) username: String,
    pub(super) session: String,
}

/// What the AAA decided.
#[derive(Debug, Clone)]
pub(super) enum Decision {
    Accept {
        timeout: Option<Duration>,
        interim: Option<Duration>,
        class: Option<Vec<u8>>,
    },
    Reject(String),
    /// Nobody answered.
    Silent,
}

/// The sockets.
pub(super) struct Nas {
    place: Netns,
    requests: UdpSocket,
    identifier: AtomicU8,
}

/// A Disconnect-Request that is genuine, and how to answer it.
pub(super) struct Disconnect {
    octets: Vec<u8>,
    from: SocketAddr,
}

impl Nas {
    pub(super) fn open(place: &Netns) -> Result<Self> {
        let requests =
            place.inside(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, plan::HOTSPOT_COA_PORT)))??;
        requests.set_read_timeout(Some(TICK))?;
        Ok(Self { place: place.clone(), requests, identifier: AtomicU8::new(0) })
    }

    fn next(&self) -> u8 {
        self.identifier.fetch_add(1, Ordering::Relaxed)
    }

    /// One PAP login (patent FIG. 6, step 116).
    pub(super) fn ask(&self, station: &Station, password: &str) -> Result<Decision> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| anyhow!("random octets: {error}"))?;
        let secret = plan::HOTSPOT_SECRET.as_bytes();
        let hidden = hide_password(password.as_bytes(), secret, &random).context("a password this long")?;
        let request = Builder::access_request(self.next(), random)
            .text(A::USER_NAME, &station.username)
            .attribute(A::USER_PASSWORD, &hidden);
        let request = described(request, station)
            .integer(A::SERVICE_TYPE, LOGIN)
            .vendor(Vendor::WISPR, wispr::LOCATION_NAME, plan::HOTSPOT_LOCATION.as_bytes())
            .finish(secret)?;
        let Some(reply) = self.exchange(1812, &request)? else { return Ok(Decision::Silent) };
        let reply = Packet::parse(&reply)?;
        let seconds = |kind| reply.integer(kind).map(|secs| Duration::from_secs(secs.into()));
        Ok(match reply.code() {
            Code::ACCESS_ACCEPT => Decision::Accept {
                timeout: seconds(A::SESSION_TIMEOUT),
                interim: seconds(A::ACCT_INTERIM_INTERVAL),
                class: reply.get(A::CLASS).map(<[u8]>::to_vec),
            },
            _ => Decision::Reject(reply.text(A::REPLY_MESSAGE).unwrap_or("refused").to_owned()),
        })
    }

    /// One accounting record (patent FIG. 6, step 118); true where the AAA has it.
    pub(super) fn account(
        &self,
        station: &Station,
        status: Status,
        lasted: Duration,
        class: Option<&[u8]>,
    ) -> Result<bool> {
        let (number, cause) = match status {
            Status::Start => (1, None),
            Status::Stop(cause) => (2, Some(cause)),
            Status::Interim => (3, None),
        };
        let request = Builder::accounting_request(self.next()).integer(A::ACCT_STATUS_TYPE, number);
        let mut request = described(request.text(A::USER_NAME, &station.username), station)
            .integer(A::ACCT_SESSION_TIME, u32::try_from(lasted.as_secs()).unwrap_or(u32::MAX));
        if let Some(cause) = cause {
            request = request.integer(A::ACCT_TERMINATE_CAUSE, cause);
        }
        if let Some(class) = class {
            request = request.attribute(A::CLASS, class);
        }
        let request = request.finish(plan::HOTSPOT_SECRET.as_bytes())?;
        Ok(self.exchange(1813, &request)?.is_some())
    }

    /// Sends until a genuine answer comes, from a socket of its own.
    fn exchange(&self, port: u16, request: &[u8]) -> Result<Option<Vec<u8>>> {
        let server: SocketAddr = format!("{}:{port}", plan::HOTSPOT_AAA).parse()?;
        let socket = self.place.inside(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))??;
        socket.connect(server)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let sent = Packet::parse(request)?;
        let mut buffer = [0; radius::MAX_PACKET];
        for _ in 0..TRIES {
            // A port where nobody listens answers with an error, which is as good as silence.
            if socket.send(request).is_err() {
                crate::clock::pause(PATIENCE);
                continue;
            }
            let Ok(length) = socket.recv(&mut buffer) else { continue };
            let octets = buffer.get(..length).unwrap_or_default();
            if Packet::parse(octets)
                .is_ok_and(|reply| check_reply(&reply, &sent, plan::HOTSPOT_SECRET.as_bytes()).is_ok())
            {
                return Ok(Some(octets.to_vec()));
            }
        }
        Ok(None)
    }

    /// The next genuine Disconnect-Request, where one comes within a tick.
    pub(super) fn disconnect(&self) -> Option<Disconnect> {
        let mut buffer = [0; radius::MAX_PACKET];
        let (length, from) = self.requests.recv_from(&mut buffer).ok()?;
        let octets = buffer.get(..length)?.to_vec();
        let genuine = Packet::parse(&octets).is_ok_and(|packet| {
            packet.code() == Code::DISCONNECT_REQUEST
                && dynamic_request_is_genuine(&packet, plan::HOTSPOT_SECRET.as_bytes())
        });
        genuine.then_some(Disconnect { octets, from })
    }

    /// Acknowledges it, or says that there is no such session.
    pub(super) fn answer(&self, request: &Disconnect, done: bool) -> Result<()> {
        let packet = Packet::parse(&request.octets)?;
        let code = if done { Code::DISCONNECT_ACK } else { Code::DISCONNECT_NAK };
        let mut reply = Builder::reply(code, &packet);
        if !done {
            reply = reply.integer(A::ERROR_CAUSE, SESSION_NOT_FOUND);
        }
        let reply = reply.finish(plan::HOTSPOT_SECRET.as_bytes())?;
        self.requests.send_to(&reply, request.from)?;
        Ok(())
    }
}

impl Disconnect {
    /// Whether it means this station: every attribute that names a session must fit (RFC 5176 §3).
    pub(super) fn means(&self, station: &Station) -> bool {
        let Ok(packet) = Packet::parse(&self.octets) else { return false };
        let fits = |kind, value: &str| packet.text(kind).is_none_or(|text| text.eq_ignore_ascii_case(value));
        let named = [A::USER_NAME, A::ACCT_SESSION_ID, A::CALLING_STATION_ID]
            .iter()
            .any(|kind| packet.get(*kind).is_some());
        named
            && fits(A::USER_NAME, &station.username)
            && fits(A::ACCT_SESSION_ID, &station.session)
            && fits(A::CALLING_STATION_ID, &calling(&station.mac))
    }
}

/// RFC 3580 §3.21.
fn calling(mac: &str) -> String {
    mac.to_ascii_uppercase().replace(':', "-")
}

fn described(request: Builder, station: &Station) -> Builder {
    let own: Ipv4Addr = plan::HOTSPOT_UPLINK.parse().unwrap_or(Ipv4Addr::UNSPECIFIED);
    request
        .attribute(A::NAS_IP_ADDRESS, &own.octets())
        .text(A::NAS_IDENTIFIER, NAS_IDENTIFIER)
        .integer(A::NAS_PORT_TYPE, WIRELESS)
        .attribute(A::FRAMED_IP_ADDRESS, &station.address.octets())
        .text(A::CALLED_STATION_ID, "02-00-00-00-02-00:operator-hotspot")
        .text(A::CALLING_STATION_ID, &calling(&station.mac))
        .text(A::ACCT_SESSION_ID, &station.session)
}
