//! One session at a gateway as a machine: what is asked next, how long is waited, when it is over.
//!
//! `shell` carries requests out and answers in, one at a time. Everything is bounded: pages that lead to others, polls,
//! each wait, and all of it together. What an answer means stands in `reply`.
//!
//! ```text
//! Asking (RFC 8908) → Looking (probe, redirects, proxies) → LoggingOn → Polling → Proving → Checking → Open
//!                                                               ↘ CallingOff ↙         Open → LoggingOff → Over
//! ```

use std::time::Duration;

use provisioning::{secret::Password, wispr::Wispr as Rules};
use url::Url;

use super::{Answer, Event, Fault, LOG_OFF_LIMIT, LOGIN_LIMIT, api, form::Form};

/// Pages, redirects and proxies on the way to the login page, and after it.
const MAX_HOPS: u32 = 10;
/// Questions how the login went.
pub(super) const MAX_POLLS: u32 = 30;
/// Pause before one where the gateway says none.
const POLL_PAUSE: Duration = Duration::from_secs(2);
/// Longest pause that a gateway may ask for, and the shortest: a gateway that says 0 is not asked without end.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
/// Probes after the gateway's yes: rules take a moment.
const MAX_PROOFS: u32 = 5;
/// Pause between them.
const PROOF_PAUSE: Duration = Duration::from_millis(500);

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    /// The request was answered.
    Answer(Answer),
    /// It was not: at `dns`, `connect`, `tls`, `date` or `http`.
    Failed { step: &'static str, text: String },
    /// The time that [`Client::deadline`] told has come.
    Timeout,
    /// Nobody wants the session any more.
    LogOff,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Output {
    /// Ask for this; it takes the place of any request that is under way.
    Get { url: Url, accept: Option<&'static str> },
    /// The one request with the password, to verified HTTPS only.
    Post { url: Url, form: Form },
    /// Tell the machine.
    Tell(Event),
}

/// A session, from the first question to the last.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) probe: Url,
    api: Option<Url>,
    username: String,
    password: Password,
    pub(super) rules: Rules,
    began: Duration,
    pub(super) phase: Phase,
    /// Where the request that is under way, or comes after the pause, goes.
    pub(super) at: Url,
    /// It comes then.
    pause_until: Option<Duration>,
    hops: u32,
    polls: u32,
    proofs: u32,
    pub(super) found: Found,
    log_off_until: Option<Duration>,
    outputs: Vec<Output>,
}

/// What the gateway has told so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) login: Option<Url>,
    pub(super) abort: Option<Url>,
    pub(super) results: Option<Url>,
    pub(super) logoff: Option<Url>,
    pub(super) location: Option<String>,
    pub(super) max_session: Option<Duration>,
    /// Where the API sends people.
    pub(super) user_portal: Option<Url>,
}

/// What the request that is under way is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// The captive portal API, whether we are held at all.
    Asking,
    /// The probe, and where it is led to.
    Looking,
    /// The form was sent, or where its answer leads to is looked at.
    LoggingOn,
    /// The AAA has not decided.
    Polling,
    /// The login is called off; what will be told when that is done.
    CallingOff(Event),
    /// Whether the Internet answers now. Only then is a login one; what will be told when it does not.
    Proving(Event),
    /// The captive portal API, how long it lasts.
    Checking,
    /// Logged on.
    Open,
    /// What will be told when that is done.
    LoggingOff(Option<Event>),
    /// Nothing more comes.
    Over,
}

impl Client {
    /// A session that begins now; what to do first.
    pub(super) fn start(now: Duration, task: &super::Task) -> Result<(Self, Vec<Output>), Event> {
        let fault = |text: &str| Event::Failed { fault: Fault::Protocol, text: text.to_owned() };
        let probe = Url::parse(&task.probe_url).map_err(|_| fault("the policy's probe-url is none"))?;
        // RFC 8910 §2: the URI of an API is https; anything else is no API, but no reason to stop.
        let api = task.api_url.as_deref().and_then(|url| Url::parse(url).ok());
        let api = api.filter(|url| url.scheme() == "https" && url.has_host());
        let mut client = Self {
            at: probe.clone(),
            probe,
            api,
            username: task.username.clone(),
            password: task.password.clone(),
            rules: task.rules.clone(),
            began: now,
            phase: Phase::Looking,
            pause_until: None,
            hops: 0,
            polls: 0,
            proofs: 0,
            found: Found::default(),
            log_off_until: None,
            outputs: Vec::new(),
        };
        match client.api.clone() {
            Some(api) => client.ask_api(Phase::Asking, api),
            None => client.look(client.probe.clone()),
        }
        let outputs = std::mem::take(&mut client.outputs);
        Ok((client, outputs))
    }

