//! One request and what is being done about it.

use std::time::Duration;

use radius::{Builder, Code, Packet, join_eap};
use zeroize::Zeroizing;

use super::Dice;

/// How long a home server gets for an answer before it is asked again. RFC 5080 §2.2.1 says two seconds.
const WAIT: Duration = Duration::from_secs(2);
/// How often one is asked before the next is.
const SENDINGS: u32 = 3;
/// A connection repeats by itself (RFC 6614 §2.4): one sending, and as long as three would take.
const STREAM_WAIT: Duration = Duration::from_secs(6);
/// Access points give up after some 10 to 15 seconds.
const LOGIN: Duration = Duration::from_secs(12);
/// A report is on our disk: it is worth more patience than the one who sent it has.
const REPORT: Duration = Duration::from_secs(600);
/// Between two rounds of a report through its pool; doubled each time.
const FIRST_REST: Duration = Duration::from_secs(4);
const LONGEST_REST: Duration = Duration::from_secs(60);

/// A request to be forwarded.
pub(crate) struct Submit<T> {
    /// Comes back with the answer.
    pub(crate) ticket: T,
    /// As it came in, checked.
    pub(crate) request: Vec<u8>,
    /// Shared with who sent it.
    pub(crate) secret: Zeroizing<Vec<u8>>,
    /// Where it goes.
    pub(crate) pool: usize,
    /// What becomes of User-Name.
    pub(crate) user_name: Option<String>,
}

/// What has come of it.
pub(crate) struct Finished {
    /// To be sent back; none: silence.
    pub(crate) answer: Option<Vec<u8>>,
    pub(crate) how: How,
    /// Who answered.
    pub(crate) server: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// By a home server, with this.
    Answered(Code),
    /// Nobody answered in time.
    Unreachable,
    /// Request or answer cannot be passed on: a hidden value is broken, or it does not fit a packet any more.
    Unusable,
    /// Too many are on their way.
    Overload,
}

impl Finished {
    pub(super) fn without(how: How) -> Self {
        Self { answer: None, how, server: None }
    }
}

pub(super) struct Exchange<T> {
    pub(super) submit: Submit<T>,
    pub(super) accounting: bool,
    pub(super) deadline: Duration,
    /// The timer that is set for it.
    pub(super) until: Duration,
    /// Peers that have been asked in vain in this round.
    pub(super) tried: Vec<usize>,
    pub(super) attempt: Option<Attempt>,
    rest: Duration,
}

impl<T> Exchange<T> {
    pub(super) fn new(now: Duration, submit: Submit<T>, accounting: bool) -> Self {
        let deadline = now.saturating_add(if accounting { REPORT } else { LOGIN });
        Self { submit, accounting, deadline, until: now, tried: Vec::new(), attempt: None, rest: FIRST_REST }
    }

    /// Ends a round; says how long until the next.
    pub(super) fn rest(&mut self) -> Duration {
        self.tried.clear();
        let rest = self.rest;
        self.rest = rest.saturating_mul(2).min(LONGEST_REST);
        rest
    }

    /// Access-Reject, with EAP-Failure where the request is of EAP (RFC 3579 §2.2).
    pub(super) fn refusal(&self) -> Option<Vec<u8>> {
        let request = Packet::parse(&self.submit.request).ok().filter(|_| !self.accounting)?;
        let mut reject = Builder::reply(Code::ACCESS_REJECT, &request);
        if let Some(response) = join_eap(&request) {
            reject = reject.eap(&[4, response.get(1).copied().unwrap_or(0), 0, 4]);
        }
        reject.finish(&self.submit.secret).ok()
    }
}

/// A request at one home server.
pub(super) struct Attempt {
    pub(super) peer: usize,
    pub(super) lane: usize,
    pub(super) identifier: u8,
    pub(super) authenticator: [u8; 16],
    pub(super) sent: Vec<u8>,
    sendings: u32,
}

impl Attempt {
    pub(super) fn new(
        peer: usize,
        lane: usize,
        identifier: u8,
        authenticator: [u8; 16],
        sent: Vec<u8>,
    ) -> Self {
        Self { peer, lane, identifier, authenticator, sent, sendings: 1 }
    }

    /// One more sending, and how long to wait then; none when it was the last.
    pub(super) fn again(&mut self, stream: bool, dice: &mut Dice<'_>) -> Option<Duration> {
        if stream || self.sendings >= SENDINGS {
            return None;
        }
        self.sendings += 1;
        Some(spread(WAIT, dice))
    }
}

/// How long to wait after the first sending.
pub(super) fn first_wait(stream: bool, dice: &mut Dice<'_>) -> Duration {
    if stream { STREAM_WAIT } else { spread(WAIT, dice) }
}

/// RFC 5080 §2.2.1: a tenth more or less, so that what was lost together does not come again together.
fn spread(wait: Duration, dice: &mut Dice<'_>) -> Duration {
    let mut random = [0u8; 1];
    dice(&mut random);
    wait.saturating_mul(9) / 10 + wait.saturating_mul(u32::from(random[0])) / 1280
}
