//! The portal over HTTPS: a thread of its own that posts one request at a time (ureq blocks).
//!
//! The daemon spawns it and carries commands in and events out. Everything about a failure that decides something
//! is in the event; nothing here tries again, the machine does.

use std::{
    fs,
    path::PathBuf,
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
};

use provisioning::{
    document::Document,
    format::Format,
    message::{CredentialRequest, Reason},
    report::CredentialReport,
    sms::{DELIVERY_HEADER, Encapsulated},
    xml::MAX_BODY,
};
use tokio::sync::{mpsc, watch};
use ureq::{Agent, Error, http::header};

use super::{
    Command, Event, Portal, Route,
    discovery::Names,
    dns::{DnsError, Stub},
    fetch::answer,
    http::{self, Limits, Roots},
    sms::Exchanges,
};

/// Where the portal takes requests, if the URL of the settings says no path.
const PATH: &str = "/v1/credential";
/// Requests that wait for the one that is under way.
const QUEUE: usize = 2;

/// What the configuration says of the portal.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `https://host[:port][/path]`; none to look for it in the operator's domain.
    pub url: Option<String>,
    /// PEM file of the authorities that the portal's certificate comes from; read anew for each request.
    pub ca: PathBuf,
    /// What requests are written in, and replies asked for in.
    pub format: Format,
    /// Time limits of one request.
    pub limits: Limits,
}

/// Starts the thread; it ends when the returned handle is dropped.
pub fn spawn(settings: Settings, events: mpsc::Sender<Event>) -> std::io::Result<impl Portal + use<>> {
    spawn_with(settings, None, events)
}

/// The same; with `exchanges` the portal may answer by SMS.
pub fn spawn_with(
    settings: Settings,
    exchanges: Option<Exchanges>,
    events: mpsc::Sender<Event>,
) -> std::io::Result<impl Portal + use<>> {
    spawn_changing(watch::Sender::new(settings).subscribe(), exchanges, events)
}

/// The same with settings that may change: they are read for each request.
pub fn spawn_changing(
    settings: watch::Receiver<Settings>,
    exchanges: Option<Exchanges>,
    events: mpsc::Sender<Event>,
) -> std::io::Result<impl Portal + use<>> {
    let (commands, queue) = sync_channel(QUEUE);
    let answers = events.clone();
    thread::Builder::new()
        .name("portal".to_owned())
        .spawn(move || run(&settings, exchanges.as_ref(), &queue, &answers))?;
    Ok(Https { commands, events })
}

/// The sending end.
struct Https {
    commands: SyncSender<Command>,
    events: mpsc::Sender<Event>,
}

impl Portal for Https {
    fn send(&self, command: Command) {
        let report = matches!(command, Command::Report { .. });
        let text = match self.commands.try_send(command) {
            Ok(()) => return,
            Err(TrySendError::Full(_)) => "earlier requests are still under way",
            Err(TrySendError::Disconnected(_)) => "the portal's thread has ended",
        };
        let event = if report {
            Event::Reported { taken: false }
        } else {
            Event::Unreachable { step: "http", text: text.to_owned() }
        };
        if self.events.try_send(event).is_err() {
            tracing::warn!(text, "an answer of the portal is lost");
        }
    }
}

fn run(
    settings: &watch::Receiver<Settings>,
    exchanges: Option<&Exchanges>,
    queue: &Receiver<Command>,
    events: &mpsc::Sender<Event>,
) {
    while let Ok(command) = queue.recv() {
        let settings = &settings.borrow().clone();
        let event = match command {
            Command::Fetch { request, route } => fetch(settings, exchanges, &request, &route),
            Command::Report { report, route } => tell(settings, &report, &route),
            Command::FetchBySms { .. } => continue,
        };
        if events.blocking_send(event.unwrap_or_else(|failed| failed)).is_err() {
            return;
        }
    }
}

/// One request; both sides of the result are the answer.
fn fetch(
    settings: &Settings,
    exchanges: Option<&Exchanges>,
    request: &CredentialRequest,
    route: &Route,
) -> Result<Event, Event> {
    let (agent, url) = client(settings, route)?;
    ask(&agent, &url, settings.format, exchanges, request)
}

fn ask(
    agent: &Agent,
    url: &str,
    format: Format,
    exchanges: Option<&Exchanges>,
    request: &CredentialRequest,
) -> Result<Event, Event> {
    let body = format.encode_request(request).map_err(|error| unreachable("message", &error.to_string()))?;
    let (content_type, action) = (format.request_content_type(), format.soap_action());
    // Without randomness the answer comes as usual, or not at all.
    let delivery = exchanges.and_then(|exchanges| Some((exchanges, exchanges.begin().ok()?)));
    let key = delivery.map(|(_, key)| key);
    let answered = post(agent, url, format, Kind { content_type, action, key }, &body);
    let under_way = answered.as_ref().is_ok_and(|answer| answer.status == 202);
    match delivery {
        Some(_) if under_way => return Ok(Event::UnderWay),
        Some((exchanges, key)) => exchanges.withdraw(key),
        None => {}
    }
    let answered = answered?;
    let Answer { format, status, retry_after, body } = answered;
    Ok(answer(format, status, retry_after.as_deref(), &body))
}

