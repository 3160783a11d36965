//! For `aaa` and `portal`: installations with a thousand to a million issued credentials, made once and kept under Cargo's target folder.
//!
//! The credentials are what `portal-aaa` itself would have issued: tokens sealed with the installation's keys and rows
//! as its store writes them; only the transactions are larger.

use std::{
    fs,
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use portal_aaa::{
    credential::{Keys, Purpose, load, token::Token},
    store::Handle,
};
use provisioning::identity::{Imei, Imsi, Mac};
use rusqlite::{Connection, params};

use crate::{
    clock,
    peers::{REALM, User, portal::PortalAaa, private_folder},
    progress, workshop,
};

/// Credentials of a stock that logins are drawn from; evenly spread where there are more.
const DRAWN: usize = 100_000;
/// Rows of one transaction.
const BATCH: usize = 50_000;
/// SQLite's page cache while a stock is made, KiB, negative as it wants it.
const CACHE_KIB: i64 = -600_000;

/// A made one.
pub(super) struct Stock {
    folder: PathBuf,
    /// Who logs in.
    pub(super) users: Vec<User>,
}

impl Stock {
    /// The one with `count` credentials, made now where there is none.
    pub(super) fn of(count: usize) -> Result<Self> {
        let folder = workshop::cache("aaa-stock")?.join(count.to_string());
        let mark = folder.join("complete");
        if fs::read_to_string(&mark).ok() != Some(schema()?) {
            progress::step(&format!("issue {count} credentials (kept for the next run)"), || {
                make(&folder, count)?;
                anyhow::Ok(fs::write(&mark, schema()?)?)
            })?;
        }
        let file = BufReader::new(fs::File::open(folder.join("users"))?);
        let users = file.lines().map(|line| read(&line?)).collect::<Result<_>>()?;
        Ok(Self { folder, users })
    }

    /// Where its keys and its database are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A new installation in `dir` with these credentials in its database.
    pub(super) fn install(&self, name: &str, dir: &Path, logs: &Path) -> Result<PortalAaa> {
        let made = PortalAaa::shipped(name, dir, logs)?;
        fs::copy(self.folder.join("keys.toml"), made.path("keys.toml"))?;
        for end in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(made.path(&format!("portal-aaa.db{end}")));
        }
        std::os::unix::fs::symlink(self.folder.join("portal-aaa.db"), made.path("portal-aaa.db"))?;
        made.add_client()?;
        Ok(made)
    }
}

/// Changes with the database's tables: a stock of other tables is none.
pub(super) fn schema() -> Result<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(workshop::root().join("portal-aaa/migrations"))? {
        let entry = entry?;
        files.push(format!("{} {}\n", entry.file_name().to_string_lossy(), entry.metadata()?.len()));
    }
    files.sort();
    Ok(files.concat())
}

fn read(line: &str) -> Result<User> {
    let mut words = line.split(' ').map(str::to_owned);
    let mut next = || words.next().context("a stock's list of users is broken: delete target/lab/aaa-stock");
    Ok(User { name: next()?, password: next()?, station: next()? })
}

fn make(folder: &Path, count: usize) -> Result<()> {
    private_folder(folder)?;
    let seed = folder.join("installation");
    drop(PortalAaa::shipped("seed", &seed, folder)?);
    for file in ["keys.toml", "portal-aaa.db"] {
        fs::rename(seed.join(file), folder.join(file))?;
    }
    for end in ["-wal", "-shm"] {
        let _ =
            fs::rename(seed.join(format!("portal-aaa.db{end}")), folder.join(format!("portal-aaa.db{end}")));
    }
    let keys = load(&folder.join("keys.toml"))?;
    let now = clock::unix_ms() / 1000;
    let mut rows = (0..count).map(|number| Row::new(&keys, number, now)).collect::<Result<Vec<_>>>()?;
    let mut list = BufWriter::new(fs::File::create(folder.join("users"))?);
    for row in rows.iter().step_by((count / DRAWN).max(1)) {
        let station = row.mac.to_string().replace(':', "-");
        writeln!(list, "{} {} {station}", row.username, row.password)?;
    }
    list.flush()?;
    // In the order of the table, which is a tree: each page is written once.
    rows.sort_unstable_by(|a, b| a.username.cmp(&b.username));
    insert(&folder.join("portal-aaa.db"), &keys, &rows, now)
}

/// What a credential's row is made of.
struct Row {
    username: String,
    password: String,
    subscriber: Handle,
    mac: Mac,
    number: usize,
}

impl Row {
    fn new(keys: &Keys, number: usize, now: u64) -> Result<Self> {
        let subscriber = keys.handle_imsi(&imsi(number)?);
        let [s0, s1, s2, s3, s4, s5, ..] = subscriber.0;
        let [.., m3, m2, m1, m0] = number.to_be_bytes();
        let mac = Mac([0x02, 0, m3, m2, m1, m0]);
        let token = Token {
            subscriber: [s0, s1, s2, s3, s4, s5],
            mac: Some(mac),
            issued_at: u32::try_from(now)?,
            lifetime_secs: None,
            one_time: false,
        };
        let sealed = token.seal(keys, REALM, number.to_be_bytes());
        let (username, password) = sealed.ok().context("a token does not seal")?;
        Ok(Self { username, password: password.expose().to_owned(), subscriber, mac, number })
    }
}

/// IMSI of the credential of this number.
pub(super) fn imsi(number: usize) -> Result<Imsi> {
    Ok(format!("00101{number:010}").parse()?)
}

fn insert(path: &Path, keys: &Keys, rows: &[Row], now: u64) -> Result<()> {
    let mut db = Connection::open(path)?;
    db.pragma_update(None, "synchronous", "OFF")?;
    db.pragma_update(None, "cache_size", CACHE_KIB)?;
    let imei: Imei = "490154203237518".parse()?;
    let now = i64::try_from(now)?;
    for batch in rows.chunks(BATCH) {
        let all = db.transaction()?;
        {
            let mut insert = all.prepare_cached(
                "INSERT INTO credential (username, password_sealed, subscriber, imsi_sealed, imei_sealed, mac,
                 issued_at, one_time, policy_version, device, serial) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 1, ?6, 1)",
            )?;
            for row in batch {
                let owner = row.username.as_str();
                let seal = |purpose, clear: &str| keys.seal(purpose, owner, clear.as_bytes());
                insert.execute(params![
                    owner,
                    seal(Purpose::Password, &row.password)?.0,
                    row.subscriber.0,
                    seal(Purpose::Imsi, imsi(row.number)?.expose())?.0,
                    seal(Purpose::Imei, imei.expose())?.0,
                    row.mac.to_string(),
                    now
                ])?;
            }
        }
        all.commit()?;
    }
    db.pragma_update(None, "wal_checkpoint", "TRUNCATE").ok();
    let stored: i64 = db.query_row("SELECT count(*) FROM credential", [], |row| row.get(0))?;
    ensure!(usize::try_from(stored)? == rows.len(), "{stored} rows of {}", rows.len());
    Ok(())
}
