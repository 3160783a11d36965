//! HTTP and HTTPS of the gateway: enough of HTTP/1.1 for one request a connection.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use super::{
    HTTP_PORT,
    gateway::{Gateway, Outcome, USER_REQUEST},
    pages::{Field, page},
};
use crate::{
    clock,
    world::{netns::Netns, plan},
};

/// How soon the thread sees that it is to end.
const WAKE: Duration = Duration::from_millis(20);
/// How long a client may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A request with its body.
const MAX_REQUEST: usize = 16 * 1024;

/// Serves this address until the gateway stops.
pub(super) fn serve(
    place: &Netns,
    address: (Ipv4Addr, u16),
    tls: Option<Arc<ServerConfig>>,
    gateway: &Arc<Gateway>,
) -> Result<()> {
    let listener = place.inside(|| TcpListener::bind(address))?.with_context(|| format!("{address:?}"))?;
    listener.set_nonblocking(true)?;
    let gateway = Arc::clone(gateway);
    let place = place.clone();
    thread::Builder::new().name("hotspot-web".into()).spawn(move || {
        if place.enter().is_err() {
            return;
        }
        while !gateway.is_stopped() {
            match listener.accept() {
                Ok((client, from)) => {
                    let (gateway, tls) = (Arc::clone(&gateway), tls.clone());
                    let IpAddr::V4(from) = from.ip() else { continue };
                    // A thread of the gateway's namespace begets threads there.
                    thread::spawn(move || {
                        if let Err(error) = answer(&gateway, client, from, tls) {
                            gateway.tell("hotspot-client", json!({ "detail": format!("{error:#}") }));
                        }
                    });
                }
                Err(_) => clock::pause(WAKE),
            }
        }
    })?;
    Ok(())
}

fn answer(
    gateway: &Arc<Gateway>,
    client: TcpStream,
    from: Ipv4Addr,
    tls: Option<Arc<ServerConfig>>,
) -> Result<()> {
    client.set_nonblocking(false)?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    let secure = tls.is_some();
    match tls {
        None => converse(gateway, client, from, secure),
        Some(tls) => converse(gateway, StreamOwned::new(ServerConnection::new(tls)?, client), from, secure),
    }
}

fn converse(
    gateway: &Arc<Gateway>,
    mut client: impl Read + Write,
    from: Ipv4Addr,
    secure: bool,
) -> Result<()> {
    let request = Request::read(&mut client)?;
    let response = respond(gateway, &request, from, secure)?;
    client.write_all(response.as_bytes())?;
    Ok(client.flush()?)
}

/// One request.
struct Request {
    method: String,
    path: String,
    body: String,
}

impl Request {
    fn read(client: &mut impl Read) -> Result<Self> {
        let mut octets = Vec::new();
        let mut piece = [0; 2048];
        loop {
            if let Some(request) = Self::parse(&octets)? {
                return Ok(request);
            }
            let length = client.read(&mut piece)?;
            if length == 0 || octets.len() > MAX_REQUEST {
                bail!("no whole request");
            }
            octets.extend_from_slice(piece.get(..length).unwrap_or_default());
        }
    }

    fn parse(octets: &[u8]) -> Result<Option<Self>> {
        let text = std::str::from_utf8(octets).context("a request that is no text")?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return Ok(None) };
        let header = |wanted: &str| {
            head.lines().skip(1).find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
            })
        };
        let length = header("content-length").map_or(Ok(0), |length| length.parse::<usize>())?;
        if body.len() < length {
            return Ok(None);
        }
        let mut words = head.lines().next().unwrap_or_default().split(' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        Ok(Some(Self { method: word(), path: word(), body: body.to_owned() }))
    }

    fn field(&self, name: &str) -> Option<String> {
        self.body.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            (key == name).then(|| decoded(value))
        })
    }
}

/// `application/x-www-form-urlencoded`.
fn decoded(text: &str) -> String {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap_or_default(), rest.next().unwrap_or_default()];
                std::str::from_utf8(&digits)
                    .ok()
                    .and_then(|text| u8::from_str_radix(text, 16).ok())
                    .unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&octets).into_owned()
}

