//! `offloadctl doctor`: walks the chain from the clock to the Internet and names its first broken link.
//!
//! `chain` decides (pure), `collect` looks, `show` makes lines (pure).

mod chain;
mod collect;
mod show;
#[cfg(test)]
mod tests;

use std::path::Path;

/// What was found.
pub(super) struct Answer {
    /// For standard output.
    pub(super) text: String,
    /// No link is broken.
    pub(super) good: bool,
}

/// Looks, decides, and gives the text. `bus` is the bus's address, none for the system's.
pub(super) async fn run(bus: Option<&str>, config: &Path, json: bool) -> Answer {
    let facts = collect::facts(bus, config).await;
    let rows = chain::diagnose(&facts);
    let good = chain::first_broken(&rows).is_none();
    Answer { text: if json { show::json(&rows) } else { show::table(&rows) }, good }
}
