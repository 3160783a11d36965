//! Table `session`: sessions folded from the reports of access points and packet gateways.

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row, params};

use super::column;
use crate::{
    aaa::directory::Subscriber,
    accounting::{
        fold::{self, Folded, SLACK_SECS},
        record::status,
    },
    store::{AccountingRecord, ClientKind, ClosedBy, SessionRecord, Silence, StoreError},
};

pub(super) const COLUMNS: &str = "kind, client, session_id, multi_session_id, class, username, subscriber, stamp, \
    mac, calling_station, called_station, ssid, place, nas_identifier, nas_address, address, input_octets, \
    output_octets, session_secs, started_at, updated_at, heard_at, ended_at, started, interims, terminate_cause, \
    closed_by, corrected";

/// Takes in a report that was not known before.
pub(super) fn apply(db: &Connection, report: &AccountingRecord) -> Result<(), StoreError> {
    if matches!(report.status, status::ON | status::OFF) {
        return restarted(db, report);
    }
    if !fold::is_about_a_session(report) {
        return Ok(());
    }
    let (id, known) = find(db, report)?.unzip();
    let was_open = known.as_ref().is_some_and(|known| known.ended_at.is_none());
    match fold::fold(known, report) {
        Folded::Same(mut session) => {
            if let Some(id) = id {
                // Of one number one session can be open; a late report does not open a second.
                let opened = session.ended_at.is_none() && !was_open;
                if opened && other_is_open(db, id, &session)? {
                    fold::close(&mut session, ClosedBy::NewerSession);
                }
                change(db, id, &session)?;
                if session.ended_at.is_none() && (opened || report.status == status::START) {
                    supersede(db, id, &session)?;
                }
            }
        }
        Folded::New { over, mut session } => {
            if let (Some(id), Some(over)) = (id, over) {
                change(db, id, &over)?;
            }
            if session.ended_at.is_none() && other_is_open(db, 0, &session)? {
                fold::close(&mut session, ClosedBy::NewerSession);
            }
            let id = insert(db, &session)?;
            if session.ended_at.is_none() {
                supersede(db, id, &session)?;
            }
        }
    }
    Ok(())
}

/// The session of the report's number that was current when it happened, else one after it that lacks its Start.
fn find(db: &Connection, report: &AccountingRecord) -> Result<Option<(i64, SessionRecord)>, StoreError> {
    let number = params![
        kind(report.kind),
        report.client,
        report.session_id,
        column::signed(report.event_at.saturating_add(SLACK_SECS), "event_at")?,
    ];
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>(28)?, read(row)));
    let mut current = db.prepare_cached(&format!(
        "SELECT {COLUMNS}, id FROM session WHERE kind = ?1 AND client = ?2 AND session_id = ?3 AND started_at <= ?4
         ORDER BY started_at DESC, id DESC LIMIT 1"
    ))?;
    let mut found = current.query_row(number, read).optional()?;
    if found.is_none() {
        let mut later = db.prepare_cached(&format!(
            "SELECT {COLUMNS}, id FROM session WHERE kind = ?1 AND client = ?2 AND session_id = ?3
             AND started_at > ?4 AND NOT started ORDER BY started_at LIMIT 1"
        ))?;
        found = later.query_row(number, read).optional()?;
    }
    found.map(|(id, session)| Ok((id, session?))).transpose()
}

fn other_is_open(db: &Connection, id: i64, session: &SessionRecord) -> Result<bool, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT 1 FROM session WHERE kind = ?1 AND client = ?2 AND session_id = ?3 AND ended_at IS NULL AND id <> ?4",
    )?;
    Ok(statement.exists(params![kind(session.kind), session.client, session.session_id, id])?)
}

