//! HTTP on top of the decisions: routes, rate, body, and one log line a request.
//!
//! The order is body → rate → format → decode → prove → rate of the subscriber → admit → issue → encode; a step that
//! fails ends it. [`super::listen`] calls [`answer`] for each connection.

use std::{
    hash::Hash,
    io,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header},
};
use provisioning::{
    format::{Format, FormatError},
    message::{Credential, CredentialRequest},
    negotiate::{NegotiateError, check_action, reply_format, request_format},
    report::{CredentialReport, DeviceMessage, Failure},
    sms::{DELIVERY_HEADER, Encapsulated},
    xml::{MAX_BODY, soap::SoapError},
};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use super::{
    Issuer, Limits,
    decide::{Answer, Rejection, accept, admit, grant, read, refuse},
    describe::describe,
    issuing::Issuing,
    rate::{Rates, device},
    slots::{Full, Slot, Slots},
};
use crate::{
    credential::{IssueError, IssueRequest, ReportError},
    gateway::{Proof, Prover, Told, Written},
    server::clock::Clock,
    sms::Courier,
    store::{Handle, StoreError},
};

/// All that a request needs.
pub struct Portal {
    prover: Arc<Prover>,
    issuer: Arc<dyn Issuer>,
    clock: Clock,
    pub(super) limits: Limits,
    rates: Mutex<Rates<IpAddr>>,
    subscribers: Mutex<Rates<Handle>>,
    total: Mutex<Rates<()>>,
    /// So many at a time that a queue forms here, bounded by time, not there.
    places: Semaphore,
    issuing: Issuing,
    /// Where credentials go by SMS only.
    courier: Option<Courier>,
}

/// What the request's headers say of formats.
#[derive(Debug, Clone, Copy)]
struct Agreed {
    request: Format,
    reply: Format,
    /// Whether SOAP's action is ours.
    action: Result<(), SoapError>,
}

impl Agreed {
    fn new(headers: &HeaderMap) -> Result<Self, NegotiateError> {
        // What is not even text is not left out, but none of ours.
        let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        let content_type = text(header::CONTENT_TYPE);
        let request = request_format(content_type)?;
        let accept: Vec<_> =
            headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        let reply = reply_format(Some(accept.join(",").as_str()), request)?;
        let action = check_action(request, content_type, text(HeaderName::from_static("soapaction")));
        Ok(Self { request, reply, action })
    }
}

/// What was done for a device.
enum Served {
    Credential(Box<Credential>),
    Report(CredentialReport),
}

/// Why there is no credential.
enum Failed {
    /// No format to speak in.
    Format(NegotiateError),
    Rejected(Rejection),
}

impl<E: Into<Rejection>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Rejected(error.into())
    }
}

impl Portal {
    /// A portal that believes `prover` and has credentials made by `issuer`, on a thread that it starts; with a `courier`
    /// they go by SMS only.
    pub fn new(
        prover: Arc<Prover>,
        issuer: Arc<dyn Issuer>,
        clock: Clock,
        limits: Limits,
        courier: Option<Courier>,
    ) -> io::Result<Arc<Self>> {
        let rates = Mutex::new(Rates::new(limits.burst, limits.refill, limits.rates));
        let subscribers =
            Mutex::new(Rates::new(limits.subscriber_burst, limits.subscriber_refill, limits.rates));
        let second = limits.total_per_second.max(1);
        let total = Mutex::new(Rates::new(second, Duration::from_secs(1) / second, 1));
        let places = Semaphore::new(limits.issuing);
        let issuing = Issuing::start(Arc::clone(&issuer), clock)?;
        Ok(Arc::new(Self {
            prover,
            issuer,
            clock,
            limits,
            rates,
            subscribers,
            total,
            places,
            issuing,
            courier,
        }))
    }

    /// One request, from octets to credential. What could be read of it is left in `seen` for the log.
    async fn credential(
        &self,
        source: IpAddr,
        http: Request<Body>,
        agreed: Result<Agreed, NegotiateError>,
        seen: &mut Option<CredentialRequest>,
    ) -> Result<(Answer, Served), Failed> {
        // Body before rate: an answer while octets still come in is lost when the connection closes on them.
        let told = self.told(http.headers());
        let delivery = self.delivery(http.headers());
        let body = self.body(http).await?;
        self.within_rate(source)?;
        let agreed = agreed.map_err(Failed::Format)?;
        agreed.action.map_err(FormatError::from)?;
        let request = match read(agreed.request, &body)? {
            DeviceMessage::Request(request) => &*seen.insert(request),
            DeviceMessage::Report(report) => {
                let report = self.tell(report).await?;
                return Ok((accept(agreed.reply)?, Served::Report(report)));
            }
        };
        log_step("request-received", source, request);
        let proof = self.prove(source, told, request).await?;
        log_step("identity-proved", source, request);
        let subscriber = proof.subscriber.or_else(|| self.prover.claimed(&proof));
        if let Some(subscriber) = subscriber {
            self.ask(&self.subscribers, subscriber)?;
        }
        let issue = admit(request, proof)?;
        let Some((courier, encapsulated)) = delivery? else {
            let credential = self.issue(issue).await?;
            return Ok((grant(agreed.reply, &credential)?, Served::Credential(Box::new(credential))));
        };
        // Whom it cannot reach gets none made.
        let parcel = courier.address(subscriber, encapsulated).await?;
        let credential = self.issue(issue).await?;
        courier.deliver(parcel, credential.clone())?;
        Ok((Answer::under_way(agreed.reply), Served::Credential(Box::new(credential))))
    }

