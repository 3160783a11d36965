//! Checking at login: what the AAA asks of the credentials (feature-spec E3, E5, E15).
//!
//! [`crate::aaa`] calls [`Directory::check`] with the inner identity and [`Directory::consume`] when the
//! password has proved right; [`crate::accounting::live`] asks by [`Standings`] whether sessions may go on. Only
//! one-time use needs the database.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use provisioning::identity::Mac;

use super::{
    Authority,
    accounts::Account,
    rules,
    token::{self, Opened, Token},
};
use crate::{
    aaa::{
        directory::{Asked, Directory, Login, Reject, Subscriber},
        method::Methods,
        policy::SessionPolicy,
    },
    accounting::standing::{Standings, Whose},
    store::rotation::Why,
};

impl Directory for Authority {
    fn check(&self, now: u64, username: &str, asked: &Asked<'_>) -> Result<Login, Reject> {
        let book = self.book.page(&*self.store, &self.keys, now);
        if let Some(account) = book.accounts.find(username) {
            return self.account(now, account, asked);
        }
        let Opened { id, token, password } = self.open(username)?;
        if self.book.taken(&id).is_some() {
            return Err(Reject::Revoked);
        }
        let expires_at = token.expires_at();
        if expires_at.is_some_and(|end| now >= end) {
            return Err(Reject::Expired);
        }
        right_station(token.mac, asked.mac)?;
        self.rules.access.judge(asked)?;
        Ok(Login {
            username: username.to_ascii_lowercase(),
            password,
            expires_at,
            one_time: token.one_time,
            subscriber: Subscriber(token.subscriber),
            methods: Methods::ALL,
            policy: self.rules.policies.get(now, asked.client),
        })
    }

    fn consume(&self, now: u64, login: &Login, session: &str) -> Result<(), Reject> {
        if !login.one_time {
            self.firsts.note(&login.username);
            return Ok(());
        }
        match self.store.use_once(&login.username, session, now) {
            Ok(true) => {
                self.firsts.note(&login.username);
                Ok(())
            }
            Ok(false) => Err(Reject::AlreadyUsed),
            Err(error) => {
                tracing::error!(event = "use-once-failed", %error, "one-time credential refused");
                Err(Reject::DatabaseUnavailable)
            }
        }
    }

    fn chargeable_identity(&self, subscriber: Subscriber) -> String {
        let handle = self.keys.hash(b"cui\0", &subscriber.0);
        HEXLOWER.encode(handle.split_at(16).0)
    }

    fn standing(&self, now: u64, username: &str) -> Result<(), Reject> {
        let book = self.book.page(&*self.store, &self.keys, now);
        if let Some(account) = book.accounts.find(username) {
            return if account.disabled { Err(Reject::Revoked) } else { Ok(()) };
        }
        let Opened { id, token, .. } = self.open(username)?;
        if self.book.taken(&id).is_some() {
            return Err(Reject::Revoked);
        }
        if token.expires_at().is_some_and(|end| now >= end) { Err(Reject::Expired) } else { Ok(()) }
    }

    fn is_account(&self, username: &str) -> bool {
        self.book.last().accounts.find(username).is_some()
    }
}

impl Standings for Authority {
    fn generation(&self) -> u64 {
        self.book.last().generation
    }

    fn stamp(&self, login: &Login) -> u64 {
        match self.book.last().accounts.find(&login.username) {
            // Its password has changed since it was proved: a stamp that no account has.
            Some(account) if account.password != login.password => u64::MAX,
            Some(account) => account.stamp,
            None => 0,
        }
    }

    fn verdicts(
        &self,
        sessions: &mut dyn Iterator<Item = (u32, &str, u64)>,
        over: &mut dyn FnMut(u32, Reject),
    ) {
        let book = self.book.last();
        for (session, username, stamp) in sessions {
            let verdict = match book.accounts.find(username) {
                Some(account) if account.disabled => Err(Reject::Revoked),
                Some(account) if account.stamp != stamp => Err(Reject::Revoked),
                Some(_) => Ok(()),
                None if stamp != 0 => Err(Reject::UnknownUser),
                // It was genuine when the session began. One that was superseded is its device's still: the session goes
                // on, and the next login is by the newer one.
                None if token::id(username).is_some_and(|id| self.book.taken(&id) == Some(Why::Operator)) => {
                    Err(Reject::Revoked)
                }
                None => Ok(()),
            };
            if let Err(why) = verdict {
                over(session, why);
            }
        }
    }

    fn max_sessions(&self, username: &str) -> u32 {
        let of_account = self.book.last().accounts.find(username).and_then(|account| account.max_sessions);
        of_account.unwrap_or(self.rules.max_sessions)
    }

    fn whose(&self, username: &str) -> Option<Whose> {
        if let Some(account) = self.book.last().accounts.find(username) {
            return Some(Whose { subscriber: account.subscriber, expires_at: None, stamp: account.stamp });
        }
        let Opened { token, .. } = self.open(username).ok()?;
        Some(Whose { subscriber: Subscriber(token.subscriber), expires_at: token.expires_at(), stamp: 0 })
    }
}

impl Authority {
    pub(super) fn open(&self, username: &str) -> Result<Opened, Reject> {
        // RFC 7542 §2.2: the realm is what follows the last `@`.
        let (opaque, realm) = username.rsplit_once('@').ok_or(Reject::UnknownUser)?;
        if !realm.eq_ignore_ascii_case(&self.terms.realm) {
            return Err(Reject::UnknownUser);
        }
        Token::open(&self.keys, &self.terms.realm, opaque).map_err(|_| Reject::BadToken)
    }

    fn account(&self, now: u64, account: &Account, asked: &Asked<'_>) -> Result<Login, Reject> {
        if account.disabled {
            return Err(Reject::Revoked);
        }
        right_station(account.mac, asked.mac)?;
        rules::judge(&account.ssids, &account.nas, asked)?;
        let mut policy = self.rules.policies.get(now, asked.client);
        if account.vlan.is_some() {
            policy = Arc::new(SessionPolicy { vlan: account.vlan, ..(*policy).clone() });
        }
        Ok(Login {
            username: account.name.to_string(),
            password: account.password.clone(),
            expires_at: None,
            one_time: false,
            subscriber: account.subscriber,
            methods: account.methods,
            policy,
        })
    }
}

fn right_station(bound: Option<Mac>, seen: Option<Mac>) -> Result<(), Reject> {
    match (bound, seen) {
        (Some(bound), Some(seen)) if bound != seen => Err(Reject::WrongMac),
        (Some(_), None) => Err(Reject::MacMissing),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
