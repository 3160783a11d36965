//! Is the Internet behind this link? One small HTTP request bound to it.
//!
//! As the captive portal checks of browsers and of NetworkManager do it: a URL whose answer is 204 (No Content,
//! RFC 9110 §15.3.5) and nothing else. A login page, a redirect to one, and an error page of a proxy all have
//! another status. The probe also makes the kernel find the gateway's MAC address before the route moves there.
//! The machine asks for one in each verification and at times while Wi-Fi carries the traffic.

use std::{net::IpAddr, time::Duration};

use tokio::{sync::mpsc, task::spawn_blocking};

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
    },
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
        while let Some(command) = orders.recv().await {
            // ureq blocks; a thread of its own, as long as LIMIT at most.
            let event = match spawn_blocking(move || probe(&command)).await {
                Ok(event) => event,
                Err(error) => Event::Offline(error.to_string()),
            };
            if events.send(event).await.is_err() {
                return;
            }
        }
    });
    Prober { commands }
}

impl Probe for Prober {
    fn send(&self, command: Command) {
        if let Err(error) = self.commands.try_send(command) {
            tracing::error!(%error, "the probe's task does not listen");
        }
    }
}

fn probe(command: &Command) -> Event {
    let Command::Probe { interface, dns, url } = command;
    match http::bound_agent(interface, dns, None, LIMIT).get(url).call() {
        Ok(answer) if answer.status().as_u16() == NO_CONTENT => Event::Online,
        Ok(answer) => Event::Captive { status: answer.status().as_u16() },
        Err(error) => {
            let (step, text) = http::failure(&error);
            Event::Offline(format!("{step}: {text}"))
        }
    }
}