/// One report. What the portal does not take now it may take later, unless it says that it never will.
fn tell(settings: &Settings, report: &CredentialReport, route: &Route) -> Result<Event, Event> {
    let format = settings.format;
    let body = format.encode_report(report).map_err(|_| Event::Reported { taken: true })?;
    let (content_type, action) = (format.report_content_type(), format.report_soap_action());
    let kind = Kind { content_type, action, key: None };
    let answered = client(settings, route).and_then(|(agent, url)| post(&agent, &url, format, kind, &body));
    let taken = match answered {
        Ok(Answer { format, status: 200, body, .. }) => format.decode_accepted(&body).is_ok(),
        Ok(Answer { format, status, retry_after, body }) => {
            let never = |reason| matches!(reason, Reason::BadRequest | Reason::IdentityMismatch);
            match answer(format, status, retry_after.as_deref(), &body) {
                Event::Refused { reason, .. } => never(reason),
                _ => false,
            }
        }
        Err(failed) => {
            tracing::debug!(?failed, "a report was not told");
            false
        }
    };
    Ok(Event::Reported { taken })
}

/// A client whose sockets leave by this way, and the portal's URL.
fn client(settings: &Settings, route: &Route) -> Result<(Agent, String), Event> {
    if settings.url.is_none() && route.domain.is_none() {
        let text = "[portal] url is not set in agent.toml, and the SIM does not tell its operator here";
        return Err(unreachable("http", text));
    }
    let pem = fs::read(&settings.ca)
        .map_err(|error| unreachable("tls", &format!("cannot read {}: {error}", settings.ca.display())))?;
    let roots = Roots::from_pem(&pem)
        .map_err(|error| unreachable("tls", &format!("{}: {error}", settings.ca.display())))?;
    if let Some(url) = settings.url.as_deref() {
        let agent = http::bound_agent(&route.interface, &route.dns, Some(&roots), settings.limits);
        return Ok((agent, with_path(url)));
    }
    let stub = Stub::new(&route.interface, &route.dns);
    discover(settings, route, stub, &roots)
}

/// The portal of the operator's domain: where the SRV record says, else at the name itself.
fn discover(settings: &Settings, route: &Route, stub: Stub, roots: &Roots) -> Result<(Agent, String), Event> {
    let names = Names::of(route.domain.as_deref().unwrap_or_default());
    let via = match stub.services(&names.service, settings.limits.connect) {
        // RFC 2782: one record with the root for its target says that there is none.
        Ok(found) if found.iter().all(|service| service.target.is_empty()) => {
            return Err(unreachable("dns", "the operator offers no portal"));
        }
        Ok(found) => found.into_iter().filter(|service| !service.target.is_empty()).collect(),
        Err(DnsError::NoSuchName | DnsError::NoAddress) => Vec::new(),
        Err(error) => return Err(unreachable("dns", &format!("{}: {error}", names.service))),
    };
    tracing::debug!(
        host = names.host,
        hosts = via.len(),
        "the portal was looked for in the operator's domain"
    );
    let agent = http::agent_via(stub, via, &route.interface, Some(roots), settings.limits);
    Ok((agent, with_path(&format!("https://{}", names.host))))
}

/// What came back.
struct Answer {
    format: Format,
    status: u16,
    retry_after: Option<String>,
    body: zeroize::Zeroizing<Vec<u8>>,
}

/// What the headers say of a message.
struct Kind<'a> {
    content_type: &'a str,
    action: Option<&'a str>,
    /// The portal may answer by SMS, sealed with this.
    key: Option<Encapsulated>,
}

fn post(agent: &Agent, url: &str, format: Format, kind: Kind<'_>, body: &Document) -> Result<Answer, Event> {
    let mut call =
        agent.post(url).content_type(kind.content_type).header(header::ACCEPT, format.media_type());
    if let Some(action) = kind.action {
        call = call.header("SOAPAction", action);
    }
    if let Some(key) = kind.key {
        call = call.header(DELIVERY_HEADER, key.to_string());
    }
    let mut response = call.send(body.as_bytes()).map_err(|error| failed(&error))?;
    let status = response.status().as_u16();
    let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.map(str::to_owned);
    // A portal that knows fewer formats than we do says in its own why it does not understand.
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let format = content_type.and_then(Format::of_content_type).unwrap_or(format);
    // Longer bodies are an error of this call, not a cut one.
    let limit = u64::try_from(MAX_BODY).unwrap_or(u64::MAX);
    let body =
        response.body_mut().with_config().limit(limit).read_to_vec().map_err(|error| failed(&error))?;
    Ok(Answer { format, status, retry_after, body: zeroize::Zeroizing::new(body) })
}

fn failed(error: &Error) -> Event {
    let (step, text) = http::failure(error);
    Event::Unreachable { step, text }
}

fn unreachable(step: &'static str, text: &str) -> Event {
    Event::Unreachable { step, text: text.to_owned() }
}

/// The whole URL: a bare `https://host:port` gets the portal's usual path.
fn with_path(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    match rest.split_once('/') {
        None => format!("{url}{PATH}"),
        Some((_, "")) => format!("{}{PATH}", url.trim_end_matches('/')),
        Some(_) => url.to_owned(),
    }
}

#[cfg(test)]
mod tests;