/// A station has one session at an access point: what was open and not heard of since is over, its Stop lost.
fn supersede(db: &Connection, id: i64, session: &SessionRecord) -> Result<(), StoreError> {
    let (ClientKind::Nas, Some(mac)) = (session.kind, session.mac) else { return Ok(()) };
    db.prepare_cached(
        "UPDATE session SET ended_at = updated_at, closed_by = 'newer-session', corrected = 1
         WHERE client = ?1 AND mac = ?2 AND ended_at IS NULL AND kind = 'nas' AND id <> ?3
         AND started_at <= ?4 AND updated_at <= ?5",
    )?
    .execute(params![
        session.client,
        mac.to_string(),
        id,
        column::signed(session.started_at, "started_at")?,
        column::signed(session.updated_at, "updated_at")?,
    ])?;
    Ok(())
}

/// RFC 2866 §5.1: On and Off bound the time in which the client's sessions were.
fn restarted(db: &Connection, report: &AccountingRecord) -> Result<(), StoreError> {
    let at = column::signed(report.event_at, "event_at")?;
    // A client that goes down says when; one that is up again does not say when it had gone.
    let (end, by) =
        if report.status == status::OFF { ("?3", ClosedBy::NasOff) } else { ("updated_at", ClosedBy::NasOn) };
    db.prepare_cached(&format!(
        "UPDATE session SET ended_at = {end}, closed_by = '{}', corrected = 1
         WHERE kind = ?1 AND client = ?2 AND ended_at IS NULL AND updated_at <= ?3",
        by.word()
    ))?
    .execute(params![kind(report.kind), report.client, at])?;
    Ok(())
}

/// Ends up to `most` sessions of which nothing was heard for too long.
pub(super) fn close_silent(
    db: &Connection,
    now: u64,
    silence: Silence,
    most: u32,
) -> Result<usize, StoreError> {
    let before = |secs: u64| column::signed(now.saturating_sub(secs), "now");
    let shorter = silence.reporting_secs.min(silence.other_secs);
    Ok(db
        .prepare_cached(
            "UPDATE session SET ended_at = updated_at, closed_by = 'silence', corrected = 1 WHERE id IN (
                 SELECT id FROM session WHERE ended_at IS NULL AND heard_at < ?1
                 AND heard_at < CASE WHEN interims AND kind = 'nas' THEN ?2 ELSE ?3 END ORDER BY heard_at LIMIT ?4)",
        )?
        .execute(params![before(shorter)?, before(silence.reporting_secs)?, before(silence.other_secs)?, most])?)
}

/// Forgets up to `most` sessions that ended before, and as many reports that came before. Gives how many went.
pub(super) fn prune(db: &Connection, before: u64, most: u32) -> Result<usize, StoreError> {
    let before = column::signed(before, "before")?;
    let mut gone = 0;
    for kind in ["nas", "gateway"] {
        gone += db
            .prepare_cached(
                "DELETE FROM session WHERE id IN (SELECT id FROM session WHERE kind = ?1
                 AND coalesce(ended_at, updated_at) < ?2 AND ended_at IS NOT NULL LIMIT ?3)",
            )?
            .execute(params![kind, before, most])?;
    }
    // Reports are numbered in the order of their arrival: the oldest are first.
    gone += db
        .prepare_cached(
            "DELETE FROM accounting WHERE received_at < ?1
             AND id IN (SELECT id FROM accounting ORDER BY id LIMIT ?2)",
        )?
        .execute(params![before, most])?;
    Ok(gone)
}

/// Calls `each` for every open session of an access point.
pub(super) fn open(db: &Connection, each: &mut dyn FnMut(SessionRecord)) -> Result<(), StoreError> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM session WHERE kind = 'nas' AND ended_at IS NULL ORDER BY client, session_id"
    ))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        each(read(row)?);
    }
    Ok(())
}

fn insert(db: &Connection, session: &SessionRecord) -> Result<i64, StoreError> {
    let statement = db.prepare_cached(&format!(
        "INSERT INTO session ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
         ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28)"
    ))?;
    write(statement, session, None)?;
    Ok(db.last_insert_rowid())
}

