//! Who is on: the rules by which logins and reports change the table of live sessions. Pure: told the time, asks
//! nobody.
//!
//! - A login counts from its Access-Accept on. The same station logging on again takes the place of its session, at
//!   whichever access point it is.
//! - A session stops counting at its Stop, at Accounting-On or -Off of its access point, when its Session-Timeout has
//!   passed, when three of its Interim-Updates are missing, or when nothing was heard of it for `assume_gone_secs`. It
//!   stays in the table for some time, so that a late sign of life makes it count again.
//! - The end of its credential makes it due for a Disconnect-Request in the very second.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    hash::BuildHasher as _,
    net::{IpAddr, Ipv4Addr},
};

use foldhash::quality::RandomState;
use provisioning::identity::Mac;

use super::{
    entry::{Entry, NEVER, NONE, Name, Names, State, short},
    slab::{By, Slab},
};
use crate::{
    aaa::directory::{Reject, Subscriber},
    accounting::{
        ending::{Ending, Outcome},
        fold::SLACK_SECS,
        record::status,
        standing::Whose,
    },
    store::AccountingRecord,
};

/// How much is kept, and how long a session counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most sessions; beyond it the one longest not heard of goes.
    pub sessions: usize,
    /// A session without interim reports counts for so long after the last word of it.
    pub assume_gone_secs: u64,
    /// Interim interval of sessions whose login is not known (0 for none).
    pub interim_secs: u32,
}

impl Default for Limits {
    /// A full table takes about 50 MB.
    fn default() -> Self {
        Self { sessions: 131_072, assume_gone_secs: 86_400, interim_secs: 0 }
    }
}

/// Missing reports until a session counts no more.
const MISSED: u32 = 3;
/// What no longer counts is kept for as long again, at least so long, seconds.
const KEEP_SECS: u32 = 3600;
/// Sessions looked at for each one to go when the table is full: they are not in any cache.
const SAMPLE: usize = 8;
/// Sessions that go together then, where the table is large: most logins find room.
const ROOM: usize = 8;
/// A table that may have fewer than this times [`ROOM`] makes room for one at a time.
const LARGE: usize = 1024;
/// Seconds until a Disconnect-Request that was not answered is sent again.
const AGAIN_SECS: [u32; 4] = [3, 15, 60, 600];
/// Ended sessions remembered, so that a late report does not bring them back.
const ENDED: usize = 65_536;

/// Alarms of sessions that are gone are put up with to this number, and to that of the sessions.
const ALARMS: usize = 1024;

/// A login that has proved itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Admission<'a> {
    pub(super) class: [u8; 16],
    pub(super) username: &'a str,
    pub(super) client: &'a str,
    pub(super) address: IpAddr,
    pub(super) mac: Option<Mac>,
    pub(super) calling_station: Option<&'a str>,
    pub(super) session_id: Option<&'a str>,
    pub(super) multi_session_id: Option<&'a str>,
    pub(super) nas_identifier: Option<&'a str>,
    pub(super) nas_address: Option<IpAddr>,
    pub(super) subscriber: Subscriber,
    pub(super) stamp: u64,
    pub(super) expires_at: Option<u64>,
    /// By Session-Timeout and the like.
    pub(super) ends_at: Option<u64>,
    pub(super) interim_secs: u32,
    /// Sessions that the subscriber may have; 0 for any number.
    pub(super) most: u32,
}

/// The table.
#[derive(Debug)]
pub(super) struct Table {
    limits: Limits,
    slab: Slab,
    /// When which session has to be looked at: its credential ends, or it is asked again to end.
    alarms: BinaryHeap<Reverse<(u32, u32, u32)>>,
    /// Found to be over while a report was taken in.
    soon: Vec<Ending>,
    /// Sessions that ended, by a hash of client and number, and when.
    ended: HashMap<u64, u32>,
    ended_in_order: VecDeque<u64>,
    hasher: RandomState,
    /// Where the sweep goes on.
    hand: u32,
}

impl Table {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            slab: Slab::default(),
            alarms: BinaryHeap::new(),
            soon: Vec::new(),
            ended: HashMap::new(),
            ended_in_order: VecDeque::new(),
            hasher: RandomState::default(),
            hand: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(super) fn places(&self) -> u32 {
        self.slab.places()
    }

    pub(super) fn get(&self, place: u32) -> Option<&Entry> {
        self.slab.get(place)
    }

    /// Sessions of this subscriber that count.
    pub(super) fn count(&self, now: u64, subscriber: Subscriber) -> usize {
        let counts = |place: &u32| self.slab.get(*place).is_some_and(|entry| self.counts(short(now), entry));
        self.slab.of(subscriber).iter().filter(|place| counts(place)).count()
    }

