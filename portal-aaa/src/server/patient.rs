//! The directory as the threads that receive datagrams ask it: before the one question that waits for the disk, the
//! thread lets another receive. A login by a one-time credential must not hold up all others.

use std::sync::Arc;

use super::socket;
use crate::aaa::directory::{Asked, Directory, Login, Reject, Subscriber};

/// Asks the real one.
pub(super) struct Patient(pub(super) Arc<dyn Directory>);

impl Directory for Patient {
    fn check(&self, now: u64, username: &str, asked: &Asked<'_>) -> Result<Login, Reject> {
        self.0.check(now, username, asked)
    }

    fn consume(&self, now: u64, login: &Login, session: &str) -> Result<(), Reject> {
        if login.one_time {
            socket::step_aside();
        }
        self.0.consume(now, login, session)
    }

    fn chargeable_identity(&self, subscriber: Subscriber) -> String {
        self.0.chargeable_identity(subscriber)
    }

    fn standing(&self, now: u64, username: &str) -> Result<(), Reject> {
        self.0.standing(now, username)
    }

    fn is_account(&self, username: &str) -> bool {
        self.0.is_account(username)
    }
}
