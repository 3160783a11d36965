//! From reports to sessions: what a report means for the session it is about. Pure; the store calls it in the
//! transaction that keeps the report.
//!
//! Reports are lost, late and out of order, and session numbers begin anew when an access point restarts. So each
//! report is weighed by when it happened, a session never loses octets that were reported, and whatever had to be
//! mended is marked as corrected. Accounting-On and -Off, the newer session of the same station and silence are
//! the store's to find: they are about many sessions.

use super::record::status;
use crate::store::{AccountingRecord, ClosedBy, SessionRecord};

/// Clocks that count seconds, and reports that take some to be sent, disagree by this much.
pub const SLACK_SECS: u64 = 5;

/// What a report comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folded {
    /// The known session, changed.
    Same(SessionRecord),
    /// Another session; the known one is over if it was open.
    New {
        /// The known one, closed now.
        over: Option<Box<SessionRecord>>,
        /// The new one.
        session: SessionRecord,
    },
}

/// Whether the table of sessions is about this report.
pub fn is_about_a_session(report: &AccountingRecord) -> bool {
    matches!(report.status, status::START | status::INTERIM | status::STOP)
}

/// Applies a Start, Interim-Update or Stop. `known` is the session of this number that was current when it happened,
/// or the first one after it.
pub fn fold(known: Option<SessionRecord>, report: &AccountingRecord) -> Folded {
    match known {
        Some(known) if belongs(&known, report) => Folded::Same(applied(known, report)),
        Some(known) if known.ended_at.is_none() && known.started_at <= report.event_at => {
            let mut over = known;
            close(&mut over, ClosedBy::NewerSession);
            Folded::New { over: Some(Box::new(over)), session: begun(report) }
        }
        _ => Folded::New { over: None, session: begun(report) },
    }
}

/// Ends a session whose Stop never came, with what was last known of it.
pub fn close(session: &mut SessionRecord, by: ClosedBy) {
    session.ended_at = Some(session.updated_at);
    session.closed_by = Some(by);
    session.corrected = true;
}

/// Whether a report is about this session, and not about another one of the same number.
fn belongs(known: &SessionRecord, report: &AccountingRecord) -> bool {
    let at = report.event_at;
    if report.status == status::START {
        // A second Start of one session is a repetition, but for one that was begun by what came before its Start.
        let repeated = at <= known.started_at.saturating_add(SLACK_SECS)
            && at.saturating_add(SLACK_SECS) >= known.started_at;
        return repeated || (!known.started && at <= known.last());
    }
    // Without Acct-Session-Time nothing tells when it began.
    let began = (report.session_secs > 0).then(|| at.saturating_sub(u64::from(report.session_secs)));
    match (known.ended_at, known.closed_by) {
        (None, _) => began.is_none_or(|began| began <= known.last().saturating_add(SLACK_SECS)),
        (Some(end), _) if at <= end => at.saturating_add(SLACK_SECS) >= known.started_at,
        (Some(end), Some(ClosedBy::Stop)) => match began {
            Some(began) => {
                began < end && at <= end.saturating_add(SLACK_SECS) || near(began, known.started_at)
            }
            None => at <= end.saturating_add(SLACK_SECS),
        },
        // Its end was a guess.
        (Some(end), _) => began.is_none_or(|began| began <= end),
    }
}

fn near(a: u64, b: u64) -> bool {
    a.abs_diff(b) <= SLACK_SECS
}

