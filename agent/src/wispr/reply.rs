//! What the gateway's answers mean to a session: the second half of [`Client`].

use std::time::Duration;

use url::Url;

use super::{
    Answer, Event, Fault,
    client::{Client, Phase},
    codes::ResponseCode,
    message::{self, Kind, Message},
    page,
};

/// RFC 9110 §15.3.5: what the probe's own server answers.
const NO_CONTENT: u16 = 204;

impl Client {
    pub(super) fn learn(&mut self, now: Duration, answer: &Answer) {
        match self.phase.clone() {
            Phase::Asking | Phase::Checking => self.learn_api(answer),
            Phase::Proving(_) if answer.status == NO_CONTENT => self.proved(),
            Phase::Proving(_) => self.prove_again(now),
            Phase::Looking if answer.status == NO_CONTENT && self.at == self.probe => self.proved(),
            Phase::Looking => self.learn_look(now, answer),
            Phase::LoggingOn | Phase::Polling => self.learn_login(now, answer),
            Phase::CallingOff(then) => self.learn_abort(answer, then),
            Phase::LoggingOff(then) => {
                let told = message::find(&answer.body).and_then(Result::ok);
                // A carrier's gateway answers with 120 and 255 although it has logged us off; its word is not had then.
                let confirmed = told.is_some_and(|message| message.code == ResponseCode::LOGOFF_SUCCEEDED);
                self.end(then.unwrap_or(Event::LoggedOff { confirmed }));
            }
            Phase::Open | Phase::Over => {}
        }
    }

    /// On the way to the login page.
    fn learn_look(&mut self, now: Duration, answer: &Answer) {
        match message::find(&answer.body) {
            Some(Ok(message)) => match message.kind {
                Kind::Redirect => self.learn_redirect(now, message),
                Kind::Proxy => self.learn_proxy(now, &message),
                _ => {
                    let number = message.message_type.map(|number| number.to_string()).unwrap_or_default();
                    self.give_up(now, Fault::Protocol, &format!("message {number} in place of a redirect"));
                }
            },
            Some(Err(error)) => self.give_up(now, Fault::Protocol, &error.to_string()),
            None => match page::next(answer, &self.at).or_else(|| self.found.user_portal.take()) {
                Some(url) => self.hop(now, url, None),
                None => {
                    let text = format!("the probe was answered with status {}", answer.status);
                    self.give_up(now, Fault::NoGateway, &text);
                }
            },
        }
    }

    fn learn_proxy(&mut self, now: Duration, message: &Message) {
        let next = match message.next_url.as_deref() {
            Some(url) => page::join(&self.at, url),
            None => Some(self.at.clone()),
        };
        let pause = message.delay.filter(|secs| *secs > 0).map(|secs| Duration::from_secs(secs.into()));
        // Asked again at once, the same URL would give the same answer.
        let pause = if message.next_url.is_none() { pause.or(Some(Duration::ZERO)) } else { pause };
        match next {
            Some(next) => self.hop(now, next, pause),
            None => self.give_up(now, Fault::Protocol, "the proxy's NextURL is none"),
        }
    }

    fn learn_redirect(&mut self, now: Duration, message: Message) {
        if message.code != ResponseCode::NO_ERROR {
            self.learn_refusal(&message);
            return;
        }
        if let Some(wanted) = &self.rules.location
            && !message.location_name.as_deref().is_some_and(|name| name.starts_with(wanted.as_str()))
        {
            let told = message.location_name.unwrap_or_default();
            self.give_up(now, Fault::Location, &format!("the gateway calls itself {told:?}"));
            return;
        }
        let Some(login) = message.login_url.as_deref().and_then(|url| page::join(&self.at, url)) else {
            self.give_up(now, Fault::Protocol, "no LoginURL");
            return;
        };
        if let Err(text) = self.may_have_the_password(&login) {
            self.give_up(now, Fault::Name, &text);
            return;
        }
        self.found.abort = message.abort_url.as_deref().and_then(|url| page::join(&self.at, url));
        self.found.location = message.location_name.or(message.access_location);
        self.found.login = Some(login.clone());
        self.post(login);
    }

    /// The one gate before the form: verified HTTPS, and a name that the policy lists. The certificate is checked against
    /// this very name by who opens the connection.
    fn may_have_the_password(&self, login: &Url) -> Result<(), String> {
        let host = login.host_str().unwrap_or_default();
        if login.scheme() != "https" {
            Err(format!("the login page of {host} is not on HTTPS"))
        } else if !self.rules.allows(host) {
            Err(format!("the policy lists no login page {host}"))
        } else {
            Ok(())
        }
    }

