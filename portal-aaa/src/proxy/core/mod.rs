//! Requests on their way to home servers and back, without I/O: what came in and the time go in, what is to be sent and
//! what has come of a request comes out.

mod exchange;
mod peer;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use radius::{
    AttributeType as A, Code, MessageAuthenticator, Onward, Packet, check_reply_of_any, forward_request,
    return_reply,
};

pub(crate) use self::exchange::{Finished, How, Submit};
pub(super) use self::peer::{LANES, Place};
use self::{
    exchange::{Attempt, Exchange},
    peer::{Peer, Slot},
};
use super::{
    Balance, Settings,
    health::{Probe, State},
    sticky::Sticky,
};

/// Requests on their way, of both kinds each.
const MOST: usize = 4096;
/// Names our Proxy-States.
pub(crate) const MARK: usize = 8;

/// Fills with random octets; says whether it could.
pub(super) type Dice<'a> = dyn FnMut(&mut [u8]) -> bool + 'a;

/// What the shell has to do.
pub(super) enum Output<T> {
    /// Send this.
    Send { peer: usize, lane: usize, octets: Vec<u8> },
    /// This request is done.
    Done { ticket: T, finished: Finished },
    /// A home server is in another state.
    Health { peer: usize, state: State },
    /// A connection looks dead: make it anew.
    Reconnect { peer: usize },
    /// An answer was ignored for want of Message-Authenticator.
    Unproved { peer: usize },
}

/// All of it. `T` is what the caller knows a request by.
pub(super) struct Core<T> {
    mark: [u8; MARK],
    peers: Vec<Peer>,
    pools: Vec<Pool>,
    exchanges: HashMap<u64, Exchange<T>>,
    accounting: usize,
    timers: BTreeSet<(Duration, u64)>,
    sticky: Sticky,
    serial: u64,
    outputs: VecDeque<Output<T>>,
}

struct Pool {
    access: Vec<usize>,
    accounting: Vec<usize>,
    balance: Balance,
    turn: usize,
}

