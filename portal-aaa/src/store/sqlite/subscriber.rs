//! Table `subscriber`: who may have credentials.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{column, policy, rotation};
use crate::store::{
    Change, Entitlement, Handle, Listing, Sealed, StoreError, SubscriberEntry, SubscriberRecord,
    SubscriberState, rotation::Which,
};

const COLUMNS: &str = "imsi, imsi_sealed, msisdn, msisdn_sealed, state, member_of, created_at, changed_at";

pub(super) fn put_all(db: &Connection, entries: &[SubscriberEntry], now: u64) -> Result<Listing, StoreError> {
    let mut before = Vec::with_capacity(entries.len());
    for entry in entries {
        before.push(find(db, entry.imsi)?);
    }
    // First all numbers are let go, so that two of the entries may have exchanged theirs.
    for (entry, old) in entries.iter().zip(&before) {
        if old.as_ref().is_some_and(|old| entry.msisdn.is_some() && old.msisdn != entry.msisdn) {
            db.prepare_cached("UPDATE subscriber SET msisdn = NULL, msisdn_sealed = NULL WHERE imsi = ?1")?
                .execute([entry.imsi.0])?;
        }
    }
    let (mut listing, mut regrouped) = (Listing::default(), false);
    for (position, (entry, old)) in entries.iter().zip(before).enumerate() {
        if let Some((msisdn, _)) = &entry.msisdn
            && find_by_msisdn(db, *msisdn)?.is_some_and(|holder| holder.imsi != entry.imsi)
        {
            return Err(StoreError::Taken { position });
        }
        let new = SubscriberRecord {
            imsi: entry.imsi,
            imsi_sealed: entry.imsi_sealed.clone(),
            msisdn: entry.msisdn.clone().or_else(|| old.as_ref().and_then(|old| old.msisdn.clone())),
            state: entry.state.or(old.as_ref().map(|old| old.state)).unwrap_or(SubscriberState::Allow),
            group: entry
                .group
                .clone()
                .or_else(|| old.as_ref().map(|old| old.group.clone()))
                .unwrap_or_default(),
            created_at: old.as_ref().map_or(now, |old| old.created_at),
            changed_at: now,
        };
        regrouped |= old.as_ref().map_or("", |old| &old.group) != new.group;
        match &old {
            None => listing.created += 1,
            Some(old) if SubscriberRecord { changed_at: old.changed_at, ..new.clone() } == *old => {
                listing.unchanged += 1;
            }
            Some(_) => listing.updated += 1,
        }
        write(db, &new)?;
        // Also where nothing changed: whoever says it again wants it to be so.
        if new.state != SubscriberState::Allow {
            listing.revoked += revoke_all(db, entry.imsi, now)?;
        }
    }
    // Other policies now: the version that devices are told must not stand still, nor go back.
    if regrouped {
        policy::count(db)?;
    }
    Ok(listing)
}

pub(super) fn remove(
    db: &Connection,
    imsi: Handle,
    revoke: bool,
    now: u64,
) -> Result<(Change, u64), StoreError> {
    let Some(old) = find(db, imsi)? else { return Ok((Change::Missing, 0)) };
    db.prepare_cached("DELETE FROM subscriber WHERE imsi = ?1")?.execute([imsi.0])?;
    if !old.group.is_empty() {
        policy::count(db)?;
    }
    Ok((Change::Updated, if revoke { revoke_all(db, imsi, now)? } else { 0 }))
}

/// Whether a credential may be written for him; asked in the transaction that writes it, so that nobody slips through
/// while he is being suspended.
pub(super) fn entitled(
    db: &Connection,
    subscriber: Handle,
    entitlement: Entitlement,
) -> Result<(), StoreError> {
    let state: Option<String> = db
        .prepare_cached("SELECT state FROM subscriber WHERE imsi = ?1")?
        .query_row([subscriber.0], |row| row.get(0))
        .optional()?;
    match (state.as_deref(), entitlement) {
        (Some("allow"), _) | (None, Entitlement::Any) => Ok(()),
        (None, Entitlement::Listed) => Err(StoreError::NotEntitled { why: "subscriber-unlisted" }),
        (Some("suspended"), _) => Err(StoreError::NotEntitled { why: "subscriber-suspended" }),
        (Some(_), _) => Err(StoreError::NotEntitled { why: "subscriber-denied" }),
    }
}

pub(super) fn find(db: &Connection, imsi: Handle) -> Result<Option<SubscriberRecord>, StoreError> {
    one(db, "imsi", imsi)
}

pub(super) fn find_by_msisdn(
    db: &Connection,
    msisdn: Handle,
) -> Result<Option<SubscriberRecord>, StoreError> {
    one(db, "msisdn", msisdn)
}

pub(super) fn all(db: &Connection, each: &mut dyn FnMut(SubscriberRecord)) -> Result<(), StoreError> {
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM subscriber"))?;
    for row in statement.query_map([], |row| Ok(read(row)))? {
        each(row??);
    }
    Ok(())
}

fn one(db: &Connection, column: &str, handle: Handle) -> Result<Option<SubscriberRecord>, StoreError> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM subscriber WHERE {column} = ?1"))?
        .query_row([handle.0], |row| Ok(read(row)))
        .optional()?
        .transpose()
}

fn write(db: &Connection, record: &SubscriberRecord) -> Result<(), StoreError> {
    let (msisdn, msisdn_sealed) =
        record.msisdn.as_ref().map(|(handle, sealed)| (handle.0, &sealed.0)).unzip();
    db.prepare_cached(&format!(
        "INSERT OR REPLACE INTO subscriber ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
    ))?
    .execute(params![
        record.imsi.0,
        record.imsi_sealed.0,
        msisdn,
        msisdn_sealed,
        record.state.word(),
        record.group,
        column::signed(record.created_at, "created_at")?,
        column::signed(record.changed_at, "changed_at")?,
    ])?;
    Ok(())
}

fn revoke_all(db: &Connection, subscriber: Handle, now: u64) -> Result<u64, StoreError> {
    rotation::revoke(db, &Which::Subscriber(subscriber), now)
}

fn read(row: &Row<'_>) -> Result<SubscriberRecord, StoreError> {
    let handle = |column: usize, what| -> Result<Option<Handle>, StoreError> {
        row.get::<_, Option<Vec<u8>>>(column)?.map(|octets| column::handle(&octets, what)).transpose()
    };
    let state: String = row.get(4)?;
    let sealed: Option<Vec<u8>> = row.get(3)?;
    Ok(SubscriberRecord {
        imsi: handle(0, "subscriber.imsi")?.ok_or(StoreError::Corrupt { what: "subscriber.imsi" })?,
        imsi_sealed: Sealed(row.get(1)?),
        msisdn: handle(2, "subscriber.msisdn")?.zip(sealed.map(Sealed)),
        state: SubscriberState::of_word(&state).ok_or(StoreError::Corrupt { what: "subscriber.state" })?,
        group: row.get(5)?,
        created_at: column::unsigned(row.get(6)?, "subscriber.created_at")?,
        changed_at: column::unsigned(row.get(7)?, "subscriber.changed_at")?,
    })
}
