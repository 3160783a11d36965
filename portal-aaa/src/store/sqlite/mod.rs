//! The database in one SQLite file: what `portal-aaa` uses unless many nodes share one.
//!
//! Write-ahead log with `synchronous = FULL`: a call that returned is on disk, also after a power cut. One
//! connection writes, another reads, so a login never waits for accounting to be written. Other processes (the
//! command line while `serve` runs) open the same file; SQLite's locks keep them apart. [`migrate`] brings an
//! older file up to date; the statements are in one file a table.

mod account;
mod accounting;
mod client;
mod column;
mod credential;
mod gateway;
mod migrate;
mod policy;
mod rotation;
mod session;
mod subscriber;
mod usage;

use std::{
    fs::OpenOptions,
    io,
    ops::ControlFlow,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, config::DbConfig};

use super::{
    AccountRecord, AccountingRecord, By, Change, Client, ClientKind, CredentialRecord, Entitlement,
    GatewaySession, Handle, Listing, Pruned, SessionRecord, Silence, Store, StoreError, SubscriberEntry,
    SubscriberRecord, Subscribers, Total, Usage,
    policy::{PolicyList, PolicyShelf, Scope},
    rotation::{Revocation, Told, Which},
};

/// How long a statement waits for another process's write.
const BUSY: Duration = Duration::from_secs(5);
/// A busy database is asked again this often while it changes to the write-ahead log.
const WAL_RETRY: Duration = Duration::from_millis(50);
const WAL_ATTEMPTS: u32 = 100;
/// Cache of whoever writes a great many rows, KiB.
const MANY_KIB: i32 = 64 * 1024;
/// Pages in the write-ahead log after which they go to the database, 4 KiB each: a page that was written several times
/// until then is written there once.
const CHECKPOINT_PAGES: i32 = 4000;
/// More than there are statements.
const STATEMENTS: usize = 64;

/// Why a database file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is none, or it may not be opened or made.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A later version of the program has been here; its tables may mean something else.
    #[error(
        "the database has schema {found}, this program knows up to {known}: \
         run the newer program again, or restore a copy from before the upgrade"
    )]
    Newer {
        /// In the file.
        found: u32,
        /// Of this program.
        known: u32,
    },
    /// SQLite refused.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// The database in one file. Share it by `Arc`.
pub struct SqliteStore {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    /// Data version of the reader, and the generation found at it.
    generation: Mutex<Option<(i64, u64)>>,
}

impl SqliteStore {
    /// Makes the file (mode 0600, nothing may be there yet) and its tables.
    pub fn create(path: &Path) -> Result<Self, OpenError> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Self::open(path)
    }

    /// Opens an existing file and brings its tables up to date.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        // SQLite says "unable to open" for every reason; the system knows better.
        OpenOptions::new().read(true).write(true).open(path)?;
        let mut writer = connect(path)?;
        migrate::run(&mut writer, migrate::ALL)?;
        Ok(Self {
            writer: Mutex::new(writer),
            reader: Mutex::new(connect(path)?),
            generation: Mutex::new(None),
        })
    }

    /// Whether the file is whole, by SQLite's own look at all of it. For `portal-aaa check`.
    pub fn verify(&self) -> Result<(), StoreError> {
        let found: String = self.read().query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if found == "ok" { Ok(()) } else { Err(StoreError::Database(found)) }
    }

    /// Before a great many rows are written: usernames are random, so their neighbours are all over the table, and a
    /// larger part of it has to stay in memory.
    pub fn expect_many(&self) -> Result<(), StoreError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(writer.pragma_update(None, "cache_size", -MANY_KIB)?)
    }

    fn read(&self) -> MutexGuard<'_, Connection> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` as one transaction: all of it is on disk, or nothing.
    fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // Immediate: a transaction that reads first and writes later could find its reading outdated.
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }
}

impl Store for SqliteStore {
    fn put_client(&self, client: &Client) -> Result<Change, StoreError> {
        self.write(|t| client::put(t, client))
    }

    fn remove_client(&self, kind: ClientKind, name: &str) -> Result<Change, StoreError> {
        self.write(|t| client::remove(t, kind, name))
    }

    fn clients(&self) -> Result<Vec<Client>, StoreError> {
        client::all(&self.read())
    }

