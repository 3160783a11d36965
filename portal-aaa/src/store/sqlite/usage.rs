//! What is asked of table `session` for billing: sessions of an interval, and their sums.

use std::ops::ControlFlow;

use rusqlite::{Connection, params};

use super::{column, session};
use crate::store::{By, StoreError, Total, Usage};

/// What the same subscriber's packet gateway sessions of the interval count.
const CELLULAR: &str = "FROM session g WHERE g.subscriber = s.subscriber AND g.kind = 'gateway'
    AND coalesce(g.ended_at, g.updated_at) >= ?1 AND coalesce(g.ended_at, g.updated_at) < ?2";

/// Calls `each` for the sessions of `from <= t < to`, `t` being the end or, of an open session, the last report; in that
/// order. One snapshot: what is written meanwhile is not seen.
pub(super) fn sessions(
    db: &Connection,
    from: u64,
    to: u64,
    each: &mut dyn FnMut(Usage) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let columns = session::COLUMNS.split(", ").map(|name| format!("s.{}", name.trim())).collect::<Vec<_>>();
    let mut statement = db.prepare(&format!(
        "SELECT {}, (SELECT sum(g.input_octets) {CELLULAR}), (SELECT sum(g.output_octets) {CELLULAR})
         FROM session s WHERE s.kind = 'nas' AND coalesce(s.ended_at, s.updated_at) >= ?1
         AND coalesce(s.ended_at, s.updated_at) < ?2 ORDER BY coalesce(s.ended_at, s.updated_at)",
        columns.join(", ")
    ))?;
    let mut rows = statement.query(params![column::clamped(from), column::clamped(to)])?;
    while let Some(row) = rows.next()? {
        let usage = Usage { session: session::read(row)?, cellular: cellular(row.get(28)?, row.get(29)?)? };
        if each(usage).is_break() {
            break;
        }
    }
    Ok(())
}

/// Sums of the same sessions, the largest first.
pub(super) fn totals(db: &Connection, from: u64, to: u64, by: By) -> Result<Vec<Total>, StoreError> {
    let key = match by {
        By::Subscriber => "lower(hex(s.subscriber))",
        By::Place => "coalesce(s.place, s.client)",
        By::Nas => "s.client",
        By::Ssid => "s.ssid",
        By::Day => "date(coalesce(s.ended_at, s.updated_at), 'unixepoch')",
    };
    let (input, output) = match by {
        By::Subscriber => (
            format!("(SELECT sum(g.input_octets) {CELLULAR})"),
            format!("(SELECT sum(g.output_octets) {CELLULAR})"),
        ),
        _ => ("NULL".to_owned(), "NULL".to_owned()),
    };
    // `total` and not `sum`: many sessions of the largest count must not end the query.
    let mut statement = db.prepare(&format!(
        "SELECT nullif({key}, '') AS of, count(*), total(s.session_secs), total(s.input_octets),
         total(s.output_octets), {input}, {output}
         FROM session s WHERE s.kind = 'nas' AND coalesce(s.ended_at, s.updated_at) >= ?1
         AND coalesce(s.ended_at, s.updated_at) < ?2
         GROUP BY of ORDER BY total(s.input_octets) + total(s.output_octets) DESC, of"
    ))?;
    let mut rows = statement.query(params![column::clamped(from), column::clamped(to)])?;
    let mut totals = Vec::new();
    while let Some(row) = rows.next()? {
        totals.push(Total {
            of: row.get(0)?,
            sessions: column::unsigned(row.get(1)?, "count")?,
            secs: column::whole(row.get(2)?),
            input_octets: column::whole(row.get(3)?),
            output_octets: column::whole(row.get(4)?),
            cellular: cellular(row.get(5)?, row.get(6)?)?,
        });
    }
    Ok(totals)
}

fn cellular(input: Option<i64>, output: Option<i64>) -> Result<Option<(u64, u64)>, StoreError> {
    let octets = |count| column::unsigned(count, "session.octets");
    Ok(match (input, output) {
        (Some(input), Some(output)) => Some((octets(input)?, octets(output)?)),
        _ => None,
    })
}
