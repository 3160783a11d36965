//! `offloadctl watch`: the live screen, or one line for each change where standard output is no terminal.
//!
//! Drawn anew at each change that the daemon signals, each second for the traffic, and when the terminal's size changes.
//! `screen` draws (pure), `history` remembers, `chart` makes columns of numbers, `terminal` is the terminal.

mod chart;
mod history;
mod screen;
mod terminal;

use std::{
    collections::VecDeque,
    io::{self, IsTerminal, Write},
    time::Duration,
};

use futures_util::{Stream, StreamExt};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::interval,
};
use zbus::{MatchRule, MessageStream, message::Type};

use self::{
    history::{Counters, History},
    screen::Scene,
    terminal::Terminal,
};
use super::{
    ask::{CtlError, Daemon},
    text::date,
};
use crate::{
    bus::{NAME, PATH},
    daemon::{Entry, octets, unix},
    machine::Status,
};

/// Entries of the log that are asked for; no terminal shows more.
const LOG: u32 = 50;
/// Between two looks at the interfaces' counters.
const TICK: Duration = Duration::from_secs(1);

/// Until somebody ends it.
pub(super) async fn run(daemon: &Daemon, json: bool) -> Result<(), CtlError> {
    let mut changes = changes(daemon).await?;
    if json || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        follow(daemon, json, &mut changes).await
    } else {
        live(daemon, &mut changes).await
    }
}

/// An item each time that something has changed, or the daemon has come or gone.
async fn changes(daemon: &Daemon) -> Result<impl Stream<Item = ()> + Unpin + use<>, CtlError> {
    let properties = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender(NAME)
        .path(PATH)
        .interface("org.freedesktop.DBus.Properties")
        .member("PropertiesChanged");
    let owners = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender("org.freedesktop.DBus")
        .member("NameOwnerChanged")
        .arg(0, NAME);
    let properties = MessageStream::for_match_rule(properties.build()?, &daemon.bus, None).await?;
    let owners = MessageStream::for_match_rule(owners.build()?, &daemon.bus, None).await?;
    Ok(futures_util::stream::select(properties, owners).map(drop))
}

/// Lines for a pipe; what has not changed is not said again.
async fn follow(
    daemon: &Daemon,
    json: bool,
    changes: &mut (impl Stream<Item = ()> + Unpin),
) -> Result<(), CtlError> {
    let mut before = String::new();
    loop {
        let text = match daemon.status().await {
            Ok(answer) if json => answer,
            Ok(answer) => match serde_json::from_str::<Status>(&answer) {
                Ok(status) => format!("{}: {}", status.state, super::table::meaning(status.state)),
                Err(_) => answer,
            },
            Err(CtlError::NotRunning(_)) if json => "null".to_owned(),
            Err(CtlError::NotRunning(_)) => "wifi-offloadd does not run".to_owned(),
            Err(other) => return Err(other),
        };
        if text != before {
            let stamped = if json { format!("{text}\n") } else { format!("{}  {text}\n", date(unix())) };
            match io::stdout().write_all(stamped.as_bytes()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                done => done?,
            }
            before = text;
        }
        if changes.next().await.is_none() {
            return Err(CtlError::NotRunning("the bus has gone".to_owned()));
        }
    }
}

async fn live(daemon: &Daemon, changes: &mut (impl Stream<Item = ()> + Unpin)) -> Result<(), CtlError> {
    let mut terminal = Terminal::open()?;
    let mut resized = signal(SignalKind::window_change())?;
    let (mut interrupted, mut ended) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut ticks = interval(TICK);
    let mut history = History::default();
    let (mut status, mut log) = look(daemon).await?;
    loop {
        let scene = Scene { now: unix(), status: status.as_ref(), log: &log, history: &history };
        let (columns, rows) = terminal.size();
        terminal.show(&screen::draw(&scene, columns, rows, terminal.colours()))?;
        tokio::select! {
            change = changes.next() => match change {
                Some(()) => (status, log) = look(daemon).await?,
                None => return Err(CtlError::NotRunning("the bus has gone".to_owned())),
            },
            at = ticks.tick() => history.take(at.into_std(), &counters(status.as_ref())),
            key = terminal.key() => if matches!(key, None | Some(b'q' | b'Q' | 3 | 4)) { return Ok(()) },
            _ = resized.recv() => {}
            _ = interrupted.recv() => return Ok(()),
            _ = ended.recv() => return Ok(()),
        }
    }
}

/// How the daemon is, and its log; none while it does not run.
async fn look(daemon: &Daemon) -> Result<(Option<Status>, VecDeque<Entry>), CtlError> {
    let answers = async { Ok((daemon.status().await?, daemon.log(LOG).await?)) };
    match answers.await {
        Ok((status, log)) => {
            Ok((serde_json::from_str(&status).ok(), serde_json::from_str(&log).unwrap_or_default()))
        }
        Err(CtlError::NotRunning(_) | CtlError::Silent) => Ok((None, VecDeque::new())),
        Err(other) => Err(other),
    }
}

/// What the links have carried, as the kernel counts it for everybody to see.
fn counters(status: Option<&Status>) -> Counters {
    let octets = |interface: Option<&String>| octets(interface?);
    let Some(status) = status else { return Counters::default() };
    Counters {
        cellular: octets(status.cellular.interface.as_ref()),
        wifi: octets(status.wlan.interface.as_ref()),
        wifi_dbm: status.wlan.signal_dbm,
        cellular_percent: status.cellular.signal_percent,
    }
}
