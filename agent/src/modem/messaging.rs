//! Short messages through ModemManager: to one number, and from it. Nobody else's messages are touched.
//!
//! A message of ours is one from the portal's number whose data begins with [`provisioning::sms::PREFIX`]. It is taken
//! away as soon as it has been read, so that a modem's few dozen places do not fill up; so is one of which parts are
//! missing for long. Messages are looked for at each word of ModemManager, and now and then without one, so a lost
//! signal costs time and no message. [`crate::provision::sms`] is the caller.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use provisioning::sms::{MAX_MESSAGE, is_ours};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{sleep, timeout},
};
use zbus::{Connection, ObjectPath, Variant, proxy::CacheProperties};

use super::{
    dbus::Seen,
    failure::failure,
    properties::{Properties, number, octets, text},
    proxies::{MessagingProxy, ModemProxy, SmsProxy},
    read::{Chosen, all},
    signals,
    time::since_boot,
};

const SMS: &str = "org.freedesktop.ModemManager1.Sms";

/// `MM_SMS_STATE_RECEIVING`: parts are missing.
const RECEIVING: u32 = 2;
/// `MM_SMS_STATE_RECEIVED`.
const RECEIVED: u32 = 3;
/// `MM_SMS_PDU_TYPE_DELIVER`.
const DELIVER: u32 = 1;

/// A send that takes longer has failed; the network's own limit is shorter.
const SEND_LIMIT: Duration = Duration::from_secs(120);
/// For any other call.
const CALL_LIMIT: Duration = Duration::from_secs(20);
/// Signals come in bursts.
const COALESCE: Duration = Duration::from_millis(50);
/// Looks without any signal.
const RECHECK: Duration = Duration::from_secs(60);
/// A message whose last part has not come by then is taken away.
const PARTS_LIMIT: Duration = Duration::from_secs(900);
/// Messages that are looked at; more than a modem keeps.
const MAX_MESSAGES: usize = 500;
/// Messages to be sent that wait.
const QUEUE: usize = 4;

/// What comes out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message of the portal's, whole.
    Received(Vec<u8>),
    /// The last one that was to be sent was not; no identifier is in the text.
    NotSent(String),
}

/// Sends messages to the portal.
pub trait Messenger: Send {
    /// Without waiting; a failure comes as [`Event::NotSent`].
    fn send(&self, message: Vec<u8>);
}

/// Starts the task; it ends when the returned handle is dropped. `number` is the portal's, `seen` the modem in use.
pub fn spawn(
    number: String,
    seen: watch::Receiver<Seen>,
    events: mpsc::Sender<Event>,
) -> impl Messenger + use<> {
    let (messages, queue) = mpsc::channel(QUEUE);
    let answers = events.clone();
    tokio::spawn(Task { number, seen, events, queue, incomplete: HashMap::new() }.run());
    Handle { messages, events: answers }
}

struct Handle {
    messages: mpsc::Sender<Vec<u8>>,
    events: mpsc::Sender<Event>,
}

impl Messenger for Handle {
    fn send(&self, message: Vec<u8>) {
        if self.messages.try_send(message).is_err() {
            // Who waits for an answer hears of it; who does not misses nothing.
            let _ = self.events.try_send(Event::NotSent("earlier messages are still under way".to_owned()));
        }
    }
}

struct Task {
    number: String,
    seen: watch::Receiver<Seen>,
    events: mpsc::Sender<Event>,
    queue: mpsc::Receiver<Vec<u8>>,
    /// Messages of which parts are missing, and since when.
    incomplete: HashMap<String, Duration>,
}

/// Nobody listens any more.
struct Stopped;

impl Task {
    async fn run(mut self) {
        loop {
            let seen = self.seen.borrow_and_update().clone();
            let done = match seen {
                Some((bus, modem)) => self.serve(&bus, &modem).await,
                None => self.without_modem().await,
            };
            if done.is_err() {
                return;
            }
        }
    }