    /// Where credentials go by SMS only: by whom, and sealed to what.
    fn delivery(&self, headers: &HeaderMap) -> Result<Option<(&Courier, Encapsulated)>, Rejection> {
        let Some(courier) = &self.courier else { return Ok(None) };
        let key = headers.get(DELIVERY_HEADER).ok_or(Rejection::unreadable("sms-key-missing"))?;
        let key = key.to_str().ok().and_then(|text| text.parse().ok());
        Ok(Some((courier, key.ok_or(Rejection::unreadable("sms-key"))?)))
    }

    /// Of its address and of all. A proxy's address is many devices'; those are told apart after the proof.
    fn within_rate(&self, source: IpAddr) -> Result<(), Rejection> {
        if !self.is_proxy(source) {
            self.ask(&self.rates, device(source))?;
        }
        self.ask(&self.total, ())
    }

    fn ask<K: Copy + Ord + Hash>(&self, rates: &Mutex<Rates<K>>, who: K) -> Result<(), Rejection> {
        let mut rates = rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.ask(self.clock.now().monotonic, who).map_err(Rejection::too_often)
    }

    fn is_proxy(&self, source: IpAddr) -> bool {
        self.prover.header_proof().is_some_and(|proof| proof.is_proxy(source))
    }

    /// A place for its connection.
    pub(super) fn place(&self, slots: &Arc<Slots>, source: IpAddr) -> Result<Slot, Full> {
        if self.is_proxy(source) { slots.take_shared(source) } else { slots.take(source) }
    }

    /// The headers that the proof looks at, if it looks at any.
    fn told(&self, headers: &HeaderMap) -> Told {
        let Some(proof) = self.prover.header_proof() else { return Told::default() };
        let written = |name: &Option<String>| {
            let mut values = name.iter().flat_map(|name| headers.get_all(name.as_str()));
            match (values.next(), values.next()) {
                (None, _) => Written::Absent,
                (Some(value), None) => {
                    value.to_str().map_or(Written::Unclear, |text| Written::Once(text.to_owned()))
                }
                (Some(_), Some(_)) => Written::Unclear,
            }
        };
        Told { imsi: written(&proof.imsi), msisdn: written(&proof.msisdn) }
    }

    /// On a thread of its own where the database may be asked.
    async fn prove(
        &self,
        source: IpAddr,
        told: Told,
        request: &CredentialRequest,
    ) -> Result<Proof, Rejection> {
        let now = self.clock.now().unix;
        let (imsi, imei) = (request.imsi.clone(), request.imei.clone());
        if told.msisdn == Written::Absent {
            return Ok(self.prover.prove(now, source, &told, imsi.as_ref(), imei.as_ref())?);
        }
        let prover = Arc::clone(&self.prover);
        let proved = spawn_blocking(move || prover.prove(now, source, &told, imsi.as_ref(), imei.as_ref()));
        Ok(proved.await.map_err(|_| Rejection::failed("panicked"))??)
    }

    async fn body(&self, http: Request<Body>) -> Result<Bytes, Rejection> {
        let announced =
            http.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > MAX_BODY as u64) {
            return Err(Rejection::unreadable("too-large"));
        }
        match timeout(self.limits.body, to_bytes(http.into_body(), MAX_BODY)).await {
            Ok(Ok(body)) => Ok(body),
            // Longer than announced or allowed, or broken off: there is nothing to read in either case.
            Ok(Err(_)) => Err(Rejection::unreadable("body-unfinished")),
            Err(_) => Err(Rejection::unreadable("body-slow")),
        }
    }

    /// As an issue: it writes as much. Rare, so it need not wait for the others.
    async fn tell(&self, report: CredentialReport) -> Result<CredentialReport, Rejection> {
        let _place = self.places.acquire().await.map_err(|_| Rejection::failed("stopping"))?;
        let (issuer, clock) = (Arc::clone(&self.issuer), self.clock);
        let told = spawn_blocking(move || issuer.tell(clock.now().unix, &report).map(|()| report));
        match told.await {
            Ok(Ok(report)) => Ok(report),
            Ok(Err(error)) => {
                if let ReportError::Store(error) = &error {
                    tracing::error!(event = "report-failed", %error, "a report could not be kept");
                }
                Err(Rejection::from(&error))
            }
            Err(_) => Err(Rejection::failed("panicked")),
        }
    }

    /// The database blocks, so it has a thread of its own.
    async fn issue(&self, request: IssueRequest) -> Result<Credential, Rejection> {
        let _place = self.places.acquire().await.map_err(|_| Rejection::failed("stopping"))?;
        match self.issuing.issue(request).await {
            Ok(Ok(credential)) => Ok(credential),
            Ok(Err(error @ IssueError::Store(StoreError::NotEntitled { .. }))) => {
                Err(Rejection::from(&error))
            }
            Ok(Err(error)) => {
                tracing::error!(event = "issue-failed", %error, "no credential could be made");
                Err(Rejection::from(&error))
            }
            Err(_) => Err(Rejection::failed("panicked")),
        }
    }
}