fn begun(report: &AccountingRecord) -> SessionRecord {
    let at = report.event_at;
    let is_start = report.status == status::START;
    let started_at = if is_start { at } else { at.saturating_sub(u64::from(report.session_secs)) };
    let stopped = report.status == status::STOP;
    SessionRecord {
        kind: report.kind,
        client: report.client.clone(),
        session_id: report.session_id.clone(),
        multi_session_id: report.multi_session_id.clone(),
        class: report.class,
        username: report.username.clone(),
        subscriber: report.subscriber,
        stamp: report.stamp,
        mac: report.mac,
        calling_station: report.calling_station.clone(),
        called_station: report.called_station.clone(),
        ssid: report.ssid.clone(),
        place: report.place.clone().or_else(|| report.nas_identifier.clone()),
        nas_identifier: report.nas_identifier.clone(),
        nas_address: report.nas_address,
        address: report.address,
        input_octets: report.input_octets,
        output_octets: report.output_octets,
        session_secs: report.session_secs,
        started_at,
        updated_at: at,
        heard_at: report.received_at,
        ended_at: stopped.then_some(at),
        started: is_start,
        interims: report.status == status::INTERIM,
        terminate_cause: report.terminate_cause.filter(|_| stopped),
        closed_by: stopped.then_some(ClosedBy::Stop),
        // Its Start was lost, or is on its way.
        corrected: !is_start,
    }
}

fn applied(mut known: SessionRecord, report: &AccountingRecord) -> SessionRecord {
    let at = report.event_at;
    let late = at < known.updated_at;
    learn(&mut known, report);
    let (input, output) = (report.input_octets, report.output_octets);
    // RFC 2866 §5.3: octets over the course of the session; they only grow. A report that says less is late, or its
    // access point has lost count.
    let less = input < known.input_octets || output < known.output_octets;
    let start = report.status == status::START;
    known.corrected |= late || (less && !start);
    known.input_octets = known.input_octets.max(input);
    known.output_octets = known.output_octets.max(output);
    known.session_secs = known.session_secs.max(report.session_secs);
    known.updated_at = known.updated_at.max(at);
    known.heard_at = known.heard_at.max(report.received_at);
    match report.status {
        status::START => {
            known.started_at = if known.started { known.started_at.min(at) } else { at };
            known.started = true;
        }
        status::STOP => {
            let was_a_guess = known.closed_by.is_some_and(|by| by != ClosedBy::Stop);
            known.corrected |= known.ended_at.is_some();
            known.ended_at =
                if was_a_guess { Some(at) } else { Some(known.ended_at.map_or(at, |end| end.max(at))) };
            known.closed_by = Some(ClosedBy::Stop);
            known.terminate_cause = report.terminate_cause.or(known.terminate_cause);
        }
        _ => {
            known.interims = true;
            // It lives: its end was guessed wrong. A session that gave way to another of its station does not return.
            let lives =
                matches!(known.closed_by, Some(ClosedBy::Silence | ClosedBy::NasOn | ClosedBy::NasOff));
            if lives && known.ended_at.is_some_and(|end| at > end) {
                (known.ended_at, known.closed_by) = (None, None);
                known.corrected = true;
            }
        }
    }
    known
}

/// What one report says and another does not.
fn learn(known: &mut SessionRecord, report: &AccountingRecord) {
    fn fill<T: Clone>(slot: &mut Option<T>, value: &Option<T>) {
        if slot.is_none() {
            slot.clone_from(value);
        }
    }
    // Known to us beats told by the access point, which may tell the outer identity.
    if report.subscriber.is_some() {
        known.subscriber = report.subscriber;
        known.stamp = report.stamp;
        known.username = report.username.clone().or_else(|| known.username.take());
    }
    known.class = report.class.or(known.class);
    fill(&mut known.username, &report.username);
    fill(&mut known.multi_session_id, &report.multi_session_id);
    fill(&mut known.mac, &report.mac);
    fill(&mut known.calling_station, &report.calling_station);
    fill(&mut known.called_station, &report.called_station);
    fill(&mut known.ssid, &report.ssid);
    fill(&mut known.place, &report.place);
    fill(&mut known.place, &report.nas_identifier);
    fill(&mut known.nas_identifier, &report.nas_identifier);
    fill(&mut known.nas_address, &report.nas_address);
    fill(&mut known.address, &report.address);
}

#[cfg(test)]
mod tests;