    /// When [`Input::Timeout`] is wanted at the latest.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match self.phase {
            Phase::Over | Phase::Open => None,
            Phase::LoggingOff(_) => self.log_off_until,
            // Calling off has its own request limit; the pause never stands in it.
            Phase::CallingOff(_) => self.log_off_until,
            _ => {
                let limit = self.began + LOGIN_LIMIT;
                Some(self.pause_until.map_or(limit, |pause| pause.min(limit)))
            }
        }
    }

    /// Nothing more comes.
    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Takes one input and says what to do.
    pub(super) fn handle(&mut self, now: Duration, input: Input) -> Vec<Output> {
        match input {
            Input::Timeout => self.expire(now),
            Input::LogOff => self.log_off(now),
            // Of a request that another has taken the place of: the shell sends none, and none would count.
            Input::Answer(_) | Input::Failed { .. } if self.pause_until.is_some() => {}
            Input::Answer(answer) => self.learn(now, &answer),
            Input::Failed { step, text } => self.learn_failure(now, step, text),
        }
        std::mem::take(&mut self.outputs)
    }

    fn expire(&mut self, now: Duration) {
        if self.deadline().is_none_or(|at| now < at) {
            return;
        }
        match self.phase.clone() {
            Phase::LoggingOff(then) => self.end(then.unwrap_or(Event::LoggedOff { confirmed: false })),
            Phase::CallingOff(then) => self.end(then),
            _ if now >= self.began + LOGIN_LIMIT => {
                let fault = if self.phase == Phase::Polling { Fault::Pending } else { Fault::Protocol };
                self.give_up(now, fault, "the login took too long");
            }
            _ => {
                self.pause_until = None;
                let url = self.at.clone();
                self.outputs.push(Output::Get { url, accept: None });
            }
        }
    }

    /// What was not reached, by what it was for.
    fn learn_failure(&mut self, now: Duration, step: &'static str, text: String) {
        let fault = match step {
            "tls" => Fault::Certificate,
            crate::provision::DATE => Fault::CertificateDate,
            _ => Fault::Unreachable,
        };
        match self.phase.clone() {
            // The API is a help and no condition.
            Phase::Asking => self.look(self.probe.clone()),
            Phase::Checking => self.open(None),
            Phase::Proving(_) => self.prove_again(now),
            Phase::Polling if fault == Fault::Unreachable => self.poll(now, None),
            Phase::CallingOff(then) => self.end(then),
            Phase::LoggingOff(then) => self.end(then.unwrap_or(Event::LoggedOff { confirmed: false })),
            Phase::Looking | Phase::LoggingOn | Phase::Polling => {
                self.give_up(now, fault, &format!("{step}: {text}"));
            }
            Phase::Open | Phase::Over => {}
        }
    }

    pub(super) fn learn_api(&mut self, answer: &Answer) {
        let state = if answer.status == 200 { api::State::read(&answer.body) } else { None };
        let remaining = state.as_ref().filter(|state| !state.captive).and_then(api::State::remaining);
        if self.phase == Phase::Checking {
            self.open(remaining);
            return;
        }
        if let Some(state) = state.filter(|state| state.captive) {
            self.found.user_portal =
                state.user_portal_url.as_deref().and_then(|url| super::page::join(&self.at, url));
        }
        // Also where it says that nothing holds us: the probe is what counts.
        self.look(self.probe.clone());
    }

    fn ask_api(&mut self, phase: Phase, api: Url) {
        self.phase = phase;
        self.at = api.clone();
        self.outputs.push(Output::Get { url: api, accept: Some(api::MEDIA_TYPE) });
    }

    fn look(&mut self, url: Url) {
        self.phase = Phase::Looking;
        self.get(url);
    }

    pub(super) fn get(&mut self, url: Url) {
        self.at = url.clone();
        self.outputs.push(Output::Get { url, accept: None });
    }

    /// One page further, while there are not too many.
    pub(super) fn hop(&mut self, now: Duration, url: Url, pause: Option<Duration>) {
        self.hops += 1;
        if self.hops > MAX_HOPS {
            self.give_up(now, Fault::Protocol, "one page leads to another without end");
            return;
        }
        match pause {
            Some(pause) => self.get_later(now, url, pause),
            None => self.get(url),
        }
    }

    fn get_later(&mut self, now: Duration, url: Url, pause: Duration) {
        self.at = url;
        self.pause_until = Some(now + pause.clamp(PAUSES.0, PAUSES.1));
    }

    /// The form goes out: once in a session.
    pub(super) fn post(&mut self, url: Url) {
        self.phase = Phase::LoggingOn;
        self.hops = 0;
        self.at = url.clone();
        // Taken: there is no second time.
        let password = std::mem::replace(&mut self.password, Password::new(String::new()));
        let form = Form::login(&self.username, password.expose(), self.probe.as_str());
        self.outputs.push(Output::Post { url, form });
    }

    /// Asks later how the login went.
    pub(super) fn poll(&mut self, now: Duration, delay: Option<u32>) {
        self.polls += 1;
        let Some(url) = self.found.results.clone() else {
            self.give_up(
                now,
                Fault::Protocol,
                "the login is pending, and the gateway does not say where to ask",
            );
            return;
        };
        if self.polls > MAX_POLLS {
            self.give_up(now, Fault::Pending, "the AAA does not decide");
            return;
        }
        self.phase = Phase::Polling;
        self.get_later(now, url, delay.map_or(POLL_PAUSE, |secs| Duration::from_secs(secs.into())));
    }

    /// Whether the gateway's yes is one; `otherwise` is told when it is not.
    pub(super) fn prove(&mut self, otherwise: Event) {
        self.phase = Phase::Proving(otherwise);
        self.proofs = 0;
        self.get(self.probe.clone());
    }

    pub(super) fn prove_again(&mut self, now: Duration) {
        self.proofs += 1;
        if self.proofs < MAX_PROOFS {
            self.at = self.probe.clone();
            self.pause_until = Some(now + PROOF_PAUSE);
        } else if let Phase::Proving(otherwise) = self.phase.clone() {
            self.withdraw(now, otherwise);
        }
    }

    pub(super) fn proved(&mut self) {
        match self.api.clone() {
            Some(api) => self.ask_api(Phase::Checking, api),
            None => self.open(None),
        }
    }

    fn open(&mut self, remaining: Option<Duration>) {
        self.phase = Phase::Open;
        let event = match &self.found.login {
            Some(login) => Event::LoggedOn {
                gateway: login.host_str().unwrap_or_default().to_owned(),
                location: self.found.location.clone(),
                ends_in: remaining.or(self.found.max_session),
            },
            None => Event::Online,
        };
        self.outputs.push(Output::Tell(event));
    }

    /// Ends with a fault; a login that the gateway may still be at is called off.
    pub(super) fn give_up(&mut self, now: Duration, fault: Fault, text: &str) {
        self.withdraw(now, Event::Failed { fault, text: text.to_owned() });
    }

    /// Ends with this; the gateway is told where it has a login or a session of ours.
    fn withdraw(&mut self, now: Duration, then: Event) {
        self.pause_until = None;
        let sent = matches!(self.phase, Phase::LoggingOn | Phase::Polling | Phase::Proving(_));
        let (logoff, abort) = (self.found.logoff.clone(), self.found.abort.clone());
        self.log_off_until = Some(now + LOG_OFF_LIMIT);
        match (logoff, abort) {
            (Some(logoff), _) if sent => {
                self.phase = Phase::LoggingOff(Some(then));
                self.get(logoff);
            }
            (None, Some(abort)) if sent => {
                self.phase = Phase::CallingOff(then);
                self.get(abort);
            }
            _ => self.end(then),
        }
    }

    fn log_off(&mut self, now: Duration) {
        match self.phase {
            Phase::Open | Phase::Checking => match self.found.logoff.clone() {
                Some(logoff) if !self.rules.stay_logged_on => {
                    self.log_off_until = Some(now + LOG_OFF_LIMIT);
                    self.phase = Phase::LoggingOff(None);
                    self.get(logoff);
                }
                _ => self.end(Event::LoggedOff { confirmed: false }),
            },
            // One of these is under way: what it was to tell, nobody waits for any more.
            Phase::LoggingOff(_) => self.phase = Phase::LoggingOff(None),
            Phase::CallingOff(_) => self.phase = Phase::CallingOff(Event::LoggedOff { confirmed: false }),
            Phase::Over => self.outputs.push(Output::Tell(Event::LoggedOff { confirmed: false })),
            _ => self.withdraw(now, Event::LoggedOff { confirmed: false }),
        }
    }

    pub(super) fn end(&mut self, event: Event) {
        self.pause_until = None;
        self.phase = Phase::Over;
        self.outputs.push(Output::Tell(event));
    }
}