impl<T> Core<T> {
    /// Nothing is under way. `mark` is random, so that two proxies do not take each other's Proxy-States for their own.
    pub(super) fn new(settings: &Settings, mark: [u8; MARK]) -> Self {
        let (peers, places) = peer::all(settings);
        let pools = settings.realms.iter().map(|realm| {
            let of = |kind: fn(&(usize, usize)) -> usize| {
                realm.home_servers.iter().filter_map(|server| places.get(*server)).map(kind).collect()
            };
            Pool { access: of(|(a, _)| *a), accounting: of(|(_, a)| *a), balance: realm.balance, turn: 0 }
        });
        Self {
            mark,
            pools: pools.collect(),
            peers,
            exchanges: HashMap::new(),
            accounting: 0,
            timers: BTreeSet::new(),
            sticky: Sticky::default(),
            serial: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Where the peers are, in their order.
    pub(super) fn places(&self) -> impl Iterator<Item = (&str, &Place)> {
        self.peers.iter().map(|peer| (peer.name.as_str(), &peer.place))
    }

    /// What the shell has to do next.
    pub(super) fn pop(&mut self) -> Option<Output<T>> {
        self.outputs.pop_front()
    }

    /// When [`Core::timeout`] is wanted.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let probes = self.peers.iter().filter_map(|peer| peer.health.next());
        self.timers.first().map(|(until, _)| *until).into_iter().chain(probes).min()
    }

    /// A request to be forwarded.
    pub(super) fn submit(&mut self, now: Duration, dice: &mut Dice<'_>, submit: Submit<T>) {
        let accounting = submit.request.first() == Some(&Code::ACCOUNTING_REQUEST.0);
        let open = if accounting { self.accounting } else { self.exchanges.len() - self.accounting };
        if open >= MOST {
            let finished = Finished::without(How::Overload);
            self.outputs.push_back(Output::Done { ticket: submit.ticket, finished });
            return;
        }
        self.serial += 1;
        self.accounting += usize::from(accounting);
        self.exchanges.insert(self.serial, Exchange::new(now, submit, accounting));
        self.attempt(now, dice, self.serial);
    }

    /// Octets from a peer.
    pub(super) fn receive(&mut self, now: Duration, from: usize, lane: usize, octets: &[u8]) {
        let Ok(reply) = Packet::parse(octets) else { return };
        let Some(peer) = self.peers.get_mut(from) else { return };
        let identifier = reply.identifier();
        let serial = match peer.lanes.get(lane).and_then(|lane| lane.get(identifier)) {
            Some(Slot::Request(serial)) => *serial,
            Some(Slot::Probe(sent)) => {
                let genuine = Packet::parse(sent)
                    .is_ok_and(|sent| check_reply_of_any(&reply, &sent, &peer.secret.0).is_ok());
                if genuine {
                    peer.release(lane, identifier);
                    self.answered(now, from);
                }
                return;
            }
            None => return,
        };
        let Some(exchange) = self.exchanges.get(&serial) else { return };
        let Some(attempt) = &exchange.attempt else { return };
        let (Ok(sent), Ok(request)) = (Packet::parse(&attempt.sent), Packet::parse(&exchange.submit.request))
        else {
            return;
        };
        let Ok(proof) = check_reply_of_any(&reply, &sent, &peer.secret.0) else { return };
        if reply.code().is_access_reply() == exchange.accounting {
            return;
        }
        // RFC 3579 §3.2: an answer with EAP needs it always; the others since CVE-2024-3596, unless TLS stands for it.
        let needed = peer.require || reply.get(A::EAP_MESSAGE).is_some();
        if proof == MessageAuthenticator::Missing && needed && !exchange.accounting {
            self.outputs.push_back(Output::Unproved { peer: from });
            return;
        }
        let onward = Onward {
            identifier,
            authenticator: attempt.authenticator,
            secret: &peer.secret.0,
            user_name: None,
            proxy_state: &[],
        };
        let finished = match return_reply(&reply, &onward, &request, &exchange.submit.secret) {
            Ok(octets) => Finished {
                answer: Some(octets),
                how: How::Answered(reply.code()),
                server: Some(peer.name.clone()),
            },
            Err(_) => Finished::without(How::Unusable),
        };
        if let Some(state) = reply.get(A::STATE).filter(|_| reply.code() == Code::ACCESS_CHALLENGE) {
            self.sticky.put(now, exchange.submit.pool, state, from);
        }
        self.answered(now, from);
        self.finish(serial, finished);
    }

    /// A connection was made or has ended.
    pub(super) fn link(&mut self, now: Duration, dice: &mut Dice<'_>, number: usize, up: bool) {
        let Some(peer) = self.peers.get_mut(number) else { return };
        peer.connected = up;
        peer.forget();
        if up {
            self.answered(now, number);
            return;
        }
        let on_it = |exchange: &Exchange<T>| exchange.attempt.as_ref().is_some_and(|a| a.peer == number);
        let lost: Vec<u64> = self
            .exchanges
            .iter()
            .filter(|(_, exchange)| on_it(exchange))
            .map(|(serial, _)| *serial)
            .collect();
        for serial in lost {
            self.give_up(serial);
            self.attempt(now, dice, serial);
        }
    }

    /// What is due: repetitions, fail-over, probes.
    pub(super) fn timeout(&mut self, now: Duration, dice: &mut Dice<'_>) {
        while let Some((until, serial)) = self.timers.first().copied().filter(|(until, _)| *until <= now) {
            self.timers.remove(&(until, serial));
            self.due(now, dice, serial);
        }
        for number in 0..self.peers.len() {
            self.probe(now, dice, number);
        }
    }

    fn due(&mut self, now: Duration, dice: &mut Dice<'_>, serial: u64) {
        let Some(exchange) = self.exchanges.get_mut(&serial) else { return };
        if exchange.deadline <= now {
            self.give_up(serial);
            return self.unreachable(serial);
        }
        let Some(attempt) = &mut exchange.attempt else { return self.attempt(now, dice, serial) };
        let stream = self.peers.get(attempt.peer).is_some_and(|peer| peer.place.is_stream());
        if let Some(wait) = attempt.again(stream, dice) {
            let (peer, lane, octets) = (attempt.peer, attempt.lane, attempt.sent.clone());
            self.outputs.push_back(Output::Send { peer, lane, octets });
            return self.arm(now, serial, wait);
        }
        let silent = attempt.peer;
        self.give_up(serial);
        if let Some(peer) = self.peers.get_mut(silent)
            && let Some(state) = peer.health.unanswered(now)
        {
            self.outputs.push_back(Output::Health { peer: silent, state });
        }
        self.attempt(now, dice, serial);
    }

    /// Sends to the best home server that has not been tried.
    fn attempt(&mut self, now: Duration, dice: &mut Dice<'_>, serial: u64) {
        loop {
            let Some(number) = self.choose(now, serial) else { return self.exhausted(now, serial) };
            let (Some(exchange), Some(peer)) = (self.exchanges.get_mut(&serial), self.peers.get_mut(number))
            else {
                return;
            };
            let Some((lane, identifier)) = peer.take(Slot::Request(serial)) else {
                exchange.tried.push(number);
                continue;
            };
            let mut authenticator = [0; 16];
            let drawn = dice(&mut authenticator);
            let mut state = [0; MARK + 8];
            state
                .iter_mut()
                .zip(self.mark.iter().chain(&serial.to_be_bytes()))
                .for_each(|(to, from)| *to = *from);
            let onward = Onward {
                identifier,
                authenticator,
                secret: &peer.secret.0,
                user_name: exchange.submit.user_name.as_deref(),
                proxy_state: &state,
            };
            let Submit { request, secret, .. } = &exchange.submit;
            let packet = Packet::parse(request).ok().filter(|_| drawn);
            let Some(sent) = packet.and_then(|packet| forward_request(&packet, secret, &onward).ok()) else {
                peer.release(lane, identifier);
                return self.fail(serial, How::Unusable);
            };
            // An Accounting-Request's is a digest.
            if let Ok(packet) = Packet::parse(&sent) {
                authenticator = *packet.authenticator();
            }
            let wait = exchange::first_wait(peer.place.is_stream(), dice);
            self.outputs.push_back(Output::Send { peer: number, lane, octets: sent.clone() });
            exchange.attempt = Some(Attempt::new(number, lane, identifier, authenticator, sent));
            return self.arm(now, serial, wait);
        }
    }

    /// The best peer for it: who began the conversation, else who is alive, in the pool's order.
    fn choose(&mut self, now: Duration, serial: u64) -> Option<usize> {
        let exchange = self.exchanges.get(&serial)?;
        let pool = self.pools.get_mut(exchange.submit.pool)?;
        let peers = &self.peers;
        let usable = |number: &usize| {
            peers.get(*number).is_some_and(Peer::is_usable) && !exchange.tried.contains(number)
        };
        let packet = Packet::parse(&exchange.submit.request).ok()?;
        let began = packet.get(A::STATE).and_then(|state| self.sticky.get(now, exchange.submit.pool, state));
        if let Some(began) = began.filter(usable) {
            return Some(began);
        }
        let members = if exchange.accounting { &pool.accounting } else { &pool.access };
        let first = match pool.balance {
            Balance::FailOver => 0,
            Balance::RoundRobin => pool.turn % members.len().max(1),
        };
        let order = members.iter().skip(first).chain(members.iter().take(first)).copied().filter(usable);
        let chosen = order.min_by_key(|number| peers.get(*number).map(|peer| peer.health.state()));
        if exchange.tried.is_empty() {
            pool.turn = pool.turn.wrapping_add(1);
        }
        chosen
    }

    /// Nobody is left to be asked: a login ends here, a report waits for better times.
    fn exhausted(&mut self, now: Duration, serial: u64) {
        match self.exchanges.get_mut(&serial) {
            Some(exchange) if exchange.accounting => {
                let wait = exchange.rest();
                self.arm(now, serial, wait);
            }
            Some(_) => self.unreachable(serial),
            None => {}
        }
    }

    fn unreachable(&mut self, serial: u64) {
        self.fail(serial, How::Unreachable);
    }

    /// Ends it without an answer of a home server; an access point gets a Reject, so that it does not think that we are
    /// dead and take its other logins elsewhere.
    fn fail(&mut self, serial: u64, how: How) {
        let Some(exchange) = self.exchanges.get(&serial) else { return };
        let finished = Finished { answer: exchange.refusal(), ..Finished::without(how) };
        self.finish(serial, finished);
    }

    fn finish(&mut self, serial: u64, finished: Finished) {
        self.give_up(serial);
        let Some(exchange) = self.exchanges.remove(&serial) else { return };
        self.timers.remove(&(exchange.until, serial));
        self.accounting -= usize::from(exchange.accounting);
        self.outputs.push_back(Output::Done { ticket: exchange.submit.ticket, finished });
    }

    /// Ends an attempt: the identifier is free, and this home server is not asked again in this round.
    fn give_up(&mut self, serial: u64) {
        let Some(exchange) = self.exchanges.get_mut(&serial) else { return };
        if let Some(attempt) = exchange.attempt.take() {
            exchange.tried.push(attempt.peer);
            if let Some(peer) = self.peers.get_mut(attempt.peer) {
                peer.release(attempt.lane, attempt.identifier);
            }
        }
    }

    fn arm(&mut self, now: Duration, serial: u64, wait: Duration) {
        if let Some(exchange) = self.exchanges.get_mut(&serial) {
            self.timers.remove(&(exchange.until, serial));
            exchange.until = now.saturating_add(wait).min(exchange.deadline);
            self.timers.insert((exchange.until, serial));
        }
    }

    fn answered(&mut self, now: Duration, number: usize) {
        if let Some(state) = self.peers.get_mut(number).and_then(|peer| peer.health.answered(now)) {
            self.outputs.push_back(Output::Health { peer: number, state });
        }
    }

    fn probe(&mut self, now: Duration, dice: &mut Dice<'_>, number: usize) {
        let Some(peer) = self.peers.get_mut(number) else { return };
        if peer.health.next().is_none_or(|next| next > now) {
            return;
        }
        let before = peer.health.state();
        if peer.end_probe() {
            peer.health.probe_lost(now);
        }
        let probe = peer.health.probe(now);
        let state = peer.health.state();
        if state != before || matches!(probe, Probe::Changed(Some(_))) {
            self.outputs.push_back(Output::Health { peer: number, state });
            if state == State::Dead && peer.place.is_stream() {
                self.outputs.push_back(Output::Reconnect { peer: number });
            }
        }
        if probe == Probe::Send
            && let Some((lane, octets)) = peer.begin_probe(dice)
        {
            self.outputs.push_back(Output::Send { peer: number, lane, octets });
        }
    }
}

#[cfg(test)]
mod tests;
