//! The parts of this folder together: a task for the connection, one for what comes by it, and the door for credentials
//! that go by SMS though they were asked for by HTTPS.

use std::sync::Arc;

use provisioning::{
    message::Credential,
    sms::{Encapsulated, PortalExchange, PortalKey},
};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::spawn_blocking,
};

use super::{
    Settings,
    desk::{Desk, seal},
    link::{Link, Outgoing},
    parts::Joiner,
    pdu::Incoming,
};
use crate::{
    credential::{Keys, Msisdn},
    gateway::Prover,
    portal::{Issuer, decide::Rejection},
    server::clock::Clock,
    store::Handle,
};

/// Messages between the tasks, each way.
const WAITING: usize = 64;
/// Requests that are served at the same time: each may wait for the database.
const AT_ONCE: usize = 8;

/// What the tasks share.
pub struct Service {
    desk: Arc<Desk>,
    keys: Arc<Keys>,
    clock: Clock,
    incoming: mpsc::Receiver<Incoming>,
    outgoing: mpsc::Sender<Outgoing>,
    link: Link,
}

/// Sends credentials by SMS.
#[derive(Clone)]
pub struct Courier {
    desk: Arc<Desk>,
    prover: Arc<Prover>,
    clock: Clock,
    outgoing: mpsc::Sender<Outgoing>,
}

impl Service {
    /// Nothing runs yet; the courier can be used at once.
    pub fn new(
        settings: Settings,
        keys: Arc<Keys>,
        prover: Arc<Prover>,
        issuer: Arc<dyn Issuer>,
        clock: Clock,
    ) -> (Self, Courier) {
        let settings = Arc::new(settings);
        let desk = Desk::new(&settings, Arc::clone(&keys), Arc::clone(&prover), issuer, clock.now().unix);
        let desk = Arc::new(desk);
        let (outgoing, to_send) = mpsc::channel(WAITING);
        let (came, incoming) = mpsc::channel(WAITING);
        let courier = Courier { desk: Arc::clone(&desk), prover, clock, outgoing: outgoing.clone() };
        let link = Link::new(settings, clock, to_send, came);
        (Self { desk, keys, clock, incoming, outgoing, link }, courier)
    }

    /// Runs until `stop` is told or dropped, and the message centre is left.
    pub async fn run(self, mut stop: oneshot::Receiver<()>) {
        let Self { desk, keys, clock, mut incoming, outgoing, link } = self;
        let (leave, left) = oneshot::channel();
        let link = tokio::spawn(link.run(left));
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        let mut joiner = Joiner::default();
        loop {
            let came = tokio::select! {
                came = incoming.recv() => came,
                _ = &mut stop => None,
            };
            let Some(came) = came else { break };
            let Some((from, message)) = whole(&mut joiner, &keys, clock, came) else { continue };
            let Ok(place) = Arc::clone(&at_once).acquire_owned().await else { break };
            let (desk, outgoing) = (Arc::clone(&desk), outgoing.clone());
            tokio::spawn(async move {
                let served = spawn_blocking(move || {
                    desk.serve(clock.now(), &from, &message).map(|message| Outgoing { to: from, message })
                });
                match served.await {
                    Ok(Some(answer)) => _ = outgoing.send(answer).await,
                    Ok(None) => {}
                    Err(error) => {
                        tracing::error!(event = "sms-panicked", %error, "a request by SMS was not served")
                    }
                }
                drop(place);
            });
        }
        drop(leave);
        if let Err(error) = link.await {
            tracing::error!(event = "sms-panicked", %error, "the connection to the message centre had died");
        }
    }
}

/// The whole message, when its last part is there.
fn whole(joiner: &mut Joiner, keys: &Keys, clock: Clock, came: Incoming) -> Option<(Msisdn, Vec<u8>)> {
    let Incoming::Message { from, part, data } = came else { return None };
    let refused = |detail| {
        tracing::warn!(
            event = "credential-refused",
            reason = "none",
            detail,
            via = "sms",
            "a message is not looked at"
        );
        None
    };
    let Some(from) = from else { return refused("sms-sender-not-a-number") };
    let Some(part) = part else { return Some((from, data)) };
    match joiner.take(clock.now().monotonic, keys.handle_msisdn(&from), part, data) {
        Ok(message) => Some((from, message?)),
        Err(detail) => refused(detail),
    }
}

/// A credential's way, found before it is made.
pub struct Parcel {
    to: Msisdn,
    exchange: PortalExchange,
}

impl Courier {
    /// To the number of this subscriber, sealed with the key that his device made.
    pub async fn address(
        &self,
        subscriber: Option<Handle>,
        encapsulated: Encapsulated,
    ) -> Result<Parcel, Rejection> {
        let exchange = PortalKey::accept(self.desk.keys(), encapsulated);
        let exchange = exchange.map_err(|error| Rejection::unreadable(error.code()))?;
        let subscriber = subscriber.ok_or(Rejection::failed("msisdn-unknown"))?;
        let (prover, now) = (Arc::clone(&self.prover), self.clock.now().unix);
        let to = spawn_blocking(move || prover.number_of(now, subscriber)).await;
        let to = to.map_err(|_| Rejection::failed("panicked"))?.map_err(Rejection::from)?;
        Ok(Parcel { to: to.ok_or(Rejection::failed("msisdn-unknown"))?, exchange })
    }

    /// Sends it.
    pub fn deliver(&self, parcel: Parcel, credential: Credential) -> Result<(), Rejection> {
        let Parcel { to, exchange } = parcel;
        let message = seal(&exchange, self.clock.now().unix, credential, None)?;
        self.outgoing.try_send(Outgoing { to, message }).map_err(|_| Rejection::failed("sms-queue-full"))
    }
}
