//! Table `accounting`: usage as reported, written before it is acknowledged (RFC 2866 §2), together with what it means
//! for the sessions.

use rusqlite::{Connection, params};

use super::{column, session};
use crate::store::{AccountingRecord, StoreError};

pub(super) fn append(db: &Connection, records: &[AccountingRecord]) -> Result<(), StoreError> {
    let mut statement = db.prepare_cached(
        "INSERT INTO accounting (dedup, client, status, session_id, multi_session_id, username, mac, called_station,
         input_octets, output_octets, session_secs, terminate_cause, event_at, received_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (dedup) DO NOTHING",
    )?;
    for record in records {
        let added = statement.execute(params![
            record.dedup,
            record.client,
            record.status,
            record.session_id,
            record.multi_session_id,
            record.username,
            record.mac.map(|mac| mac.to_string()),
            record.called_station,
            column::octets(record.input_octets),
            column::octets(record.output_octets),
            record.session_secs,
            record.terminate_cause,
            column::signed(record.event_at, "event_at")?,
            column::signed(record.received_at, "received_at")?,
        ])?;
        if added > 0 {
            session::apply(db, record)?;
        }
    }
    Ok(())
}