    async fn without_modem(&mut self) -> Result<(), Stopped> {
        tokio::select! {
            changed = self.seen.changed() => changed.map_err(|_| Stopped),
            message = self.queue.recv() => {
                message.ok_or(Stopped)?;
                self.events.send(Event::NotSent("there is no modem".to_owned())).await.map_err(|_| Stopped)
            }
        }
    }

    /// Until another modem, or none, is in use.
    async fn serve(&mut self, bus: &Connection, modem: &Chosen) -> Result<(), Stopped> {
        self.incomplete.clear();
        let changed = Arc::new(Notify::new());
        let Ok(_signals) = signals::watch(bus, &changed).await else {
            sleep(RECHECK).await;
            return Ok(());
        };
        loop {
            if let Ok(messages) = timeout(CALL_LIMIT, messages(bus, modem)).await.unwrap_or(Ok(Vec::new())) {
                self.sweep(bus, modem, messages).await?;
            }
            tokio::select! {
                seen = self.seen.changed() => return seen.map_err(|_| Stopped),
                message = self.queue.recv() => {
                    let message = message.ok_or(Stopped)?;
                    if let Err(text) = send(bus, modem, &self.number, &message).await {
                        self.events.send(Event::NotSent(text)).await.map_err(|_| Stopped)?;
                    }
                }
                () = changed.notified() => sleep(COALESCE).await,
                () = sleep(RECHECK) => {}
                // Another modem will be told when there is one.
                () = bus.closed() => return self.seen.changed().await.map_err(|_| Stopped),
            }
        }
    }

    async fn sweep(
        &mut self,
        bus: &Connection,
        modem: &Chosen,
        messages: Vec<String>,
    ) -> Result<(), Stopped> {
        let there: HashSet<&String> = messages.iter().collect();
        self.incomplete.retain(|path, _| there.contains(path));
        for path in messages.iter().take(MAX_MESSAGES) {
            let message = all(bus, &modem.owner, path, SMS).await;
            let taken_away = match look(&message, &self.number) {
                Look::Ours(data) => {
                    self.events.send(Event::Received(data)).await.map_err(|_| Stopped)?;
                    true
                }
                Look::Spoilt => true,
                Look::Incomplete => {
                    let since = *self.incomplete.entry(path.clone()).or_insert_with(since_boot);
                    since_boot() >= since + PARTS_LIMIT
                }
                Look::Others => false,
            };
            if taken_away && let Err(error) = delete(bus, modem, path).await {
                tracing::warn!(%error, "a message of ours could not be taken out of the modem");
            }
        }
        Ok(())
    }
}

/// What a message is.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// From the portal, whole.
    Ours(Vec<u8>),
    /// From the portal's number, parts are missing: whose it is shows only when they have come.
    Incomplete,
    /// From the portal, and longer than any that it sends.
    Spoilt,
    /// Not for us.
    Others,
}

/// Pure.
fn look(message: &Properties, portal: &str) -> Look {
    let from_portal = text(message, "Number").is_some_and(|number| digits(number) == digits(portal));
    if !from_portal || number(message, "PduType") != Some(DELIVER) {
        return Look::Others;
    }
    match number(message, "State") {
        Some(RECEIVING) => Look::Incomplete,
        Some(RECEIVED) => match octets(message, "Data", 2 * MAX_MESSAGE) {
            Some(data) if is_ours(&data) && data.len() <= MAX_MESSAGE => Look::Ours(data),
            Some(data) if is_ours(&data) => Look::Spoilt,
            _ => Look::Others,
        },
        _ => Look::Others,
    }
}

/// Networks tell the same number with and without `+`.
fn digits(number: &str) -> &str {
    number.strip_prefix('+').unwrap_or(number)
}

async fn messaging<'a>(bus: &'a Connection, modem: &'a Chosen) -> zbus::Result<MessagingProxy<'a>> {
    MessagingProxy::builder(bus)
        .destination(modem.owner.as_str())
        .path(modem.path.as_str())
        .cache_properties(CacheProperties::No)
        .build()
        .await
}

/// None where the modem has no messages, or has left.
async fn messages(bus: &Connection, modem: &Chosen) -> zbus::Result<Vec<String>> {
    let listed = messaging(bus, modem).await?.list().await?;
    Ok(listed.iter().map(|path| path.as_str().to_owned()).collect())
}

