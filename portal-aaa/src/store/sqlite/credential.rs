//! Tables `credential` and `credential_use`: what was issued, taken back, and used up.

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row, params};

use super::{column, rotation, subscriber};
use crate::store::{
    Change, CredentialRecord, Entitlement, Sealed, StoreError,
    rotation::{Progress, Which, Why},
};

pub(super) const COLUMNS: &str = "username, password_sealed, subscriber, imsi_sealed, imei_sealed, mac, source, \
                                  issued_at, expires_at, one_time, revoked_at, policy_version, device, serial, \
                                  superseded_at, revoked_why, installed_at, worked_at, failed_at, failure, runs_policy";

pub(super) fn insert(
    db: &Connection,
    record: &CredentialRecord,
    entitlement: Entitlement,
) -> Result<(), StoreError> {
    subscriber::entitled(db, record.subscriber, entitlement)?;
    let serial = rotation::supersede(db, record)?;
    let time = |at: Option<u64>| at.map(|at| column::signed(at, "time")).transpose();
    let inserted = db
        .prepare_cached(&format!(
            "INSERT INTO credential ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,
             NULL, NULL, NULL, NULL, NULL, NULL, ?15)"
        ))?
        .execute(params![
            record.username.to_ascii_lowercase(),
            record.password.0,
            record.subscriber.0,
            record.imsi.as_ref().map(|imsi| &imsi.0),
            record.imei.as_ref().map(|imei| &imei.0),
            record.mac.map(|mac| mac.to_string()),
            record.source.map(|source| source.to_string()),
            column::signed(record.issued_at, "issued_at")?,
            time(record.expires_at)?,
            record.one_time,
            time(record.revoked_at)?,
            column::signed(record.policy_version, "policy_version")?,
            record.device.map(|mac| mac.to_string()),
            serial,
            record.progress.runs_policy.map(|version| column::signed(version, "runs_policy")).transpose()?,
        ]);
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            Err(StoreError::Exists { what: "credential" })
        }
        Err(error) => Err(error.into()),
    }
}

/// What is refused leaves the others alone; what SQLite cannot do ends the transaction for all of them.
pub(super) fn insert_each(
    db: &Connection,
    records: &[CredentialRecord],
    entitlement: Entitlement,
) -> Result<Vec<Result<(), StoreError>>, StoreError> {
    let one = |record| match insert(db, record, entitlement) {
        Err(error @ (StoreError::Exists { .. } | StoreError::NotEntitled { .. })) => Ok(Err(error)),
        Err(error) => Err(error),
        Ok(()) => Ok(Ok(())),
    };
    records.iter().map(one).collect()
}

/// In the order of the usernames, which are random: neighbours in the table are then written together.
pub(super) fn insert_all(db: &Connection, records: &[CredentialRecord]) -> Result<Vec<usize>, StoreError> {
    let mut order: Vec<(usize, &CredentialRecord)> = records.iter().enumerate().collect();
    order.sort_unstable_by(|(_, a), (_, b)| a.username.cmp(&b.username));
    let mut there = Vec::new();
    for (position, record) in order {
        match insert(db, record, Entitlement::Any) {
            Ok(()) => {}
            Err(StoreError::Exists { .. }) => there.push(position),
            Err(error) => return Err(error),
        }
    }
    there.sort_unstable();
    Ok(there)
}

pub(super) fn find(db: &Connection, username: &str) -> Result<Option<CredentialRecord>, StoreError> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM credential WHERE username = ?1"))?
        .query_row([username.to_ascii_lowercase()], |row| Ok(read(row)))
        .optional()?
        .transpose()
}

pub(super) fn revoke(db: &Connection, username: &str, now: u64) -> Result<Change, StoreError> {
    match rotation::standing(db, username)? {
        None => Ok(Change::Missing),
        Some(true) => Ok(Change::Identity),
        Some(false) => {
            rotation::revoke(db, &Which::Username(username.to_owned()), now)?;
            Ok(Change::Updated)
        }
    }
}

