//! Suites that are Cargo's own tests.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::Stdio,
};

use anyhow::{Context as _, Result, anyhow};

use crate::{report::Case, text::tail, workshop};

/// Every test of the workspace.
pub(super) fn all(filter: Option<&str>) -> Result<Vec<Case>> {
    test("unit", &["--workspace"], filter)
}

/// eapol_test against `portal-aaa serve`.
pub(super) fn eapol(filter: Option<&str>) -> Result<Vec<Case>> {
    test("eapol", &["--package", "portal-aaa", "--test", "eapol"], filter)
}

fn test(name: &str, what: &[&str], filter: Option<&str>) -> Result<Vec<Case>> {
    let out = workshop::out(name)?;
    let log = out.join("cargo-test.log");
    let mut command = workshop::cargo_command();
    command.args(["test", "--release", "--no-fail-fast"]).args(what);
    command.args(filter).current_dir(workshop::root());
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("start cargo test")?;
    let output = child.stdout.take().ok_or_else(|| anyhow!("cargo test without output"))?;
    let mut file = fs::File::create(&log)?;
    let mut cases = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        writeln!(file, "{line}")?;
        cases.extend(case(&line, &log));
    }
    let status = child.wait()?;
    for case in cases.iter().filter(|case| case.failure.is_some()) {
        super::show(case);
    }
    if !status.success() && cases.iter().all(|case| case.failure.is_none()) {
        // It did not compile, or a test process died: no line of a test says so.
        let case = Case::bad("cargo test", 0.0, format!("cargo test: {status}\n{}", tail(&log, 40)));
        super::show(&case);
        cases.push(case);
    }
    Ok(cases)
}

/// A line of the test harness, such as `test a::b ... ok`. Ignored tests are none.
fn case(line: &str, log: &Path) -> Option<Case> {
    let (name, verdict) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let failure = match verdict {
        "ok" => None,
        "FAILED" => Some(details(log, name)),
        _ => return None,
    };
    Some(Case { failure, ..Case::good(name, 0.0) })
}

/// Where to read on: the harness tells reasons only when all of a binary's tests are through.
fn details(log: &Path, name: &str) -> String {
    format!("see \"---- {name} stdout ----\" in {}", log.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_harness_lines_are_understood() {
        let log = Path::new("log");
        assert!(case("test a::b ... ok", log).unwrap().failure.is_none());
        assert!(case("test a::b ... FAILED", log).unwrap().failure.is_some());
        assert!(case("test src/lib.rs - x (line 3) ... ok", log).is_some());
        for line in ["test a ... ignored", "running 3 tests", "test result: ok. 3 passed; 0 failed", ""] {
            assert!(case(line, log).is_none(), "{line}");
        }
    }
}
