//! The one thread that writes accounting: everything that waits goes to the database in one transaction
//! (group commit), and each request is acknowledged when that has returned.

use std::sync::mpsc::Receiver;

use super::feed::{FeedRecord, GatewayFeed};
use crate::store::{AccountingRecord, Store, StoreError};

/// Most records in one transaction: bounds the wait of the first and the memory.
const MAX_BATCH: usize = 512;

/// One report on its way to the disk. `T` says to whom to reply.
#[derive(Debug)]
pub struct Job<T> {
    /// For billing.
    pub record: AccountingRecord,
    /// For the gateway table, where a packet gateway sent it.
    pub feed: Option<FeedRecord>,
    /// Given back when it is done.
    pub ticket: T,
}

/// Writes what comes until every sender is gone and the queue is empty. `done` gets each ticket with whether the
/// report is durable; what is not must not be acknowledged, and the client will repeat it.
pub fn run<T>(
    jobs: &Receiver<Job<T>>,
    store: &dyn Store,
    feed: &dyn GatewayFeed,
    mut done: impl FnMut(T, Result<(), &StoreError>),
) {
    while let Ok(first) = jobs.recv() {
        let batch = std::iter::once(first).chain(jobs.try_iter()).take(MAX_BATCH);
        let (mut records, rest): (Vec<_>, Vec<_>) =
            batch.map(|job| (job.record, (job.feed, job.ticket))).unzip();
        for (record, (fed, _)) in records.iter_mut().zip(&rest) {
            feed.complete(record, fed.as_ref());
        }
        let written = store.append_accounting(&records);
        for (record, (fed, ticket)) in records.iter().zip(rest) {
            // In the order of arrival; the table judges by event time.
            let fed = match fed.filter(|_| written.is_ok()) {
                Some(fed) => feed.accounting(&fed, record.received_at),
                None => Ok(()),
            };
            if written.is_ok() {
                feed.written(record);
            }
            done(ticket, written.as_ref().and(fed.as_ref()).copied());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        sync::{Mutex, mpsc},
    };

    use rusqlite::Connection;

    use super::*;
    use crate::{
        accounting::record::{sample::report, status},
        store::{ClientKind, sqlite::SqliteStore},
    };

    /// Notes what it is told.
    #[derive(Default)]
    struct Notes(Mutex<Vec<String>>);

    impl GatewayFeed for Notes {
        fn accounting(&self, record: &FeedRecord, _now: u64) -> Result<(), StoreError> {
            if record.gateway == "broken" {
                return Err(StoreError::Database("no".to_owned()));
            }
            self.0.lock().unwrap().push(record.session_id.clone());
            Ok(())
        }

        fn complete(&self, report: &mut AccountingRecord, fed: Option<&FeedRecord>) {
            assert_eq!(fed.is_some(), report.kind == ClientKind::Gateway);
            report.stamp = 77;
        }

        fn written(&self, report: &AccountingRecord) {
            assert_eq!(report.stamp, 77, "completed before it was written");
            self.0.lock().unwrap().push(format!("written {}", report.dedup[0]));
        }
    }

    fn job(number: u8, gateway: Option<&str>) -> Job<u8> {
        let session_id = format!("session-{number}");
        let feed = gateway.map(|gateway| FeedRecord {
            gateway: gateway.to_owned(),
            status: status::START,
            session_id: session_id.clone(),
            ipv4: None,
            ipv6_prefix: None,
            delegated_prefix: None,
            imsi: None,
            imeisv: None,
            msisdn: None,
            event_at: 0,
        });
        let record = AccountingRecord {
            kind: if gateway.is_some() { ClientKind::Gateway } else { ClientKind::Nas },
            dedup: [number; 32],
            session_id,
            ..report()
        };
        Job { record, feed, ticket: number }
    }

    /// Runs the writer over these jobs; gives the tickets with whether they may be acknowledged.
    fn write(store: &SqliteStore, feed: &Notes, jobs: Vec<Job<u8>>) -> Vec<(u8, bool)> {
        let (sender, queue) = mpsc::sync_channel(jobs.len());
        jobs.into_iter().for_each(|job| sender.send(job).unwrap());
        drop(sender);
        let done = RefCell::new(Vec::new());
        run(&queue, store, feed, |ticket, written| done.borrow_mut().push((ticket, written.is_ok())));
        done.into_inner()
    }

    #[test]
    fn everything_that_waits_is_written_told_and_acknowledged_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let (store, feed) = (SqliteStore::create(&path).unwrap(), Notes::default());
        let jobs = vec![
            job(1, None),
            job(2, Some("pgw")),
            job(3, Some("broken")),
            job(4, Some("pgw")),
            job(1, None),
        ];
        let done = write(&store, &feed, jobs);
        assert_eq!(done, [(1, true), (2, true), (3, false), (4, true), (1, true)]);
        let told =
            ["written 1", "session-2", "written 2", "written 3", "session-4", "written 4", "written 1"];
        assert_eq!(*feed.0.lock().unwrap(), told);
        let database = Connection::open(&path).unwrap();
        let rows: u32 = database.query_row("SELECT count(*) FROM accounting", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 4);
    }

    #[test]
    fn what_is_not_on_disk_is_neither_acknowledged_nor_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let (store, feed) = (SqliteStore::create(&path).unwrap(), Notes::default());
        Connection::open(&path).unwrap().execute_batch("DROP TABLE accounting").unwrap();
        assert_eq!(write(&store, &feed, vec![job(1, None), job(2, Some("pgw"))]), [(1, false), (2, false)]);
        assert!(feed.0.lock().unwrap().is_empty());
    }
}
