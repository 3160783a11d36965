//! Table `client`: RADIUS clients and their sealed secrets.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::column;
use crate::store::{Change, Client, ClientKind, MessageAuthenticator, Sealed, StoreError};

const COLUMNS: &str = "kind, name, network, prefix, secret_sealed, message_authenticator, coa_port, max_rate";

pub(super) fn put(db: &Connection, client: &Client) -> Result<Change, StoreError> {
    let before = db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM client WHERE kind = ?1 AND name = ?2"))?
        .query_row(params![kind(client.kind), client.name], |row| Ok(read(row)))
        .optional()?;
    let change = match before {
        None => Change::Created,
        // An unreadable row is mended by what replaces it.
        Some(Ok(before)) if before == *client => return Ok(Change::Identity),
        Some(_) => Change::Updated,
    };
    db.prepare_cached(&format!(
        "INSERT INTO client ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (kind, name) DO UPDATE SET network = excluded.network, prefix = excluded.prefix,
         secret_sealed = excluded.secret_sealed, message_authenticator = excluded.message_authenticator,
         coa_port = excluded.coa_port, max_rate = excluded.max_rate"
    ))?
    .execute(params![
        kind(client.kind),
        client.name,
        client.network.to_string(),
        client.prefix,
        client.secret.0,
        match client.message_authenticator {
            MessageAuthenticator::Require => "require",
            MessageAuthenticator::Audit => "audit",
            MessageAuthenticator::Off => "off",
        },
        client.coa_port,
        client.max_rate,
    ])?;
    Ok(change)
}

pub(super) fn remove(db: &Connection, of: ClientKind, name: &str) -> Result<Change, StoreError> {
    let removed =
        db.prepare_cached("DELETE FROM client WHERE kind = ?1 AND name = ?2")?.execute([kind(of), name])?;
    Ok(if removed == 0 { Change::Missing } else { Change::Updated })
}

pub(super) fn all(db: &Connection) -> Result<Vec<Client>, StoreError> {
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM client ORDER BY kind, name"))?;
    statement.query_map([], |row| Ok(read(row)))?.map(|row| row?).collect()
}

fn kind(kind: ClientKind) -> &'static str {
    match kind {
        ClientKind::Nas => "nas",
        ClientKind::Gateway => "gateway",
    }
}

fn read(row: &Row<'_>) -> Result<Client, StoreError> {
    Ok(Client {
        kind: match row.get_ref(0)?.as_str().unwrap_or_default() {
            "nas" => ClientKind::Nas,
            "gateway" => ClientKind::Gateway,
            _ => return Err(StoreError::Corrupt { what: "client.kind" }),
        },
        name: row.get(1)?,
        network: column::address(&row.get::<_, String>(2)?, "client.network")?,
        prefix: column::small(row.get(3)?, "client.prefix")?,
        secret: Sealed(row.get(4)?),
        message_authenticator: match row.get_ref(5)?.as_str().unwrap_or_default() {
            "require" => MessageAuthenticator::Require,
            "audit" => MessageAuthenticator::Audit,
            "off" => MessageAuthenticator::Off,
            _ => return Err(StoreError::Corrupt { what: "client.message_authenticator" }),
        },
        coa_port: row.get(6)?,
        max_rate: row.get(7)?,
    })
}