    /// One session more, unless there are as many as there may be.
    pub(super) fn admit(&mut self, now: u64, new: &Admission<'_>) -> Result<u32, Reject> {
        let (mut same_station, mut others) = (Vec::new(), 0);
        for place in self.slab.of(new.subscriber) {
            let Some(entry) = self.slab.get(place) else { continue };
            if new.mac.is_some() && entry.mac == new.mac {
                same_station.push(place);
            } else if self.counts(short(now), entry) {
                others += 1;
            }
        }
        if new.most != 0 && others >= new.most {
            return Err(Reject::TooManySessions);
        }
        let mut number = (new.session_id.map(str::to_owned), new.multi_session_id.map(str::to_owned));
        for place in same_station {
            let Some(old) = self.slab.remove(place) else { continue };
            // A re-authentication need not repeat the number that accounting goes on with.
            if *old.client == *new.client {
                number.0 = number.0.or_else(|| old.names.get(Name::SessionId).map(str::to_owned));
                number.1 = number.1.or_else(|| old.names.get(Name::MultiSessionId).map(str::to_owned));
            }
        }
        // Whoever had this station at this access point before is gone.
        if let Some(place) = new.mac.and_then(|mac| self.slab.find(By::Station(new.client, mac))) {
            self.slab.remove(place);
        }
        self.make_room(short(now));
        let new =
            Admission { session_id: number.0.as_deref(), multi_session_id: number.1.as_deref(), ..*new };
        Ok(self.insert(now, &new, State::Admitted))
    }

    /// A session that was admitted does not begin after all.
    pub(super) fn withdraw(&mut self, class: [u8; 16]) {
        if let Some(place) = self.slab.find(By::Class(class)) {
            self.slab.remove(place);
        }
    }

    /// A session that was there before the program was. It gets the time to be heard of again.
    pub(super) fn restore(&mut self, now: u64, session: &Admission<'_>) {
        if self.slab.len() < self.limits.sessions {
            self.insert(now, session, State::Reported);
        }
    }

    fn insert(&mut self, now: u64, new: &Admission<'_>, state: State) -> u32 {
        let client = self.slab.client(new.client);
        let expires_at = new.expires_at.map_or(NEVER, short);
        let place = self.slab.insert(Entry {
            class: new.class,
            names: Names::new([
                Some(new.username),
                new.session_id,
                new.multi_session_id,
                new.calling_station,
                new.nas_identifier,
            ]),
            client,
            address: new.address,
            nas_address: new.nas_address,
            mac: new.mac,
            subscriber: new.subscriber,
            stamp: new.stamp,
            expires_at,
            ends_at: new.ends_at.map_or(NEVER, short),
            admitted_at: short(now),
            heard_at: short(now),
            interim_secs: new.interim_secs,
            serial: 0,
            next: NONE,
            state,
        });
        if expires_at != NEVER {
            self.alarm(expires_at, place);
        }
        place
    }

    /// The session that a report is about.
    pub(super) fn find(&self, report: &AccountingRecord) -> Option<u32> {
        let number = report.session_id.as_str();
        let by_class = report.class.and_then(|class| self.slab.find(By::Class(class)));
        by_class.or_else(|| self.slab.find(By::Number(&report.client, number))).or_else(|| {
            let place = self.slab.find(By::Station(&report.client, report.mac?))?;
            let entry = self.slab.get(place)?;
            // Another number is another session, unless it begins now (as with a cached key: no login, but a Start).
            let fits = match entry.names.get(Name::SessionId) {
                None => began(report).saturating_add(SLACK_SECS) >= u64::from(entry.admitted_at),
                Some(known) => known == number || report.status == status::START,
            };
            fits.then_some(place)
        })
    }

    /// Takes in a report of an access point. `whose` tells of a session that is not known; if it is taken in, its place
    /// is given.
    pub(super) fn report(
        &mut self,
        now: u64,
        report: &AccountingRecord,
        whose: impl FnOnce(&str) -> Option<Whose>,
    ) -> Option<u32> {
        match report.status {
            status::ON | status::OFF => self.restarted(report),
            status::STOP => self.stopped(report),
            status::START | status::INTERIM => match self.find(report) {
                Some(place) => self.heard(now, place, report),
                None => return self.discovered(now, report, whose),
            },
            _ => {}
        }
        None
    }

