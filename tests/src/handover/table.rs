//! What came out, as one table for people: the agent beside those that do the same today.

use std::time::Duration;

/// Its file among the results.
pub(crate) const FILE: &str = "table.md";

/// Who had the laptop: a column each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// wifi-offloadd.
    Agent,
    /// NetworkManager by route metrics.
    NetworkManager,
    /// wpa_supplicant and udhcpc.
    Bare,
}

impl Who {
    const ALL: [Self; 3] = [Self::Agent, Self::NetworkManager, Self::Bare];

    const fn heading(self) -> &'static str {
        match self {
            Self::Agent => "wifi-offload",
            Self::NetworkManager => "NetworkManager",
            Self::Bare => "wpa_supplicant + udhcpc",
        }
    }
}

/// One line each.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    what: String,
    found: Vec<(Who, String)>,
    wanted: String,
}

impl Table {
    /// One figure of the agent: of what, how much, and what was wanted.
    pub(super) fn add(&mut self, what: &str, found: String, wanted: &str) {
        self.put(Who::Agent, what, found);
        if let Some(row) = self.rows.iter_mut().find(|row| row.what == what) {
            wanted.clone_into(&mut row.wanted);
        }
    }

    /// One figure of anybody, beside the others' of the same name.
    pub(super) fn put(&mut self, who: Who, what: &str, found: String) {
        let index = self.rows.iter().position(|row| row.what == what).unwrap_or_else(|| {
            self.rows.push(Row { what: what.to_owned(), found: Vec::new(), wanted: String::new() });
            self.rows.len() - 1
        });
        if let Some(row) = self.rows.get_mut(index) {
            row.found.retain(|(other, _)| *other != who);
            row.found.push((who, found));
        }
    }

    /// As Markdown.
    pub(crate) fn markdown(&self) -> String {
        let headings = Who::ALL.map(Who::heading).join(" | ");
        let mut text = format!("| what | {headings} | wanted of wifi-offload |\n|---|---|---|---|---|\n");
        for Row { what, found, wanted } in &self.rows {
            let cells = Who::ALL.map(|who| {
                let cell = found.iter().find(|(other, _)| *other == who);
                cell.map_or("", |(_, text)| text.as_str())
            });
            text.push_str(&format!("| {what} | {} | {wanted} |\n", cells.join(" | ")));
        }
        text
    }
}

/// The middle one, where there is one.
pub(super) fn median(values: &[Duration]) -> Option<Duration> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

/// Least, middle and most, in milliseconds.
pub(super) fn spread(values: &[Duration]) -> String {
    match (values.iter().min(), median(values), values.iter().max()) {
        (Some(least), Some(middle), Some(most)) => {
            let [least, middle, most] = [least, &middle, most].map(Duration::as_millis);
            format!("{middle} ms ({least}–{most})")
        }
        _ => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_one_name_stand_side_by_side() {
        let mut table = Table::default();
        table.add("gap", spread(&[9, 1, 5].map(Duration::from_millis)), "little");
        table.put(Who::NetworkManager, "gap", "more".to_owned());
        assert!(table.markdown().ends_with("| gap | 5 ms (1–9) | more |  | little |\n"));
        assert_eq!(table.markdown().lines().count(), 3);
        assert_eq!(spread(&[]), "none");
    }
}
