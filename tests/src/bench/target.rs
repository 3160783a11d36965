//! What has to be reached, beside what was measured. Nothing fails by it: a figure is a figure.

use std::fmt::Write as _;

use serde::Serialize;

/// One figure that has to be reached.
#[derive(Debug, Serialize)]
pub(super) struct Target {
    /// In words.
    pub(super) what: &'static str,
    /// No more than this.
    pub(super) at_most: f64,
    /// Of what.
    pub(super) unit: &'static str,
    /// As measured; none where the run had no such row.
    pub(super) measured: Option<f64>,
}

impl Target {
    /// Reached; none where it was not measured.
    pub(super) fn is_met(&self) -> Option<bool> {
        self.measured.map(|measured| measured <= self.at_most)
    }
}

/// All of them, as a table in Markdown.
pub(super) fn table(targets: &[Target]) -> String {
    let mut text = String::from("\n| target | at most | measured | |\n|---|---:|---:|---|\n");
    for target in targets {
        let measured = target.measured.map_or("–".to_owned(), |measured| format!("{measured:.2}"));
        let verdict = match target.is_met() {
            Some(true) => "met",
            Some(false) => "**not met**",
            None => "not measured",
        };
        let _ = writeln!(
            text,
            "| {} | {:.2} {} | {measured} | {verdict} |",
            target.what, target.at_most, target.unit
        );
    }
    text
}