async fn delete(bus: &Connection, modem: &Chosen, path: &str) -> zbus::Result<()> {
    let path = ObjectPath::try_from(path)?;
    let messaging = messaging(bus, modem).await?;
    match timeout(CALL_LIMIT, messaging.delete(&path)).await {
        Ok(deleted) => deleted,
        Err(_) => Err(zbus::Error::Failure("no answer".to_owned())),
    }
}

/// Makes, sends and takes away one message; the error is for the log.
async fn send(bus: &Connection, modem: &Chosen, number: &str, message: &[u8]) -> Result<(), String> {
    let sent = timeout(SEND_LIMIT, try_send(bus, modem, number, message)).await;
    match sent {
        Ok(sent) => sent.map_err(|error| {
            let failed = failure(&error);
            format!("{}: {}", failed.error, failed.text)
        }),
        Err(_) => Err("ModemManager did not answer".to_owned()),
    }
}

async fn try_send(bus: &Connection, modem: &Chosen, number: &str, message: &[u8]) -> zbus::Result<()> {
    // Data that is refused does not need it, and messages do.
    let radio = ModemProxy::builder(bus)
        .destination(modem.owner.as_str())
        .path(modem.path.as_str())
        .cache_properties(CacheProperties::No)
        .build()
        .await?;
    radio.enable(true).await?;
    let messaging = messaging(bus, modem).await?;
    let (number, data) = (Variant::from(number), Variant::from(message.to_vec()));
    let path = messaging.create(HashMap::from([("number", &number), ("data", &data)])).await?;
    let sms = SmsProxy::builder(bus)
        .destination(modem.owner.as_str())
        .path(path.as_str())
        .cache_properties(CacheProperties::No)
        .build()
        .await?;
    let sent = sms.send().await;
    if let Err(error) = delete(bus, modem, path.as_str()).await {
        tracing::debug!(%error, "a message that was sent stays listed");
    }
    sent
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zbus::OwnedVariant;

    use super::*;

    fn own(value: impl Into<Variant<'static>>) -> OwnedVariant {
        OwnedVariant::try_from(value.into()).expect("no descriptor in it")
    }

    fn message(from: &str, state: u32, data: &[u8]) -> Properties {
        Properties::from([
            ("Number".to_owned(), own(from.to_owned())),
            ("PduType".to_owned(), own(DELIVER)),
            ("State".to_owned(), own(state)),
            ("Data".to_owned(), own(data.to_vec())),
        ])
    }

    #[test]
    fn only_what_is_the_portals_is_taken() {
        let portal = "+15550001000";
        let ours = b"WO\x12 and so on".as_slice();
        assert_eq!(look(&message(portal, RECEIVED, ours), portal), Look::Ours(ours.to_vec()));
        assert_eq!(look(&message("15550001000", RECEIVED, ours), portal), Look::Ours(ours.to_vec()));
        assert_eq!(look(&message(portal, RECEIVING, b""), portal), Look::Incomplete);
        let long = [ours, &[0; MAX_MESSAGE]].concat();
        assert_eq!(look(&message(portal, RECEIVED, &long), portal), Look::Spoilt);
        for others in [
            message("+15550001001", RECEIVED, ours),
            message("+15550001001", RECEIVING, b""),
            message(portal, RECEIVED, b"Hello"),
            message(portal, RECEIVED, b""),
            message(portal, 5, ours),
            Properties::from([("PduType".to_owned(), own(2u32)), ("State".to_owned(), own(RECEIVED))]),
            Properties::new(),
        ] {
            assert_eq!(look(&others, portal), Look::Others, "{others:?}");
        }
    }

    proptest! {
        #[test]
        fn any_message_is_told_apart(from: String, state in 0u32..7, data in prop::collection::vec(any::<u8>(), 0..3000)) {
            let from = from.replace('\0', "");
            let looked = look(&message(&from, state, &data), "+15550001000");
            prop_assert!(looked == Look::Others || digits(&from) == "15550001000");
        }
    }
}
