//! Table `account`: accounts made by hand.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::column;
use crate::store::{AccountRecord, Change, Sealed, StoreError};

const COLUMNS: &str = "name, password_sealed, mac, methods, ssids, nas, vlan, max_sessions, disabled, created_at, \
                       changed_at";

pub(super) fn put(db: &Connection, account: &AccountRecord) -> Result<Change, StoreError> {
    let change = match find(db, &account.name) {
        Ok(None) => Change::Created,
        Ok(Some(before)) if before.same_as(account) => return Ok(Change::Identity),
        // An unreadable row is mended by what replaces it.
        Ok(Some(_)) | Err(StoreError::Corrupt { .. }) => Change::Updated,
        Err(error) => return Err(error),
    };
    db.prepare_cached(&format!(
        "INSERT INTO account ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (name) DO UPDATE SET password_sealed = excluded.password_sealed, mac = excluded.mac,
         methods = excluded.methods, ssids = excluded.ssids, nas = excluded.nas, vlan = excluded.vlan,
         max_sessions = excluded.max_sessions, disabled = excluded.disabled, changed_at = excluded.changed_at"
    ))?
    .execute(params![
        account.name,
        account.password.0,
        account.mac.map(|mac| mac.to_string()),
        account.methods,
        account.ssids.join("\n"),
        account.nas.join("\n"),
        account.vlan,
        account.max_sessions,
        account.disabled,
        column::signed(account.created_at, "created_at")?,
        column::signed(account.changed_at, "changed_at")?,
    ])?;
    Ok(change)
}

pub(super) fn remove(db: &Connection, name: &str) -> Result<Change, StoreError> {
    let removed = db.prepare_cached("DELETE FROM account WHERE name = ?1")?.execute([name])?;
    Ok(if removed == 0 { Change::Missing } else { Change::Updated })
}

pub(super) fn find(db: &Connection, name: &str) -> Result<Option<AccountRecord>, StoreError> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM account WHERE name = ?1"))?
        .query_row([name], |row| Ok(read(row)))
        .optional()?
        .transpose()
}

pub(super) fn all(db: &Connection) -> Result<Vec<AccountRecord>, StoreError> {
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM account ORDER BY name"))?;
    statement.query_map([], |row| Ok(read(row)))?.map(|row| row?).collect()
}

fn read(row: &Row<'_>) -> Result<AccountRecord, StoreError> {
    let list = |column: usize| -> Result<Vec<String>, StoreError> {
        Ok(row.get::<_, String>(column)?.lines().map(str::to_owned).collect())
    };
    let mac: Option<String> = row.get(2)?;
    Ok(AccountRecord {
        name: row.get(0)?,
        password: Sealed(row.get(1)?),
        mac: mac.map(|mac| column::mac(&mac, "account.mac")).transpose()?,
        methods: row.get(3)?,
        ssids: list(4)?,
        nas: list(5)?,
        vlan: row.get(6)?,
        max_sessions: row.get(7)?,
        disabled: row.get(8)?,
        created_at: column::unsigned(row.get(9)?, "account.created_at")?,
        changed_at: column::unsigned(row.get(10)?, "account.changed_at")?,
    })
}
