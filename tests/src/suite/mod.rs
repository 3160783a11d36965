//! `cargo lab test`: every test there is, by suites, and one line at the end that says how many.
//!
//! A suite is a list of cases that ran; where they run differs: `cargo` in Cargo's own runner, `boxed` on this machine
//! in namespaces of its own, `laptop` in the virtual laptop. What the latter two do stands in `crate::cases`.

mod boxed;
mod cargo;
mod laptop;

use std::time::Duration;

use anyhow::{Result, bail};

use crate::{
    clock,
    handover::Extent,
    packages,
    report::{Case, Crashes},
    workshop,
};

/// What somebody wants of a suite.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    /// Only the cases whose name contains this.
    part: Option<&'a str>,
    /// Moves each way and the rest of it, for suite `handover`.
    extent: Extent,
    /// Kills of the agent, for the suite that does so.
    crashes: Crashes,
}

/// A suite.
struct Suite {
    name: &'static str,
    about: &'static str,
    /// Runs in `cargo lab test` without a name; the others are part of one that does.
    whole: bool,
    /// Runs what is wanted of it.
    run: fn(Wanted<'_>) -> Result<Vec<Case>>,
}

const SUITES: [Suite; 9] = [
    Suite {
        name: "unit",
        about: "cargo test: units, properties, protocol pairs, eapol_test",
        whole: true,
        run: |wanted| cargo::all(wanted.part),
    },
    Suite {
        name: "eapol",
        about: "part of unit: eapol_test against portal-aaa serve",
        whole: false,
        run: |wanted| cargo::eapol(wanted.part),
    },
    Suite {
        name: "aaa-interop",
        about: "eapol_test, FreeRADIUS, radsecproxy, radclient against portal-aaa",
        whole: true,
        run: |wanted| interop(wanted.part),
    },
    Suite {
        name: "matrix",
        about: "every option's every value, and all pairs of two: agent, portal-aaa, eapol_test",
        whole: true,
        run: |wanted| boxed::matrix(wanted.part),
    },
    Suite {
        name: "modem",
        about: "real ModemManager on a simulated modem, without a virtual machine",
        whole: true,
        run: |wanted| boxed::modem(wanted.part),
    },
    Suite {
        name: "wispr",
        about: "the agent's WISPr client at a real gateway and the real AAA, over a wire",
        whole: true,
        run: |wanted| boxed::wispr(wanted.part),
    },
    Suite {
        name: "vm",
        about: "the virtual laptop: offload, return, restarts, refusals, a wrong clock, leaks",
        whole: true,
        run: |wanted| laptop::vm(wanted.part, wanted.crashes),
    },
    Suite {
        name: "doctor",
        about: "the virtual laptop: faults one at a time, each to be named by offloadctl doctor",
        whole: false,
        run: |wanted| laptop::doctor(wanted.part),
    },
    Suite {
        name: "handover",
        about: "the virtual laptop: moves under traffic; named, a hundred each way (1½ hours), else three",
        whole: true,
        run: |wanted| laptop::handover(wanted.part, wanted.extent),
    },
];

/// Says which there are.
pub(crate) fn list() {
    for suite in &SUITES {
        println!("{:<12} {}", suite.name, suite.about);
    }
    println!(
        "\ncargo lab test NAME         one suite\ncargo lab test NAME/PART    of it, the cases whose name contains PART"
    );
}

/// Runs all suites, or the one that is named; true where all passed.
///
/// A suite that is named takes the time that it needs; one of many makes few moves.
pub(crate) fn run(name: Option<&str>, moves: Option<u32>, full: bool, crashes: Crashes) -> Result<bool> {
    let (wanted, filter) = match name.map(|name| name.split_once('/').unwrap_or((name, ""))) {
        None => (None, None),
        Some((suite, "")) => (Some(suite), None),
        Some((suite, part)) => (Some(suite), Some(part)),
    };
    if let Some(suite) = wanted.filter(|wanted| !SUITES.iter().any(|suite| suite.name == *wanted)) {
        bail!("no suite {suite}; see cargo lab test --list");
    }
    let chosen = |suite: &&Suite| wanted.map_or(suite.whole, |wanted| suite.name == wanted);
    let extent = Extent {
        full: full || (wanted.is_some() && moves.is_none()),
        moves: moves.unwrap_or(if wanted.is_some() { 100 } else { 3 }),
    };
    let (mut passed, mut failed) = (0, 0);
    packages::ensure(packages::UNIT)?;
    workshop::build()?;
    for suite in SUITES.iter().filter(chosen) {
        println!("\n{} ({})", suite.name, suite.about);
        let began = clock::now();
        let cases = (suite.run)(Wanted { part: filter, extent, crashes }).unwrap_or_else(|error| {
            let case = Case::bad("the suite itself", began.elapsed().as_secs_f32(), format!("{error:#}"));
            show(&case);
            vec![case]
        });
        let bad: Vec<&Case> = cases.iter().filter(|case| case.failure.is_some()).collect();
        passed += cases.len() - bad.len();
        failed += bad.len();
        summary(suite.name, &cases, &bad, began.elapsed());
    }
    println!("\n{passed} passed, {failed} failed");
    Ok(failed == 0 && passed > 0)
}

fn interop(filter: Option<&str>) -> Result<Vec<Case>> {
    crate::interop::run(filter, show)
}

/// One case as it ends.
fn show(case: &Case) {
    match &case.failure {
        None => println!("  ✓ {:<44} {:>6.1} s", case.name, case.secs),
        Some(failure) => println!("  ✗ {:<44} {:>6.1} s\n{}", case.name, case.secs, indented(failure)),
    }
}

fn summary(name: &str, cases: &[Case], bad: &[&Case], took: Duration) {
    let sign = if bad.is_empty() { "✓" } else { "✗" };
    println!(
        "  {sign} suite {name}: {} of {} cases good, {} s",
        cases.len() - bad.len(),
        cases.len(),
        took.as_secs()
    );
    for case in bad {
        println!("    ✗ {}", case.name);
    }
    for case in cases {
        for limit in &case.limits {
            println!("    – {}: the peer cannot: {limit}", case.name);
        }
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("      {line}")).collect::<Vec<_>>().join("\n")
}
