//! The matrix as a table of Markdown: every combination with its outcome, every value with how often it went well.

use std::fmt::Write as _;

use super::axes::{AXES, Combination, EXCLUDED, WHERE};

/// Its name in the suite's output folder.
pub(crate) const FILE: &str = "table.md";

/// A combination and what came of it.
pub(super) struct Entry {
    /// Number of the row.
    pub(super) number: usize,
    /// Its values.
    pub(super) combination: Combination,
    /// The outcome in a line, or why it went wrong.
    pub(super) outcome: Result<String, String>,
}

/// How often each value of each axis went well.
pub(super) fn counts(entries: &[Entry]) -> Vec<(&'static str, Vec<(&'static str, usize)>)> {
    let good = || entries.iter().filter(|entry| entry.outcome.is_ok());
    let count = |axis: usize, value: &str| {
        good().filter(|entry| entry.combination.words().get(axis) == Some(&value)).count()
    };
    let values = |axis: usize, values: &'static [&'static str]| {
        values.iter().map(move |value| (*value, count(axis, value))).collect::<Vec<_>>()
    };
    AXES.iter().enumerate().map(|(axis, (name, words))| (*name, values(axis, words))).collect()
}

/// All of it.
pub(super) fn render(entries: &[Entry]) -> String {
    let mut text = String::from("| |");
    let heads = AXES.iter().map(|(name, _)| *name).chain(["outcome"]);
    let columns = heads.clone().count();
    for head in heads {
        let _ = write!(text, " {head} |");
    }
    let _ = writeln!(text, "\n|{}", "---|".repeat(columns + 1));
    for entry in entries {
        let sign = if entry.outcome.is_ok() { "✓" } else { "✗" };
        let _ = write!(text, "| {sign} {:02} |", entry.number);
        let outcome = match &entry.outcome {
            Ok(outcome) => outcome.clone(),
            Err(why) => why.lines().next().unwrap_or_default().to_owned(),
        };
        for word in entry.combination.words() {
            let _ = write!(text, " {word} |");
        }
        let _ = writeln!(text, " {} |", outcome.replace('|', "/"));
    }
    text.push_str("\n| axis | values, and combinations that went well | where it is real |\n|---|---|---|\n");
    for ((name, values), (_, how)) in counts(entries).into_iter().zip(WHERE) {
        let values: Vec<String> = values.iter().map(|(value, count)| format!("{value} {count}")).collect();
        let _ = writeln!(text, "| {name} | {} | {how} |", values.join(", "));
    }
    text.push_str("\nRefused together by the configuration itself:");
    for (one, other, words) in EXCLUDED {
        let _ = write!(text, " {one} and {other} ({words})");
    }
    text.push_str(".\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_counts_for_nothing_and_stands_in_the_table() {
        let combination = |row: [usize; 13]| Combination::of(&row).unwrap();
        let entries = [
            Entry { number: 1, combination: combination([0; 13]), outcome: Ok("issued".to_owned()) },
            Entry {
                number: 2,
                combination: combination([1; 13]),
                outcome: Err("no|answer\nmore".to_owned()),
            },
        ];
        let text = render(&entries);
        assert!(text.contains("| ✓ 01 | imsi | xml |") && text.contains("| issued |"), "{text}");
        assert!(text.contains("| ✗ 02 | imei |") && text.contains("| no/answer |"), "{text}");
        assert!(text.contains("| imsi 1, imei 0, both 0 |"), "{text}");
        let (name, values) = &counts(&entries)[0];
        assert_eq!((*name, values.as_slice()), ("identifier", &[("imsi", 1), ("imei", 0), ("both", 0)][..]));
    }
}