pub(super) fn use_once(db: &Connection, username: &str, session: &str, now: u64) -> Result<bool, StoreError> {
    let username = username.to_ascii_lowercase();
    db.prepare_cached(
        "INSERT INTO credential_use (username, session, used_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (username) DO NOTHING",
    )?
    .execute(params![username, session, column::signed(now, "used_at")?])?;
    let first: String = db
        .prepare_cached("SELECT session FROM credential_use WHERE username = ?1")?
        .query_row([&username], |row| row.get(0))?;
    Ok(first == session)
}

/// Of the `most` usernames after `after`: those that expired before `before`; and the last, unless the table ends here.
pub(super) fn over(
    db: &Connection,
    after: &str,
    before: u64,
    most: u32,
) -> Result<(Vec<String>, Option<String>), StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT username, expires_at IS NOT NULL AND expires_at < ?2 FROM credential
         WHERE username > ?1 ORDER BY username LIMIT ?3",
    )?;
    let mut rows = statement.query(params![after, column::signed(before, "before")?, most])?;
    let (mut over, mut last, mut seen) = (Vec::new(), None, 0);
    while let Some(row) = rows.next()? {
        let username: String = row.get(0)?;
        if row.get(1)? {
            over.push(username.clone());
        }
        (last, seen) = (Some(username), seen + 1);
    }
    Ok((over, last.filter(|_| seen == most)))
}

/// Takes these away where they still are over, with their uses: nothing of what has expired can be used again.
pub(super) fn forget(db: &Connection, usernames: &[String], before: u64) -> Result<usize, StoreError> {
    let before = column::signed(before, "before")?;
    let mut credential =
        db.prepare_cached("DELETE FROM credential WHERE username = ?1 AND expires_at < ?2")?;
    let mut used = db.prepare_cached("DELETE FROM credential_use WHERE username = ?1")?;
    let mut gone = 0;
    for username in usernames {
        if credential.execute(params![username, before])? > 0 {
            gone += 1;
            used.execute([username])?;
        }
    }
    Ok(gone)
}

pub(super) fn read(row: &Row<'_>) -> Result<CredentialRecord, StoreError> {
    let sealed = |column: usize| row.get::<_, Option<Vec<u8>>>(column).map(|value| value.map(Sealed));
    let text = |column: usize| row.get::<_, Option<String>>(column);
    let time = |column: usize, what| {
        row.get::<_, Option<i64>>(column)?.map(|at| column::unsigned(at, what)).transpose()
    };
    Ok(CredentialRecord {
        username: row.get(0)?,
        password: Sealed(row.get(1)?),
        subscriber: column::handle(row.get_ref(2)?.as_blob().unwrap_or_default(), "credential.subscriber")?,
        imsi: sealed(3)?,
        imei: sealed(4)?,
        mac: text(5)?.map(|mac| column::mac(&mac, "credential.mac")).transpose()?,
        source: text(6)?.map(|source| column::address(&source, "credential.source")).transpose()?,
        issued_at: column::unsigned(row.get(7)?, "credential.issued_at")?,
        expires_at: time(8, "credential.expires_at")?,
        one_time: row.get(9)?,
        revoked_at: time(10, "credential.revoked_at")?,
        policy_version: column::unsigned(row.get(11)?, "credential.policy_version")?,
        device: text(12)?.map(|mac| column::mac(&mac, "credential.device")).transpose()?,
        progress: Progress {
            serial: column::unsigned(row.get(13)?, "credential.serial")?,
            superseded_at: time(14, "credential.superseded_at")?,
            revoked_why: text(15)?.as_deref().and_then(Why::of_word),
            installed_at: time(16, "credential.installed_at")?,
            worked_at: time(17, "credential.worked_at")?,
            failed_at: time(18, "credential.failed_at")?,
            failure: text(19)?,
            runs_policy: time(20, "credential.runs_policy")?,
        },
    })
}
