//! Is the Internet behind this link? One small HTTP request bound to it.
//!
//! As the captive portal checks of browsers and of NetworkManager do it: a URL whose answer is 204 (No Content,
//! RFC 9110 §15.3.5) and nothing else. A login page, a redirect to one, and an error page of a proxy all have
//! another status. The probe also makes the kernel find the gateway's MAC address before the route moves there.
//! The machine asks for one in each verification and at times while Wi-Fi carries the traffic; of those the connection
//! is left standing, and its end is told (`standing`).

use std::{
    net::{IpAddr, TcpStream},
    time::Duration,
};

use tokio::{sync::mpsc, task::spawn_blocking};

use super::standing::{End, Standing};
use crate::provision::http::{self, Limits};

/// What the machine asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// One probe by this interface.
    Probe {
        /// Interface that the socket is bound to.
        interface: String,
        /// Name servers of that link.
        dns: Vec<IpAddr>,
        /// `http://` URL that answers 204 with no body.
        url: String,
        /// Leave the connection of a good answer standing, and tell of its end.
        stay: bool,
    },
    /// Nobody wants to know any more: the standing connection is dropped.
    Release,
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The probe's own answer came: online.
    Online,
    /// Something else answered: a captive portal.
    Captive {
        /// HTTP status.
        status: u16,
    },
    /// Nothing came.
    Offline(String),
    /// After [`Event::Online`]: its connection stands, and the kernel asks from now on.
    Standing,
    /// The other end gave the standing connection up: it was there a moment ago.
    Ended,
    /// Nobody answers on the standing connection any more.
    Silent,
}

/// The probe as the daemon sees it.
pub trait Probe {
    /// Asks without waiting; the answer is an [`Event`].
    fn send(&self, command: Command);
}

/// For name, connection and answer together. A live network answers in well under a second, a lost SYN is sent
/// again after one and after three: two losses are forgiven, and a dead uplink is known soon enough to go back.
const LIMIT: Limits = Limits { connect: Duration::from_secs(4), total: Duration::from_secs(5) };
/// RFC 9110 §15.3.5.
const NO_CONTENT: u16 = 204;
/// Probes that wait; the machine has one at a time.
const QUEUE: usize = 4;

/// The probe's end that the daemon holds; the task ends when it is dropped.
#[derive(Debug)]
pub struct Prober {
    commands: mpsc::Sender<Command>,
}

/// Starts the probe's task. Must be called inside a tokio runtime.
pub fn spawn(events: mpsc::Sender<Event>) -> Prober {
    let (commands, mut orders) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        let mut standing: Option<Standing> = None;
        loop {
            let command = tokio::select! {
                command = orders.recv() => command,
                end = end(standing.as_ref()) => {
                    standing = None;
                    tracing::debug!(?end, "the standing connection");
                    let event = match end {
                        End::Heard => Event::Ended,
                        End::Silent => Event::Silent,
                    };
                    if events.send(event).await.is_err() {
                        return;
                    }
                    continue;
                }
            };
            standing = None;
            let command = match command {
                None => return,
                Some(Command::Release) => continue,
                Some(command) => command,
            };
            // ureq blocks; a thread of its own, as long as LIMIT at most.
            let (event, left) = match spawn_blocking(move || probe(&command)).await {
                Ok(done) => done,
                Err(error) => (Event::Offline(error.to_string()), None),
            };
            if events.send(event).await.is_err() {
                return;
            }
            let left = left.map(Standing::new).and_then(|made| {
                made.inspect_err(|error| tracing::debug!(%error, "the connection does not stay")).ok()
            });
            if left.is_some() && events.send(Event::Standing).await.is_err() {
                return;
            }
            standing = left;
        }
    });
    Prober { commands }
}

async fn end(standing: Option<&Standing>) -> End {
    match standing {
        Some(standing) => standing.end().await,
        None => std::future::pending().await,
    }
}

impl Probe for Prober {
    fn send(&self, command: Command) {
        if let Err(error) = self.commands.try_send(command) {
            tracing::error!(%error, "the probe's task does not listen");
        }
    }
}

fn probe(command: &Command) -> (Event, Option<TcpStream>) {
    let Command::Probe { interface, dns, url, stay } = command else {
        return (Event::Offline("no probe".to_owned()), None);
    };
    let (agent, kept) = http::bound_agent_that_keeps(interface, dns, LIMIT);
    match agent.get(url).call() {
        Ok(answer) if answer.status().as_u16() == NO_CONTENT => {
            drop((answer, agent));
            (Event::Online, kept.take().filter(|_| *stay))
        }
        Ok(answer) => (Event::Captive { status: answer.status().as_u16() }, None),
        Err(error) => {
            let (step, text) = http::failure(&error);
            (Event::Offline(format!("{step}: {text}")), None)
        }
    }
}