    fn heard(&mut self, now: u64, place: u32, report: &AccountingRecord) {
        let Some(entry) = self.slab.get_mut(place) else { return };
        let same = entry.names.get(Name::SessionId).is_none_or(|known| known == report.session_id);
        // A late report of the session before this login.
        let late = began(report).saturating_add(SLACK_SECS) < u64::from(entry.admitted_at);
        if !same && late && report.status != status::START {
            return;
        }
        entry.heard_at = short(now);
        if entry.state == State::Admitted {
            entry.state = State::Reported;
        }
        let by_number = report.class != Some(entry.class);
        let changes = [
            (Name::SessionId, Some(report.session_id.as_str())),
            (Name::MultiSessionId, report.multi_session_id.as_deref()),
            (Name::CallingStation, report.calling_station.as_deref()),
            (Name::NasIdentifier, report.nas_identifier.as_deref()),
        ];
        self.slab.rename(place, &changes, by_number);
    }

    /// A session whose login was not here, or before a restart: it can be ended all the same.
    fn discovered(
        &mut self,
        now: u64,
        report: &AccountingRecord,
        whose: impl FnOnce(&str) -> Option<Whose>,
    ) -> Option<u32> {
        let ended = self.ended.get(&self.hasher.hash_one((&report.client, &report.session_id)));
        if ended.is_some_and(|ended| report.event_at <= u64::from(*ended)) {
            return None;
        }
        let username = report.username.as_deref()?;
        let whose = whose(username)?;
        // A login of the same station that is later than this session's begin: it has moved on.
        let began = began(report);
        let moved = |place: &u32| {
            let entry = self.slab.get(*place);
            entry.is_some_and(|entry| entry.mac == report.mac && u64::from(entry.admitted_at) >= began)
        };
        let same_station = self.slab.of(whose.subscriber);
        if report.mac.is_some() && same_station.iter().any(moved) {
            return None;
        }
        for place in same_station {
            if report.mac.is_some() && self.slab.get(place).is_some_and(|entry| entry.mac == report.mac) {
                self.slab.remove(place);
            }
        }
        self.make_room(short(now));
        let session = Admission {
            class: report.class.unwrap_or_default(),
            username,
            client: &report.client,
            address: report.address.or(report.nas_address).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            mac: report.mac,
            calling_station: report.calling_station.as_deref(),
            session_id: Some(&report.session_id),
            multi_session_id: report.multi_session_id.as_deref(),
            nas_identifier: report.nas_identifier.as_deref(),
            nas_address: report.nas_address,
            subscriber: whose.subscriber,
            stamp: whose.stamp,
            expires_at: whose.expires_at,
            ends_at: None,
            interim_secs: self.limits.interim_secs,
            most: 0,
        };
        Some(self.insert(now, &session, State::Reported))
    }

    fn stopped(&mut self, report: &AccountingRecord) {
        if let Some(place) = self.find(report)
            && let Some(entry) = self.slab.get(place)
        {
            let same = entry.names.get(Name::SessionId).is_none_or(|known| known == report.session_id);
            // The session that this login has taken the place of.
            let former =
                entry.state == State::Admitted && report.class.is_some_and(|class| class != entry.class);
            if same && !former {
                self.slab.remove(place);
            }
        }
        let key = self.hasher.hash_one((&report.client, &report.session_id));
        if self.ended.insert(key, short(report.event_at)).is_none() {
            self.ended_in_order.push_back(key);
        }
        if self.ended_in_order.len() > ENDED
            && let Some(oldest) = self.ended_in_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }

    /// All that the client had before is gone.
    fn restarted(&mut self, report: &AccountingRecord) {
        for place in 0..self.slab.places() {
            let gone = |entry: &Entry| {
                *entry.client == *report.client && u64::from(entry.admitted_at) <= report.event_at
            };
            if self.slab.get(place).is_some_and(gone) {
                self.slab.remove(place);
            }
        }
    }

    /// It must end: handed out by the next [`Self::due`].
    pub(super) fn end_soon(&mut self, place: u32, why: Reject) {
        let ending = self.end(place, why);
        self.soon.extend(ending);
    }

    /// It must end: hands it out, once.
    pub(super) fn end(&mut self, place: u32, why: Reject) -> Option<Ending> {
        let entry = self.slab.get_mut(place)?;
        match entry.state {
            State::Admitted | State::Reported => entry.state = State::Ending(why, 0),
            State::Ending(..) | State::Refused => return None,
        }
        self.ending(place, why)
    }

