//! Where log lines go and how they look: text for people, JSON lines for machines.

use std::fmt;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    filter::Targets,
    fmt::{format::Writer, time::FormatTime},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
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

/// Starts logging to standard error; `filter` as in `RUST_LOG`, such as `info` or `info,agent=debug`, without what
/// `EnvFilter` knows beyond targets and levels: its regular expressions would be a fiftieth of the daemon's memory.
pub fn start(format: Format, filter: &str) {
    let filter = filter.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false)
        // A full disk behind stderr must not end the daemon, which telling of it there would do.
        .log_internal_errors(false);
    let filtered = tracing_subscriber::registry().with(filter);
    match format {
        Format::Text => filtered.with(lines.with_ansi(false).with_timer(Millis)).init(),
        Format::Json => filtered.with(lines.json().flatten_event(true).with_timer(Millis)).init(),
    }
}

/// Milliseconds since 1970: two logs of one machine can be laid side by side.
struct Millis;

impl FormatTime for Millis {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", clock::unix_time().as_millis())
    }
}
