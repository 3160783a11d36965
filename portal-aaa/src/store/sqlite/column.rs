//! Columns to values and back: what a row may not hold is an error that names the column.

use std::{net::IpAddr, str::FromStr};

use provisioning::identity::Mac;

use crate::store::{Handle, StoreError};

/// SQLite's integers have a sign.
pub(super) fn signed(value: u64, what: &'static str) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Database(format!("{what} is out of range")))
}

/// For a bound of a query: beyond what a column can hold is the last that it can.
pub(super) fn clamped(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A counter beyond what SQLite's integer holds (9 exabytes) stands at that; the report is not refused for it.
pub(super) fn octets(count: u64) -> i64 {
    clamped(count)
}

/// A sum, which SQLite gives as a floating-point number; exact up to 2^53.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sums of counters; `as` saturates"
)]
pub(super) fn whole(sum: f64) -> u64 {
    sum as u64
}

pub(super) fn unsigned(value: i64, what: &'static str) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::Corrupt { what })
}

pub(super) fn small(value: i64, what: &'static str) -> Result<u8, StoreError> {
    u8::try_from(value).map_err(|_| StoreError::Corrupt { what })
}

pub(super) fn address(text: &str, what: &'static str) -> Result<IpAddr, StoreError> {
    parsed(text, what)
}

pub(super) fn mac(text: &str, what: &'static str) -> Result<Mac, StoreError> {
    parsed(text, what)
}

pub(super) fn handle(octets: &[u8], what: &'static str) -> Result<Handle, StoreError> {
    octets.try_into().map(Handle).map_err(|_| StoreError::Corrupt { what })
}

fn parsed<T: FromStr>(text: &str, what: &'static str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt { what })
}
