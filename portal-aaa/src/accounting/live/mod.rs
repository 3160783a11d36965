//! Who is on: the table of live sessions, its lock, and what it asks of the credentials.
//!
//! | file | idea |
//! |---|---|
//! | [`table`] | the rules: pure, told the time |
//! | `slab` | sessions by Class, number, station and subscriber |
//! | `entry` | one session, small |
//!
//! The AAA tells of logins by [`Sessions`], [`super::intake`] of reports; whoever sends Disconnect-Requests asks by
//! [`Endings`] which sessions must end. At start the table is filled from the database.

mod entry;
mod slab;
pub mod table;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use radius::AttributeType as A;

use self::table::{Admission, Limits, Table};
use super::{
    ending::{Ending, Endings, Outcome},
    record,
    standing::Standings,
};
use crate::{
    aaa::{
        Now,
        directory::{Admitted, Login, Reject, Sessions, Subscriber},
    },
    store::{AccountingRecord, Store, StoreError},
};

/// Sessions looked at without letting others at the table.
const AT_ONCE: u32 = 1024;

/// The live sessions. Any number of threads may call it.
pub struct Live {
    standings: Arc<dyn Standings>,
    table: Mutex<Table>,
    /// Of the last look at all sessions.
    generation: AtomicU64,
}

impl Live {
    /// No sessions.
    pub fn new(limits: Limits, standings: Arc<dyn Standings>) -> Self {
        let generation = AtomicU64::new(standings.generation());
        Self { standings, table: Mutex::new(Table::new(limits)), generation }
    }

