//! One SMPP session as a machine: told the time and what came, it says what to send and what to do. Pure; [`super::link`]
//! carries the octets.
//!
//! SMPP 3.4 §2: bind first, then submits within a window; enquire_link when the other side has been silent; every
//! request has its answer within a time, or the connection is taken for dead.

use std::{collections::BTreeMap, time::Duration};

use rusmpp::{Command, CommandStatus, Pdu};

use super::{
    Settings,
    pdu::{self, Incoming},
    queue::{Part, Queue},
};

/// From connect to the answer to the bind.
const BIND_LIMIT: Duration = Duration::from_secs(15);
/// For the answer to a submit. Message centres that are busy take some seconds.
const SUBMIT_LIMIT: Duration = Duration::from_secs(30);
/// Silence after which the other side is asked whether it is there.
const IDLE: Duration = Duration::from_secs(30);
/// For its answer.
const ENQUIRE_LIMIT: Duration = Duration::from_secs(10);
/// For the answer to our unbind: who stops is waited for by somebody.
const UNBIND_LIMIT: Duration = Duration::from_secs(3);
/// Sequence numbers run from 1 to this (§3.2).
const MAX_SEQUENCE: u32 = 0x7fff_ffff;

/// What the shell is to do.
#[derive(Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly every one is the large one, and few live at a time")]
pub enum Output {
    /// Send this.
    Send(Command),
    /// The message centre has let us in.
    Bound,
    /// Something was delivered; it is to be answered with [`pdu::delivered`] of this number.
    Delivered(u32, Incoming),
    /// A part was taken; the message centre calls it so.
    Taken {
        /// Of which message.
        message: u64,
        /// For the receipt.
        id: String,
    },
    /// A message cannot be sent: `status` of SMPP (§5.1.3), or none where its time or its tries were over.
    Lost {
        /// Which.
        message: u64,
        /// Why.
        status: Option<u32>,
    },
    /// End the connection; the stable code says why.
    Close(&'static str),
}

/// A session.
pub struct Session<'a> {
    settings: &'a Settings,
    sequence: u32,
    state: State,
    /// Submits without an answer.
    open: BTreeMap<u32, (Duration, Part)>,
    heard_at: Duration,
    /// Asked whether it is there, and not answered.
    enquired: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Binding(Duration),
    Bound,
    /// We have said that we go.
    Leaving(Duration),
    Closed,
}

impl<'a> Session<'a> {
    /// On a fresh connection; what to send first.
    pub fn start(settings: &'a Settings, now: Duration) -> (Self, Vec<Output>) {
        let mut session = Self {
            settings,
            sequence: 0,
            state: State::Binding(now + BIND_LIMIT),
            open: BTreeMap::new(),
            heard_at: now,
            enquired: None,
        };
        let sequence = session.next_sequence();
        let output = match pdu::bind(settings, sequence) {
            Some(bind) => Output::Send(bind),
            None => session.close("smpp-settings"),
        };
        (session, vec![output])
    }

    /// Whether the message centre has let us in.
    pub fn is_bound(&self) -> bool {
        self.state == State::Bound
    }

    /// We go: the message centre is told (§4.2), so that it keeps what it has for us and does not wait for a dead
    /// connection to show.
    pub fn leave(&mut self, now: Duration) -> Vec<Output> {
        match self.state {
            State::Bound => {
                self.state = State::Leaving(now + UNBIND_LIMIT);
                let sequence = self.next_sequence();
                vec![Output::Send(pdu::command(sequence, Pdu::Unbind))]
            }
            State::Leaving(_) => Vec::new(),
            State::Binding(_) | State::Closed => vec![self.close("smpp-left")],
        }
    }

    /// Something came.
    pub fn received(&mut self, now: Duration, command: &Command, queue: &mut Queue) -> Vec<Output> {
        self.heard_at = now;
        self.enquired = None;
        let (sequence, status) = (command.sequence_number, command.status);
        match command.pdu() {
            Some(Pdu::EnquireLink) => vec![Output::Send(pdu::command(sequence, Pdu::EnquireLinkResp))],
            Some(Pdu::EnquireLinkResp) => Vec::new(),
            Some(Pdu::Unbind) => {
                vec![Output::Send(pdu::command(sequence, Pdu::UnbindResp)), self.close("smpp-unbound")]
            }
            Some(Pdu::UnbindResp) if matches!(self.state, State::Leaving(_)) => {
                vec![self.close("smpp-left")]
            }
            // It would not be served any more: the message centre brings it to the next connection.
            Some(Pdu::DeliverSm(_)) if matches!(self.state, State::Leaving(_)) => {
                vec![Output::Send(pdu::delivered(sequence, false))]
            }
            Some(Pdu::BindTransceiverResp(_)) if matches!(self.state, State::Binding(_)) => {
                self.bound(status)
            }
            Some(Pdu::DeliverSm(deliver)) if self.state == State::Bound => {
                vec![Output::Delivered(sequence, pdu::incoming(deliver))]
            }
            Some(Pdu::SubmitSmResp(answer)) => {
                self.answered(now, sequence, status, answer.message_id().as_str(), queue)
            }
            // An error has no body (§3.2); its number says which of our requests it is about.
            _ if matches!(self.state, State::Binding(_)) && status != CommandStatus::EsmeRok => {
                self.bound(status)
            }
            _ if self.open.contains_key(&sequence) => self.answered(now, sequence, status, "", queue),
            Some(Pdu::GenericNack) | None => Vec::new(),
            // Any other request, such as data_sm: we do not serve it, and say so.
            Some(_) if u32::from(command.id()) & 0x8000_0000 == 0 => {
                let refused = Command::new(CommandStatus::EsmeRinvcmdid, sequence, Pdu::GenericNack);
                vec![Output::Send(refused)]
            }
            Some(_) => Vec::new(),
        }
    }

