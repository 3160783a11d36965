//! The connection to the message centre: made, kept, and made again. The shell around [`super::session`].

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use rusmpp::{Command, tokio_codec::CommandCodec};
use tokio::{
    net::TcpStream,
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    time::{sleep, timeout},
};
use tokio_util::codec::Framed;

use super::{
    Settings,
    ledger::{Ledger, Told},
    pdu::{self, Incoming},
    queue::Queue,
    session::{Output, Session},
};
use crate::{credential::Msisdn, server::clock::Clock};

/// For name and TCP.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// For octets to leave: a message centre that does not read is dead.
const SEND_LIMIT: Duration = Duration::from_secs(15);
/// Wait before the next connection; doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// No PDU of use here is longer.
const MAX_PDU: usize = 4096;

/// One message to a device.
#[derive(Debug)]
pub struct Outgoing {
    /// To whom.
    pub to: Msisdn,
    /// Sealed.
    pub message: Vec<u8>,
}

/// One connection after the other, for ever. Messages that wait and messages that come are bounded by their channels.
pub struct Link {
    settings: Arc<Settings>,
    clock: Clock,
    outgoing: mpsc::Receiver<Outgoing>,
    incoming: mpsc::Sender<Incoming>,
    queue: Queue,
    ledger: Ledger,
    reference: u8,
}

impl Link {
    /// Not connected yet.
    pub fn new(
        settings: Arc<Settings>,
        clock: Clock,
        outgoing: mpsc::Receiver<Outgoing>,
        incoming: mpsc::Sender<Incoming>,
    ) -> Self {
        let queue = Queue::new(settings.per_second);
        // Any number will do that differs from that of the run before.
        let reference = (clock.now().unix & 0xff) as u8;
        Self { settings, clock, outgoing, incoming, queue, ledger: Ledger::default(), reference }
    }

    /// Until nobody can send any more, or `stop` is told (or dropped): then the message centre is left in good order.
    pub async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let mut wait = RETRY_FIRST;
        loop {
            let server = self.settings.server.clone();
            let connected = tokio::select! {
                connected = timeout(CONNECT_LIMIT, TcpStream::connect(&server)) => connected,
                _ = &mut stop => return,
            };
            match connected {
                Ok(Ok(stream)) => {
                    let (was_bound, why) = self.serve(stream, &mut stop).await;
                    if was_bound {
                        wait = RETRY_FIRST;
                    }
                    let Some(why) = why else { return };
                    tracing::warn!(
                        event = "smsc-lost",
                        reason = why,
                        server,
                        retry_secs = wait.as_secs(),
                        "no connection to the message centre"
                    );
                }
                Ok(Err(error)) => {
                    tracing::warn!(event = "smsc-lost", reason = "smpp-connect", %error, server, retry_secs = wait.as_secs(), "the message centre cannot be reached");
                }
                Err(_) => {
                    tracing::warn!(
                        event = "smsc-lost",
                        reason = "smpp-connect-slow",
                        server,
                        retry_secs = wait.as_secs(),
                        "the message centre cannot be reached"
                    );
                }
            }
            let end = sleep(wait);
            tokio::pin!(end);
            loop {
                tokio::select! {
                    () = &mut end => break,
                    _ = &mut stop => return,
                    outgoing = self.outgoing.recv() => match outgoing {
                        Some(outgoing) => self.put(&outgoing),
                        None => return,
                    },
                }
            }
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    /// Until the connection ends: whether it was ever bound, and why it ended; none where it was we who ended it.
    async fn serve(
        &mut self,
        stream: TcpStream,
        stop: &mut oneshot::Receiver<()>,
    ) -> (bool, Option<&'static str>) {
        // Small packets that each wait for an answer.
        let _ = stream.set_nodelay(true);
        let mut framed = Framed::new(stream, CommandCodec::new().with_max_length(MAX_PDU));
        let settings = Arc::clone(&self.settings);
        let (mut session, mut outputs) = Session::start(&settings, self.now());
        let (mut was_bound, mut leaving) = (false, false);
        let why = loop {
            if let Err(why) = self.perform(&mut framed, outputs).await {
                break (!leaving).then_some(why);
            }
            outputs = session.poll(self.now(), &mut self.queue);
            if !outputs.is_empty() {
                continue;
            }
            was_bound |= session.is_bound();
            let wait = session.deadline(&self.queue).map(|at| at.saturating_sub(self.now()));
            tokio::select! {
                command = framed.next() => match command {
                    Some(Ok(command)) => outputs = session.received(self.now(), &command, &mut self.queue),
                    Some(Err(_)) => break (!leaving).then_some("smpp-unreadable"),
                    None => break (!leaving).then_some("smpp-closed"),
                },
                outgoing = self.outgoing.recv() => match outgoing {
                    Some(outgoing) => self.put(&outgoing),
                    None => break None,
                },
                _ = &mut *stop, if !leaving => {
                    leaving = true;
                    outputs = session.leave(self.now());
                }
                () = sleep(wait.unwrap_or(RETRY_MAX)) => {}
            }
        };
        for output in session.ended(&mut self.queue) {
            self.note(&output);
        }
        if leaving {
            tracing::info!(event = "smsc-left", server = self.settings.server);
        }
        (was_bound, why)
    }

    async fn perform(
        &mut self,
        framed: &mut Framed<TcpStream, CommandCodec>,
        outputs: Vec<Output>,
    ) -> Result<(), &'static str> {
        let mut close = None;
        for output in outputs {
            self.note(&output);
            match output {
                Output::Send(command) => send(framed, command).await?,
                Output::Delivered(sequence, incoming) => {
                    let taken = self.take(incoming);
                    send(framed, pdu::delivered(sequence, taken)).await?;
                }
                Output::Close(why) => close = Some(why),
                Output::Bound | Output::Taken { .. } | Output::Lost { .. } => {}
            }
        }
        close.map_or(Ok(()), Err)
    }

