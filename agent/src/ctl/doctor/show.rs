//! The chain for people and for programs. Pure.

use std::fmt::Write;

use serde_json::json;

use super::chain::{Mark, Row, first_broken};

/// Widest line, characters.
const WIDTH: usize = 80;
/// Where details begin.
const INDENT: usize = 30;

/// One line a link, the remedy under the first that is broken, the verdict at the end.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let sign = match row.mark {
            Mark::Good => '✓',
            Mark::Broken => '✗',
            Mark::Unknown => '–',
        };
        let detail = wrapped(&row.detail, INDENT);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", format!("{sign} {:<27} {detail}", row.title).trim_end());
        if let Some(remedy) = &row.remedy {
            let _ = writeln!(text, "    → {}", wrapped(remedy, 6));
        }
    }
    let verdict = match first_broken(rows) {
        Some(row) => format!("First broken link: {}", row.title),
        None => "No link is broken".to_owned(),
    };
    let _ = writeln!(text, "\n{verdict}");
    text
}

/// One line of JSON.
pub(super) fn json(rows: &[Row]) -> String {
    let first = first_broken(rows);
    let value = json!({
        "good": first.is_none(),
        "first-broken": first.map(|row| row.link),
        "remedy": first.and_then(|row| row.remedy.as_deref()),
        "links": rows,
    });
    format!("{value}\n")
}

/// Breaks at spaces so that no line is wider than [`WIDTH`]; further lines begin at `indent`. Characters that could move
/// the cursor are replaced: details come from networks and servers.
fn wrapped(text: &str, indent: usize) -> String {
    let room = WIDTH - indent;
    let (mut lines, mut length) = (String::new(), 0);
    for word in text.split_whitespace() {
        let mut word: String = word.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        if word.chars().count() > room {
            word = word.chars().take(room - 1).chain(['…']).collect();
        }
        let long = word.chars().count();
        if length > 0 && length + 1 + long > room {
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            length = 0;
        } else if length > 0 {
            lines.push(' ');
            length += 1;
        }
        lines.push_str(&word);
        length += long;
    }
    lines
}