    /// Time has passed, or the queue has more.
    pub fn poll(&mut self, now: Duration, queue: &mut Queue) -> Vec<Output> {
        match self.state {
            State::Closed => return Vec::new(),
            State::Binding(limit) if now >= limit => return vec![self.close("smpp-bind-silent")],
            State::Leaving(limit) if now >= limit => return vec![self.close("smpp-unbind-silent")],
            State::Binding(_) | State::Leaving(_) => return Vec::new(),
            State::Bound => {}
        }
        if self.open.values().any(|(limit, _)| now >= *limit) {
            return vec![self.close("smpp-submit-silent")];
        }
        if self.enquired.is_some_and(|limit| now >= limit) {
            return vec![self.close("smpp-silent")];
        }
        let mut outputs = Vec::new();
        if self.enquired.is_none() && now >= self.heard_at + IDLE {
            self.enquired = Some(now + ENQUIRE_LIMIT);
            let sequence = self.next_sequence();
            outputs.push(Output::Send(pdu::command(sequence, Pdu::EnquireLink)));
        }
        let mut late = Vec::new();
        while self.open.len() < self.settings.window {
            let Some(part) = queue.next(now, &mut late) else { break };
            let sequence = self.next_sequence();
            match pdu::submit(self.settings, &part.to, &part.body, sequence) {
                Some(submit) => {
                    self.open.insert(sequence, (now + SUBMIT_LIMIT, part));
                    outputs.push(Output::Send(submit));
                }
                None => outputs.push(lost(queue, part.message, Some(CommandStatus::EsmeRinvmsglen))),
            }
        }
        outputs.extend(late.into_iter().map(|message| Output::Lost { message, status: None }));
        outputs
    }

    /// When [`Self::poll`] is wanted at the latest.
    pub fn deadline(&self, queue: &Queue) -> Option<Duration> {
        match self.state {
            State::Closed => None,
            State::Binding(limit) | State::Leaving(limit) => Some(limit),
            State::Bound => {
                let open = self.open.values().map(|(limit, _)| *limit).min();
                let idle = self.enquired.unwrap_or(self.heard_at + IDLE);
                let next = queue.deadline().filter(|_| self.open.len() < self.settings.window);
                [open, next].into_iter().flatten().chain([idle]).min()
            }
        }
    }

    /// The connection is gone: what had no answer goes again.
    pub fn ended(self, queue: &mut Queue) -> Vec<Output> {
        let mut outputs = Vec::new();
        for (_, part) in self.open.into_values().rev() {
            let message = part.message;
            if !queue.again(part) {
                outputs.push(lost(queue, message, None));
            }
        }
        outputs
    }

    fn bound(&mut self, status: CommandStatus) -> Vec<Output> {
        if status == CommandStatus::EsmeRok {
            self.state = State::Bound;
            vec![Output::Bound]
        } else {
            vec![self.close("smpp-bind-refused")]
        }
    }

    fn answered(
        &mut self,
        now: Duration,
        sequence: u32,
        status: CommandStatus,
        id: &str,
        queue: &mut Queue,
    ) -> Vec<Output> {
        let Some((_, part)) = self.open.remove(&sequence) else { return Vec::new() };
        let message = part.message;
        match status {
            CommandStatus::EsmeRok => {
                queue.flows();
                vec![Output::Taken { message, id: id.to_owned() }]
            }
            // Come again later: §5.1.3, and appendix of what passes.
            CommandStatus::EsmeRthrottled
            | CommandStatus::EsmeRmsgqful
            | CommandStatus::EsmeRsyserr
            | CommandStatus::EsmeRxTAppn => {
                queue.throttled(now);
                if queue.again(part) { Vec::new() } else { vec![lost(queue, message, Some(status))] }
            }
            _ => vec![lost(queue, message, Some(status))],
        }
    }

    fn close(&mut self, why: &'static str) -> Output {
        self.state = State::Closed;
        Output::Close(why)
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = if self.sequence >= MAX_SEQUENCE { 1 } else { self.sequence + 1 };
        self.sequence
    }
}

fn lost(queue: &mut Queue, message: u64, status: Option<CommandStatus>) -> Output {
    queue.forget(message);
    Output::Lost { message, status: status.map(u32::from) }
}

#[cfg(test)]
pub(crate) mod tests;