    fn generation(&self) -> Result<u64, StoreError> {
        let reader = self.read();
        // Moves with every commit of any other connection, and asking reads no table.
        let version: i64 = reader.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        let mut last = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, generation)) = last.filter(|(seen, _)| *seen == version) {
            return Ok(generation);
        }
        let mut statement = reader.prepare_cached("SELECT value FROM generation")?;
        let generation = column::unsigned(statement.query_row([], |row| row.get(0))?, "generation.value")?;
        // What was committed between the two questions has moved the version on: it is read again next time.
        *last = Some((version, generation));
        Ok(generation)
    }

    fn insert_entitled(&self, record: &CredentialRecord, entitlement: Entitlement) -> Result<(), StoreError> {
        self.write(|t| credential::insert(t, record, entitlement))
    }

    fn insert_each(
        &self,
        records: &[CredentialRecord],
        entitlement: Entitlement,
    ) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        self.write(|t| credential::insert_each(t, records, entitlement))
    }

    fn insert_credentials(&self, records: &[CredentialRecord]) -> Result<Vec<usize>, StoreError> {
        self.write(|t| credential::insert_all(t, records))
    }

    fn credential(&self, username: &str) -> Result<Option<CredentialRecord>, StoreError> {
        credential::find(&self.read(), username)
    }

    fn revoke_credential(&self, username: &str, now: u64) -> Result<Change, StoreError> {
        self.write(|t| credential::revoke(t, username, now))
    }

    fn revoke_credentials(&self, which: &Which, now: u64) -> Result<u64, StoreError> {
        self.write(|t| rotation::revoke(t, which, now))
    }

    fn credentials(&self, which: &Which, most: u32) -> Result<Vec<CredentialRecord>, StoreError> {
        rotation::list(&self.read(), which, most)
    }

    fn revocations(&self, after: u64, now: u64) -> Result<Vec<Revocation>, StoreError> {
        rotation::revocations(&self.read(), after, now)
    }

    fn prune_revocations(&self, now: u64, most: u32) -> Result<usize, StoreError> {
        self.write(|t| rotation::prune(t, now, most))
    }

    fn prune_credentials(&self, after: &str, before: u64, most: u32) -> Result<Pruned, StoreError> {
        // A transaction, and its place on disk, only where something is to go.
        let (over, last) = credential::over(&self.read(), after, before, most)?;
        let gone = if over.is_empty() { 0 } else { self.write(|t| credential::forget(t, &over, before))? };
        Ok(Pruned { gone, last })
    }

    fn confirm_credentials(&self, usernames: &[String], now: u64) -> Result<u64, StoreError> {
        if rotation::any_new(&self.read(), usernames)? {
            self.write(|t| rotation::confirm(t, usernames, now))
        } else {
            Ok(0)
        }
    }

    fn tell(&self, told: &Told, now: u64) -> Result<Change, StoreError> {
        self.write(|t| rotation::tell(t, told, now))
    }

    fn use_once(&self, username: &str, session: &str, now: u64) -> Result<bool, StoreError> {
        self.write(|t| credential::use_once(t, username, session, now))
    }

    fn put_account(&self, account: &AccountRecord) -> Result<Change, StoreError> {
        self.write(|t| account::put(t, account))
    }

    fn remove_account(&self, name: &str) -> Result<Change, StoreError> {
        self.write(|t| account::remove(t, name))
    }

    fn account(&self, name: &str) -> Result<Option<AccountRecord>, StoreError> {
        account::find(&self.read(), name)
    }

    fn accounts(&self) -> Result<Vec<AccountRecord>, StoreError> {
        account::all(&self.read())
    }

    fn put_gateway_session(&self, session: &GatewaySession) -> Result<(), StoreError> {
        self.write(|t| gateway::put(t, session))
    }

    fn end_gateway_session(&self, gateway: &str, session_id: &str) -> Result<Change, StoreError> {
        self.write(|t| gateway::end(t, gateway, session_id))
    }

    fn clear_gateway(&self, gateway: &str) -> Result<(), StoreError> {
        self.write(|t| gateway::clear(t, gateway))
    }

    fn gateway_sessions(&self) -> Result<Vec<GatewaySession>, StoreError> {
        gateway::all(&self.read())
    }

    fn append_accounting(&self, records: &[AccountingRecord]) -> Result<(), StoreError> {
        self.write(|t| accounting::append(t, records))
    }

    fn open_sessions(&self, each: &mut dyn FnMut(SessionRecord)) -> Result<(), StoreError> {
        session::open(&self.read(), each)
    }

    fn close_silent_sessions(&self, now: u64, silence: Silence, most: u32) -> Result<usize, StoreError> {
        self.write(|t| session::close_silent(t, now, silence, most))
    }

    fn prune_accounting(&self, before: u64, most: u32) -> Result<usize, StoreError> {
        self.write(|t| session::prune(t, before, most))
    }

    fn usage(
        &self,
        from: u64,
        to: u64,
        each: &mut dyn FnMut(Usage) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        usage::sessions(&self.read(), from, to, each)
    }

    fn totals(&self, from: u64, to: u64, by: By) -> Result<Vec<Total>, StoreError> {
        usage::totals(&self.read(), from, to, by)
    }
}

impl PolicyShelf for SqliteStore {
    fn put_policies(&self, entries: &[(Scope, Option<String>)], now: u64) -> Result<Vec<Change>, StoreError> {
        self.write(|t| policy::put_all(t, entries, now))
    }

    fn policies(&self) -> Result<PolicyList, StoreError> {
        policy::all(&mut self.read())
    }

    fn policy_version(&self) -> Result<u64, StoreError> {
        policy::version(&self.read())
    }
}

impl Subscribers for SqliteStore {
    fn put_subscribers(&self, entries: &[SubscriberEntry], now: u64) -> Result<Listing, StoreError> {
        self.write(|t| subscriber::put_all(t, entries, now))
    }

    fn remove_subscriber(&self, imsi: Handle, revoke: bool, now: u64) -> Result<(Change, u64), StoreError> {
        self.write(|t| subscriber::remove(t, imsi, revoke, now))
    }

    fn subscriber(&self, imsi: Handle) -> Result<Option<SubscriberRecord>, StoreError> {
        subscriber::find(&self.read(), imsi)
    }

    fn subscriber_of(&self, msisdn: Handle) -> Result<Option<SubscriberRecord>, StoreError> {
        subscriber::find_by_msisdn(&self.read(), msisdn)
    }

    fn subscribers(&self, each: &mut dyn FnMut(SubscriberRecord)) -> Result<(), StoreError> {
        subscriber::all(&self.read(), each)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.to_string())
    }
}

fn connect(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    use_wal(&connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // Statements are few and written for their indices. Without this SQLite may weigh the plan of one anew, and so compile
    // it again, each time other values are bound to it: a tenth of what a first login costs.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// Two processes that open a new file at once both want to change its mode, and SQLite does not wait here.
fn use_wal(connection: &Connection) -> Result<(), rusqlite::Error> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && attempts < WAL_ATTEMPTS =>
            {
                thread::sleep(WAL_RETRY);
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests;
