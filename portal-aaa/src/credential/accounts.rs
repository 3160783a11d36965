//! Accounts made by hand, in memory: opened once when they are read, found by name at login.

use std::{collections::HashMap, sync::Arc};

use provisioning::{identity::Mac, secret::Password};

use super::{Keys, Purpose};
use crate::{
    aaa::{directory::Subscriber, method::Methods},
    store::AccountRecord,
};

/// One account.
pub(super) struct Account {
    pub(super) name: Arc<str>,
    pub(super) password: Password,
    pub(super) mac: Option<Mac>,
    pub(super) methods: Methods,
    pub(super) ssids: Vec<String>,
    pub(super) nas: Vec<String>,
    pub(super) vlan: Option<u16>,
    pub(super) max_sessions: Option<u32>,
    pub(super) disabled: bool,
    pub(super) subscriber: Subscriber,
    /// Another when password or restrictions change.
    pub(super) stamp: u64,
}

/// All of them.
#[derive(Default)]
pub(super) struct Accounts(HashMap<Arc<str>, Account>);

impl Accounts {
    /// An account whose password does not open is left out and named in the log: the others still work.
    pub(super) fn open(keys: &Keys, rows: Vec<AccountRecord>) -> Self {
        let accounts = rows.into_iter().filter_map(|row| {
            let password = keys.open(Purpose::Account, &row.name, &row.password).ok();
            let password =
                password.and_then(|octets| String::from_utf8(octets.to_vec()).ok()).map(Password::new);
            let (Some(password), Ok(methods)) = (password, row.methods.parse()) else {
                tracing::error!(event = "account-unusable", account = row.name);
                return None;
            };
            let name: Arc<str> = row.name.as_str().into();
            let account = Account {
                name: Arc::clone(&name),
                stamp: stamp(keys, &row),
                subscriber: subscriber(keys, &row.name),
                password,
                mac: row.mac,
                methods,
                ssids: row.ssids,
                nas: row.nas,
                vlan: row.vlan,
                max_sessions: row.max_sessions,
                disabled: row.disabled,
            };
            Some((name, account))
        });
        Self(accounts.collect())
    }

    /// By whole name; else, since peers of Windows' kind put their domain before it, by what follows the first
    /// backslash.
    pub(super) fn find(&self, name: &str) -> Option<&Account> {
        // Most installations have none, and a login of a token then costs nothing here.
        if self.0.is_empty() {
            return None;
        }
        self.0.get(name).or_else(|| self.0.get(name.split_once('\\')?.1))
    }
}

/// Not an identifier, the same as long as the name is.
fn subscriber(keys: &Keys, name: &str) -> Subscriber {
    let [a, b, c, d, e, f, ..] = keys.hash(b"account\0", name.as_bytes());
    Subscriber([a, b, c, d, e, f])
}

/// Sealing is deterministic, so the sealed password tells two passwords apart.
fn stamp(keys: &Keys, row: &AccountRecord) -> u64 {
    let mut text = row.password.0.clone();
    let mac = row.mac.map(|mac| mac.to_string()).unwrap_or_default();
    for part in [&mac, &row.methods, &row.ssids.join("\n"), &row.nas.join("\n")] {
        text.push(0);
        text.extend_from_slice(part.as_bytes());
    }
    let [a, b, c, d, e, f, g, h, ..] = keys.hash(b"account stamp\0", &text);
    // 0 is for sessions of no account.
    u64::from_be_bytes([a, b, c, d, e, f, g, h]).max(1)
}
