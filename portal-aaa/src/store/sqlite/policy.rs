//! Tables `policy` and `policy_version`.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::column;
use crate::store::{
    Change, StoreError,
    policy::{PolicyList, PolicyRecord, Scope},
};

pub(super) fn put_all(
    db: &Connection,
    entries: &[(Scope, Option<String>)],
    now: u64,
) -> Result<Vec<Change>, StoreError> {
    let mut changes = Vec::with_capacity(entries.len());
    for (scope, document) in entries {
        let change = match document {
            Some(document) => put(db, scope, document, now)?,
            None => remove(db, scope)?,
        };
        changes.push(change);
    }
    Ok(changes)
}

fn put(db: &Connection, scope: &Scope, document: &str, now: u64) -> Result<Change, StoreError> {
    let (word, name) = words(scope);
    let old: Option<String> = db
        .prepare_cached("SELECT document FROM policy WHERE scope = ?1 AND name = ?2")?
        .query_row(params![word, name], |row| row.get(0))
        .optional()?;
    if old.as_deref() == Some(document) {
        return Ok(Change::Identity);
    }
    let version = count(db)?;
    db.prepare_cached(
        "INSERT INTO policy (scope, name, document, version, changed_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (scope, name)
         DO UPDATE SET document = excluded.document, version = excluded.version, changed_at = excluded.changed_at",
    )?
    .execute(params![
        word,
        name,
        document,
        column::signed(version, "version")?,
        column::signed(now, "changed_at")?
    ])?;
    Ok(if old.is_some() { Change::Updated } else { Change::Created })
}

fn remove(db: &Connection, scope: &Scope) -> Result<Change, StoreError> {
    let (word, name) = words(scope);
    let removed = db
        .prepare_cached("DELETE FROM policy WHERE scope = ?1 AND name = ?2")?
        .execute(params![word, name])?;
    if removed == 0 {
        return Ok(Change::Missing);
    }
    count(db)?;
    Ok(Change::Updated)
}

/// One more change. Also called when the members of a group change.
pub(super) fn count(db: &Connection) -> Result<u64, StoreError> {
    db.prepare_cached("UPDATE policy_version SET value = value + 1")?.execute([])?;
    version(db)
}

pub(super) fn version(db: &Connection) -> Result<u64, StoreError> {
    let value = db.prepare_cached("SELECT value FROM policy_version")?.query_row([], |row| row.get(0))?;
    column::unsigned(value, "policy_version.value")
}

/// In one transaction, so that the number goes with what was read.
pub(super) fn all(db: &mut Connection) -> Result<PolicyList, StoreError> {
    let snapshot = db.transaction()?;
    let version = version(&snapshot)?;
    let mut statement =
        snapshot.prepare_cached("SELECT scope, name, document, version, changed_at FROM policy")?;
    let mut records = Vec::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (word, name): (String, String) = (row.get(0)?, row.get(1)?);
        let scope = match word.as_str() {
            "default" => Scope::Default,
            "group" => Scope::Group(name),
            "device" => Scope::Device(column::mac(&name, "policy.name")?),
            _ => return Err(StoreError::Corrupt { what: "policy.scope" }),
        };
        records.push(PolicyRecord {
            scope,
            document: row.get(2)?,
            version: column::unsigned(row.get(3)?, "policy.version")?,
            changed_at: column::unsigned(row.get(4)?, "policy.changed_at")?,
        });
    }
    records.sort_unstable_by(|a, b| a.scope.cmp(&b.scope));
    Ok(PolicyList { version, records })
}

fn words(scope: &Scope) -> (&'static str, String) {
    match scope {
        Scope::Default => ("default", String::new()),
        Scope::Group(name) => ("group", name.clone()),
        Scope::Device(mac) => ("device", mac.to_string()),
    }
}
