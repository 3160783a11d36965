//! The portal by SMS: a request sealed and sent, a reply opened (patent claims 14 and 24); and replies to requests that
//! went by HTTPS to a portal that sends credentials by SMS only.
//!
//! [`Exchanges`] knows what is awaited; both ways to the portal share it. The task carries commands to
//! [`crate::modem::messaging`] and what comes back as events to the machine.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use provisioning::sms::{DeviceExchange, Encapsulated, PublicKey, Reply, Request, SmsError};
use tokio::sync::mpsc;

use super::{Command, Event, Portal};
use crate::modem::messaging::{self, Messenger};

/// Replies that are awaited. A late one to a request before the last is of use, too.
const MAX_AWAITED: usize = 4;
/// Commands that wait; the machine has one under way.
const QUEUE: usize = 2;

/// The portal's key, and exchanges whose reply has not come. Cheap to copy; all copies share it.
#[derive(Clone)]
pub struct Exchanges {
    portal: PublicKey,
    awaited: Arc<Mutex<VecDeque<Awaited>>>,
}

/// One request that went out.
struct Awaited {
    exchange: DeviceExchange,
    /// Certificate authorities that the portal may leave out, PEM.
    held: Option<String>,
}

impl Exchanges {
    /// With a portal of this key.
    pub fn new(portal: PublicKey) -> Self {
        Self { portal, awaited: Arc::default() }
    }

    /// A new one, for a request by HTTPS: what its header says. The reply by SMS is awaited from now on, since it may be
    /// here before the portal's word that it comes.
    pub fn begin(&self) -> Result<Encapsulated, SmsError> {
        let exchange = DeviceExchange::new(&self.portal)?;
        let encapsulated = exchange.encapsulated();
        self.await_reply(Awaited { exchange, held: None });
        Ok(encapsulated)
    }

    /// Its reply came by the way that it was asked for, or none comes.
    pub fn withdraw(&self, encapsulated: Encapsulated) {
        self.locked().retain(|awaited| awaited.exchange.encapsulated() != encapsulated);
    }

    fn await_reply(&self, awaited: Awaited) {
        let mut known = self.locked();
        known.push_back(awaited);
        if known.len() > MAX_AWAITED {
            known.pop_front();
        }
    }

    /// The request as a message; its reply is awaited from now on.
    fn seal(&self, request: &Request, held: Option<String>) -> Result<Vec<u8>, SmsError> {
        let mut exchange = DeviceExchange::new(&self.portal)?;
        let message = exchange.seal(request)?;
        self.await_reply(Awaited { exchange, held });
        Ok(message)
    }

    /// What a message says, and to no request twice. None where it is no reply to any of ours.
    fn open(&self, message: &[u8]) -> Option<Reply> {
        let mut known = self.locked();
        let opened = known
            .iter()
            .enumerate()
            .find_map(|(at, awaited)| Some((at, awaited.exchange.open(message).ok()?)));
        let (at, mut reply) = opened?;
        let held = known.remove(at).and_then(|awaited| awaited.held);
        if let Reply::Granted { credential, .. } = &mut reply
            && credential.eap.ca_pem.is_empty()
        {
            // It left out what we said that we hold.
            credential.eap.ca_pem = held?;
        }
        Some(reply)
    }

    fn locked(&self) -> MutexGuard<'_, VecDeque<Awaited>> {
        // Whoever panicked has left a whole list.
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the task; it ends with the messages' task. Must be called inside a tokio runtime.
pub fn spawn(
    exchanges: Exchanges,
    messenger: Box<dyn Messenger>,
    messages: mpsc::Receiver<messaging::Event>,
    events: mpsc::Sender<Event>,
) -> impl Portal + use<> {
    let (commands, queue) = mpsc::channel(QUEUE);
    let answers = events.clone();
    tokio::spawn(run(exchanges, messenger, messages, queue, events));
    Sms { commands, events: answers }
}

struct Sms {
    commands: mpsc::Sender<Command>,
    events: mpsc::Sender<Event>,
}

impl Portal for Sms {
    fn send(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            let event = unreachable("earlier requests are still under way".to_owned());
            if self.events.try_send(event).is_err() {
                tracing::warn!("an answer of the way by SMS is lost");
            }
        }
    }
}

async fn run(
    exchanges: Exchanges,
    messenger: Box<dyn Messenger>,
    mut messages: mpsc::Receiver<messaging::Event>,
    mut queue: mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
) {
    loop {
        let out = tokio::select! {
            message = messages.recv() => match message {
                Some(messaging::Event::Received(message)) => received(&exchanges, &message),
                Some(messaging::Event::NotSent(text)) => vec![unreachable(text)],
                None => return,
            },
            command = queue.recv() => match command {
                Some(command) => ask(&exchanges, &*messenger, command).err().into_iter().collect(),
                None => return,
            },
        };
        for event in out {
            if events.send(event).await.is_err() {
                return;
            }
        }
    }
}

