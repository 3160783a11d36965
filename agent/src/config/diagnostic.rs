//! A mistake in a configuration file as compilers show it: `file:line:col: message`, then the line and a caret.

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

/// Longest part of a line that is shown, characters.
const MAX_SHOWN: usize = 160;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// In which file.
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    source: String,
    width: usize,
}

impl Diagnostic {
    /// `span` counts the octets of `text`; without one, the mistake is the file's as a whole.
    pub(super) fn new(file: &Path, text: &str, span: Option<Range<usize>>, message: &str) -> Self {
        let span = span.unwrap_or(0..0);
        let before = text.get(..span.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let source = text.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let column = before.get(line_start..).unwrap_or_default().chars().count();
        let marked = text.get(span).and_then(|marked| marked.lines().next()).unwrap_or_default();
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: column + 1,
            message: message.trim().replace('\n', ", "),
            source: source.chars().take(MAX_SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect(),
            width: marked.chars().count().clamp(1, MAX_SHOWN),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, message, source, width } = self;
        let number = line.to_string();
        writeln!(f, "{}:{line}:{column}: {message}", file.display())?;
        writeln!(f, "  {number} | {source}")?;
        let blank = " ".repeat(number.len());
        write!(f, "  {blank} | {}{}", " ".repeat(column.saturating_sub(1).min(MAX_SHOWN)), "^".repeat(*width))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_caret_stands_under_the_mistake() {
        let text = "# é\n[portal]\nurl = \"ü\" + 5\n";
        let at = text.find('+').expect("there");
        let shown = Diagnostic::new(Path::new("a.toml"), text, Some(at..at + 3), "no sums").to_string();
        assert_eq!(shown, "a.toml:3:11: no sums\n  3 | url = \"ü\" + 5\n    |           ^^^");
        let whole = Diagnostic::new(Path::new("a.toml"), "", None, "empty").to_string();
        assert_eq!(whole, "a.toml:1:1: empty\n  1 | \n    | ^");
    }

    proptest! {
        #[test]
        fn any_span_of_any_text_can_be_shown(text: String, start in 0usize..80, length in 0usize..80) {
            let shown = Diagnostic::new(Path::new("f"), &text, Some(start..start + length), "m").to_string();
            prop_assert_eq!(shown.lines().count(), 3);
        }
    }
}
