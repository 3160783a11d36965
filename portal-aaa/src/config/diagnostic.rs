//! Where it is wrong: `file:line:col: message`, the line, and a caret under the place.

use std::{fmt, io, ops::Range, path::PathBuf};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Why a configuration cannot be used. `Display` is meant for people and of several lines.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It can, but not used.
    Invalid {
        /// Which.
        path: PathBuf,
        /// What stands in it.
        text: String,
        /// All that is wrong.
        problems: Vec<Problem>,
    },
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Octets of the text that it is about; none for all of it.
    pub span: Option<Range<usize>>,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// A value that does not fit, by the path of its key: `policy.networks.0.ssid`.
pub(super) struct Misfit {
    pub key: String,
    pub message: String,
}

/// Finds where the keys stand. A key that is not there (its default does not fit) is shown at its table.
pub(super) fn locate(text: &str, misfits: Vec<Misfit>) -> Vec<Problem> {
    let document = DeTable::parse(text).ok();
    let problems = misfits.into_iter().map(|Misfit { key, message }| {
        let span = document.as_ref().and_then(|document| find(document.get_ref(), &key));
        let last = key.rsplit('.').next().unwrap_or_default();
        Problem { span, message: format!("{last}: {message}") }
    });
    problems.collect()
}

fn find(table: &DeTable<'_>, key: &str) -> Option<Range<usize>> {
    let (first, rest) = key.split_once('.').map_or((key, None), |(first, rest)| (first, Some(rest)));
    let value = table.get(first)?;
    rest.and_then(|rest| within(value, rest)).or_else(|| Some(value.span()))
}

fn within(value: &Spanned<DeValue<'_>>, key: &str) -> Option<Range<usize>> {
    match value.get_ref() {
        DeValue::Table(table) => find(table, key),
        DeValue::Array(array) => {
            let (first, rest) = key.split_once('.').map_or((key, None), |(first, rest)| (first, Some(rest)));
            let value = array.get(first.parse::<usize>().ok()?)?;
            rest.and_then(|rest| within(value, rest)).or_else(|| Some(value.span()))
        }
        _ => None,
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Invalid { path, text, problems } => {
                for (number, problem) in problems.iter().enumerate() {
                    if number > 0 {
                        writeln!(f)?;
                    }
                    show(f, &path.display().to_string(), text, problem)?;
                }
                Ok(())
            }
        }
    }
}

fn show(f: &mut fmt::Formatter<'_>, file: &str, text: &str, problem: &Problem) -> fmt::Result {
    let Some(span) = &problem.span else { return write!(f, "{file}: {}", problem.message) };
    // A place inside of a character or behind the text cannot be shown; the start of the file then stands for it.
    let before = text.get(..span.start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line_number = before.matches('\n').count() + 1;
    let line = text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
    let lead = before.get(line_start..).unwrap_or_default();
    let marked = text.get(span.clone()).unwrap_or_default().lines().next().unwrap_or_default();
    // Tabs stay tabs, so that the caret stands right whatever their width.
    let indent: String = lead.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let carets = "^".repeat(marked.chars().count().max(1));
    let gutter = line_number.to_string();
    let blank = " ".repeat(gutter.len());
    writeln!(f, "{file}:{line_number}:{}: {}", lead.chars().count() + 1, problem.message)?;
    writeln!(f, " {gutter} | {line}")?;
    write!(f, " {blank} | {indent}{carets}")
}
