//! Table `gateway_session`: whose address it is, as the packet gateways report, kept over a restart.

use rusqlite::{Connection, Row, params};

use super::column;
use crate::store::{Change, GatewaySession, StoreError};

const COLUMNS: &str = "gateway, session_id, address, prefix, subscriber, equipment, seen_at";

pub(super) fn put(db: &Connection, session: &GatewaySession) -> Result<(), StoreError> {
    let address = session.address.to_string();
    let seen_at = column::signed(session.seen_at, "seen_at")?;
    // A gateway gives an address to one session at a time: a Stop that was lost ends here, and the table
    // stays as small as the gateway's pool. Two reports of the same second contradict each other; both stay, so that
    // a restart does not make one of them the owner (`crate::gateway` then proves nobody).
    db.prepare_cached(
        "DELETE FROM gateway_session WHERE gateway = ?1 AND address = ?2 AND prefix = ?3
         AND session_id <> ?4 AND seen_at < ?5",
    )?
    .execute(params![session.gateway, address, session.prefix, session.session_id, seen_at])?;
    // A report that was overtaken by a later one changes nothing.
    db.prepare_cached(&format!(
        "INSERT INTO gateway_session ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (gateway, session_id, address, prefix) DO UPDATE SET
         subscriber = excluded.subscriber, equipment = excluded.equipment, seen_at = excluded.seen_at
         WHERE excluded.seen_at >= seen_at"
    ))?
    .execute(params![
        session.gateway,
        session.session_id,
        address,
        session.prefix,
        session.subscriber.0,
        session.equipment.map(|equipment| equipment.0),
        seen_at,
    ])?;
    Ok(())
}

pub(super) fn end(db: &Connection, gateway: &str, session_id: &str) -> Result<Change, StoreError> {
    let ended = db
        .prepare_cached("DELETE FROM gateway_session WHERE gateway = ?1 AND session_id = ?2")?
        .execute([gateway, session_id])?;
    Ok(if ended == 0 { Change::Missing } else { Change::Updated })
}

pub(super) fn clear(db: &Connection, gateway: &str) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM gateway_session WHERE gateway = ?1")?.execute([gateway])?;
    Ok(())
}

pub(super) fn all(db: &Connection) -> Result<Vec<GatewaySession>, StoreError> {
    let mut statement =
        db.prepare_cached(&format!("SELECT {COLUMNS} FROM gateway_session ORDER BY seen_at"))?;
    statement.query_map([], |row| Ok(read(row)))?.map(|row| row?).collect()
}

fn read(row: &Row<'_>) -> Result<GatewaySession, StoreError> {
    let equipment: Option<Vec<u8>> = row.get(5)?;
    Ok(GatewaySession {
        gateway: row.get(0)?,
        session_id: row.get(1)?,
        address: column::address(&row.get::<_, String>(2)?, "gateway_session.address")?,
        prefix: column::small(row.get(3)?, "gateway_session.prefix")?,
        subscriber: column::handle(
            row.get_ref(4)?.as_blob().unwrap_or_default(),
            "gateway_session.subscriber",
        )?,
        equipment: equipment
            .map(|octets| column::handle(&octets, "gateway_session.equipment"))
            .transpose()?,
        seen_at: column::unsigned(row.get(6)?, "gateway_session.seen_at")?,
    })
}
