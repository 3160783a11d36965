//! Signals of NetworkManager and of its wpa_supplicant as notices, in the order in which they came.

use std::{collections::HashMap, sync::Arc};

use futures_util::StreamExt;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};
use zbus::{Connection, MatchRule, Message, MessageStream, OwnedVariant, fdo::DBusProxy, message::Type};

use super::{
    NAME, ROOT,
    read::{DEVICE, DHCP4, IP4},
    tracker::Notice,
};
use crate::modem::properties::{Properties, number, signed, text};

/// wpa_supplicant's name on the bus.
const SUPPLICANT: &str = "fi.w1.wpa_supplicant1";
/// One of its interfaces.
const SUPPLICANT_INTERFACE: &str = "fi.w1.wpa_supplicant1.Interface";

/// A notice, and the object that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    /// Of NetworkManager or of wpa_supplicant; none for what was said to us.
    pub(super) path: Option<String>,
    /// None: addresses have changed somewhere.
    pub(super) notice: Option<Notice>,
}

impl Heard {
    pub(super) fn here(notice: Notice) -> Self {
        Self { path: None, notice: Some(notice) }
    }
}

/// Puts what is heard into `heard`, until the returned set is dropped.
pub(super) async fn notices(bus: &Connection, heard: mpsc::Sender<Heard>) -> zbus::Result<JoinSet<()>> {
    // One stream for all rules: an order between two streams would be by chance.
    let mut stream = MessageStream::from(bus);
    let rules = DBusProxy::new(bus).await?;
    let signal = || MatchRule::builder().msg_type(Type::Signal);
    let device = signal().sender(NAME).path_namespace(ROOT).interface(DEVICE).member("StateChanged");
    rules.add_match_rule(device.build()?).await?;
    rules.add_match_rule(signal().sender(SUPPLICANT).interface(SUPPLICANT_INTERFACE).build()?).await?;
    for interface in [IP4, DHCP4] {
        let changed = signal().sender(NAME).interface("org.freedesktop.DBus.Properties");
        rules.add_match_rule(changed.member("PropertiesChanged").add_arg(interface).build()?).await?;
    }
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Some(Ok(message)) = stream.next().await {
            if let Some(found) = understand(&message)
                && heard.try_send(found).is_err()
            {
                tracing::warn!("more signals of NetworkManager than can be kept; some are lost");
            }
        }
    });
    Ok(tasks)
}

fn understand(message: &Message) -> Option<Heard> {
    let header = message.header();
    if header.message_type() != Type::Signal {
        return None;
    }
    let body = message.body();
    let notice = match (header.interface()?.as_str(), header.member()?.as_str()) {
        (DEVICE, "StateChanged") => {
            let (state, _before, reason): (u32, u32, u32) = body.deserialize().ok()?;
            Some(Notice::Device { state, reason })
        }
        (SUPPLICANT_INTERFACE, "EAP") => {
            let (status, parameter): (String, String) = body.deserialize().ok()?;
            Some(Notice::Eap { status, parameter })
        }
        (SUPPLICANT_INTERFACE, "Certification") => {
            let certificate = map(body.deserialize().ok()?);
            let subject = text(&certificate, "subject").unwrap_or_default().to_owned();
            Some(Notice::Certificate { depth: number(&certificate, "depth")?, subject })
        }
        (SUPPLICANT_INTERFACE, "PropertiesChanged") => {
            let changed = map(body.deserialize().ok()?);
            let state = text(&changed, "State")?.to_owned();
            Some(Notice::Link { state, reason: signed(&changed, "DisconnectReason") })
        }
        ("org.freedesktop.DBus.Properties", "PropertiesChanged") => None,
        _ => return None,
    };
    Some(Heard { path: header.path().map(|path| path.as_str().to_owned()), notice })
}

fn map(body: HashMap<String, OwnedVariant>) -> Properties {
    body
}

/// Wakes `changed` whenever the owner of an interface may be another, until the returned set is dropped.
pub(crate) async fn ownership(bus: &Connection, changed: &Arc<Notify>) -> zbus::Result<JoinSet<()>> {
    let signal = || MatchRule::builder().msg_type(Type::Signal);
    let daemon = "org.freedesktop.DBus";
    let rules = [
        signal().sender(daemon).interface(daemon).member("NameOwnerChanged").add_arg(NAME).build()?,
        // Devices added, removed; asleep, awake.
        signal().sender(NAME).path(ROOT).build()?,
        // Managed or not is a state, too.
        signal().sender(NAME).path_namespace(ROOT).interface(DEVICE).member("StateChanged").build()?,
    ];
    let mut tasks = JoinSet::new();
    for rule in rules {
        let mut stream = MessageStream::for_match_rule(rule, bus, None).await?;
        let changed = Arc::clone(changed);
        // A task of its own: a stream that is not read blocks the whole connection, answers included.
        tasks.spawn(async move {
            while let Some(Ok(_)) = stream.next().await {
                changed.notify_one();
            }
            changed.notify_one();
        });
    }
    Ok(tasks)
}
