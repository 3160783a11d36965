//! What came out, as one table for people.

use std::time::Duration;

/// Its file among the results.
pub(crate) const FILE: &str = "table.md";

/// One line each.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<[String; 3]>,
}

impl Table {
    /// One figure: of what, how much, and what was wanted.
    pub(crate) fn add(&mut self, what: &str, found: String, wanted: &str) {
        self.rows.push([what.to_owned(), found, wanted.to_owned()]);
    }

    /// As Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from("| what | found | wanted |\n|---|---|---|\n");
        for [what, found, wanted] in &self.rows {
            text.push_str(&format!("| {what} | {found} | {wanted} |\n"));
        }
        text
    }
}

/// Least, middle and most, in milliseconds.
pub(super) fn spread(values: &[Duration]) -> String {
    let mut sorted: Vec<u128> = values.iter().map(Duration::as_millis).collect();
    sorted.sort_unstable();
    match (sorted.first(), sorted.get(sorted.len() / 2), sorted.last()) {
        (Some(least), Some(middle), Some(most)) => format!("{middle} ms ({least}–{most})"),
        _ => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_row() {
        let mut table = Table::default();
        table.add("gap", spread(&[9, 1, 5].map(Duration::from_millis)), "little");
        assert!(table.markdown().ends_with("| gap | 5 ms (1–9) | little |\n"));
        assert_eq!(spread(&[]), "none");
    }
}