fn respond(gateway: &Arc<Gateway>, request: &Request, from: Ipv4Addr, secure: bool) -> Result<String> {
    let path = request.path.split('?').next().unwrap_or_default();
    Ok(match (request.method.as_str(), path, secure) {
        ("POST", "/wispr/login", true) => {
            let username = request.field("UserName").unwrap_or_default();
            let password = request.field("Password").unwrap_or_default();
            gateway.tell("hotspot-login-page", json!({ "address": from, "username": username }));
            let outcome = gateway.log_on(from, &username, &password)?;
            ok(&reply("AuthenticationReply", 120, outcome))
        }
        ("GET", "/wispr/poll", false) => ok(&reply("AuthenticationPollReply", 140, gateway.poll(from))),
        ("GET", "/wispr/logoff", false) => {
            let code = if gateway.close(from, USER_REQUEST)? { 150 } else { 255 };
            ok(&page("LogoffReply", 130, code, &[]))
        }
        ("GET", "/wispr/abort", false) => ok(&abort(gateway, from)),
        ("GET", "/captive", true) => api(gateway, from),
        ("GET", _, false) if !gateway.is_on(from) || path != "/" => held(gateway, from),
        _ => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
    })
}

/// A station that is not on has asked somebody in the Internet.
fn held(gateway: &Arc<Gateway>, from: Ipv4Addr) -> String {
    let manner = gateway.manner();
    if manner.no_xml {
        return ok("<html>Please accept our terms.</html>");
    }
    if gateway.take_proxy() {
        gateway.tell("hotspot-proxy", json!({ "address": from }));
        let next = url("next");
        return ok(&page("Proxy", 110, 200, &[("NextURL", &next), ("Delay", "1")]));
    }
    gateway.tell("hotspot-redirected", json!({ "address": from }));
    let host = manner.login_host.as_deref().unwrap_or(plan::HOTSPOT_NAME);
    let login = format!("https://{host}/wispr/login?mac=unknown&ip={from}");
    let abort = url("abort");
    let body = page(
        "Redirect",
        100,
        0,
        &[
            ("AccessProcedure", "1.0"),
            ("AccessLocation", "isocc=us,cc=1,ac=408,network=operator"),
            ("LocationName", plan::HOTSPOT_LOCATION),
            ("LoginURL", &login),
            ("AbortLoginURL", &abort),
        ],
    );
    format!(
        "HTTP/1.1 302 Found\r\nLocation: {login}\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// A login's outcome as WISPr says it.
fn reply(element: &str, number: u32, outcome: Outcome) -> String {
    let (logoff, results) = (url("logoff"), url("poll"));
    let max: String;
    let (code, fields): (u32, Vec<Field<'_>>) = match &outcome {
        Outcome::Open(timeout) => {
            max = timeout.map_or(0, |timeout| timeout.as_secs()).to_string();
            // Of WISPr 2.0; where it is not limited there is none.
            let mut fields = vec![("ReplyMessage", "Welcome"), ("LogoffURL", logoff.as_str())];
            if timeout.is_some() {
                fields.push(("MaxSessionTime", &max));
            }
            (50, fields)
        }
        // As CoovaChilli has it.
        Outcome::AlreadyOn => (102, vec![("ReplyMessage", "Already logged on"), ("LogoffURL", &logoff)]),
        Outcome::Refused(text) => (100, vec![("ReplyMessage", text)]),
        Outcome::Silent => (102, vec![("ReplyMessage", "RADIUS timeout")]),
        Outcome::Pending => (201, vec![("LoginResultsURL", &results), ("Delay", "1")]),
        Outcome::Broken => (255, vec![("ReplyMessage", "Access gateway internal error")]),
    };
    page(element, number, code, &fields)
}

fn abort(gateway: &Arc<Gateway>, from: Ipv4Addr) -> String {
    let logoff = url("logoff");
    if gateway.is_on(from) {
        page("AbortLoginReply", 150, 50, &[("LogoffURL", &logoff)])
    } else {
        page("AbortLoginReply", 150, 151, &[])
    }
}

/// RFC 8908 §5.
fn api(gateway: &Arc<Gateway>, from: Ipv4Addr) -> String {
    let mut state = json!({ "captive": !gateway.is_on(from), "user-portal-url": format!("https://{}/", plan::HOTSPOT_NAME) });
    if let (Some(left), Some(state)) = (gateway.remaining(from), state.as_object_mut()) {
        state.insert("seconds-remaining".to_owned(), left.as_secs().into());
    }
    let body = state.to_string();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/captive+json\r\nCache-Control: private\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// On the gateway's own address, in clear: nothing of it is a secret.
fn url(what: &str) -> String {
    format!("http://{}:{HTTP_PORT}/wispr/{what}", plan::HOTSPOT_ADDRESS)
}