fn ask(exchanges: &Exchanges, messenger: &dyn Messenger, command: Command) -> Result<(), Event> {
    let Command::FetchBySms { request, made_at, held } = command else { return Ok(()) };
    let authority = held.as_deref().and_then(Reply::authority);
    let made_at = u32::try_from(made_at).unwrap_or(u32::MAX);
    let request = Request { request, made_at, authority };
    let message = exchanges.seal(&request, held).map_err(|error| unreachable(error.to_string()))?;
    messenger.send(message);
    Ok(())
}

fn received(exchanges: &Exchanges, message: &[u8]) -> Vec<Event> {
    match exchanges.open(message) {
        Some(Reply::Granted { credential, .. }) => vec![Event::Granted(credential)],
        Some(Reply::Refused { made_at, refusal }) => vec![
            Event::Time(made_at.into()),
            Event::Refused { reason: refusal.reason, retry_after: refusal.retry_after },
        ],
        None => {
            tracing::info!(
                event = "sms-not-awaited",
                "a message from the portal's number answers no request of ours"
            );
            Vec::new()
        }
    }
}

fn unreachable(text: String) -> Event {
    Event::Unreachable { step: "sms", text }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use provisioning::{
        message::{CredentialRequest, Reason, Refusal, Trigger},
        sms::PortalKey,
    };

    use super::*;
    use crate::vault::sample::stored;

    /// Keeps what is sent.
    #[derive(Clone, Default)]
    struct Outbox(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Messenger for Outbox {
        fn send(&self, message: Vec<u8>) {
            self.0.lock().unwrap().push(message);
        }
    }

    fn portal() -> [PortalKey; 1] {
        [PortalKey::derive(4, &[9; 32])]
    }

    fn command(held: Option<String>) -> Command {
        let request = CredentialRequest {
            imsi: Some("001010123456789".parse().unwrap()),
            imei: None,
            mac: provisioning::identity::Mac([2, 0, 0, 0, 0, 1]),
            trigger: Trigger::Attach,
            agent: "a/1".to_owned(),
            policy_version: None,
        };
        Command::FetchBySms { request, made_at: 7, held }
    }

    #[tokio::test]
    async fn a_request_goes_out_and_its_reply_comes_in_once() {
        let (outbox, (inbox, messages)) = (Outbox::default(), mpsc::channel(4));
        let (sender, mut events) = mpsc::channel(4);
        let sms = spawn(Exchanges::new(portal()[0].public()), Box::new(outbox.clone()), messages, sender);
        let mut credential = stored("password").current.expect("a credential");
        let held = "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n".to_owned();
        credential.eap.ca_pem.clone_from(&held);
        sms.send(command(Some(held.clone())));
        let sent = loop {
            if let Some(sent) = outbox.0.lock().unwrap().pop() {
                break sent;
            }
            tokio::task::yield_now().await;
        };
        let (request, exchange) = PortalKey::open(&portal(), &sent).unwrap();
        assert_eq!((request.made_at, request.authority), (7, Reply::authority(&held)));

        // What nobody asked for is passed over.
        let stranger = DeviceExchange::new(&portal()[0].public()).unwrap().encapsulated();
        let strange = PortalKey::accept(&portal(), stranger).unwrap();
        let refusal = Refusal::new(Reason::NotEntitled, Some(Duration::from_secs(9)));
        let refused = Reply::Refused { made_at: 8, refusal: refusal.clone() };
        inbox.send(messaging::Event::Received(strange.seal(&refused).unwrap())).await.unwrap();

        let mut bare = credential.clone();
        bare.eap.ca_pem.clear();
        let reply = exchange.seal(&Reply::Granted { made_at: 8, credential: Box::new(bare) }).unwrap();
        for _ in 0..2 {
            inbox.send(messaging::Event::Received(reply.clone())).await.unwrap();
        }
        inbox.send(messaging::Event::NotSent("no network".to_owned())).await.unwrap();
        assert_eq!(events.recv().await, Some(Event::Granted(Box::new(credential))), "with what was held");
        assert_eq!(
            events.recv().await,
            Some(unreachable("no network".to_owned())),
            "the second is no answer"
        );
    }

    #[tokio::test]
    async fn a_request_by_https_may_be_answered_by_sms() {
        let exchanges = Exchanges::new(portal()[0].public());
        let encapsulated = exchanges.begin().unwrap();
        let exchange = PortalKey::accept(&portal(), encapsulated).unwrap();
        let refusal = Refusal::new(Reason::RateLimited, None);
        let reply = exchange.seal(&Reply::Refused { made_at: 8, refusal }).unwrap();
        // Before the portal's own word, as a fast message centre brings it.
        let expected = [Event::Time(8), Event::Refused { reason: Reason::RateLimited, retry_after: None }];
        assert_eq!(received(&exchanges, &reply), expected);
        // Answered by HTTPS after all.
        let withdrawn = exchanges.begin().unwrap();
        let exchange = PortalKey::accept(&portal(), withdrawn).unwrap();
        exchanges.withdraw(withdrawn);
        let refusal = Refusal::new(Reason::RateLimited, None);
        assert_eq!(exchanges.open(&exchange.seal(&Reply::Refused { made_at: 8, refusal }).unwrap()), None);
        // Old ones are given up.
        for _ in 0..10 {
            exchanges.begin().unwrap();
        }
        assert_eq!(exchanges.locked().len(), MAX_AWAITED);
    }
}
