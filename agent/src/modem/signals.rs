//! Any word of ModemManager to one "look again". What a signal says does not matter, so none can be misread.

use std::sync::Arc;

use futures_util::StreamExt;
use tokio::{sync::Notify, task::JoinSet};
use zbus::{Connection, MatchRule, MessageStream, message::Type};

use super::read::{NAME, ROOT};

/// Wakes `changed` at each signal, until the returned set is dropped. A [`Notify`] holds one wake-up however many
/// signals came: they run into one.
pub(super) async fn watch(bus: &Connection, changed: &Arc<Notify>) -> zbus::Result<JoinSet<()>> {
    // PropertiesChanged, InterfacesAdded and -Removed, StateChanged, and whatever later versions add.
    let manager = MatchRule::builder().msg_type(Type::Signal).sender(NAME).path_namespace(ROOT).build()?;
    // ModemManager coming and going.
    let owner = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender("org.freedesktop.DBus")
        .interface("org.freedesktop.DBus")
        .member("NameOwnerChanged")
        .add_arg(NAME)
        .build()?;
    let mut tasks = JoinSet::new();
    for rule in [manager, owner] {
        let mut signals = MessageStream::for_match_rule(rule, bus, None).await?;
        let changed = Arc::clone(changed);
        // A task of its own: a stream that is not read blocks the whole connection, answers included.
        tasks.spawn(async move {
            while let Some(Ok(_)) = signals.next().await {
                changed.notify_one();
            }
            changed.notify_one();
        });
    }
    Ok(tasks)
}
