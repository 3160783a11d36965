//! Nothing secret in database, logs and traffic while devices ask for credentials: `bench portal`'s search, on the
//! program that the other cases test, in a network namespace of its own.

use std::thread;

use anyhow::{Result, anyhow, ensure};
use nix::unistd::Uid;

use super::{Limits, Task};
use crate::{bench, workshop};

/// One case.
pub(super) fn tasks() -> Vec<Task> {
    vec![Task::new("secrets under load", |_| nothing())]
}

fn nothing() -> Result<Limits> {
    if !Uid::effective().is_root() {
        return Ok(vec!["a network namespace is root's to make: nothing was searched".to_owned()]);
    }
    // A thread of its own: the namespace is the thread's, and of all that it starts.
    let found = thread::scope(|scope| {
        let search = scope.spawn(|| bench::secrets_under_load(&workshop::cache("leaks-work")?));
        search.join().map_err(|_| anyhow!("a thread died"))?
    })?;
    ensure!(found.is_empty(), "{}", found.join("\n"));
    Ok(Limits::new())
}