    /// After the form, and of each poll.
    fn learn_login(&mut self, now: Duration, answer: &Answer) {
        match message::find(&answer.body) {
            Some(Ok(message)) => match message.kind {
                Kind::Authentication => self.learn_authentication(now, message),
                Kind::Proxy => self.learn_proxy(now, &message),
                Kind::Abort if message.code == ResponseCode::LOGIN_SUCCEEDED => {
                    self.learn_authentication(now, message);
                }
                // The login page again, without a word: this is not how a password is refused.
                Kind::Redirect => self.learn_refusal(&message),
                _ => self.give_up(now, Fault::Protocol, "the login is answered by something else"),
            },
            Some(Err(error)) => self.give_up(now, Fault::Protocol, &error.to_string()),
            None => self.learn_login_page(now, answer),
        }
    }

    /// No XML: where it leads to may have some; else only the probe can tell.
    fn learn_login_page(&mut self, now: Duration, answer: &Answer) {
        // RFC 9110 §15.4.8–9: these would have the form repeated elsewhere. It is not.
        let repeats = matches!(answer.status, 307 | 308);
        match page::next(answer, &self.at) {
            Some(_) if repeats && self.phase == Phase::LoggingOn => {
                self.give_up(now, Fault::Name, "the login page wants the password sent elsewhere");
            }
            Some(url) => self.hop(now, url, None),
            None => self.prove(Event::Failed {
                fault: Fault::Protocol,
                text: format!("status {} without WISPr, and the Internet does not answer", answer.status),
            }),
        }
    }

    fn learn_authentication(&mut self, now: Duration, message: Message) {
        let url = |at: &Url, url: &Option<String>| url.as_deref().and_then(|url| page::join(at, url));
        self.found.results = url(&self.at, &message.results_url).or(self.found.results.take());
        self.found.logoff = url(&self.at, &message.logoff_url).or(self.found.logoff.take());
        let max_session = message.max_session.map(|secs| Duration::from_secs(secs.into()));
        self.found.max_session = max_session.or(self.found.max_session);
        match message.code {
            ResponseCode::LOGIN_SUCCEEDED => self.prove(Event::Failed {
                fault: Fault::NotOpen,
                text: "the gateway says that we are logged on, and the Internet does not answer".to_owned(),
            }),
            ResponseCode::PENDING | ResponseCode::REPEAT => self.poll(now, message.delay),
            _ => self.learn_refusal(&message),
        }
    }

    /// A code that is no success.
    fn learn_refusal(&mut self, message: &Message) {
        let reply = message.reply.clone().unwrap_or_default();
        let text = format!("code {}: {reply}", message.code);
        let fault = match message.code {
            ResponseCode::LOGIN_FAILED => {
                // The gateway has decided: there is nothing to call off, and nothing to try again.
                self.end(Event::Refused { text });
                return;
            }
            // CoovaChilli: 140 with 102 when the station is logged on already. Its words are no proof, the probe is.
            ResponseCode::RADIUS_ERROR if reply.to_ascii_lowercase().contains("already logged on") => {
                self.prove(Event::Failed { fault: Fault::Radius, text });
                return;
            }
            ResponseCode::RADIUS_ERROR | ResponseCode::NO_RADIUS_SERVER => Fault::Radius,
            ResponseCode::INTERNAL_ERROR => Fault::Gateway,
            ResponseCode::LOGIN_ABORTED => Fault::Pending,
            // Of a later version, or of nobody.
            _ => Fault::Protocol,
        };
        self.end(Event::Failed { fault, text });
    }

    /// The login had worked when it was called off (150 with 50): it is withdrawn by its LogoffURL.
    fn learn_abort(&mut self, answer: &Answer, then: Event) {
        let told = message::find(&answer.body).and_then(Result::ok);
        let logoff = told
            .filter(|message| message.code == ResponseCode::LOGIN_SUCCEEDED)
            .and_then(|message| page::join(&self.at, message.logoff_url.as_deref()?));
        match logoff {
            Some(logoff) => {
                self.phase = Phase::LoggingOff(Some(then));
                self.get(logoff);
            }
            None => self.end(then),
        }
    }
}
