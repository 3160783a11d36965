//! Where log lines of `serve` go and how they look: text for people, JSON lines for machines.

use std::{fmt, io, time::SystemTime};

use tracing_subscriber::{
    EnvFilter,
    fmt::{format::Writer, time::FormatTime},
};

/// Shape of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people and journald.
    Text,
    /// One JSON object a line, time in milliseconds since 1970.
    Json,
}

/// Starts logging to standard error. `RUST_LOG` chooses what (default `info`).
pub(super) fn start(format: Format) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_target(false)
        // A full disk behind stderr must not end the server, which telling of it there would do.
        .log_internal_errors(false);
    match format {
        Format::Text => builder.with_ansi(false).init(),
        Format::Json => builder.json().flatten_event(true).with_timer(Millis).init(),
    }
}

/// As in the agent's log, so that the two can be laid side by side.
struct Millis;

impl FormatTime for Millis {
    #[expect(
        clippy::disallowed_methods,
        reason = "a log line is stamped when it is written; nothing is decided by it"
    )]
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        write!(writer, "{}", since.as_millis())
    }
}