/// What is asked of this portal, by path and method.
pub(super) async fn answer(portal: &Portal, source: IpAddr, http: Request<Body>) -> Response<Body> {
    match (http.uri().path(), http.method()) {
        (PATH, &Method::POST) => credential(portal, source, http).await,
        (PATH, &Method::GET | &Method::HEAD) => description(&http),
        ("/healthz", &Method::GET | &Method::HEAD) => Response::new(Body::from("ok\n")),
        _ => not_found(),
    }
}

const PATH: &str = "/v1/credential";

fn not_found() -> Response<Body> {
    let mut nothing = Response::new(Body::empty());
    *nothing.status_mut() = StatusCode::NOT_FOUND;
    nothing
}

async fn credential(portal: &Portal, source: IpAddr, http: Request<Body>) -> Response<Body> {
    let agreed = Agreed::new(http.headers());
    let reply = agreed.map_or_else(|_| Format::default(), |agreed| agreed.reply);
    let mut seen = None;
    match portal.credential(source, http, agreed, &mut seen).await {
        Ok((answer, served)) => {
            match served {
                Served::Credential(credential) => log_issued(source, seen.as_ref(), &credential),
                Served::Report(report) => log_reported(source, &report),
            }
            respond(answer)
        }
        Err(Failed::Rejected(rejection)) => {
            log_refused(source, seen.as_ref(), &rejection);
            respond(refuse(reply, &rejection))
        }
        Err(Failed::Format(error)) => {
            log_refused(source, None, &Rejection::unreadable(error.code()));
            no_format(error)
        }
    }
}

/// In plain text: there is no format that both sides know.
fn no_format(error: NegotiateError) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{error}\n")));
    *response.status_mut() = StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    // What would be taken (RFC 9110 §15.5.16).
    let types = Format::ALL.map(Format::media_type).join(", ");
    if let Ok(types) = HeaderValue::from_str(&types) {
        headers.insert(header::ACCEPT, types);
    }
    response
}

/// `?wsdl`, `?xsd`, `?json-schema`: the contract, for who writes another client.
fn description(http: &Request<Body>) -> Response<Body> {
    let host = http.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let Some((content_type, text)) = http.uri().query().and_then(|query| describe(query, host)) else {
        return not_found();
    };
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn respond(answer: Answer) -> Response<Body> {
    let body = answer.body.map_or_else(Bytes::new, |document| Bytes::copy_from_slice(document.as_bytes()));
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.format.content_type()));
    // RFC 9111 §5.2.2.5: a password is nothing to keep on the way.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = answer.retry_after_secs {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The steps of a request that comes to something (patent FIG. 2, 56). Identifiers print masked by their own types.
fn log_step(event: &'static str, source: IpAddr, request: &CredentialRequest) {
    tracing::info!(
        event,
        %source,
        mac = %request.mac,
        imsi = request.imsi.as_ref().map(tracing::field::display),
        imei = request.imei.as_ref().map(tracing::field::display),
        trigger = ?request.trigger,
    );
}

fn log_refused(source: IpAddr, request: Option<&CredentialRequest>, rejection: &Rejection) {
    tracing::warn!(
        event = "credential-refused",
        reason = rejection.reason.code(),
        detail = rejection.detail,
        field = rejection.field,
        %source,
        mac = request.map(|r| tracing::field::display(r.mac)),
        imsi = request.and_then(|r| r.imsi.as_ref()).map(tracing::field::display),
        imei = request.and_then(|r| r.imei.as_ref()).map(tracing::field::display),
        "credential refused"
    );
}

fn log_reported(source: IpAddr, report: &CredentialReport) {
    tracing::info!(
        event = "credential-reported",
        username = report.username,
        outcome = report.outcome.code(),
        failure = report.outcome.failure().map(Failure::code),
        policy_version = report.policy_version,
        agent = report.agent,
        %source,
        "the device tells of its credential"
    );
}

fn log_issued(source: IpAddr, request: Option<&CredentialRequest>, credential: &Credential) {
    tracing::info!(
        event = "credential-issued",
        username = %credential.username,
        expires_at = credential.expires_at,
        %source,
        mac = request.map(|r| tracing::field::display(r.mac)),
        imsi = request.and_then(|r| r.imsi.as_ref()).map(tracing::field::display),
        imei = request.and_then(|r| r.imei.as_ref()).map(tracing::field::display),
        trigger = request.map(|r| tracing::field::debug(r.trigger)),
        agent = request.map(|r| r.agent.as_str()),
        runs_policy = request.and_then(|r| r.policy_version),
        policy_version = credential.policy.version,
        "credential issued"
    );
}
