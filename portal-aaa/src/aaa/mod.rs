//! Who may log on: one Access-Request in, one answer out.
//!
//! A request passes [`guard`] (is it from who it says), then [`engine`] takes it to its EAP conversation in
//! [`sessions`], asks the [`directory`] who the peer is, and builds the answer. Pure: time and random octets come
//! in as arguments; sockets and clock are in [`crate::server`].

mod answer;
mod conversation;
pub mod directory;
pub mod engine;
pub mod guard;
mod log;
pub mod method;
mod plain;
pub mod policy;
pub mod sessions;

use std::time::Duration;

/// The two times a login needs, read once per request by the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since the program's start; never goes back. For time limits.
    pub monotonic: Duration,
    /// Seconds since 1970. For what people and credentials mean by time.
    pub unix: u64,
}