fn change(db: &Connection, id: i64, session: &SessionRecord) -> Result<(), StoreError> {
    let statement = db.prepare_cached(&format!(
        "UPDATE session SET ({COLUMNS}) = (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
         ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28) WHERE id = ?29"
    ))?;
    write(statement, session, Some(id))
}

fn write(
    mut statement: CachedStatement<'_>,
    session: &SessionRecord,
    id: Option<i64>,
) -> Result<(), StoreError> {
    let time = |at: u64, what| column::signed(at, what);
    let values = params![
        kind(session.kind),
        session.client,
        session.session_id,
        session.multi_session_id,
        session.class,
        session.username,
        session.subscriber.map(|subscriber| subscriber.0),
        // Only ever compared: the sign does not matter.
        session.stamp.cast_signed(),
        session.mac.map(|mac| mac.to_string()),
        session.calling_station,
        session.called_station,
        session.ssid,
        session.place,
        session.nas_identifier,
        session.nas_address.map(|address| address.to_string()),
        session.address.map(|address| address.to_string()),
        column::octets(session.input_octets),
        column::octets(session.output_octets),
        session.session_secs,
        time(session.started_at, "started_at")?,
        time(session.updated_at, "updated_at")?,
        time(session.heard_at, "heard_at")?,
        session.ended_at.map(|at| time(at, "ended_at")).transpose()?,
        session.started,
        session.interims,
        session.terminate_cause,
        session.closed_by.map(ClosedBy::word),
        session.corrected,
    ];
    match id {
        None => statement.execute(values)?,
        Some(id) => statement.execute(&*[values, &[&id]].concat())?,
    };
    Ok(())
}

pub(super) fn kind(kind: ClientKind) -> &'static str {
    match kind {
        ClientKind::Nas => "nas",
        ClientKind::Gateway => "gateway",
    }
}

/// Reads [`COLUMNS`] from the first column on.
pub(super) fn read(row: &Row<'_>) -> Result<SessionRecord, StoreError> {
    let text = |column: usize| row.get::<_, Option<String>>(column);
    let address = |column: usize, what| text(column)?.map(|text| column::address(&text, what)).transpose();
    let number = |column: usize, what| column::unsigned(row.get(column)?, what);
    let closed_by = text(26)?.map(|word| word.parse::<ClosedBy>()).transpose();
    Ok(SessionRecord {
        kind: match row.get_ref(0)?.as_str().unwrap_or_default() {
            "nas" => ClientKind::Nas,
            "gateway" => ClientKind::Gateway,
            _ => return Err(StoreError::Corrupt { what: "session.kind" }),
        },
        client: row.get(1)?,
        session_id: row.get(2)?,
        multi_session_id: text(3)?,
        class: row.get(4)?,
        username: text(5)?,
        subscriber: row.get::<_, Option<[u8; 6]>>(6)?.map(Subscriber),
        stamp: row.get::<_, i64>(7)?.cast_unsigned(),
        mac: text(8)?.map(|mac| column::mac(&mac, "session.mac")).transpose()?,
        calling_station: text(9)?,
        called_station: text(10)?,
        ssid: text(11)?,
        place: text(12)?,
        nas_identifier: text(13)?,
        nas_address: address(14, "session.nas_address")?,
        address: address(15, "session.address")?,
        input_octets: number(16, "session.input_octets")?,
        output_octets: number(17, "session.output_octets")?,
        session_secs: row.get(18)?,
        started_at: number(19, "session.started_at")?,
        updated_at: number(20, "session.updated_at")?,
        heard_at: number(21, "session.heard_at")?,
        ended_at: row
            .get::<_, Option<i64>>(22)?
            .map(|at| column::unsigned(at, "session.ended_at"))
            .transpose()?,
        started: row.get(23)?,
        interims: row.get(24)?,
        terminate_cause: row.get(25)?,
        closed_by: closed_by.map_err(|_| StoreError::Corrupt { what: "session.closed_by" })?,
        corrected: row.get(27)?,
    })
}
