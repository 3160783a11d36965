//! Table `credential` over its life, and `revocation`: superseding, first success, what devices tell, what is taken back.

use rusqlite::{Connection, OptionalExtension as _, ToSql, params};

use super::{column, credential};
use crate::store::{
    Change, CredentialRecord, Handle, StoreError,
    rotation::{Outcome, Revocation, Told, Which, Why},
};

/// The number of the next credential for this card; what it had until now is superseded. Called in the transaction that
/// writes the new one. One-time credentials are held in reserve side by side: one does not supersede another.
pub(super) fn supersede(db: &Connection, record: &CredentialRecord) -> Result<i64, StoreError> {
    let rotates = record.progress.serial > 0;
    let Some(device) = record.device.filter(|_| rotates).map(|mac| mac.to_string()) else { return Ok(0) };
    let serial = db
        .prepare_cached(
            "SELECT coalesce(max(serial), 0) + 1 FROM credential
             WHERE subscriber = ?1 AND device = ?2 AND revoked_at IS NULL",
        )?
        .query_row(params![record.subscriber.0, device], |row| row.get(0))?;
    if serial > 1 {
        db.prepare_cached(
            "UPDATE credential SET superseded_at = ?3
             WHERE subscriber = ?1 AND device = ?2 AND revoked_at IS NULL AND superseded_at IS NULL
             AND serial > 0 AND NOT (one_time AND ?4)",
        )?
        .execute(params![
            record.subscriber.0,
            device,
            column::signed(record.issued_at, "superseded_at")?,
            record.one_time
        ])?;
    }
    Ok(serial)
}

/// These have worked: what their devices had before dies. Those that had worked already, or were not issued here, are
/// left alone. Gives how many old ones died.
pub(super) fn confirm(db: &Connection, usernames: &[String], now: u64) -> Result<u64, StoreError> {
    let now = column::signed(now, "worked_at")?;
    let mut died = 0;
    for username in usernames {
        let first = db
            .prepare_cached("UPDATE credential SET worked_at = ?2 WHERE username = ?1 AND worked_at IS NULL")?
            .execute(params![username, now])?;
        if first == 0 {
            continue;
        }
        died += db
            .prepare_cached(
                "UPDATE credential SET revoked_at = ?2, revoked_why = 'superseded'
                 FROM (SELECT subscriber AS s, device AS d, serial AS n, one_time AS o FROM credential
                       WHERE username = ?1)
                 WHERE subscriber = s AND device = d AND revoked_at IS NULL
                 AND serial > 0 AND serial < n AND NOT (one_time AND o)",
            )?
            .execute(params![username, now])?;
    }
    Ok(u64::try_from(died).unwrap_or(u64::MAX))
}

/// Whether some of these have not worked yet, as far as the database knows: spares a transaction where none has.
pub(super) fn any_new(db: &Connection, usernames: &[String]) -> Result<bool, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT 1 FROM credential WHERE username = ?1 AND worked_at IS NULL")?;
    for username in usernames {
        if statement.exists([username])? {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn tell(db: &Connection, told: &Told, now: u64) -> Result<Change, StoreError> {
    let username = told.username.to_ascii_lowercase();
    let at = column::signed(now, "now")?;
    if let Some(version) = told.runs_policy {
        db.prepare_cached("UPDATE credential SET runs_policy = ?2 WHERE username = ?1")?
            .execute(params![username, column::signed(version, "runs_policy")?])?;
    }
    let there = db.prepare_cached("SELECT 1 FROM credential WHERE username = ?1")?.exists([&username])?;
    let changed = match told.outcome {
        Outcome::Installed => db
            .prepare_cached(
                "UPDATE credential SET installed_at = ?2 WHERE username = ?1 AND installed_at IS NULL",
            )?
            .execute(params![username, at])?,
        Outcome::Worked => {
            let first: bool = any_new(db, std::slice::from_ref(&username))?;
            confirm(db, &[username], now)?;
            usize::from(first)
        }
        Outcome::Failed(code) => db
            .prepare_cached("UPDATE credential SET failed_at = ?2, failure = ?3 WHERE username = ?1")?
            .execute(params![username, at, code])?,
    };
    Ok(match (there, changed) {
        (false, _) => Change::Missing,
        (true, 0) => Change::Identity,
        (true, _) => Change::Updated,
    })
}

/// Gives how many were taken back that were good, or superseded, until now.
pub(super) fn revoke(db: &Connection, which: &Which, now: u64) -> Result<u64, StoreError> {
    let (condition, value) = condition(which);
    let changed = db
        .prepare_cached(&format!(
            "UPDATE credential SET revoked_at = coalesce(revoked_at, ?2), revoked_why = 'operator'
             WHERE {condition} AND revoked_why IS NOT 'operator'"
        ))?
        .execute(params![value, column::signed(now, "revoked_at")?])?;
    Ok(u64::try_from(changed).unwrap_or(u64::MAX))
}

/// In order of issue, newest first, at most `most`.
pub(super) fn list(db: &Connection, which: &Which, most: u32) -> Result<Vec<CredentialRecord>, StoreError> {
    let (condition, value) = condition(which);
    let columns = credential::COLUMNS;
    let mut statement = db.prepare_cached(&format!(
        "SELECT {columns} FROM credential WHERE {condition} ORDER BY issued_at DESC, serial DESC LIMIT ?2"
    ))?;
    let rows = statement.query_map(params![value, most], |row| Ok(credential::read(row)))?;
    rows.map(|row| row?).collect()
}

pub(super) fn revocations(db: &Connection, after: u64, now: u64) -> Result<Vec<Revocation>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT seq, username, superseded FROM revocation
         WHERE seq > ?1 AND (expires_at IS NULL OR expires_at > ?2) ORDER BY seq",
    )?;
    let after = column::signed(after, "seq")?;
    let mut rows = statement.query(params![after, column::signed(now, "now")?])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let why = if row.get(2)? { Why::Superseded } else { Why::Operator };
        let seq = column::unsigned(row.get(0)?, "revocation.seq")?;
        found.push(Revocation { seq, username: row.get(1)?, why });
    }
    Ok(found)
}

pub(super) fn prune(db: &Connection, now: u64, most: u32) -> Result<usize, StoreError> {
    let gone = db
        .prepare_cached(
            "DELETE FROM revocation WHERE seq IN
             (SELECT seq FROM revocation WHERE expires_at <= ?1 LIMIT ?2)",
        )?
        .execute(params![column::signed(now, "now")?, most])?;
    Ok(gone)
}

/// With `?1` for the value.
fn condition(which: &Which) -> (&'static str, Box<dyn ToSql>) {
    match which {
        Which::All => ("?1 IS NULL", Box::new(None::<String>)),
        Which::Username(name) => ("username = ?1", Box::new(name.to_ascii_lowercase())),
        Which::Subscriber(Handle(handle)) => ("subscriber = ?1", Box::new(handle.to_vec())),
        Which::Device(mac) => ("device = ?1", Box::new(mac.to_string())),
        Which::Group(name) => {
            ("subscriber IN (SELECT imsi FROM subscriber WHERE member_of = ?1)", Box::new(name.clone()))
        }
    }
}

/// Whether it is there and whether an operator took it back before.
pub(super) fn standing(db: &Connection, username: &str) -> Result<Option<bool>, StoreError> {
    Ok(db
        .prepare_cached("SELECT revoked_why IS 'operator' FROM credential WHERE username = ?1")?
        .query_row([username.to_ascii_lowercase()], |row| row.get(0))
        .optional()?)
}
