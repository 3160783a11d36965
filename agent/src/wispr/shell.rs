//! Carries a session's requests out and the answers in: by the Wi-Fi interface and no other, names included.
//!
//! HTTPS is verified against the device's authorities and the operator's own; `http` is for what holds no secret. ureq
//! blocks, so each request has a thread of its own for as long as [`LIMITS`] at most; one that another has taken the
//! place of is not waited for.

use std::{fs, path::PathBuf, time::Duration};

use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep_until},
};
use ureq::http::header;
use url::Url;

use super::{
    Answer, Command, Event, Fault, LOG_OFF_LIMIT, Task, Wispr,
    client::{Client, Input, Output},
    form::Form,
    message::MAX_PAGE,
};
use crate::provision::http::{self, Limits, Roots};

/// Gateways look for the word in it, and give others pages without XML.
const USER_AGENT: &str = concat!("wifi-offload/", env!("CARGO_PKG_VERSION"), " wispr");
/// Of one request. Gateways that wait for their AAA answer late.
const LIMITS: Limits = Limits { connect: Duration::from_secs(5), total: Duration::from_secs(20) };
/// Commands that wait; the machine has one at a time.
const QUEUE: usize = 4;

/// What the configuration decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// PEM file of the authorities that gateways' certificates come from, beside the operator's own; one that is not there
    /// is none.
    pub ca: PathBuf,
}

/// The session's end that the daemon holds; the task ends when all of them are dropped.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: mpsc::Sender<Order>,
}

#[derive(Debug)]
enum Order {
    Do(Command),
    /// Log off before the end, and say when that is done.
    Close(tokio::sync::oneshot::Sender<()>),
}

/// Starts the task. Must be called inside a tokio runtime.
pub fn spawn(settings: Settings, events: mpsc::Sender<Event>) -> Handle {
    let (commands, orders) = mpsc::channel(QUEUE);
    tokio::spawn(run(settings, orders, events));
    Handle { commands }
}

impl Wispr for Handle {
    fn send(&self, command: Command) {
        if let Err(error) = self.commands.try_send(Order::Do(command)) {
            tracing::error!(%error, "the task of open networks does not listen");
        }
    }
}

impl Handle {
    /// Logs off where somebody is logged on, within [`LOG_OFF_LIMIT`]: for the daemon's end, while the link still stands.
    pub async fn close(&self) {
        let (done, waits) = tokio::sync::oneshot::channel();
        if self.commands.send(Order::Close(done)).await.is_ok() {
            // An error means that the task has ended, which is as good.
            let _ = tokio::time::timeout(LOG_OFF_LIMIT * 2, waits).await;
        }
    }
}

/// A session under way.
struct Session {
    client: Client,
    way: Way,
    request: Option<JoinHandle<Input>>,
}

/// How requests leave.
#[derive(Debug, Clone)]
struct Way {
    interface: String,
    dns: Vec<std::net::IpAddr>,
    roots: Option<Roots>,
}

async fn run(settings: Settings, mut orders: mpsc::Receiver<Order>, events: mpsc::Sender<Event>) {
    let begin = Instant::now();
    let mut session: Option<Session> = None;
    let mut closing = None;
    loop {
        let deadline = session.as_ref().and_then(|session| session.client.deadline()).map(|at| begin + at);
        let outputs = tokio::select! {
            order = orders.recv() => match order {
                None => return,
                Some(Order::Do(Command::Forget)) => {
                    session = None;
                    continue;
                }
                Some(Order::Do(Command::LogOn(task))) => {
                    match open(&settings, &task, begin.elapsed()) {
                        Ok((opened, outputs)) => {
                            session = Some(opened);
                            outputs
                        }
                        Err(event) => vec![Output::Tell(event)],
                    }
                }
                Some(Order::Do(Command::LogOff)) => log_off(&mut session, begin.elapsed()),
                Some(Order::Close(done)) => {
                    closing = Some(done);
                    log_off(&mut session, begin.elapsed())
                }
            },
            input = answered(&mut session) => match &mut session {
                Some(session) => session.client.handle(begin.elapsed(), input),
                None => Vec::new(),
            },
            () = until(deadline) => match &mut session {
                Some(session) => session.client.handle(begin.elapsed(), Input::Timeout),
                None => Vec::new(),
            },
        };
        for output in outputs {
            match (output, &mut session) {
                (Output::Tell(event), _) => {
                    let over = matches!(event, Event::LoggedOff { .. });
                    if over && let Some(done) = closing.take() {
                        let _ = done.send(());
                    }
                    if events.send(event).await.is_err() {
                        return;
                    }
                }
                (Output::Get { url, accept }, Some(session)) => {
                    session.ask(Request { url, accept, form: None })
                }
                (Output::Post { url, form }, Some(session)) => {
                    session.ask(Request { url, accept: None, form: Some(form) });
                }
                (Output::Get { .. } | Output::Post { .. }, None) => {}
            }
        }
        session.take_if(|session| session.client.is_over());
    }
}

