//! HTTP on top of the decisions: routes, rate, body, and one log line a request.
//!
//! The order is body → rate → decode → prove → admit → issue → encode; a step that fails ends it. [`super::listen`] calls
//! [`router`] for each connection.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Extension, Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, Response, StatusCode, header},
    routing::{get, post},
};
use provisioning::{
    message::{Credential, CredentialRequest},
    xml::{CONTENT_TYPE, MAX_BODY},
};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use super::{
    Issuer, Limits,
    decide::{Answer, Rejection, admit, grant, read, refuse},
    rate::Rates,
};
use crate::{credential::IssueRequest, gateway::Prover, server::clock::Clock};

/// All that a request needs.
pub struct Portal {
    prover: Arc<Prover>,
    issuer: Arc<dyn Issuer>,
    clock: Clock,
    pub(super) limits: Limits,
    rates: Mutex<Rates>,
    issuing: Arc<Semaphore>,
}

/// Address that the connection comes from, never IPv4-mapped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source(pub(super) IpAddr);

impl Portal {
    /// A portal that believes `prover` and has credentials made by `issuer`.
    pub fn new(prover: Arc<Prover>, issuer: Arc<dyn Issuer>, clock: Clock, limits: Limits) -> Arc<Self> {
        let rates = Mutex::new(Rates::new(limits.burst, limits.refill, limits.rates));
        let issuing = Arc::new(Semaphore::new(limits.issuing));
        Arc::new(Self { prover, issuer, clock, limits, rates, issuing })
    }

    /// One request, from octets to credential. What could be read of it is left in `seen` for the log.
    async fn credential(
        &self,
        source: IpAddr,
        http: Request,
        seen: &mut Option<CredentialRequest>,
    ) -> Result<(Answer, Credential), Rejection> {
        // Body before rate: an answer while octets still come in is lost when the connection closes on them.
        let body = self.body(http).await?;
        self.within_rate(source)?;
        let request = &*seen.insert(read(&body)?);
        log_step("request-received", source, request);
        let now = self.clock.now().unix;
        let proof = self.prover.prove(now, source, request.imsi.as_ref(), request.imei.as_ref())?;
        log_step("identity-proved", source, request);
        let credential = self.issue(admit(request, proof)?).await?;
        Ok((grant(&credential)?, credential))
    }

    fn within_rate(&self, source: IpAddr) -> Result<(), Rejection> {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.ask(self.clock.now().monotonic, source).map_err(Rejection::too_often)
    }

    async fn body(&self, http: Request) -> Result<Bytes, Rejection> {
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

    /// The database blocks, so it gets a thread; and so many at most that a queue forms here, not there.
    async fn issue(&self, request: IssueRequest) -> Result<Credential, Rejection> {
        let issuing = Arc::clone(&self.issuing).acquire_owned().await;
        let issuing = issuing.map_err(|_| Rejection::failed("stopping"))?;
        let (issuer, clock) = (Arc::clone(&self.issuer), self.clock);
        let issued = spawn_blocking(move || {
            let issued = issuer.issue(clock.now().unix, &request);
            drop(issuing);
            issued
        });
        match issued.await {
            Ok(Ok(credential)) => Ok(credential),
            Ok(Err(error)) => {
                tracing::error!(event = "issue-failed", %error, "no credential could be made");
                Err(Rejection::from(&error))
            }
            Err(_) => Err(Rejection::failed("panicked")),
        }
    }
}

/// The routes.
pub(super) fn router(portal: Arc<Portal>) -> Router {
    let not_found = || async { StatusCode::NOT_FOUND };
    Router::new()
        .route("/v1/credential", post(credential))
        .route("/healthz", get(|| async { "ok\n" }))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .with_state(portal)
}

async fn credential(
    State(portal): State<Arc<Portal>>,
    Extension(Source(source)): Extension<Source>,
    http: Request,
) -> Response<Body> {
    let mut seen = None;
    match portal.credential(source, http, &mut seen).await {
        Ok((answer, credential)) => {
            log_issued(source, seen.as_ref(), &credential);
            respond(answer)
        }
        Err(rejection) => {
            log_refused(source, seen.as_ref(), &rejection);
            respond(refuse(&rejection))
        }
    }
}

fn respond(answer: Answer) -> Response<Body> {
    let body = answer.body.map_or_else(Bytes::new, |document| Bytes::copy_from_slice(document.as_bytes()));
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
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
        %source,
        mac = request.map(|r| tracing::field::display(r.mac)),
        imsi = request.and_then(|r| r.imsi.as_ref()).map(tracing::field::display),
        imei = request.and_then(|r| r.imei.as_ref()).map(tracing::field::display),
        "credential refused"
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
        "credential issued"
    );
}
