//! Checking at login: what the AAA asks of the credentials (feature-spec E3, E5, E15).
//!
//! [`crate::aaa`] calls [`Directory::check`] with the inner identity and [`Directory::consume`] when the
//! password has proved right. Only one-time use needs the database.

use data_encoding::HEXLOWER;

use super::{
    Authority,
    token::{Opened, Token},
};
use crate::aaa::{
    directory::{Asked, Directory, Login, Reject, Subscriber},
    method::Methods,
};

impl Directory for Authority {
    fn check(&self, now: u64, username: &str, asked: &Asked<'_>) -> Result<Login, Reject> {
        // RFC 7542 §2.2: the realm is what follows the last `@`.
        let (opaque, realm) = username.rsplit_once('@').ok_or(Reject::UnknownUser)?;
        if !realm.eq_ignore_ascii_case(&self.terms.realm) {
            return Err(Reject::UnknownUser);
        }
        let Opened { token, password } =
            Token::open(&self.keys, &self.terms.realm, opaque).map_err(|_| Reject::BadToken)?;
        let username = username.to_ascii_lowercase();
        if self.revoked.contains(&*self.store, now, &username) {
            return Err(Reject::Revoked);
        }
        let expires_at = token.expires_at();
        if expires_at.is_some_and(|end| now >= end) {
            return Err(Reject::Expired);
        }
        match (token.mac, asked.mac) {
            (Some(bound), Some(seen)) if bound != seen => return Err(Reject::WrongMac),
            (Some(_), None) => return Err(Reject::MacMissing),
            _ => {}
        }
        Ok(Login {
            username,
            password,
            expires_at,
            one_time: token.one_time,
            subscriber: Subscriber(token.subscriber),
            methods: Methods::ALL,
            policy: std::sync::Arc::default(),
        })
    }

    fn consume(&self, now: u64, login: &Login, session: &str) -> Result<(), Reject> {
        if !login.one_time {
            return Ok(());
        }
        match self.store.use_once(&login.username, session, now) {
            Ok(true) => Ok(()),
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
        let Some((opaque, _)) = username.rsplit_once('@') else { return Err(Reject::UnknownUser) };
        let Opened { token, .. } =
            Token::open(&self.keys, &self.terms.realm, opaque).map_err(|_| Reject::BadToken)?;
        if self.revoked.contains(&*self.store, now, &username.to_ascii_lowercase()) {
            return Err(Reject::Revoked);
        }
        if token.expires_at().is_some_and(|end| now >= end) { Err(Reject::Expired) } else { Ok(()) }
    }

    fn is_account(&self, _username: &str) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
