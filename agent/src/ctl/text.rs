//! Text that fits a terminal. Pure.

use std::fmt::Write;

use jiff::Timestamp;

/// Columns of a terminal that everybody has.
pub(super) const WIDTH: usize = 80;
/// Columns of the first one of a table, with its gap.
const NAMES: usize = 14;

/// Two columns; what is too long for the second one goes on below, at spaces where there are any.
pub(super) fn table(rows: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in rows {
        let mut name = *name;
        for line in wrapped(&printable(value), WIDTH - NAMES) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name:<13} {line}");
            name = "";
        }
    }
    text
}

/// Lines of at most `width` characters; at least one.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        while let Some(line) = lines.last_mut() {
            let used = line.chars().count();
            let gap = usize::from(used > 0);
            if used + gap + word.len() <= width {
                line.extend(std::iter::repeat_n(' ', gap).chain(word));
                break;
            }
            if used == 0 {
                // Longer than a line by itself.
                line.extend(word.drain(..width.min(word.len())));
            }
            lines.push(String::new());
        }
    }
    lines
}

/// The first `width` characters; the last one is … where something is missing.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    match width {
        0 => String::new(),
        _ => text.chars().take(width - 1).chain(['…']).collect(),
    }
}

/// Seconds since 1970, in UTC; the number itself where it is beyond any calendar.
pub(super) fn time(unix: u64) -> String {
    stamp(unix).map_or_else(|| unix.to_string(), |stamp| stamp.to_string())
}

/// `2026-11-28 20:44:49`, UTC.
pub(super) fn date(unix: u64) -> String {
    stamp(unix).map_or_else(|| unix.to_string(), |stamp| stamp.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// `20:44:49`, UTC.
pub(super) fn clock(unix: u64) -> String {
    stamp(unix).map_or_else(|| unix.to_string(), |stamp| stamp.strftime("%H:%M:%S").to_string())
}

fn stamp(unix: u64) -> Option<Timestamp> {
    i64::try_from(unix).ok().and_then(|seconds| Timestamp::from_second(seconds).ok())
}

/// A network's name or a server's text must not be able to move the cursor.
pub(super) fn printable(value: &str) -> String {
    value.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_go_on_below() {
        let text =
            table(&[("Name", format!("{} end", "word ".repeat(30).trim_end())), ("Key", "k".repeat(150))]);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.starts_with("Name          word word"));
        assert_eq!(text.lines().filter(|line| line.starts_with("    ")).count(), 4, "{text}");
        assert_eq!(text.matches('k').count(), 150);
    }

    #[test]
    fn edges() {
        assert_eq!(wrapped("", 5), [""]);
        assert_eq!(wrapped("ab cd", 5), ["ab cd"]);
        assert_eq!(wrapped("ab cde", 5), ["ab", "cde"]);
        assert_eq!(wrapped("abcdefg", 3), ["abc", "def", "g"]);
        assert_eq!((cut("abcdef", 4).as_str(), cut("abcdef", 0).as_str()), ("abc…", ""));
        assert_eq!(
            (time(0), date(0), clock(61)),
            ("1970-01-01T00:00:00Z".into(), "1970-01-01 00:00:00".into(), "00:01:01".into())
        );
        assert_eq!(time(u64::MAX), u64::MAX.to_string());
    }
}
