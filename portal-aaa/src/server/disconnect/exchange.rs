//! Disconnect-Requests under way: identifiers, retransmission, answers (RFC 5176 §2.3, RFC 5080 §2.2.1). Pure: told the
//! time and what came in, says what to send.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use ::radius::{AttributeType as A, Code, Packet, check_reply};
use zeroize::Zeroizing;

use super::request::{Naming, build, can_be_reduced};
use crate::{
    aaa::Now,
    accounting::ending::{Ending, Outcome},
};

/// First wait for an answer; RFC 5080 §2.2.1 says two seconds for requests through proxies, and these go straight to
/// the access point.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Sent so often, each wait twice the last: given up after 15 seconds.
const SENDINGS: u32 = 4;
/// In flight to one access point: few of them work on many at a time.
const TO_ONE: usize = 32;
/// In flight altogether; what is more waits its turn.
const ALTOGETHER: usize = 1024;

/// RFC 5176 §3.5.
mod cause {
    pub(super) const UNSUPPORTED_ATTRIBUTE: u32 = 401;
    pub(super) const INVALID_REQUEST: u32 = 404;
    pub(super) const SESSION_NOT_FOUND: u32 = 503;
}

/// A session and where its access point takes requests.
pub(super) struct Order {
    pub(super) ending: Ending,
    pub(super) to: SocketAddr,
    pub(super) secret: Zeroizing<Vec<u8>>,
}

/// What the shell has to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send this datagram.
    Send { to: SocketAddr, octets: Vec<u8>, first: bool, key: u64 },
    /// It is over.
    Done { ending: Box<Ending>, outcome: Outcome },
}

/// All that are under way.
#[derive(Default)]
pub(super) struct Exchanges {
    waiting: BTreeMap<SocketAddr, VecDeque<Order>>,
    open: HashMap<(SocketAddr, u8), Exchange>,
    next: u8,
}

struct Exchange {
    order: Order,
    naming: Naming,
    octets: Vec<u8>,
    sendings: u32,
    wait: Duration,
    until: Duration,
}

impl Exchanges {
    /// Takes an order; it is sent by the next [`Exchanges::run`] that finds room.
    pub(super) fn add(&mut self, order: Order) {
        self.waiting.entry(order.to).or_default().push_back(order);
    }

    /// Whether nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.open.is_empty()
    }

    /// Sends what may be sent, and again what was not answered. `random` spreads retransmissions.
    pub(super) fn run(&mut self, now: Now, random: u8) -> Vec<Step> {
        let mut steps = self.retransmit(now, random);
        let mut busy: HashMap<SocketAddr, usize> = HashMap::new();
        self.open.keys().for_each(|(to, _)| *busy.entry(*to).or_default() += 1);
        let mut room = ALTOGETHER.saturating_sub(self.open.len());
        let mut orders = Vec::new();
        for (to, waiting) in &mut self.waiting {
            let here = TO_ONE.saturating_sub(busy.get(to).copied().unwrap_or(0)).min(waiting.len()).min(room);
            room -= here;
            orders.extend(waiting.drain(..here));
        }
        self.waiting.retain(|_, waiting| !waiting.is_empty());
        steps.extend(orders.into_iter().map(|order| self.send(now, random, order, Naming::Full)));
        steps
    }

    /// An answer. What is not from the access point that was asked, or not proved, is as if nothing had come.
    pub(super) fn receive(&mut self, now: Now, random: u8, from: SocketAddr, octets: &[u8]) -> Option<Step> {
        let reply = Packet::parse(octets).ok()?;
        let slot = (from, reply.identifier());
        let exchange = self.open.get(&slot)?;
        let request = Packet::parse(&exchange.octets).ok()?;
        check_reply(&reply, &request, &exchange.order.secret).ok()?;
        let outcome = match (reply.code(), reply.integer(A::ERROR_CAUSE)) {
            (Code::DISCONNECT_ACK, _) | (Code::DISCONNECT_NAK, Some(cause::SESSION_NOT_FOUND)) => {
                Outcome::Gone
            }
            (Code::DISCONNECT_NAK, why) => Outcome::Refused(why.unwrap_or(0)),
            _ => return None,
        };
        let Exchange { order, naming, .. } = self.open.remove(&slot)?;
        // Not found by all that we know may be found by less: a name that the access point keeps otherwise.
        let by_name = match (reply.code(), reply.integer(A::ERROR_CAUSE)) {
            (Code::DISCONNECT_NAK, Some(cause)) => {
                (cause::UNSUPPORTED_ATTRIBUTE..=cause::INVALID_REQUEST).contains(&cause)
                    || cause == cause::SESSION_NOT_FOUND
            }
            _ => false,
        };
        if by_name && naming == Naming::Full && can_be_reduced(&order.ending) {
            return Some(self.send(now, random, order, Naming::Reduced));
        }
        Some(Step::Done { ending: Box::new(order.ending), outcome })
    }

    fn retransmit(&mut self, now: Now, random: u8) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut lost = Vec::new();
        for (slot, exchange) in self.open.iter_mut().filter(|(_, exchange)| exchange.until <= now.monotonic) {
            if exchange.sendings >= SENDINGS {
                lost.push(*slot);
                continue;
            }
            exchange.sendings += 1;
            exchange.wait = exchange.wait.saturating_mul(2);
            exchange.until = now.monotonic.saturating_add(spread(exchange.wait, random));
            // RFC 5176 §2.3: the same identifier and octets; Event-Timestamp is that of the first.
            let octets = exchange.octets.clone();
            steps.push(Step::Send { to: slot.0, octets, first: false, key: exchange.order.ending.key });
        }
        for exchange in lost.into_iter().filter_map(|slot| self.open.remove(&slot)) {
            steps.push(Step::Done { ending: Box::new(exchange.order.ending), outcome: Outcome::Unanswered });
        }
        steps
    }

    /// With an identifier of its own: the attributes differ from those of any other (RFC 5080 §2.2.1).
    fn send(&mut self, now: Now, random: u8, order: Order, naming: Naming) -> Step {
        let mut identifiers = (0..=u8::MAX).map(|n| self.next.wrapping_add(n));
        let free = identifiers.find(|identifier| !self.open.contains_key(&(order.to, *identifier)));
        let request = free.and_then(|identifier| {
            let octets = build(&order.ending, naming, identifier, now.unix, &order.secret).ok()?;
            Some((identifier, octets))
        });
        let Some((identifier, octets)) = request else {
            return Step::Done { ending: Box::new(order.ending), outcome: Outcome::Unanswered };
        };
        self.next = identifier.wrapping_add(1);
        let (to, key) = (order.to, order.ending.key);
        let until = now.monotonic.saturating_add(spread(FIRST_WAIT, random));
        let exchange =
            Exchange { order, naming, octets: octets.clone(), sendings: 1, wait: FIRST_WAIT, until };
        self.open.insert((to, identifier), exchange);
        Step::Send { to, octets, first: naming == Naming::Full, key }
    }
}

/// A tenth more or less, so that a thousand sessions that end at one time do not come again at one time.
fn spread(wait: Duration, random: u8) -> Duration {
    wait.saturating_mul(9) / 10 + wait.saturating_mul(u32::from(random)) / 1280
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
