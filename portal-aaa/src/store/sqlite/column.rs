//! Columns to values and back: what a row may not hold is an error that names the column.

use std::{net::IpAddr, str::FromStr};

use provisioning::identity::Mac;

use crate::store::{Handle, StoreError};

/// SQLite's integers have a sign.
pub(super) fn signed(value: u64, what: &'static str) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Database(format!("{what} is out of range")))
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