    /// Takes back the sessions that the database knows as open; all of them are then looked at by [`Endings::due`],
    /// since a credential may have been revoked meanwhile. `interim_secs` as of the configuration.
    pub fn restore(&self, store: &dyn Store, now: u64, interim_secs: u32) -> Result<(), StoreError> {
        let mut table = self.table();
        store.open_sessions(&mut |session| {
            let Some(username) = session.username.as_deref() else { return };
            let whose = self.standings.whose(username);
            let Some(subscriber) = session.subscriber.or(whose.map(|whose| whose.subscriber)) else { return };
            let unspecified = std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
            table.restore(
                now,
                &Admission {
                    class: session.class.unwrap_or_default(),
                    username,
                    client: &session.client,
                    address: session.address.or(session.nas_address).unwrap_or(unspecified),
                    mac: session.mac,
                    calling_station: session.calling_station.as_deref(),
                    session_id: Some(&session.session_id),
                    multi_session_id: session.multi_session_id.as_deref(),
                    nas_identifier: session.nas_identifier.as_deref(),
                    nas_address: session.nas_address,
                    subscriber,
                    stamp: session.stamp,
                    expires_at: whose.and_then(|whose| whose.expires_at),
                    ends_at: None,
                    interim_secs,
                    most: 0,
                },
            );
        })?;
        tracing::info!(event = "sessions-restored", count = table.len());
        drop(table);
        // No generation is this: the next look is at all of them.
        self.generation.store(u64::MAX, Ordering::Relaxed);
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.table().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of a subscriber's count at this time.
    pub fn count(&self, now: u64, subscriber: Subscriber) -> usize {
        self.table().count(now, subscriber)
    }

    /// Adds to a report of an access point what the login told.
    pub fn complete(&self, report: &mut AccountingRecord) {
        let table = self.table();
        if let Some(entry) = table.find(report).and_then(|place| table.get(place)) {
            // The access point may tell the outer identity.
            report.username = entry.names.get(entry::Name::Username).map(str::to_owned);
            report.subscriber = Some(entry.subscriber);
            report.stamp = entry.stamp;
            report.address = Some(entry.address).filter(|address| !address.is_unspecified());
            report.class = report.class.or(Some(entry.class).filter(|class| *class != [0; 16]));
            return;
        }
        drop(table);
        if let Some(whose) = report.username.as_deref().and_then(|name| self.standings.whose(name)) {
            report.subscriber = Some(whose.subscriber);
            report.stamp = whose.stamp;
        }
    }

    /// Takes in a report of an access point that is on disk.
    pub fn report(&self, report: &AccountingRecord) {
        let mut table = self.table();
        let found = table.report(report.received_at, report, |username| self.standings.whose(username));
        let Some(entry) = found.and_then(|place| table.get(place)) else { return };
        // Its access point was told to end it and did not, or its login was never here.
        let (mut over, username) = (None, entry.names.get(entry::Name::Username).unwrap_or_default());
        self.standings
            .verdicts(&mut std::iter::once((0, username, entry.stamp)), &mut |_, why| over = Some(why));
        if let (Some(place), Some(why)) = (found, over) {
            table.end_soon(place, why);
        }
    }

    /// Forgets, in small steps, what has not counted for long. Once a second.
    pub fn sweep(&self, now: u64) {
        self.table().sweep(now, AT_ONCE);
    }

    /// Sessions whose credential was revoked or whose account was changed.
    fn fallen(&self) -> Vec<Ending> {
        let generation = self.standings.generation();
        if self.generation.swap(generation, Ordering::Relaxed) == generation {
            return Vec::new();
        }
        let mut endings = Vec::new();
        let mut from = 0u32;
        loop {
            let mut table = self.table();
            let to = from.saturating_add(AT_ONCE).min(table.places());
            let mut over = Vec::new();
            let mut sessions = (from..to).filter_map(|place| {
                let entry = table.get(place)?;
                Some((place, entry.names.get(entry::Name::Username)?, entry.stamp))
            });
            self.standings.verdicts(&mut sessions, &mut |place, why| over.push((place, why)));
            drop(sessions);
            endings.extend(over.into_iter().filter_map(|(place, why)| table.end(place, why)));
            if to == table.places() {
                return endings;
            }
            from = to;
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sessions for Live {
    fn admit(&self, now: Now, login: &Login, session: &Admitted<'_>) -> Result<(), Reject> {
        let packet = session.packet;
        let stamp = self.standings.stamp(login);
        // Revoked while the password was being proved: after it is in the table it would be looked at too late.
        let mut over = None;
        let mut this = std::iter::once((0, login.username.as_str(), stamp));
        let most = self.standings.max_sessions(&login.username);
        let policy = &login.policy;
        let after = |secs: u32| now.unix.saturating_add(u64::from(secs));
        let ends = [login.expires_at, policy.terminate_at, policy.session_timeout_secs.map(after)];
        let admission = Admission {
            class: session.class,
            username: &login.username,
            client: session.client,
            address: session.address,
            mac: session.mac,
            calling_station: packet.text(A::CALLING_STATION_ID),
            session_id: packet.text(A::ACCT_SESSION_ID),
            multi_session_id: packet.text(A::ACCT_MULTI_SESSION_ID),
            nas_identifier: packet.text(A::NAS_IDENTIFIER),
            nas_address: record::nas_address(packet),
            subscriber: login.subscriber,
            stamp,
            expires_at: login.expires_at,
            ends_at: ends.into_iter().flatten().min(),
            interim_secs: policy.interim_interval_secs.unwrap_or(0),
            most,
        };
        let mut table = self.table();
        self.standings.verdicts(&mut this, &mut |_, why| over = Some(why));
        match over {
            Some(why) => Err(why),
            None => table.admit(now.unix, &admission).map(drop),
        }
    }

    fn withdraw(&self, class: &[u8; 16]) {
        self.table().withdraw(*class);
    }
}

impl Endings for Live {
    fn due(&self, now: Now) -> Vec<Ending> {
        let mut endings = self.fallen();
        endings.append(&mut self.table().due(now.unix));
        endings
    }

    fn done(&self, now: Now, key: u64, outcome: Outcome) {
        self.table().done(now.unix, key, outcome);
    }
}

#[cfg(test)]
mod tests;
