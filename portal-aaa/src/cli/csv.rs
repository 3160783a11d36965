//! Comma-separated values as spreadsheets and billing read them: RFC 4180 out, a plain subset in.

use std::io::{self, Write};

/// One value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field<'a> {
    /// What somebody wrote; an access point, or whoever asked it for access.
    Text(&'a str),
    /// A count.
    Number(u64),
}

/// A spreadsheet takes what begins so for a formula, and runs it. An apostrophe before it makes it text.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Writes a line (RFC 4180 §2: CRLF at its end, quotes where they are needed, doubled inside).
pub(super) fn line(out: &mut dyn Write, fields: &[Field<'_>]) -> io::Result<()> {
    for (number, field) in fields.iter().enumerate() {
        if number > 0 {
            out.write_all(b",")?;
        }
        match field {
            Field::Number(number) => write!(out, "{number}")?,
            Field::Text(text) => write_text(out, text)?,
        }
    }
    out.write_all(b"\r\n")
}

fn write_text(out: &mut dyn Write, text: &str) -> io::Result<()> {
    let apostrophe = if text.starts_with(FORMULA) { "'" } else { "" };
    let quoted = text.contains([',', '"', '\r', '\n']) || text.trim() != text;
    if quoted {
        write!(out, "\"{apostrophe}{}\"", text.replace('"', "\"\""))
    } else {
        write!(out, "{apostrophe}{text}")
    }
}

/// The values of a line without commas or line ends inside of them.
pub(super) fn split(line: &str) -> impl Iterator<Item = &str> {
    line.trim_end_matches(['\r', '\n']).split(',').map(|value| value.trim().trim_matches('"').trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        line(&mut out, &[Field::Text(text), Field::Number(u64::MAX)]).unwrap();
        String::from_utf8(out).unwrap().strip_suffix(",18446744073709551615\r\n").unwrap().to_owned()
    }

    #[test]
    fn quotes_where_they_are_needed() {
        for (text, expected) in [
            ("", ""),
            ("plain ö", "plain ö"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            (" space ", "\" space \""),
        ] {
            assert_eq!(written(text), expected);
        }
    }

    #[test]
    fn nothing_is_a_formula() {
        assert_eq!(written("=1+1"), "'=1+1");
        assert_eq!(written("@operator.example"), "'@operator.example");
        assert_eq!(written("-2,\"x\""), "\"'-2,\"\"x\"\"\"");
        assert_eq!(written("+49"), "'+49");
        assert_eq!(written("\t=x"), "\"'\t=x\"");
        assert_eq!(written("a=b"), "a=b");
    }

    #[test]
    fn plain_lines_are_split() {
        let values: Vec<_> = split(" 1 ,\"2\",,x\r\n").collect();
        assert_eq!(values, ["1", "2", "", "x"]);
    }
}
