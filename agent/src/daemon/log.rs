//! Where log lines go and how they look: text for people, JSON lines for machines.

use std::fmt;

use tracing_subscriber::{
    EnvFilter,
    fmt::{format::Writer, time::FormatTime},
};

use super::clock;

/// Shape of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people and journald.
    Text,
    /// One JSON object a line, time in milliseconds since 1970.
    Json,
}

/// Starts logging to standard error; `filter` as in `RUST_LOG`, such as `info` or `agent=debug`.
pub fn start(format: Format, filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        // A full disk behind stderr must not end the daemon, which telling of it there would do.
        .log_internal_errors(false);
    match format {
        Format::Text => builder.with_ansi(false).with_timer(Millis).init(),
        Format::Json => builder.json().flatten_event(true).with_timer(Millis).init(),
    }
}

/// Milliseconds since 1970: two logs of one machine can be laid side by side.
struct Millis;

impl FormatTime for Millis {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", clock::unix_time().as_millis())
    }
}
