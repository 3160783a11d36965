//! Suites `modem`, `wispr` and `matrix`: on this machine, in network, mount and process namespaces of its own.
//!
//! Inside, every interface is private, and for `modem` `/run` and `/etc` too, so that the real system bus, resolver and
//! routes are not touched, and whatever is left running goes with the namespaces.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::Path,
    process::Stdio,
};

use anyhow::{Context as _, Result, anyhow};

use crate::{
    matrix, packages, progress,
    report::{Case, Line},
    text::tail,
    workshop,
    world::smsc,
};

/// Suite `modem`.
pub(super) fn modem(filter: Option<&str>) -> Result<Vec<Case>> {
    packages::ensure(packages::MODEM)?;
    message_centre()?;
    run("modem", filter, &workshop::out("modem")?)
}

/// Suite `wispr`.
pub(super) fn wispr(filter: Option<&str>) -> Result<Vec<Case>> {
    packages::ensure(packages::WISPR)?;
    run("wispr", filter, &workshop::out("wispr")?)
}

/// Suite `matrix`; shows what came out as a table.
pub(super) fn matrix(filter: Option<&str>) -> Result<Vec<Case>> {
    packages::ensure(packages::MATRIX)?;
    message_centre()?;
    let out = workshop::out("matrix")?;
    let cases = run("matrix", filter, &out)?;
    if let Ok(table) = fs::read_to_string(out.join(matrix::table::FILE)) {
        println!("\n{table}");
    }
    Ok(cases)
}

fn message_centre() -> Result<()> {
    progress::step("the message centre's SMPP package", || smsc::fetch().map(drop))
}

fn run(suite: &str, filter: Option<&str>, out: &Path) -> Result<Vec<Case>> {
    let errors = out.join("suite.log");
    let mut command = packages::as_root("unshare");
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    // Not `current_exe`: the build a moment ago may have replaced the file that this process was started from.
    let programs = workshop::target().join("release");
    command.arg(programs.join("lab")).args(["inside", suite, "--out"]).arg(out);
    command.arg("--programs").arg(&programs);
    if let Some(filter) = filter {
        command.args(["--only", filter]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&errors)?);
    let mut child = command.spawn().context("start unshare (as root, or through sudo)")?;
    let report = child.stdout.take().ok_or_else(|| anyhow!("no report"))?;
    let mut cases = Vec::new();
    for line in BufReader::new(report).lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(Line::Case(case)) => {
                super::show(&case);
                cases.push(case);
            }
            Ok(Line::Progress { what }) => progress::note(&what),
            Ok(_) => {}
            Err(_) => progress::note(&line),
        }
    }
    let status = child.wait()?;
    if !status.success() && cases.iter().all(|case| case.failure.is_none()) {
        let case = Case::bad("the suite itself", 0.0, format!("{status}\n{}", tail(&errors, 30)));
        super::show(&case);
        cases.push(case);
    }
    Ok(cases)
}