    /// Those whose time is over, and those that are asked again to end.
    pub(super) fn due(&mut self, now: u64) -> Vec<Ending> {
        let mut endings = std::mem::take(&mut self.soon);
        while let Some(Reverse((at, place, serial))) = self.alarms.peek().copied()
            && u64::from(at) <= now
        {
            self.alarms.pop();
            let Some(entry) = self.slab.get(place).filter(|entry| entry.serial == serial) else { continue };
            match entry.state {
                State::Admitted | State::Reported if entry.expires_at <= at => {
                    endings.extend(self.end(place, Reject::Expired));
                }
                State::Ending(why, tries) if tries > 0 => endings.extend(self.ending(place, why)),
                _ => {}
            }
        }
        endings
    }

    /// What became of a session that was handed out.
    pub(super) fn done(&mut self, now: u64, key: u64, outcome: Outcome) {
        let (serial, place) = (short(key >> 32), short(key & u64::from(u32::MAX)));
        let Some(entry) = self.slab.get_mut(place).filter(|entry| entry.serial == serial) else { return };
        let State::Ending(why, tries) = entry.state else { return };
        match (outcome, AGAIN_SECS.get(usize::from(tries))) {
            (Outcome::Gone, _) => {
                self.slab.remove(place);
            }
            (Outcome::Unanswered, Some(secs)) => {
                entry.state = State::Ending(why, tries + 1);
                self.alarm(short(now).saturating_add(*secs), place);
            }
            (Outcome::Unanswered | Outcome::Refused(_), _) => entry.state = State::Refused,
        }
    }

    /// Looks at the next `most` places and forgets what has not counted for long.
    pub(super) fn sweep(&mut self, now: u64, most: u32) {
        for _ in 0..most.min(self.slab.places()) {
            self.hand = if self.hand + 1 < self.slab.places() { self.hand + 1 } else { 0 };
            let forgotten = |entry: &Entry| {
                let since = self.counts_until(entry);
                short(now) >= since.saturating_add(since.saturating_sub(entry.heard_at).max(KEEP_SECS))
            };
            if self.slab.get(self.hand).is_some_and(forgotten) {
                self.slab.remove(self.hand);
            }
        }
    }

    fn make_room(&mut self, now: u32) {
        let room = (self.limits.sessions / LARGE).clamp(1, ROOM);
        while self.slab.len() >= self.limits.sessions.max(1) {
            // Those longest not heard of, of some that stand together; of a few twice as many, for one is soon missed.
            let mut seen = Vec::with_capacity(SAMPLE * room.max(2));
            while seen.len() < seen.capacity() {
                self.hand = if self.hand + 1 < self.slab.places() { self.hand + 1 } else { 0 };
                if let Some(entry) = self.slab.get(self.hand) {
                    seen.push((self.counts(now, entry), entry.heard_at, self.hand));
                }
            }
            seen.select_nth_unstable(room - 1);
            for (.., place) in seen.into_iter().take(room) {
                self.slab.remove(place);
            }
        }
    }

    fn counts(&self, now: u32, entry: &Entry) -> bool {
        now < self.counts_until(entry)
    }

    fn counts_until(&self, entry: &Entry) -> u32 {
        let silence = match (entry.state, entry.interim_secs) {
            (State::Admitted, _) | (_, 0) => short(self.limits.assume_gone_secs),
            (_, interim) => interim.saturating_mul(MISSED),
        };
        let silent = entry.heard_at.saturating_add(silence);
        if entry.ends_at == NEVER { silent } else { silent.min(entry.ends_at) }
    }

    fn alarm(&mut self, at: u32, place: u32) {
        if let Some(entry) = self.slab.get(place) {
            self.alarms.push(Reverse((at, place, entry.serial)));
        }
        // Those of sessions long gone, whose credentials end much later.
        if self.alarms.len() > 2 * self.slab.len() + ALARMS {
            let slab = &self.slab;
            self.alarms.retain(|Reverse((_, place, serial))| {
                slab.get(*place).is_some_and(|entry| entry.serial == *serial)
            });
        }
    }

    fn ending(&self, place: u32, why: Reject) -> Option<Ending> {
        let entry = self.slab.get(place)?;
        let text = |name| entry.names.get(name).map(str::to_owned);
        Some(Ending {
            key: u64::from(entry.serial) << 32 | u64::from(place),
            why,
            client: entry.client.to_string(),
            address: entry.address,
            username: text(Name::Username).unwrap_or_default(),
            mac: entry.mac,
            calling_station: text(Name::CallingStation),
            session_id: text(Name::SessionId),
            multi_session_id: text(Name::MultiSessionId),
            nas_identifier: text(Name::NasIdentifier),
            nas_address: entry.nas_address,
        })
    }
}

/// When a session began, by what a report says.
fn began(report: &AccountingRecord) -> u64 {
    report.event_at.saturating_sub(u64::from(report.session_secs))
}

#[cfg(test)]
mod tests;