fn log_off(session: &mut Option<Session>, now: Duration) -> Vec<Output> {
    match session {
        Some(session) => session.client.handle(now, Input::LogOff),
        None => vec![Output::Tell(Event::LoggedOff { confirmed: false })],
    }
}

fn open(settings: &Settings, task: &Task, now: Duration) -> Result<(Session, Vec<Output>), Event> {
    let (client, outputs) = Client::start(now, task)?;
    let mut pem = fs::read(&settings.ca).unwrap_or_else(|error| {
        tracing::debug!(%error, ca = %settings.ca.display(), "only the operator's own authorities are trusted");
        Vec::new()
    });
    pem.push(b'\n');
    pem.extend_from_slice(task.ca_pem.as_bytes());
    // Without one that can be used no HTTPS succeeds, and so no login: said by the request.
    let roots = Roots::from_pem(&pem).map_err(|error| Event::Failed {
        fault: Fault::Certificate,
        text: format!("no authorities: {error}"),
    })?;
    let way = Way { interface: task.interface.clone(), dns: task.dns.clone(), roots: Some(roots) };
    Ok((Session { client, way, request: None }, outputs))
}

impl Session {
    /// In place of one that is under way: its answer would come to nobody.
    fn ask(&mut self, request: Request) {
        let way = self.way.clone();
        tracing::debug!(
            host = request.url.host_str().unwrap_or_default(),
            form = request.form.is_some(),
            "asking"
        );
        self.request = Some(spawn_blocking(move || request.perform(&way)));
    }
}

/// The answer to the request that is under way.
async fn answered(session: &mut Option<Session>) -> Input {
    let Some(request) = session.as_mut().and_then(|session| session.request.as_mut()) else {
        return std::future::pending().await;
    };
    let input = request.await.unwrap_or_else(|error| Input::Failed { step: "http", text: error.to_string() });
    if let Some(session) = session {
        session.request = None;
    }
    input
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

struct Request {
    url: Url,
    accept: Option<&'static str>,
    form: Option<Form>,
}

impl Request {
    fn perform(&self, way: &Way) -> Input {
        let secure = self.url.scheme() == "https";
        if self.form.is_some() && !secure {
            // The client never asks for it.
            return Input::Failed { step: "http", text: "the form goes over HTTPS only".to_owned() };
        }
        let roots = way.roots.as_ref().filter(|_| secure);
        let agent = http::bound_agent(&way.interface, &way.dns, roots, LIMITS);
        let accept = self.accept.unwrap_or("*/*");
        let sent = match &self.form {
            Some(form) => agent
                .post(self.url.as_str())
                .header(header::USER_AGENT, USER_AGENT)
                .header(header::ACCEPT, accept)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .send(form.expose()),
            None => agent
                .get(self.url.as_str())
                .header(header::USER_AGENT, USER_AGENT)
                .header(header::ACCEPT, accept)
                .call(),
        };
        match sent.and_then(read) {
            Ok(answer) => Input::Answer(answer),
            Err(error) => {
                let (step, text) = http::failure(&error);
                Input::Failed { step, text }
            }
        }
    }
}

/// As much of the answer as is looked at; a longer page is no fault.
fn read(mut answer: ureq::http::Response<ureq::Body>) -> Result<Answer, ureq::Error> {
    use std::io::Read as _;
    let status = answer.status().as_u16();
    let location =
        answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    answer.body_mut().as_reader().take(MAX_PAGE as u64).read_to_end(&mut body)?;
    Ok(Answer { status, location, body })
}
