//! The WLAN card by way of nl80211: which interface, its MAC, scans, the signal, the end of an association.
//!
//! `request` builds messages and `parse` reads them, `track` decides what an event means, `channels` where to look
//! for a network (all of them pure), `card` is the task with the sockets. The daemon calls [`spawn`] once; the task
//! outlives the card, which may come and go.
//!
//! What a [`Command::Watch`](super::Command::Watch) delivers: [`Event::Signal`] at once, at each crossing of the
//! threshold or of one of three above it (4 dB apart) that the driver tells by CQM, and from the station's record
//! every 2 s while the signal is not above all of them, so that the machine sees a trend as well as the crossing.
//! Above all of them nothing wakes up. A driver that takes only one threshold is read every 2 s, one that refuses CQM
//! (`EOPNOTSUPP` and the like) every second.

use tokio::sync::mpsc;

use super::{Command, Event, Wlan};

mod attribute;
mod card;
mod channels;
pub(crate) mod parse;
pub(crate) mod request;
mod track;

/// Commands that wait for the card's task. The machine has one scan and one watch at a time.
const QUEUE: usize = 32;

/// The card's end that the daemon holds; the task ends when it is dropped.
#[derive(Debug)]
pub struct Card {
    commands: mpsc::Sender<Command>,
}

/// Starts the card's task: `interface` by name, or the first one in station mode. Must be called inside a tokio
/// runtime.
pub fn spawn(interface: Option<String>, events: mpsc::Sender<Event>) -> Card {
    let (commands, orders) = mpsc::channel(QUEUE);
    tokio::spawn(card::run(interface, orders, events));
    Card { commands }
}

impl Wlan for Card {
    fn send(&self, command: Command) {
        if let Err(error) = self.commands.try_send(command) {
            tracing::error!(%error, "the WLAN card's task does not listen");
        }
    }
}