    /// Whether it is taken in; otherwise the message centre keeps it and brings it again.
    fn take(&mut self, incoming: Incoming) -> bool {
        match incoming {
            Incoming::Receipt { id, state } => {
                match self.ledger.receipt(&id, &state) {
                    Told::Delivered(message) => {
                        tracing::info!(
                            event = "sms-delivered",
                            message,
                            "a message has arrived at its device"
                        );
                    }
                    Told::Failed(message, state) => {
                        tracing::warn!(
                            event = "sms-undelivered",
                            message,
                            state,
                            "a message has not arrived"
                        );
                    }
                    Told::Nothing => {}
                }
                true
            }
            Incoming::Other(code) => {
                tracing::debug!(event = "sms-ignored", detail = code);
                true
            }
            message @ Incoming::Message { .. } => match self.incoming.try_send(message) {
                Ok(()) => true,
                Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                    tracing::warn!(event = "sms-busy", "a message is left with the message centre for now");
                    false
                }
            },
        }
    }

    fn put(&mut self, outgoing: &Outgoing) {
        self.reference = self.reference.wrapping_add(1);
        let bodies = pdu::cut(&outgoing.message, self.settings.long, self.reference);
        let parts = bodies.len();
        match self.queue.put(self.now(), &outgoing.to, bodies) {
            Some(message) => {
                if self.settings.receipts {
                    self.ledger.sent(message, parts);
                }
                tracing::info!(event = "sms-queued", message, parts, to = %outgoing.to);
            }
            None => {
                tracing::error!(event = "sms-lost", reason = "sms-queue-full", to = %outgoing.to, "a message was dropped")
            }
        }
    }

    fn note(&mut self, output: &Output) {
        match output {
            Output::Bound => tracing::info!(
                event = "smsc-bound",
                server = self.settings.server,
                "the message centre has let us in"
            ),
            Output::Taken { message, id } => self.ledger.taken(*message, id.clone()),
            Output::Lost { message, status } => {
                self.ledger.forget(*message);
                let reason = if status.is_some() { "smsc-refused" } else { "sms-too-late" };
                tracing::warn!(event = "sms-lost", reason, message, status, "a message could not be sent");
            }
            Output::Send(_) | Output::Delivered(..) | Output::Close(_) => {}
        }
    }

    fn now(&self) -> Duration {
        self.clock.now().monotonic
    }
}

/// Binds and leaves, for who only wants to know whether the message centre lets us in; else the stable code of why not.
pub async fn probe(settings: &Settings) -> Result<(), &'static str> {
    let stream = match timeout(CONNECT_LIMIT, TcpStream::connect(&settings.server)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(_)) => return Err("smpp-connect"),
        Err(_) => return Err("smpp-connect-slow"),
    };
    let mut framed = Framed::new(stream, CommandCodec::new().with_max_length(MAX_PDU));
    let mut queue = Queue::new(1);
    let began = Clock::start();
    let now = || began.now().monotonic;
    let (mut session, mut outputs) = Session::start(settings, now());
    let mut bound = false;
    loop {
        for output in std::mem::take(&mut outputs) {
            match output {
                Output::Send(command) => send(&mut framed, command).await?,
                // It stays with the message centre.
                Output::Delivered(sequence, _) => send(&mut framed, pdu::delivered(sequence, false)).await?,
                Output::Bound => bound = true,
                Output::Close(_) if bound => return Ok(()),
                Output::Close(why) => return Err(why),
                Output::Taken { .. } | Output::Lost { .. } => {}
            }
        }
        if session.is_bound() {
            outputs = session.leave(now());
            continue;
        }
        outputs = session.poll(now(), &mut queue);
        if !outputs.is_empty() {
            continue;
        }
        let wait = session.deadline(&queue).map(|at| at.saturating_sub(now()));
        tokio::select! {
            command = framed.next() => match command {
                Some(Ok(command)) => outputs = session.received(now(), &command, &mut queue),
                Some(Err(_)) if !bound => return Err("smpp-unreadable"),
                None if !bound => return Err("smpp-closed"),
                Some(Err(_)) | None => return Ok(()),
            },
            () = sleep(wait.unwrap_or(SEND_LIMIT)) => {}
        }
    }
}

async fn send(framed: &mut Framed<TcpStream, CommandCodec>, command: Command) -> Result<(), &'static str> {
    match timeout(SEND_LIMIT, framed.send(command)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err("smpp-closed"),
        Err(_) => Err("smpp-not-reading"),
    }
}
